/* Encryption of a store: XChaCha20-Poly1305 (libsodium, crypto_aead_xchacha20poly1305_ietf) with a random nonce in front of each chunk and message.
 *
 * From the administrator's key come two: one for the contents, and one for the names of chunks, which are keyed hashes then: without it nobody can
 * tell by a name whether a known text is in the store. A chunk is bound to its name, a message to its file's name: they cannot be exchanged.
 * What was stored before there was a key stays readable; a manifest says which it is. */
#include <string.h>
#include "migrate/store_private.h"

static const uint8_t magic[STORE_MAGIC_BYTES] = "dvtseal1";

int store_set_key(struct store *s, const void *key, size_t n, struct err *e)
{
	static const char content[] = "davit snapshot content", names[] = "davit snapshot names";
	uint8_t root[crypto_generichash_KEYBYTES];

	if (n < STORE_KEY_MIN)
		return err_field(e, "snapshotKey", "the key has %zu bytes, at least %d are needed", n, STORE_KEY_MIN);
	crypto_generichash(root, sizeof(root), key, n, NULL, 0);
	crypto_generichash(s->seal.content, sizeof(s->seal.content), (const uint8_t *)content, sizeof(content), root, sizeof(root));
	crypto_generichash(s->seal.names, sizeof(s->seal.names), (const uint8_t *)names, sizeof(names), root, sizeof(root));
	sodium_memzero(root, sizeof(root));
	s->seal.on = true;
	return 0;
}

void store_chunk_hash(const struct store_seal *seal, const void *p, size_t n, uint8_t hash[STORE_HASH_BYTES])
{
	crypto_generichash(hash, STORE_HASH_BYTES, p, n, seal ? seal->names : NULL, seal ? sizeof(seal->names) : 0);
}

size_t store_seal(const struct store_seal *k, const void *p, size_t n, const void *bound, size_t bound_n, uint8_t *out)
{
	unsigned long long sealed = 0;

	randombytes_buf(out, STORE_NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + STORE_NONCE_BYTES, &sealed, p, n, bound, bound_n, NULL, out, k->content);
	return STORE_NONCE_BYTES + (size_t)sealed;
}

ssize_t store_unseal(const struct store_seal *k, uint8_t *p, size_t n, const void *bound, size_t bound_n)
{
	uint8_t *text = p + STORE_NONCE_BYTES;
	unsigned long long plain = 0;

	if (n < STORE_SEAL_BYTES ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(text, &plain, NULL, text, n - STORE_NONCE_BYTES, bound, bound_n, p, k->content) != 0)
		return -1;
	memmove(p, text, (size_t)plain);
	return (ssize_t)plain;
}

int store_seal_message(const struct store *s, const char *name, const struct buf *plain, struct buf *out, struct err *e)
{
	if (buf_append(out, magic, sizeof(magic), e) < 0 || buf_reserve(out, plain->len + STORE_SEAL_BYTES, e) < 0)
		return -1;
	out->len += store_seal(&s->seal, plain->data, plain->len, name, strlen(name), (uint8_t *)out->data + out->len);
	return 0;
}

bool store_is_sealed(const void *p, size_t n)
{
	return n >= sizeof(magic) && memcmp(p, magic, sizeof(magic)) == 0;
}

ssize_t store_unseal_message(const struct store *s, const char *name, uint8_t *p, size_t n, struct err *e)
{
	ssize_t plain;

	if (!s->seal.on) {
		err_set(e, ERR_DENIED, 0, "%s is encrypted", name);
		return err_remedy(e, "set snapshotKey in davitd's configuration to its key");
	}
	plain = store_unseal(&s->seal, p + sizeof(magic), n - sizeof(magic), name, strlen(name));
	return plain < 0 ? err_set(e, ERR_CORRUPT, 0, "%s is damaged, or was encrypted with another key", name) : plain;
}

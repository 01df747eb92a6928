/* base64 of RFC 4648, strictly: with padding, without other characters, with unused bits zero, so that one value has one text. */
#include <string.h>
#include "proto/json_codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int json_base64_append(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
	if (buf_reserve(out, (n + 2) / 3 * 4, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		char *q = out->data + out->len;
		q[0] = alphabet[v >> 18];
		q[1] = alphabet[v >> 12 & 63];
		q[2] = i + 1 < n ? alphabet[v >> 6 & 63] : '=';
		q[3] = i + 2 < n ? alphabet[v & 63] : '=';
		out->len += 4;
	}
	out->data[out->len] = '\0';
	return 0;
}

static int digit(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;
	return p ? (int)(p - alphabet) : -1;
}

uint8_t *json_base64_decode(const char *s, size_t len, size_t *n)
{
	size_t pad = len >= 4 ? (size_t)(s[len - 1] == '=') + (s[len - 1] == '=' && s[len - 2] == '=') : 0;
	if (len % 4 != 0)
		return NULL;
	auto_free uint8_t *out = malloc(len / 4 * 3 + 1);
	if (!out)
		return NULL;
	*n = 0;
	for (size_t i = 0; i < len; i += 4) {
		size_t have = i + 4 == len ? 4 - pad : 4;
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < have ? digit(s[i + k]) : 0;
			if (d < 0)
				return NULL;
			v = v << 6 | (uint32_t)d;
		}
		if ((have == 3 && (v & 0xff)) || (have == 2 && (v & 0xffff)))
			return NULL;
		for (size_t k = 0; k + 1 < have; k++)
			out[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
	}
	return steal_ptr(&out);
}

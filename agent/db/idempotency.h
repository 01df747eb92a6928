/* Idempotency keys: a creating request that is repeated with the same key is answered as the first time, for a day.
 *
 * Only successes are kept: a request that failed may be tried again under its key. A key that is in use by another request is refused. */
#pragma once
#include "agent/db/db.h"

#define IDEMPOTENCY_KEY_MAX 128
#define IDEMPOTENCY_HASH 32

struct idempotency_answer {
	int status;
	char *type; /* full name of the answer's message, owned */
	void *data; /* packed, owned */
	size_t n;
};
void idempotency_answer_free(struct idempotency_answer *a);

enum idempotency {
	IDEMPOTENCY_REFUSED = -1, /* ERR_INVALID: a malformed key or another request under it; ERR_BUSY: the first still runs */
	IDEMPOTENCY_ANSWERED,	  /* *out is filled */
	IDEMPOTENCY_FIRST,	  /* ours: run the request, then keep or drop */
	IDEMPOTENCY_AGAIN,	  /* as FIRST, but an agent that ended began it, and nobody knows how far it came */
};
/* Claims the key for a request with this hash. unique: an id that belongs to the claim, the same for FIRST and AGAIN, to find again what was done. */
enum idempotency idempotency_begin(struct db *db, const char *key, const uint8_t hash[IDEMPOTENCY_HASH], char unique[33],
				   struct idempotency_answer *out, struct err *e);
int idempotency_keep(struct db *db, const char *key, int status, const ProtobufCMessage *answer, struct err *e);
void idempotency_drop(struct db *db, const char *key);
/* At start: claims are those of an agent that ended; what is older than a day goes. */
int idempotency_sweep(struct db *db, struct err *e);
/* Of method, path and body. */
void idempotency_hash(const char *method, const char *url, const void *body, size_t n, uint8_t hash[IDEMPOTENCY_HASH]);

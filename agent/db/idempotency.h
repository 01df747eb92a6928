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

/* Claims the key for a request with this hash. 1: it is ours, run the request and then call keep or drop; 0: answered before, *out filled;
 * -1: ERR_INVALID for a malformed key or another request under it, ERR_BUSY while the first still runs. */
int idempotency_begin(struct db *db, const char *key, const uint8_t hash[IDEMPOTENCY_HASH], struct idempotency_answer *out, struct err *e);
int idempotency_keep(struct db *db, const char *key, int status, const ProtobufCMessage *answer, struct err *e);
void idempotency_drop(struct db *db, const char *key);
/* At start: claims of an agent that died, and answers older than a day, go. */
int idempotency_sweep(struct db *db, struct err *e);
/* Of method, path and body. */
void idempotency_hash(const char *method, const char *url, const void *body, size_t n, uint8_t hash[IDEMPOTENCY_HASH]);

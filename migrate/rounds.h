/* When to go on copying the memory of a container that runs, and when to freeze it. Numbers only; no time is read and nothing is done here.
 *
 * After each round it is known how much the target lacks (left), how fast the container writes and how fast pages travel. Frozen now, the rest takes
 * left / rate. That is to fit into the wanted downtime, less what a freeze takes without any memory (`overhead`). Until it does, the next round sends
 * the rest, while the container writes anew: that helps as long as what is left shrinks. When it no longer does (twice in a row by less than a
 * tenth), or the rounds or the time are used up, `otherwise` says what becomes of it:
 *
 *   ROUNDS_FOLLOW    freeze now, the rest follows after the thaw (post-copy)
 *   ROUNDS_THROTTLE  take CPU from the container in steps until it converges; when the last step is not enough, let the rest follow if it
 * `may_follow`, or give up ROUNDS_GIVE_UP   leave it running here
 *
 * Where the rest may follow, it is still sent while frozen if that takes no more than a quarter of the wanted downtime: pages that are there need no
 * fault. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum rounds_otherwise { ROUNDS_FOLLOW, ROUNDS_THROTTLE, ROUNDS_GIVE_UP };

/* Defaults. */
#define ROUNDS_DOWNTIME_MS 100
#define ROUNDS_MAX 30
/* First share of the CPU that is taken, and what each further step takes, percent. */
#define ROUNDS_THROTTLE_FIRST 20
#define ROUNDS_THROTTLE_STEP 15
#define ROUNDS_THROTTLE_MAX 99

struct rounds {
	/* wanted */
	enum rounds_otherwise otherwise;
	bool may_follow;
	int64_t downtime_ns;
	int64_t overhead_ns; /* of a freeze without memory */
	int64_t timeout_ns;  /* of all rounds; 0: none */
	unsigned max;
	uint64_t page_size;
	/* known so far */
	unsigned done;
	unsigned stuck;	   /* rounds in a row that did not help */
	unsigned throttle; /* percent taken now */
	uint64_t left;	   /* pages, after the last round */
	double rate;	   /* bytes/s, measured */
	int64_t spent_ns;
};

struct rounds_result {
	uint64_t sent;	     /* pages with content */
	uint64_t left;	     /* pages that the target lacks */
	uint64_t dirty_rate; /* pages/s */
	int64_t duration_ns;
};

enum rounds_next {
	ROUNDS_AGAIN,
	ROUNDS_THROTTLE_AGAIN, /* take r->throttle percent, then another round */
	ROUNDS_FREEZE_SEND,    /* freeze and send the rest */
	ROUNDS_FREEZE_FOLLOW,  /* freeze; the rest follows */
	ROUNDS_STOP,	       /* give up */
};
/* What to do after a round; *why: a sentence for the record, static. */
enum rounds_next rounds_after(struct rounds *r, const struct rounds_result *result, const char **why);
/* How long the rest would take while frozen, ns, what is written until then counted in; INT64_MAX where no rate is known. */
int64_t rounds_estimate(const struct rounds *r);

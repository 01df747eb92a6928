/* The policy of rounds. See rounds.h. */
#include "migrate/rounds.h"
#include "base/mem.h"

/* A rate is taken from rounds that sent at least so much; smaller ones measure wake-ups. */
#define RATE_LEAST (1 << 20)
/* A round that leaves more than this share of what was left before it did not help, percent. */
#define HELPED_PERCENT 90
#define STUCK_MAX 2

static void learn(struct rounds *r, const struct rounds_result *result)
{
	double bytes = (double)result->sent * (double)r->page_size;
	bool helped = r->done == 0 || result->left * 100 < r->left * HELPED_PERCENT;

	if (result->duration_ns > 0 && (bytes >= RATE_LEAST || r->rate == 0)) {
		double rate = bytes * 1e9 / (double)result->duration_ns;
		/* The newest counts half: a link's rate changes, one round's may be chance. */
		r->rate = r->rate > 0 ? (r->rate + rate) / 2 : rate;
	}
	r->done++;
	r->stuck = helped ? 0 : r->stuck + 1;
	r->left = result->left;
	r->spent_ns += result->duration_ns;
}

int64_t rounds_estimate(const struct rounds *r)
{
	if (r->left == 0)
		return 0;
	if (r->rate < 1)
		return INT64_MAX;
	double ns = (double)r->left * (double)r->page_size * 1e9 / r->rate;
	return ns > 9e18 ? INT64_MAX : (int64_t)ns;
}

/* It does not get better by itself. */
static enum rounds_next otherwise(struct rounds *r, bool used_up, const char **why)
{
	if (r->otherwise == ROUNDS_FOLLOW)
		return ROUNDS_FREEZE_FOLLOW;
	if (r->otherwise == ROUNDS_THROTTLE && !used_up && r->throttle < ROUNDS_THROTTLE_MAX) {
		r->throttle = r->throttle ? MIN(r->throttle + ROUNDS_THROTTLE_STEP, ROUNDS_THROTTLE_MAX) : ROUNDS_THROTTLE_FIRST;
		r->stuck = 0;
		return ROUNDS_THROTTLE_AGAIN;
	}
	if (r->otherwise == ROUNDS_THROTTLE && !used_up)
		*why = "it writes faster than the network takes, even with its CPU taken away";
	return r->may_follow ? ROUNDS_FREEZE_FOLLOW : ROUNDS_STOP;
}

enum rounds_next rounds_after(struct rounds *r, const struct rounds_result *result, const char **why)
{
	learn(r, result);
	int64_t rest = rounds_estimate(r), room = MAX(r->downtime_ns - r->overhead_ns, r->downtime_ns / 10);

	if (r->otherwise == ROUNDS_FOLLOW)
		room = MIN(room, r->downtime_ns / 4);
	if (rest <= room) {
		*why = "the rest fits into the wanted downtime";
		return ROUNDS_FREEZE_SEND;
	}
	if (r->timeout_ns && r->spent_ns >= r->timeout_ns) {
		*why = "the time for copying is used up";
		return otherwise(r, true, why);
	}
	if (r->done >= r->max) {
		*why = "the rounds are used up";
		return otherwise(r, true, why);
	}
	if (r->stuck >= STUCK_MAX) {
		*why = "it writes as fast as the network takes";
		return otherwise(r, false, why);
	}
	*why = "";
	return ROUNDS_AGAIN;
}

/* Offsets of a restored container's clocks. See clock_policy.h for why no clock can go back. */
#include "migrate/clock_policy.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const names[] = {
	[CLOCK_CONTINUE] = "continue",
	[CLOCK_SUSPEND] = "suspend",
	[CLOCK_FREEZE] = "freeze",
};

const char *clock_policy_name(enum clock_policy p)
{
	return names[p];
}

int clock_policy_of(const char *name, enum clock_policy *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], name)) {
			*out = (enum clock_policy)i;
			return 0;
		}
	}
	return err_field(e, "clockPolicy", "'%s' is none of continue, suspend, freeze", name ? name : "");
}

int64_t clock_elapsed(const Davit__ClockSample *frozen, int64_t delta_boottime, const struct clock_reading *now)
{
	int64_t here, elapsed;
	if (__builtin_add_overflow(frozen->host_boottime, delta_boottime, &here) || __builtin_sub_overflow(now->boottime, here, &elapsed))
		return 0;
	return MAX(0, elapsed);
}

int64_t clock_elapsed_local(const Davit__ClockSample *frozen, const char *boot_id, const struct clock_reading *now)
{
	if (frozen->boot_id && str_eq(frozen->boot_id, boot_id))
		return clock_elapsed(frozen, 0, now);
	return MAX(0, now->realtime - frozen->realtime);
}

static bool possible(int64_t t)
{
	return t >= 0 && t <= CLOCK_LIMIT;
}

/* A clock's offset: it shall show `value` + `advance` now. */
static int offset(int64_t value, int64_t advance, int64_t now, int64_t *out, struct err *e)
{
	int64_t shall;
	if (__builtin_add_overflow(value, advance, &shall) || __builtin_sub_overflow(shall, now, out))
		return err_set(e, ERR_RANGE, 0, "the container's clocks cannot be carried on: out of range");
	return 0;
}

int clock_policy_offsets(enum clock_policy p, const Davit__ClockSample *frozen, int64_t elapsed, const struct clock_reading *now, int64_t *monotonic,
			 int64_t *boottime, struct err *e)
{
	if (!frozen->has_container_monotonic || !frozen->has_container_boottime || !frozen->has_host_boottime)
		return err_field(e, "dump.clock", "the container's clocks at the freeze are missing");
	if (!possible(frozen->container_monotonic) || !possible(frozen->container_boottime) || !possible(frozen->host_boottime))
		return err_set(e, ERR_RANGE, 0, "the container's clocks at the freeze cannot be");
	elapsed = MAX(0, elapsed);
	if (offset(frozen->container_monotonic, p == CLOCK_CONTINUE ? elapsed : 0, now->monotonic, monotonic, e) < 0)
		return -1;
	return offset(frozen->container_boottime, p == CLOCK_FREEZE ? 0 : elapsed, now->boottime, boottime, e);
}

void clock_policy_judge(enum clock_policy p, int64_t delta_boottime, int64_t thawed, const Davit__ClockSample *after, Davit__ClockResult *r)
{
	const Davit__ClockSample *before = r->before;
	int64_t elapsed = after->host_boottime - delta_boottime - before->host_boottime; /* freeze to sample */
	int64_t ran = after->host_boottime - thawed;					 /* thaw to sample */

	r->has_monotonic_error = r->has_boottime_error = r->has_backwards = r->has_downtime = 1;
	r->monotonic_error = after->container_monotonic - before->container_monotonic - (p == CLOCK_CONTINUE ? elapsed : ran);
	r->boottime_error = after->container_boottime - before->container_boottime - (p == CLOCK_FREEZE ? ran : elapsed);
	r->backwards = after->container_monotonic < before->container_monotonic || after->container_boottime < before->container_boottime;
	r->downtime = elapsed - ran;
}

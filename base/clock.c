/* Clocks and time spans. Sources: clock_gettime(2), RFC 3339. */
#include "base/clock.h"
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

/* Attempts to read clocks together, and what is quick enough to need no other. */
#define READINGS 8
#define READING_QUICK_NS NSEC_PER_USEC

int64_t clock_now_ns(clockid_t id)
{
	struct timespec t = { 0 };
	clock_gettime(id, &t);
	return clock_ns_of_timespec(t);
}

/* Three readings of which the outer two tell how long they took. */
static int64_t read_once(struct clock_reading *r)
{
	int64_t before = clock_now_ns(CLOCK_MONOTONIC);
	r->boottime = clock_now_ns(CLOCK_BOOTTIME);
	r->realtime = clock_now_ns(CLOCK_REALTIME);
	int64_t took = clock_now_ns(CLOCK_MONOTONIC) - before;
	r->monotonic = before + took / 2;
	return took;
}

struct clock_reading clock_read(void)
{
	struct clock_reading best, again;
	int64_t quickest = read_once(&best);
	for (int i = 1; i < READINGS && quickest > READING_QUICK_NS; i++) {
		int64_t took = read_once(&again);
		if (took > quickest)
			continue;
		quickest = took;
		best = again;
	}
	return best;
}

struct timespec clock_timespec_of_ns(int64_t ns)
{
	int64_t sec = ns / NSEC_PER_SEC, rest = ns % NSEC_PER_SEC;
	if (rest < 0) {
		sec--;
		rest += NSEC_PER_SEC;
	}
	return (struct timespec){ .tv_sec = sec, .tv_nsec = rest };
}

int64_t clock_ns_of_timespec(struct timespec t)
{
	return (int64_t)t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{ "ns", 1 },
	{ "us", NSEC_PER_USEC },
	{ "ms", NSEC_PER_MSEC },
	{ "s", NSEC_PER_SEC },
	{ "m", 60 * NSEC_PER_SEC },
	{ "h", 3600 * NSEC_PER_SEC },
	{ "d", 86400 * NSEC_PER_SEC },
	{ "w", 7 * 86400 * NSEC_PER_SEC },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The unit at *s, which is moved past it; 0 if there is none of that name. A number alone is seconds. */
static int64_t take_unit(const char **s, bool alone)
{
	size_t n = 0;
	while ((*s)[n] >= 'a' && (*s)[n] <= 'z')
		n++;
	if (n == 0)
		return alone && **s == '\0' ? NSEC_PER_SEC : 0;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == n && memcmp(units[i].name, *s, n) == 0) {
			*s += n;
			return units[i].ns;
		}
	return 0;
}

/* One "1.5s" at *s is added to *total. 0, or the code of what is wrong. */
static enum err_code take_part(const char **s, bool first, int64_t *total)
{
	int64_t whole = 0, fraction = 0, scale = 1;
	const char *start = *s;
	for (; is_digit(**s); (*s)++)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, **s - '0', &whole))
			return ERR_RANGE;
	if (*s == start)
		return ERR_INVALID;
	if (**s == '.') {
		const char *point = (*s)++;
		for (; is_digit(**s); (*s)++)
			if (scale < NSEC_PER_SEC) {
				fraction = fraction * 10 + (**s - '0');
				scale *= 10;
			}
		if (*s == point + 1)
			return ERR_INVALID;
	}
	int64_t unit = take_unit(s, first);
	if (unit == 0)
		return ERR_INVALID;
	if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(*total, whole, total))
		return ERR_RANGE;
	int64_t part = (int64_t)((__int128)fraction * unit / scale);
	return __builtin_add_overflow(*total, part, total) ? ERR_RANGE : ERR_NONE;
}

int clock_span_parse(const char *s, int64_t *ns, const char *what, struct err *e)
{
	int64_t total = 0;
	const char *at = s;
	enum err_code code;
	do
		code = take_part(&at, at == s, &total);
	while (code == ERR_NONE && *at);
	if (code == ERR_NONE) {
		*ns = total;
		return 0;
	}
	err_field(e, what, "%s: \"%s\" is not a time span", what, s);
	if (e && code == ERR_RANGE)
		e->code = ERR_RANGE;
	return err_remedy(e, "write it as 300ms, 1.5s, 2h30m or 7d; a number alone is seconds");
}

char *clock_rfc3339(int64_t realtime_ns, char out[32])
{
	struct timespec t = clock_timespec_of_ns(realtime_ns);
	struct tm tm = { 0 };
	gmtime_r(&t.tv_sec, &tm);
	/* int64_t nanoseconds end in the year 2262: every part fits. The remainders tell the compiler so. */
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
		 (unsigned)(t.tv_nsec / NSEC_PER_USEC) % 1000000);
	return out;
}

/* Reads exactly `digits` digits and then the character `end` (none if '\0'). False if they are not there or above max. */
static bool take_number(const char **s, int digits, char end, int max, int *out)
{
	int v = 0;
	for (int i = 0; i < digits; i++, (*s)++) {
		if (!is_digit(**s))
			return false;
		v = v * 10 + (**s - '0');
	}
	if (end && *(*s)++ != end)
		return false;
	*out = v;
	return v <= max;
}

static bool take_date_time(const char **s, struct tm *tm)
{
	if (!take_number(s, 4, '-', 9999, &tm->tm_year) || !take_number(s, 2, '-', 12, &tm->tm_mon) || !take_number(s, 2, 0, 31, &tm->tm_mday))
		return false;
	if (**s != 'T' && **s != 't' && **s != ' ')
		return false;
	(*s)++;
	if (!take_number(s, 2, ':', 23, &tm->tm_hour) || !take_number(s, 2, ':', 59, &tm->tm_min) || !take_number(s, 2, 0, 60, &tm->tm_sec))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	struct tm normal = *tm;
	normal.tm_sec = 0; /* a leap second is moved into the next minute by timegm(3); a 30th of February must not move */
	timegm(&normal);
	return normal.tm_mday == tm->tm_mday && normal.tm_mon == tm->tm_mon;
}

/* ".5" to 9 digits; more digits are passed over. */
static bool take_fraction(const char **s, int64_t *ns)
{
	*ns = 0;
	if (**s != '.')
		return true;
	(*s)++;
	if (!is_digit(**s))
		return false;
	for (int64_t unit = NSEC_PER_SEC / 10; is_digit(**s); (*s)++, unit /= 10)
		*ns += unit * (**s - '0');
	return true;
}

/* "Z" or "+hh:mm"; seconds east of UTC. */
static bool take_zone(const char **s, int *seconds)
{
	*seconds = 0;
	char sign = *(*s)++;
	if (sign == 'Z' || sign == 'z')
		return true;
	int hours, minutes;
	if ((sign != '+' && sign != '-') || !take_number(s, 2, ':', 23, &hours) || !take_number(s, 2, 0, 59, &minutes))
		return false;
	*seconds = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	return true;
}

int clock_rfc3339_parse(const char *s, int64_t *realtime_ns, const char *what, struct err *e)
{
	struct tm tm = { 0 };
	int64_t fraction, ns;
	int zone;
	const char *at = s;
	if (!take_date_time(&at, &tm) || !take_fraction(&at, &fraction) || !take_zone(&at, &zone) || *at) {
		err_field(e, what, "%s: \"%s\" is not a time of RFC 3339", what, s);
		return err_remedy(e, "write it as 2026-01-31T10:00:00Z");
	}
	if (__builtin_mul_overflow((int64_t)timegm(&tm) - zone, NSEC_PER_SEC, &ns) || __builtin_add_overflow(ns, fraction, &ns)) {
		err_field(e, what, "%s: %s is before 1678 or after 2261", what, s);
		if (e)
			e->code = ERR_RANGE;
		return -1;
	}
	*realtime_ns = ns;
	return 0;
}

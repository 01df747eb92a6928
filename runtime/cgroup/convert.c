/* Numbers of v1, in which the OCI spec speaks, to those of v2; and lists of numbers. */
#include <stdio.h>
#include "runtime/cgroup/internal.h"

/* log2 by squaring, and 2^x by multiplying roots: 40 binary digits, enough for results below 10001, and no libm for one formula. */
static double log2_of(double x)
{
	double result = 0;
	for (; x >= 2; x /= 2)
		result++;
	for (double bit = 0.5; bit > 1e-12; bit /= 2) {
		x *= x;
		if (x >= 2) {
			x /= 2;
			result += bit;
		}
	}
	return result;
}

static double exp2_of(double x)
{
	/* 2^(1/2), 2^(1/4), … by Newton's square root. */
	double result = 1, root = 2;
	for (; x >= 1; x--)
		result *= 2;
	for (double bit = 0.5; bit > 1e-12; bit /= 2) {
		double guess = root;
		for (int i = 0; i < 8; i++)
			guess = (guess + root / guess) / 2;
		root = guess;
		if (x >= bit) {
			x -= bit;
			result *= root;
		}
	}
	return result;
}

uint64_t weight_of_shares(uint64_t shares)
{
	const double log2_of_10 = 3.321928094887362;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2_of((double)shares);
	double weight = exp2_of(((l * l + 125 * l) / 612 - 7.0 / 34) * log2_of_10);
	uint64_t whole = (uint64_t)weight;
	/* Rounded up, but 1024 must give 100 and not 101 for the last digit's sake. */
	return weight - (double)whole > 1e-6 ? whole + 1 : whole;
}

uint64_t io_weight_of_blkio(uint64_t weight)
{
	return 1 + (weight - 10) * 9999 / 990;
}

unsigned cgroup_list_read(const char *list, struct schedule_cpus *out)
{
	unsigned first, last, end = 0;
	int n;

	*out = (struct schedule_cpus){ 0 };
	for (const char *p = list; sscanf(p, "%u%n", &first, &n) == 1; p += *p == ',') {
		p += n;
		last = first;
		if (*p == '-' && sscanf(p, "-%u%n", &last, &n) == 1)
			p += n;
		for (; first <= last && last < SCHEDULE_CPUS_MAX; first++) {
			schedule_cpus_add(out, first);
			end = MAX(end, first + 1);
		}
	}
	return end;
}

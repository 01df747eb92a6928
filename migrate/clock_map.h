/* How another host's clocks stand against ours, measured over the connection itself.
 *
 * One exchange: we note our CLOCK_BOOTTIME (sent), the peer notes its own on arrival (received) and at its answer (replied), we note ours again
 * (arrived). What is certain: replied - arrived ≤ delta ≤ received - sent. The middle is taken as delta; it is wrong by at most half the round
 * trip (arrived - sent) - (replied - received), whatever the two ways' shares are, and no wall clock takes part. Of several exchanges the one
 * with the smallest bound wins; an exchange's bound grows with its age by CLOCK_MAP_DRIFT_PPM, since the two hosts' oscillators differ. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/err.h"
#include "stream.pb-c.h"

/* Two clocks disciplined by NTP may be slewed against each other by 2 × 500 ppm at worst; undisturbed ones differ by far less than this. */
#define CLOCK_MAP_DRIFT_PPM 100
/* Further than any host's clock (73 years): sums and differences of three such values cannot overflow. */
#define CLOCK_LIMIT (INT64_MAX / 4)

struct clock_map {
	uint32_t exchanges;
	int64_t delta, bound;	 /* of the best exchange; bound without its age */
	int64_t measured;	 /* our boottime at it */
	int64_t delta_monotonic; /* the peer's host CLOCK_MONOTONIC minus ours */
	int64_t realtime_difference;
};

/* Takes in one exchange; `arrived`: our clocks when the pong came. ERR_PROTOCOL: the peer's times cannot be. */
int clock_map_add(struct clock_map *m, const Davit__StreamClockPong *pong, const struct clock_reading *arrived, struct err *e);
/* The bound at a time of our boottime, the exchange's age counted in. */
int64_t clock_map_bound(const struct clock_map *m, int64_t now);
/* Whether a map that a peer sent can be. ERR_PROTOCOL. */
int clock_map_check(const Davit__ClockMap *m, struct err *e);
/* As it is sent, for a moment of our boottime. */
void clock_map_get(const struct clock_map *m, int64_t now, Davit__ClockMap *out);

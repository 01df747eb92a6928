/* Prints a process's view of its clocks, or watches them: the demonstration and the tests put it into their containers (linked statically).
 *
 * clocks            one line: CLOCK_MONOTONIC CLOCK_BOOTTIME CLOCK_REALTIME, in ns, and in how many ns they were read: the quickest of many attempts.
 * clocks watch FILE reads monotonic and boottime every 100 µs and keeps in FILE one line that is rewritten in place twenty times a second: samples,
 *                   how often and by how many ns a clock went back, the longest step of each in ns. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

struct watch {
	clockid_t id;
	int64_t last, back, step;
	uint64_t backs;
};

static void look(struct watch *w)
{
	int64_t t = now(w->id), d = t - w->last;
	if (d < 0) {
		w->backs++;
		if (-d > w->back)
			w->back = -d;
	}
	if (d > w->step)
		w->step = d;
	w->last = t;
}

static void tell(int fd, uint64_t samples, const struct watch *m, const struct watch *b)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "samples %012" PRIu64 " back_monotonic %06" PRIu64 " %012" PRId64 " back_boottime %06" PRIu64 " %012" PRId64
			 " step_monotonic %018" PRId64 " step_boottime %018" PRId64 "\n",
			 samples, m->backs, m->back, b->backs, b->back, m->step, b->step);
	if (pwrite(fd, line, (size_t)n, 0) != n)
		_exit(1);
}

static int watch(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		perror(path);
		return 1;
	}
	struct watch m = { .id = CLOCK_MONOTONIC, .last = now(CLOCK_MONOTONIC) }, b = { .id = CLOCK_BOOTTIME, .last = now(CLOCK_BOOTTIME) };
	for (uint64_t samples = 1;; samples++) {
		look(&m);
		look(&b);
		if (samples % 500 == 1)
			tell(fd, samples, &m, &b);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "watch"))
		return watch(argv[2]);
	int64_t best[4] = { 0, 0, 0, INT64_MAX };
	for (int i = 0; i < 100; i++) {
		int64_t m = now(CLOCK_MONOTONIC), b = now(CLOCK_BOOTTIME), r = now(CLOCK_REALTIME), took = now(CLOCK_MONOTONIC) - m;
		if (took < best[3])
			memcpy(best, (int64_t[]){ m, b, r, took }, sizeof(best));
	}
	printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", best[0], best[1], best[2], best[3]);
	return 0;
}

/* events: a container's figures as runc prints them, one JSON object a line, until it ends; and a line when it ran out of memory. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cli/cli.h"
#include "runtime/state.h"

#define SECOND_NS INT64_C(1000000000)

static bool once;
static int64_t interval_ns = 5 * SECOND_NS;

static const struct cli_option options[] = {
	{ { "stats", no_argument, NULL, 256 }, NULL, "print the figures once" },
	{ { "interval", required_argument, NULL, 257 }, "TIME", "between two prints: 500ms, 5s (default), 1m" },
	{ { 0 }, NULL, NULL },
};

static int take_interval(const char *value, struct err *e)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = { { "ms", SECOND_NS / 1000 }, { "s", SECOND_NS }, { "m", 60 * SECOND_NS }, { "h", 3600 * SECOND_NS } };
	char *end;
	double n = strtod(value, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && n * (double)units[i].ns >= 1e6 && n * (double)units[i].ns <= 1e15) {
			interval_ns = (int64_t)(n * (double)units[i].ns);
			return 0;
		}
	return err_field(e, "interval", "\"%s\" is no time like 500ms or 5s", value);
}

static int take(struct cli *c, int val, const char *value, struct err *e)
{
	(void)c;
	once |= val == 256;
	return val == 257 ? take_interval(value, e) : 0;
}

static int print_stats(const struct cgroup *g, const char *id, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (buf_printf(&b, e, "{\"type\":\"stats\",\"id\":\"%s\",\"data\":", id) < 0 || cgroup_report(g, &b, e) < 0 || buf_puts(&b, "}\n", e) < 0)
		return -1;
	return cli_print(&b, e);
}

static int print_oom(const char *id, struct err *e)
{
	auto_buf struct buf b = { 0 };

	return buf_printf(&b, e, "{\"type\":\"oom\",\"id\":\"%s\"}\n", id) < 0 ? -1 : cli_print(&b, e);
}

/* The v1 event comes before the kill and also when the cgroup goes, so the count of kills decides. */
static int take_oom(const struct cgroup *g, const char *id, int fd, int64_t *kills, struct err *e)
{
	char drop[4096];
	int64_t now;

	while (fd >= 0 && read(fd, drop, sizeof(drop)) > 0)
		;
	now = cgroup_oom_kills(g);
	if (now <= *kills)
		return 0;
	*kills = now;
	return print_oom(id, e);
}

static int stream(const struct cgroup *g, const char *id, int init, struct err *e)
{
	struct err none = { 0 };
	/* Without a memory controller there is nothing to watch, and the figures are still worth printing. */
	auto_close int oom = cgroup_oom_watch(g, &none);
	int64_t kills = cgroup_oom_kills(g), next = clock_now_ns(CLOCK_MONOTONIC) + interval_ns;

	for (;;) {
		struct pollfd p[2] = { { .fd = init, .events = POLLIN }, { .fd = oom, .events = POLLIN } };
		int64_t left = next - clock_now_ns(CLOCK_MONOTONIC);
		int n = poll(p, 2, left > 0 ? (int)(left / 1000000) + 1 : 0);

		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "wait for events");
		if (take_oom(g, id, oom, &kills, e) < 0)
			return -1;
		if (n > 0 && p[0].revents)
			return 0;
		if (clock_now_ns(CLOCK_MONOTONIC) < next)
			continue;
		if (print_stats(g, id, e) < 0)
			return -1;
		next += interval_ns;
	}
}

static int run_events(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_cgroup struct cgroup *g = NULL;

	(void)argc;
	if (state_dir_open(c->rt.root, argv[0], false, &d, e) < 0)
		return -1;
	auto_pb(Davit__RuntimeState) *s = state_load(&d, e);
	if (!s)
		return -1;
	auto_close int init = proc_pidfd_open(s->pid, e);
	if (init < 0 || !state_init_alive(s))
		return err_set(e, ERR_STATE, 0, "container %s is not running", argv[0]);
	if (cgroup_open(s, &g, e) < 0)
		return -1;
	return once ? print_stats(g, argv[0], e) : stream(g, argv[0], init, e);
}

const struct cli_command cli_events = {
	.name = "events",
	.arguments = "ID",
	.help = "print a container's figures and lacks of memory as JSON",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run_events,
	.option = take,
};

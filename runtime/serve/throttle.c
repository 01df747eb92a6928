/* throttle: CPU taken from a container whose memory is copied, so that it writes less than the network takes.
 *
 * The child that serves it holds the container's cgroup open and puts the limits of its spec back when the asker lets go of the descriptor, or is
 * gone; it is not killed with the core. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/proc.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/records.h"

#define PERIOD_US 100000
#define QUOTA_LEAST_US 1000 /* the kernel takes no less */
#define PERCENT_MAX 99

/* quota -1: none. */
static int set_quota(const struct cgroup *cg, int64_t quota, struct err *e)
{
	Davit__OciCpu cpu = DAVIT__OCI_CPU__INIT;
	Davit__OciResources r = DAVIT__OCI_RESOURCES__INIT;
	cpu.has_quota = cpu.has_period = true;
	cpu.quota = quota;
	cpu.period = PERIOD_US;
	r.cpu = &cpu;
	return cgroup_set(cg, &r, e);
}

static int64_t quota_of(const Davit__ContainerSpec *s)
{
	return s->limits && s->limits->has_cpu_millis ? (int64_t)s->limits->cpu_millis * PERIOD_US / 1000 : -1;
}

static int follow(const struct request *r, const struct cgroup *cg, int64_t quota, int fd, struct err *e)
{
	int64_t all = quota > 0 ? quota : (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * PERIOD_US;
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = r->cancel, .events = POLLIN } };
	uint8_t percent;
	for (;;) {
		/* No limit: it lasts as long as the copying does. */
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		if (p[1].revents || (p[0].revents && read(fd, &percent, 1) != 1))
			return 0;
		if (p[0].revents && set_quota(cg, MAX(QUOTA_LEAST_US, all * (100 - MIN(percent, PERCENT_MAX)) / 100), e) < 0)
			return -1;
	}
}

int op_throttle(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "running", e);
	auto_pb(Davit__RuntimeState) *rs = s ? record_runtime(r->core, r->name, e) : NULL;
	auto_cgroup struct cgroup *cg = NULL;
	int sv[2];
	if (!rs || cgroup_open(rs, &cg, e) < 0 || fd_socketpair(SOCK_STREAM, sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	if (request_streams(r, &theirs, 1, e) < 0)
		return -1;
	fd_closep(&theirs);
	int64_t quota = quota_of(s->spec);
	int rc = follow(r, cg, quota, ours, e);
	struct err back = { 0 };
	if (set_quota(cg, quota, &back) < 0)
		log_err(LOG_LEVEL_ERROR, "put a container's CPU limit back", &back);
	return rc;
}

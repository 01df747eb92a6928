/* throttle: CPU taken from a container whose memory is copied, so that it writes less than the network takes.
 *
 * The child that serves it holds the container's cgroup open and puts the limits of its spec back when the asker lets go of the descriptor, or is
 * gone; it is not killed with the core. Should it be killed itself, a mark that it holds locked is left: the core that reaps it puts the limits back,
 * or the next one, if that fell as well (job.c). */
#include <errno.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
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

/* The mark, made and locked. Owned fd. */
static int set_mark(const struct place *p, const char *name, struct err *e)
{
	auto_close int fd = open(p->mark, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "make %s", p->mark);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return steal_fd(&fd);
	return errno == EWOULDBLOCK ? err_set(e, ERR_BUSY, 0, "CPU is taken from container %s already", name) : err_sys(e, errno, "lock %s", p->mark);
}

static int put_back(const struct place *p, const struct cgroup *cg, const Davit__ContainerSpec *s, struct err *e)
{
	if (set_quota(cg, quota_of(s), e) < 0)
		return -1;
	return unlink(p->mark) < 0 && errno != ENOENT ? err_sys(e, errno, "remove %s", p->mark) : 0;
}

int op_throttle(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "running", e);
	auto_pb(Davit__RuntimeState) *rs = s ? record_runtime(r->core, r->name, e) : NULL;
	auto_cgroup struct cgroup *cg = NULL;
	int sv[2];
	if (!rs || place_of(r->core, r->name, &p, e) < 0 || cgroup_open(rs, &cg, e) < 0)
		return -1;
	auto_close int mark = set_mark(&p, r->name, e);
	if (mark < 0 || fd_socketpair(SOCK_STREAM, sv, e) < 0)
		return -1;
	auto_close int ours = sv[0], theirs = sv[1];
	struct err back = { 0 };
	int rc = request_streams(r, &theirs, 1, e);
	fd_closep(&theirs);
	if (rc == 0)
		rc = follow(r, cg, quota_of(s->spec), ours, e);
	if (put_back(&p, cg, s->spec, &back) < 0)
		log_err(LOG_LEVEL_ERROR, "put a container's CPU limit back", &back);
	return rc;
}

bool throttle_is_marked(const struct core *c, const char *name)
{
	auto_place p = { 0 };
	return place_of(c, name, &p, NULL) == 0 && file_exists(AT_FDCWD, p.mark);
}

int throttle_undo(const struct core *c, const char *name, struct err *e)
{
	auto_place p = { 0 };
	auto_cgroup struct cgroup *cg = NULL;
	struct stat st;
	if (place_of(c, name, &p, e) < 0)
		return -1;
	auto_close int mark = open(p.mark, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (mark < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", p.mark);
	while (flock(mark, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "lock %s", p.mark);
	if (fstat(mark, &st) < 0 || st.st_nlink == 0)
		return 0; /* who held it has put it right */
	auto_pb(Davit__ContainerSpec) *s = record_spec(&p, e);
	auto_pb(Davit__RuntimeState) *rs = s ? record_runtime(c, name, e) : NULL;
	return !rs || cgroup_open(rs, &cg, e) < 0 ? -1 : put_back(&p, cg, s, e);
}

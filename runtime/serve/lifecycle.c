/* start, kill, delete, pause, resume.
 *
 * A stopped container is put away (prepare_put_away), so start makes it anew from its spec under the policy of now. Order at a pause: tasks first,
 * then packets: what arrives in between waits in sockets that are dumped later; the other way round the container's own packets would be lost. At
 * resume packets first, then tasks, for the same reason. */
#include "runtime/serve/lifecycle.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/namespace.h"
#include "runtime/net/backlog.h"
#include "runtime/net/net.h"
#include "runtime/net/reset.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/prepare.h"
#include "runtime/serve/records.h"
#include "runtime/timens.h"

#define LOG_MAX_BYTES (16 << 20)
#define LOG_MAX_FILES 3
#define PUT_AWAY_WAIT_MS 60000
#define MONITOR_WAIT_MS 5000
/* How often, and for how long at most each time, a container whose listening sockets have a backlog is let run once more before it is paused. */
#define BACKLOG_TRIES 8
#define BACKLOG_WAIT_MS 200

struct launch lifecycle_monitor(const Davit__ContainerSpec *s, const struct place *p, const struct strv *command)
{
	return (struct launch){
		.id = s->name,
		.pid_file = p->pid,
		.exit_file = p->exit,
		.attach = p->attach,
		.log = p->log,
		.log_max_bytes = s->has_log_max_bytes ? s->log_max_bytes : LOG_MAX_BYTES,
		.log_max_files = s->has_log_max_files ? s->log_max_files : LOG_MAX_FILES,
		.process = s->process,
		.attach_fd = -1,
		.go_fd = -1,
		.command = command,
	};
}

int lifecycle_launch(const struct core *c, const Davit__ContainerSpec *s, const struct place *p, Davit__Error **rich, struct err *e)
{
	auto_strv struct strv command = { 0 };
	if (launch_command(&command, "create", p->pid, e) < 0 || strv_add(&command, "--bundle", e) < 0 || strv_add(&command, p->bundle, e) < 0)
		return -1;
	if (file_exists(AT_FDCWD, p->network) && (strv_add(&command, "--network", e) < 0 || strv_add(&command, p->network, e) < 0))
		return -1;
	if (strv_add(&command, s->name, e) < 0)
		return -1;
	const struct launch l = lifecycle_monitor(s, p, &command);
	return launch_run(c, &l, rich, e) < 0 ? -1 : 0;
}

int lifecycle_whole(const struct place *p, const char *phase, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	free(r->phase);
	r->phase = NULL;
	if ((phase && pb_set_str(&r->phase, phase, e) < 0) || record_save(p, r, true, e) < 0)
		return -1;
	return record_ready(p, e);
}

/* The attach socket is the monitor's as long as it lives, and it removes it at its end; a monitor that was killed leaves it, hence the limit. */
void lifecycle_wait_monitor(const struct place *p, int timeout_ms)
{
	int64_t until = clock_now_ns(CLOCK_MONOTONIC) + timeout_ms * NSEC_PER_MSEC;
	while (file_exists(AT_FDCWD, p->attach) && clock_now_ns(CLOCK_MONOTONIC) < until)
		(void)poll(NULL, 0, 5);
}

/* What the runtime's state knows of the life that ended. */
static int keep_started(const struct core *c, const char *name, const struct place *p, struct err *e)
{
	auto_pb(Davit__RuntimeState) *rs = record_runtime(c, name, NULL);
	if (!rs || !rs->has_started_ns)
		return 0;
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	r->has_started_ns = true;
	r->started_ns = rs->started_ns;
	r->network_held = false;
	return record_save(p, r, true, e);
}

static int put_away(const struct core *c, const char *name, const struct place *p, struct err *e)
{
	lifecycle_wait_monitor(p, MONITOR_WAIT_MS);
	if (keep_started(c, name, p, e) < 0)
		return -1;
	return prepare_put_away(c, name, p, false, e);
}

int lifecycle_put_away_locked(const struct core *c, const char *name, struct err *e)
{
	auto_place p = { 0 };
	auto_close int lock = record_lock(c, name, PUT_AWAY_WAIT_MS, e);
	if (lock < 0 || place_of(c, name, &p, e) < 0)
		return -1;
	auto_pb(Davit__ContainerStatus) *s = record_status(c, name, NULL);
	return s && str_eq(s->state, "stopped") ? put_away(c, name, &p, e) : 0;
}

static int make_anew(const struct request *r, const struct place *p, const Davit__ContainerStatus *s, struct answer *a, struct err *e)
{
	if (put_away(r->core, r->name, p, e) < 0 || policy_check(r->core, s->spec, s->ids, e) < 0)
		return -1;
	if (prepare_mounts(r->core, s->spec, s->ids, p, e) == 0 && prepare_bundle(r->core, s->spec, s->ids, p, false, false, e) == 0 &&
	    file_mkdir_p(p->monitor, 0700, e) == 0 && lifecycle_launch(r->core, s->spec, p, &a->error, e) == 0)
		return 0;
	(void)prepare_put_away(r->core, r->name, p, true, NULL);
	return -1;
}

int op_start(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "created stopped", e);
	if (!s || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	if (str_eq(s->state, "stopped") && make_anew(r, &p, s, a, e) < 0)
		return -1;
	return container_start(&r->core->rt, r->name, e) < 0 ? -1 : answer_status(a, r->core, r->name, e);
}

int op_kill(const struct request *r, struct answer *a, struct err *e)
{
	const Davit__CoreKill *q = r->msg->kill;
	int sig = policy_signal(q->signal, "signal", e);
	auto_pb(Davit__ContainerStatus) *s = sig < 0 ? NULL : record_require(r->core, r->name, "created running paused", e);
	if (!s || container_kill(&r->core->rt, r->name, sig, q->all, e) < 0)
		return -1;
	return answer_status(a, r->core, r->name, e);
}

static int delete_kept(const struct request *r, const struct place *p, struct err *e)
{
	if (r->msg->delete_->keep_layer)
		return 0;
	return prepare_undo(r->core, r->name, p, false, e);
}

/* A container that goes on elsewhere with its connections closed: whoever is connected to it here is told so. */
static void tell_peers(const Davit__ContainerStatus *s, const struct place *p)
{
	struct err e = { 0 };
	auto_pb(Davit__ContainerRecord) *r = record_load(p, NULL);
	if (!r || !r->tcp_reset || !str_eq(s->state, "paused") || !file_exists(AT_FDCWD, p->network))
		return;
	auto_pb(Davit__RuntimeNetwork) *n = net_load(p->network, &e);
	auto_close int netns = n ? ns_open(s->pid, NS_NETWORK, &e) : -1;
	/* Frozen as it is, it can send nothing else. */
	if (!n || netns < 0 || net_release(n, s->name, &e) < 0 || net_reset_connections(netns, &e) < 0)
		log_err(LOG_LEVEL_WARN, "close a container's connections", &e);
}

int op_delete(const struct request *r, struct answer *a, struct err *e)
{
	const Davit__CoreDelete *q = r->msg->delete_;
	auto_place p = { 0 };
	(void)a;
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	if (record_is_kept(&p) && !file_exists(AT_FDCWD, p.bundle))
		return delete_kept(r, &p, e);
	auto_pb(Davit__ContainerStatus) *s = record_status(r->core, r->name, e);
	if (!s)
		return -1;
	if (!q->force && !str_eq(s->state, "stopped") && !str_eq(s->state, "created")) {
		err_set(e, ERR_STATE, 0, "container %s is %s", r->name, s->state);
		return err_remedy(e, "stop it first, or force");
	}
	tell_peers(s, &p);
	/* From here on it is half-made: if we die now, the next core goes on. */
	if (record_unready(&p, e) < 0 || (q->keep_layer && record_keep(&p, e) < 0))
		return -1;
	if (prepare_put_away(r->core, r->name, &p, true, e) < 0)
		return -1;
	lifecycle_wait_monitor(&p, MONITOR_WAIT_MS);
	return prepare_undo(r->core, r->name, &p, q->keep_layer, e);
}

/* The container's network, if it has one of its own: packets stop, or pass. */
static int hold(const struct place *p, const char *name, bool held, struct err *e)
{
	if (!file_exists(AT_FDCWD, p->network))
		return 0;
	auto_pb(Davit__RuntimeNetwork) *n = net_load(p->network, e);
	if (!n)
		return -1;
	return held ? net_hold(n, name, e) : net_release(n, name, e);
}

/* The record is not synced here, while the container stands still: after a fall of the host there is nothing to resume. */
static int note_pause(const Davit__ContainerStatus *s, const struct place *p, bool sample, bool held, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	if (sample) {
		if (!r->paused && !(r->paused = pb_new(&davit__clock_sample__descriptor, e)))
			return -1;
		if (timens_sample(s->pid, r->paused, e) < 0)
			return -1;
	}
	if (held && hold(p, s->name, true, e) < 0)
		return -1;
	r->has_network_held = true;
	r->network_held |= held;
	return record_save(p, r, false, e);
}

/* Connections that wait to be accepted: CRIU cannot take them along, and their peers take them for established: what they ask would be lost. */
struct backlog {
	uint32_t inodes[BACKLOG_MAX];
	int n;		/* none also where it cannot be seen: the dump will tell */
	bool handshake; /* one of them is not there yet, and waits for its peer */
};

static struct backlog backlog_of(int netns)
{
	struct backlog b = { 0 };
	struct err e = { 0 };
	b.n = netns < 0 ? 0 : MAX(backlog_find(netns, b.inodes, &e), 0);
	for (int i = 0; i < b.n; i++)
		b.handshake |= b.inodes[i] == 0;
	return b;
}

static int let_go(const struct request *r, const struct place *p, bool network, struct err *e)
{
	return (network && hold(p, r->name, false, e) < 0) || container_resume(&r->core->rt, r->name, e) < 0 ? -1 : 0;
}

/* *b: what waits to be accepted once it is paused; if there is anything and this is not the last try, it runs again. Its packets stay held meanwhile,
 * so that nothing new comes behind what it accepts; but where a handshake waits for its peer, they pass. */
static int pause_once(const struct request *r, const struct place *p, const Davit__ContainerStatus *s, int netns, bool last, struct backlog *b,
		      struct err *e)
{
	bool held = r->msg->pause->hold_network, was_running = str_eq(s->state, "running");
	struct err undo = { 0 };
	if (was_running && container_pause(&r->core->rt, r->name, e) < 0) {
		(void)hold(p, r->name, false, &undo); /* of the try before */
		return -1;
	}
	int rc = note_pause(s, p, was_running, held, e);
	*b = rc < 0 || last ? (struct backlog){ 0 } : backlog_of(netns);
	if (rc == 0 && b->n == 0)
		return 0;
	if (was_running && let_go(r, p, rc < 0 || b->handshake, &undo) < 0) {
		if (rc == 0)
			*e = undo;
		else
			log_err(LOG_LEVEL_ERROR, "undo pause", &undo);
		return -1;
	}
	return rc;
}

/* A server accepts what waits as soon as it may: if the freeze came right in between, it runs on until it has. One that still has not is paused as it
 * is, and the dump will say so. */
int op_pause(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "running paused", e);
	if (!s || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	bool waits = str_eq(s->state, "running") && r->msg->pause->hold_network && file_exists(AT_FDCWD, p.network);
	auto_close int netns = waits ? ns_open(s->pid, NS_NETWORK, &(struct err){ 0 }) : -1;
	struct err blind = { 0 }; /* then it just tries again */
	for (int tries = 0;; tries++) {
		struct backlog b;
		if (pause_once(r, &p, s, netns, tries == BACKLOG_TRIES, &b, e) < 0)
			return -1;
		if (b.n == 0)
			break;
		(void)backlog_wait(netns, b.inodes, b.n, MIN(2 << tries, BACKLOG_WAIT_MS), &blind);
	}
	return answer_status(a, r->core, r->name, e);
}

/* From its first resume on a restored container is like any other: its layer is its own. */
static int note_resume(const struct place *p, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	bool restored = r->phase != NULL;
	mem_freep(&r->phase);
	r->own_layer = true;
	r->network_held = r->tcp_reset = false;
	if (record_save(p, r, restored, e) < 0)
		return -1;
	return restored ? file_remove_tree(AT_FDCWD, p->kept, e) : 0;
}

/* The release comes even if no hold is on record: one that was made by a core that died before it wrote so must not last. */
int op_resume(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *s = record_require(r->core, r->name, "paused", e);
	if (!s || place_of(r->core, r->name, &p, e) < 0 || hold(&p, r->name, false, e) < 0)
		return -1;
	if (container_resume(&r->core->rt, r->name, e) < 0 || note_resume(&p, e) < 0)
		return -1;
	return answer_status(a, r->core, r->name, e);
}

/* Records of containers.
 *
 * spec.pb is what the agent asked for, to the byte; record.pb is ours. Whether a container lives is never remembered: the runtime's state names
 * its init, and the kernel is asked for it. A container without a runtime state is stopped: it was put away, or the host was started anew. */
#include "runtime/serve/records.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "proto/json.h"
#include "proto/pb.h"
#include "runtime/state.h"

#define SPEC_MAX (1 << 20)
#define EXIT_FILE_MAX 65536
#define KEPT "kept"

static int open_place(const struct place *p, struct err *e)
{
	int fd = file_open_dir(AT_FDCWD, p->dir, e);
	if (fd < 0 && e && e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_NOT_FOUND, 0, "there is no container %s", strrchr(p->dir, '/') + 1);
	return fd;
}

Davit__ContainerSpec *record_spec(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	return dir < 0 ? NULL : pb_read_file(dir, "spec.pb", &davit__container_spec__descriptor, SPEC_MAX, e);
}

Davit__ContainerRecord *record_load(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	return dir < 0 ? NULL : pb_read_file(dir, "record.pb", &davit__container_record__descriptor, SPEC_MAX, e);
}

int record_save(const struct place *p, const Davit__ContainerRecord *r, bool durable, struct err *e)
{
	auto_close int dir = open_place(p, e);
	return dir < 0 ? -1 : pb_write_file(dir, "record.pb", &r->base, 0600, durable, e);
}

Davit__RuntimeState *record_runtime(const struct core *c, const char *name, struct err *e)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	if (state_dir_open(c->runtime_root, name, false, &d, e) < 0)
		return NULL;
	return state_load(&d, e);
}

int record_ready(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	return dir < 0 ? -1 : file_write_atomic(dir, "ready", "", 0, 0600, true, e);
}

int record_unready(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	if (dir < 0)
		return -1;
	if (unlinkat(dir, "ready", 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "unlink %s/ready", p->dir);
	auto_close int sync = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return sync < 0 || fsync(sync) < 0 ? err_sys(e, errno, "fsync %s", p->dir) : 0;
}

static bool has_marker(const struct place *p, const char *name)
{
	auto_close int dir = open_place(p, NULL);
	return dir >= 0 && file_exists(dir, name);
}

bool record_is_ready(const struct place *p)
{
	return has_marker(p, "ready");
}

bool record_is_kept(const struct place *p)
{
	return has_marker(p, KEPT);
}

int record_keep(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	auto_free char *image = dir < 0 ? NULL : record_image(p, e);
	if (dir < 0 || !image)
		return -1;
	return file_write_atomic(dir, KEPT, image, strlen(image), 0600, true, e);
}

char *record_image(const struct place *p, struct err *e)
{
	auto_close int dir = open_place(p, e);
	if (dir < 0)
		return NULL;
	if (!file_exists(dir, "spec.pb"))
		return file_read(dir, KEPT, SPEC_MAX, NULL, e);
	auto_pb(Davit__ContainerSpec) *s = record_spec(p, e);
	return s ? mem_strdup(s->image, e) : NULL;
}

static int set_time(char **field, int64_t ns, struct err *e)
{
	char text[32];
	return ns ? pb_set_str(field, clock_rfc3339(ns, text), e) : 0;
}

static int add_exit(Davit__ContainerStatus *s, const struct place *p, struct err *e)
{
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, p->exit, EXIT_FILE_MAX, &n, NULL);
	if (!text)
		return 0; /* the host went down under it: nobody knows */
	auto_pb(Davit__ExitRecord) *x = json_parse(&davit__exit_record__descriptor, text, n, JSON_KEEP, NULL, e);
	if (!x)
		return err_prefix(e, "%s", p->exit);
	s->has_exit_code = x->has_exit_code;
	s->exit_code = x->exit_code;
	s->has_exit_signal = x->has_exit_signal;
	s->exit_signal = x->exit_signal;
	s->has_oom_killed = x->has_oom_killed;
	s->oom_killed = x->oom_killed;
	return x->finished_at ? pb_set_str(&s->finished_at, x->finished_at, e) : 0;
}

static int add_runtime(Davit__ContainerStatus *s, const Davit__RuntimeState *rs, struct err *e)
{
	if (state_init_alive(rs)) {
		s->has_pid = true;
		s->pid = rs->pid;
	}
	s->has_offset_monotonic = rs->has_offset_monotonic;
	s->offset_monotonic = rs->offset_monotonic;
	s->has_offset_boottime = rs->has_offset_boottime;
	s->offset_boottime = rs->offset_boottime;
	return rs->has_started_ns ? set_time(&s->started_at, rs->started_ns, e) : 0;
}

static int add_record(Davit__ContainerStatus *s, const Davit__ContainerRecord *r, struct err *e)
{
	s->has_network_held = true;
	s->network_held = r->network_held;
	if (r->has_started_ns && !s->started_at && set_time(&s->started_at, r->started_ns, e) < 0)
		return -1;
	if (set_time(&s->created_at, r->created_ns, e) < 0)
		return -1;
	if (r->image_digest && pb_set_str(&s->image_digest, r->image_digest, e) < 0)
		return -1;
	return r->ids && !(s->ids = pb_dup(&r->ids->base, e)) ? -1 : 0;
}

static const char *state_of(const struct place *p, const Davit__ContainerRecord *r, const Davit__RuntimeState *rs)
{
	if (!record_is_ready(p))
		return str_eq(r->phase, "restoring") ? "restoring" : "creating";
	return rs ? state_status(rs) : "stopped";
}

static int fill_status(const struct core *c, const char *name, const struct place *p, Davit__ContainerStatus *s, struct err *e)
{
	auto_pb(Davit__ContainerRecord) *r = record_load(p, e);
	if (!r)
		return -1;
	struct err none = { 0 };
	auto_pb(Davit__RuntimeState) *rs = record_runtime(c, name, &none);
	if (!rs && none.code != ERR_NOT_FOUND) {
		*e = none;
		return -1;
	}
	const char *state = state_of(p, r, rs);
	if (!(s->spec = record_spec(p, e)) || pb_set_str(&s->name, name, e) < 0 || pb_set_str(&s->state, state, e) < 0)
		return -1;
	if (pb_set_str(&s->log_path, p->log, e) < 0 || (rs && add_runtime(s, rs, e) < 0) || add_record(s, r, e) < 0)
		return -1;
	return str_eq(state, "stopped") ? add_exit(s, p, e) : 0;
}

Davit__ContainerStatus *record_status(const struct core *c, const char *name, struct err *e)
{
	auto_place p = { 0 };
	if (place_of(c, name, &p, e) < 0)
		return NULL;
	if (record_is_kept(&p) && !record_is_ready(&p) && !file_exists(AT_FDCWD, p.bundle)) {
		err_set(e, ERR_NOT_FOUND, 0, "there is no container %s, only a layer kept from it", name);
		return NULL;
	}
	auto_pb(Davit__ContainerStatus) *s = pb_new(&davit__container_status__descriptor, e);
	if (!s || fill_status(c, name, &p, s, e) < 0)
		return NULL;
	return steal_ptr(&s);
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
			return true;
	return false;
}

Davit__ContainerStatus *record_require(const struct core *c, const char *name, const char *states, struct err *e)
{
	auto_pb(Davit__ContainerStatus) *s = record_status(c, name, e);
	if (s && !has_word(states, s->state)) {
		err_set(e, ERR_STATE, 0, "container %s is %s; this needs: %s", name, s->state, states);
		return NULL;
	}
	return steal_ptr(&s);
}

int record_each(const struct core *c, int (*f)(void *arg, const char *name, struct err *e), void *arg, struct err *e)
{
	DIR *d = opendir(c->containers_dir);
	if (!d)
		return err_sys(e, errno, "open %s", c->containers_dir);
	int rc = 0;
	for (struct dirent *x; rc == 0 && (x = readdir(d));)
		if (str_check_name(x->d_name, "name", NULL) == 0)
			rc = f(arg, x->d_name, e);
	closedir(d);
	return rc;
}

int record_lock(const struct core *c, const char *name, int wait_ms, struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, c->locks_dir, e);
	if (dir < 0)
		return -1;
	int fd = file_lock(dir, name, wait_ms, e);
	if (fd < 0 && e && e->code == ERR_BUSY)
		return err_set(e, ERR_BUSY, 0, "another request holds container %s", name);
	return fd;
}

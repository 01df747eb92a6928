/* Containers that end by themselves: the monitor writes exit.json into the container's folder, inotify(7) tells.
 *
 * A folder is watched from when it appears. A file that came before the watch is found by looking once after adding it. If the kernel's queue
 * overflows every container is looked at again; an end may be told twice then, never not at all. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include "base/file.h"
#include "base/log.h"
#include "runtime/serve/loop.h"
#include "runtime/serve/records.h"

struct watched {
	int wd;
	char name[65];
};

void events_tell_exit(struct loop *l, const char *name)
{
	auto_pb(Davit__ContainerStatus) *s = record_status(l->core, name, NULL);
	if (!s || !str_eq(s->state, "stopped"))
		return; /* half-made: who makes it will tell */
	if (job_defers_exit(l, name))
		return;
	if (s->oom_killed)
		channel_event(l, "container.oom", name);
	channel_event(l, "container.exited", name);
	job_put_away(l, name);
}

static int watch(struct loop *l, const char *name, bool look, struct err *e)
{
	auto_place p = { 0 };
	if (str_check_name(name, "name", NULL) < 0)
		return 0;
	if (place_of(l->core, name, &p, e) < 0 || mem_grow(&l->watched, &l->watched_cap, l->nwatched + 1, sizeof(*l->watched), e) < 0)
		return -1;
	int wd = inotify_add_watch(l->inotify.fd, p.dir, IN_MOVED_TO | IN_ONLYDIR);
	if (wd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "watch %s", p.dir);
	struct watched *w = &l->watched[l->nwatched++];
	w->wd = wd;
	snprintf(w->name, sizeof(w->name), "%s", name);
	if (look && file_exists(AT_FDCWD, p.exit))
		events_tell_exit(l, name);
	return 0;
}

static int watch_each(void *arg, const char *name, struct err *e)
{
	return watch(arg, name, false, e);
}

static int look_each(void *arg, const char *name, struct err *e)
{
	struct loop *l = arg;
	auto_place p = { 0 };
	if (place_of(l->core, name, &p, e) == 0 && file_exists(AT_FDCWD, p.exit))
		events_tell_exit(l, name);
	return 0;
}

static void forget(struct loop *l, int wd)
{
	for (size_t i = 0; i < l->nwatched; i++)
		if (l->watched[i].wd == wd) {
			l->watched[i] = l->watched[--l->nwatched];
			return;
		}
}

static void handle(struct loop *l, const struct inotify_event *ev)
{
	struct err e = { 0 };
	if (ev->mask & IN_Q_OVERFLOW) {
		(void)record_each(l->core, look_each, l, &e);
		return;
	}
	if (ev->mask & IN_IGNORED) {
		forget(l, ev->wd);
		return;
	}
	if (ev->wd == l->containers_wd && (ev->mask & IN_ISDIR)) {
		if (watch(l, ev->name, true, &e) < 0)
			log_err(LOG_LEVEL_WARN, "events", &e);
		return;
	}
	for (size_t i = 0; i < l->nwatched; i++)
		if (l->watched[i].wd == ev->wd && ev->len && str_eq(ev->name, "exit.json")) {
			char name[sizeof(l->watched[i].name)];
			memcpy(name, l->watched[i].name, sizeof(name));
			events_tell_exit(l, name);
			return;
		}
}

static void inotify_ready(struct loop *l, struct source *s)
{
	char data[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(s->fd, data, sizeof(data));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(data + at);
		at += (ssize_t)(sizeof(*ev) + ev->len);
		handle(l, ev);
	}
}

int events_open(struct loop *l, struct err *e)
{
	l->inotify = (struct source){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .ready = inotify_ready };
	if (l->inotify.fd < 0)
		return err_sys(e, errno, "inotify_init1");
	l->containers_wd = inotify_add_watch(l->inotify.fd, l->core->containers_dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
	if (l->containers_wd < 0)
		return err_sys(e, errno, "watch %s", l->core->containers_dir);
	return loop_add(l, &l->inotify, e) < 0 ? -1 : record_each(l->core, watch_each, l, e);
}

void events_close(struct loop *l)
{
	fd_closep(&l->inotify.fd);
	free(l->watched);
}

/* What a container is now, and the list of all of them. */
#include "runtime/container.h"
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/create.h"
#include "runtime/state.h"

#define OCI_VERSION "1.2.0"

static int fill_oci_state(Davit__OciState *o, const Davit__RuntimeState *s, const char *status, struct err *e)
{
	char created[32];

	o->has_pid = true;
	o->pid = s->has_pid && strcmp(status, "stopped") != 0 ? s->pid : 0;
	if (pb_set_str(&o->oci_version, OCI_VERSION, e) < 0 || pb_set_str(&o->id, s->id, e) < 0 || pb_set_str(&o->status, status, e) < 0 ||
	    pb_set_str(&o->bundle, s->bundle, e) < 0 || pb_set_str(&o->rootfs, s->rootfs ? s->rootfs : "", e) < 0 ||
	    pb_set_str(&o->created, clock_rfc3339(s->created_ns, created), e) < 0 || pb_set_str(&o->owner, "", e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_annotations; i++) {
		Davit__OciStringEntry *a = pb_new(&davit__oci_string_entry__descriptor, e);

		if (!a || pb_push(&o->n_annotations, &o->annotations, a, e) < 0)
			return -1;
		if (pb_set_str(&a->key, s->annotations[i]->key, e) < 0 || pb_set_str(&a->value, s->annotations[i]->value, e) < 0)
			return -1;
	}
	return 0;
}

Davit__OciState *create_oci_state(const Davit__RuntimeState *s, const char *status, struct err *e)
{
	auto_pb(Davit__OciState) *o = pb_new(&davit__oci_state__descriptor, e);

	if (!o || fill_oci_state(o, s, status ? status : state_status(s), e) < 0)
		return NULL;
	return steal_ptr(&o);
}

Davit__OciState *container_state(const struct runtime *rt, const char *id, struct err *e)
{
	auto_state_dir struct state_dir d;
	auto_pb(Davit__RuntimeState) *s = NULL;

	if (state_dir_open(rt->root, id, false, &d, e) < 0)
		return NULL;
	s = state_load(&d, e);
	return s ? create_oci_state(s, NULL, e) : NULL;
}

/* The owner's name is the list's alone, as in runc. */
static int set_owner(const struct runtime *rt, const char *id, Davit__OciState *o, struct err *e)
{
	auto_state_dir struct state_dir d;
	auto_pb(Davit__RuntimeState) *s = NULL;
	char number[16];

	if (state_dir_open(rt->root, id, false, &d, NULL) < 0 || !(s = state_load(&d, NULL)))
		return 0;
	const struct passwd *p = getpwuid(s->owner_uid);
	snprintf(number, sizeof(number), "%u", s->owner_uid);
	return pb_set_str(&o->owner, p ? p->pw_name : number, e);
}

static int add_to_list(const struct runtime *rt, const char *id, Davit__OciStateList *list, struct err *e)
{
	struct err one = { 0 };
	Davit__OciState *s = container_state(rt, id, &one);

	if (s)
		return pb_push(&list->n_containers, &list->containers, s, e) < 0 ? -1 : set_owner(rt, id, s, e);
	/* One that is being made or removed right now is no error of the list. */
	if (one.code != ERR_NOT_FOUND)
		log_err(LOG_LEVEL_WARN, id, &one);
	return 0;
}

Davit__OciStateList *container_list(const struct runtime *rt, struct err *e)
{
	auto_pb(Davit__OciStateList) *list = pb_new(&davit__oci_state_list__descriptor, e);
	struct dirent **names = NULL;
	int n, rc = 0;

	if (!list)
		return NULL;
	n = scandir(rt->root, &names, NULL, alphasort);
	if (n < 0 && errno != ENOENT) {
		err_sys(e, errno, "read %s", rt->root);
		return NULL;
	}
	for (int i = 0; i < n; i++) {
		if (rc == 0 && state_check_id(names[i]->d_name, NULL) == 0)
			rc = add_to_list(rt, names[i]->d_name, list, e);
		free(names[i]);
	}
	free(names);
	return rc < 0 ? NULL : steal_ptr(&list);
}

/* Without a cgroup: the processes that are in the PID namespace of init. */
static int pids_of_namespace(pid_t init, pid_t **pids, size_t *n, struct err *e)
{
	char path[64], own[64] = "", other[64];
	size_t cap = 0;
	DIR *proc = opendir("/proc");

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)init);
	if (!proc || readlink(path, own, sizeof(own) - 1) < 0) {
		if (proc)
			closedir(proc);
		return err_sys(e, errno, "look for the processes of process %d", (int)init);
	}
	for (struct dirent *entry; (entry = readdir(proc));) {
		pid_t pid = atoi(entry->d_name);

		snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
		memset(other, 0, sizeof(other));
		if (pid <= 0 || readlink(path, other, sizeof(other) - 1) < 0 || strcmp(own, other) != 0)
			continue;
		if (mem_grow(pids, &cap, *n + 1, sizeof(**pids), e) < 0)
			break;
		(*pids)[(*n)++] = pid;
	}
	closedir(proc);
	return 0;
}

int container_pids(const struct runtime *rt, const char *id, pid_t **pids, size_t *n, struct err *e)
{
	auto_state_dir struct state_dir d;
	auto_pb(Davit__RuntimeState) *s = NULL;
	auto_cgroup struct cgroup *c = NULL;

	if (state_dir_open(rt->root, id, false, &d, e) < 0 || !(s = state_load(&d, e)))
		return -1;
	if (cgroup_open(s, &c, e) < 0)
		return -1;
	return cgroup_is_none(c) ? pids_of_namespace(s->pid, pids, n, e) : cgroup_pids(c, pids, n, e);
}

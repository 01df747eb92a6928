/* The state folder of a container: see state.h.
 *
 * Order of a creation: mkdir ROOT/ID (the kernel decides who wins a race for a name), lock, and only then anything else. The lock is on the folder
 * itself, so who waited for that of a container that was removed meanwhile finds a folder without links and says "not found". */
#include "runtime/state.h"
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/config.h"

#define STATE_FILE "state.pb"
#define SPEC_FILE "config.json"
#define STATE_MAX (1 << 20)
#define SPEC_MAX (4 << 20)
#define LOCK_WAIT_MS 10000

void state_dir_close(struct state_dir *d)
{
	fd_closep(&d->fd);
	state_dir_unlock(d);
}

/* Unlocked by name, since a process that was forked meanwhile may hold a copy of the descriptor, and with it the lock. */
void state_dir_unlock(struct state_dir *d)
{
	if (d->lock >= 0)
		flock(d->lock, LOCK_UN);
	fd_closep(&d->lock);
}

int state_check_id(const char *id, struct err *e)
{
	size_t n = id ? strlen(id) : 0;
	bool ok = n >= 1 && n <= 255 && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;

	if (ok && strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-") == n)
		return 0;
	err_field(e, "id", "invalid container id \"%.255s\"", id ? id : "");
	return err_remedy(e, "use 1 to 255 of the characters A-Z a-z 0-9 _ + . -");
}

static int take_lock(struct state_dir *d, int wait_ms, struct err *e)
{
	struct stat st;

	d->lock = file_lock(d->fd, ".", wait_ms, e);
	if (d->lock < 0) {
		if (e && e->code == ERR_BUSY)
			err_set(e, ERR_BUSY, 0, "container %s: another operation is under way", d->id);
		return -1;
	}
	if (fstat(d->lock, &st) == 0 && st.st_nlink > 0)
		return 0;
	return err_set(e, ERR_NOT_FOUND, 0, "container %s does not exist", d->id);
}

int state_dir_create(const char *root, const char *id, struct state_dir *d, struct err *e)
{
	*d = (struct state_dir){ .fd = -1, .lock = -1 };
	if (state_check_id(id, e) < 0 || file_mkdir_p(root, 0700, e) < 0)
		return -1;
	auto_close int rootfd = file_open_dir(AT_FDCWD, root, e);
	if (rootfd < 0)
		return -1;
	strcpy(d->id, id);
	if (mkdirat(rootfd, id, 0700) < 0) {
		if (errno != EEXIST)
			return err_sys(e, errno, "make %s/%s", root, id);
		err_set(e, ERR_EXISTS, 0, "container with id exists: %s", id);
		return err_remedy(e, "choose another id, or delete the container");
	}
	d->fd = file_open_dir(rootfd, id, e);
	if (d->fd >= 0 && take_lock(d, 0, e) == 0)
		return 0;
	state_dir_close(d);
	file_remove_tree(rootfd, id, NULL);
	return -1;
}

int state_dir_open(const char *root, const char *id, bool lock, struct state_dir *d, struct err *e)
{
	*d = (struct state_dir){ .fd = -1, .lock = -1 };
	if (state_check_id(id, e) < 0)
		return -1;
	strcpy(d->id, id);
	auto_close int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd >= 0)
		d->fd = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, 0, "container %s does not exist", id) : err_sys(e, errno, "open %s/%s", root, id);
	if (!lock || take_lock(d, LOCK_WAIT_MS, e) == 0)
		return 0;
	state_dir_close(d);
	return -1;
}

int state_dir_remove(const char *root, struct state_dir *d, struct err *e)
{
	auto_close int rootfd = file_open_dir(AT_FDCWD, root, e);

	return rootfd < 0 ? -1 : file_remove_tree(rootfd, d->id, e);
}

Davit__RuntimeState *state_load(const struct state_dir *d, struct err *e)
{
	Davit__RuntimeState *s = pb_read_file(d->fd, STATE_FILE, &davit__runtime_state__descriptor, STATE_MAX, e);

	if (!s)
		err_prefix(e, "container %s", d->id);
	return s;
}

/* Not durable: the folder lies on a tmpfs, and after a reboot no container runs. */
int state_save(const struct state_dir *d, const Davit__RuntimeState *s, struct err *e)
{
	return pb_write_file(d->fd, STATE_FILE, &s->base, 0600, false, e);
}

Davit__OciSpec *state_spec(const struct state_dir *d, struct err *e)
{
	size_t n = 0;
	auto_free char *text = file_read(d->fd, SPEC_FILE, SPEC_MAX, &n, e);

	return text ? config_parse(text, n, e) : NULL;
}

bool state_init_alive(const Davit__RuntimeState *s)
{
	char boot[37];

	if (!s->has_pid || s->pid <= 0 || !s->has_start_ticks)
		return false;
	if (s->boot_id && proc_boot_id(boot, NULL) == 0 && strcmp(boot, s->boot_id) != 0)
		return false;
	return proc_is_alive(s->pid, s->start_ticks);
}

static bool is_frozen(const Davit__RuntimeState *s)
{
	auto_cgroup struct cgroup *c = NULL;

	return cgroup_open(s, &c, NULL) == 0 && cgroup_is_frozen(c);
}

const char *state_status(const Davit__RuntimeState *s)
{
	if (!s->has_pid)
		return str_eq(s->phase, "creating") ? "creating" : "stopped";
	if (!state_init_alive(s))
		return "stopped";
	if (!str_eq(s->phase, "running"))
		return str_eq(s->phase, "creating") ? "creating" : "created";
	return is_frozen(s) ? "paused" : "running";
}

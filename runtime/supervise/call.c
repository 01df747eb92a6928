/* Reading a call. See supervise.h for the order of look and check. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/fd.h"
#include "runtime/supervise/internal.h"

#define PAGE 4096

bool call_waits(const struct supervisor *s, const struct call *c)
{
	uint64_t id = c->n.id;
	return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* The n-th number (from 1) of a line of /proc/TID/status, in base. */
static long number_of(const char *status, const char *key, int nth, int base)
{
	const char *p = strstr(status, key);
	char *end;
	long value = -1;
	p = p ? p + strlen(key) : NULL;
	for (int i = 0; p && i < nth; i++, p = end) {
		value = strtol(p, &end, base);
		if (end == p)
			return -1;
	}
	return value;
}

static int read_status(struct call *c, int task)
{
	char text[4096];
	auto_close int fd = openat(task, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return ENOENT;
	text[n] = '\0';
	/* Its name comes first and is the container's to choose; the kernel escapes newlines in it. */
	long uid = number_of(text, "\nUid:", 4, 10), gid = number_of(text, "\nGid:", 4, 10), process = number_of(text, "\nTgid:", 1, 10);
	long mask = number_of(text, "\nUmask:", 1, 8);
	if (uid < 0 || gid < 0 || process < 0 || mask < 0)
		return ENOENT;
	c->uid = (uid_t)uid;
	c->gid = (gid_t)gid;
	c->process = (pid_t)process;
	c->mask = (mode_t)mask;
	return 0;
}

static bool is_in(int task, const char *name, dev_t dev, ino_t ino)
{
	struct stat st;
	return fstatat(task, name, &st, 0) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int call_open(const struct supervisor *s, struct call *c)
{
	char name[16];
	snprintf(name, sizeof(name), "%u", c->n.pid);
	auto_close int task = openat(s->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	c->root = c->cwd = -1;
	if (task < 0 || read_status(c, task) != 0)
		return ENOENT;
	c->is_served = c->uid == s->root && is_in(task, "ns/mnt", s->mnt_dev, s->mnt_ino) && is_in(task, "ns/user", s->user_dev, s->user_ino);
	c->root = openat(task, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	c->cwd = openat(task, "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->root < 0 || c->cwd < 0)
		return errno;
	return call_waits(s, c) ? 0 : ENOENT;
}

void call_close(struct call *c)
{
	fd_closep(&c->root);
	fd_closep(&c->cwd);
}

/* No read crosses a page, so that one which is not there does not take what is before it along. */
static int copy(const struct call *c, uint64_t address, char *out, size_t cap)
{
	size_t n = 0;
	while (n < cap) {
		size_t want = PAGE - (address + n) % PAGE;
		want = want < cap - n ? want : cap - n;
		struct iovec to = { out + n, want }, from = { (void *)(uintptr_t)(address + n), want };
		ssize_t got = process_vm_readv((pid_t)c->n.pid, &to, 1, &from, 1, 0);
		if (got <= 0)
			return EFAULT;
		if (memchr(out + n, 0, (size_t)got))
			return 0;
		n += (size_t)got;
	}
	return ENAMETOOLONG;
}

int call_text(const struct supervisor *s, const struct call *c, uint64_t address, char *out, size_t cap)
{
	out[0] = '\0';
	int error = address ? copy(c, address, out, cap) : 0;
	if (error)
		out[0] = '\0';
	return call_waits(s, c) ? error : ENOENT;
}

int call_at(const struct supervisor *s, struct call *c, int dirfd)
{
	if (dirfd == AT_FDCWD)
		return 0;
	auto_close int process = pidfd_open(c->process, 0);
	auto_close int fd = process < 0 ? -1 : pidfd_getfd(process, dirfd, 0);
	struct stat st;
	if (!call_waits(s, c))
		return ENOENT;
	if (fd < 0)
		return EBADF;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return ENOTDIR;
	close(c->cwd);
	c->cwd = steal_fd(&fd);
	return 0;
}

void call_answer(const struct supervisor *s, const struct call *c, int error)
{
	struct seccomp_notif_resp r = { .id = c->n.id, .error = -error };
	ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r); /* ENOENT: nobody waits for it any more */
}

void call_continue(const struct supervisor *s, const struct call *c)
{
	struct seccomp_notif_resp r = { .id = c->n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

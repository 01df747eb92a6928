/* See ahead.h. Source: fifo(7), and open(2) on ENXIO. */
#include "runtime/serve/ahead.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/pb.h"

#define END_LIMIT_MS 10000

enum { GO, SYNC, ERROR, FIFOS };
static const char *const names[FIFOS] = { "go", "sync", "error" };

static void close_all(int fds[FIFOS])
{
	for (size_t i = 0; i < FIFOS; i++)
		fd_closep(&fds[i]);
}

static void remove_all(const struct place *p)
{
	auto_close int dir = file_open_dir(AT_FDCWD, p->move, NULL);
	for (size_t i = 0; dir >= 0 && i < FIFOS; i++)
		(void)unlinkat(dir, names[i], 0);
}

/* For both directions: opening waits for nobody, and who waits for the word never sees an end. */
static int make(const struct place *p, int fds[FIFOS], struct err *e)
{
	auto_close int dir = file_open_dir(AT_FDCWD, p->move, e);
	for (size_t i = 0; i < FIFOS; i++)
		if (dir < 0 || mkfifoat(dir, names[i], 0600) < 0 || (fds[i] = openat(dir, names[i], O_RDWR | O_CLOEXEC)) < 0)
			return dir < 0 ? -1 : err_sys(e, errno, "make %s/%s", p->move, names[i]);
	return 0;
}

int ahead_begin(const struct core *c, struct launch *l, const struct place *p, struct err *e)
{
	int fds[FIFOS] = { -1, -1, -1 };
	int rc = make(p, fds, e);
	l->go_fd = fds[GO];
	if (rc == 0)
		rc = launch_begin(c, l, fds[SYNC], fds[ERROR], e);
	l->go_fd = -1;
	close_all(fds);
	if (rc < 0)
		remove_all(p);
	return rc;
}

/* Whether somebody holds the other end of a FIFO that is open for reading without waiting, and has said nothing yet. */
static bool is_held(int fd)
{
	char byte;
	return read(fd, &byte, 1) < 0 && errno == EAGAIN;
}

/* The ends that are ours. False: none waits. */
static bool meet(const struct place *p, int fds[FIFOS])
{
	auto_close int dir = file_open_dir(AT_FDCWD, p->move, NULL);
	for (size_t i = 0; dir >= 0 && i < FIFOS; i++)
		fds[i] = openat(dir, names[i], (i == GO ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return fds[GO] >= 0 && fds[SYNC] >= 0 && fds[ERROR] >= 0 && is_held(fds[SYNC]);
}

pid_t ahead_go(const struct place *p, const struct restore_go *go, bool *there, Davit__Error **rich, struct err *e)
{
	int fds[FIFOS] = { -1, -1, -1 };
	pid_t pid = -1;
	*there = meet(p, fds);
	if (*there) {
		(void)fcntl(fds[SYNC], F_SETFL, 0);
		(void)fcntl(fds[ERROR], F_SETFL, 0);
		if (fd_write_all(fds[GO], go, sizeof(*go), e) == 0)
			pid = launch_outcome(fds[SYNC], fds[ERROR], rich, e);
	}
	close_all(fds);
	if (*there)
		remove_all(p);
	else
		ahead_end(p);
	return pid;
}

void ahead_end(const struct place *p)
{
	const struct restore_go stop = { .go = false };
	int fds[FIFOS] = { -1, -1, -1 };
	bool there = meet(p, fds);
	if (fds[GO] >= 0)
		(void)fd_write_all(fds[GO], &stop, sizeof(stop), NULL);
	if (there) {
		struct err e = { 0 };
		Davit__Error *rich = NULL;
		(void)fcntl(fds[ERROR], F_SETFL, 0);
		if (fd_wait(fds[SYNC], POLLIN, END_LIMIT_MS, &e) > 0 && fcntl(fds[SYNC], F_SETFL, 0) == 0)
			(void)launch_outcome(fds[SYNC], fds[ERROR], &rich, &e);
		else
			log_warn("a restore that was begun ahead in %s does not end", p->move);
		pb_freep(&rich);
	}
	close_all(fds);
	remove_all(p);
}

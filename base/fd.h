/* Owned file descriptors, and reading and writing them whole. Every fd is O_CLOEXEC. */
#pragma once
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>
#include "base/err.h"
#include "base/mem.h"

static inline void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
#define auto_close auto_cleanup(fd_closep)

/* Returns *fd and leaves -1. */
static inline int steal_fd(int *fd)
{
	int v = *fd;
	*fd = -1;
	return v;
}

/* Writes all n bytes (EINTR retried, EAGAIN waited for). 0 or -1. */
int fd_write_all(int fd, const void *buf, size_t n, struct err *e);
/* Reads exactly n bytes. Returns 1, 0 at end of file before the first byte, or -1 (ERR_PROTOCOL if it ends in the middle). */
int fd_read_exact(int fd, void *buf, size_t n, struct err *e);
/* Reads a whole file of at most max bytes into an owned, NUL-terminated buffer; *len without the NUL. NULL on error (ERR_LIMIT if larger). */
char *fd_read_all(int fd, size_t max, size_t *len, struct err *e);
/* A pipe / seqpacket / stream socket pair, all O_CLOEXEC. 0 or -1. */
int fd_pipe(int p[2], struct err *e);
int fd_socketpair(int type, int sv[2], struct err *e);
/* For a TCP connection that may be silent for long: its end is noticed within half a minute where the other host went away, and 2 s after the network
 * is back where the other side ended it while nothing passed. */
void fd_keep_alive(int fd);
int fd_set_nonblock(int fd, bool on, struct err *e);
int fd_set_cloexec(int fd, bool on, struct err *e);
/* A copy of fd, O_CLOEXEC and > 2. */
int fd_dup(int fd, struct err *e);
/* Waits until one of `events` (poll(2)) is ready. Returns revents, 0 on timeout, -1. timeout_ms -1: no limit (say why at the call). */
int fd_wait(int fd, short events, int timeout_ms, struct err *e);

#define FD_PASS_MAX 16
/* One datagram with descriptors over a SOCK_SEQPACKET unix socket (unix(7), SCM_RIGHTS). Does not take over fds. 0 or -1. */
int fd_send_msg(int sock, const void *buf, size_t n, const int *fds, size_t nfds, struct err *e);
/* Receives one datagram: up to cap bytes and up to *nfds descriptors (owned by the caller, O_CLOEXEC); *nfds becomes the number got.
 * Returns bytes, 0 at end (all that the peer sent was received before), -1 (ERR_BUSY: a non-blocking socket has nothing yet; ERR_LIMIT if the
 * datagram or its descriptors were truncated; nothing is leaked then). */
ssize_t fd_recv_msg(int sock, void *buf, size_t cap, int *fds, size_t *nfds, struct err *e);

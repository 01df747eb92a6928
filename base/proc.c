/* Knowing and waiting for processes. Sources: proc(5), pidfd_open(2), time_namespaces(7), fs/proc/array.c of the kernel. */
#include "base/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

#define FDINFO_HEAD 128 /* what all descriptors tell comes first */

static int reap(pid_t pid, int *status, struct err *e)
{
	pid_t got;
	do
		got = waitpid(pid, status, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_sys(e, errno, "wait for process %d", pid) : 0;
}

int proc_wait(pid_t pid, int timeout_ms, struct err *e)
{
	int status;
	if (timeout_ms >= 0) {
		auto_close int pidfd = proc_pidfd_open(pid, e);
		if (pidfd < 0)
			return -1;
		int ready = fd_wait(pidfd, POLLIN, timeout_ms, e);
		if (ready < 0)
			return -1;
		if (ready == 0)
			return err_set(e, ERR_TIMEOUT, 0, "process %d has not ended within %d ms", pid, timeout_ms);
	}
	return reap(pid, &status, e) < 0 ? -1 : status;
}

int proc_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* State letter and start time, as this reader sees it, of /proc/PID/stat. */
static int read_stat(pid_t pid, char *letter, uint64_t *ticks, struct err *e)
{
	char name[32], text[1024];
	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	struct err cause = { 0 };
	if (file_read_line(AT_FDCWD, name, text, sizeof(text), &cause) < 0) {
		/* A process that ended between open and read answers ESRCH. */
		bool gone = cause.sys == ENOENT || cause.sys == ESRCH;
		return err_set(e, gone ? ERR_NOT_FOUND : cause.code, 0, "process %d: %s", pid, gone ? "is not there" : cause.msg);
	}
	/* The name in (…) may hold anything, also ')': fields are counted from the last one. Field 3 is the state, 22 the start. */
	char *p = strrchr(text, ')');
	if (!p || p[1] != ' ' || !p[2])
		return err_set(e, ERR_INTERNAL, 0, "%s has an unknown form", name);
	*letter = p[2];
	p += 2;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return err_set(e, ERR_INTERNAL, 0, "%s has an unknown form", name);
		p++;
	}
	p[strcspn(p, " ")] = '\0';
	return str_to_u64(p, 0, UINT64_MAX, ticks, "start time", e);
}

/* The initial time namespace has a number that never changes (include/linux/proc_ns.h: PROC_TIME_INIT_INO). */
#define TIMENS_INITIAL "time:[4026531834]"

/* The reader's own boot clock minus the host's, in ns.
 *
 * /proc/self/timens_offsets tells those of the namespace for *children*, which differs from the reader's own between unshare(2) and
 * setns(2). In the initial namespace nothing needs reading; elsewhere such a reader cannot know its offset. */
static int own_boottime_offset(int64_t *ns, struct err *e)
{
	char own[64], children[64];
	*ns = 0;
	ssize_t n = readlink("/proc/self/ns/time", own, sizeof(own) - 1);
	if (n < 0)
		return 0; /* a kernel without time namespaces */
	own[n] = '\0';
	if (str_eq(own, TIMENS_INITIAL))
		return 0;
	n = readlink("/proc/self/ns/time_for_children", children, sizeof(children) - 1);
	children[MAX(n, 0)] = '\0';
	if (!str_eq(own, children))
		return err_set(e, ERR_STATE, 0, "start time of a process: the caller left its time namespace for its children only");
	auto_free char *text = file_read(AT_FDCWD, "/proc/self/timens_offsets", 1024, NULL, e);
	if (!text)
		return -1;
	const char *line = strstr(text, "boottime");
	long long sec;
	long nsec;
	if (!line || sscanf(line, "boottime %lld %ld", &sec, &nsec) != 2)
		return err_set(e, ERR_INTERNAL, 0, "/proc/self/timens_offsets has an unknown form");
	*ns = sec * NSEC_PER_SEC + nsec;
	return 0;
}

int proc_start_time(pid_t pid, uint64_t *ticks, struct err *e)
{
	char letter;
	uint64_t seen;
	int64_t offset;
	if (read_stat(pid, &letter, &seen, e) < 0 || own_boottime_offset(&offset, e) < 0)
		return -1;
	int64_t tick = NSEC_PER_SEC / sysconf(_SC_CLK_TCK);
	int64_t shift = offset / tick - (offset % tick < 0); /* floor */
	*ticks = seen - (uint64_t)shift;
	return 0;
}

bool proc_is_alive(pid_t pid, uint64_t ticks)
{
	char letter;
	uint64_t seen, now;
	if (pid <= 0 || read_stat(pid, &letter, &seen, NULL) < 0 || letter == 'Z' || letter == 'X')
		return false;
	if (proc_start_time(pid, &now, NULL) < 0)
		return false;
	return now - ticks + 1 <= 2; /* -1, 0 or 1 */
}

long proc_status_number(pid_t pid, const char *key)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	auto_free char *text = file_read(AT_FDCWD, path, 64 << 10, NULL, NULL);
	auto_free char *line = mem_printf(NULL, "\n%s:", key);
	char *at = text && line ? strstr(text, line) : NULL;
	if (!at)
		return -1;
	at += strlen(line);
	at[strcspn(at, "\n")] = '\0';
	char *last = strrchr(at, '\t');
	return strtol(last ? last : at, NULL, 10);
}

int proc_fd_number(pid_t pid, int fd, const char *key, int base, uint64_t *out, struct err *e)
{
	char path[64], head[FDINFO_HEAD + 2] = "\n", line[32], *end = NULL;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	snprintf(line, sizeof(line), "\n%s:", key);
	auto_close int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? -1 : read(file, head + 1, FDINFO_HEAD);
	if (n < 0)
		return err_sys(e, errno, "%s", path);
	head[1 + n] = '\0';
	const char *at = strstr(head, line);
	if (at)
		*out = strtoull(at + strlen(line), &end, base);
	return at && end != at + strlen(line) ? 0 : err_set(e, ERR_INTERNAL, 0, "%s has an unknown form", path);
}

int proc_pidfd_open(pid_t pid, struct err *e)
{
	int fd = pidfd_open(pid, 0); /* close-on-exec by itself */
	return fd < 0 ? err_sys(e, errno, "process %d", pid) : fd;
}

int proc_pidfd_kill(int pidfd, int sig, struct err *e)
{
	return pidfd_send_signal(pidfd, sig, NULL, 0) < 0 ? err_sys(e, errno, "send signal %d", sig) : 0;
}

int proc_boot_id(char out[37], struct err *e)
{
	return file_read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", out, 37, e);
}

/* Holds one thing that CRIU cannot save, says "ready" on stdout and sleeps: obstacle KIND [ARGUMENT]. Linked statically, for containers of the tests.
 * Exit status 77: this kernel does not let it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int io_uring(const char *arg)
{
	struct io_uring_params p = { 0 };
	(void)arg;
	return (int)syscall(SYS_io_uring_setup, 4, &p);
}

static int perf_event(const char *arg)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };
	(void)arg;
	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static int userfault(const char *arg)
{
	(void)arg;
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1); /* UFFD_USER_MODE_ONLY */
}

static int secret_memory(const char *arg)
{
	(void)arg;
	return (int)syscall(SYS_memfd_secret, 0);
}

static int nested(const char *arg)
{
	return unshare(!strcmp(arg, "uts")	? CLONE_NEWUTS
		       : !strcmp(arg, "ipc")	? CLONE_NEWIPC
		       : !strcmp(arg, "cgroup") ? CLONE_NEWCGROUP
						: CLONE_NEWUSER);
}

static int watch(const char *arg)
{
	int fd = inotify_init1(0);
	return fd < 0 ? -1 : inotify_add_watch(fd, arg, IN_CREATE | IN_MODIFY);
}

static int locked(const char *arg)
{
	int fd = open(arg, O_CREAT | O_RDWR, 0600);
	return fd < 0 ? -1 : flock(fd, LOCK_EX);
}

static int ghost(const char *arg)
{
	static char block[1 << 20];
	int fd = open("/tmp/ghost", O_CREAT | O_RDWR, 0600);

	if (fd < 0 || unlink("/tmp/ghost") < 0)
		return -1;
	for (int i = atoi(arg); i > 0; i--)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return -1;
	return 0;
}

static int open_file(const char *arg)
{
	return open(arg, O_RDONLY);
}

static int unix_stream(const char *arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(a.sun_path, arg, sizeof(a.sun_path) - 1);
	return s < 0 ? -1 : connect(s, (struct sockaddr *)&a, sizeof(a));
}

/* A connection on lo; accept NULL: it stays in the queue of the listener. */
static int tcp(const char *accept_it)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7777) };
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 1) < 0 || connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	return *accept_it ? accept(l, NULL, NULL) : 0;
}

static int mptcp(const char *arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_STREAM, 262);
}

static int traced(const char *arg)
{
	pid_t pid = fork();
	(void)arg;
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	return waitpid(pid, NULL, WUNTRACED) == pid ? 0 : -1;
}

static const struct {
	const char *name;
	int (*hold)(const char *arg);
} kinds[] = {
	{ "io_uring", io_uring },
	{ "perf_event", perf_event },
	{ "userfaultfd", userfault },
	{ "secretmem", secret_memory },
	{ "nested", nested },
	{ "inotify", watch },
	{ "lock", locked },
	{ "ghost", ghost },
	{ "open", open_file },
	{ "unix_stream", unix_stream },
	{ "tcp", tcp },
	{ "mptcp", mptcp },
	{ "traced", traced },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		if (kinds[i].hold(argc > 2 ? argv[2] : "") < 0) {
			printf("unable: %s\n", strerror(errno));
			return 77;
		}
		printf("ready\n");
		fflush(stdout);
		for (;;)
			pause();
	}
	return 2;
}

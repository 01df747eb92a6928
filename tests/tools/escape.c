/* Tries what a container must not be able to do. Linked statically, for containers of the tests.
 *
 *   escape SOCKET PID      all of it, one after the other; names on a line each what worked, and ends with 0 if nothing did. SOCKET: an abstract
 *                          socket of the host; PID: a process of the host
 *   escape --one WHAT [X]  one of it: "worked", or "held: WHY" and status 1. X: the socket, process, file or key
 *
 * What is tried does little harm where it works: files are opened and not written, devices not read, settings set to what they are. But its place is
 * a container: elsewhere it refuses to run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A call that got behind the check of its privilege says that its arguments are bad. */
static long passed(long result)
{
	return result >= 0 || errno == EFAULT || errno == EINVAL || errno == ENOENT || errno == ENOEXEC || errno == EBADF ? 0 : -1;
}

static long abstract_socket(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "%s", name);
	return connect(s, (const struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static long session_key(const char *name)
{
	return syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3, "user", name, 0);
}
static long keyring(const char *x)
{
	return (void)x, syscall(SYS_keyctl, 0, -3, 1);
}
static long new_key(const char *x)
{
	return (void)x, syscall(SYS_add_key, "user", "davit", "x", 1, -3);
}
static long tiocsti(const char *x)
{
	return (void)x, ioctl(0, TIOCSTI, "x");
}
static long packet_socket(const char *x)
{
	return (void)x, socket(AF_PACKET, SOCK_RAW, 0);
}
static long vsock(const char *x)
{
	return (void)x, socket(AF_VSOCK, SOCK_STREAM, 0);
}
static long alg_socket(const char *x)
{
	return (void)x, socket(AF_ALG, SOCK_SEQPACKET, 0);
}

/* Of a process of the host. */
static long trace(const char *pid)
{
	return ptrace(PTRACE_SEIZE, atoi(pid), 0, 0);
}
static long pidfd(const char *pid)
{
	return syscall(SYS_pidfd_open, atoi(pid), 0);
}
static long signal_to(const char *pid)
{
	return kill(atoi(pid), 0);
}

static long memory_of(const char *pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	return open(path, O_RDWR | O_CLOEXEC);
}

static long descriptors(const char *x)
{
	int proc = open("/proc/self/fd", O_PATH | O_CLOEXEC);

	(void)x;
	for (int fd = 3; fd < 64; fd++)
		if (fd != proc && fcntl(fd, F_GETFD) >= 0)
			return fd;
	errno = EBADF;
	return -1;
}

static long write_file(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC);
}
static long read_file(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	errno = fd < 0 ? errno : ENODATA; /* a mask is empty */
	return fd >= 0 && read(fd, &c, 1) == 1 ? fd : -1;
}

/* A program of the host, as loader.c leaves it: not while somebody executes it. */
static long overwrite(const char *x)
{
	long fd = -1;

	(void)x;
	for (int i = 0; i < 1000 && fd < 0; i++) {
		fd = write_file("/proc/self/fd/100");
		if (fd < 0 && errno != ETXTBSY)
			return -1;
		usleep(fd < 0 ? 10000 : 0);
	}
	return fd;
}

/* Watches for a process that is none of the image's programs and can be looked into, until somebody makes /tmp/stop. */
static long peek(const char *x)
{
	char path[300], exe[64];
	ssize_t n;

	(void)x;
	while (access("/tmp/stop", F_OK) < 0) {
		DIR *d = opendir("/proc");

		for (struct dirent *e; d && (e = readdir(d));) {
			snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
			n = *e->d_name > '0' && *e->d_name <= '9' ? readlink(path, exe, sizeof(exe)) : -1;
			if (n > 0 && (n < 5 || memcmp(exe, "/bin/", 5) != 0))
				return 0;
		}
		closedir(d);
	}
	errno = EACCES;
	return -1;
}

/* The groups that deny a file are given up. */
static long setgroups_away(const char *path)
{
	return setgroups(0, NULL) < 0 ? -1 : read_file(path);
}

static long init_module(const char *x)
{
	return (void)x, passed(syscall(SYS_init_module, "", 0, ""));
}
static long kexec(const char *x)
{
	return (void)x, syscall(SYS_kexec_load, 0, 0, NULL, 0);
}
static long cad_off(const char *x)
{
	return (void)x, syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL);
}
static long swap_off(const char *x)
{
	return (void)x, passed(swapoff("/none"));
}
static long kernel_log(const char *x)
{
	return (void)x, syscall(SYS_syslog, 3, (char[16]){ 0 }, 16);
}
static long bpf(const char *x)
{
	return (void)x, passed(syscall(SYS_bpf, 0, NULL, 0));
}
static long perf(const char *x)
{
	return (void)x, passed(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}
static long fault(const char *x)
{
	return (void)x, syscall(SYS_userfaultfd, 0);
}
static long io_uring(const char *x)
{
	return (void)x, passed(syscall(SYS_io_uring_setup, 1, NULL));
}

static long set_clock(const char *x)
{
	struct timex t = { .modes = 0 };

	(void)x;
	adjtimex(&t);
	t.modes = ADJ_STATUS;
	return adjtimex(&t);
}

/* Not even a valid time: the C library would say so itself. */
static long clock_set(const char *x)
{
	(void)x;
	return passed(syscall(SYS_clock_settime, CLOCK_REALTIME, &(struct timespec){ .tv_nsec = -1 }));
}

static long unshare_named(const char *name)
{
	static const struct {
		const char *name;
		int flag;
	} all[] = { { "user", CLONE_NEWUSER }, { "mnt", CLONE_NEWNS },	{ "pid", CLONE_NEWPID },      { "net", CLONE_NEWNET },
		    { "uts", CLONE_NEWUTS },   { "ipc", CLONE_NEWIPC }, { "cgroup", CLONE_NEWCGROUP } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, name) == 0)
			return unshare(all[i].flag);
	return -1;
}

static long enter(const char *x)
{
	return (void)x, setns(open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC), CLONE_NEWNS);
}
static long new_mount(const char *x)
{
	return (void)x, mount("x", "/tmp", "tmpfs", 0, NULL);
}
static long remount(const char *x)
{
	return (void)x, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}
static long unmask(const char *path)
{
	return umount2(path, MNT_DETACH);
}
static long pivot(const char *x)
{
	return (void)x, passed(syscall(SYS_pivot_root, "/", "/"));
}

/* A file by its number in its filesystem, whatever path leads there or does not: "shocker". */
static long handle(const char *x)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int id;

	(void)x;
	if (name_to_handle_at(AT_FDCWD, "/bin", &u.h, &id, 0) < 0)
		return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
	return open_by_handle_at(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &u.h, O_RDONLY | O_CLOEXEC);
}

static long device(mode_t type, unsigned major, unsigned minor)
{
	static const char *const paths[] = { "/dev/attempt", "/tmp/attempt" };

	for (size_t i = 0; i < 2; i++)
		if (mknod(paths[i], type | 0600, makedev(major, minor)) == 0) {
			int fd = open(paths[i], (type == S_IFBLK ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);

			unlink(paths[i]);
			return fd;
		}
	return -1;
}

static long kernel_log_device(const char *x)
{
	return (void)x, device(S_IFCHR, 1, 11);
}

static long disk(const char *x)
{
	unsigned major = 8, minor = 0;
	glob_t g;

	(void)x;
	if (glob("/sys/block/*/dev", 0, NULL, &g) == 0) {
		FILE *f = fopen(g.gl_pathv[0], "re");

		if (!f || fscanf(f, "%u:%u", &major, &minor) != 2)
			major = 8;
	}
	return device(S_IFBLK, major, minor);
}

/* The file that names a program of the host, in the root of a v1 hierarchy: CVE-2022-0492. */
static long release_agent(const char *x)
{
	(void)x;
	if (mount("cgroup", "/tmp", "cgroup", 0, "memory") < 0)
		return -1;
	return write_file("/tmp/release_agent");
}

#define SOCKET "SOCKET"
#define PID "PID"
#define ALONE "ALONE" /* with --one only */

static const struct attempt {
	const char *what;
	long (*f)(const char *x);
	const char *x; /* for all of it; SOCKET and PID stand for those */
} attempts[] = {
	{ "descriptors", descriptors, NULL }, /* before any is opened here */
	{ "abstract socket", abstract_socket, SOCKET },
	{ "session key", session_key, "davit-secret" },
	{ "keyring", keyring, NULL },
	{ "add_key", new_key, NULL },
	{ "TIOCSTI", tiocsti, NULL },
	{ "packet socket", packet_socket, NULL },
	{ "vsock", vsock, NULL },
	{ "AF_ALG", alg_socket, NULL },
	{ "ptrace", trace, PID },
	{ "pidfd", pidfd, PID },
	{ "signal", signal_to, PID },
	{ "memory", memory_of, PID },
	{ "write", write_file, "/proc/sysrq-trigger" },
	{ "write", write_file, "/proc/sys/kernel/core_pattern" },
	{ "write", write_file, "/proc/sys/kernel/modprobe" },
	{ "write", write_file, "/proc/sys/vm/drop_caches" },
	{ "write", write_file, "/proc/sys/fs/binfmt_misc/register" },
	{ "write", write_file, "/proc/sys/net/ipv4/ip_forward" },
	{ "write", write_file, "/sys/kernel/uevent_helper" },
	{ "write", write_file, "/sys/kernel/mm/ksm/run" },
	{ "write", write_file, "/sys/fs/cgroup/cgroup.procs" },
	{ "write", write_file, "/sys/fs/cgroup/memory/release_agent" },
	{ "write", write_file, "/sys/fs/cgroup/pids/pids.max" },
	{ "write", write_file, "/sys/fs/cgroup/memory/cgroup.procs" },
	{ "write", write_file, "/dev/kmsg" },
	{ "write", write_file, "/dev/mem" },
	{ "read", read_file, "/proc/kcore" },
	{ "read", read_file, "/proc/kmsg" },
	{ "init_module", init_module, NULL },
	{ "kexec_load", kexec, NULL },
	{ "reboot", cad_off, NULL },
	{ "swapoff", swap_off, NULL },
	{ "syslog", kernel_log, NULL },
	{ "bpf", bpf, NULL },
	{ "perf_event_open", perf, NULL },
	{ "userfaultfd", fault, NULL },
	{ "io_uring", io_uring, NULL },
	{ "adjtimex", set_clock, NULL },
	{ "clock_settime", clock_set, NULL },
	{ "open_by_handle_at", handle, NULL },
	{ "disk", disk, NULL },
	{ "kmsg device", kernel_log_device, NULL },
	{ "release_agent", release_agent, NULL },
	{ "setgroups", setgroups_away, "/etc/none" },
	{ "overwrite", overwrite, ALONE },
	{ "peek", peek, ALONE },
	{ "setns", enter, NULL },
	{ "mount", new_mount, NULL },
	{ "remount", remount, NULL },
	{ "umount", unmask, "/proc/sys" },
	{ "pivot_root", pivot, NULL },
	{ "unshare", unshare_named, "user" },
	{ "unshare", unshare_named, "mnt" },
	{ "unshare", unshare_named, "pid" },
	{ "unshare", unshare_named, "net" },
	{ "unshare", unshare_named, "uts" },
	{ "unshare", unshare_named, "ipc" },
	{ "unshare", unshare_named, "cgroup" },
};
#define N (sizeof(attempts) / sizeof(attempts[0]))

static int one(const char *what, const char *x)
{
	for (size_t i = 0; i < N; i++)
		if (strcmp(attempts[i].what, what) == 0) {
			errno = 0;
			bool worked = attempts[i].f(x ? x : attempts[i].x) >= 0;

			printf(worked ? "worked\n" : "held: %s\n", strerror(errno));
			return !worked;
		}
	fprintf(stderr, "escape: nothing is called %s\n", what);
	return 2;
}

static int all(const char *socket_name, const char *pid)
{
	int worked = 0;

	for (size_t i = 0; i < N; i++) {
		const char *x = attempts[i].x;

		x = x && strcmp(x, SOCKET) == 0 ? socket_name : x && strcmp(x, PID) == 0 ? pid : x;
		if ((x && strcmp(x, ALONE) == 0) || attempts[i].f(x) < 0)
			continue;
		printf("%s %s\n", attempts[i].what, x ? x : "");
		worked = 1;
	}
	return worked;
}

int main(int argc, char **argv)
{
	/* It would work. */
	if (access("/usr/lib", F_OK) == 0) {
		fprintf(stderr, "escape: this is a host, not a container of the tests\n");
		return 2;
	}
	if (argc > 2 && strcmp(argv[1], "--one") == 0)
		return one(argv[2], argc > 3 ? argv[3] : NULL);
	return argc > 2 ? all(argv[1], argv[2]) : 2;
}

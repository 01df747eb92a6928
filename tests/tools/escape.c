/* Tries, one after the other, what a container must not be able to do, and names on a line each what worked. Linked statically, for containers of
 * the tests. Ends with 0 if nothing did. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
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
#include <unistd.h>

static int worked;

static void try(const char *what, long result)
{
	if (result < 0)
		return;
	printf("%s\n", what);
	worked = 1;
}

static long write_to(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long n = fd < 0 ? -1 : write(fd, "x", 1);

	if (fd >= 0)
		close(fd);
	return n;
}

static void kernel(void)
{
	static const char *const files[] = { "/proc/sysrq-trigger",
					     "/proc/sys/kernel/core_pattern",
					     "/proc/sys/kernel/modprobe",
					     "/proc/sys/vm/drop_caches",
					     "/proc/sys/fs/binfmt_misc/register",
					     "/proc/sys/net/ipv4/ip_forward",
					     "/sys/kernel/uevent_helper",
					     "/sys/fs/cgroup/cgroup.procs",
					     "/sys/fs/cgroup/memory/release_agent",
					     "/sys/fs/cgroup/pids/pids.max",
					     "/sys/fs/cgroup/memory/cgroup.procs",
					     "/proc/1/oom_score_adj_of_the_host",
					     "/dev/kmsg",
					     "/dev/mem" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		try(files[i], write_to(files[i]));
	try("read /proc/kcore", open("/proc/kcore", O_RDONLY));
	try("init_module", syscall(SYS_init_module, "", 0, ""));
	try("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	try("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL)); /* CAD_OFF: harmless */
	try("swapoff", swapoff("/none") == 0 || errno == ENOENT ? 0 : -1);
	try("syslog", syscall(SYS_syslog, 3, (char[16]){ 0 }, 16));
	try("bpf", syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno == EFAULT ? 0 : -1);
	try("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno == EFAULT ? 0 : -1);
	try("userfaultfd", syscall(SYS_userfaultfd, 0));
	try("settimeofday", syscall(SYS_settimeofday, &(struct timespec){ 1, 0 }, NULL));
	try("adjtimex", adjtimex(&(struct timex){ .modes = ADJ_STATUS }));
}

static void namespaces(void)
{
	static const struct {
		const char *name;
		int flag;
	} all[] = { { "unshare user", CLONE_NEWUSER },	  { "unshare mnt", CLONE_NEWNS },  { "unshare pid", CLONE_NEWPID },
		    { "unshare net", CLONE_NEWNET },	  { "unshare uts", CLONE_NEWUTS }, { "unshare ipc", CLONE_NEWIPC },
		    { "unshare cgroup", CLONE_NEWCGROUP } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		try(all[i].name, unshare(all[i].flag));
	try("setns", setns(open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC), CLONE_NEWNS));
	try("mount tmpfs", mount("x", "/mnt", "tmpfs", 0, NULL) == 0 || errno == ENOENT ? 0 : -1);
	try("remount /", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	try("umount /proc/sys", umount2("/proc/sys", MNT_DETACH));
	try("pivot_root", syscall(SYS_pivot_root, "/", "/"));
	try("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0) >= 0 || errno == EFAULT ? 0 : -1);
	try("block device", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
	try("kmsg device", mknod("/tmp/kmsg", S_IFCHR | 0600, makedev(1, 11)));
}

static void others(const char *abstract)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), proc = open("/proc/self/fd", O_PATH | O_CLOEXEC);

	snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "%s", abstract);
	try("abstract socket of the host",
	    connect(s, (const struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract))));
	try("keyring", syscall(SYS_keyctl, 0, -3, 1));
	try("add_key", syscall(SYS_add_key, "user", "davit", "x", 1, -3));
	try("TIOCSTI", ioctl(0, TIOCSTI, "x"));
	try("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
	try("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	try("ptrace init", ptrace(PTRACE_SEIZE, 1, 0, 0));
	for (int fd = 3; fd < 64; fd++)
		if (fd != s && fd != proc && fcntl(fd, F_GETFD) >= 0)
			try("a descriptor that came from the runtime", fd);
}

int main(int argc, char **argv)
{
	others(argc > 1 ? argv[1] : "none");
	kernel();
	namespaces();
	return worked;
}

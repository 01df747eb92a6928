/* The text of the default AppArmor profile, and giving it to apparmor_parser on its stdin.
 *
 * It stands behind the mount and seccomp rules as a second fence: whatever of the host shows through /proc and /sys stays unwritten,
 * nothing is mounted, and only processes under the same profile are traced or signalled. It includes no file, so that it loads where /etc/apparmor.d
 * is empty. Source: apparmor.d(5). */
#include <errno.h>
#include <sys/mman.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "runtime/lsm_profile.h"

#define PARSER_LIMIT_MS 30000

static const char profile_text[] = "profile " LSM_DEFAULT_PROFILE " flags=(attach_disconnected,mediate_deleted) {\n"
				   "  capability,\n"
				   "  network,\n"
				   "  file,\n"
				   "  unix,\n"
				   "  umount,\n"
				   "  deny mount,\n"
				   "  signal (receive) peer=unconfined,\n"
				   "  signal (send, receive) peer=" LSM_DEFAULT_PROFILE ",\n"
				   "  ptrace (trace, read, tracedby, readby) peer=" LSM_DEFAULT_PROFILE ",\n"
				   "  deny /proc/{acpi,bus,fs,irq,scsi,tty}/** wklx,\n"
				   "  deny /proc/{kcore,kmem,mem,sysrq-trigger,timer_list} rwklx,\n"
				   "  deny /proc/sys/{abi,debug,dev,vm}/** wklx,\n"
				   "  deny /proc/sys/fs/[^m]** wklx,\n"
				   "  deny /proc/sys/kernel/{[^ms]**,m[^s]**,s[^eh]**} wklx,\n"
				   "  deny /sys/{block,bus,class,dev,devices,hypervisor,module,power}/** wklx,\n"
				   "  deny /sys/firmware/** rwklx,\n"
				   "  deny /sys/devices/virtual/powercap/** rwklx,\n"
				   "  deny /sys/fs/[^c]** wklx,\n"
				   "  deny /sys/kernel/** wklx,\n"
				   "  deny /sys/kernel/{debug,security,tracing}/** rwklx,\n"
				   "}\n";

static const char *parser_path(void)
{
	static const char *const paths[] = { "/usr/sbin/apparmor_parser", "/sbin/apparmor_parser" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static int profile_fd(struct err *e)
{
	auto_close int fd = memfd_create("apparmor-profile", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "memory for the AppArmor profile");
	if (fd_write_all(fd, profile_text, sizeof(profile_text) - 1, e) < 0)
		return -1;
	return lseek(fd, 0, SEEK_SET) < 0 ? err_sys(e, errno, "rewind the AppArmor profile") : steal_fd(&fd);
}

int lsm_profile_load(struct err *e)
{
	const char *path = parser_path();
	char *const argv[] = { "apparmor_parser", "--replace", "--skip-cache", "--quiet", NULL };
	char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	if (!path) {
		err_set(e, ERR_UNSUPPORTED, 0, "the AppArmor profile " LSM_DEFAULT_PROFILE " is not loaded and there is no apparmor_parser");
		return err_remedy(e, "install the package apparmor");
	}
	auto_close int fd = profile_fd(e);
	const struct proc_fd fds[] = { { fd, 0 } };
	const struct proc_spawn spawn = { .path = path, .argv = argv, .envp = envp, .fds = fds, .nfds = 1, .die_with_parent = true };
	pid_t pid = fd < 0 ? -1 : proc_spawn(&spawn, NULL, e);
	int status = pid < 0 ? -1 : proc_wait(pid, PARSER_LIMIT_MS, e);
	if (status < 0)
		return -1;
	if (proc_exit_code(status) != 0)
		return err_set(e, ERR_INTERNAL, 0, "apparmor_parser refused the profile " LSM_DEFAULT_PROFILE " (exit status %d)",
			       proc_exit_code(status));
	return 0;
}

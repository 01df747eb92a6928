/* TCP sockets of stopped processes, by pidfd_getfd(2). See sockets.h. */
#include "runtime/criu/sockets.h"
#include <dirent.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

static void let_go(int pidfd, pid_t pid, int number)
{
	auto_close int fd = pidfd_getfd(pidfd, number, 0);
	int on = 0;
	socklen_t len = sizeof(on);

	/* Any other kind of socket has no such option. */
	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, &len) < 0 || !on)
		return;
	on = 0;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) < 0)
		log_warn("descriptor %d of process %d: its connection stays in repair mode: %s", number, pid, strerror(errno));
}

static void let_go_all(pid_t pid)
{
	auto_close int pidfd = proc_pidfd_open(pid, NULL);
	auto_free char *path = mem_printf(NULL, "/proc/%d/fd", pid);
	DIR *d = path ? opendir(path) : NULL;
	char link[32];

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (str_prefix(link, "socket:["))
			let_go(pidfd, pid, atoi(entry->d_name));
	}
	if (d)
		closedir(d);
}

void criu_sockets_let_go(const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		let_go_all(pids[i]);
}

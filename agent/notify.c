/* One datagram to a unix socket: see notify.h. */
#include "agent/notify.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/log.h"

int notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	auto_close int fd = -1;

	if (n == 0)
		return -1;
	if (n < sizeof(a.sun_path)) {
		memcpy(a.sun_path, path, n);
		if (a.sun_path[0] == '@') /* systemd's way to write an abstract one */
			a.sun_path[0] = 0;
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
		log_warn("NOTIFY_SOCKET %s cannot be used: whoever started davitd will not hear that it is ready", path);
		fd_closep(&fd);
	}
	unsetenv("NOTIFY_SOCKET");
	return steal_fd(&fd);
}

void notify_send(int fd, const char *state)
{
	if (fd >= 0)
		(void)send(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sources: pipe(7) F_SETPIPE_SZ, socket(7) SO_SNDBUFFORCE (root may go beyond net.core.wmem_max). */
#include "runtime/serve/stream.h"
#include <fcntl.h>
#include <sys/socket.h>
#include "base/fd.h"

#define STREAM_BUFFER (1 << 20)

int stream_open(bool both_ways, int p[2], struct err *e)
{
	int size = STREAM_BUFFER;
	if (both_ways ? fd_socketpair(SOCK_STREAM, p, e) < 0 : fd_pipe(p, e) < 0)
		return -1;
	/* Refused, they are only slower. */
	if (!both_ways)
		(void)fcntl(p[1], F_SETPIPE_SZ, size);
	for (int i = 0; both_ways && i < 2; i++)
		(void)setsockopt(p[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return 0;
}

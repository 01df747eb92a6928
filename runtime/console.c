/* The pty of a container: see console.h. */
#include "runtime/console.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <termios.h>
#include "base/fd.h"
#include "base/path.h"
#include "runtime/mount.h"

int console_connect(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path)) {
		err_field(e, "console-socket", "path %s is too long for a unix socket", path);
		return err_remedy(e, "use one of less than %zu bytes", sizeof(a.sun_path));
	}
	strcpy(a.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, errno, "connect to console socket %s", path);
	return steal_fd(&fd);
}

int console_pair(int *mine, int *childs, struct err *e)
{
	int sv[2];

	if (fd_socketpair(SOCK_SEQPACKET, sv, e) < 0)
		return -1;
	*mine = sv[0];
	*childs = sv[1];
	return 0;
}

int console_receive(int sock, struct err *e)
{
	char name[256];
	int fds[1];
	size_t n = 1;

	if (fd_recv_msg(sock, name, sizeof(name), fds, &n, e) < 0)
		return -1;
	return n == 1 ? fds[0] : err_set(e, ERR_PROTOCOL, 0, "no terminal came from the container");
}

/* Not fd_send_msg(): that speaks SEQPACKET, and the console socket of other programs is a stream. */
int console_send(int sock, int master, const char *name, struct err *e)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} c = { 0 };
	struct iovec iov = { .iov_base = (char *)name, .iov_len = strlen(name) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.b, .msg_controllen = sizeof(c.b) };

	c.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.h), &master, sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? err_sys(e, errno, "send the terminal over the console socket") : 0;
}

/* The container's own multiplexer, and it must be one: an image may hold any file of that name. */
static int open_ptmx(int rootfd, struct err *e)
{
	struct statfs fs;
	auto_close int fd = path_open_in(rootfd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0, e);

	if (fd < 0) {
		err_prefix(e, "open a terminal");
		return err_remedy(e, "process.terminal needs a devpts mount at /dev/pts");
	}
	if (fstatfs(fd, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ERR_INVALID, 0, "/dev/pts of the container is no devpts");
	return steal_fd(&fd);
}

int console_open(int rootfd, int sock, const Davit__OciBox *size, struct err *e)
{
	int unlock = 0;
	unsigned number = 0;
	char name[32];
	auto_close int master = open_ptmx(rootfd, e);

	if (master < 0)
		return -1;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return err_sys(e, errno, "unlock the terminal");
	auto_close int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, errno, "open the terminal");
	if (size) {
		struct winsize w = { .ws_row = (unsigned short)size->height, .ws_col = (unsigned short)size->width };

		if (ioctl(slave, TIOCSWINSZ, &w) < 0)
			return err_sys(e, errno, "set the size of the terminal");
	}
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	return console_send(sock, master, name, e) < 0 ? -1 : steal_fd(&slave);
}

int console_mount(int rootfd, int slave, struct err *e)
{
	auto_close int tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return err_sys(e, errno, "clone the terminal's mount");
	return mount_attach(rootfd, tree, "/dev/console", true, e);
}

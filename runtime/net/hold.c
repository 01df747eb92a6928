/* The keeper of packets. Sources: kernel Documentation/networking/tuntap.rst, packet(7), unix(7) (abstract names), drivers/net/tun.c (the queue is a
 * ring as long as txqueuelen).
 *
 * The kernel does the gathering; the keeper sleeps until it is asked. One connection at a time, one request (a letter, and a frame for 's') and one
 * answer each. Only root is listened to: any process of the network namespace could connect. */
#include "runtime/net/hold.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

#define REQUEST_SECONDS 5
#define TAP_TRIES 2000		 /* a millisecond each */
#define KEEP_MS (10 * 60 * 1000) /* whoever waits longer for an answer has given up, and a keeper that was forgotten must not stay for ever */
#define FRAME_MAX 65600
enum request { HOLD_SEND = 's', HOLD_RELEASE = 'r', HOLD_DROP = 'd' };

static socklen_t address(const char *host_end, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(sa->sun_path + 1, sizeof(sa->sun_path) - 1, "davit-hold-%s", host_end);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* The host's end is dv…, its tap dw…. */
static void tap_name(const char *host_end, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "%s", host_end);
	out[1] = 'w';
}

struct keeper {
	int tap, packet, listener;
	const char *host_end;
};

static void flush(const struct keeper *k)
{
	static uint8_t frame[FRAME_MAX];
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(k->host_end), .sll_halen = 6 };
	for (ssize_t n; (n = read(k->tap, frame, sizeof(frame))) > 0;)
		(void)sendto(k->packet, frame, (size_t)n, 0, (struct sockaddr *)&to, sizeof(to));
}

/* Returns false when the keeper's work is done. */
static bool obey(const struct keeper *k, const uint8_t *request, size_t n)
{
	if (request[0] == HOLD_SEND)
		(void)!write(k->tap, request + 1, n - 1);
	if (request[0] == HOLD_RELEASE)
		flush(k);
	return request[0] != HOLD_RELEASE && request[0] != HOLD_DROP;
}

static bool serve_one(const struct keeper *k)
{
	static uint8_t request[FRAME_MAX];
	const struct timeval limit = { .tv_sec = REQUEST_SECONDS };
	struct ucred who;
	socklen_t size = sizeof(who);
	auto_close int peer = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
		return true;
	(void)setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ssize_t n = recv(peer, request, sizeof(request), 0);
	if (n <= 0)
		return true;
	bool more = obey(k, request, (size_t)n);
	/* Whoever looks for a keeper from the answer on must not find this one. */
	if (!more)
		close(k->listener);
	(void)send(peer, "+", 1, MSG_NOSIGNAL);
	return more;
}

/* It needs what it has open and nothing more, and must not hold anything of its maker: a pipe or a lock would be held as long as it lives. */
static _Noreturn void keep(struct keeper k)
{
	const int keep_fds[] = { k.tap, k.packet, k.listener };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	setsid();
	(void)!chdir("/");
	prctl(PR_SET_NAME, "davit-hold");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (int i = 0; i < 3; i++)
		if (fcntl(keep_fds[i], F_DUPFD, 100) != 100 + i)
			_exit(1);
	syscall(SYS_close_range, 103, ~0U, 0);
	syscall(SYS_close_range, 0, 99, 0);
	k.tap = 100;
	k.packet = 101;
	k.listener = 102;
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	syscall(SYS_capset, &head, none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	while (fd_wait(k.listener, POLLIN, KEEP_MS, NULL) > 0 && serve_one(&k))
		;
	_exit(0);
}

/* Two forks: the keeper is nobody's child to wait for. */
static int start_keeper(const struct keeper *k, struct err *e)
{
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			keep(*k);
		_exit(pid < 0);
	}
	int status;
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		return err_set(e, ERR_RESOURCE, EAGAIN, "start the keeper of packets");
	return 0;
}

/* A connection to the keeper, or -1. */
static int connect_keeper(const char *host_end, struct err *e)
{
	struct sockaddr_un sa;
	socklen_t len = address(host_end, &sa);
	const struct timeval limit = { .tv_sec = 2 * REQUEST_SECONDS };
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "socket");
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return err_set(e, ERR_NOT_FOUND, errno, "keeper of the packets for %s", host_end);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return steal_fd(&fd);
}

static int ask(const char *host_end, enum request what, const void *frame, size_t n, struct err *e)
{
	static uint8_t request[FRAME_MAX];
	char answer;
	auto_close int fd = connect_keeper(host_end, e);
	if (fd < 0)
		return -1;
	if (n >= sizeof(request))
		return err_set(e, ERR_LIMIT, 0, "a frame of %zu bytes", n);
	request[0] = (uint8_t)what;
	if (n)
		memcpy(request + 1, frame, n);
	if (send(fd, request, n + 1, MSG_NOSIGNAL) < 0 || recv(fd, &answer, 1, 0) != 1)
		return err_sys(e, errno, "keeper of the packets for %s", host_end);
	return 0;
}

static int listen_on(const char *host_end, struct err *e)
{
	struct sockaddr_un sa;
	socklen_t len = address(host_end, &sa);
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 8) < 0)
		return err_sys(e, errno, "socket of the keeper of the packets for %s", host_end);
	return steal_fd(&fd);
}

static int set_up_tap(int sock, const char *name, unsigned mtu, struct err *e)
{
	struct ifreq r = { 0 };
	char path[80];
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	r.ifr_qlen = HOLD_FRAMES_MAX;
	if (ioctl(sock, SIOCSIFTXQLEN, &r) < 0)
		return err_sys(e, errno, "queue of %s", name);
	r.ifr_mtu = (int)mtu;
	if (mtu && ioctl(sock, SIOCSIFMTU, &r) < 0)
		return err_sys(e, errno, "MTU of %s", name);
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	(void)file_write_pseudo(AT_FDCWD, path, "1", NULL); /* a kernel without IPv6 has no such file */
	return 0;
}

/* The tap, not in the bridge yet. Returns an owned fd, or -1. It is gone with its last descriptor. */
static int make_tap(const char *host_end, unsigned mtu, struct err *e)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
	tap_name(host_end, r.ifr_name);
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sock < 0)
		return err_sys(e, errno, "open /dev/net/tun");
	/* That of a keeper which has just been let go is about to be removed. */
	for (int tries = 0; ioctl(fd, TUNSETIFF, &r) < 0; tries++) {
		if (errno != EBUSY || tries == TAP_TRIES)
			return err_sys(e, errno, "make tap %s", r.ifr_name);
		(void)nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
	}
	return set_up_tap(sock, r.ifr_name, mtu, e) < 0 ? -1 : steal_fd(&fd);
}

static int join(struct nl_sock *sk, const char *host_end, const char *bridge_name, struct err *e)
{
	char name[IFNAMSIZ];
	tap_name(host_end, name);
	auto_link struct rtnl_link *bridge = nl_link(sk, bridge_name, e), *tap = bridge ? nl_link(sk, name, e) : NULL;
	if (!tap)
		return -1;
	int rc = rtnl_link_enslave(sk, bridge, tap);
	return rc < 0 ? nl_fail(e, rc, "make %s a port of %s", name, bridge_name) : nl_set_up(sk, tap, e);
}

int hold_start(struct nl_sock *sk, const char *host_end, const char *bridge, unsigned mtu, struct err *e)
{
	auto_close int running = connect_keeper(host_end, NULL);
	if (running >= 0)
		return 0;
	auto_close int tap = make_tap(host_end, mtu, e);
	auto_close int packet = tap < 0 ? -1 : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: sends only */
	if (tap >= 0 && packet < 0)
		return err_sys(e, errno, "packet socket");
	auto_close int listener = tap < 0 ? -1 : listen_on(host_end, e);
	if (listener < 0 || join(sk, host_end, bridge, e) < 0)
		return -1;
	return start_keeper(&(struct keeper){ tap, packet, listener, host_end }, e);
}

int hold_send(const char *host_end, const void *frame, size_t n, struct err *e)
{
	return ask(host_end, HOLD_SEND, frame, n, e);
}

void hold_release(const char *host_end)
{
	(void)ask(host_end, HOLD_RELEASE, NULL, 0, NULL);
}

void hold_discard(const char *host_end)
{
	(void)ask(host_end, HOLD_DROP, NULL, 0, NULL);
}

/* A server whose connections tests/e2e/peer.py puts into states that a move must carry (linked statically; runs inside the tests' containers).
 *
 * It listens on port 7000 of both families. The first byte of a connection says what it is:
 *   e  echo what comes
 *   q  write BYTES bytes of a pattern that the client does not read at first, and read nothing itself until then; afterwards read to the end and
 *      answer with how many bytes came and their sum
 *   h  read to the end (the client has shut its side down), wait for WAIT seconds, then answer "bye"
 * and UDP port 7002 echoes. On port 7003 nothing is accepted until the file /tmp/accept is there; then it is as port 7000. Each connection has a
 * process of its own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES (8 << 20)
#define WAIT 1

static void all(int fd, const void *p, size_t n)
{
	for (const char *c = p; n > 0;) {
		ssize_t w = write(fd, c, n);
		if (w <= 0)
			_exit(1);
		c += w;
		n -= (size_t)w;
	}
}

static void echo(int fd)
{
	char b[4096];
	for (ssize_t n; (n = read(fd, b, sizeof(b))) > 0;)
		all(fd, b, (size_t)n);
}

static void queues(int fd)
{
	static uint8_t b[65536];
	uint64_t bytes = 0, sum = 0;
	char line[64];
	for (size_t at = 0; at < BYTES; at += sizeof(b)) {
		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = (uint8_t)((at + i) * 31 >> 3);
		all(fd, b, sizeof(b));
	}
	for (ssize_t n; (n = read(fd, b, sizeof(b))) > 0; bytes += (uint64_t)n)
		for (ssize_t i = 0; i < n; i++)
			sum += b[i];
	all(fd, line, (size_t)snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)bytes, (unsigned long long)sum));
}

static void half(int fd)
{
	char b[4096];
	while (read(fd, b, sizeof(b)) > 0)
		;
	sleep(WAIT);
	all(fd, "bye", 3);
}

static void serve(int fd)
{
	char what;
	if (read(fd, &what, 1) != 1)
		return;
	if (what == 'e')
		echo(fd);
	if (what == 'q')
		queues(fd);
	if (what == 'h')
		half(fd);
}

static int open_port(int type, uint16_t port)
{
	const struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type, 0), off = 0, on = 1;
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0)) {
		perror("peer");
		exit(1);
	}
	return fd;
}

static void datagrams(void)
{
	int fd = open_port(SOCK_DGRAM, 7002);
	struct sockaddr_storage from;
	char b[4096];
	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, b, sizeof(b), 0, (struct sockaddr *)&from, &size);
		if (n >= 0)
			(void)sendto(fd, b, (size_t)n, 0, (struct sockaddr *)&from, size);
	}
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (fork() == 0) {
			close(listener);
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}

int main(void)
{
	int listener = open_port(SOCK_STREAM, 7000), late = open_port(SOCK_STREAM, 7003);
	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0)
		datagrams();
	if (fork() == 0) {
		while (access("/tmp/accept", F_OK) < 0)
			usleep(20000);
		accept_all(late);
	}
	close(late);
	accept_all(listener);
}

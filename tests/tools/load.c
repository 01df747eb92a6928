/* A client of redis that never waits and forgets nothing: load ADDRESS PORT OUT KEYS BYTES.
 *
 * One connection, one request at a time: SET of one of KEYS keys (at random after each was set once) with a value of BYTES. Of every request
 * the start (CLOCK_MONOTONIC) and how long its answer took are kept; SIGTERM writes them to OUT, as pairs of 64-bit nanoseconds in this machine's
 * order, and ends. Prints "ready" when every key was set once. A wrong answer or a lost connection ends it with status 1. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS_MAX (8u << 20)
#define ANSWER "+OK\r\n"

struct request {
	uint64_t start, took;
};

static volatile sig_atomic_t ends;
static void on_term(int signal)
{
	(void)signal;
	ends = 1;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int dial(const char *address, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	const int one = 1;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 || connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return s;
}

static int set(int s, unsigned key, const char *value, size_t size)
{
	static char out[1 << 17];
	char answer[sizeof(ANSWER) - 1];
	int n = snprintf(out, 256, "*3\r\n$3\r\nSET\r\n$10\r\n%010u\r\n$%zu\r\n", key, size);
	memcpy(out + n, value, size);
	memcpy(out + n + size, "\r\n", 2);
	size_t length = (size_t)n + size + 2;
	for (size_t sent = 0; sent < length;) {
		ssize_t r = send(s, out + sent, length - sent, MSG_NOSIGNAL);
		if (r < 0)
			return -1;
		sent += (size_t)r;
	}
	return recv(s, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) && memcmp(answer, ANSWER, sizeof(answer)) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	unsigned keys = (unsigned)atoi(argv[4]), count = 0, seed = 1;
	size_t size = strtoul(argv[5], NULL, 10);
	static char value[1 << 16];
	struct request *all = calloc(REQUESTS_MAX, sizeof(*all));
	int s = dial(argv[1], argv[2]);
	if (s < 0 || !all || !keys || size > sizeof(value)) {
		perror("load");
		return 2;
	}
	/* Without SA_RESTART the signal would break an answer in two; the loop looks at the flag after each. */
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term, .sa_flags = SA_RESTART }, NULL);
	for (unsigned i = 0; !ends; i++) {
		unsigned key = i < keys ? i : (unsigned)rand_r(&seed) % keys;
		for (size_t b = 0; b < size; b += 64)
			value[b] = (char)rand_r(&seed);
		uint64_t start = now();
		if (set(s, key, value, size) < 0) {
			fprintf(stderr, "load: request %u got no answer\n", i);
			return 1;
		}
		all[count % REQUESTS_MAX] = (struct request){ start, now() - start };
		count++;
		if (i + 1 == keys) {
			puts("ready");
			fflush(stdout);
		}
	}
	FILE *out = fopen(argv[3], "w");
	size_t n = count < REQUESTS_MAX ? count : REQUESTS_MAX;
	return out && fwrite(all, sizeof(*all), n, out) == n && fclose(out) == 0 ? 0 : 1;
}

/* A workload that knows at every moment what its memory, its file and its connections must hold: the fault tests put it into the container that
 * moves.
 *
 * ledger PORT MEGABYTES FILE
 *
 * A writer takes pages of its memory in random order, verifies every byte of each against what it wrote there last, and writes it anew; the same with
 * blocks of FILE. A server answers on PORT, on each connection: a line with a number gets back the number, how many lines this connection brought,
 * how many writes were verified in all, how many were wrong, a number chosen at the start, and what went wrong first. Who asks can tell a copy that
 * is older than what it saw (fewer lines or writes), a second copy, and one that was started anew (another number). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define WORDS 512 /* of a page */
#define BLOCKS 64 /* of the file, a page each */
#define CLIENTS 16
#define BATCH 8
#define PAUSE_NS 4000000

static uint64_t (*pages)[WORDS];
static uint64_t *expected, n_pages, file_expected[BLOCKS], birth, dice;
static _Atomic uint64_t writes, wrong;
static char first[256];

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void complain(const char *what, uint64_t where, uint64_t is, uint64_t should)
{
	if (wrong++ == 0)
		snprintf(first, sizeof(first), "%s %" PRIu64 ": %" PRIx64 " instead of %" PRIx64, what, where, is, should);
}

static void fill(uint64_t *page, uint64_t at, uint64_t turn)
{
	for (uint64_t i = 0; i < WORDS; i++)
		page[i] = mix(at << 40 ^ turn << 10 ^ i ^ birth);
}

static void verify(const char *what, const uint64_t *page, uint64_t at, uint64_t turn)
{
	for (uint64_t i = 0; i < WORDS; i++) {
		uint64_t should = mix(at << 40 ^ turn << 10 ^ i ^ birth);
		if (page[i] != should) {
			complain(what, at, page[i], should);
			return;
		}
	}
}

static void one_page(void)
{
	uint64_t at = (dice = mix(dice)) % n_pages;
	if (expected[at])
		verify("page", pages[at], at, expected[at]);
	fill(pages[at], at, ++expected[at]);
	writes++;
}

static void one_block(int fd)
{
	static uint64_t block[WORDS];
	uint64_t at = (dice = mix(dice)) % BLOCKS;
	off_t place = (off_t)(at * sizeof(block));
	if (file_expected[at]) {
		if (pread(fd, block, sizeof(block), place) != (ssize_t)sizeof(block))
			complain("read of block", at, (uint64_t)errno, 0);
		else
			verify("block", block, at + n_pages, file_expected[at]);
	}
	fill(block, at + n_pages, file_expected[at] + 1);
	/* A host whose disk is full or read-only says so; what was there stays. */
	if (pwrite(fd, block, sizeof(block), place) == (ssize_t)sizeof(block))
		file_expected[at]++;
	writes++;
}

static void *write_for_ever(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int fd = *(int *)arg;
	for (;;) {
		for (int i = 0; i < BATCH; i++)
			one_page();
		one_block(fd);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void answer(int fd, const char *line, uint64_t lines)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64 " %s\n", (uint64_t)strtoull(line, NULL, 10),
			 lines, (uint64_t)writes, (uint64_t)wrong, birth, wrong ? first : "-");
	if (write(fd, text, (size_t)n) < 0) /* it is gone, and the next read says so */
		return;
}

/* Requests come one at a time, each in one piece that ends with a newline. */
static void serve_for_ever(int listener)
{
	struct pollfd p[CLIENTS + 1] = { { .fd = listener, .events = POLLIN } };
	uint64_t lines[CLIENTS + 1] = { 0 };
	nfds_t n = 1;
	char line[64];
	for (;;) {
		if (poll(p, n, -1) < 0)
			continue;
		for (nfds_t i = n; i-- > 1;) {
			if (!p[i].revents)
				continue;
			ssize_t got = read(p[i].fd, line, sizeof(line) - 1);
			if (got > 0) {
				line[got] = '\0';
				answer(p[i].fd, line, ++lines[i]);
				continue;
			}
			fprintf(stderr, "a connection ends after %" PRIu64 " lines: %s\n", lines[i],
				got < 0 ? strerror(errno) : "closed by the client");
			close(p[i].fd);
			p[i] = p[--n];
			lines[i] = lines[n];
		}
		if (p[0].revents && n <= CLIENTS) {
			int fd = accept(listener, NULL, NULL);
			if (fd < 0)
				continue;
			lines[n] = 0;
			p[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	pthread_t writer;
	int on = 1;
	if (argc != 4)
		return 2;
	n_pages = strtoull(argv[2], NULL, 10) * 256;
	here.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	int file = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pages = mmap(NULL, n_pages * sizeof(*pages), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expected = calloc(n_pages, sizeof(*expected));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (file < 0 || pages == MAP_FAILED || !expected || getrandom(&birth, sizeof(birth), 0) != sizeof(birth) ||
	    bind(listener, (const struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, CLIENTS) < 0) {
		perror("ledger");
		return 1;
	}
	dice = birth;
	if (pthread_create(&writer, NULL, write_for_ever, &file) != 0)
		return 1;
	serve_for_ever(listener);
}

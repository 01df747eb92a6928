/* Remembers memory for the tests of lazy restores: remember MIB. Fills MIB of anonymous memory, forks a child that changes a part of it and has
 * memory of its own, prints "ready", sleeps until the file /check appears, and then both look at every page: "right" or "wrong PAGE" for each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

/* Every eighth page stays zeros, every eighth is never touched; the others have a number that tells their place and owner. */
static uint64_t number(uint64_t page, unsigned owner)
{
	return (page * 0x9e3779b97f4a7c15ULL) ^ owner;
}

static void write_pages(uint8_t *p, uint64_t from, uint64_t to, unsigned owner)
{
	for (uint64_t i = from; i < to; i++) {
		uint64_t v = number(i, owner);
		if (i % 8 == 1)
			memset(p + i * PAGE, 0, PAGE);
		for (unsigned k = 0; i % 8 > 1 && k < PAGE; k += 256)
			memcpy(p + i * PAGE + k, &v, sizeof(v));
	}
}

static void check(const char *who, const uint8_t *p, uint64_t from, uint64_t to, unsigned owner)
{
	for (uint64_t i = from; i < to; i++)
		for (unsigned k = 0; k < PAGE; k += 256) {
			uint64_t v;
			memcpy(&v, p + i * PAGE + k, sizeof(v));
			if (v != (i % 8 > 1 ? number(i, owner) : 0)) {
				printf("%s: wrong %lu: %lx\n", who, (unsigned long)i, (unsigned long)v);
				exit(1);
			}
		}
	printf("%s: right %lu\n", who, (unsigned long)from);
	fflush(stdout);
}

static void wait_for_check(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	while (access("/check", F_OK) < 0)
		nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
	uint64_t pages = (uint64_t)atoi(argc > 1 ? argv[1] : "16") << 8, third = pages / 3;
	uint8_t *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	write_pages(p, 0, pages, 1);
	if (fork() == 0) {
		munmap(p + third * PAGE, third * PAGE); /* shared copies of what is left would only double the test's memory */
		write_pages(p, 0, third, 2);
		wait_for_check();
		check("child", p, 0, third, 2);
		check("child", p, 2 * third, pages, 1);
		pause();
	}
	printf("ready\n");
	fflush(stdout);
	wait_for_check();
	check("parent", p, 0, pages, 1);
	for (;;)
		pause();
}

/* Holds memory for tests and benchmarks: fill MIB [PAGES_A_SECOND]. Touches MIB of anonymous memory with contents that do not compress to nothing,
 * prints "ready", then writes PAGES_A_SECOND random pages each second (default 0: sleeps). Every page starts with its number and a count of its
 * writes, which are checked each time it is written again: a page that is lost or old ends the program with status 1. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t seed = 88172645463325252ULL;
static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void fill(uint64_t *memory, uint64_t pages)
{
	for (uint64_t p = 0; p < pages; p++) {
		uint64_t *page = memory + p * WORDS;
		for (size_t i = 2; i < WORDS; i++)
			page[i] = next();
		page[0] = p;
		page[1] = 0;
	}
}

static void write_page(uint64_t *memory, uint32_t *counts, uint64_t p)
{
	uint64_t *page = memory + p * WORDS;
	if (page[0] != p || page[1] != counts[p]) {
		fprintf(stderr, "page %" PRIu64 ": number %" PRIu64 " count %" PRIu64 ", not %" PRIu32 "\n", p, page[0], page[1], counts[p]);
		exit(1);
	}
	page[1] = ++counts[p];
}

int main(int argc, char **argv)
{
	uint64_t pages = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1) * 256, rate = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t *counts = calloc(pages, sizeof(*counts));
	if (memory == MAP_FAILED || !counts || !pages)
		return 2;
	fill(memory, pages);
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (uint64_t i = 0; i < rate / 100; i++)
			write_page(memory, counts, next() % pages);
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

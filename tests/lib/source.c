/* See source.h. What CRIU's lazy dump leaves behind: present pages of private anonymous mappings (CRIU's vma_entry_can_be_lazy). */
#include "tests/lib/source.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "proto/memory.h"

#define PAGE 4096UL
#define CHUNK 16UL /* pages */

static volatile sig_atomic_t asked_for_rest;
static void on_signal(int sig)
{
	(void)sig;
	asked_for_rest = 1;
}

struct process {
	int mem, pagemap;
	unsigned pid;
	FILE *maps;
};

static int put(int sock, enum memory_type type, unsigned pid, uint64_t vaddr, uint64_t pages, uint64_t value)
{
	const struct memory_record r = { .type = type, .pid = pid, .vaddr = vaddr, .pages = pages, .value = value };
	uint8_t head[MEMORY_RECORD_SIZE];
	memory_put(&r, head);
	return fd_write_all(sock, head, sizeof(head), NULL);
}

/* Present pages as DATA, others as ZERO if they were asked for. */
static int send_pages(int sock, const struct process *p, uint64_t vaddr, uint64_t pages, bool all)
{
	static uint8_t data[CHUNK * PAGE];
	uint64_t entry[CHUNK];
	for (uint64_t i = 0, n; i < pages; i += n) {
		uint64_t at = vaddr + i * PAGE;
		n = MIN(pages - i, CHUNK);
		if (pread(p->pagemap, entry, n * 8, (off_t)(at / PAGE * 8)) != (ssize_t)(n * 8))
			return -1;
		for (uint64_t k = 0, run; k < n; k += run) {
			bool present = entry[k] >> 62;
			for (run = 1; k + run < n && (bool)(entry[k + run] >> 62) == present; run++)
				;
			if (present && (pread(p->mem, data, run * PAGE, (off_t)(at + k * PAGE)) != (ssize_t)(run * PAGE) ||
					put(sock, MEMORY_DATA, p->pid, at + k * PAGE, run, 0) < 0 || fd_write_all(sock, data, run * PAGE, NULL) < 0))
				return -1;
			if (!present && all && put(sock, MEMORY_ZERO, p->pid, at + k * PAGE, run, 0) < 0)
				return -1;
		}
	}
	return 0;
}

static int send_some(int sock, const struct process *p, const char *mode)
{
	char line[512], perms[5];
	unsigned long start, end, inode, count = 0;
	int rc = 0;
	rewind(p->maps);
	while (rc == 0 && fgets(line, sizeof(line), p->maps)) {
		if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &start, &end, perms, &inode) != 4 || perms[3] != 'p' || inode || strstr(line, "[v"))
			continue;
		for (unsigned long at = start; rc == 0 && at < end; at += CHUNK * PAGE) {
			unsigned long pages = MIN(CHUNK, (end - at) / PAGE);
			if (!strcmp(mode, "all") || count++ % 2 == 0)
				rc = send_pages(sock, p, at, pages, false);
			else
				rc = put(sock, MEMORY_DROP, p->pid, at, pages, 0);
		}
	}
	return rc;
}

static int send_all(int sock, const struct process *p, size_t n, const char *mode)
{
	for (size_t i = 0; i < n; i++)
		if (send_some(sock, &p[i], mode) < 0)
			return -1;
	return 0;
}

static int answer(int sock, const struct process *p, size_t n)
{
	uint8_t head[MEMORY_RECORD_SIZE];
	struct memory_record r;
	if (fd_read_exact(sock, head, sizeof(head), NULL) != 1 || memory_get(head, MEMORY_OF_TARGET, PAGE, &r, NULL) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (p[i].pid == r.pid)
			return send_pages(sock, &p[i], r.vaddr, r.pages, true);
	return -1;
}

static void open_process(struct process *p, const char *text)
{
	char path[64];
	int host;
	if (sscanf(text, "%d:%u", &host, &p->pid) != 2)
		exit(2);
	snprintf(path, sizeof(path), "/proc/%d/mem", host);
	p->mem = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", host);
	p->pagemap = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", host);
	p->maps = fopen(path, "r");
	if (p->mem < 0 || p->pagemap < 0 || !p->maps)
		exit(2);
}

void source_serve(int sock, const char *mode, char **processes, size_t n)
{
	struct process *p = calloc(n, sizeof(*p));
	const struct sigaction sa = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &sa, NULL);
	for (size_t i = 0; i < n; i++)
		open_process(&p[i], processes[i]);
	int rc = strcmp(mode, "none") ? send_all(sock, p, n, mode) : 0;
	if (rc == 0)
		rc = put(sock, MEMORY_MARK, 0, 0, 0, 1);
	while (rc == 0) {
		struct pollfd f = { .fd = sock, .events = POLLIN };
		if (asked_for_rest && (asked_for_rest = 0, send_all(sock, p, n, "all") < 0 || put(sock, MEMORY_END, 0, 0, 0, 0) < 0))
			break;
		if (poll(&f, 1, 50) > 0)
			rc = answer(sock, p, n);
	}
}

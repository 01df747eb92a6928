/* A page store between a source that the test plays and tasks that it makes, as CRIU's restore would. */
#pragma once
#include "tests/unit/unit.h"
#include <dirent.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/file.h"
#include "base/proc.h"
#include "proto/memory.h"
#include "proto/pb.h"
#include "runtime/pagestore/arena.h"
#include "runtime/pagestore/pagestore.h"

#define PAGE 4096UL
#define PAGES 256UL
#define REGION (ARENA_REGION_PAGES * PAGE)
#define PID 7
#define LIMIT (64UL << 20)
#define WAIT_MS 60000

struct world {
	char dir[64];
	int images, memory;
	uint8_t *mapping;
	uint8_t *area; /* where the task has its memory: within one region of the store, as what is fetched ahead ends with it */
	struct err e;
};

static inline uint8_t content(uint64_t page)
{
	return (uint8_t)(1 + page % 250);
}

/* Two entries with what lies between them left out, as CRIU writes an image. */
static inline void write_pagemap(const struct world *w, uint64_t vaddr, uint64_t pages)
{
	uint8_t b[64] = { 0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56, 2, 0, 0, 0, 0x08, 1 };
	size_t n = 14, at = n;
	n += 4;
	b[n++] = 0x08;
	for (uint64_t v = vaddr; n < sizeof(b); v >>= 7) {
		b[n++] = (uint8_t)(v & 0x7f) | (v >= 0x80 ? 0x80 : 0);
		if (v < 0x80)
			break;
	}
	b[n++] = 0x10;
	b[n++] = (uint8_t)(pages & 0x7f) | 0x80;
	b[n++] = (uint8_t)(pages >> 7);
	b[n++] = 0x20;
	b[n++] = 2; /* lazy */
	b[at] = (uint8_t)(n - at - 4);
	assert_int_equal(file_write_atomic(w->images, "pagemap-7.img", b, n, 0644, false, NULL), 0);
}

static inline int set_up(void **state)
{
	static struct world world;
	struct world *w = &world;
	*w = (struct world){ .dir = "/tmp/davit-pagestore.XXXXXX" };
	assert_non_null(mkdtemp(w->dir));
	w->images = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w->mapping = mmap(NULL, REGION + PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->area = w->mapping + (-(uintptr_t)w->mapping & (REGION - 1));
	write_pagemap(w, (uintptr_t)w->area, PAGES);
	const struct pagestore_options o = { .folder = w->dir, .work = w->dir, .images_dirfd = w->images, .limit = LIMIT };
	w->memory = pagestore_start(&o, &w->e);
	if (w->memory < 0)
		fail_msg("%s", w->e.msg);
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;
	assert_int_equal(pagestore_end(w->dir, &w->e), 0);
	fd_closep(&w->memory);
	fd_closep(&w->images);
	munmap(w->mapping, REGION + PAGES * PAGE);
	file_remove_tree(AT_FDCWD, w->dir, NULL);
	return 0;
}

static inline void put(const struct world *w, enum memory_type type, uint64_t page, uint64_t pages, bool dirty)
{
	struct memory_record r = { .type = type, .pid = PID, .vaddr = (uintptr_t)w->area + page * PAGE, .pages = pages };
	uint8_t head[MEMORY_RECORD_SIZE], bytes[PAGE];
	if (type == MEMORY_END || type == MEMORY_MARK)
		r = (struct memory_record){ .type = type, .value = type == MEMORY_MARK ? page : 0 };
	memory_put(&r, head);
	assert_int_equal(fd_write_all(w->memory, head, sizeof(head), NULL), 0);
	for (uint64_t i = page; type == MEMORY_DATA && i < page + pages; i++) {
		memset(bytes, dirty ? 0xff : content(i), sizeof(bytes));
		assert_int_equal(fd_write_all(w->memory, bytes, sizeof(bytes), NULL), 0);
	}
}

/* The next FETCH: the page that it begins with, and *pages; the rest is read over. */
static inline uint64_t fetched(const struct world *w, uint64_t *pages)
{
	uint8_t head[MEMORY_RECORD_SIZE];
	struct memory_record r;
	assert_true(fd_wait(w->memory, POLLIN, WAIT_MS, NULL) > 0);
	assert_int_equal(fd_read_exact(w->memory, head, sizeof(head), NULL), 1);
	assert_int_equal(memory_get(head, MEMORY_OF_TARGET, PAGE, &r, NULL), 0);
	assert_int_equal(r.pid, PID);
	*pages = r.pages;
	return (r.vaddr - (uintptr_t)w->area) / PAGE;
}

static inline void send_task(int sock, int32_t pid, int uffd)
{
	assert_int_equal(send(sock, &pid, sizeof(pid), 0), sizeof(pid));
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.head), &uffd, sizeof(uffd));
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	assert_int_equal(sendmsg(sock, &m, 0), 1);
}

static inline int connect_criu(const struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/lazy-pages.socket", w->dir);
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(sock, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

/* In a child: memory that is missing as in a restore that goes on; its descriptor is handed over. Returns the connection. */
static inline int begin_task(const struct world *w)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features =
				      UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE };
	struct uffdio_register reg = { .range = { (uintptr_t)w->area, PAGES * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	madvise(w->area, PAGES * PAGE, MADV_DONTNEED);
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), sock = connect_criu(w);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || ioctl(uffd, UFFDIO_REGISTER, &reg) < 0)
		_exit(99);
	send_task(sock, PID, uffd);
	int32_t zombie = -9;
	(void)!send(sock, &zombie, sizeof(zombie), 0);
	close(uffd);
	return sock;
}

/* … as after one; false: without the last word. */
static inline void become_task(const struct world *w, bool finish)
{
	int32_t end = 0x52535446;
	int sock = begin_task(w);
	if (finish)
		(void)!send(sock, &end, sizeof(end), 0);
	close(sock);
}

static inline bool holds(const uint8_t *p, uint64_t page, uint64_t pages)
{
	for (uint64_t i = 0; i < pages * PAGE; i += 512)
		if (p[i] != content(page + i / PAGE))
			return false;
	return true;
}
static inline bool is_zero(const uint8_t *p, uint64_t pages)
{
	for (uint64_t i = 0; i < pages * PAGE; i += 512)
		if (p[i])
			return false;
	return true;
}

/* A task whose life is `live`; its exit status is what that returns. */
static inline pid_t start_task(const struct world *w, int (*live)(const struct world *w))
{
	static uint64_t round;
	put(w, MEMORY_MARK, ++round, 0, false);
	assert_int_equal(pagestore_restore(w->dir, round, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(WAIT_MS / 1000);
		become_task(w, true);
		_exit(live(w));
	}
	return pid;
}
static inline int status_of(pid_t pid)
{
	return proc_exit_code(proc_wait(pid, WAIT_MS, NULL));
}

static inline Davit__MemoryStatus *wait_complete(struct world *w)
{
	Davit__MemoryStatus *s = pagestore_wait(w->dir, -1, NULL, NULL, &w->e);
	if (!s)
		fail_msg("%s", w->e.msg);
	assert_true(s->complete);
	return s;
}
static inline int look(const struct world *w)
{
	return holds(w->area, 0, PAGES) ? 0 : 1;
}

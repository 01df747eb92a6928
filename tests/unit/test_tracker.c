/* The tracker against processes that do all that moves pages about: at the freeze the memory that was sent is the memory that is there. */
#include "tests/unit/unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "proto/memory.h"
#include "runtime/track/maps.h"
#include "runtime/track/pagemap.h"
#include "runtime/track/pageset.h"
#include "runtime/track/tracker.h"

#define PAGE 4096
#define AREA (8 << 20)
#define SLOTS 6
#define ROUNDS 12

static uint64_t random_number(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

static void pause_us(long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
	nanosleep(&t, NULL);
}

static char *map_area(void)
{
	char *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* One change of the address space, or a few writes. */
static void change_something(char **slot, uint64_t *seed, bool exec_too)
{
	char **p = &slot[random_number(seed) % SLOTS], **q = &slot[random_number(seed) % SLOTS];
	size_t at = random_number(seed) % (AREA / PAGE / 2) * PAGE, n = (1 + random_number(seed) % 64) * PAGE;
	switch (random_number(seed) % 40) {
	case 0:
		munmap(*p, AREA);
		*p = map_area();
		break;
	case 1: /* a mapping takes the place of another */
		if (p != q && mremap(*p, AREA, AREA, MREMAP_MAYMOVE | MREMAP_FIXED, *q) == *q)
			*p = map_area();
		break;
	case 2:
		madvise(*p + at, n, MADV_DONTNEED);
		break;
	case 3: /* written, and not readable any more */
		mprotect(*p + at, PAGE, PROT_READ | PROT_WRITE);
		memset(*p + at, (int)random_number(seed), PAGE);
		mprotect(*p + at, PAGE, PROT_NONE);
		break;
	case 4:
		mprotect(*p, AREA, PROT_READ | PROT_WRITE);
		break;
	case 5:
		if (fork() == 0)
			_exit(0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		break;
	case 6:
		if (exec_too && random_number(seed) % 20 == 0)
			execl("/proc/self/exe", "work", "work", NULL);
		break;
	case 7:
		mprotect(*p + AREA / 2, n, PROT_READ | PROT_WRITE);
		for (size_t i = 0; i < n; i += PAGE) /* only read: pages of zeros */
			(void)*(volatile char *)(*p + AREA / 2 + i);
		break;
	default:
		mprotect(*p + at, n, PROT_READ | PROT_WRITE);
		memset(*p + at, (int)random_number(seed), n);
	}
}

/* Until it is killed. */
static _Noreturn void work(bool exec_too)
{
	char *slot[SLOTS];
	uint64_t seed = (uint64_t)getpid() * 77 + (uint64_t)clock_now_ns(CLOCK_MONOTONIC);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGSEGV, SIG_DFL); /* not cmocka's */
	for (size_t i = 0; i < SLOTS; i++)
		slot[i] = map_area();
	for (;;) {
		change_something(slot, &seed, exec_too);
		pause_us(200);
	}
}

/* A group whose reads take their time: 4 MiB a second of the disk that holds the folder. False: there is no such limit here. */
#define SLOW "/sys/fs/cgroup/blkio/davit-test-direct"
static bool make_slow_group(const char *folder)
{
	struct stat st;
	char limit[64];
	if (stat(folder, &st) < 0 || (mkdir(SLOW, 0755) < 0 && errno != EEXIST))
		return false;
	snprintf(limit, sizeof(limit), "%u:%u %d", major(st.st_dev), minor(st.st_dev), 4 << 20);
	return file_write_pseudo(AT_FDCWD, SLOW "/blkio.throttle.read_bps_device", limit, NULL) == 0;
}

static int remove_slow_group(void **state)
{
	(void)state;
	return rmdir(SLOW) < 0 && errno != ENOENT ? -1 : 0;
}

static void begin_anew(int sig)
{
	(void)sig;
	execl("/proc/self/exe", "work", "direct", NULL);
	_exit(1);
}

/* Reads into its pages past the page cache: the device writes to them, at a time when the process does not. */
static _Noreturn void read_directly(void)
{
	enum { BLOCK = 64 * PAGE, PLACES = AREA / BLOCK };
	char path[] = "/tmp/davit-direct.XXXXXX", *area = map_area();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, begin_anew);
	int fd = mkstemp(path);
	unlink(path);
	memset(area, 7, BLOCK);
	if (pwrite(fd, area, BLOCK, 0) != BLOCK || fsync(fd) < 0 || fcntl(fd, F_SETFL, O_DIRECT) < 0)
		_exit(1);
	if (file_write_pseudo(AT_FDCWD, SLOW "/cgroup.procs", "0", NULL) < 0)
		_exit(1);
	memset(area, 1, AREA);
	for (int i = 0; pread(fd, area + i % PLACES * BLOCK, BLOCK, 0) == BLOCK; i++)
		;
	_exit(1);
}

/* Processes of this group that live. */
static int pids_of_group(void *arg, pid_t **pids, size_t *n, struct err *e)
{
	const pid_t *group = arg;
	size_t cap = 0;
	DIR *d = opendir("/proc");
	*pids = NULL;
	*n = 0;
	for (struct dirent *x; d && (x = readdir(d));) {
		char path[300], line[512], state;
		int parent, of;
		snprintf(path, sizeof(path), "/proc/%s/stat", x->d_name);
		if (x->d_name[0] < '0' || x->d_name[0] > '9' || file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) < 0)
			continue;
		if (sscanf(strrchr(line, ')') + 1, " %c %d %d", &state, &parent, &of) != 3 || of != *group || state == 'Z')
			continue;
		if (mem_grow(pids, &cap, *n + 1, sizeof(**pids), e) < 0)
			break;
		(*pids)[(*n)++] = (pid_t)strtol(x->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
	return 0;
}

/* What the target would have: a sparse file for each process. */
struct copy {
	pid_t pid;
	int file;
	struct pageset known;
};
struct target {
	struct copy copies[64];
	size_t n;
	struct memory_record last;
	size_t offset;
	struct memory_report report;
	uint8_t report_bytes[MEMORY_REPORT_SIZE];
	bool done, ended;
};

static struct copy *copy_of(struct target *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->copies[i].pid == pid)
			return &t->copies[i];
	assert_true(t->n < ARRAY_LEN(t->copies));
	t->copies[t->n] = (struct copy){ .pid = pid, .file = memfd_create("copy", MFD_CLOEXEC) };
	return &t->copies[t->n++];
}

static int on_record(void *arg, const struct memory_record *r, struct err *e)
{
	static const uint8_t zeros[PAGE];
	struct target *t = arg;
	struct copy *c = r->pid ? copy_of(t, (pid_t)r->pid) : NULL;
	t->last = *r;
	t->offset = 0;
	if (r->type == MEMORY_DROP)
		pageset_remove(&c->known, r->vaddr / PAGE, r->pages ? r->pages : MEMORY_ADDRESS_MAX / PAGE);
	if (r->type == MEMORY_ZERO || r->type == MEMORY_DATA)
		assert_int_equal(pageset_add(&c->known, r->vaddr / PAGE, r->pages, e), 0);
	for (uint64_t i = 0; r->type == MEMORY_ZERO && i < r->pages; i++)
		assert_int_equal(pwrite(c->file, zeros, PAGE, (off_t)(r->vaddr + i * PAGE)), PAGE);
	t->ended |= r->type == MEMORY_END;
	return 0;
}

static int on_data(void *arg, const uint8_t *p, size_t n, uint64_t left, struct err *e)
{
	struct target *t = arg;
	(void)e;
	if (t->last.type == MEMORY_FAILED)
		fail_msg("FAILED: %.*s", (int)n, (const char *)p);
	if (t->last.type == MEMORY_DATA)
		assert_int_equal(pwrite(copy_of(t, (pid_t)t->last.pid)->file, p, n, (off_t)(t->last.vaddr + t->offset)), n);
	else
		memcpy(t->report_bytes + t->offset, p, n);
	t->offset += n;
	if (t->last.type == MEMORY_ROUND_DONE && left == 0) {
		memory_get_report(t->report_bytes, &t->report);
		t->done = true;
	}
	return 0;
}

static void command(int sock, enum memory_type type, uint64_t number, uint16_t flags)
{
	uint8_t bytes[MEMORY_RECORD_SIZE];
	memory_put(&(struct memory_record){ .type = type, .flags = flags, .value = number }, bytes);
	assert_int_equal(write(sock, bytes, sizeof(bytes)), sizeof(bytes));
}

static void receive_until(int sock, struct target *t, struct memory_reader *in, const bool *until)
{
	static uint8_t piece[1 << 18];
	const struct memory_sink sink = { on_record, on_data, t };
	struct err e = { 0 };
	while (!*until) {
		ssize_t n = read(sock, piece, sizeof(piece));
		if (n <= 0)
			fail_msg("the tracker has ended");
		if (memory_feed(in, &sink, piece, (size_t)n, &e) < 0)
			fail_msg("%s", e.msg);
	}
}

/* One that waits for its device stops only afterwards. */
static bool is_stopped(pid_t pid)
{
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return file_read_line(AT_FDCWD, path, line, sizeof(line), NULL) < 0 || strncmp(strrchr(line, ')'), ") T", 3) == 0;
}

static void stand_still(pid_t group)
{
	size_t before = 0, n = 1;
	for (int quiet = 0; quiet < 3; before = n) {
		auto_free pid_t *pids = NULL;
		kill(-group, SIGSTOP);
		pause_us(20000);
		assert_int_equal(pids_of_group(&group, &pids, &n, NULL), 0);
		quiet = n == before ? quiet + 1 : 0;
		for (size_t i = 0; i < n; i++)
			if (!is_stopped(pids[i]))
				quiet = 0;
	}
}

static void assert_page(const struct copy *c, pid_t pid, int mem, uint64_t address, size_t *compared)
{
	uint8_t theirs[PAGE], ours[PAGE];
	bool known;
	pageset_run(&c->known, address / PAGE, 1, &known);
	if (!known)
		fail_msg("process %d: the page at 0x%lx was not sent", pid, address);
	assert_int_equal(pread(mem, theirs, PAGE, (off_t)address), PAGE);
	assert_int_equal(pread(c->file, ours, PAGE, (off_t)address), PAGE);
	if (memcmp(theirs, ours, PAGE) != 0)
		fail_msg("process %d: the page at 0x%lx is 0x%02x there, 0x%02x here", pid, address, theirs[0], ours[0]);
	(*compared)++;
}

/* Every page that a process has is known, and is the same. */
static size_t assert_same(struct target *t, pid_t group)
{
	auto_free pid_t *pids = NULL;
	size_t n, compared = 0;
	assert_int_equal(pids_of_group(&group, &pids, &n, NULL), 0);
	assert_true(n >= 2);
	for (size_t i = 0; i < n; i++) {
		struct maps m = { 0 };
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/mem", pids[i]);
		int pagemap = pagemap_open(pids[i], NULL), mem = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(maps_read(pids[i], &m, NULL), 0);
		for (size_t k = 0; k < m.n; k++) {
			struct pagemap_scan s = { .look = PAGEMAP_EXISTING, .start = m.v[k].start, .end = m.v[k].end };
			struct page_region r[64];
			while (s.start < s.end) {
				int found = pagemap_step(pagemap, &s, r, ARRAY_LEN(r), NULL);
				assert_true(found >= 0);
				for (int j = 0; j < found; j++)
					for (uint64_t a = r[j].start; a < r[j].end; a += PAGE)
						assert_page(copy_of(t, pids[i]), pids[i], mem, a, &compared);
			}
		}
		close(pagemap);
		close(mem);
		maps_free(&m);
	}
	return compared;
}

static pid_t start_work(bool direct)
{
	pid_t group = fork();
	if (group == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			work(true);
		if (direct)
			read_directly();
		work(false);
	}
	setpgid(group, group);
	pause_us(100000);
	return group;
}

static pid_t start_tracker(pid_t *group, int *sock)
{
	int sv[2];
	assert_int_equal(fd_socketpair(SOCK_STREAM, sv, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = { 0 };
		close(sv[0]);
		int r = tracker_serve(sv[1], pids_of_group, group, &e);
		if (r < 0)
			dprintf(2, "tracker: %s\n", e.msg);
		_exit(r < 0);
	}
	close(sv[1]);
	*sock = sv[0];
	return pid;
}

static void end_all(pid_t tracker, pid_t group, int sock, struct target *t)
{
	int status;
	command(sock, MEMORY_CLOSE, 0, 0);
	assert_int_equal(waitpid(tracker, &status, 0), tracker);
	assert_int_equal(status, 0);
	kill(-group, SIGKILL);
	while (waitpid(-group, NULL, 0) > 0)
		;
	for (size_t i = 0; i < t->n; i++) {
		close(t->copies[i].file);
		pageset_free(&t->copies[i].known);
	}
	close(sock);
}

static void move(bool direct, uint64_t rounds, uint16_t last)
{
	struct target t = { 0 };
	struct memory_reader in = { .allowed = MEMORY_OF_SOURCE, .page_size = PAGE };
	pid_t group = start_work(direct);
	int sock;
	pid_t tracker = start_tracker(&group, &sock);
	for (uint64_t round = 1; round <= rounds; round++) {
		t.done = false;
		command(sock, MEMORY_ROUND, round, 0);
		receive_until(sock, &t, &in, &t.done);
		assert_int_equal(t.report.processes >= 1, 1);
		pause_us(20000);
	}
	/* It is not tracked any more: another program has to be noticed without. */
	if (direct && kill(group, SIGUSR1) == 0)
		pause_us(200000);
	stand_still(group);
	t.done = false;
	command(sock, MEMORY_ROUND, rounds + 1, MEMORY_FINAL | last);
	receive_until(sock, &t, &in, &t.done);
	if (last) {
		command(sock, MEMORY_REST, 0, 0);
		receive_until(sock, &t, &in, &t.ended);
	}
	assert_true(assert_same(&t, group) > 100);
	end_all(tracker, group, sock, &t);
}

static void all_that_was_written_arrives_by_the_last_round(void **state)
{
	(void)state;
	move(false, ROUNDS, 0);
}

static void what_is_withheld_arrives_with_the_rest(void **state)
{
	(void)state;
	move(false, ROUNDS, MEMORY_WITHHOLD);
}

static void without_rounds_all_of_it_is_the_rest(void **state)
{
	(void)state;
	move(false, 0, MEMORY_WITHHOLD);
	move(false, 0, 0);
}

static void what_a_device_writes_into_pages_arrives(void **state)
{
	(void)state;
	if (!make_slow_group("/tmp")) {
		print_message("no cgroup v1 that slows a disk down\n");
		skip();
	}
	move(true, ROUNDS, 0);
	move(true, ROUNDS, MEMORY_WITHHOLD);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_written_arrives_by_the_last_round),
		cmocka_unit_test(what_is_withheld_arrives_with_the_rest),
		cmocka_unit_test(without_rounds_all_of_it_is_the_rest),
		cmocka_unit_test_teardown(what_a_device_writes_into_pages_arrives, remove_slow_group),
	};
	if (argc > 1 && strcmp(argv[1], "direct") == 0)
		read_directly();
	if (argc > 1)
		work(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

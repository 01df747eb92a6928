/* What a userfaultfd of another process tells: which of its pages were written. */
#include "tests/unit/unit.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include "runtime/track/pagemap.h"
#include "runtime/track/uffd.h"

static size_t count(int pagemap, enum pagemap_look look, const char *p, size_t n)
{
	struct pagemap_scan s = { .look = look, .start = (uintptr_t)p, .end = (uintptr_t)p + n };
	struct page_region r[64];
	size_t pages = 0;
	while (s.start < s.end) {
		int found = pagemap_step(pagemap, &s, r, ARRAY_LEN(r), NULL);
		assert_true(found >= 0);
		for (int i = 0; i < found; i++)
			pages += (r[i].end - r[i].start) / 4096;
	}
	return pages;
}

static void written_pages_are_found_and_others_are_not(void **state)
{
	enum { PAGES = 256 };
	struct err e = { 0 };
	uint64_t us;
	char go;
	int wake[2], back[2], status;
	char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
	assert_int_equal(pipe(wake), 0);
	assert_int_equal(pipe(back), 0);
	pid_t pid = fork();
	if (pid == 0) {
		memset(p, 1, 100 * 4096);
		assert_int_equal(write(back[1], "x", 1), 1);
		assert_int_equal(read(wake[0], &go, 1), 1);
		p[5 * 4096] = 2;
		assert_int_equal(read(wake[0], p + 9 * 4096, 1), 1); /* the kernel writes */
		p[200 * 4096] = 3;				     /* was empty */
		assert_int_equal(write(back[1], "x", 1), 1);
		assert_int_equal(read(wake[0], &go, 1), 1);
		p[6 * 4096] = 4;
		/* Behind it something is mapped anew, which nobody has registered. */
		char *anew = mmap(p + 220 * 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		*anew = 5;
		assert_int_equal(write(back[1], "x", 1), 1);
		_exit(read(wake[0], &go, 1) == 1 ? 0 : 1);
	}
	assert_int_equal(read(back[0], &go, 1), 1);
	int uffd = uffd_of_process(pid, &us, &e), pagemap = pagemap_open(pid, &e);
	assert_true(uffd >= 0 && pagemap >= 0);
	uint64_t start = (uintptr_t)p, end = start + PAGES * 4096;
	assert_false(pagemap_is_tracked(pagemap, start, end));
	assert_int_equal(uffd_register(uffd, pagemap, start, end, &e), 0);
	assert_true(pagemap_is_tracked(pagemap, start, end));
	assert_int_equal(count(pagemap, PAGEMAP_EXISTING, p, PAGES * 4096), 100);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN_TAKE, p, PAGES * 4096), 100);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN, p, PAGES * 4096), 0);
	assert_int_equal(write(wake[1], "ab", 2), 2);
	assert_int_equal(read(back[0], &go, 1), 1);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN, p, PAGES * 4096), 3);
	assert_int_equal(uffd_register(uffd, pagemap, start, end, &e), 1);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN_TAKE, p, PAGES * 4096), 3);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN, p, PAGES * 4096), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(read(back[0], &go, 1), 1);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN, p, PAGES * 4096), 2);
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN_TAKE, p, PAGES * 4096), 1); /* what is taken is told, although not all of it can be */
	assert_int_equal(count(pagemap, PAGEMAP_WRITTEN, p, PAGES * 4096), 1);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(uffd_register(uffd, pagemap, start, end, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	close(uffd);
	close(pagemap);
	munmap(p, PAGES * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_pages_are_found_and_others_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

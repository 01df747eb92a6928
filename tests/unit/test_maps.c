/* Which mappings travel page by page, and which are gone. */
#include "tests/unit/unit.h"
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/str.h"
#include "runtime/track/maps.h"

static void private_anonymous_mappings_are_taken(void **state)
{
	static const struct {
		const char *line;
		bool taken;
	} cases[] = {
		{ "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n", true },
		{ "7f0000000000-7f0000001000 ---p 00000000 00:00 0\n", true },
		{ "55d0000000-55d0021000 rw-p 00000000 00:00 0                          [heap]\n", true },
		{ "7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]\n", true },
		{ "7f0000000000-7f0000001000 rw-p 00000000 00:00 0                          [anon:jemalloc]\n", true },
		{ "7f0000000000-7f0000001000 rw-s 00000000 00:01 1024                       /dev/zero (deleted)\n", false },
		{ "7f0000000000-7f0000001000 rw-p 00000000 00:05 4                          /dev/zero\n", false },
		{ "7f0000000000-7f0000200000 rw-p 00000000 00:0f 93                         /anon_hugepage (deleted)\n", false },
		{ "7f0000000000-7f0000001000 rw-p 00003000 fe:00 1234                       /lib/libc.so.6\n", false },
		{ "7ffe00000000-7ffe00004000 r--p 00000000 00:00 0                          [vvar]\n", false },
		{ "7ffe00000000-7ffe00004000 r--p 00000000 00:00 0                          [vvar_vclock]\n", false },
		{ "7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                          [vdso]\n", false },
		{ "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n", false },
		{ "nonsense\n", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mapping m;
		if (maps_take_line(cases[i].line, &m) != cases[i].taken)
			fail_msg("%s", cases[i].line);
	}
}

static bool found(const struct maps *m, const void *p)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].start <= (uintptr_t)p && (uintptr_t)p < m->v[i].end)
			return true;
	return false;
}

static void locked_mappings_are_left_to_criu(void **state)
{
	struct maps m = { 0 };
	struct err e = { 0 };
	/* Between others, so that the kernel does not make one mapping of them. */
	char *p = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(mprotect(p + 3 * 4096, 4096, PROT_READ | PROT_WRITE), 0);
	/* The call itself: the sanitizers make mlock() do nothing. */
	if (syscall(SYS_mlock, p + 4096, 4096) < 0)
		skip();
	assert_int_equal(maps_read(getpid(), &m, &e), 0);
	assert_false(found(&m, p + 4096));
	assert_true(found(&m, p + 3 * 4096));
	assert_true(found(&m, p));
	assert_int_equal(syscall(SYS_munlock, p + 4096, 4096), 0);
	assert_int_equal(maps_read(getpid(), &m, &e), 0);
	assert_true(found(&m, p + 4096));
	munmap(p, 5 * 4096);
	maps_free(&m);
}

static int note(void *arg, uint64_t start, uint64_t end, struct err *e)
{
	return buf_printf(arg, e, "%llu-%llu ", (unsigned long long)start, (unsigned long long)end);
}

static void what_is_gone_is_told_range_by_range(void **state)
{
	struct mapping old[] = { { .start = 10, .end = 20 }, { .start = 30, .end = 60 }, { .start = 70, .end = 80 }, { .start = 90, .end = 95 } };
	struct mapping now[] = { { .start = 5, .end = 12 },  { .start = 14, .end = 16 }, { .start = 18, .end = 35 },
				 { .start = 40, .end = 50 }, { .start = 55, .end = 75 }, { .start = 90, .end = 99 } };
	const struct maps a = { .v = old, .n = ARRAY_LEN(old) }, b = { .v = now, .n = ARRAY_LEN(now) }, none = { 0 };
	auto_buf struct buf text = { 0 }, all = { 0 }, nothing = { 0 };

	(void)state;
	assert_int_equal(maps_gone(&a, &b, note, &text, NULL), 0);
	assert_string_equal(text.data, "12-14 16-18 35-40 50-55 75-80 ");
	assert_int_equal(maps_gone(&a, &none, note, &all, NULL), 0);
	assert_string_equal(all.data, "10-20 30-60 70-80 90-95 ");
	assert_int_equal(maps_gone(&none, &a, note, &nothing, NULL), 0);
	assert_int_equal(nothing.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_anonymous_mappings_are_taken),
		cmocka_unit_test(locked_mappings_are_left_to_criu),
		cmocka_unit_test(what_is_gone_is_told_range_by_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* CRIU's images that davit reads and writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/fd.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/clocks.h"
#include "runtime/criu/external.h"
#include "runtime/criu/images.h"
#include "runtime/criu/timers.h"

static char folder[32];
static int dir, over;

static int setup(void **state)
{
	struct err e = { 0 };
	(void)state;
	strcpy(folder, "/tmp/davit-unit.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	dir = file_open_dir(AT_FDCWD, folder, &e);
	mkdirat(dir, "over", 0755);
	over = file_open_dir(dir, "over", &e);
	return over < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	close(over);
	return file_remove_tree(AT_FDCWD, folder, NULL);
}

static void write_userns(uint32_t host, uint32_t count)
{
	struct err e = { 0 };
	Criu__IdExtent x = CRIU__ID_EXTENT__INIT, *list[] = { &x };
	Criu__UsernsEntry u = CRIU__USERNS_ENTRY__INIT;
	x.lower_first = host;
	x.count = count;
	u.n_uid_map = u.n_gid_map = 1;
	u.uid_map = u.gid_map = list;
	assert_int_equal(criu_image_write(dir, "userns-11.img", &u.base, &e), 0);
}

/* u32 IMG_COMMON_MAGIC, u32 USERNS_MAGIC, u32 length, message: as CRIU reads it. */
static void image_has_crius_layout(void **state)
{
	size_t n;
	(void)state;
	write_userns(100000, 65536);
	auto_free char *data = file_read(dir, "userns-11.img", 4096, &n, NULL);
	uint32_t head[3];
	memcpy(head, data, sizeof(head));
	assert_int_equal(head[0], 0x54564319);
	assert_int_equal(head[1], 0x55474906);
	assert_int_equal(head[2], n - 12);
}

static void ids_move_to_another_range(void **state)
{
	struct err e = { 0 };
	Davit__IdRange r = DAVIT__ID_RANGE__INIT;
	(void)state;
	write_userns(100000, 65536);
	r.host_start = 700000;
	r.size = 65536;
	assert_int_equal(criu_images_set_ids(dir, over, &r, &e), 0);
	auto_pb(Criu__UsernsEntry) *u = criu_image_read(over, "userns-11.img", &criu__userns_entry__descriptor, &e);
	assert_non_null(u);
	assert_int_equal(u->uid_map[0]->lower_first, 700000);
	assert_int_equal(u->gid_map[0]->lower_first, 700000);
	assert_int_equal(u->gid_map[0]->count, 65536);
	auto_pb(Criu__UsernsEntry) *old = criu_image_read(dir, "userns-11.img", &criu__userns_entry__descriptor, &e);
	assert_int_equal(old->uid_map[0]->lower_first, 100000); /* the images stay as they are */
}

static void a_range_that_is_too_small_is_refused(void **state)
{
	struct err e = { 0 };
	Davit__IdRange r = DAVIT__ID_RANGE__INIT;
	(void)state;
	write_userns(100000, 65536);
	r.size = 1000;
	assert_int_equal(criu_images_set_ids(dir, over, &r, &e), -1);
	assert_string_equal(e.field, "ids.size");
}

static void images_without_a_user_namespace_have_no_ids_to_move(void **state)
{
	struct err e = { 0 };
	Davit__IdRange r = DAVIT__ID_RANGE__INIT;
	(void)state;
	unlinkat(dir, "userns-11.img", 0);
	r.size = 65536;
	assert_int_equal(criu_images_set_ids(dir, over, &r, &e), 0);
}

static void put_entry(struct buf *b, const ProtobufCMessage *m)
{
	uint32_t n = (uint32_t)protobuf_c_message_get_packed_size(m);
	assert_int_equal(buf_append(b, &n, sizeof(n), NULL), 0);
	assert_int_equal(pb_pack(m, b, NULL), 0);
}

#define SECOND ((int64_t)NSEC_PER_SEC)
#define ELAPSED (3 * SECOND)

/* A timer as CRIU wrote it, and as it has to be after three seconds of the container's monotonic clock. */
static const struct timer_case {
	uint64_t left, period, ticks;
	uint32_t flags;
	uint64_t want_left, want_ticks;
	uint32_t want_flags;
} timer_cases[] = {
	{ 10, 0, 0, 0, 7, 0, 0 },  /* single */
	{ 10, 20, 0, 0, 7, 0, 0 }, /* periodic, not due yet */
	{ 1, 4, 0, 0, 2, 1, 0 },   /* due two seconds ago, and again in two */
	{ 1, 1, 5, 0, 1, 8, 0 },   /* due now: counted, a whole period to go */
	{ 0, 4, 1, 0, 4, 1, 0 },   /* had run out unread: armed again */
	{ 0, 0, 1, 0, 0, 1, 0 },   /* a single one that had run out stays so */
	{ 0, 4, 0, 0, 0, 0, 0 },   /* not armed */
	{ 10, 0, 0, 1, 7, 0, 0 },  /* absolute: what is left counts, not CRIU's whole seconds */
	{ 10, 0, 0, 3, 7, 0, 3 },  /* cancelled by a clock that is set: stays absolute */
};

static void timers_go_on_as_the_clock_did(void **state)
{
	struct err e = { 0 };
	auto_buf struct buf b = { 0 };
	const uint32_t head[] = { 0x54564319, 0x56303138 };
	struct timens_offsets elapsed = { ELAPSED, 0 };
	(void)state;
	buf_append(&b, head, sizeof(head), NULL);
	for (size_t i = 0; i < ARRAY_LEN(timer_cases); i++) {
		const struct timer_case *c = &timer_cases[i];
		Criu__TimerfdEntry t = CRIU__TIMERFD_ENTRY__INIT;
		Criu__FileEntry f = CRIU__FILE_ENTRY__INIT;
		t.clockid = CLOCK_MONOTONIC;
		t.vsec = c->left;
		t.isec = c->period;
		t.ticks = c->ticks;
		t.settime_flags = c->flags;
		f.tfd = &t;
		put_entry(&b, &f.base);
	}
	assert_int_equal(file_write_atomic(dir, "files.img", b.data, b.len, 0644, false, &e), 0);
	assert_int_equal(criu_images_set_timers(dir, over, &elapsed, &e), 0);
	size_t n = 0, at = 8;
	auto_free char *data = file_read(over, "files.img", 1 << 20, &n, &e);
	assert_non_null(data);
	for (size_t i = 0; i < ARRAY_LEN(timer_cases); i++) {
		const struct timer_case *c = &timer_cases[i];
		uint32_t length;
		memcpy(&length, data + at, sizeof(length));
		auto_pb(Criu__FileEntry) *f = pb_unpack(&criu__file_entry__descriptor, data + at + 4, length, "entry", &e);
		at += 4 + length;
		assert_non_null(f);
		assert_int_equal(f->tfd->vsec, c->want_left);
		assert_int_equal(f->tfd->vnsec, 0);
		assert_int_equal(f->tfd->ticks, c->want_ticks);
		assert_int_equal(f->tfd->settime_flags, c->want_flags);
	}
	assert_int_equal(at, n);
	/* an image that ends in the middle is refused */
	assert_int_equal(file_write_atomic(dir, "files.img", b.data, b.len - 1, 0644, false, &e), 0);
	assert_int_equal(criu_images_set_timers(dir, over, &elapsed, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
}

static Criu__CoreOfTimers *task_after(const struct timens_offsets *elapsed)
{
	struct err e = { 0 };
	Criu__ItimerEntry real = CRIU__ITIMER_ENTRY__INIT;
	Criu__PosixTimerEntry posix[3] = { CRIU__POSIX_TIMER_ENTRY__INIT, CRIU__POSIX_TIMER_ENTRY__INIT, CRIU__POSIX_TIMER_ENTRY__INIT };
	Criu__PosixTimerEntry *list[] = { &posix[0], &posix[1], &posix[2] };
	Criu__TaskTimersEntry timers = CRIU__TASK_TIMERS_ENTRY__INIT;
	Criu__TaskOfTimers task = CRIU__TASK_OF_TIMERS__INIT;
	Criu__CoreOfTimers core = CRIU__CORE_OF_TIMERS__INIT;
	real.vsec = 10;
	posix[0].clock_id = CLOCK_MONOTONIC;
	posix[1].clock_id = CLOCK_BOOTTIME;
	posix[2].clock_id = CLOCK_PROCESS_CPUTIME_ID;
	posix[0].vsec = posix[1].vsec = posix[2].vsec = 10;
	timers.real = &real;
	timers.n_posix = 3;
	timers.posix = list;
	task.timers = &timers;
	core.tc = &task;
	unlinkat(over, "core-1.img", 0);
	assert_int_equal(criu_image_write(dir, "core-1.img", &core.base, &e), 0);
	assert_int_equal(criu_images_set_task_timers(dir, over, elapsed, &e), 0);
	return criu_image_read(file_exists(over, "core-1.img") ? over : dir, "core-1.img", &criu__core_of_timers__descriptor, &e);
}

static void timers_of_a_task_go_on_as_its_clocks_did(void **state)
{
	(void)state;
	const struct timens_offsets advanced = { 3 * SECOND, 20 * SECOND }, before = { -SECOND, 0 };
	auto_pb(Criu__CoreOfTimers) *on = task_after(&advanced);
	assert_non_null(on);
	assert_int_equal(on->tc->timers->real->vsec, 7);
	assert_int_equal(on->tc->timers->posix[0]->vsec, 7);
	assert_int_equal(on->tc->timers->posix[1]->vsec, 0); /* due: at once, not never */
	assert_int_equal(on->tc->timers->posix[1]->vnsec, 1);
	assert_int_equal(on->tc->timers->posix[2]->vsec, 10);
	/* Clocks that stand since before CRIU looked at the timers: more is left of those than it saw. */
	auto_pb(Criu__CoreOfTimers) *stood = task_after(&before);
	assert_non_null(stood);
	assert_int_equal(stood->tc->timers->posix[0]->vsec, 11);
	assert_int_equal(stood->tc->timers->posix[1]->vsec, 10);
}

static void what_is_no_image_is_refused(void **state)
{
	struct err e = { 0 };
	static const uint32_t wrong[][3] = { { 0x54564319, 0x11111111, 0 }, { 1, 0x55474906, 0 }, { 0x54564319, 0x55474906, 0xffffffff } };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(file_write_atomic(dir, "userns-11.img", wrong[i], sizeof(wrong[i]), 0644, false, &e), 0);
		assert_null(criu_image_read(dir, "userns-11.img", &criu__userns_entry__descriptor, &e));
		assert_int_equal(e.code, ERR_CORRUPT);
	}
	assert_int_equal(file_write_atomic(dir, "userns-11.img", "", 0, 0644, false, &e), 0);
	assert_null(criu_image_read(dir, "userns-11.img", &criu__userns_entry__descriptor, &e));
}

static void descriptors_survive_a_trip_through_json(void **state)
{
	struct err e = { 0 };
	auto_strv struct strv names = { 0 }, back = { 0 };
	(void)state;
	strv_add(&names, "pipe:[12]", &e);
	strv_add(&names, "/dev/\"x\"\n", &e);
	strv_add(&names, "file[1f:2a]", &e);
	assert_int_equal(external_stdio_write(dir, &names, &e), 0);
	assert_int_equal(external_stdio_read(dir, &back, &e), 0);
	assert_int_equal(back.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(back.v[i], names.v[i]);
	auto_free char *text = file_read(dir, "descriptors.json", 1000, NULL, &e);
	assert_string_equal(text, "[\"pipe:[12]\",\"/dev/\\\"x\\\"\\n\",\"file[1f:2a]\"]");
}

static void clocks_stand_still_unless_asked_otherwise(void **state)
{
	struct err e = { 0 };
	struct clocks_plan plan;
	Davit__ClockSample s = DAVIT__CLOCK_SAMPLE__INIT;
	(void)state;
	s.has_container_monotonic = s.has_container_boottime = true;
	s.container_monotonic = clock_now_ns(CLOCK_MONOTONIC) + 1000 * NSEC_PER_SEC;
	s.container_boottime = clock_now_ns(CLOCK_BOOTTIME) + 2000 * NSEC_PER_SEC;
	assert_int_equal(clocks_record(dir, &s, true, &e), 0);
	assert_int_equal(clocks_plan(dir, NULL, true, &plan, &e), 0);
	assert_true(plan.make);
	assert_true(plan.off.monotonic <= 1000 * NSEC_PER_SEC && plan.off.monotonic > 900 * NSEC_PER_SEC);
	assert_true(plan.off.boottime <= 2000 * NSEC_PER_SEC && plan.off.boottime > 1900 * NSEC_PER_SEC);
	struct timens_offsets wanted = { 5, 6 };
	assert_int_equal(clocks_plan(dir, &wanted, true, &plan, &e), 0);
	assert_int_equal(plan.off.monotonic, 5);
}

/* A container that uses the host's clocks gets a time namespace only where these would otherwise have gone back. */
static void host_clocks_never_go_back(void **state)
{
	struct err e = { 0 };
	struct clocks_plan plan;
	Davit__ClockSample s = DAVIT__CLOCK_SAMPLE__INIT;
	(void)state;
	s.has_container_monotonic = s.has_container_boottime = true;
	s.container_monotonic = s.container_boottime = 1;
	assert_int_equal(clocks_record(dir, &s, false, &e), 0);
	assert_int_equal(clocks_plan(dir, NULL, false, &plan, &e), 0);
	assert_false(plan.make);
	s.container_monotonic = clock_now_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC * 100;
	assert_int_equal(clocks_record(dir, &s, false, &e), 0);
	assert_int_equal(clocks_plan(dir, NULL, false, &plan, &e), 0);
	assert_true(plan.make && plan.off.monotonic > 0);
	assert_true(plan.off.boottime >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_has_crius_layout),
		cmocka_unit_test(ids_move_to_another_range),
		cmocka_unit_test(a_range_that_is_too_small_is_refused),
		cmocka_unit_test(images_without_a_user_namespace_have_no_ids_to_move),
		cmocka_unit_test(timers_go_on_as_the_clock_did),
		cmocka_unit_test(timers_of_a_task_go_on_as_its_clocks_did),
		cmocka_unit_test(what_is_no_image_is_refused),
		cmocka_unit_test(descriptors_survive_a_trip_through_json),
		cmocka_unit_test(clocks_stand_still_unless_asked_otherwise),
		cmocka_unit_test(host_clocks_never_go_back),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* State folders of containers: runtime/state.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/state.h"
#include "tests/unit/unit.h"

static char root[64];

static int make_root(void **s)
{
	(void)s;
	snprintf(root, sizeof(root), "/tmp/davit-state.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **s)
{
	(void)s;
	return file_remove_tree(AT_FDCWD, root, NULL);
}

/* The state of a child that waits until it is killed. */
static Davit__RuntimeState *state_of_child(pid_t *pid)
{
	Davit__RuntimeState *s = pb_new(&davit__runtime_state__descriptor, NULL);
	char boot[37];

	*pid = fork();
	if (*pid == 0)
		for (;;)
			pause();
	assert_int_equal(proc_boot_id(boot, NULL), 0);
	assert_int_equal(pb_set_str(&s->id, "x", NULL) | pb_set_str(&s->bundle, "/b", NULL) | pb_set_str(&s->phase, "running", NULL), 0);
	assert_int_equal(pb_set_str(&s->boot_id, boot, NULL), 0);
	s->has_pid = s->has_start_ticks = true;
	s->pid = *pid;
	assert_int_equal(proc_start_time(*pid, &s->start_ticks, NULL), 0);
	return s;
}

static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void ids_that_are_no_names_of_one_folder_are_refused(void **s)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/a", "a b", "a\n", "\xc3\xa4" };
	char longest[257];

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(state_check_id(bad[i], &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "id");
	}
	memset(longest, 'x', 256);
	longest[256] = 0;
	assert_int_equal(state_check_id(longest, NULL), -1);
	longest[255] = 0;
	assert_int_equal(state_check_id(longest, NULL), 0);
	assert_int_equal(state_check_id("a_b+c.d-9", NULL), 0);
	assert_int_equal(state_check_id("..a", NULL), 0);
}

static void a_taken_id_is_refused_and_an_unknown_one_not_found(void **s)
{
	auto_state_dir struct state_dir a = { .fd = -1, .lock = -1 }, b = { .fd = -1, .lock = -1 };
	struct err e = { 0 };

	(void)s;
	assert_int_equal(state_dir_create(root, "taken", &a, &e), 0);
	assert_int_equal(state_dir_create(root, "taken", &b, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(state_dir_open(root, "unknown", false, &b, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(state_dir_remove(root, &a, &e), 0);
	state_dir_close(&a);
	assert_int_equal(state_dir_open(root, "taken", false, &b, &e), -1);
}

static void a_state_survives_being_saved(void **s)
{
	auto_state_dir struct state_dir d = { .fd = -1, .lock = -1 };
	auto_pb(Davit__RuntimeState) *in = pb_new(&davit__runtime_state__descriptor, NULL), *out = NULL;

	(void)s;
	assert_int_equal(state_dir_create(root, "saved", &d, NULL), 0);
	assert_int_equal(pb_set_str(&in->id, "saved", NULL) | pb_set_str(&in->bundle, "/b", NULL), 0);
	in->has_offset_monotonic = true;
	in->offset_monotonic = -5;
	assert_int_equal(pb_push_str(&in->n_descriptors, &in->descriptors, "pipe:[1]", NULL), 0);
	assert_int_equal(state_save(&d, in, NULL), 0);
	out = state_load(&d, NULL);
	assert_non_null(out);
	assert_string_equal(out->id, "saved");
	assert_int_equal(out->offset_monotonic, -5);
	assert_string_equal(out->descriptors[0], "pipe:[1]");
	assert_int_equal(state_dir_remove(root, &d, NULL), 0);
}

static void an_unlocked_folder_can_be_locked_though_a_fork_holds_a_copy(void **s)
{
	auto_state_dir struct state_dir a = { .fd = -1, .lock = -1 }, b = { .fd = -1, .lock = -1 };
	pid_t pid;

	(void)s;
	assert_int_equal(state_dir_create(root, "locked", &a, NULL), 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	state_dir_unlock(&a);
	assert_int_equal(state_dir_open(root, "locked", true, &b, NULL), 0);
	kill_child(pid);
	assert_int_equal(state_dir_remove(root, &b, NULL), 0);
}

static void a_process_is_alive_only_with_its_start_time_and_boot(void **s)
{
	pid_t pid;
	auto_pb(Davit__RuntimeState) *st = state_of_child(&pid);

	(void)s;
	assert_true(state_init_alive(st));
	st->start_ticks += 100;
	assert_false(state_init_alive(st));
	st->start_ticks -= 100;
	st->boot_id[0] ^= 1;
	assert_false(state_init_alive(st));
	st->boot_id[0] ^= 1;
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_false(state_init_alive(st)); /* a zombie is no container */
	kill_child(pid);
	assert_false(state_init_alive(st));
}

static void status_is_what_the_kernel_says(void **s)
{
	pid_t pid;
	auto_pb(Davit__RuntimeState) *st = state_of_child(&pid);

	(void)s;
	assert_string_equal(state_status(st), "running");
	assert_int_equal(pb_set_str(&st->phase, "created", NULL), 0);
	assert_string_equal(state_status(st), "created");
	assert_int_equal(pb_set_str(&st->phase, "creating", NULL), 0);
	assert_string_equal(state_status(st), "creating");
	kill_child(pid);
	assert_string_equal(state_status(st), "stopped");
	st->has_pid = false;
	assert_string_equal(state_status(st), "creating");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_that_are_no_names_of_one_folder_are_refused),
		cmocka_unit_test(a_taken_id_is_refused_and_an_unknown_one_not_found),
		cmocka_unit_test(a_state_survives_being_saved),
		cmocka_unit_test(an_unlocked_folder_can_be_locked_though_a_fork_holds_a_copy),
		cmocka_unit_test(a_process_is_alive_only_with_its_start_time_and_boot),
		cmocka_unit_test(status_is_what_the_kernel_says),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}

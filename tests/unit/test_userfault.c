/* Leave to use userfaultfd: given back in every way. Skipped where the kernel has no such switch, or it is 1 anyway. */
#include "tests/unit/unit.h"
#include <signal.h>
#include <sys/wait.h>
#include "runtime/userfault.h"

#define SWITCH "/proc/sys/vm/unprivileged_userfaultfd"

static bool is_on(void)
{
	char value[8] = "";
	(void)file_read_line(AT_FDCWD, SWITCH, value, sizeof(value), NULL);
	return value[0] == '1';
}

/* Others on this machine may have leave for some milliseconds: their lock is waited for by taking it once. */
static void skip_unless_off(const char *folder)
{
	struct userfault_leave l;
	if (getuid() != 0 || access(SWITCH, W_OK) < 0)
		skip();
	assert_int_equal(userfault_take(&l, folder, NULL), 0);
	userfault_give_back(&l);
	if (is_on())
		skip();
}

static void is_on_while_it_is_had_and_off_after(void **state)
{
	struct userfault_leave l;
	skip_unless_off(*state);
	assert_int_equal(userfault_take(&l, *state, NULL), 0);
	assert_true(is_on());
	userfault_give_back(&l);
	userfault_give_back(&l);
	auto_close int dir = file_open_dir(AT_FDCWD, *state, NULL);
	assert_false(file_exists(dir, ".userfaultfd"));
}

static pid_t take_in_child(const char *folder, bool with_guard)
{
	struct userfault_leave l;
	int p[2];
	char byte = 0;
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		byte = (char)(userfault_take(&l, folder, NULL) < 0);
		if (!with_guard)
			kill(l.guard, SIGKILL);
		(void)!write(p[1], &byte, 1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	close(p[0]);
	close(p[1]);
	return pid;
}

static void end(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void is_put_back_at_once_after_a_fall_of_who_had_it(void **state)
{
	struct userfault_leave l;
	skip_unless_off(*state);
	end(take_in_child(*state, true));
	/* Whoever gets the lock finds it put back: the guard kept it until then. */
	assert_int_equal(userfault_take(&l, *state, NULL), 0);
	assert_true(l.guard > 0);
	userfault_give_back(&l);
	auto_close int dir = file_open_dir(AT_FDCWD, *state, NULL);
	assert_false(file_exists(dir, ".userfaultfd"));
}

static void is_put_back_by_the_next_core_after_a_fall_of_both(void **state)
{
	skip_unless_off(*state);
	end(take_in_child(*state, false));
	auto_close int dir = file_open_dir(AT_FDCWD, *state, NULL);
	assert_true(file_exists(dir, ".userfaultfd"));
	assert_int_equal(userfault_put_back(*state, NULL), 0);
	assert_false(file_exists(dir, ".userfaultfd"));
	assert_int_equal(userfault_put_back(*state, NULL), 0);
}

static void is_not_taken_from_who_has_it(void **state)
{
	struct userfault_leave l;
	int status;
	skip_unless_off(*state);
	assert_int_equal(userfault_take(&l, *state, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		fd_closep(&l.held); /* the guard waits for its last end */
		_exit(userfault_put_back(*state, NULL) < 0);
	}
	assert_true(is_on());
	userfault_give_back(&l);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void is_kept_while_another_fall_is_put_back(void **state)
{
	struct userfault_leave l;
	int status;
	skip_unless_off(*state);
	end(take_in_child(*state, false));
	assert_int_equal(userfault_take(&l, *state, NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		fd_closep(&l.held); /* the guard waits for its last end */
		_exit(userfault_put_back(*state, NULL) < 0);
	}
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_true(is_on());
	userfault_give_back(&l);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	auto_close int dir = file_open_dir(AT_FDCWD, *state, NULL);
	assert_false(file_exists(dir, ".userfaultfd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(is_on_while_it_is_had_and_off_after),
		unit_in_folder(is_put_back_at_once_after_a_fall_of_who_had_it),
		unit_in_folder(is_put_back_by_the_next_core_after_a_fall_of_both),
		unit_in_folder(is_not_taken_from_who_has_it),
		unit_in_folder(is_kept_while_another_fall_is_put_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* davitd's filter of system calls, in a process of its own. */
#include "tests/unit/unit.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/sandbox.h"

enum { NO_FILTER = 100, TYPED, OTHER_IOCTL, CALL };

/* The descriptor is none: what gets to the kernel is EBADF. */
static int under_filter(void)
{
	struct sock_filter filter[1000];
	struct sock_fprog program = { .len = (unsigned short)sandbox_filter(filter, 1000), .filter = filter };

	if (program.len == 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
		return NO_FILTER;
	if (syscall(SYS_ioctl, -1, TIOCSTI, "x") != -1 || errno != EPERM || syscall(SYS_ioctl, -1, TIOCLINUX, "x") != -1 || errno != EPERM ||
	    syscall(SYS_ioctl, -1, 1UL << 32 | TIOCSTI, "x") != -1 || errno != EPERM)
		return TYPED;
	if (syscall(SYS_ioctl, -1, FIONREAD, NULL) != -1 || errno != EBADF)
		return OTHER_IOCTL;
	return syscall(SYS_mount, "", "", "", 0, NULL) == -1 && errno == ENOSYS && syscall(SYS_getpid) > 0 ? 0 : CALL;
}

static void the_filter_types_into_no_terminal_and_lets_through_its_list_alone(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		syscall(SYS_exit_group, under_filter());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_room_too_small_gets_no_half_filter(void **state)
{
	struct sock_filter filter[10];

	(void)state;
	assert_int_equal(sandbox_filter(filter, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_filter_types_into_no_terminal_and_lets_through_its_list_alone),
		cmocka_unit_test(a_room_too_small_gets_no_half_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

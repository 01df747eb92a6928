/* Labels: what is refused here, and what AppArmor does where the kernel has it (as in the virtual hosts of tests/vm). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/lsm.h"
#include "runtime/lsm_profile.h"

static void a_label_that_the_kernel_cannot_give_is_refused_by_name(void **state)
{
	(void)state;
	struct err e = { 0 };
	Davit__OciProcess p = DAVIT__OCI_PROCESS__INIT;

	p.apparmor_profile = (char *)"no-such-profile";
	assert_int_equal(lsm_check(&p, &e), -1);
	assert_int_equal(e.code, lsm_has_apparmor() ? ERR_NOT_FOUND : ERR_UNSUPPORTED);
	assert_string_equal(e.field, "process.apparmorProfile");
	p.apparmor_profile = (char *)"unconfined";
	assert_int_equal(lsm_check(&p, &e), 0);
	p.apparmor_profile = NULL;
	p.selinux_label = (char *)"no:such:label";
	assert_int_equal(lsm_check(&p, &e), -1);
	assert_string_equal(e.field, "process.selinuxLabel");
}

/* Exit status of a shell command under our default profile. */
static int confined(const char *command)
{
	pid_t child = fork();

	if (child == 0) {
		int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (lsm_apply_on_exec(proc, LSM_DEFAULT_PROFILE, NULL) < 0)
			_exit(100);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(101);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_default_profile_loads_and_fences(void **state)
{
	(void)state;
	struct err e = { 0 };

	if (!lsm_has_apparmor() || geteuid() != 0) {
		print_message("this kernel has no AppArmor\n");
		skip();
	}
	if (lsm_load_default_profile(&e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(lsm_load_default_profile(&e), 0);
	assert_int_equal(confined("grep -q '^" LSM_DEFAULT_PROFILE " (enforce)' /proc/self/attr/current"), 0);
	assert_int_equal(confined("touch /tmp/davit-test-lsm && rm /tmp/davit-test-lsm && cat /proc/sys/kernel/shmmax >/dev/null"), 0);
	assert_int_equal(confined("cat /proc/sys/kernel/shmmax > /proc/sys/kernel/shmmax"), 0);
	assert_int_not_equal(confined("cat /proc/sys/kernel/panic > /proc/sys/kernel/panic"), 0);
	assert_int_not_equal(confined("cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness"), 0);
	assert_int_not_equal(confined("head -c 1 /proc/kcore"), 0);
	assert_int_not_equal(confined("mount -t tmpfs none /mnt"), 0);
	assert_int_not_equal(confined("ls /sys/kernel/security/apparmor"), 0);
}

static void the_names_of_the_active_ones_are_told(void **state)
{
	(void)state;
	struct err e = { 0 };
	auto_strv struct strv names = { 0 };
	bool apparmor = false;

	assert_int_equal(lsm_list(&names, &e), 0);
	for (size_t i = 0; i < names.n; i++)
		apparmor |= str_eq(names.v[i], "apparmor");
	assert_int_equal(apparmor, lsm_has_apparmor());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_that_the_kernel_cannot_give_is_refused_by_name),
		cmocka_unit_test(the_default_profile_loads_and_fences),
		cmocka_unit_test(the_names_of_the_active_ones_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Layers: mounting with shifted ids. As root. */
#include <errno.h>
#include <sys/wait.h>
#include "tests/unit/layer.h"

static const Davit__IdRange range = { .base = PROTOBUF_C_MESSAGE_INIT(&davit__id_range__descriptor), .host_start = 1000000, .size = 65536 };

static void mount_shifts_owners_into_the_range(void **state)
{
	(void)state;
	needs_root();
	struct stat st;
	must(layer_mount(in("image"), in("layer"), &range, in("rootfs"), &err));
	assert_int_equal(stat(in("rootfs/bin/tool"), &st), 0);
	assert_int_equal(st.st_uid, 1000000);
	assert_int_equal(st.st_gid, 1000000);
	assert_int_equal(stat(in("rootfs"), &st), 0);
	assert_int_equal(st.st_uid, 1000000);
}

/* As a process of the container would: with the range's root as its id and no capability over others. */
static int as_container_root(int (*f)(void))
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(setresgid(1000000, 1000000, 1000000) < 0 || setresuid(1000000, 1000000, 1000000) < 0 || f() < 0 ? 1 : 0);
	int status;
	waitpid(pid, &status, 0);
	return status;
}

static int change_things(void)
{
	FILE *f = fopen(in("rootfs/etc/conf"), "w");
	if (!f || fputs("new\n", f) < 0 || fclose(f) != 0)
		return -1;
	return unlink(in("rootfs/etc/gone")) < 0 || mkdir(in("rootfs/etc/made"), 0700) < 0 ? -1 : 0;
}

static void changes_lie_in_the_layer_with_the_container_s_ids(void **state)
{
	(void)state;
	needs_root();
	struct stat st;
	must(layer_mount(in("image"), in("layer"), &range, in("rootfs"), &err));
	assert_int_equal(as_container_root(change_things), 0);
	assert_int_equal(stat(in("layer/upper/etc/conf"), &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(lstat(in("layer/upper/etc/gone"), &st), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	assert_int_equal(stat(in("layer/upper/etc/made"), &st), 0);
	assert_int_equal(st.st_uid, 0);
	/* The image is as it was. */
	assert_int_equal(stat(in("image/etc/gone"), &st), 0);
	assert_int_equal(stat(in("image/etc/conf"), &st), 0);
	assert_int_equal(st.st_size, 4);
}

static void the_same_layer_serves_another_range_and_no_shift(void **state)
{
	(void)state;
	needs_root();
	struct stat st;
	must(layer_mount(in("image"), in("layer"), &range, in("rootfs"), &err));
	assert_int_equal(as_container_root(change_things), 0);
	must(layer_unmount(in("rootfs"), &err));
	Davit__IdRange other = range;
	other.host_start = 5000000;
	must(layer_mount(in("image"), in("layer"), &other, in("rootfs"), &err));
	assert_int_equal(stat(in("rootfs/etc/made"), &st), 0);
	assert_int_equal(st.st_uid, 5000000);
	assert_int_equal(access(in("rootfs/etc/gone"), F_OK), -1);
	must(layer_unmount(in("rootfs"), &err));
	must(layer_mount(in("image"), in("layer"), NULL, in("rootfs"), &err));
	assert_int_equal(stat(in("rootfs/etc/made"), &st), 0);
	assert_int_equal(st.st_uid, 0);
}

static void unmount_of_what_is_not_mounted_is_no_error(void **state)
{
	(void)state;
	needs_root();
	must(layer_unmount(in("rootfs"), &err));
	must(layer_unmount(in("nowhere"), &err));
}

static void mount_of_a_missing_image_names_it(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(layer_mount(in("no-image"), in("layer"), &range, in("rootfs"), &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "no-image"));
}

static void failed_mount_leaves_nothing_mounted(void **state)
{
	(void)state;
	needs_root();
	Davit__IdRange bad = range;
	bad.size = 0;
	assert_int_equal(layer_mount(in("image"), in("layer"), &bad, in("rootfs"), &err), -1);
	assert_int_equal(umount2(in("rootfs"), 0), -1);
	assert_int_equal(errno, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mount_shifts_owners_into_the_range),
		T(changes_lie_in_the_layer_with_the_container_s_ids),
		T(the_same_layer_serves_another_range_and_no_shift),
		T(unmount_of_what_is_not_mounted_is_no_error),
		T(mount_of_a_missing_image_names_it),
		T(failed_mount_leaves_nothing_mounted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

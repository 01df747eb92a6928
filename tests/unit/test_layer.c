/* Layers: mounting with shifted ids, and the trip of a layer through a tar. As root, in a mount namespace of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/layer/layer.h"

static char root[64];
static struct err err;

/* A path below the test's folder; a few at a time. */
static const char *in(const char *name)
{
	static char path[8][512];
	static unsigned i;
	char *p = path[i++ % 8];
	snprintf(p, 512, "%s/%s", root, name);
	return p;
}

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s (field %s)", err.msg, err.field);
}

static void write_file(const char *name, const char *text)
{
	must(file_write_atomic(AT_FDCWD, in(name), text, strlen(text), 0644, false, &err));
}

static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	snprintf(root, sizeof(root), "/tmp/davit-layer.XXXXXX");
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(root) || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	chmod(root, 0755);
	must(file_mkdir_p(in("image/bin"), 0755, &err));
	must(file_mkdir_p(in("image/etc"), 0755, &err));
	must(file_mkdir_p(in("rootfs"), 0755, &err));
	chmod(in("image"), 0755);
	write_file("image/bin/tool", "from the image\n");
	write_file("image/etc/conf", "old\n");
	write_file("image/etc/gone", "to be removed\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	layer_unmount(in("rootfs"), NULL);
	if (geteuid() == 0)
		file_remove_tree(AT_FDCWD, root, NULL);
	return 0;
}

static void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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

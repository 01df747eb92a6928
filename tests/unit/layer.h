/* What the tests of layers share: an image of three files below a folder of the test's own, in a mount namespace of its own. */
#pragma once
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/str.h"
#include "runtime/layer/layer.h"
#include "tests/unit/unit.h"

static char root[64];
static struct err err;

/* A path below the test's folder; a few at a time. */
static inline const char *in(const char *name)
{
	static char path[8][512];
	static unsigned i;
	char *p = path[i++ % 8];
	snprintf(p, 512, "%s/%s", root, name);
	return p;
}

static inline void must(int rc)
{
	if (rc < 0)
		fail_msg("%s (field %s)", err.msg, err.field);
}

static inline void write_file(const char *name, const char *text)
{
	must(file_write_atomic(AT_FDCWD, in(name), text, strlen(text), 0644, false, &err));
}

static inline int layer_setup(void **state)
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

static inline int layer_teardown(void **state)
{
	(void)state;
	layer_unmount(in("rootfs"), NULL);
	if (geteuid() == 0)
		file_remove_tree(AT_FDCWD, root, NULL);
	return 0;
}

static inline void needs_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}
#define T(f) cmocka_unit_test_setup_teardown(f, layer_setup, layer_teardown)

/* The trip of a layer, and of a folder of images, through a tar. As root. */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "tests/unit/layer.h"

/* A layer with everything a tar can hold. */
static void fill_layer(const char *layer)
{
	char path[512];
	const struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 1234567890, .tv_nsec = 123456789 } };
	const uint8_t caps[20] = { 0, 0, 0, 2, 0, 4 }; /* VFS_CAP_REVISION_2, CAP_NET_BIND_SERVICE */
#define UP(name) (snprintf(path, sizeof(path), "%s/upper/" name, in(layer)), path)
	must(layer_create(in(layer), &err));
	assert_int_equal(mkdir(UP("folder"), 0700), 0);
	assert_int_equal(setxattr(UP("folder"), "trusted.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(setxattr(UP("folder"), "trusted.overlay.origin", "handle", 6, 0), 0);
	must(file_write_atomic(AT_FDCWD, UP("folder/file"), "content", 7, 04755, false, &err));
	assert_int_equal(chown(UP("folder/file"), 33, 44), 0);
	assert_int_equal(chmod(UP("folder/file"), 04755), 0);
	assert_int_equal(setxattr(UP("folder/file"), "user.note", "a\0b", 3, 0), 0);
	assert_int_equal(setxattr(UP("folder/file"), "security.capability", caps, sizeof(caps), 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, UP("folder/file"), times, 0), 0);
	char other[512];
	snprintf(other, sizeof(other), "%s/upper/zz-link", in(layer));
	assert_int_equal(link(UP("folder/file"), other), 0);
	assert_int_equal(symlink("/etc/../../../target", UP("symlink")), 0);
	assert_int_equal(lchown(UP("symlink"), 5, 6), 0);
	assert_int_equal(mknod(UP("whiteout"), S_IFCHR, makedev(0, 0)), 0);
	assert_int_equal(mknod(UP("fifo"), S_IFIFO | 0640, 0), 0);
	assert_int_equal(mknod(UP("block"), S_IFBLK | 0600, makedev(7, 300)), 0);
	must(file_write_atomic(AT_FDCWD, UP("name\xff\xfe \xc3\xa4 \n end"), "odd", 3, 0644, false, &err));
	int fd = open(UP("sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && ftruncate(fd, 1LL << 26) == 0 && pwrite(fd, "middle", 6, 32 << 20) == 6);
	close(fd);
	fd = open(UP("hole"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && ftruncate(fd, 1LL << 27) == 0);
	close(fd);
#undef UP
}

/* Packs one layer and unpacks it as another, through a file. */
static void travel(const char *from, const char *to, const struct layer_limits *lim, int expected)
{
	uint64_t out = 0, back = 0;
	auto_close int tar = open(in("layer.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(layer_export(in(from), tar, &out, &err));
	assert_int_equal(lseek(tar, 0, SEEK_CUR), (off_t)out);
	assert_int_equal(lseek(tar, 0, SEEK_SET), 0);
	int rc = layer_import(in(to), tar, lim, &back, &err);
	if (expected == 0)
		must(rc);
	assert_int_equal(rc, expected);
}

static void layer_travels_with_everything_in_it(void **state)
{
	(void)state;
	needs_root();
	struct stat a, b;
	char value[64];
	fill_layer("from");
	travel("from", "to", NULL, 0);
	assert_int_equal(stat(in("to/upper/folder/file"), &a), 0);
	assert_int_equal(a.st_mode, S_IFREG | 04755);
	assert_int_equal(a.st_uid, 33);
	assert_int_equal(a.st_gid, 44);
	assert_int_equal(a.st_mtim.tv_sec, 1234567890);
	assert_int_equal(a.st_mtim.tv_nsec, 123456789);
	assert_int_equal(a.st_nlink, 2);
	assert_int_equal(stat(in("to/upper/zz-link"), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(getxattr(in("to/upper/folder/file"), "user.note", value, sizeof(value)), 3);
	assert_memory_equal(value, "a\0b", 3);
	assert_int_equal(getxattr(in("to/upper/folder/file"), "security.capability", value, sizeof(value)), 20);
	assert_int_equal(getxattr(in("to/upper/folder"), "trusted.overlay.opaque", value, sizeof(value)), 1);
	assert_int_equal(getxattr(in("to/upper/folder"), "trusted.overlay.origin", value, sizeof(value)), -1);
	assert_int_equal(readlink(in("to/upper/symlink"), value, sizeof(value)), 20);
	assert_int_equal(lstat(in("to/upper/symlink"), &a), 0);
	assert_int_equal(a.st_uid, 5);
	assert_int_equal(lstat(in("to/upper/whiteout"), &a), 0);
	assert_true(S_ISCHR(a.st_mode) && a.st_rdev == 0);
	assert_int_equal(lstat(in("to/upper/block"), &a), 0);
	assert_true(S_ISBLK(a.st_mode) && a.st_rdev == makedev(7, 300));
	assert_int_equal(lstat(in("to/upper/fifo"), &a), 0);
	assert_int_equal(a.st_mode, S_IFIFO | 0640);
	assert_int_equal(access(in("to/upper/name\xff\xfe \xc3\xa4 \n end"), F_OK), 0);
	assert_int_equal(stat(in("to/upper/sparse"), &a), 0);
	assert_int_equal(a.st_size, 1LL << 26);
	assert_true(a.st_blocks < 1000);
	assert_int_equal(stat(in("to/upper/hole"), &a), 0);
	assert_int_equal(a.st_size, 1LL << 27);
	assert_true(a.st_blocks < 1000);
	assert_int_equal(stat(in("layer.tar"), &a), 0);
	assert_true(a.st_size < 100000);
	char *digests[2];
	for (int i = 0; i < 2; i++) {
		uint64_t bytes, files;
		auto_close int fd = open(in(i ? "to/upper" : "from/upper"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		digests[i] = image_digest(fd, &bytes, &files, &err);
		assert_non_null(digests[i]);
	}
	assert_string_equal(digests[0], digests[1]);
	free(digests[0]);
	free(digests[1]);
}

static void default_acls_travel(void **state)
{
	(void)state;
	needs_root();
	/* version 2; user::rwx user:33:rwx group::r-x mask::rwx other::--- */
	const uint8_t acl[] = { 2, 0, 0,   0,	1,   0,	  7,  0, 255, 255, 255, 255, 2,	  0,   7,  0, 33, 0, 0,	  0,   4,   0,
				5, 0, 255, 255, 255, 255, 16, 0, 7,   0,   255, 255, 255, 255, 32, 0, 0,  0, 255, 255, 255, 255 };
	uint8_t back[128];
	must(layer_create(in("from"), &err));
	assert_int_equal(mkdir(in("from/upper/shared"), 0770), 0);
	if (setxattr(in("from/upper/shared"), "system.posix_acl_access", acl, sizeof(acl), 0) < 0) {
		print_message("no ACLs on this filesystem\n");
		skip();
	}
	assert_int_equal(setxattr(in("from/upper/shared"), "system.posix_acl_default", acl, sizeof(acl), 0), 0);
	travel("from", "to", NULL, 0);
	assert_int_equal(getxattr(in("to/upper/shared"), "system.posix_acl_access", back, sizeof(back)), sizeof(acl));
	assert_memory_equal(back, acl, sizeof(acl));
	assert_int_equal(getxattr(in("to/upper/shared"), "system.posix_acl_default", back, sizeof(back)), sizeof(acl));
	assert_memory_equal(back, acl, sizeof(acl));
}

static bool is_empty(const char *name)
{
	return rmdir(in(name)) == 0 && mkdir(in(name), 0755) == 0;
}

static void limits_are_kept_and_leave_the_layer_empty(void **state)
{
	(void)state;
	needs_root();
	const struct layer_limits few = { .files = 3 }, small = { .bytes = 4 };
	fill_layer("from");
	travel("from", "to", &few, -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(is_empty("to/upper"));
	travel("from", "to", &small, -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(is_empty("to/upper"));
}

static void damaged_archives_are_refused_and_leave_the_layer_empty(void **state)
{
	(void)state;
	needs_root();
	uint64_t bytes;
	fill_layer("from");
	auto_close int tar = open(in("layer.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(layer_export(in("from"), tar, &bytes, &err));
	for (off_t cut = (off_t)bytes - 1536; cut > 0; cut -= (off_t)bytes / 7) {
		assert_int_equal(ftruncate(tar, cut), 0);
		lseek(tar, 0, SEEK_SET);
		assert_int_equal(layer_import(in("to"), tar, NULL, &bytes, &err), -1);
		assert_true(is_empty("to/upper"));
	}
}

/* One entry of a ustar archive, as foreign as it may be. */
static void put_entry(int fd, const char *name, char type, const char *linkname, const char *content)
{
	char h[512] = "";
	unsigned sum = 0;
	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "0000644");
	snprintf(h + 108, 8, "0000000");
	snprintf(h + 116, 8, "0000000");
	snprintf(h + 124, 12, "%011o", (unsigned)strlen(content));
	snprintf(h + 136, 12, "00000000000");
	h[156] = type;
	snprintf(h + 157, 100, "%s", linkname);
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	assert_int_equal(write(fd, h, 512), 512);
	char block[512] = "";
	memcpy(block, content, strlen(content));
	if (*content)
		assert_int_equal(write(fd, block, 512), 512);
}

static void import_entries(const char *const (*entries)[4], size_t n, int expected)
{
	uint64_t bytes;
	static const char end[1024];
	auto_close int tar = open(in("made.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t i = 0; i < n; i++)
		put_entry(tar, entries[i][0], entries[i][1][0], entries[i][2], entries[i][3]);
	assert_int_equal(write(tar, end, sizeof(end)), sizeof(end));
	lseek(tar, 0, SEEK_SET);
	int rc = layer_import(in("to"), tar, NULL, &bytes, &err);
	if (expected == 0)
		must(rc);
	assert_int_equal(rc, expected);
}

static void names_that_try_to_escape_are_refused(void **state)
{
	(void)state;
	needs_root();
	const char *const absolute[][4] = { { "/tmp/davit-escape", "0", "", "x" } };
	const char *const dots[][4] = { { "a/../../davit-escape", "0", "", "x" } };
	const char *const hard[][4] = { { "a", "1", "../../etc/passwd", "" } };
	import_entries(absolute, 1, -1);
	assert_int_equal(err.code, ERR_INVALID);
	import_entries(dots, 1, -1);
	import_entries(hard, 1, -1);
	assert_int_equal(access("/tmp/davit-escape", F_OK), -1);
	assert_true(is_empty("to/upper"));
}

static void links_out_of_the_layer_lead_into_it(void **state)
{
	(void)state;
	needs_root();
	const char *const entries[][4] = { { "tmp/", "5", "", "" },
					   { "out", "2", "/tmp", "" },
					   { "out/davit-escape", "0", "", "x" },
					   { "up", "2", "../../../../../../tmp", "" },
					   { "up/davit-escape2", "0", "", "x" } };
	import_entries(entries, 5, 0);
	assert_int_equal(access("/tmp/davit-escape", F_OK), -1);
	assert_int_equal(access("/tmp/davit-escape2", F_OK), -1);
}

static void import_without_archive_is_refused(void **state)
{
	(void)state;
	needs_root();
	uint64_t bytes;
	auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC), noise = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	assert_int_equal(layer_import(in("to"), null, NULL, &bytes, &err), -1);
	assert_int_equal(layer_import(in("to"), noise, NULL, &bytes, &err), -1);
	assert_true(is_empty("to/upper"));
}

static void flat_folder_travels(void **state)
{
	(void)state;
	needs_root();
	uint64_t out, back;
	char big[300000];
	const char *const skip[] = { "left-out", NULL };
	must(file_mkdir_p(in("images"), 0755, &err));
	must(file_mkdir_p(in("images2"), 0755, &err));
	for (int i = 0; i < 50; i++) {
		char name[64];
		snprintf(name, sizeof(name), "images/core-%d.img", i);
		write_file(name, name);
	}
	memset(big, 'b', sizeof(big));
	must(file_write_atomic(AT_FDCWD, in("images/pages-1.img"), big, sizeof(big), 0600, false, &err));
	must(file_write_atomic(AT_FDCWD, in("images/empty.img"), "", 0, 0600, false, &err));
	write_file("images/left-out", "x");
	auto_close int from = open(in("images"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), to = open(in("images2"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int tar = open(in("flat.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(layer_export_flat(from, tar, skip, &out, &err));
	assert_int_equal(lseek(tar, 0, SEEK_CUR), (off_t)out);
	lseek(tar, 0, SEEK_SET);
	must(layer_import_flat(to, tar, NULL, &back, &err));
	struct stat st;
	assert_int_equal(stat(in("images2/pages-1.img"), &st), 0);
	assert_int_equal(st.st_size, sizeof(big));
	assert_int_equal(stat(in("images2/core-49.img"), &st), 0);
	assert_int_equal(st.st_size, strlen("images/core-49.img"));
	assert_int_equal(stat(in("images2/empty.img"), &st), 0);
	assert_int_equal(access(in("images2/left-out"), F_OK), -1);
	/* Any tar reads it. */
	char command[600];
	snprintf(command, sizeof(command), "tar -tf %s | grep -qx core-7.img", in("flat.tar"));
	assert_int_equal(system(command), 0);
	/* A second time nothing is overwritten. */
	lseek(tar, 0, SEEK_SET);
	assert_int_equal(layer_import_flat(to, tar, NULL, &back, &err), -1);
}

static void flat_import_takes_plain_files_only(void **state)
{
	(void)state;
	needs_root();
	uint64_t back;
	static const char end[1024];
	const char *const bad[][4] = {
		{ "a/b", "0", "", "x" }, { "..", "0", "", "x" }, { "link", "2", "/etc/passwd", "" }, { "folder", "5", "", "" }
	};
	must(file_mkdir_p(in("images2"), 0755, &err));
	auto_close int to = open(in("images2"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_close int tar = open(in("bad.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		put_entry(tar, bad[i][0], bad[i][1][0], bad[i][2], bad[i][3]);
		assert_int_equal(write(tar, end, sizeof(end)), sizeof(end));
		lseek(tar, 0, SEEK_SET);
		assert_int_equal(layer_import_flat(to, tar, NULL, &back, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	assert_true(is_empty("images2"));
}

static void flat_import_keeps_its_limit_and_wants_an_end(void **state)
{
	(void)state;
	needs_root();
	uint64_t back;
	static const char end[1024];
	const struct layer_limits small = { .bytes = 3 };
	must(file_mkdir_p(in("images2"), 0755, &err));
	auto_close int to = open(in("images2"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int tar = open(in("x.tar"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	put_entry(tar, "one", '0', "", "four");
	lseek(tar, 0, SEEK_SET);
	assert_int_equal(layer_import_flat(to, tar, NULL, &back, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	unlink(in("images2/one"));
	lseek(tar, 0, SEEK_END);
	assert_int_equal(write(tar, end, sizeof(end)), sizeof(end));
	lseek(tar, 0, SEEK_SET);
	assert_int_equal(layer_import_flat(to, tar, &small, &back, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(layer_travels_with_everything_in_it),	      T(default_acls_travel),
		T(limits_are_kept_and_leave_the_layer_empty), T(damaged_archives_are_refused_and_leave_the_layer_empty),
		T(names_that_try_to_escape_are_refused),      T(links_out_of_the_layer_lead_into_it),
		T(import_without_archive_is_refused),	      T(flat_folder_travels),
		T(flat_import_takes_plain_files_only),	      T(flat_import_keeps_its_limit_and_wants_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

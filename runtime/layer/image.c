/* Images: IMAGES/NAME/{rootfs/,image.pb}. Sources: renameat2(2), syncfs(2), flock(2).
 *
 * An import fills IMAGES/.import-XXXX, locked as long as the importer lives, syncs it and renames it to NAME: an image is whole or absent. What a
 * killed importer left (nobody holds its lock) is removed by the next. Removal renames first, too. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/layer/import.h"
#include "runtime/layer/layer.h"
#include "runtime/layer/lazy_archive.h"

#define RECORD "image.pb"
#define RECORD_MAX 65536
#define TEMPORARY ".import-"

static void close_dirp(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define auto_dir __attribute__((cleanup(close_dirp)))

/* Removes temporary folders whose maker is gone. */
static void remove_stale(int images)
{
	auto_close int copy = openat(images, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return;
	steal_fd(&copy);
	for (struct dirent *entry; (entry = readdir(d));) {
		if (!str_prefix(entry->d_name, TEMPORARY))
			continue;
		auto_close int dir = openat(images, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0)
			(void)file_remove_tree(images, entry->d_name, NULL);
	}
}

/* A new, locked temporary folder with rootfs/ in it. Returns its fd, or -1. */
static int make_temporary(int images, char name[32], struct err *e)
{
	char hex[17];
	if (str_random_hex(hex, 8, e) < 0)
		return -1;
	snprintf(name, 32, TEMPORARY "%s", hex);
	if (mkdirat(images, name, 0700) < 0)
		return err_sys(e, errno, "make a folder for the image");
	auto_close int dir = openat(images, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0 || mkdirat(dir, "rootfs", 0755) < 0)
		return err_sys(e, errno, "make a folder for the image");
	return steal_fd(&dir);
}

static int save(int dir, const Davit__ImageInfo *info, struct err *e)
{
	uint8_t data[RECORD_MAX];
	if (davit__image_info__get_packed_size(info) > sizeof(data))
		return err_set(e, ERR_LIMIT, 0, "image record");
	return file_write_atomic(dir, RECORD, data, davit__image_info__pack(info, data), 0600, true, e);
}

/* Fills the temporary folder and describes it. */
static int fill(int dir, const char *name, int fd, const struct layer_limits *lim, struct err *e)
{
	struct layer_limits limits;
	struct jail_counts counts = { 0 };
	Davit__ImageInfo info = DAVIT__IMAGE_INFO__INIT;
	auto_close int rootfs = openat(dir, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rootfs < 0)
		return err_sys(e, errno, "open the image's folder");
	if (import_limits(rootfs, lim, &limits, e) < 0 || lazy_archive(e) < 0 || jail_run(rootfs, fd, import_image, &limits, &counts, e) < 0)
		return -1;
	auto_free char *digest = image_digest(rootfs, &info.bytes, &info.files, e);
	if (!digest)
		return -1;
	info.name = (char *)name;
	info.digest = digest;
	info.has_bytes = info.has_files = true;
	if (save(dir, &info, e) < 0)
		return -1;
	return syncfs(dir) < 0 ? err_sys(e, errno, "write the image to disk") : 0;
}

static int put_in_place(int images, const char *temporary, const char *name, struct err *e)
{
	if (renameat2(images, temporary, images, name, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(e, ERR_EXISTS, 0, "image %s exists", name) : err_sys(e, errno, "put image %s in its place", name);
	return fsync(images) < 0 ? err_sys(e, errno, "write the folder of the images to disk") : 0;
}

int image_import(const char *images_dir, const char *name, int fd, const struct layer_limits *lim, Davit__ImageInfo **out, struct err *e)
{
	if (str_check_name(name, "name", e) < 0 || file_mkdir_p(images_dir, 0700, e) < 0)
		return -1;
	auto_close int images = open(images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (images < 0)
		return err_sys(e, errno, "open %s", images_dir);
	if (file_exists(images, name))
		return err_set(e, ERR_EXISTS, 0, "image %s exists", name);
	char temporary[32];
	remove_stale(images);
	auto_close int dir = make_temporary(images, temporary, e);
	if (dir < 0)
		return -1;
	if (fill(dir, name, fd, lim, e) < 0 || put_in_place(images, temporary, name, e) < 0) {
		(void)file_remove_tree(images, temporary, NULL);
		return err_prefix(e, "image %s", name);
	}
	*out = image_get(images_dir, name, e);
	return *out ? 0 : -1;
}

Davit__ImageInfo *image_get(const char *images_dir, const char *name, struct err *e)
{
	size_t n;
	struct err own;
	err_clear(&own);
	if (str_check_name(name, "image", e) < 0)
		return NULL;
	auto_free char *path = mem_printf(e, "%s/%s/" RECORD, images_dir, name);
	auto_free char *data = path ? file_read(AT_FDCWD, path, RECORD_MAX, &n, &own) : NULL;
	if (!data) {
		if (own.code == ERR_NOT_FOUND)
			err_set(e, ERR_NOT_FOUND, 0, "there is no image %s", name);
		else if (path && e)
			*e = own;
		return NULL;
	}
	Davit__ImageInfo *info = davit__image_info__unpack(NULL, n, (const uint8_t *)data);
	if (!info)
		err_set(e, ERR_CORRUPT, 0, "%s is damaged", path);
	return info;
}

static int add_image(Davit__ImageInfoList *list, size_t *cap, const char *images_dir, const char *name, struct err *e)
{
	struct err own;
	err_clear(&own);
	if (mem_grow(&list->images, cap, list->n_images + 1, sizeof(*list->images), e) < 0)
		return -1;
	Davit__ImageInfo *info = image_get(images_dir, name, &own);
	if (info)
		list->images[list->n_images++] = info;
	else if (own.code != ERR_NOT_FOUND && own.code != ERR_INVALID) { /* removed meanwhile; a folder that is no image */
		if (e)
			*e = own;
		return -1;
	}
	return 0;
}

Davit__ImageInfoList *image_list(const char *images_dir, struct err *e)
{
	Davit__ImageInfoList *list = mem_new(1, sizeof(*list), e);
	if (!list)
		return NULL;
	davit__image_info_list__init(list);
	auto_dir DIR *d = opendir(images_dir);
	if (!d && errno == ENOENT)
		return list;
	int rc = d ? 0 : err_sys(e, errno, "open %s", images_dir);
	size_t cap = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			rc = add_image(list, &cap, images_dir, entry->d_name, e);
	if (rc == 0)
		return list;
	davit__image_info_list__free_unpacked(list, NULL);
	return NULL;
}

int image_remove(const char *images_dir, const char *name, struct err *e)
{
	char temporary[32], hex[17];
	Davit__ImageInfo *info = image_get(images_dir, name, e);
	if (!info)
		return -1;
	davit__image_info__free_unpacked(info, NULL);
	auto_close int images = open(images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (images < 0 || str_random_hex(hex, 8, e) < 0)
		return err_sys(e, errno, "open %s", images_dir);
	snprintf(temporary, sizeof(temporary), TEMPORARY "%s", hex);
	if (renameat(images, name, images, temporary) < 0)
		return err_sys(e, errno, "remove image %s", name);
	return file_remove_tree(images, temporary, e);
}

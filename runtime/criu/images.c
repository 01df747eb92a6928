/* See images.h. An image: u32 head magic, u32 magic of its type, then each entry as u32 length and protobuf bytes; all in the machine's byte order
 * (CRIU's image.c, magic.h). */
#include "runtime/criu/images.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"

#define HEAD_SERVICE 0x55105940
#define HEAD_INVENTORY 0x58313116
#define IMAGE_MAX (16 << 20)
#define ENTRIES_MAX ((size_t)64 << 20)

static const struct image_type {
	const ProtobufCMessageDescriptor *descriptor;
	uint32_t head, magic;
} types[] = {
	{ &criu__userns_entry__descriptor, CRIU_IMAGE_HEAD, 0x55474906 },   { &criu__timens_entry__descriptor, CRIU_IMAGE_HEAD, 0x43114433 },
	{ &criu__cgroup_entry__descriptor, CRIU_IMAGE_HEAD, 0x59383330 },   { &criu__stats_entry__descriptor, HEAD_SERVICE, 0x57093306 },
	{ &criu__inventory_entry__descriptor, HEAD_INVENTORY, 0 }, /* the only one with one number: it tells whether the others have two */
	{ &criu__core_of_timers__descriptor, CRIU_IMAGE_HEAD, 0x55053847 }, { &criu__kobj_ids__descriptor, CRIU_IMAGE_HEAD, 0x54432030 },
	{ &criu__core_entry__descriptor, CRIU_IMAGE_HEAD, 0x55053847 },	    { &criu__seccomp_entry__descriptor, CRIU_IMAGE_HEAD, 0x64413049 },
	{ &criu__mnt_entry__descriptor, CRIU_IMAGE_HEAD, 0x55563928 },	    { &criu__file_entry__descriptor, CRIU_IMAGE_HEAD, 0x56303138 },
	{ &criu__pstree_entry__descriptor, CRIU_IMAGE_HEAD, 0x50273030 },
};

static const struct image_type *type_of(const ProtobufCMessageDescriptor *d)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].descriptor == d)
			return &types[i];
	return NULL;
}

void *criu_image_read(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, struct err *e)
{
	const struct image_type *t = type_of(d);
	uint32_t head[3] = { 0 }, length;
	size_t n, size = t && t->magic ? 3 * sizeof(uint32_t) : 2 * sizeof(uint32_t);

	auto_free char *data = file_read(dirfd, name, IMAGE_MAX, &n, e);
	if (!data)
		return NULL;
	memcpy(head, data, MIN(n, size));
	length = t && t->magic ? head[2] : head[1];
	if (!t || n < size || head[0] != t->head || (t->magic && head[1] != t->magic) || length > n - size) {
		err_set(e, ERR_CORRUPT, 0, "%s is no image of that kind", name);
		return NULL;
	}
	return pb_unpack(d, data + size, length, name, e);
}

int criu_image_each(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, criu_image_entry *f, void *arg, struct err *e)
{
	const struct image_type *t = type_of(d);
	size_t n, at = 2 * sizeof(uint32_t);
	uint32_t head[2], length;

	auto_free char *data = file_read(dirfd, name, ENTRIES_MAX, &n, e);
	if (!data)
		return -1;
	if (!t || n < sizeof(head) || (memcpy(head, data, sizeof(head)), head[0] != t->head || head[1] != t->magic))
		return err_set(e, ERR_CORRUPT, 0, "%s is no image of that kind", name);
	for (; at < n; at += length) {
		if (n - at < sizeof(length) || (memcpy(&length, data + at, sizeof(length)), length > n - at - sizeof(length)))
			return err_set(e, ERR_CORRUPT, 0, "%s ends in the middle of an entry", name);
		at += sizeof(length);
		if (f(arg, (const uint8_t *)data + at, length, e) < 0)
			return -1;
	}
	return 0;
}

int criu_image_write(int dirfd, const char *name, const ProtobufCMessage *m, struct err *e)
{
	const struct image_type *t = type_of(m->descriptor);
	auto_buf struct buf b = { 0 };

	if (!t)
		return err_set(e, ERR_INTERNAL, 0, "%s: no image of %s is known", name, m->descriptor->name);
	const uint32_t head[3] = { t->head, t->magic, (uint32_t)protobuf_c_message_get_packed_size(m) };
	if (buf_append(&b, head, sizeof(head), e) < 0 || pb_pack(m, &b, e) < 0)
		return -1;
	return file_write_atomic(dirfd, name, b.data, b.len, 0644, false, e);
}

int criu_image_find(int dirfd, const char *kind, char out[64], struct err *e)
{
	size_t n = strlen(kind);
	struct dirent *d;

	int fd = file_open_dir(dirfd, ".", e);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? -1 : err_sys(e, errno, "read the images' folder");
	}
	out[0] = '\0';
	while (!out[0] && (d = readdir(dir)))
		if (str_prefix(d->d_name, kind) && d->d_name[n] == '-' && str_suffix(d->d_name, ".img") && strlen(d->d_name) < 64)
			strcpy(out, d->d_name);
	closedir(dir);
	return out[0] ? 1 : 0;
}

static int move_range(Criu__IdExtent **map, size_t n, const char *what, const Davit__IdRange *ids, struct err *e)
{
	if (n != 1 || map[0]->first != 0)
		return err_set(e, ERR_INVALID, 0, "the images' %s map is not one range from 0: it cannot be moved", what);
	if (map[0]->count > ids->size)
		return err_field(e, "ids.size", "the images need %u %ss, the range has %u", map[0]->count, what, ids->size);
	map[0]->lower_first = ids->host_start;
	return 0;
}

int criu_images_set_ids(int images_dirfd, int out_dirfd, const Davit__IdRange *ids, struct err *e)
{
	char name[64];

	int found = criu_image_find(images_dirfd, "userns", name, e);
	if (found <= 0)
		return found;
	auto_pb(Criu__UsernsEntry) *u = criu_image_read(images_dirfd, name, &criu__userns_entry__descriptor, e);
	if (!u || move_range(u->uid_map, u->n_uid_map, "user id", ids, e) < 0 || move_range(u->gid_map, u->n_gid_map, "group id", ids, e) < 0)
		return -1;
	return criu_image_write(out_dirfd, name, &u->base, e);
}

static int set_map(size_t *n, Criu__IdExtent ***map, Davit__OciIdMapping *const *from, size_t nfrom, struct err *e)
{
	for (size_t i = 0; i < nfrom; i++) {
		Criu__IdExtent *x = pb_new(&criu__id_extent__descriptor, e);
		if (!x || pb_push(n, map, x, e) < 0)
			return -1;
		x->first = from[i]->container_id;
		x->lower_first = from[i]->host_id;
		x->count = from[i]->size;
	}
	return 0;
}

int criu_images_set_maps(int images_dirfd, int out_dirfd, const Davit__OciLinux *l, struct err *e)
{
	char name[64];

	int found = criu_image_find(images_dirfd, "userns", name, e);
	if (found < 0)
		return -1;
	bool wanted = l && l->n_uid_mappings > 0;
	if (found != wanted) {
		err_field(e, "linux.uidMappings", "the images were made %s a user namespace", found ? "in" : "without");
		return err_remedy(e, "restore with a bundle like the one of the checkpoint");
	}
	if (!found)
		return 0;
	auto_pb(Criu__UsernsEntry) *u = pb_new(&criu__userns_entry__descriptor, e);
	if (!u || set_map(&u->n_uid_map, &u->uid_map, l->uid_mappings, l->n_uid_mappings, e) < 0 ||
	    set_map(&u->n_gid_map, &u->gid_map, l->gid_mappings, l->n_gid_mappings, e) < 0)
		return -1;
	return criu_image_write(out_dirfd, name, &u->base, e);
}

int criu_images_dump_stats(int images_dirfd, Criu__StatsEntry **out, struct err *e)
{
	*out = criu_image_read(images_dirfd, "stats-dump", &criu__stats_entry__descriptor, e);
	return *out ? 0 : -1;
}

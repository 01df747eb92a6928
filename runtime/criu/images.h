/* The few images of CRIU that davit itself reads or writes: two magic numbers, then a length and a protobuf message (proto/criu.proto), once or, in
 * images with many entries, again and again. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "criu.pb-c.h"
#include "oci.pb-c.h"
#include "spec.pb-c.h"

/* The first number of all images but those of CRIU's service (criu/include/magic.h, IMG_COMMON_MAGIC). */
#define CRIU_IMAGE_HEAD 0x54564319

/* Owned entry of an image file; NULL (ERR_NOT_FOUND, ERR_CORRUPT). The magic is that of the descriptor's type. */
void *criu_image_read(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, struct err *e);
/* Gives each entry of an image with many, packed as it stands there, to f until that returns -1. 0 or -1 (ERR_CORRUPT, …). */
typedef int criu_image_entry(void *arg, const uint8_t *p, uint32_t n, struct err *e);
int criu_image_each(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, criu_image_entry *f, void *arg, struct err *e);
/* Writes it atomically. 0 or -1. */
int criu_image_write(int dirfd, const char *name, const ProtobufCMessage *m, struct err *e);

/* The name of the image of a kind ("userns", "timens") with its number in the folder, into out. 1 found, 0 none, -1. */
int criu_image_find(int dirfd, const char *kind, char out[64], struct err *e);
/* The user namespace's maps of the images, moved so that container id 0 is host id ids->host_start, written below the same name in out_dirfd. Images
 * without a user namespace are left alone. ERR_INVALID: the maps are not one range from 0, or longer than ids->size. */
int criu_images_set_ids(int images_dirfd, int out_dirfd, const Davit__IdRange *ids, struct err *e);
/* The same with the maps of a spec, written as they are. ERR_INVALID: the images have a user namespace and the spec has not, or the other way round.
 */
int criu_images_set_maps(int images_dirfd, int out_dirfd, const Davit__OciLinux *l, struct err *e);
/* What a dump counted and took. */
int criu_images_dump_stats(int images_dirfd, Criu__StatsEntry **out, struct err *e);

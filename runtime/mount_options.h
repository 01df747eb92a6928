/* Mount options of config.json, as what the kernel's mount calls take. Sources: mount_setattr(2), fsconfig(2), mount(8), config.md "Mounts",
 * config-linux.md and runc's docs for the recursive ones ("rro") and "tmpcopyup". */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

struct mount_options {
	uint64_t set, clear;	     /* MOUNT_ATTR_… of this mount */
	uint64_t rec_set, rec_clear; /* of this mount and all below it */
	uint64_t propagation;	     /* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or 0 */
	bool propagation_rec;
	bool bind, rbind;
	bool remount; /* of what already is there; only its attributes change */
	bool copy_up; /* a tmpfs begins with what it hides */
	bool idmap, idmap_rec;
	struct strv data; /* "key=value" and flags of the filesystem itself */
};
void mount_options_free(struct mount_options *m);
#define auto_mount_options __attribute__((cleanup(mount_options_free)))

/* Sorts options. field: path of the array in the spec ("mounts[2].options"). ERR_INVALID: options that exclude each other. */
int mount_options_parse(char *const *options, size_t n, const char *field, struct mount_options *out, struct err *e);
/* The names that are not passed to the filesystem, for `features`. NULL beyond the last. */
const char *mount_option_name(size_t i);

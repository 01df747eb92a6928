/* One table of options: see mount_options.h. */
#include "runtime/mount_options.h"
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

enum kind { ATTR, ATTR_REC, PROPAGATION, PROPAGATION_REC, BIND, RBIND, REMOUNT, COPY_UP, IDMAP, IDMAP_REC, NOTHING, DATA };

struct option {
	const char *name;
	enum kind kind;
	uint64_t set, clear;
};

/* An atime mode is a field of several bits: setting one clears the field first (mount_setattr(2)). */
#define ATIME MOUNT_ATTR__ATIME

static const struct option table[] = {
	{ "acl", DATA, 0, 0 },
	{ "async", NOTHING, 0, 0 },
	{ "atime", ATTR, MOUNT_ATTR_RELATIME, ATIME },
	{ "bind", BIND, 0, 0 },
	{ "defaults", NOTHING, 0, 0 },
	{ "dev", ATTR, 0, MOUNT_ATTR_NODEV },
	{ "diratime", ATTR, 0, MOUNT_ATTR_NODIRATIME },
	{ "dirsync", DATA, 0, 0 },
	{ "exec", ATTR, 0, MOUNT_ATTR_NOEXEC },
	{ "idmap", IDMAP, 0, 0 },
	{ "iversion", NOTHING, 0, 0 },
	{ "lazytime", DATA, 0, 0 },
	{ "loud", NOTHING, 0, 0 },
	{ "mand", DATA, 0, 0 },
	{ "noacl", DATA, 0, 0 },
	{ "noatime", ATTR, MOUNT_ATTR_NOATIME, ATIME },
	{ "nodev", ATTR, MOUNT_ATTR_NODEV, 0 },
	{ "nodiratime", ATTR, MOUNT_ATTR_NODIRATIME, 0 },
	{ "noexec", ATTR, MOUNT_ATTR_NOEXEC, 0 },
	{ "noiversion", NOTHING, 0, 0 },
	{ "nolazytime", NOTHING, 0, 0 },
	{ "nomand", NOTHING, 0, 0 },
	{ "norelatime", ATTR, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "nostrictatime", ATTR, MOUNT_ATTR_RELATIME, ATIME },
	{ "nosuid", ATTR, MOUNT_ATTR_NOSUID, 0 },
	{ "nosymfollow", ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "private", PROPAGATION, MS_PRIVATE, 0 },
	{ "ratime", ATTR_REC, MOUNT_ATTR_RELATIME, ATIME },
	{ "rbind", RBIND, 0, 0 },
	{ "rdev", ATTR_REC, 0, MOUNT_ATTR_NODEV },
	{ "rdiratime", ATTR_REC, 0, MOUNT_ATTR_NODIRATIME },
	{ "relatime", ATTR, MOUNT_ATTR_RELATIME, ATIME },
	{ "remount", REMOUNT, 0, 0 },
	{ "rexec", ATTR_REC, 0, MOUNT_ATTR_NOEXEC },
	{ "ridmap", IDMAP_REC, 0, 0 },
	{ "rnoatime", ATTR_REC, MOUNT_ATTR_NOATIME, ATIME },
	{ "rnodev", ATTR_REC, MOUNT_ATTR_NODEV, 0 },
	{ "rnodiratime", ATTR_REC, MOUNT_ATTR_NODIRATIME, 0 },
	{ "rnoexec", ATTR_REC, MOUNT_ATTR_NOEXEC, 0 },
	{ "rnorelatime", ATTR_REC, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "rnostrictatime", ATTR_REC, MOUNT_ATTR_RELATIME, ATIME },
	{ "rnosuid", ATTR_REC, MOUNT_ATTR_NOSUID, 0 },
	{ "rnosymfollow", ATTR_REC, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "ro", ATTR, MOUNT_ATTR_RDONLY, 0 },
	{ "rprivate", PROPAGATION_REC, MS_PRIVATE, 0 },
	{ "rrelatime", ATTR_REC, MOUNT_ATTR_RELATIME, ATIME },
	{ "rro", ATTR_REC, MOUNT_ATTR_RDONLY, 0 },
	{ "rrw", ATTR_REC, 0, MOUNT_ATTR_RDONLY },
	{ "rshared", PROPAGATION_REC, MS_SHARED, 0 },
	{ "rslave", PROPAGATION_REC, MS_SLAVE, 0 },
	{ "rstrictatime", ATTR_REC, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "rsuid", ATTR_REC, 0, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", ATTR_REC, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", PROPAGATION_REC, MS_UNBINDABLE, 0 },
	{ "rw", ATTR, 0, MOUNT_ATTR_RDONLY },
	{ "shared", PROPAGATION, MS_SHARED, 0 },
	{ "silent", NOTHING, 0, 0 },
	{ "slave", PROPAGATION, MS_SLAVE, 0 },
	{ "strictatime", ATTR, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "suid", ATTR, 0, MOUNT_ATTR_NOSUID },
	{ "symfollow", ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", DATA, 0, 0 },
	{ "tmpcopyup", COPY_UP, 0, 0 },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE, 0 },
};

const char *mount_option_name(size_t i)
{
	return i < ARRAY_LEN(table) ? table[i].name : NULL;
}

void mount_options_free(struct mount_options *m)
{
	strv_free(&m->data);
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* The last one wins, as for mount(8). */
static void change(uint64_t *set, uint64_t *clear, const struct option *o)
{
	*set = (*set & ~o->clear) | o->set;
	*clear = (*clear & ~o->set) | o->clear;
}

static int take(struct mount_options *m, const struct option *o, const char *text, struct err *e)
{
	switch (o ? o->kind : DATA) {
	case ATTR:
		change(&m->set, &m->clear, o);
		break;
	case ATTR_REC:
		change(&m->rec_set, &m->rec_clear, o);
		break;
	case PROPAGATION:
	case PROPAGATION_REC:
		m->propagation = o->set;
		m->propagation_rec = o->kind == PROPAGATION_REC;
		break;
	case BIND:
		m->bind = true;
		break;
	case RBIND:
		m->bind = m->rbind = true;
		break;
	case REMOUNT:
		m->remount = true;
		break;
	case COPY_UP:
		m->copy_up = true;
		break;
	case IDMAP:
	case IDMAP_REC:
		m->idmap = true;
		m->idmap_rec = o->kind == IDMAP_REC;
		break;
	case NOTHING:
		break;
	case DATA:
		return strv_add(&m->data, text, e);
	}
	return 0;
}

int mount_options_parse(char *const *options, size_t n, const char *field, struct mount_options *out, struct err *e)
{
	char item[ERR_FIELD_MAX];

	*out = (struct mount_options){ 0 };
	for (size_t i = 0; i < n; i++) {
		snprintf(item, sizeof(item), "%s[%zu]", field, i);
		/* A comma may stand in a value: SELinux categories have them. */
		if (!*options[i] || (strchr(options[i], ',') && !strchr(options[i], '='))) {
			err_field(e, item, "a mount option is one word without commas, not \"%s\"", options[i]);
			return err_remedy(e, "write each option as an element of its own");
		}
		if (take(out, find(options[i]), options[i], e) < 0)
			return -1;
	}
	return 0;
}

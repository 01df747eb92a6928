/* Open files of the images. See trust.h.
 *
 * CRIU opens a file by its path in the container's mount namespace, as the container's root: it reaches what the container reaches. Sockets it makes
 * with all capabilities in the container's network, so those that need one are looked at. What comes from outside by name (a key of inherit_fd, a
 * path of the host) is refused: standard streams are pipes, which CRIU finds by their number among those that we give. */
#include <linux/capability.h>
#include <string.h>
#include <sys/socket.h>
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/criu/trust.h"

#define IMAGE "files.img"
#define NO_CAP -1

/* CRIU's fd_types: which are taken, and what a container needs to have made such a thing. */
static const struct kind {
	const char *name;
	bool taken;
	int cap;
} kinds[] = {
	[1] = { "file", true, NO_CAP },
	[2] = { "pipe", true, NO_CAP },
	[3] = { "fifo", true, NO_CAP },
	[4] = { "internet socket", true, NO_CAP },
	[5] = { "unix socket", true, NO_CAP },
	[6] = { "eventfd", true, NO_CAP },
	[7] = { "epoll instance", true, NO_CAP },
	[8] = { "inotify instance", true, NO_CAP },
	[9] = { "signalfd", true, NO_CAP },
	[10] = { "packet socket", true, CAP_NET_RAW },
	[11] = { "terminal", true, NO_CAP },
	[12] = { "fanotify instance", true, NO_CAP },
	[13] = { "netlink socket", true, NO_CAP },
	[14] = { "namespace", true, NO_CAP },
	[15] = { "tun device", true, CAP_NET_ADMIN },
	[16] = { "file of a plugin", false, NO_CAP },
	[17] = { "timerfd", true, NO_CAP },
	[18] = { "memory file", true, NO_CAP },
	[19] = { "BPF map", true, CAP_BPF },
	[20] = { "pidfd", true, NO_CAP },
};

static bool goes_up(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static int check_reg(const struct trust *t, const Criu__RegFileEntry *f, struct err *e)
{
	if (f->ext)
		return trust_refuse(IMAGE, "reg.ext", e, "ask for a file from outside: %.128s", f->name);
	if (goes_up(f->name))
		return trust_refuse(IMAGE, "reg.name", e, "have a file open by a path that is none of the kernel's: %.128s", f->name);
	if (f->has_mnt_id && f->mnt_id >= 0 && !trust_has_mount(t, (uint32_t)f->mnt_id))
		return trust_refuse(IMAGE, "reg.mnt_id", e, "have a file open on no mount of theirs: %.128s", f->name);
	return 0;
}

static int check_entry(void *arg, const uint8_t *p, uint32_t n, struct err *e)
{
	const struct trust *t = arg;
	auto_pb(Criu__FileEntry) *f = pb_unpack(&criu__file_entry__descriptor, p, n, IMAGE, e);

	if (!f)
		return -1;
	const struct kind *k = f->type < ARRAY_LEN(kinds) ? &kinds[f->type] : NULL;
	if (!k || !k->name || !k->taken)
		return trust_refuse(IMAGE, "type", e, "have a thing open that no dump of davit has (%s)", k && k->name ? k->name : "unknown");
	if (k->cap != NO_CAP && !trust_has_cap(t, k->cap))
		return trust_refuse(IMAGE, "type", e, "have a %s open, for which the container lacks the capability", k->name);
	if (f->isk && f->isk->type == SOCK_RAW && !trust_has_cap(t, CAP_NET_RAW))
		return trust_refuse(IMAGE, "isk.type", e, "have a raw socket open, for which the container lacks the capability");
	if (f->usk && f->usk->uflags & 1) /* USK_EXTERN */
		return trust_refuse(IMAGE, "usk.uflags", e, "ask for a unix socket of the outside");
	return f->reg ? check_reg(t, f->reg, e) : 0;
}

int trust_files(const struct trust *t, struct err *e)
{
	if (!file_exists(t->images, IMAGE))
		return 0;
	return criu_image_each(t->images, IMAGE, &criu__file_entry__descriptor, check_entry, (void *)t, e);
}

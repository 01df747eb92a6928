/* See trust.h. */
#include "runtime/criu/trust.h"
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/caps.h"

/* What a dump of ours writes. CRIU knows more: images of older versions, which it prefers to the present ones, tables of packet filters, profiles of
 * AppArmor, which it loads into the kernel. Of other files it reads `parent` alone. */
static const char *const single[] = { "inventory.img",	"pstree.img",	 "files.img",	    "cgroup.img",      "seccomp.img",  "memfd.img",
				      "pipes-data.img", "fifo-data.img", "sk-queues.img",   "remap-fpath.img", "tty-info.img", "tty-data.img",
				      "filelocks.img",	"cpuinfo.img",	 "bpfmap-file.img", "bpfmap-data.img" };
static const char *const numbered[] = {
	"core",	 "ids",	  "mm",	       "fs",	    "fdinfo",	 "pagemap",   "pages",	    "mountpoints", "userns",	    "timens",
	"pidns", "utsns", "ipcns-var", "ipcns-shm", "ipcns-msg", "ipcns-sem", "ghost-file", "tcp-stream",  "pagemap-shmem", "tmpfs-dev",
};

/* Connections that its own packet rules track: it could make them itself. */
static const char *const of_net_admin[] = { "netns-ct", "netns-exp" };

int trust_refuse(const char *image, const char *member, struct err *e, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	err_set(e, ERR_DENIED, 0, "the images %s", text);
	if (e)
		snprintf(e->field, sizeof(e->field), "%s%s%s", image, member ? ":" : "", member ? member : "");
	return err_remedy(e, "if the container is meant to have that, give it in its spec; else do not take images from where these came from");
}

bool trust_has_cap(const struct trust *t, int number)
{
	return t->caps >> number & 1;
}

/* NAME-NUMBER.img; those of a tmpfs are packed. */
static const char *numbered_kind(const char *name, const char *const *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(kinds[i]), digits;
		if (!str_prefix(name, kinds[i]) || name[n] != '-')
			continue;
		digits = strspn(name + n + 1, "0123456789abcdef");
		if (digits && str_eq(name + n + 1 + digits, str_eq(kinds[i], "tmpfs-dev") ? ".tar.gz.img" : ".img"))
			return kinds[i];
	}
	return NULL;
}

static bool is_single(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(single); i++)
		if (str_eq(name, single[i]))
			return true;
	return false;
}

static int check_image(struct trust *t, const char *name, struct err *e)
{
	const char *kind = numbered_kind(name, numbered, ARRAY_LEN(numbered));

	if (!kind && trust_has_cap(t, CAP_NET_ADMIN))
		kind = numbered_kind(name, of_net_admin, ARRAY_LEN(of_net_admin));
	if (str_eq(kind, "core"))
		return trust_core(t, name, e);
	if (str_eq(kind, "ids"))
		return trust_ids(t, name, e);
	if (str_eq(kind, "mountpoints"))
		return trust_mounts(t, name, e);
	if (!kind && !is_single(name) && (str_suffix(name, ".img") || str_eq(name, "parent")))
		return trust_refuse(name, NULL, e, "have a part that no dump of davit has: %s", name);
	return 0;
}

static int check_folder(struct trust *t, struct err *e)
{
	const struct dirent *d;
	int rc = 0, fd = file_open_dir(t->images, ".", e);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? -1 : err_sys(e, errno, "read the images' folder");
	}
	while (rc == 0 && (d = readdir(dir)))
		if (!str_eq(d->d_name, ".") && !str_eq(d->d_name, ".."))
			rc = check_image(t, d->d_name, e);
	closedir(dir);
	return rc;
}

int trust_check(struct trust *t, struct err *e)
{
	struct caps caps;

	if (caps_parse(t->c->spec->process->capabilities, &caps, e) < 0)
		return -1;
	t->caps = caps.bounding;
	if (trust_inventory(t, e) < 0 || check_folder(t, e) < 0)
		return -1;
	return trust_files(t, e) < 0 ? -1 : trust_filters(t, e);
}

void trust_free(struct trust *t)
{
	free(t->tasks);
	free(t->mounts);
	strv_free(&t->plain);
	strv_free(&t->real);
	pb_freep(&t->inventory);
	pb_freep(&t->uncovered);
}

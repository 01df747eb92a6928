/* Files in the container's /etc.
 *
 * The mounted root is idmapped: what the container's root owns belongs to host_start here, and the host's root has no id in it. So the files are made
 * with the file-system ids of the container's root (setfsuid(2)), which also takes away the right to override permissions: nothing can be written
 * that the container could not have written itself. The caller is a process of its own. */
#include "runtime/serve/etc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"

#define RESOLV_MAX 65536

/* Replaces what is there, be it a link to somewhere. */
static int put(int etc, const char *name, const struct buf *text, struct err *e)
{
	if (unlinkat(etc, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "replace the container's /etc/%s", name);
	auto_close int fd = openat(etc, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, errno, "make the container's /etc/%s", name);
	return fd_write_all(fd, text->data, text->len, e);
}

static int put_hostname(int etc, const char *hostname, struct err *e)
{
	auto_buf struct buf b = { 0 };
	return buf_printf(&b, e, "%s\n", hostname) < 0 ? -1 : put(etc, "hostname", &b, e);
}

static int add_host(struct buf *b, const char *cidr, const char *hostname, struct err *e)
{
	return cidr ? buf_printf(b, e, "%.*s\t%s\n", (int)strcspn(cidr, "/"), cidr, hostname) : 0;
}

static int put_hosts(int etc, const Davit__ContainerSpec *s, const char *hostname, struct err *e)
{
	auto_buf struct buf b = { 0 };
	if (buf_puts(&b, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_attachments; i++)
		if (add_host(&b, s->attachments[i]->address, hostname, e) < 0 || add_host(&b, s->attachments[i]->address6, hostname, e) < 0)
			return -1;
	if (s->n_attachments == 0 && add_host(&b, "127.0.1.1", hostname, e) < 0)
		return -1;
	return put(etc, "hosts", &b, e);
}

static bool loopback(const char *line)
{
	const char *address = line + strlen("nameserver") + strspn(line + strlen("nameserver"), " \t");
	return str_prefix(address, "127.") || str_prefix(address, "::1");
}

/* The host's resolvers, except those that only the host itself reaches. */
static int put_resolvers(int etc, bool host_network, struct err *e)
{
	size_t n = 0, servers = 0;
	auto_buf struct buf b = { 0 };
	auto_free char *stub = file_read(AT_FDCWD, "/run/systemd/resolve/resolv.conf", RESOLV_MAX, &n, NULL);
	auto_free char *text = stub && !host_network ? steal_ptr(&stub) : file_read(AT_FDCWD, "/etc/resolv.conf", RESOLV_MAX, &n, NULL);
	for (char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		bool server = str_prefix(line, "nameserver");
		if (server && !host_network && loopback(line))
			continue;
		servers += server;
		if (buf_printf(&b, e, "%s\n", line) < 0)
			return -1;
	}
	return servers ? put(etc, "resolv.conf", &b, e) : 0;
}

static int put_all(int rootfs_fd, const Davit__ContainerSpec *s, struct err *e)
{
	auto_close int made = path_make_in(rootfs_fd, "/etc", false, e);
	auto_close int etc = made < 0 ? -1 : path_open_in(rootfs_fd, "/etc", O_RDONLY | O_DIRECTORY, 0, e);
	const char *hostname = s->hostname ? s->hostname : s->name;
	if (etc < 0 || put_hostname(etc, hostname, e) < 0 || put_hosts(etc, s, hostname, e) < 0)
		return -1;
	bool host = str_eq(s->network_mode, "host");
	return host || s->n_attachments ? put_resolvers(etc, host, e) : 0;
}

int etc_write(int rootfs_fd, const Davit__ContainerSpec *s, const Davit__IdRange *ids, struct err *e)
{
	uint32_t id = ids ? ids->host_start : 0;
	mode_t mask = umask(022);
	setfsgid(id);
	setfsuid(id);
	int rc = put_all(rootfs_fd, s, e);
	setfsuid(0);
	setfsgid(0);
	umask(mask);
	return rc;
}

/* Sysctls of a network namespace. Sources: kernel net/sysctl_net.c, Documentation/networking/ip-sysctl.rst.
 *
 * The kernel shows the files of the reader's namespace. Those of an interface are made from "default" when it comes; writing "all", or ip_forward,
 * changes all of them. So where one of a kind differs, all of that kind are taken, and are written in this order: what is no interface's, all,
 * default, the others. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/net/inside_private.h"

#define ROOT "/proc/sys/net"
#define VALUE_MAX 4096
#define DEPTH_MAX 5

struct setting {
	char *name, *value, *kind; /* kind: the name with * for its interface */
	int rank;		   /* order of writing */
	bool differs;
};
struct settings {
	struct setting *v;
	size_t n, cap;
};

static void settings_free(struct settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].value);
		free(s->v[i].kind);
	}
	free(s->v);
}
#define auto_settings auto_cleanup(settings_free)

/* "ipv4/conf/eth0/forwarding": where the interface's name is. Returns its length, 0: none. */
static size_t interface_in(const char *name, const char **at)
{
	static const char *const folders[] = { "ipv4/conf/", "ipv6/conf/", "ipv4/neigh/", "ipv6/neigh/" };
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (!str_prefix(name, folders[i]))
			continue;
		*at = name + strlen(folders[i]);
		return strcspn(*at, "/");
	}
	return 0;
}

static bool is_interface(const char *at, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(at, name, n) == 0;
}

static char *with_interface(const char *name, const char *other, struct err *e)
{
	const char *at = NULL;
	size_t n = interface_in(name, &at);
	return n ? mem_printf(e, "%.*s%s%s", (int)(at - name), name, other, at + n) : mem_strdup(name, e);
}

static int rank_of(const char *name)
{
	const char *at = NULL;
	size_t n = interface_in(name, &at);
	return !n ? 0 : is_interface(at, n, "all") ? 1 : is_interface(at, n, "default") ? 2 : 3;
}

static int add(struct settings *s, const char *name, const char *value, struct err *e)
{
	if (mem_grow(&s->v, &s->cap, s->n + 1, sizeof(*s->v), e) < 0)
		return -1;
	struct setting *x = &s->v[s->n];
	*x = (struct setting){
		.name = mem_strdup(name, e), .value = mem_strdup(value, e), .kind = with_interface(name, "*", e), .rank = rank_of(name)
	};
	s->n++;
	return x->name && x->value && x->kind ? 0 : -1;
}

/* What only follows something else (an MTU), or says what is, is left out. */
static bool is_setting(int dirfd, const char *file, const char *name)
{
	struct stat st;
	if (fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	return (st.st_mode & 0600) == 0600 && !(str_prefix(name, "ipv6/conf/") && str_suffix(name, "/mtu"));
}

static int walk(int dirfd, const char *prefix, int depth, struct settings *out, struct err *e)
{
	int rc = 0;
	int fd = file_open_dir(dirfd, ".", e);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return fd < 0 ? -1 : err_sys(e, errno, "read " ROOT "/%s", prefix);
	for (const struct dirent *d; rc == 0 && (d = readdir(dir));) {
		char name[256], value[VALUE_MAX];
		if (d->d_name[0] == '.' || snprintf(name, sizeof(name), "%s%s", prefix, d->d_name) >= (int)sizeof(name) - 1)
			continue;
		if (d->d_type == DT_DIR && depth < DEPTH_MAX) {
			auto_close int sub = file_open_dir(fd, d->d_name, NULL);
			rc = sub < 0 ? 0 : walk(sub, strcat(name, "/"), depth + 1, out, e);
		} else if (is_setting(fd, d->d_name, name) && file_read_line(fd, d->d_name, value, sizeof(value), NULL) == 0) {
			rc = add(out, name, value, e);
		}
	}
	closedir(dir);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct setting *)a)->name, ((const struct setting *)b)->name);
}

static int by_rank(const void *a, const void *b)
{
	const struct setting *x = a, *y = b;
	return x->rank != y->rank ? x->rank - y->rank : strcmp(x->name, y->name);
}

static int read_all(struct settings *out, struct err *e)
{
	auto_close int root = file_open_dir(AT_FDCWD, ROOT, e);
	if (root < 0 || walk(root, "", 0, out, e) < 0)
		return -1;
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	return 0;
}

static const struct setting *find(const struct settings *s, const char *name)
{
	struct setting key = { .name = (char *)name };
	return s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), by_name) : NULL;
}

/* A fresh namespace has none but lo: another interface there would have what "default" has. */
static int compare(struct setting *x, const struct settings *fresh, struct err *e)
{
	const struct setting *there = find(fresh, x->name);
	if (!there) {
		auto_free char *name = with_interface(x->name, "default", e);
		if (!name)
			return -1;
		there = find(fresh, name);
	}
	x->differs = there && !str_eq(there->value, x->value);
	return 0;
}

static bool kind_differs(const struct settings *s, const char *kind)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].differs && str_eq(s->v[i].kind, kind))
			return true;
	return false;
}

int inside_sysctl_read(Davit__NetworkInside *in, struct err *e)
{
	auto_settings struct settings now = { 0 }, fresh = { 0 };
	bool any = false;
	if (read_all(&now, e) < 0)
		return -1;
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, errno, "make a network namespace to compare with");
	if (read_all(&fresh, e) < 0)
		return -1;
	for (size_t i = 0; i < now.n; i++) {
		if (compare(&now.v[i], &fresh, e) < 0)
			return -1;
		any |= now.v[i].differs;
	}
	if (!any)
		return 0;
	qsort(now.v, now.n, sizeof(*now.v), by_rank);
	for (size_t i = 0; i < now.n; i++) {
		if (!kind_differs(&now, now.v[i].kind))
			continue;
		Davit__KeyValue *kv = pb_new(&davit__key_value__descriptor, e);
		if (!kv || pb_push(&in->n_sysctls, &in->sysctls, kv, e) < 0 || pb_set_str(&kv->key, now.v[i].name, e) < 0 ||
		    pb_set_str(&kv->value, now.v[i].value, e) < 0)
			return -1;
	}
	return 0;
}

int inside_sysctl_write(const Davit__NetworkInside *in, struct err *e)
{
	auto_close int root = in->n_sysctls ? file_open_dir(AT_FDCWD, ROOT, e) : -1;
	for (size_t i = 0; i < in->n_sysctls; i++) {
		const char *name = in->sysctls[i]->key, *value = in->sysctls[i]->value;
		char now[VALUE_MAX];
		if (root < 0 || strstr(name, "..") || *name == '/')
			return root < 0 ? -1 : err_field(e, "sysctls", "%.64s is no setting of the network", name);
		if (file_read_line(root, name, now, sizeof(now), NULL) == 0 && str_eq(now, value ? value : ""))
			continue;
		if (file_write_pseudo(root, name, value ? value : "", e) < 0)
			return err_prefix(e, "sysctl net/%s=%s", name, value ? value : "");
	}
	return 0;
}

/* Passes over a layer. See passes.h. */
#include "runtime/layer/passes.h"
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "runtime/layer/export.h"
#include "runtime/layer/lazy_archive.h"

/* Further apart than slewing and two readings can be: the wall clock was set. */
#define STEP_NS (100 * NSEC_PER_MSEC)
/* A file that changed so shortly before it was looked at may change again with the same ctime. */
#define TICK_NS (20 * NSEC_PER_MSEC)
/* A write that takes longer than this is stuck in its storage. */
#define WRITE_NS (10 * NSEC_PER_SEC)

/* A name that was sent, or is to be. */
struct known {
	char *path;
	uint64_t ino, size;
	int64_t ctime;
	unsigned mode;
	unsigned seen;	  /* the pass that last saw it */
	unsigned told;	  /* … that last sent it */
	unsigned writing; /* … at whose beginning it was open for writing */
	bool again;	  /* to be sent whatever its ctime says */
};

struct passes {
	int upper;
	struct export tar;
	struct known **table; /* open addressing, by path; a power of two */
	size_t n, cap;
	struct known **changed;
	size_t n_changed, cap_changed;
	unsigned pass;
	int64_t since; /* when this pass began */
	int64_t wall;  /* CLOCK_REALTIME minus CLOCK_BOOTTIME */
	bool on_tmpfs;
};

static uint64_t hash(const char *s)
{
	uint64_t h = 1469598103934665603ULL;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211ULL;
	return h ^ h >> 29;
}

static struct known **place(struct known **table, size_t cap, const char *path)
{
	size_t at = hash(path) & (cap - 1);
	while (table[at] && strcmp(table[at]->path, path) != 0)
		at = (at + 1) & (cap - 1);
	return &table[at];
}

static int grow(struct passes *p, struct err *e)
{
	size_t cap = p->cap ? p->cap * 2 : 1024;
	struct known **table = mem_new(cap, sizeof(*table), e);
	if (!table)
		return -1;
	for (size_t i = 0; i < p->cap; i++)
		if (p->table[i])
			*place(table, cap, p->table[i]->path) = p->table[i];
	free(p->table);
	p->table = table;
	p->cap = cap;
	return 0;
}

static struct known *find_known(const struct passes *p, const char *path)
{
	return p->cap ? *place(p->table, p->cap, path) : NULL;
}

static struct known *known_of(struct passes *p, const char *path, struct err *e)
{
	if (p->n * 2 >= p->cap && grow(p, e) < 0)
		return NULL;
	struct known **at = place(p->table, p->cap, path);
	if (*at)
		return *at;
	struct known *k = mem_new(1, sizeof(*k), e);
	if (!k || !(k->path = mem_strdup(path, e))) {
		free(k);
		return NULL;
	}
	k->again = true;
	p->n++;
	return *at = k;
}

static void known_free(struct known *k)
{
	if (k)
		free(k->path);
	free(k);
}

static int64_t ctime_of(const struct stat *st)
{
	return st->st_ctim.tv_sec * NSEC_PER_SEC + st->st_ctim.tv_nsec;
}

static bool differs(const struct known *k, const struct stat *st)
{
	return k->again || k->ino != st->st_ino || k->size != (uint64_t)st->st_size || k->ctime != ctime_of(st) || k->mode != st->st_mode;
}

static int tell(struct passes *p, struct known *k, struct err *e)
{
	if (k->told == p->pass)
		return 0;
	k->told = p->pass;
	if (mem_grow(&p->changed, &p->cap_changed, p->n_changed + 1, sizeof(*p->changed), e) < 0)
		return -1;
	p->changed[p->n_changed++] = k;
	return 0;
}

static int note(struct passes *p, const char *path, const struct stat *st, struct err *e)
{
	struct known *k = S_ISSOCK(st->st_mode) ? NULL : known_of(p, path, e);
	if (!k)
		return S_ISSOCK(st->st_mode) ? 0 : -1;
	k->seen = p->pass;
	return differs(k, st) ? tell(p, k, e) : 0;
}

/* What is replaced or removed in a folder changes the folder's times there, so they are told again. */
static int tell_parent(struct passes *p, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	auto_free char *parent = slash ? mem_printf(e, "%.*s", (int)(slash - path), path) : mem_strdup(".", e);
	if (!parent)
		return -1;
	struct known *k = find_known(p, parent);
	return k && k->seen == p->pass ? tell(p, k, e) : 0;
}

static int tell_parents(struct passes *p, struct err *e)
{
	for (size_t i = 0, n = p->n_changed; i < n; i++)
		if (tell_parent(p, p->changed[i]->path, e) < 0)
			return -1;
	return 0;
}

static int scan_folder(struct passes *p, int dirfd, struct buf *path, unsigned depth, struct err *e);

static int scan_entry(struct passes *p, int dirfd, const char *name, struct buf *path, unsigned depth, struct err *e)
{
	struct stat st;
	size_t parent = path->len;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "look at %s/%s", path->len ? path->data : ".", name);
	if ((parent && buf_puts(path, "/", e) < 0) || buf_puts(path, name, e) < 0)
		return -1;
	int rc = note(p, path->data, &st, e);
	if (rc == 0 && S_ISDIR(st.st_mode)) {
		auto_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			rc = scan_folder(p, fd, path, depth + 1, e);
		else if (errno != ENOENT && errno != ENOTDIR)
			rc = err_sys(e, errno, "open folder %s", path->data);
	}
	path->len = parent;
	path->data[parent] = '\0';
	return rc;
}

static int scan_folder(struct passes *p, int dirfd, struct buf *path, unsigned depth, struct err *e)
{
	if (depth > TREE_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, 0, "folders are nested deeper than %d: %.80s…", TREE_DEPTH_MAX, path->data);
	auto_close int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "read folder %s", path->len ? path->data : ".");
	steal_fd(&copy);
	int rc = 0;
	for (struct dirent *entry; rc == 0 && (entry = readdir(d));)
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			rc = scan_entry(p, dirfd, entry->d_name, path, depth, e);
	closedir(d);
	return rc;
}

/* The root of the layer goes first: its owner and mode. */
static int scan(struct passes *p, struct err *e)
{
	auto_buf struct buf path = { 0 };
	struct stat st;
	p->pass++;
	p->n_changed = 0;
	if (fstat(p->upper, &st) < 0)
		return err_sys(e, errno, "look at a layer");
	return note(p, ".", &st, e) < 0 || buf_reserve(&path, 1, e) < 0 ? -1 : scan_folder(p, p->upper, &path, 0, e);
}

/* Longer paths first, so a folder after what was in it. */
static int by_length(const void *a, const void *b)
{
	size_t x = strlen((*(struct known *const *)a)->path), y = strlen((*(struct known *const *)b)->path);
	return x < y ? 1 : x > y ? -1 : 0;
}

/* Takes what the scan did not see out of the table and names it. */
static int tell_removed(struct passes *p, struct err *e)
{
	size_t n = 0, kept = 0;
	struct known **gone = mem_new(p->n + 1, sizeof(*gone), e), **all = mem_new(p->n + 1, sizeof(*all), e);
	int rc = gone && all ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < p->cap; i++)
		if (p->table[i])
			*(p->table[i]->seen == p->pass ? &all[kept++] : &gone[n++]) = p->table[i];
	if (rc == 0 && n) {
		qsort(gone, n, sizeof(*gone), by_length);
		memset(p->table, 0, p->cap * sizeof(*p->table));
		for (size_t i = 0; i < kept; i++)
			*place(p->table, p->cap, all[i]->path) = all[i];
		p->n = kept;
		for (size_t i = 0; i < n; i++) {
			if (rc == 0)
				rc = export_word(&p->tar, gone[i]->path, EXPORT_REMOVED, e);
			if (rc == 0)
				rc = tell_parent(p, gone[i]->path, e);
			known_free(gone[i]);
		}
	}
	free(gone);
	free(all);
	return rc;
}

/* Opens a name for sending and remembers how it was right before. 1, 0: it is gone meanwhile, -1. */
static int open_known(struct passes *p, struct known *k, struct tree_entry *t, int *fd, struct err *e)
{
	int64_t before = clock_now_ns(CLOCK_REALTIME_COARSE);
	*fd = tree_open(p->upper, k->path, &t->st, e);
	if (*fd < 0)
		return e->code == ERR_NOT_FOUND && p->tar.running ? 0 : -1;
	*t = (struct tree_entry){ .path = k->path, .fd = *fd, .st = t->st };
	k->ino = t->st.st_ino;
	k->size = (uint64_t)t->st.st_size;
	k->ctime = ctime_of(&t->st);
	k->mode = t->st.st_mode;
	k->again = k->ctime >= MIN(before, p->since) - (k->writing == p->pass ? WRITE_NS : TICK_NS);
	return 1;
}

static int send_known(struct passes *p, struct known *k, struct err *e)
{
	struct tree_entry t;
	struct err why = { 0 };
	auto_close int fd = -1;
	int rc = open_known(p, k, &t, &fd, &why);
	p->tar.torn = false;
	if (rc == 1)
		rc = export_entry(&p->tar, &t, &why);
	if (rc < 0 && p->tar.running && why.code == ERR_NOT_FOUND) {
		rc = 0; /* it went away between two looks */
		k->again = true;
	}
	if (p->tar.torn)
		k->again = true;
	if (rc < 0 && e)
		*e = why;
	return rc < 0 ? -1 : 0;
}

static void mark_again(struct passes *p, const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		struct known *k = find_known(p, paths->v[i]);
		if (k)
			k->again = true;
	}
}

static void mark_writing(struct passes *p, const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		struct known *k = find_known(p, paths->v[i]);
		if (k)
			k->writing = p->pass;
	}
}

static void mark_all_if_clock_was_set(struct passes *p)
{
	int64_t wall = clock_now_ns(CLOCK_REALTIME) - clock_now_ns(CLOCK_BOOTTIME), step = wall - p->wall;
	p->wall = wall;
	for (size_t i = 0; (step > STEP_NS || step < -STEP_NS) && i < p->cap; i++)
		if (p->table[i])
			p->table[i]->again = true;
}

/* Folders that are there already get their times at once, and lose them when something in them is replaced: they are told once more behind all. */
static int send_all(struct passes *p, struct err *e)
{
	for (size_t i = 0; i < p->n_changed; i++)
		if (send_known(p, p->changed[i], e) < 0)
			return -1;
	for (size_t i = 0; p->pass > 1 && i < p->n_changed; i++)
		if (S_ISDIR(p->changed[i]->mode) && send_known(p, p->changed[i], e) < 0)
			return -1;
	return 0;
}

int passes_run(struct passes *p, const struct passes_use *use, bool last, uint64_t *bytes, struct err *e)
{
	uint64_t before = p->tar.told;
	*bytes = 0;
	if (p->on_tmpfs && !last)
		return 0;
	p->tar.running = !last;
	p->since = use->since;
	mark_all_if_clock_was_set(p);
	mark_again(p, &use->mapped);
	if (scan(p, e) < 0)
		return -1;
	mark_writing(p, &use->writing);
	if (export_next_pass(&p->tar, e) < 0 || tell_removed(p, e) < 0 || tell_parents(p, e) < 0 || send_all(p, e) < 0)
		return -1;
	/* Mapped while it was read: what was written since leaves no trace. */
	mark_again(p, &use->mapped);
	if (last ? export_end(&p->tar, e) < 0 : export_word(&p->tar, ".", EXPORT_PASS, e) < 0)
		return -1;
	*bytes = p->tar.told - before;
	return 0;
}

struct passes *passes_new(const char *layer_dir, int fd, struct err *e)
{
	struct statfs fs;
	struct passes *p = mem_new(1, sizeof(*p), e);
	if (!p)
		return NULL;
	p->wall = clock_now_ns(CLOCK_REALTIME) - clock_now_ns(CLOCK_BOOTTIME);
	p->upper = layer_open_upper(layer_dir, e);
	if (p->upper >= 0 && export_open(&p->tar, fd, e) == 0) {
		p->on_tmpfs = fstatfs(p->upper, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
		return p;
	}
	passes_freep(&p);
	return NULL;
}

void passes_freep(struct passes **p)
{
	struct passes *x = *p;
	*p = NULL;
	if (!x)
		return;
	for (size_t i = 0; i < x->cap; i++)
		known_free(x->table[i]);
	export_close(&x->tar);
	fd_closep(&x->upper);
	free(x->table);
	free(x->changed);
	free(x);
}

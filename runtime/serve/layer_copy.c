/* layer_copy: the writable layer leaves while its container runs, pass by pass (runtime/layer/passes.h).
 *
 * Who asks says on `go` when a pass is due. Neither the container nor its lock is held: what changes meanwhile is the next pass's. Before each pass
 * the processes' shared writable mappings are looked up, since writes through them show nowhere, and the files that are open for writing, since a
 * write may be under way. Sources: proc_pid_maps(5), proc_pid_fdinfo(5). */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "runtime/container.h"
#include "runtime/layer/passes.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/place.h"
#include "runtime/serve/stream.h"

#define MAPS_MAX (64 << 20)

struct copy {
	const struct request *r;
	int layer, go;
	struct passes *passes;
	Davit__LayerCopied *out;
};

static void copy_free(struct copy *c)
{
	fd_closep(&c->layer);
	fd_closep(&c->go);
	passes_freep(&c->passes);
}

/* "START-END rw-s OFFSET DEV INODE   /path": the path as seen below the container's root, without its first '/'. */
static int add_mapping(const char *line, struct strv *out, struct err *e)
{
	const char *perms = strchr(line, ' '), *path = strchr(line, '/');
	if (!perms || strlen(perms) < 5 || perms[2] != 'w' || perms[4] != 's' || !path || !path[1])
		return 0;
	return strv_add(out, path + 1, e);
}

/* A process that ends meanwhile has no mappings any more; one that is begun meanwhile maps anew, which shows. */
static int add_mappings_of(pid_t pid, struct strv *out, struct err *e)
{
	char path[64];
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	auto_free char *text = file_read(AT_FDCWD, path, MAPS_MAX, &n, NULL);
	for (char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		if (add_mapping(line, out, e) < 0)
			return -1;
	return 0;
}

static bool is_writable(pid_t pid, int fd)
{
	uint64_t flags;
	return proc_fd_number(pid, fd, "flags", 8, &flags, NULL) == 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* Descriptors of named files; what is no file of the layer is found under no name there. */
static int add_writing_of(pid_t pid, struct strv *out, struct err *e)
{
	char path[PATH_MAX];
	int rc = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	for (struct dirent *x; d && rc == 0 && (x = readdir(d));) {
		ssize_t n = readlinkat(dirfd(d), x->d_name, path, sizeof(path) - 1);
		if (n < 2 || path[0] != '/' || !is_writable(pid, atoi(x->d_name)))
			continue;
		path[n] = '\0';
		rc = strv_add(out, path + 1, e);
	}
	if (d)
		closedir(d);
	return rc;
}

/* The last pass has none behind it that could make good what was under way, and nothing is. */
static int look_up_use(const struct request *r, bool last, struct passes_use *use, struct err *e)
{
	auto_free pid_t *pids = NULL;
	size_t n = 0;
	use->since = clock_now_ns(CLOCK_REALTIME_COARSE);
	if (container_pids(&r->core->rt, r->name, &pids, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_mappings_of(pids[i], &use->mapped, e) < 0 || (!last && add_writing_of(pids[i], &use->writing, e) < 0))
			return -1;
	return 0;
}

/* 1: a pass is asked for; 0: nobody asks any more; -1. */
static int next_go(const struct copy *c, char *what, struct err *e)
{
	struct pollfd p[] = { { .fd = c->go, .events = POLLIN }, { .fd = c->r->cancel, .events = POLLIN } };
	/* No limit: rounds take as long as memory takes. */
	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "poll");
	ssize_t n = p[1].revents ? 0 : read(c->go, what, 1);
	if (n == 1 && *what != 'p' && *what != 'f')
		return err_set(e, ERR_PROTOCOL, 0, "layer_copy: neither 'p' nor 'f'");
	return n == 1;
}

static int pass(struct copy *c, bool last, struct err *e)
{
	struct passes_use use = { 0 };
	uint64_t bytes = 0;
	int rc = look_up_use(c->r, last, &use, e) < 0 ? -1 : passes_run(c->passes, &use, last, &bytes, e);
	passes_use_free(&use);
	if (rc < 0)
		return -1;
	c->out->bytes += bytes;
	c->out->passes++;
	if (last) {
		c->out->last_bytes = bytes;
		fd_closep(&c->layer);
	}
	uint64_t answer = htole64(bytes);
	return fd_write_all(c->go, &answer, sizeof(answer), e);
}

static int copy_passes(struct copy *c, struct err *e)
{
	char what = 0;
	while (what != 'f') {
		int rc = next_go(c, &what, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return err_set(e, ERR_CANCELLED, 0, "the layer is not wanted any more");
		if (pass(c, what == 'f', e) < 0)
			return -1;
	}
	return 0;
}

static int open_streams(struct copy *c, struct err *e)
{
	int layer[2] = { -1, -1 }, go[2] = { -1, -1 };
	int rc = stream_open(false, layer, e) < 0 || fd_socketpair(SOCK_STREAM, go, e) < 0 ? -1 : 0;
	c->layer = layer[1];
	c->go = go[1];
	if (rc == 0)
		rc = request_streams(c->r, (int[]){ layer[0], go[0] }, 2, e);
	fd_closep(&layer[0]);
	fd_closep(&go[0]);
	return rc;
}

int op_layer_copy(const struct request *r, struct answer *a, struct err *e)
{
	auto_cleanup(copy_free) struct copy c = { .r = r, .layer = -1, .go = -1 };
	auto_place p = { 0 };
	if (place_of(r->core, r->name, &p, e) < 0)
		return -1;
	c.out = pb_new(&davit__layer_copied__descriptor, e);
	if (!c.out)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_LAYER_COPIED;
	a->reply->layer_copied = c.out;
	c.out->has_bytes = c.out->has_last_bytes = c.out->has_passes = true;
	if (open_streams(&c, e) < 0 || !(c.passes = passes_new(p.layer, c.layer, e)))
		return -1;
	return copy_passes(&c, e);
}

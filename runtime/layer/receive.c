/* A layer that arrives: unpacked in the jail, and written to disk meanwhile.
 *
 * A move's layer comes while its container still runs, and its last part while nothing runs: what is on disk by then need not be waited for. So a
 * helper asks for a write-back every half second, and layer_sync() at the end, where the caller needs it, finds little left. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "runtime/layer/export.h"
#include "runtime/layer/import.h"
#include "runtime/layer/layer.h"
#include "runtime/layer/lazy_archive.h"

#define WRITE_BACK_MS 500

/* What the helper does until `stop` closes. It holds nothing else open: others wait for the ends of their pipes. */
static _Noreturn void write_back(int dir, int stop)
{
	int d = fcntl(dir, F_DUPFD, 10), s = fcntl(stop, F_DUPFD, 10);
	struct pollfd wait = { .fd = 4, .events = POLLIN };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (d < 0 || s < 0 || dup2(d, 3) < 0 || dup2(s, 4) < 0 || close_range(5, ~0U, 0) < 0)
		_exit(1);
	while (poll(&wait, 1, WRITE_BACK_MS) == 0)
		(void)syncfs(3);
	_exit(0);
}

/* Begins the helper; it ends with the caller or when *stop is closed. Without one the end takes longer, nothing more. */
static pid_t write_back_start(int dir, int *stop)
{
	int p[2];
	*stop = -1;
	if (fd_pipe(p, NULL) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		write_back(dir, p[0]);
	close(p[0]);
	*stop = p[1];
	return pid;
}

/* Not waited for if it is in the middle of a write-back: whoever reaps orphans takes it. */
static void write_back_end(pid_t pid, int *stop)
{
	fd_closep(stop);
	if (pid > 0)
		(void)waitpid(pid, NULL, WNOHANG);
}

int layer_import(const char *layer_dir, int fd, const struct layer_limits *lim, uint64_t *bytes, struct err *e)
{
	struct layer_limits limits;
	struct jail_counts counts = { 0 };
	if (layer_create(layer_dir, e) < 0)
		return -1;
	auto_close int upper = layer_open_upper(layer_dir, e), stop = -1;
	if (upper < 0)
		return -1;
	pid_t helper = write_back_start(upper, &stop);
	int rc =
	    import_limits(upper, lim, &limits, e) < 0 || lazy_archive(e) < 0 || jail_run(upper, fd, import_layer, &limits, &counts, e) < 0 ? -1 : 0;
	write_back_end(helper, &stop);
	if (rc == 0) {
		*bytes = counts.bytes;
		return 0;
	}
	(void)layer_remove(layer_dir, NULL);
	(void)layer_create(layer_dir, NULL);
	return err_prefix(e, "layer");
}

int layer_sync(const char *layer_dir, struct err *e)
{
	auto_close int upper = layer_open_upper(layer_dir, e);
	if (upper < 0)
		return -1;
	return syncfs(upper) < 0 ? err_sys(e, errno, "write the layer to disk") : 0;
}

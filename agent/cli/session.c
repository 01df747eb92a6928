/* Two transfers at once, on a handle each. */
#include "agent/cli/session.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "api.pb-c.h"
#include "proto/frame.h"

#define FRAME_MAX ((size_t)1 << 20)
#define READ_SIZE 16384

/* The terminal is put back also when exit() is called from anywhere: atexit has no argument, hence these two. */
static struct termios saved;
static bool is_raw;
static int resized[2] = { -1, -1 };

static void put_back(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = false;
}

static void on_resize(int sig)
{
	int kept = errno;

	(void)sig;
	if (write(resized[1], "r", 1) < 0)
		errno = kept;
	errno = kept;
}

static int enter_raw(struct err *e)
{
	struct sigaction sa = { .sa_handler = on_resize, .sa_flags = SA_RESTART };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0) {
		err_field(e, "--tty", "stdin is no terminal");
		return -1;
	}
	raw = saved;
	cfmakeraw(&raw);
	if (fd_pipe(resized, e) < 0 || fd_set_nonblock(resized[1], true, e) < 0)
		return -1;
	sigaction(SIGWINCH, &sa, NULL);
	atexit(put_back);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return err_sys(e, errno, "terminal");
	is_raw = true;
	return 0;
}

struct input {
	struct client *client;
	char *path;
	struct buf out;
	bool ended;
};

static int put_size(struct input *in)
{
	Davit__ExecFrame f = DAVIT__EXEC_FRAME__INIT;
	struct winsize w;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		return 0;
	f.has_rows = f.has_columns = 1;
	f.rows = w.ws_row;
	f.columns = w.ws_col;
	return frame_put_delimited(&in->out, &f.base, NULL);
}

static int put_stdin(struct input *in)
{
	Davit__ExecFrame f = DAVIT__EXEC_FRAME__INIT;
	uint8_t piece[READ_SIZE];
	ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	in->ended = n == 0;
	f.has_stdin_eof = f.stdin_eof = in->ended;
	f.has_stdin = n > 0;
	f.stdin = (ProtobufCBinaryData){ .len = (size_t)n, .data = piece };
	return frame_put_delimited(&in->out, &f.base, NULL);
}

/* Called by libcurl for more of the body: waits for stdin or a new size. */
static ssize_t give(void *arg, char *buf, size_t cap)
{
	struct input *in = arg;
	size_t n;

	while (in->out.len == 0) {
		struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = resized[0], .events = POLLIN } };
		char drop[64];

		if (in->ended)
			return 0;
		/* No limit: a person may think. */
		if (poll(fds, resized[0] >= 0 ? 2 : 1, -1) < 0 && errno != EINTR)
			return -1;
		if (resized[0] >= 0 && (fds[1].revents & POLLIN) && read(resized[0], drop, sizeof(drop)) > 0 && put_size(in) < 0)
			return -1;
		if (fds[0].revents && put_stdin(in) < 0)
			return -1;
	}
	n = MIN(cap, in->out.len);
	memcpy(buf, in->out.data, n);
	buf_consume(&in->out, n);
	return (ssize_t)n;
}

static void input_free(struct input *in)
{
	client_close(in->client);
	free(in->path);
	buf_free(&in->out);
	free(in);
}

static void *send_input(void *arg)
{
	struct input *in = arg;

	/* Its failure is the session's end, which the output tells better. */
	client_upload(in->client, "POST", in->path, give, in, -1, NULL, NULL, &(struct err){ 0 });
	input_free(in);
	return NULL;
}

static int start_input(struct cli *c, const char *id, bool terminal, struct err *e)
{
	struct input *in = mem_new(1, sizeof(*in), e);
	pthread_t thread;
	int r;

	if (!in)
		return -1;
	in->client = client_clone(c->client, e);
	in->path = mem_printf(e, "/v1/execs/%s/input", id);
	if (!in->client || !in->path || (terminal && put_size(in) < 0)) {
		input_free(in);
		return -1;
	}
	/* The thread frees it: it may read a terminal until the process ends, so nobody waits for it. */
	r = pthread_create(&thread, NULL, send_input, in);
	if (r != 0) {
		input_free(in);
		return err_sys(e, r, "start a thread");
	}
	pthread_detach(thread);
	return 0;
}

struct output {
	struct cli *cli;
	struct buf partial;
	int exit_code; /* -1: not told yet */
};

static int write_out(int fd, const ProtobufCBinaryData *d, struct err *e)
{
	return d->len ? fd_write_all(fd, d->data, d->len, e) : 0;
}

static int take(void *arg, const char *p, size_t n, struct err *e)
{
	struct output *o = arg;

	if (buf_append(&o->partial, p, n, e) < 0)
		return -1;
	for (;;) {
		auto_pb(Davit__ExecFrame) *f = NULL;
		int got = frame_take_delimited(&o->partial, &davit__exec_frame__descriptor, FRAME_MAX, &f, e);

		if (got <= 0)
			return got;
		if ((f->has_stdout && write_out(STDOUT_FILENO, &f->stdout, e) < 0) || (f->has_stderr && write_out(STDERR_FILENO, &f->stderr, e) < 0))
			return -1;
		if (f->has_exit_code)
			o->exit_code = f->exit_code;
	}
}

int session_run(struct cli *c, const char *id, const struct session_options *o, struct err *e)
{
	auto_free char *path = mem_printf(e, "/v1/execs/%s/output", id);
	struct output out = { .cli = c, .exit_code = -1 };
	int r;

	if (!path || (o->terminal && enter_raw(e) < 0))
		return -1;
	if ((o->stdin_open || o->terminal) && start_input(c, id, o->terminal, e) < 0)
		return -1;
	if (o->opened && o->opened(o->arg, e) < 0)
		return -1;
	r = client_stream(c->client, path, take, &out, e);
	buf_free(&out.partial);
	put_back();
	if (r < 0)
		return -1;
	if (out.exit_code < 0)
		return err_set(e, ERR_IO, 0, "the session ended before the process did");
	return out.exit_code;
}

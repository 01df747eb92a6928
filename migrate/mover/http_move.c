/* The two streams of a move: one long POST up, one long GET down, in one thread.
 *
 * libcurl asks for bytes of the upload (pull); when there are none it is paused, and unpaused when a descriptor of the dump becomes readable or
 * a frame is queued. The descriptors are waited for only while it is paused: else the connection is what is slow. A frame is written to
 * the socket as soon as it is queued: nothing here waits for more to come (TCP_NODELAY, and libcurl sends what a read gave it). */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "migrate/mover/http_private.h"
#include "migrate/source.h"

/* How long the streams may take to end after the move did. */
#define END_MS 3000

struct streams {
	CURLM *multi;
	struct http_request up, down;
	struct source *s;
	bool paused, named, up_over, down_over;
	int cancel_fd;
	int64_t finished; /* CLOCK_MONOTONIC of it, 0: not yet */
};

static size_t give(char *buf, size_t size, size_t n, void *arg)
{
	struct streams *x = arg;
	size_t got = source_pull(x->s, buf, size * n);
	if (got == 0 && !source_finished(x->s)) {
		x->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	return got;
}

/* Who is at the other end, as soon as that is known. */
static int take_name(struct streams *x, struct err *e)
{
	auto_free char *name = http_peer_name(&x->down, e);
	if (!name || source_peer_name(x->s, name, e) < 0)
		return -1;
	x->named = true;
	return 0;
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	struct streams *x = arg;
	long status = 0;
	curl_easy_getinfo(x->down.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return http_collect(p, size, n, &x->down);
	struct err e = { 0 };
	if (!x->named && take_name(x, &e) < 0) {
		source_lost(x->s, &e);
		return size * n;
	}
	source_feed(x->s, p, size * n);
	return size * n;
}

static int set_up(struct streams *x, const Davit__MoverJob *job, struct err *e)
{
	if (http_request_init(&x->up, job, "up", e) < 0 || http_request_init(&x->down, job, "down", e) < 0 ||
	    http_request_header(&x->up, "Content-Type: application/octet-stream", e) < 0 ||
	    http_request_header(&x->up, "Transfer-Encoding: chunked", e) < 0 || http_request_header(&x->up, "Expect:", e) < 0)
		return -1;
	curl_easy_setopt(x->up.curl, CURLOPT_POST, 1L);
	curl_easy_setopt(x->up.curl, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(x->up.curl, CURLOPT_READDATA, x);
	curl_easy_setopt(x->down.curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(x->down.curl, CURLOPT_WRITEDATA, x);
	if (!(x->multi = curl_multi_init()) || curl_multi_add_handle(x->multi, x->up.curl) || curl_multi_add_handle(x->multi, x->down.curl))
		return err_set(e, ERR_RESOURCE, 0, "libcurl does not start");
	return 0;
}

static void tear_down(struct streams *x)
{
	if (x->multi) {
		curl_multi_remove_handle(x->multi, x->up.curl);
		curl_multi_remove_handle(x->multi, x->down.curl);
		curl_multi_cleanup(x->multi);
	}
	http_request_free(&x->up);
	http_request_free(&x->down);
}

/* A request is over: the move is, or its connection was lost. */
static void ended(struct streams *x, CURL *curl, CURLcode code)
{
	struct err e = { 0 };
	struct http_request *r = curl == x->up.curl ? &x->up : &x->down;
	if (curl == x->up.curl)
		x->up_over = true;
	else
		x->down_over = true;
	if (source_finished(x->s))
		return;
	if (http_result(r, code, &e) == 0)
		err_set(&e, ERR_IO, 0, "the target ended the connection");
	source_lost(x->s, &e);
}

static void look_for_ends(struct streams *x)
{
	CURLMsg *m;
	int left;
	while ((m = curl_multi_info_read(x->multi, &left)))
		if (m->msg == CURLMSG_DONE)
			ended(x, m->easy_handle, m->data.result);
}

static void look_for_cancel(struct streams *x, short revents)
{
	struct signalfd_siginfo signal;
	if (revents && read(x->cancel_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal))
		source_cancel(x->s, signal.ssi_signo == SIGALRM);
}

/* Waits for sockets, descriptors, a signal or time. Returns whether a descriptor of the dump has data. */
static bool wait_for(struct streams *x)
{
	struct pollfd fds[SOURCE_POLL_MAX];
	struct curl_waitfd extra[SOURCE_POLL_MAX + 1] = { { .fd = x->cancel_fd, .events = CURL_WAIT_POLLIN } };
	int timeout;
	bool data = false;
	size_t n = source_poll(x->s, fds, &timeout);
	if (!x->paused && !source_finished(x->s))
		n = 0;
	for (size_t i = 0; i < n; i++)
		extra[i + 1] = (struct curl_waitfd){ .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
	if (source_finished(x->s)) {
		n = 0;
		timeout = END_MS;
	}
	if (source_wants_to_send(x->s) && x->paused && !x->up_over)
		timeout = 0;
	curl_multi_poll(x->multi, extra, (unsigned)n + 1, timeout, NULL);
	look_for_cancel(x, extra[0].revents);
	for (size_t i = 0; i < n; i++)
		data |= extra[i + 1].revents != 0;
	return data;
}

static bool is_over(struct streams *x)
{
	int64_t now = clock_now_ns(CLOCK_MONOTONIC);
	if (!source_finished(x->s))
		return false;
	if (!x->finished)
		x->finished = now;
	return (x->up_over && x->down_over) || now - x->finished > END_MS * NSEC_PER_MSEC;
}

int http_move(const Davit__MoverJob *job, struct source *s, int cancel_fd, struct err *e)
{
	struct streams x = { .s = s, .cancel_fd = cancel_fd };
	int running, rc = set_up(&x, job, e);
	while (rc == 0 && !is_over(&x)) {
		if (curl_multi_perform(x.multi, &running))
			rc = err_set(e, ERR_INTERNAL, 0, "libcurl failed");
		look_for_ends(&x);
		source_step(s);
		bool data = is_over(&x) ? false : wait_for(&x);
		if (x.paused && !x.up_over && (data || source_wants_to_send(s))) {
			x.paused = false;
			curl_easy_pause(x.up.curl, CURLPAUSE_CONT);
		}
	}
	tear_down(&x);
	return rc;
}

/* Threads between pipes and the store. A channel whose stream ends is done; one that fails closes its descriptor, so that the other end sees it. */
#include "agent/job/channels.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fd.h"

#define PIECE ((size_t)128 << 10)
#define STACK ((size_t)512 << 10)

static const Davit__StreamChannel ids[CHANNELS] = { DAVIT__STREAM_CHANNEL__CHANNEL_IMAGES, DAVIT__STREAM_CHANNEL__CHANNEL_LAYER,
						    DAVIT__STREAM_CHANNEL__CHANNEL_PAGES, DAVIT__STREAM_CHANNEL__CHANNEL_LOG };

static int store_piece(struct channel *c, const uint8_t *p, size_t n)
{
	if (store_writer_write(c->writer, c->id, p, n, &c->err) < 0)
		return -1;
	*c->bytes += n;
	return c->id == DAVIT__STREAM_CHANNEL__CHANNEL_PAGES ? pages_feed(&c->pages, p, n, &c->err) : 0;
}

static void *store_thread(void *arg)
{
	struct channel *c = arg;
	auto_free uint8_t *piece = mem_new(PIECE, 1, &c->err);
	ssize_t n = -1;

	c->result = piece ? 0 : -1;
	while (c->result == 0 && (n = read(c->fd, piece, PIECE)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		c->result = n < 0 ? err_sys(&c->err, errno, "read a dump's stream") : store_piece(c, piece, (size_t)n);
		if (c->pages.closed)
			break;
	}
	fd_closep(&c->fd);
	return NULL;
}

/* The page server's answers (one byte for each process, a status at the end) are the dump's, not ours: they are read so that it can go on. */
static int drain(int sock, bool to_the_end, struct err *e)
{
	char answers[256];
	ssize_t n;

	while ((n = recv(sock, answers, sizeof(answers), to_the_end ? 0 : MSG_DONTWAIT)) != 0) {
		if (n > 0 || errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ECONNRESET)
			return 0;
		return err_sys(e, errno, "read the page server's answers");
	}
	return 0;
}

static int send_piece(void *arg, const void *p, size_t n, struct err *e)
{
	struct channel *c = arg;

	if (fd_write_all(c->fd, p, n, e) < 0)
		return -1;
	*c->bytes += n;
	return c->id == DAVIT__STREAM_CHANNEL__CHANNEL_PAGES ? drain(c->fd, false, e) : 0;
}

static void *send_thread(void *arg)
{
	struct channel *c = arg;

	c->result = store_reader_channel(c->reader, c->id, send_piece, c, &c->err);
	if (c->result == 0 && c->id == DAVIT__STREAM_CHANNEL__CHANNEL_PAGES) {
		shutdown(c->fd, SHUT_WR);
		c->result = drain(c->fd, true, &c->err);
	}
	fd_closep(&c->fd);
	return NULL;
}

static int start(struct channels *all, struct core_fds *fds, struct store_writer *w, struct store_reader *r, void *(*run)(void *), struct err *e)
{
	pthread_attr_t attr;
	int failed = 0;

	if (fds->n != CHANNELS)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core gave %zu streams", fds->n);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (size_t i = 0; i < CHANNELS && failed == 0; i++) {
		struct channel *c = &all->of[i];

		*c = (struct channel){ .id = ids[i], .fd = steal_fd(&fds->fd[i]), .writer = w, .reader = r, .bytes = &all->bytes };
		c->pages.sock = c->fd;
		failed = pthread_create(&c->thread, &attr, run, c);
		c->running = failed == 0;
		if (failed)
			fd_closep(&c->fd);
	}
	pthread_attr_destroy(&attr);
	return failed ? err_sys(e, failed, "start a stream") : 0;
}

int channels_store(struct channels *c, struct core_fds *fds, struct store_writer *w, struct err *e)
{
	return start(c, fds, w, NULL, store_thread, e);
}

int channels_send(struct channels *c, struct core_fds *fds, struct store_reader *r, struct err *e)
{
	return start(c, fds, NULL, r, send_thread, e);
}

void channels_break(struct channels *c)
{
	/* The core ends the dump or restore when its channel closes, and with it its ends of the streams. Sockets are shut down from here. */
	for (size_t i = 0; i < CHANNELS; i++)
		if (c->of[i].running && c->of[i].fd >= 0)
			shutdown(c->of[i].fd, SHUT_RDWR);
}

int channels_join(struct channels *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < CHANNELS; i++) {
		struct channel *one = &c->of[i];

		if (!one->running)
			continue;
		pthread_join(one->thread, NULL);
		one->running = false;
		if (one->result < 0 && r == 0) {
			r = -1;
			if (e)
				*e = one->err;
		}
	}
	return r;
}

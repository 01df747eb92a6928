/* The dump's streams on their way into the core, and CRIU's answers on their way back.
 *
 * A write waits for the core (backpressure) in poll(2), together with the eventfd that ends all waiting when the move is dropped. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "migrate/target_private.h"

int target_channel_of(Davit__StreamChannel channel, struct err *e)
{
	switch (channel) {
	case DAVIT__STREAM_CHANNEL__CHANNEL_IMAGES:
		return 0;
	case DAVIT__STREAM_CHANNEL__CHANNEL_LAYER:
		return 1;
	case DAVIT__STREAM_CHANNEL__CHANNEL_PAGES:
		return TARGET_PAGES;
	case DAVIT__STREAM_CHANNEL__CHANNEL_LOG:
		return 3;
	case DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY:
		return TARGET_MEMORY;
	default:
		return err_set(e, ERR_PROTOCOL, 0, "channel %s is not the source's to send", stream_channel_name(channel));
	}
}

/* Waits for `events` on fd. 0; -1: the move is being dropped. */
static int wait_for(struct target *t, int fd, short events, struct err *e)
{
	struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = t->wake, .events = POLLIN } };
	/* No limit: the core's end closes when the core or its job dies, and `wake` when the move is given up. */
	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "poll");
	return p[1].revents ? err_set(e, ERR_CANCELLED, 0, "the move was given up") : 0;
}

/* A channel's descriptor for use, counted. -1: it is not open. */
static int borrow(struct target *t, size_t i, struct err *e)
{
	int fd = -1;
	pthread_mutex_lock(&t->lock);
	if (!t->broken && t->open[i]) {
		t->users++;
		fd = t->fd[i];
	}
	pthread_mutex_unlock(&t->lock);
	if (fd < 0)
		err_set(e, ERR_PROTOCOL, 0, "data of a channel that is not open");
	return fd;
}

static void give_back(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->users--;
	if (t->broken) /* only who closes waits for it; a wake-up of all for each piece of data would cost half of the stream's speed */
		pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* It reads up to the end before it closes its side, so that what it has by then is all that was written, unless it fell. */
static void memory_is_over(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->memory_over = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* A page store that leaves after the thaw has given everything, or its container has ended, or it fell: the worker finds out which
 * (target_memory_left()), and what still comes is of no use. */
static bool store_is_over(struct target *t, size_t i)
{
	pthread_mutex_lock(&t->lock);
	bool over = i == TARGET_MEMORY && (t->state == TARGET_FILLING || t->state == TARGET_RUNNING || t->state == TARGET_DONE);
	pthread_mutex_unlock(&t->lock);
	return over;
}

int target_channel_write(struct target *t, size_t i, const uint8_t *p, size_t n, struct err *e)
{
	int r = 0, fd = borrow(t, i, e);
	if (fd < 0)
		return -1;
	while (n > 0 && r == 0) {
		ssize_t got = write(fd, p, n);
		if (got >= 0) {
			p += got;
			n -= (size_t)got;
		} else if (errno == EAGAIN) {
			r = wait_for(t, fd, POLLOUT, e);
		} else if (errno == EPIPE && store_is_over(t, i)) {
			break;
		} else if (errno != EINTR) {
			r = err_sys(e, errno, "the runtime core stopped taking data");
		}
	}
	give_back(t);
	return r;
}

int target_channel_end(struct target *t, size_t i, struct err *e)
{
	int fd = borrow(t, i, e);
	if (fd < 0)
		return -1;
	bool both_ways = i == TARGET_PAGES || i == TARGET_MEMORY;
	if (both_ways)
		shutdown(fd, SHUT_WR); /* its other direction still answers */
	pthread_mutex_lock(&t->lock);
	t->open[i] = false;
	t->ended += i != TARGET_MEMORY;
	if (!both_ways)
		fd_closep(&t->fd[i]);
	t->users--;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* A socket whose answers go into the download. */
struct pump {
	struct target *t;
	int fd; /* borrowed */
	Davit__StreamChannel channel;
	struct stream_sum sum;
};

/* One answer into the download. 1, 0 at their end, -1. */
static int pump_once(struct pump *p, struct err *e)
{
	struct target *t = p->t;
	uint8_t frame[STREAM_DATA_HEAD + 4096];
	ssize_t n = read(p->fd, frame + STREAM_DATA_HEAD, sizeof(frame) - STREAM_DATA_HEAD);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return wait_for(t, p->fd, POLLIN, e) < 0 ? -1 : 1;
	if (n <= 0)
		return 0;
	uint64_t digest = stream_data_head(frame, p->channel, p->sum.bytes, frame + STREAM_DATA_HEAD, (uint32_t)n);
	stream_sum_add(&p->sum, (size_t)n, digest);
	pthread_mutex_lock(&t->lock);
	int r = buf_append(&t->out, frame, STREAM_DATA_HEAD + (size_t)n, e);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return r < 0 ? -1 : 1;
}

/* Until the other side has closed: 0; else -1. */
static int pump_all(struct pump *p)
{
	struct err e = { 0 };
	int r = 1;
	while (r == 1)
		r = pump_once(p, &e);
	if (r == 0) {
		pthread_mutex_lock(&p->t->lock);
		stream_put_end(&p->t->out, p->channel, &p->sum, &e);
		pthread_cond_broadcast(&p->t->changed);
		pthread_mutex_unlock(&p->t->lock);
	}
	return r;
}

static void *pump_pages(void *arg)
{
	struct target *t = arg;
	struct pump p = { .t = t, .fd = t->fd[TARGET_PAGES], .channel = DAVIT__STREAM_CHANNEL__CHANNEL_PAGES_REPLY };
	(void)pump_all(&p);
	return NULL;
}

static void *pump_memory(void *arg)
{
	struct target *t = arg;
	struct pump p = { .t = t, .fd = t->fd[TARGET_MEMORY], .channel = DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY_REPLY };
	if (pump_all(&p) == 0)
		memory_is_over(t);
	return NULL;
}

static int start_pump(struct target *t, pthread_t *thread, bool *has, void *(*run)(void *arg), struct err *e)
{
	int r = pthread_create(thread, NULL, run, t);
	if (r)
		return err_sys(e, r, "start a thread");
	*has = true;
	return 0;
}

int target_memory_open(struct target *t, int fd, struct err *e)
{
	auto_close int owned = fd;
	if (fd_set_nonblock(fd, true, e) < 0)
		return -1;
	pthread_mutex_lock(&t->lock);
	t->fd[TARGET_MEMORY] = steal_fd(&owned);
	t->open[TARGET_MEMORY] = true;
	pthread_mutex_unlock(&t->lock);
	return start_pump(t, &t->memory_pump, &t->has_memory_pump, pump_memory, e);
}

int target_channels_open(struct target *t, struct core_fds *fds, struct err *e)
{
	size_t n = t->apart ? TARGET_CHANNELS : TARGET_MEMORY;
	if (fds->n != n)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered a restore with %zu descriptors", fds->n);
	for (size_t i = 0; i < TARGET_MEMORY; i++)
		if (fd_set_nonblock(fds->fd[i], true, e) < 0)
			return -1;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < TARGET_MEMORY; i++) {
		t->fd[i] = steal_fd(&fds->fd[i]);
		t->open[i] = true;
	}
	pthread_mutex_unlock(&t->lock);
	if (start_pump(t, &t->pump, &t->has_pump, pump_pages, e) < 0)
		return -1;
	return n == TARGET_CHANNELS ? target_memory_open(t, steal_fd(&fds->fd[TARGET_MEMORY]), e) : 0;
}

static void join(pthread_t thread, bool *has)
{
	if (*has)
		pthread_join(thread, NULL);
	*has = false;
}

static void close_some(struct target *t, size_t n)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n; i++) {
		fd_closep(&t->fd[i]);
		t->open[i] = false;
	}
	pthread_mutex_unlock(&t->lock);
}

void target_channels_finish(struct target *t)
{
	join(t->pump, &t->has_pump); /* its socket's other end was closed with the end of the prepare */
	close_some(t, TARGET_MEMORY);
}

void target_channels_close(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->broken = true;
	eventfd_write(t->wake, 1);
	while (t->users > 0)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	join(t->pump, &t->has_pump);
	join(t->memory_pump, &t->has_memory_pump);
	close_some(t, TARGET_CHANNELS);
}

/* A runtime core for tests: one container on one host, dumped into and restored from plain bytes, over the real protocol (proto/core.proto).
 *
 * The pages' socket has a protocol of its own that needs its answers as CRIU's does: after each 4096 bytes the dumping side waits for 4. */
#pragma once
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "migrate/core.h"

#define FAKE_CHANNELS 4
#define FAKE_PAGES 2
#define FAKE_PAGE 4096
#define FAKE_PAGES_N 16

struct fake_host {
	pthread_mutex_t lock;
	const char *state; /* "running", "paused", "restoring", or NULL: none */
	struct buf data[FAKE_CHANNELS];
	int64_t offset_monotonic, offset_boottime;
	bool network_held, has_obstacle;
	/* faults: the operation answers an error */
	const char *fail;
	unsigned pauses, resumes, deletes, drops, announces;
	/* private memory: tests/unit/fake_memory.h */
	uint8_t memory[FAKE_PAGES_N][FAKE_PAGE];
	bool has_page[FAKE_PAGES_N], memory_ended;
	bool fetches_all;	 /* its store has asked for all of the memory before it is thawed */
	bool store_falls;	 /* once the container runs, with what is in its socket */
	bool eager;		 /* a page follows the answer to the last round in the same piece */
	volatile bool has_store; /* its thread is at work */
	size_t dirty;
	unsigned rounds, passes, throttles;
};

static inline int fake_memory_open(struct fake_host *h, bool store);
static inline int fake_open(struct fake_host *h);

/* One socket's server. */
struct fake_core {
	struct fake_host *h;
	int fd;
	pthread_t thread;
};

static inline void fake_reply(struct fake_core *c, Davit__CoreReply *r, const int *fds, size_t n)
{
	struct err e = { 0 };
	pb_send(c->fd, &r->base, fds, n, &e); /* the other side may have gone */
}

static inline void fake_error(struct fake_core *c, Davit__CoreReply *r, enum err_code code, const char *text)
{
	struct err e = { .code = code };
	snprintf(e.msg, sizeof(e.msg), "%s", text);
	r->error = pb_error(&e);
	r->more = 0;
	fake_reply(c, r, NULL, 0);
	pb_freep(&r->error);
}

static inline Davit__ClockSample fake_sample(const struct fake_host *h)
{
	Davit__ClockSample s = DAVIT__CLOCK_SAMPLE__INIT;
	s.has_host_boottime = s.has_host_monotonic = s.has_container_monotonic = s.has_container_boottime = 1;
	s.host_boottime = clock_now_ns(CLOCK_BOOTTIME);
	s.host_monotonic = clock_now_ns(CLOCK_MONOTONIC);
	s.container_boottime = s.host_boottime + h->offset_boottime;
	s.container_monotonic = s.host_monotonic + h->offset_monotonic;
	return s;
}

struct fake_channel {
	struct fake_host *h;
	int fd;
	size_t i;
	pthread_t thread;
};

static inline void *fake_send_channel(void *arg)
{
	struct fake_channel *c = arg;
	const struct buf *b = &c->h->data[c->i % FAKE_CHANNELS];
	struct err e = { 0 };
	char answer[4];
	for (size_t at = 0; c->i < FAKE_CHANNELS && at < b->len; at += FAKE_PAGE) {
		if (fd_write_all(c->fd, b->data + at, MIN(FAKE_PAGE, b->len - at), &e) < 0)
			break;
		if (c->i == FAKE_PAGES && fd_read_exact(c->fd, answer, 4, &e) != 1)
			break;
	}
	close(c->fd);
	return NULL;
}

static inline void *fake_take_channel(void *arg)
{
	struct fake_channel *c = arg;
	struct buf *b = &c->h->data[c->i];
	struct err e = { 0 };
	char page[FAKE_PAGE];
	size_t answered = 0;
	for (ssize_t n; (n = read(c->fd, page, sizeof(page))) > 0;) {
		buf_append(b, page, (size_t)n, &e);
		for (; c->i == FAKE_PAGES && (answered + 1) * FAKE_PAGE <= b->len; answered++)
			if (fd_write_all(c->fd, "okay", 4, &e) < 0)
				break;
	}
	close(c->fd);
	return NULL;
}

/* Opens the four channels, answers their other ends and runs `work` on each until all are over. */
static inline void fake_streams(struct fake_core *c, Davit__CoreReply *r, bool dump, bool live)
{
	struct fake_channel channels[FAKE_CHANNELS];
	Davit__StreamsReady ready = DAVIT__STREAMS_READY__INIT;
	int theirs[FAKE_CHANNELS + 1], p[2];
	struct err e = { 0 };
	for (size_t i = 0; i < FAKE_CHANNELS; i++) {
		if (i == FAKE_PAGES ? fd_socketpair(SOCK_STREAM, p, &e) : fd_pipe(p, &e))
			abort();
		bool swap = i == FAKE_PAGES || dump;
		theirs[i] = p[swap ? 0 : 1];
		channels[i] = (struct fake_channel){ .h = c->h, .fd = p[swap ? 1 : 0], .i = i };
	}
	r->has_more = r->more = 1;
	r->result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	r->streams = &ready;
	bool store = live && !dump;
	if (store)
		theirs[FAKE_CHANNELS] = fake_memory_open(c->h, true);
	fake_reply(c, r, theirs, FAKE_CHANNELS + store);
	if (store)
		close(theirs[FAKE_CHANNELS]);
	for (size_t i = 0; i < FAKE_CHANNELS; i++) {
		close(theirs[i]);
		if (live && dump && i == 1)
			channels[i].i = FAKE_CHANNELS; /* the layer goes its own way: this one is empty */
		pthread_create(&channels[i].thread, NULL, dump ? fake_send_channel : fake_take_channel, &channels[i]);
	}
	for (size_t i = 0; i < FAKE_CHANNELS; i++)
		pthread_join(channels[i].thread, NULL);
	r->more = 0;
}

/* The layer is sent in the last pass; those before send nothing. */
static inline void fake_layer_copy(struct fake_core *c, Davit__CoreReply *r)
{
	Davit__StreamsReady ready = DAVIT__STREAMS_READY__INIT;
	Davit__LayerCopied done = DAVIT__LAYER_COPIED__INIT;
	struct err e = { 0 };
	int layer[2], go[2];
	char what = 0;
	if (fd_pipe(layer, &e) || fd_socketpair(SOCK_STREAM, go, &e))
		abort();
	r->has_more = r->more = 1;
	r->result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	r->streams = &ready;
	fake_reply(c, r, (int[]){ layer[0], go[0] }, 2);
	close(layer[0]);
	close(go[0]);
	while (what != 'f' && fd_read_exact(go[1], &what, 1, &e) == 1) {
		uint64_t bytes = what == 'f' ? c->h->data[1].len : 0;
		c->h->passes++;
		if (what == 'f' && fd_write_all(layer[1], c->h->data[1].data, bytes, &e) < 0)
			break;
		if (fd_write_all(go[1], &bytes, sizeof(bytes), &e) < 0)
			break;
	}
	close(layer[1]);
	close(go[1]);
	r->more = 0;
	r->result_case = DAVIT__CORE_REPLY__RESULT_LAYER_COPIED;
	r->layer_copied = &done;
	fake_reply(c, r, NULL, 0);
}

/* One descriptor: the memory's, or a throttle that takes any word. */
static inline void fake_one(struct fake_core *c, Davit__CoreReply *r, int fd)
{
	Davit__StreamsReady ready = DAVIT__STREAMS_READY__INIT;
	r->result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	r->streams = &ready;
	fake_reply(c, r, &fd, 1);
	close(fd);
}

static inline void fake_throttle(struct fake_core *c, Davit__CoreReply *r)
{
	struct err e = { 0 };
	uint8_t percent;
	int sv[2];
	if (fd_socketpair(SOCK_STREAM, sv, &e))
		abort();
	fake_one(c, r, sv[0]);
	while (fd_read_exact(sv[1], &percent, 1, &e) == 1) {
		c->h->throttles++;
		c->h->dirty /= 2;
	}
	close(sv[1]);
}

static inline void fake_dump(struct fake_core *c, Davit__CoreReply *r, bool live)
{
	Davit__DumpDone done = DAVIT__DUMP_DONE__INIT;
	Davit__ClockSample clock = fake_sample(c->h);
	fake_streams(c, r, true, live);
	done.clock = &clock;
	r->result_case = DAVIT__CORE_REPLY__RESULT_DUMP;
	r->dump = &done;
	fake_reply(c, r, NULL, 0);
}

static inline void fake_set(struct fake_host *h, const char *state)
{
	pthread_mutex_lock(&h->lock);
	h->state = state;
	pthread_mutex_unlock(&h->lock);
}

static inline const char *fake_state(struct fake_host *h)
{
	pthread_mutex_lock(&h->lock);
	const char *s = h->state;
	pthread_mutex_unlock(&h->lock);
	return s;
}

static inline void fake_get(struct fake_core *c, Davit__CoreReply *r)
{
	Davit__ContainerStatus s = DAVIT__CONTAINER_STATUS__INIT;
	Davit__ContainerSpec spec = DAVIT__CONTAINER_SPEC__INIT;
	Davit__IdRange ids = DAVIT__ID_RANGE__INIT;
	spec.name = s.name = (char *)"web";
	s.state = (char *)fake_state(c->h);
	s.spec = &spec;
	s.ids = &ids;
	ids.size = 65536;
	if (!s.state) {
		fake_error(c, r, ERR_NOT_FOUND, "no container web");
		return;
	}
	r->result_case = DAVIT__CORE_REPLY__RESULT_STATUS;
	r->status = &s;
	fake_reply(c, r, NULL, 0);
}

static inline void fake_pause(struct fake_core *c, Davit__CoreReply *r, const Davit__CorePause *p)
{
	c->h->pauses++;
	c->h->network_held = p->hold_network;
	fake_set(c->h, "paused");
	fake_reply(c, r, NULL, 0);
}

static inline void fake_resume(struct fake_core *c, Davit__CoreReply *r)
{
	const char *s = fake_state(c->h);
	c->h->resumes++;
	if (!s || !strcmp(s, "restoring")) {
		fake_error(c, r, ERR_NOT_FOUND, "no container web");
	} else if (strcmp(s, "paused") != 0) {
		fake_error(c, r, ERR_STATE, "container web is not paused");
	} else {
		c->h->network_held = false;
		for (size_t i = 0; c->h->fetches_all && i < FAKE_PAGES_N;)
			i = c->h->has_page[i] ? i + 1 : (poll(NULL, 0, 1), i);
		fake_set(c->h, "running");
		fake_reply(c, r, NULL, 0);
	}
}

static inline void fake_run(struct fake_core *c, Davit__CoreReply *r, const Davit__CoreRestoreRun *run)
{
	Davit__RestoreDone done = DAVIT__RESTORE_DONE__INIT;
	c->h->offset_monotonic = run->offset_monotonic;
	c->h->offset_boottime = run->offset_boottime;
	c->h->network_held = run->hold_network;
	fake_set(c->h, "paused");
	r->result_case = DAVIT__CORE_REPLY__RESULT_RESTORE;
	r->restore = &done;
	fake_reply(c, r, NULL, 0);
}

static inline void fake_prepare(struct fake_core *c, Davit__CoreReply *r, bool live)
{
	Davit__RestoreDone done = DAVIT__RESTORE_DONE__INIT;
	fake_set(c->h, "restoring");
	fake_streams(c, r, false, live);
	r->result_case = DAVIT__CORE_REPLY__RESULT_RESTORE;
	r->restore = &done;
	fake_reply(c, r, NULL, 0);
}

static inline void fake_check(struct fake_core *c, Davit__CoreReply *r)
{
	Davit__Obstacle o = DAVIT__OBSTACLE__INIT, *list[] = { &o };
	Davit__ObstacleList obstacles = DAVIT__OBSTACLE_LIST__INIT;
	o.kind = (char *)"io_uring";
	o.reason = (char *)"process 7 uses io_uring";
	obstacles.n_obstacles = c->h->has_obstacle;
	obstacles.obstacles = list;
	r->result_case = DAVIT__CORE_REPLY__RESULT_OBSTACLES;
	r->obstacles = &obstacles;
	fake_reply(c, r, NULL, 0);
}

static inline bool fake_fails(struct fake_core *c, Davit__CoreReply *r, const char *op)
{
	if (!c->h->fail || strcmp(c->h->fail, op) != 0)
		return false;
	fake_error(c, r, ERR_RESOURCE, op);
	return true;
}

static inline void fake_answer_memory(struct fake_core *c, const Davit__CoreRequest *q, Davit__CoreReply *r)
{
	Davit__MemoryStatus memory = DAVIT__MEMORY_STATUS__INIT;
	switch (q->op_case) {
	case DAVIT__CORE_REQUEST__OP_MEMORY:
		if (!fake_fails(c, r, "memory"))
			fake_one(c, r, fake_memory_open(c->h, false));
		break;
	case DAVIT__CORE_REQUEST__OP_LAYER_COPY:
		if (!fake_fails(c, r, "layer_copy"))
			fake_layer_copy(c, r);
		break;
	case DAVIT__CORE_REQUEST__OP_THROTTLE:
		fake_throttle(c, r);
		break;
	case DAVIT__CORE_REQUEST__OP_MEMORY_ATTACH:
		c->h->memory_ended = false;
		fake_one(c, r, fake_memory_open(c->h, true));
		break;
	case DAVIT__CORE_REQUEST__OP_MEMORY_WAIT:
		memory.has_ended = 1;
		memory.ended = c->h->memory_ended;
		memory.has_complete = 1;
		memory.complete = c->h->fetches_all;
		r->result_case = DAVIT__CORE_REPLY__RESULT_MEMORY;
		r->memory = &memory;
		fake_reply(c, r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_CHANNEL:
		fake_one(c, r, fake_open(c->h));
		break;
	default:
		fake_error(c, r, ERR_UNSUPPORTED, "not here");
	}
}

static inline void fake_answer(struct fake_core *c, const Davit__CoreRequest *q)
{
	Davit__CoreReply r = DAVIT__CORE_REPLY__INIT;
	Davit__ContainerStats stats = DAVIT__CONTAINER_STATS__INIT;
	Davit__ContainerStatusList list = DAVIT__CONTAINER_STATUS_LIST__INIT;
	Davit__CoreVetted vetted = DAVIT__CORE_VETTED__INIT;
	Davit__ClockSample clock;
	r.id = q->id;
	switch (q->op_case) {
	case DAVIT__CORE_REQUEST__OP_GET:
		fake_get(c, &r);
		break;
	case DAVIT__CORE_REQUEST__OP_CHECK:
		fake_check(c, &r);
		break;
	case DAVIT__CORE_REQUEST__OP_STATS:
		r.result_case = DAVIT__CORE_REPLY__RESULT_STATS;
		r.stats = &stats;
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_VET:
		r.result_case = DAVIT__CORE_REPLY__RESULT_VETTED;
		r.vetted = &vetted;
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_LIST:
		r.result_case = DAVIT__CORE_REPLY__RESULT_LIST;
		r.list = &list;
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_PAUSE:
		if (!fake_fails(c, &r, "pause"))
			fake_pause(c, &r, q->pause);
		break;
	case DAVIT__CORE_REQUEST__OP_RESUME:
		fake_resume(c, &r);
		break;
	case DAVIT__CORE_REQUEST__OP_DUMP:
		if (!fake_fails(c, &r, "dump"))
			fake_dump(c, &r, q->dump->lazy_pages);
		break;
	case DAVIT__CORE_REQUEST__OP_DELETE:
		c->h->deletes++;
		fake_set(c->h, NULL);
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_RESTORE_PREPARE:
		if (!fake_fails(c, &r, "prepare"))
			fake_prepare(c, &r, q->restore_prepare->memory);
		break;
	case DAVIT__CORE_REQUEST__OP_RESTORE_RUN:
		if (!fake_fails(c, &r, "run"))
			fake_run(c, &r, q->restore_run);
		break;
	case DAVIT__CORE_REQUEST__OP_RESTORE_DROP:
		c->h->drops++;
		fake_set(c->h, NULL);
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_CLOCK:
		clock = fake_sample(c->h);
		r.result_case = DAVIT__CORE_REPLY__RESULT_CLOCK;
		r.clock = &clock;
		fake_reply(c, &r, NULL, 0);
		break;
	case DAVIT__CORE_REQUEST__OP_ANNOUNCE:
		c->h->announces++;
		fake_reply(c, &r, NULL, 0);
		break;
	default:
		fake_answer_memory(c, q, &r);
	}
}

static inline void *fake_serve(void *arg)
{
	struct fake_core *c = arg;
	struct err e = { 0 };
	for (;;) {
		auto_pb(Davit__CoreRequest) *q = NULL;
		size_t n = 0;
		if (pb_recv(c->fd, &davit__core_request__descriptor, &q, NULL, &n, &e) != 1)
			break;
		fake_answer(c, q);
	}
	close(c->fd);
	free(c);
	return NULL;
}

/* A socket to a server of its own, which ends when the socket is closed. */
static inline int fake_open(struct fake_host *h)
{
	struct fake_core *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	int sv[2];
	pthread_attr_t detached;
	if (!c || fd_socketpair(SOCK_SEQPACKET, sv, &e) < 0)
		abort();
	c->h = h;
	c->fd = sv[1];
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&c->thread, &detached, fake_serve, c))
		abort();
	pthread_attr_destroy(&detached);
	return sv[0];
}

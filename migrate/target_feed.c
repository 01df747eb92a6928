/* Bytes of the upload: frames are taken apart here, on the agent's thread. Data goes straight to the core; pings are answered at once; the
 * rest is the worker's. */
#include "base/clock.h"
#include "migrate/target_private.h"

static int answer_ping(struct target *t, const Davit__StreamClockPing *ping, struct err *e)
{
	Davit__StreamClockPong pong = DAVIT__STREAM_CLOCK_PONG__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	struct clock_reading now = clock_read();

	pong.seq = ping->seq;
	pong.sent = ping->sent;
	pong.received = now.boottime;
	pong.has_realtime = pong.has_monotonic = 1;
	now = clock_read();
	pong.replied = now.boottime;
	pong.realtime = now.realtime;
	pong.monotonic = now.monotonic;
	f.body_case = DAVIT__STREAM_FRAME__BODY_CLOCK_PONG;
	f.clock_pong = &pong;
	return target_put(t, &f, e);
}

/* Hands a frame to the worker. */
static int enqueue(struct target *t, Davit__StreamFrame *f, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&t->lock);
	if (t->queued == TARGET_QUEUE_MAX)
		r = err_set(e, ERR_PROTOCOL, 0, "too many frames without waiting for an answer");
	else
		t->queue[t->queued++] = f;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int on_data(struct target *t, const Davit__StreamFrame *f, struct err *e)
{
	int i = target_channel_of(f->data->channel, e);
	if (i < 0)
		return -1;
	if (f->data->offset != t->sum[i].bytes)
		return err_set(e, ERR_PROTOCOL, 0, "channel %s goes on at %llu instead of %llu", stream_channel_name(f->data->channel),
			       (unsigned long long)f->data->offset, (unsigned long long)t->sum[i].bytes);
	if (f->payload_len == 0)
		return err_set(e, ERR_PROTOCOL, 0, "a data frame without data");
	XXH3_64bits_reset(t->payload_sum);
	return 0;
}

static int on_end(struct target *t, const Davit__StreamEnd *end, struct err *e)
{
	int i = target_channel_of(end->channel, e);
	return i < 0 || stream_check_end(end, &t->sum[i], e) < 0 ? -1 : target_channel_end(t, (size_t)i, e);
}

static int on_frame(void *arg, Davit__StreamFrame *frame, struct err *e)
{
	struct target *t = arg;
	auto_pb(Davit__StreamFrame) *f = frame;
	int r;

	if (f->payload_len > 0 && f->body_case != DAVIT__STREAM_FRAME__BODY_DATA)
		return err_set(e, ERR_PROTOCOL, 0, "a payload after a frame that has none");
	switch (f->body_case) {
	case DAVIT__STREAM_FRAME__BODY_CLOCK_PING:
		return answer_ping(t, f->clock_ping, e);
	case DAVIT__STREAM_FRAME__BODY_DATA:
		if (on_data(t, f, e) < 0)
			return -1;
		pb_freep(&t->data);
		t->data = steal_ptr(&f);
		return 0;
	case DAVIT__STREAM_FRAME__BODY_END:
		return on_end(t, f->end, e);
	case DAVIT__STREAM_FRAME__BODY_OFFER:
	case DAVIT__STREAM_FRAME__BODY_RESUME:
	case DAVIT__STREAM_FRAME__BODY_FROZEN:
	case DAVIT__STREAM_FRAME__BODY_COMMIT:
	case DAVIT__STREAM_FRAME__BODY_ABORT:
	case DAVIT__STREAM_FRAME__BODY_DONE:
		r = enqueue(t, f, e);
		if (r == 0)
			f = NULL;
		return r;
	case DAVIT__STREAM_FRAME__BODY_PROGRESS:
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, 0, "a frame that a source does not send (%d)", (int)f->body_case);
	}
}

/* A compressed payload is unpacked when it is whole and its checksum right. */
static int write_coded(struct target *t, size_t i, struct err *e)
{
	const Davit__StreamData *data = t->data->data;
	if (!t->codec && !(t->codec = codec_reader_new(e)))
		return -1;
	const uint8_t *raw = codec_read(t->codec, (enum codec)data->codec, t->coded.data, t->coded.len, data->raw_len, e);
	if (!raw || target_channel_write(t, i, raw, data->raw_len, e) < 0)
		return -1;
	buf_consume(&t->coded, t->coded.len);
	return 0;
}

static int end_payload(struct target *t, size_t i, struct err *e)
{
	const Davit__StreamData *data = t->data->data;
	uint64_t digest = XXH3_64bits_digest(t->payload_sum);
	if (digest != data->xxh3)
		return err_set(e, ERR_CORRUPT, 0, "channel %s: the checksum of the data at %llu is wrong", stream_channel_name(data->channel),
			       (unsigned long long)data->offset);
	if (data->has_codec && write_coded(t, i, e) < 0)
		return -1;
	stream_sum_add(&t->sum[i], data->has_codec ? data->raw_len : t->data->payload_len, digest);
	pb_freep(&t->data);
	return 0;
}

static int on_payload(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e)
{
	struct target *t = arg;
	if (!t->data)
		return err_set(e, ERR_PROTOCOL, 0, "a payload after a frame that has none");
	int i = target_channel_of(t->data->data->channel, e);
	if (i < 0)
		return -1;
	if (t->data->data->has_codec ? buf_append(&t->coded, p, n, e) < 0 : target_channel_write(t, (size_t)i, p, n, e) < 0)
		return -1;
	XXH3_64bits_update(t->payload_sum, p, n);
	pthread_mutex_lock(&t->lock);
	t->bytes += n;
	pthread_mutex_unlock(&t->lock);
	return left > 0 ? 0 : end_payload(t, (size_t)i, e);
}

static void lose(struct target *t, const struct err *why)
{
	pthread_mutex_lock(&t->lock);
	if (!t->lost) {
		t->lost = true;
		if (why)
			t->lost_why = *why;
		else
			err_set(&t->lost_why, ERR_IO, 0, "the connection to the source broke");
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

int target_feed(struct target *t, const void *p, size_t n, struct err *e)
{
	const struct frame_sink sink = { .header = on_frame, .payload = on_payload, .arg = t };
	struct err why = { 0 };
	pthread_mutex_lock(&t->lock);
	bool gone = t->lost || t->broken;
	t->heard = clock_now_ns(CLOCK_MONOTONIC);
	pthread_mutex_unlock(&t->lock);
	if (gone && t->data)
		return err_set(e, ERR_CANCELLED, 0, "the move was given up");
	if (frame_feed(&t->in, &sink, p, n, &why) == 0)
		return 0;
	lose(t, &why);
	if (e)
		*e = why;
	return -1;
}

void target_lost(struct target *t)
{
	lose(t, NULL);
}

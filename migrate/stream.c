/* Frames of the migration stream. See stream.h, proto/stream.proto and proto/frame.h. */
#include "migrate/stream.h"
#include <assert.h>
#include "proto/frame.h"

int stream_put(struct buf *out, Davit__StreamFrame *f, struct err *e)
{
	return frame_put_header(out, f, e);
}

int stream_put_abort(struct buf *out, const struct err *error, const Davit__Error *detail, struct err *e)
{
	Davit__StreamAbort abort = DAVIT__STREAM_ABORT__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;
	auto_pb(Davit__Error) *made = detail ? NULL : pb_error(error);

	if (!detail && !made)
		return err_set(e, ERR_RESOURCE, 0, "no memory for an error");
	abort.error = detail ? (Davit__Error *)detail : made;
	f.body_case = DAVIT__STREAM_FRAME__BODY_ABORT;
	f.abort = &abort;
	return stream_put(out, &f, e);
}

static uint64_t put_head(uint8_t *at, size_t size, Davit__StreamData *data, const void *payload, uint32_t len)
{
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;

	data->xxh3 = XXH3_64bits(payload, len);
	f.has_payload_len = 1;
	f.payload_len = len;
	f.body_case = DAVIT__STREAM_FRAME__BODY_DATA;
	f.data = data;
	at[0] = at[1] = at[2] = 0;
	at[3] = (uint8_t)(size - 4);
	assert(davit__stream_frame__get_packed_size(&f) == size - 4);
	davit__stream_frame__pack(&f, at + 4);
	return data->xxh3;
}

uint64_t stream_data_head(uint8_t at[STREAM_DATA_HEAD], Davit__StreamChannel channel, uint64_t offset, const void *payload, uint32_t len)
{
	Davit__StreamData data = DAVIT__STREAM_DATA__INIT;
	data.channel = channel;
	data.offset = offset;
	return put_head(at, STREAM_DATA_HEAD, &data, payload, len);
}

uint64_t stream_coded_head(uint8_t at[STREAM_CODED_HEAD], Davit__StreamChannel channel, uint64_t offset, const void *payload, uint32_t len,
			   uint32_t codec, uint32_t raw_len)
{
	Davit__StreamData data = DAVIT__STREAM_DATA__INIT;
	data.channel = channel;
	data.offset = offset;
	data.has_codec = data.has_raw_len = 1;
	data.codec = codec;
	data.raw_len = raw_len;
	return put_head(at, STREAM_CODED_HEAD, &data, payload, len);
}

void stream_sum_add(struct stream_sum *s, size_t n, uint64_t payload_digest)
{
	s->bytes += n;
	s->digest = XXH3_64bits_withSeed(&payload_digest, sizeof(payload_digest), s->digest);
}

int stream_put_end(struct buf *out, Davit__StreamChannel channel, const struct stream_sum *s, struct err *e)
{
	Davit__StreamEnd end = DAVIT__STREAM_END__INIT;
	Davit__StreamFrame f = DAVIT__STREAM_FRAME__INIT;

	end.channel = channel;
	end.bytes = s->bytes;
	end.xxh3 = s->digest;
	f.body_case = DAVIT__STREAM_FRAME__BODY_END;
	f.end = &end;
	return stream_put(out, &f, e);
}

int stream_check_end(const Davit__StreamEnd *end, const struct stream_sum *s, struct err *e)
{
	const char *name = stream_channel_name(end->channel);
	if (end->bytes != s->bytes)
		return err_set(e, ERR_CORRUPT, 0, "channel %s ended after %llu bytes, %llu came", name, (unsigned long long)end->bytes,
			       (unsigned long long)s->bytes);
	if (end->xxh3 != s->digest)
		return err_set(e, ERR_CORRUPT, 0, "channel %s: its checksum is wrong", name);
	return 0;
}

const char *stream_channel_name(Davit__StreamChannel channel)
{
	static const char *const names[] = {
		[DAVIT__STREAM_CHANNEL__CHANNEL_IMAGES] = "images",
		[DAVIT__STREAM_CHANNEL__CHANNEL_LAYER] = "layer",
		[DAVIT__STREAM_CHANNEL__CHANNEL_PAGES] = "pages",
		[DAVIT__STREAM_CHANNEL__CHANNEL_PAGES_REPLY] = "pages_reply",
		[DAVIT__STREAM_CHANNEL__CHANNEL_LOG] = "log",
		[DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY] = "memory",
		[DAVIT__STREAM_CHANNEL__CHANNEL_MEMORY_REPLY] = "memory_reply",
	};
	return channel < ARRAY_LEN(names) && names[channel] ? names[channel] : "(unknown)";
}

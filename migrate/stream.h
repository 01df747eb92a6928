/* What both sides of a migration stream do with its frames: queueing control frames, heading data frames in place, summing channels. */
#pragma once
#include <stdint.h>
#include <xxhash.h>
#include "base/str.h"
#include "stream.pb-c.h"

/* Appends a frame without payload. */
int stream_put(struct buf *out, Davit__StreamFrame *f, struct err *e);
/* Appends StreamAbort with an error. */
int stream_put_abort(struct buf *out, const struct err *error, const Davit__Error *detail, struct err *e);

/* Length of a data frame's head on the wire, always the same (fixed-width fields), so that a payload can be read to its final place
 * before its checksum is known. */
#define STREAM_DATA_HEAD 31
/* … and of one whose payload is compressed. */
#define STREAM_CODED_HEAD 41
uint64_t stream_coded_head(uint8_t at[STREAM_CODED_HEAD], Davit__StreamChannel channel, uint64_t offset, const void *payload, uint32_t len,
			   uint32_t codec, uint32_t raw_len);
/* Both return the payload's XXH3-64, for stream_sum_add. */
uint64_t stream_data_head(uint8_t at[STREAM_DATA_HEAD], Davit__StreamChannel channel, uint64_t offset, const void *payload, uint32_t len);

/* A channel so far: its bytes, and a checksum over the checksums of its frames, so that no byte is summed twice. Starts as zeros. */
struct stream_sum {
	uint64_t bytes, digest;
};
/* A further frame of n bytes, before compression. */
void stream_sum_add(struct stream_sum *s, size_t n, uint64_t payload_digest);
/* Appends StreamEnd for a channel. */
int stream_put_end(struct buf *out, Davit__StreamChannel channel, const struct stream_sum *s, struct err *e);
/* Whether the other side's end agrees with what came. ERR_CORRUPT. */
int stream_check_end(const Davit__StreamEnd *end, const struct stream_sum *s, struct err *e);
const char *stream_channel_name(Davit__StreamChannel channel);

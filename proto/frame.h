/* Framing with limits: messages one after the other on a byte stream.
 *
 * Delimited: varint length | message (application/x-protobuf-delimited: exec streams, worker reports, stored lists).
 * Stream frames (stream.proto): u32 big-endian header length | StreamFrame | payload. The reader is fed any pieces of bytes and gives back whole
 * frames; it allocates a header only after its length was checked, and never more payload than STREAM_PAYLOAD_MAX. */
#pragma once
#include "base/str.h"
#include "proto/pb.h"
#include "stream.pb-c.h"

#define FRAME_HEADER_MAX (1 << 20)
#define FRAME_PAYLOAD_MAX (1 << 20)

/* Appends a delimited message. */
int frame_put_delimited(struct buf *out, const ProtobufCMessage *m, struct err *e);
/* Takes the next whole message from b (consuming it). *m owned. 1, 0: not whole yet, -1 (ERR_LIMIT, ERR_CORRUPT). */
int frame_take_delimited(struct buf *b, const ProtobufCMessageDescriptor *d, size_t max, void *m, struct err *e);
/* Blocking, over an fd. frame_read_delimited: 1, 0 at end, -1. */
int frame_write_delimited(int fd, const ProtobufCMessage *m, struct err *e);
int frame_read_delimited(int fd, const ProtobufCMessageDescriptor *d, size_t max, void *m, struct err *e);

/* Appends header length and header; f->payload_len says how many bytes follow. */
int frame_put_header(struct buf *out, const Davit__StreamFrame *f, struct err *e);

struct frame_sink {
	/* A whole header; a frame with payload_len is followed by payload() calls. 0 or -1. */
	int (*header)(void *arg, Davit__StreamFrame *f, struct err *e); /* takes f over */
	/* Bytes of the payload of the last header, in order; `left`: still to come after these. */
	int (*payload)(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e);
	void *arg;
};
struct frame_reader {
	struct buf partial; /* of a header */
	size_t payload_left;
};
/* Feeds bytes. 0 or -1; after -1 the reader is of no more use. */
int frame_feed(struct frame_reader *r, const struct frame_sink *s, const uint8_t *p, size_t n, struct err *e);
/* True between frames: the stream may end here. */
bool frame_at_boundary(const struct frame_reader *r);
void frame_reader_free(struct frame_reader *r);

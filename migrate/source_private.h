/* What the source's files share: source.c (life, waiting), source_flow.c (frames and actions), source_data.c (the dump's streams). */
#pragma once
#include "migrate/clock_map.h"
#include "migrate/clock_policy.h"
#include "migrate/core.h"
#include "migrate/handover.h"
#include "migrate/journal.h"
#include "migrate/record.h"
#include "migrate/source.h"
#include "migrate/stream.h"
#include "proto/frame.h"

#define SOURCE_CHANNELS 4 /* as CoreDump gives them: images, layer, pages, log */
#define SOURCE_PAGES 2

struct source_channel {
	int fd; /* owned; -1: not open yet or ended */
	struct stream_sum sum;
	bool ended;
};

struct source {
	Davit__MoverJob *job;
	struct core core;
	struct journal journal; /* fd -1: none (check only) */
	enum handover_state state;
	struct record record;
	source_report *report;
	void *report_arg;
	const char *phase;
	int64_t reported;
	uint64_t bytes_total, layer_bytes; /* to expect */

	struct buf out; /* frames to send before any further data */
	struct frame_reader in;
	Davit__StreamFrame *data; /* whose payload is arriving */
	struct stream_sum reply;  /* pages_reply */
	struct buf reply_payload;

	struct source_channel channel[SOURCE_CHANNELS];
	size_t next_channel;
	bool dumping;	  /* channels are open */
	uint64_t dump_id; /* of the request, 0: none under way */
	Davit__DumpDone *dump;
	int64_t rate_start; /* of the bandwidth's account */
	uint64_t rate_sent;

	struct clock_map map;
	uint32_t ping_seq, pings_left;
	bool pinging;
	bool closing; /* everything of the dump was queued */
	bool frozen_sent;

	int64_t deadline; /* CLOCK_MONOTONIC: the other side (or the core) must have spoken by then */
	int64_t spoke;	  /* CLOCK_MONOTONIC: last bytes given to the transport */
	bool finished, moved;
	struct err error;
	Davit__Error *detail;
};

/* source_flow.c */
/* Feeds an event to the table and takes its action. Events that mean nothing in the state do nothing; returns whether one did. */
bool source_event(struct source *s, enum handover_event ev);
/* A failure: notes it (the first one counts) and raises `ev` (EVENT_FAILED, EVENT_LOST or EVENT_ABORTED). */
void source_fail(struct source *s, enum handover_event ev, const struct err *why, const Davit__Error *detail);
int source_frame(void *arg, Davit__StreamFrame *f, struct err *e);
int source_payload(void *arg, const uint8_t *p, size_t n, size_t left, struct err *e);
/* Goes on where everything was sent: the last clock exchanges, then `frozen`. */
void source_advance(struct source *s);
void source_phase(struct source *s, const char *name);
void source_tell(struct source *s);
void source_touch(struct source *s);

/* source_data.c */
int source_dump_start(struct source *s, struct err *e);
/* The core has something to say about the dump. */
int source_dump_reply(struct source *s, struct err *e);
void source_dump_close(struct source *s);
size_t source_data_pull(struct source *s, uint8_t *buf, size_t cap, struct err *e);
/* ns until the bandwidth allows another byte; 0: now. */
int64_t source_data_wait(const struct source *s);
/* Whether everything of the dump was queued. */
bool source_data_done(const struct source *s);

/* source_clock.c */
void source_ping_start(struct source *s, uint32_t count);
int source_pong(struct source *s, const Davit__StreamClockPong *pong, struct err *e);

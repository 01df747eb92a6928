/* What the source's files share: source.c (life, waiting), source_flow.c (frames and actions), source_data.c (streams into the upload), source_live.c
 * (rounds, the freeze, what follows), source_memory.c (the memory socket), source_layer.c (passes over the layer), source_clock.c, source_meet.c. */
#pragma once
#include "migrate/clock_map.h"
#include "migrate/clock_policy.h"
#include "migrate/codec.h"
#include "migrate/core.h"
#include "migrate/handover.h"
#include "migrate/journal.h"
#include "migrate/mode.h"
#include "migrate/record.h"
#include "migrate/rounds.h"
#include "migrate/source.h"
#include "migrate/stream.h"
#include "proto/frame.h"
#include "proto/memory.h"

/* The first four as CoreDump gives them. */
enum { SOURCE_IMAGES, SOURCE_LAYER, SOURCE_PAGES, SOURCE_LOG, SOURCE_DUMP_CHANNELS, SOURCE_MEMORY = SOURCE_DUMP_CHANNELS, SOURCE_CHANNELS };

struct source_channel {
	int fd; /* owned; -1: not open yet or ended */
	struct stream_sum sum;
	bool ended;
};

/* The memory socket: what its bytes mean to us, and what is to be said on it. */
struct source_memory {
	struct memory_reader in, wanted; /* wanted: what the target's store asks for */
	struct memory_record answer;	 /* ROUND_DONE or FAILED, what follows it is in `text` */
	uint8_t text[MEMORY_TEXT_MAX];
	size_t text_len;
	size_t at, ours, ours_at; /* of the present piece: looked through; ours, not the target's; where that begins */
	struct buf out;		  /* commands that the socket did not take yet */
	bool in_answer;		  /* what is read belongs to one */
	bool answer_whole, ended; /* ended: every page was sent */
	uint64_t bytes;		  /* of pages */
};

/* Copying while the container runs. */
struct source_live {
	struct rounds policy;
	unsigned round;		/* that is under way or was last */
	int64_t round_began;	/* CLOCK_MONOTONIC */
	uint64_t bytes_at_thaw; /* memory->bytes then */
	bool in_round, freeze, withhold, final_sent, final_done, rest_sent;
	bool resuming;	 /* a new connection, which the target has not taken yet */
	int64_t serving; /* CLOCK_MONOTONIC of its begin */
	struct core layer_core, throttle_core;
	bool has_layer_core, has_throttle_core;
	uint64_t layer_id;
	int go, throttle; /* descriptors, -1: none */
	bool passing;	  /* a pass over the layer is under way */
	bool last_pass;
	unsigned passes;
	uint8_t pass_answer[8];
	size_t pass_have;
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
	struct stream_sum reply, memory_reply;
	struct buf reply_payload;

	enum mode mode;
	bool apart; /* memory goes by its own channel */
	struct source_memory memory;
	struct source_live live;

	struct codec_writer *codec; /* NULL: no compression */
	struct source_channel channel[SOURCE_CHANNELS];
	size_t next_channel;
	bool dumping;	  /* the dump's channels are open */
	uint64_t dump_id; /* of the request, 0: none under way */
	Davit__DumpDone *dump;
	int64_t rate_start; /* of the bandwidth's account */
	uint64_t rate_sent;

	struct clock_map map;
	uint32_t ping_seq, pings_left, pings_further;
	bool pinging;
	bool closing; /* everything of the dump was queued */
	bool frozen_sent;

	int64_t deadline;	 /* CLOCK_MONOTONIC: the other side (or the core) must have spoken by then */
	int64_t spoke;		 /* CLOCK_MONOTONIC: last bytes given to the transport */
	int meet_fd;		 /* of a group's member, borrowed; -1: none */
	enum handover_event met; /* what follows when all members are as far, while it waits for them */
	int64_t waits;		 /* CLOCK_MONOTONIC: since when; 0: it does not */
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

/* Whether any channel is open. */
bool source_data_flows(const struct source *s);
/* Where n ≤ room bytes of a frame's payload are to be put, and the frame of channel i that is then made of them in buf; returns its length. */
uint8_t *source_data_space(struct source *s, uint8_t *buf);
ssize_t source_data_frame(struct source *s, size_t i, uint8_t *buf, size_t n);

/* source_live.c */
/* The target took the offer in a live mode, and the clocks are known: begins to copy. */
int source_live_start(struct source *s, struct err *e);
/* The container stands still: the last round and the layer's last pass. */
int source_live_freeze(struct source *s, struct err *e);
/* A round is done (the answer lies in s->memory), or a pass over the layer. */
int source_live_round_done(struct source *s, struct err *e);
int source_live_pass_done(struct source *s, uint64_t bytes, struct err *e);
/* `frozen` was sent; the target runs and lacks memory; so it does still, over a new connection; it has all. */
int source_live_restoring(struct source *s, struct err *e);
int source_live_serve(struct source *s, struct err *e);
int source_live_resume(struct source *s, struct err *e);
void source_live_filled(struct source *s);
/* Undoes what copying has set up: tracking, CPU limits, passes. */
void source_live_end(struct source *s);

/* source_memory.c */
int source_memory_open(struct source *s, struct err *e);
int source_memory_say(struct source *s, enum memory_type type, uint16_t flags, uint64_t value, struct err *e);
/* Writes what waits. */
int source_memory_flush(struct source *s, struct err *e);
/* As a channel's pull: one frame into buf. */
ssize_t source_memory_pull(struct source *s, uint8_t *buf, size_t room, struct err *e);
/* What the target's store asks for. */
int source_memory_wanted(struct source *s, const uint8_t *p, size_t n, struct err *e);

/* source_layer.c */
int source_layer_start(struct source *s, struct err *e);
int source_layer_pass(struct source *s, bool last, struct err *e);
/* The core has answered on `go`. */
int source_layer_answer(struct source *s, struct err *e);
/* Why the layer's stream ended before its last pass. */
int source_layer_broke(struct source *s, struct err *e);

/* source_clock.c */
void source_ping_start(struct source *s, uint32_t count);
int source_pong(struct source *s, const Davit__StreamClockPong *pong, struct err *e);

/* source_meet.c */
/* EVENT_ACCEPTED (to freeze) or EVENT_COMMIT, at once or, in a group, when every member is as far. */
void source_meet(struct source *s, enum handover_event ev);
/* Looks whether they are. */
void source_meet_step(struct source *s);

/* What the target's files share: target.c (life, the agent's calls), target_work.c (its thread), target_act.c and target_thaw.c (the actions),
 * target_feed.c (bytes that come), target_recover.c.
 *
 * Threads and what each owns: the worker owns state, journal, record's text, core and offer; the feeding thread owns the frame reader, sums
 * and the writing of the channels; the pump owns the reading of the pages' socket. What they share is under `lock`. Descriptors of the
 * channels are closed by the worker only while nobody uses them (`users`), after `broken` was set and `wake` was rung. */
#pragma once
#include <pthread.h>
#include "migrate/clock_policy.h"
#include "migrate/codec.h"
#include "migrate/core.h"
#include "migrate/handover.h"
#include "migrate/journal.h"
#include "migrate/mode.h"
#include "migrate/record.h"
#include "migrate/stream.h"
#include "migrate/target.h"
#include "proto/frame.h"

/* As CoreRestorePrepare gives them: images, layer, pages, log, and in live modes memory, which stays when the others have ended. */
enum { TARGET_PAGES = 2, TARGET_MEMORY = 4, TARGET_CHANNELS };
#define TARGET_QUEUE_MAX 16
#define TARGET_TIMEOUT_MS 30000

struct target {
	struct target_host host; /* strings owned */
	char *id;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* anything below `lock` did */
	pthread_t worker;
	bool has_worker;

	/* under lock */
	unsigned refs, users;
	Davit__StreamFrame *queue[TARGET_QUEUE_MAX]; /* owned, for the worker */
	size_t queued;
	bool lost, cancelled, forced, hurried, stop, settled, broken;
	bool lost_told;			  /* the worker took notice of `lost` */
	bool memory_over;		  /* the page store left the connection: it has all, or has fallen */
	enum handover_event forced_event; /* if forced */
	struct err lost_why;		  /* what the feeding thread found wrong */
	struct buf out;
	bool out_ended;
	int64_t heard; /* CLOCK_MONOTONIC: the source's last sign of life */
	int64_t spoke; /* CLOCK_MONOTONIC: bytes were last taken for the download */
	uint64_t bytes;
	int fd[TARGET_CHANNELS];
	bool open[TARGET_CHANNELS]; /* may be written to */
	size_t ended;		    /* channels that came whole, without memory */
	struct record record;
	enum handover_state state;

	/* the feeding thread's */
	struct frame_reader in;
	struct stream_sum sum[TARGET_CHANNELS];
	Davit__StreamFrame *data; /* whose payload is arriving */
	XXH3_state_t *payload_sum;
	struct buf coded; /* of a compressed payload, until it is whole */
	struct codec_reader *codec;

	/* the pumps': what the page server answers, what the page store wants */
	pthread_t pump, memory_pump;
	bool has_pump, has_memory_pump;
	int wake; /* eventfd */

	/* the worker's */
	struct core core;
	bool has_core, prepared, reserved;
	uint64_t prepare_id;
	struct journal journal; /* fd -1: none */
	Davit__StreamOffer *offer;
	Davit__IdRange ids; /* of the container here */
	enum mode mode;
	bool apart; /* memory comes by its own channel; after a restart: maybe */
	const char *mode_why;
	enum clock_policy policy;
	bool tcp_reset; /* its addresses are new ones, its connections closed */
	Davit__ClockResult *clock;
	int64_t delta, thawed; /* thawed: this host's boottime */
	struct err error;
	Davit__Error *detail;
	int ask_ms;
	bool told_running;
	bool ends; /* the stream ends after what is queued */
};

/* target.c */
int target_put(struct target *t, Davit__StreamFrame *f, struct err *e);
void target_end_stream(struct target *t);
void target_state_set(struct target *t, enum handover_state s);
void target_phase(struct target *t, const char *name, bool begins);
void target_tell(struct target *t);
int target_start(struct target *t, struct err *e);
struct target *target_make(const struct target_host *host, const char *id, struct err *e);

/* target_work.c */
void *target_work(void *arg);
bool target_event(struct target *t, enum handover_event ev);
/* Notes a failure (the first counts) and raises ev. */
void target_fail(struct target *t, enum handover_event ev, const struct err *why, const Davit__Error *detail);
/* Waits up to ms, or until stop; false when stopping. */
bool target_sleep(struct target *t, int ms);

/* target_act.c */
void target_act(struct target *t, enum handover_action a);
void target_on_offer(struct target *t, Davit__StreamOffer *offer);
void target_on_frozen(struct target *t, const Davit__StreamFrozen *frozen);
int target_open_core(struct target *t, struct err *e);
/* A core socket that failed is of no more use; the next try opens another. */
void target_drop_core(struct target *t);
int target_send_accept(struct target *t, Davit__HostFacts *facts, Davit__Error *refusal, struct err *e);
/* Answers that what the source wants is not taken and ends the stream. */
void target_refuse(struct target *t, const struct err *why, Davit__Error *detail);
void target_ask_verdict(struct target *t);

/* target_thaw.c */
void target_thaw(struct target *t);
void target_send_running(struct target *t);
void target_fill(struct target *t);
void target_memory_left(struct target *t);
void target_give_up(struct target *t);
void target_on_resume(struct target *t, const Davit__StreamResume *resume);

/* target_channels.c: the dump's streams on their way into the core */
int target_channels_open(struct target *t, struct core_fds *fds, struct err *e);
/* The page store's socket: a fresh one, or another after the first was lost. Takes fd over. */
int target_memory_open(struct target *t, int fd, struct err *e);
/* Closes those that have ended; memory stays. */
void target_channels_finish(struct target *t);
/* Interrupts and closes; returns when no thread uses them. */
void target_channels_close(struct target *t);
int target_channel_write(struct target *t, size_t i, const uint8_t *p, size_t n, struct err *e);
int target_channel_end(struct target *t, size_t i, struct err *e);
/* Index of a channel that the source may send, or -1. */
int target_channel_of(Davit__StreamChannel channel, struct err *e);

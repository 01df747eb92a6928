/* The source's side of one move, as davit-mover runs it: a state machine without a transport.
 *
 * One thread owns it. It gives the bytes for the upload (source_pull) and takes those of the download (source_feed); between these it says
 * which descriptors to wait for and for how long (source_poll), and source_step() does what time or a descriptor made due. What happens in
 * which state is the handover's table (migrate/handover.h); the stages of a move (in stop-and-copy without those in brackets):
 *
 *   offer → accept → some clock exchanges → [rounds over memory and layer while the container runs (migrate/rounds.h)] → pause (network held) →
 *   [last round, last pass over the layer] → dump, its streams forwarded as they come → clock exchanges again → frozen → ready → COMMIT on disk →
 * commit → running → [the rest of the memory → filled] → the frozen copy is deleted → done.
 *
 * A member of a group (migrate/group.h) waits for the others twice: before the pause (phase "gather") and before COMMIT ("agree").
 *
 * Any failure before COMMIT lets the container go on here; one after it leaves the question to migrate/recover.h (ERR_IN_DOUBT). */
#pragma once
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "stream.pb-c.h"

struct source;

/* Least room for source_pull. */
#define SOURCE_PULL_MIN 4096
#define SOURCE_POLL_MAX 8

/* Called when the record changed. phase: what is under way; total: bytes expected in all, 0 unknown. */
typedef void source_report(void *arg, const Davit__MoveRecord *r, const char *phase, uint64_t total);

/* job is copied; core_fd is taken over (also on failure): a channel of the runtime core. The offer is queued on success; on failure the container
 * was not touched (obstacles: source_detail needs the object, so they are in *detail, owned, may be NULL). */
struct source *source_new(const Davit__MoverJob *job, int core_fd, source_report *report, void *arg, Davit__Error **detail, struct err *e);
/* Where a member of a group hears that the others are as far (a byte) or that nobody is left to say so (the end). Borrowed, non-blocking. */
void source_meets_at(struct source *s, int fd);
/* The same for one whose target runs and lacks memory: takes its journal up, offers to go on. ERR_STATE: it is not so. */
struct source *source_resume(const Davit__MoverJob *job, int core_fd, source_report *report, void *arg, struct err *e);
void source_free(struct source *s);

/* Fills fds with what to wait for and returns their number; *timeout_ms: until source_step() is due, at most. */
size_t source_poll(struct source *s, struct pollfd fds[SOURCE_POLL_MAX], int *timeout_ms);
void source_step(struct source *s);
/* Whether source_pull has something apart from what descriptors bring, or the end. */
bool source_wants_to_send(const struct source *s);
/* Up to cap ≥ SOURCE_PULL_MIN bytes to send. 0: nothing now (or nothing more, once source_finished()). */
size_t source_pull(struct source *s, void *buf, size_t cap);
/* Bytes that came. An error of the stream ends the move like any other failure. */
void source_feed(struct source *s, const void *p, size_t n);
/* The connection broke or ended. why is copied. */
void source_lost(struct source *s, const struct err *why);
/* Takes the move back, if it has not committed: someone asked for it, or (late) its time is over. */
void source_cancel(struct source *s, bool late);
/* The name in the target's certificate, once the connection told it: recorded, since only that host may ask for this move's verdict. 0 or -1. */
int source_peer_name(struct source *s, const char *name, struct err *e);
/* All is done but sending what source_pull still gives. */
bool source_finished(const struct source *s);
/* How it ended: 0: moved (or, with check_only, could be); -1 with the error and its detail (borrowed, may be NULL). */
int source_result(const struct source *s, const Davit__Error **detail, struct err *e);
const Davit__MoveRecord *source_record(const struct source *s);

/* Two fake hosts and a move between them: the source's and the target's real code, their frames, journals and recovery. */
#pragma once
#include "tests/unit/unit.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/log.h"
#include "migrate/journal.h"
#include "migrate/recover.h"
#include "migrate/source.h"
#include "migrate/target.h"
#include "tests/unit/fake_core.h"
#include "tests/unit/fake_memory.h"

#define ID "00112233445566778899aabbccddeeff"

enum fault { FAULT_NONE, FAULT_CUT, FAULT_SOURCE_KILLED, FAULT_TARGET_KILLED, FAULT_BIT };

struct world {
	struct fake_host a, b;
	char *folder_a, *folder_b;
	Davit__MoverJob job;
	Davit__HostFacts facts;
	struct target_host host;
	struct source *s;
	struct target *t;
	bool source_gone; /* its verdict may be asked for only when nobody works on it */
	unsigned reserved, released, release_fails;
	char ended[32]; /* the target's last state, where the test notes it */
};

static inline int open_core(void *arg, struct core *out, struct err *e)
{
	struct world *w = arg;
	(void)e;
	core_init(out, fake_open(&w->b));
	return 0;
}

static inline Davit__HostFacts *facts(void *arg, struct err *e)
{
	struct world *w = arg;
	return pb_dup(&w->facts.base, e);
}

static inline int reserve(void *arg, const Davit__StreamOffer *offer, Davit__IdRange *ids, struct err *e)
{
	struct world *w = arg;
	(void)offer, (void)ids, (void)e;
	w->reserved++;
	return 0;
}

static inline int release(void *arg, const Davit__StreamOffer *offer, struct err *e)
{
	struct world *w = arg;
	(void)offer;
	if (w->release_fails > 0) {
		w->release_fails--;
		return err_set(e, ERR_IO, 0, "the disk is full");
	}
	w->released++;
	return 0;
}

static inline int ask_verdict(void *arg, const char *url, const char *id, enum handover_verdict *out, struct err *e)
{
	struct world *w = arg;
	assert_string_equal(url, "https://a:7440");
	*out = recover_verdict(w->folder_a, id, NULL, e);
	return 0;
}

static inline int ask_state(void *arg, const Davit__MoveRecord *r, enum handover_answer *out, struct err *e)
{
	struct world *w = arg;
	assert_string_equal(r->target_url, "https://b:7440");
	*out = target_state(w->folder_b, r->id, NULL, e);
	return 0;
}

static inline void fill(struct buf *b, size_t n, unsigned seed)
{
	struct err e = { 0 };
	assert_int_equal(buf_reserve(b, n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		char c = (char)(seed = seed * 1103515245u + 12345u);
		buf_append(b, &c, 1, &e);
	}
}

static inline void make(struct world *w, const char *folder)
{
	static const size_t sizes[FAKE_CHANNELS] = { 70000, 1, 5 * FAKE_PAGE, 0 };
	struct err e = { 0 };
	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->a.lock, NULL);
	pthread_mutex_init(&w->b.lock, NULL);
	w->a.state = "running";
	w->a.offset_boottime = 5 * NSEC_PER_SEC;
	w->a.offset_monotonic = 3 * NSEC_PER_SEC;
	for (size_t i = 0; i < FAKE_CHANNELS; i++)
		fill(&w->a.data[i], sizes[i], (unsigned)i + 1);
	w->folder_a = mem_printf(&e, "%s/a", folder);
	w->folder_b = mem_printf(&e, "%s/b", folder);
	assert_int_equal(file_remove_tree(AT_FDCWD, w->folder_a, &e), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, w->folder_b, &e), 0);
	assert_int_equal(mkdir(w->folder_a, 0700) + mkdir(w->folder_b, 0700), 0);
	davit__host_facts__init(&w->facts);
	w->facts.criu_version = (char *)"4.2.1";
	davit__mover_job__init(&w->job);
	w->job.kind = (char *)"move";
	w->job.move_id = (char *)ID;
	w->job.container = (char *)"web";
	w->job.moves_folder = w->folder_a;
	w->job.url = (char *)"https://b:7440";
	w->job.source_url = (char *)"https://a:7440";
	w->job.facts = &w->facts;
	w->job.has_timeout_ms = 1;
	w->job.timeout_ms = 5000;
	w->host = (struct target_host){ .folder = w->folder_b,
					.open_core = open_core,
					.facts = facts,
					.reserve = reserve,
					.release = release,
					.ask_verdict = ask_verdict,
					.arg = w };
}

static inline void unmake(struct world *w)
{
	for (size_t i = 0; i < FAKE_CHANNELS; i++) {
		buf_free(&w->a.data[i]);
		buf_free(&w->b.data[i]);
	}
	free(w->folder_a);
	free(w->folder_b);
}

static inline void start(struct world *w)
{
	Davit__Error *detail = NULL;
	struct err e = { 0 };
	w->s = source_new(&w->job, fake_open(&w->a), NULL, NULL, &detail, &e);
	if (!w->s)
		fail_msg("%s", e.msg);
	w->t = target_new(&w->host, ID, &e);
	if (!w->t)
		fail_msg("%s", e.msg);
}

static inline void kill_source(struct world *w)
{
	source_free(w->s);
	w->s = NULL;
	target_lost(w->t);
}

static inline void kill_target(struct world *w)
{
	struct err e = { .code = ERR_IO, .msg = "connection reset" };
	target_unref(w->t);
	w->t = NULL;
	source_lost(w->s, &e);
}

static inline void cut(struct world *w)
{
	struct err e = { .code = ERR_IO, .msg = "connection reset" };
	source_lost(w->s, &e);
	target_lost(w->t);
}

/* Does what a fault says. True: nothing passes any more. */
static inline bool strike(struct world *w, enum fault f, char *p, size_t n)
{
	if (f == FAULT_CUT)
		cut(w);
	else if (f == FAULT_SOURCE_KILLED)
		kill_source(w);
	else if (f == FAULT_TARGET_KILLED)
		kill_target(w);
	else
		p[n - 1] = (char)(p[n - 1] ^ 1);
	return f != FAULT_BIT;
}

/* Carries pieces until the source has finished, or the fault before the `at`th piece. Returns how many passed. */
static inline unsigned carry(struct world *w, enum fault f, unsigned at)
{
	char piece[16 << 10];
	struct err e = { 0 };
	unsigned passed = 0;
	for (int idle = 0; idle < 20000;) {
		source_step(w->s);
		bool over = source_finished(w->s);
		size_t up = source_pull(w->s, piece, sizeof(piece));
		if (up > 0) {
			if (f && passed == at && strike(w, f, piece, up))
				return passed;
			if (target_feed(w->t, piece, up, &e) < 0)
				target_lost(w->t);
			passed++;
			idle = 0;
		}
		ssize_t down = target_pull(w->t, piece, sizeof(piece), up ? 0 : 1, &e);
		if (down > 0) {
			if (f && passed == at && strike(w, f, piece, (size_t)down))
				return passed;
			source_feed(w->s, piece, (size_t)down);
			passed++;
			idle = 0;
		}
		if (down == 0 && !source_finished(w->s)) {
			err_set(&e, ERR_IO, 0, "the target ended the connection");
			source_lost(w->s, &e);
		}
		if (!up && over)
			return passed;
		idle++;
	}
	fail_msg("the move stands still");
	return passed;
}

static inline bool is(const char *state, const char *want)
{
	return want ? state && strcmp(state, want) == 0 : !state;
}

/* The source serves memory that follows over a new connection, if the target takes one yet. */
static inline void serve_again(struct world *w)
{
	struct err e = { 0 };
	if (!w->t || target_reopen(w->t, &e) < 0)
		return;
	w->s = source_resume(&w->job, fake_open(&w->a), NULL, NULL, &e);
	if (!w->s)
		fail_msg("%s", e.msg);
	carry(w, FAULT_NONE, 0);
	source_free(w->s);
	w->s = NULL;
	target_lost(w->t);
}

/* Both sides go on as after a restart until nothing is left to do. */
static inline void settle(struct world *w)
{
	struct core core;
	struct err e = { 0 };
	if (w->s)
		source_free(w->s);
	w->s = NULL;
	if (!w->t)
		w->t = target_recover(&w->host, ID, &e);
	else
		target_lost(w->t);
	core_init(&core, fake_open(&w->a));
	const struct recover r = { .folder = w->folder_a, .core = &core, .ask_state = ask_state, .arg = w };
	for (int i = 0, result = RECOVER_IN_DOUBT; i < 400 && result != RECOVER_SETTLED; i++) {
		auto_pb(Davit__MoveRecord) *record = NULL;
		result = recover_source(&r, ID, &record, &e);
		assert_true(result >= 0);
		if (result == RECOVER_SERVE)
			serve_again(w);
		if (result != RECOVER_SETTLED && w->t)
			target_wait(w->t, 50);
	}
	if (w->t && !target_wait(w->t, 60000))
		fail_msg("the target does not settle: it is %s", target_record(w->t, &e)->state);
	target_unref(w->t);
	w->t = NULL;
	core_close(&core);
}

static inline void assert_one_runs(struct world *w, unsigned at)
{
	const char *a = fake_state(&w->a), *b = fake_state(&w->b);
	bool at_source = is(a, "running") && is(b, NULL), at_target = is(a, NULL) && is(b, "running");
	if (!at_source && !at_target)
		fail_msg("after a fault before piece %u: source %s, target %s", at, a ? a : "none", b ? b : "none");
	assert_false(at_source ? w->a.network_held : w->b.network_held);
	if (w->reserved)
		assert_int_equal(w->released > 0, at_source);
}

static inline int ignore_pipe(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_setup(2, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return 0;
}

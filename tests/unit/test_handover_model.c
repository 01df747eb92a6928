/* The handover's table in a world where everything that can go wrong does, tried exhaustively.
 *
 * A world is a source, a target, their journals (what is written, what is surely on disk), their containers, and the frames between them. Steps
 * are: an action, a frame that arrives, a broken connection noticed, a restart; and the faults: an action that fails, the connection
 * cut, an agent killed, a host rebooted (its container gone, entries that were not synced there or not). All worlds that can be reached are
 * visited. In none do two copies run, nor one that is older than what ran; and from each one, without further faults, the end is one running
 * copy (none only if a reboot took the last one). The same with memory that follows after the thaw: the source's copy is never let go while the
 * target lacks something, and only a source's reboot leaves a container that cannot become whole. */
#include "tests/unit/unit.h"
#include <stdio.h>
#include "migrate/handover.h"

enum { BOX_NONE, BOX_FROZEN, BOX_RUNS };
enum { MSG_NONE, MSG_ACCEPT, MSG_READY, MSG_FILLING, MSG_RUNNING, MSG_FROZEN, MSG_COMMIT, MSG_REST, MSG_DONE, MSG_ABORT };
#define FRAMES 2

struct side {
	uint8_t state, synced, action, alive, box, lost_told;
	uint8_t outcome; /* event that the action just taken leads to, + 1: a fault may come before it */
};
struct world {
	struct side s, t;
	uint8_t link, up[FRAMES], down[FRAMES];
	uint8_t dumped;	 /* the target may have all data */
	uint8_t stale;	 /* the source's container ran on after the dump */
	uint8_t ran;	 /* the target's did */
	uint8_t excused; /* a reboot took the only copy, or the only memory of it */
	uint8_t lacks;	 /* memory follows the container, and the target does not have it yet */
	uint8_t lazy;	 /* … or did not at some time */
};

/* All worlds seen, and the steps between them that are no faults. */
#define WORLDS_MAX (1 << 21)
static struct world *worlds;
static uint32_t *table, *parent, n_worlds, *edge_from, *edge_to;
static size_t n_edges, edges_cap;

static uint32_t find(const struct world *w)
{
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ ((const uint8_t *)w)[i]) * 1099511628211u;
	for (uint32_t at = h % (2 * WORLDS_MAX);; at = (at + 1) % (2 * WORLDS_MAX)) {
		if (!table[at]) {
			assert_true(n_worlds < WORLDS_MAX);
			worlds[n_worlds] = *w;
			table[at] = ++n_worlds;
			return n_worlds - 1;
		}
		if (memcmp(&worlds[table[at] - 1], w, sizeof(*w)) == 0)
			return table[at] - 1;
	}
}

static void step_to(uint32_t from, const struct world *w, bool fault)
{
	uint32_t before = n_worlds, to = find(w);
	if (to == before)
		parent[to] = from;
	if (fault || to == from)
		return;
	if (n_edges == edges_cap) {
		edges_cap = edges_cap ? edges_cap * 2 : 1 << 20;
		edge_from = realloc(edge_from, edges_cap * sizeof(*edge_from));
		edge_to = realloc(edge_to, edges_cap * sizeof(*edge_to));
		assert_true(edge_from && edge_to);
	}
	edge_from[n_edges] = from;
	edge_to[n_edges++] = to;
}

/* Feeds an event to the table: the entry is written, the action is to be taken next. False: no rule. */
static bool fire(struct side *x, enum handover_event ev)
{
	const struct handover_rule *r = handover_next(x->state, ev);
	if (!r)
		return false;
	x->state = (uint8_t)r->next;
	if (r->order == ORDER_SYNC)
		x->synced = x->state;
	x->action = (uint8_t)r->action;
	return true;
}

static void send(struct world *w, uint8_t *queue, uint8_t frame)
{
	if (!w->link)
		return;
	for (size_t i = 0; i < FRAMES; i++) {
		if (queue[i] == MSG_NONE) {
			queue[i] = frame;
			return;
		}
	}
	fail_msg("too many frames under way");
}

static void cut(struct world *w)
{
	w->link = 0;
	memset(w->up, 0, sizeof(w->up));
	memset(w->down, 0, sizeof(w->down));
}

static void ask_state(struct world *w)
{
	enum handover_event ev;
	w->s.action = ACTION_ASK_STATE; /* until there is an answer */
	cut(w);				/* the mover has ended */
	if (!w->t.alive)
		return;
	w->t.synced = w->t.state; /* told only when on disk */
	if (handover_answer_event(handover_answer_in(w->t.state), &ev))
		fire(&w->s, ev);
}

static void ask_verdict(struct world *w)
{
	enum handover_event ev;
	if (!w->s.alive)
		return;
	w->s.synced = w->s.state;
	if (handover_verdict_event(handover_verdict_in(w->s.state), w->t.state, &ev))
		fire(&w->t, ev);
}

/* The rest of the memory, over a new connection where there is none. */
static void serve(struct world *w)
{
	if (w->s.box == BOX_NONE) {
		fire(&w->s, EVENT_MEMORY_LOST);
		return;
	}
	if (!w->link && (!w->t.alive || w->t.state != TARGET_FILLING)) { /* refused */
		w->s.action = ACTION_ASK_STATE;
		return;
	}
	if (!w->link)
		w->s.lost_told = w->t.lost_told = 0;
	w->link = 1;
	send(w, w->up, MSG_REST);
}

/* The source's action succeeds. */
static void source_acts(struct world *w)
{
	struct side *s = &w->s;
	enum handover_action a = s->action;
	s->action = ACTION_NONE;
	switch (a) {
	case ACTION_PAUSE:
		s->box = BOX_FROZEN;
		s->outcome = EVENT_PAUSED + 1;
		break;
	case ACTION_DUMP:
		w->dumped = 1;
		send(w, w->up, MSG_FROZEN);
		break;
	case ACTION_DECIDE:
		fire(s, EVENT_COMMIT);
		break;
	case ACTION_SEND_COMMIT:
		send(w, w->up, MSG_COMMIT);
		break;
	case ACTION_DELETE:
		s->box = BOX_NONE;
		s->outcome = EVENT_DELETED + 1;
		break;
	case ACTION_SEND_DONE:
		send(w, w->up, MSG_DONE);
		break;
	case ACTION_RESUME:
		if (s->box == BOX_FROZEN) {
			s->box = BOX_RUNS;
			w->stale = w->dumped;
		}
		s->outcome = EVENT_RESUMED + 1;
		break;
	case ACTION_ASK_STATE:
		ask_state(w);
		break;
	case ACTION_SERVE:
		serve(w);
		break;
	default:
		break;
	}
}

static void target_acts(struct world *w)
{
	struct side *t = &w->t;
	enum handover_action a = t->action;
	t->action = ACTION_NONE;
	switch (a) {
	case ACTION_PREPARE:
		send(w, w->down, MSG_ACCEPT);
		break;
	case ACTION_SEND_READY:
		send(w, w->down, MSG_READY);
		break;
	case ACTION_THAW:
		if (t->box == BOX_FROZEN) {
			t->box = BOX_RUNS;
			w->ran = 1;
		}
		t->outcome = (w->lacks ? EVENT_FILLS : EVENT_THAWED) + 1;
		break;
	case ACTION_SEND_RUNNING:
		send(w, w->down, t->state == TARGET_FILLING ? MSG_FILLING : MSG_RUNNING);
		break;
	case ACTION_DROP:
		t->box = BOX_NONE;
		t->outcome = EVENT_DROPPED + 1;
		break;
	case ACTION_ASK_VERDICT:
		t->action = ACTION_ASK_VERDICT;
		ask_verdict(w);
		break;
	case ACTION_FILL:
		if (w->link)
			break;
		t->action = ACTION_FILL;
		ask_verdict(w);
		break;
	default:
		break;
	}
}

static uint8_t take_frame(uint8_t *queue)
{
	uint8_t f = queue[0];
	queue[0] = queue[1];
	queue[1] = MSG_NONE;
	return f;
}

static void source_receives(struct world *w)
{
	static const enum handover_event events[] = {
		[MSG_ACCEPT] = EVENT_ACCEPTED, [MSG_READY] = EVENT_READY,   [MSG_FILLING] = EVENT_FILLS,
		[MSG_RUNNING] = EVENT_RUNS,    [MSG_ABORT] = EVENT_ABORTED,
	};
	fire(&w->s, events[take_frame(w->down)]);
}

static void target_receives(struct world *w)
{
	switch (take_frame(w->up)) {
	case MSG_FROZEN:
		if (w->t.state == TARGET_PREPARING) {
			w->t.box = BOX_FROZEN;
			fire(&w->t, EVENT_RESTORED);
		}
		break;
	case MSG_COMMIT:
		fire(&w->t, EVENT_COMMITTED);
		break;
	case MSG_REST:
		w->lacks = 0;
		fire(&w->t, EVENT_FILLED);
		break;
	case MSG_DONE:
		fire(&w->t, EVENT_DONE);
		break;
	case MSG_ABORT:
		fire(&w->t, EVENT_ABORTED);
		break;
	}
}

/* Steps of one side that are no faults. */
static void go_on(uint32_t at, bool source)
{
	struct world w = worlds[at];
	struct side *x = source ? &w.s : &w.t;
	if (!x->alive) {
		x->alive = 1;
		x->lost_told = 1;
		fire(x, x->box != BOX_NONE ? EVENT_RESTARTED : source && w.lazy ? EVENT_MEMORY_LOST : EVENT_REBOOTED);
	} else if (x->outcome) {
		enum handover_event ev = x->outcome - 1;
		x->outcome = 0;
		fire(x, ev);
	} else if (x->action != ACTION_NONE) {
		if (source)
			source_acts(&w);
		else
			target_acts(&w);
	} else if (source ? w.down[0] : w.up[0]) {
		if (source)
			source_receives(&w);
		else
			target_receives(&w);
	} else if (!w.link && !x->lost_told) {
		x->lost_told = 1;
		fire(x, EVENT_LOST);
	} else if (!w.link && x->state == TARGET_FILLING) {
		fire(x, EVENT_UNDECIDED); /* now and then */
	} else if (x->state == TARGET_OFFERED) {
		fire(x, EVENT_CHECKED);
	} else {
		return;
	}
	step_to(at, &w, false);
}

/* A frozen copy on the other side that still has a chance to run. */
static bool other_copy(const struct world *w, bool source)
{
	if (source && w->t.box == BOX_RUNS)
		return !w->lacks;
	if (source)
		return w->t.box == BOX_FROZEN && !w->stale && !w->lazy && w->s.state != SOURCE_ABORTING && w->t.state != TARGET_DROPPING;
	return w->s.box != BOX_NONE && w->t.state < TARGET_THAWING;
}

static void faults(uint32_t at, bool source)
{
	struct world w = worlds[at];
	struct side *x = source ? &w.s : &w.t;
	if (!x->alive)
		return;
	/* A failure of what is being done, told to the other side where it can still matter. */
	if (x->state != TARGET_IN_DOUBT && !x->outcome && handover_next(x->state, EVENT_FAILED) && (source || x->box != BOX_RUNS)) {
		if (!source && x->box == BOX_FROZEN && w.s.box == BOX_NONE)
			w.excused = 1;
		fire(x, EVENT_FAILED);
		uint8_t *queue = source ? w.up : w.down;
		if ((x->state == SOURCE_ABORTING || x->state == TARGET_DROPPING) && queue[FRAMES - 1] == MSG_NONE)
			send(&w, queue, MSG_ABORT);
		step_to(at, &w, true);
	}
	w = worlds[at];
	if (w.link) {
		cut(&w);
		step_to(at, &w, true);
	}
	cut(&w);
	x->alive = 0;
	x->action = ACTION_NONE;
	x->outcome = 0;
	step_to(at, &w, true); /* killed: what it wrote is there */
	if (x->box != BOX_NONE && !other_copy(&w, source))
		w.excused = 1;
	x->box = BOX_NONE;
	step_to(at, &w, true); /* rebooted: all entries are there */
	x->state = x->synced;
	step_to(at, &w, true); /* or only those that were synced */
}

/* Prints how a world came about, and fails. */
static void bad(uint32_t at, const char *what)
{
	if (at != 0)
		for (uint32_t up = parent[at];; up = parent[up]) {
			const struct world *w = &worlds[at];
			print_error("source %s (disk %s, next %s) box %d alive %d | target %s (disk %s, next %s) box %d alive %d | link %d\n",
				    handover_state_name(w->s.state), handover_state_name(w->s.synced), handover_action_name(w->s.action), w->s.box,
				    w->s.alive, handover_state_name(w->t.state), handover_state_name(w->t.synced), handover_action_name(w->t.action),
				    w->t.box, w->t.alive, w->link);
			at = up;
			if (up == 0)
				break;
		}
	fail_msg("%s; its steps, the last one first, are above", what);
}

static void check_safe(uint32_t at)
{
	const struct world *w = &worlds[at];
	if (w->s.box == BOX_RUNS && w->t.box == BOX_RUNS)
		bad(at, "two copies run");
	if ((w->t.box == BOX_RUNS && w->stale) || (w->s.box == BOX_RUNS && w->ran))
		bad(at, "an old copy runs");
	if (w->lacks && w->t.box == BOX_RUNS && w->s.box == BOX_NONE && !w->excused)
		bad(at, "memory that the target lacks was let go");
	if (w->lacks && w->t.box == BOX_RUNS && handover_is_settled(w->t.state))
		bad(at, "a container without all its memory is taken for whole");
}

static bool good_end(const struct world *w)
{
	int running = (w->s.box == BOX_RUNS) + (w->t.box == BOX_RUNS);
	bool settled = handover_is_settled(w->s.state) && handover_is_settled(w->t.state);
	/* An operator has to decide. */
	if (w->s.state == SOURCE_GONE && w->t.state == TARGET_STRANDED)
		return w->excused && w->lacks && w->t.box == BOX_RUNS;
	return settled && w->s.box != BOX_FROZEN && w->t.box != BOX_FROZEN && (running == 1 || (running == 0 && w->excused));
}

static void explore(bool lazy)
{
	struct world start;
	memset(&start, 0, sizeof(start));
	start.s = (struct side){ .state = SOURCE_OFFERED, .synced = SOURCE_OFFERED, .alive = 1, .box = BOX_RUNS };
	start.t = (struct side){ .state = TARGET_OFFERED, .synced = TARGET_OFFERED, .alive = 1 };
	start.link = 1;
	start.lazy = start.lacks = lazy;
	find(&start);
	for (uint32_t at = 0; at < n_worlds; at++) {
		check_safe(at);
		go_on(at, true);
		go_on(at, false);
		faults(at, true);
		faults(at, false);
	}
}

/* Marks what reaches a good end, backwards over the steps. */
static void mark(uint8_t *good, const uint8_t *has_step)
{
	for (uint32_t i = 0; i < n_worlds; i++)
		good[i] = !has_step[i] && good_end(&worlds[i]);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = n_edges; i-- > 0;) {
			if (good[edge_to[i]] && !good[edge_from[i]])
				good[edge_from[i]] = more = true;
		}
	}
}

static void try_all(bool lazy)
{
	n_worlds = 0;
	n_edges = edges_cap = 0;
	edge_from = edge_to = NULL;
	worlds = calloc(WORLDS_MAX, sizeof(*worlds));
	table = calloc(2 * WORLDS_MAX, sizeof(*table));
	parent = calloc(WORLDS_MAX, sizeof(*parent));
	assert_true(worlds && table && parent);
	explore(lazy);
	uint8_t *has_step = calloc(n_worlds, 1), *good = calloc(n_worlds, 1);
	assert_true(has_step && good);
	for (size_t i = 0; i < n_edges; i++)
		has_step[edge_from[i]] = 1;
	mark(good, has_step);
	for (uint32_t i = 0; i < n_worlds; i++)
		if (!good[i])
			bad(i, "no good end can be reached");
	print_message("%u worlds, %zu steps\n", n_worlds, n_edges);
	assert_true(n_worlds > 1000);
	free(worlds), free(table), free(parent), free(edge_from), free(edge_to), free(has_step), free(good);
}

static void never_two_copies_and_never_none(void **state)
{
	(void)state;
	try_all(false);
}

static void never_two_copies_never_none_and_never_half_of_one_where_memory_follows(void **state)
{
	(void)state;
	try_all(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_two_copies_and_never_none),
		cmocka_unit_test(never_two_copies_never_none_and_never_half_of_one_where_memory_follows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

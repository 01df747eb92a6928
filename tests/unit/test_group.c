/* The words of a group: what they make of each event, and what becomes of three members while agents are killed, hosts rebooted and connections cut
 * at random. */
#include "tests/unit/unit.h"
#include <stdio.h>
#include <sys/stat.h>
#include "migrate/group.h"

#define GROUP "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

static enum handover_event become(const char *folder, const char *group, enum handover_state s, enum handover_event ev)
{
	enum handover_event out;
	struct err e = { 0 };
	if (group_event(folder, group, s, ev, &out, &e) < 0)
		fail_msg("%s", e.msg);
	return out;
}

static void first_word_holds_for_all_of_a_source(void **state)
{
	assert_int_equal(become(*state, GROUP, SOURCE_READY, EVENT_COMMIT), EVENT_COMMIT);
	assert_int_equal(become(*state, GROUP, SOURCE_READY, EVENT_FAILED), EVENT_COMMIT);
	assert_int_equal(become(*state, GROUP, SOURCE_READY, EVENT_RESTARTED), EVENT_COMMIT);
	assert_int_equal(become(*state, OTHER, SOURCE_FROZEN, EVENT_LOST), EVENT_LOST);
	assert_int_equal(become(*state, OTHER, SOURCE_READY, EVENT_COMMIT), EVENT_FAILED);
}

static void first_word_holds_for_all_of_a_target(void **state)
{
	assert_int_equal(become(*state, GROUP, TARGET_READY, EVENT_COMMITTED), EVENT_COMMITTED);
	assert_int_equal(become(*state, GROUP, TARGET_READY, EVENT_REBOOTED), EVENT_COMMITTED);
	assert_int_equal(become(*state, OTHER, TARGET_READY, EVENT_REBOOTED), EVENT_REBOOTED);
	assert_int_equal(become(*state, OTHER, TARGET_IN_DOUBT, EVENT_COMMITTED), EVENT_FAILED);
}

static void reboot_of_the_source_takes_no_single_copy(void **state)
{
	assert_int_equal(become(*state, GROUP, SOURCE_READY, EVENT_REBOOTED), EVENT_MEMORY_LOST);
	assert_int_equal(become(*state, OTHER, SOURCE_READY, EVENT_COMMIT), EVENT_COMMIT);
	/* The reboot took back what was written last. */
	assert_int_equal(handover_next(SOURCE_FROZEN, become(*state, OTHER, SOURCE_FROZEN, EVENT_MEMORY_LOST))->next, SOURCE_COMMITTED);
}

static void move_of_its_own_takes_every_event_as_it_is(void **state)
{
	size_t n;
	const struct handover_rule *rules = handover_rules(&n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(become(*state, NULL, rules[i].state, rules[i].event), rules[i].event);
}

static void operator_decides_for_one(void **state)
{
	assert_int_equal(become(*state, GROUP, TARGET_READY, EVENT_COMMITTED), EVENT_COMMITTED);
	assert_int_equal(become(*state, GROUP, TARGET_IN_DOUBT, EVENT_FORCED_SOURCE), EVENT_FORCED_SOURCE);
}

static void bad_id_and_damaged_word_are_told(void **state)
{
	enum handover_event out;
	struct err e = { 0 };
	assert_int_equal(group_event(*state, "../../etc/passwd", SOURCE_READY, EVENT_COMMIT, &out, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_atomic(dir, "group-" GROUP, "x", 1, 0600, false, &e), 0);
	close(dir);
	assert_int_equal(group_event(*state, GROUP, SOURCE_READY, EVENT_COMMIT, &out, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
}

/* A walk: members whose sources are on one host and whose targets are on another. */
enum { MEMBERS = 3, STEPS = 60, WALKS = 1000 };
enum box { GONE, FROZEN, RUNS };
struct side {
	enum handover_state state, synced;
	enum handover_action action;
	enum box box;
};
struct member {
	struct side s, t;
	bool link, s_told, t_told, go;
};
struct walk {
	struct member m[MEMBERS];
	char source[64], target[64];
	uint32_t seed;
};

static unsigned roll(struct walk *w, unsigned n)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % n;
}

static void fire(struct walk *w, struct side *x, enum handover_event ev)
{
	const char *folder = handover_side_of(x->state) == HANDOVER_SOURCE ? w->source : w->target;
	if (!handover_next(x->state, ev))
		return;
	const struct handover_rule *r = handover_next(x->state, become(folder, GROUP, x->state, ev));
	assert_non_null(r);
	x->state = r->next;
	if (r->order == ORDER_SYNC || r->next == TARGET_READY)
		x->synced = r->next;
	x->action = r->action;
}

static void source_acts(struct walk *w, struct member *m)
{
	enum handover_action a = m->s.action;
	enum handover_event ev;
	m->s.action = ACTION_NONE;
	if (a == ACTION_PAUSE) {
		m->s.box = FROZEN;
		fire(w, &m->s, EVENT_PAUSED);
	} else if (a == ACTION_RESUME) {
		m->s.box = m->s.box == FROZEN ? RUNS : m->s.box;
		fire(w, &m->s, EVENT_RESUMED);
	} else if (a == ACTION_DELETE) {
		m->s.box = GONE;
		fire(w, &m->s, EVENT_DELETED);
	} else if (a == ACTION_ASK_STATE) {
		m->s.action = ACTION_ASK_STATE;
		m->link = false;
		m->t.synced = m->t.state;
		if (handover_answer_event(handover_answer_in(m->t.state), &ev))
			fire(w, &m->s, ev);
	}
}

static void target_acts(struct walk *w, struct member *m)
{
	enum handover_action a = m->t.action;
	enum handover_event ev;
	m->t.action = ACTION_NONE;
	if (a == ACTION_THAW) {
		m->t.box = m->t.box == FROZEN ? RUNS : m->t.box;
		fire(w, &m->t, EVENT_THAWED);
	} else if (a == ACTION_DROP) {
		m->t.box = GONE;
		fire(w, &m->t, EVENT_DROPPED);
	} else if (a == ACTION_ASK_VERDICT) {
		m->t.action = ACTION_ASK_VERDICT;
		m->s.synced = m->s.state;
		if (handover_verdict_event(handover_verdict_in(m->s.state), m->t.state, &ev))
			fire(w, &m->t, ev);
	}
}

/* What the connection carries, and the loss of it. */
static void link_step(struct walk *w, struct member *m)
{
	if (!m->link && !m->s_told) {
		m->s_told = true;
		fire(w, &m->s, EVENT_LOST);
	} else if (!m->link && !m->t_told) {
		m->t_told = true;
		fire(w, &m->t, EVENT_LOST);
	} else if (!m->link && m->s.state == SOURCE_COMMITTED && m->s.action == ACTION_NONE) {
		fire(w, &m->s, EVENT_RESTARTED); /* recovery looks again and again */
	} else if (!m->link) {
		return;
	} else if (m->t.state == TARGET_OFFERED) {
		fire(w, &m->t, EVENT_CHECKED);
	} else if (m->s.state == SOURCE_OFFERED && m->t.state == TARGET_PREPARING) {
		fire(w, &m->s, EVENT_ACCEPTED);
	} else if (m->s.state == SOURCE_FROZEN && m->t.state == TARGET_PREPARING) {
		m->t.box = FROZEN;
		fire(w, &m->t, EVENT_RESTORED);
	} else if (m->s.state == SOURCE_FROZEN && m->t.state == TARGET_READY) {
		fire(w, &m->s, EVENT_READY);
	} else if (m->s.state == SOURCE_COMMITTED && m->t.state == TARGET_READY) {
		fire(w, &m->t, EVENT_COMMITTED);
	} else if (m->s.state == SOURCE_COMMITTED && m->t.state == TARGET_RUNNING && m->s.action == ACTION_NONE) {
		fire(w, &m->s, EVENT_RUNS);
	} else if (m->s.state == SOURCE_ABORTED || m->t.state == TARGET_DROPPED) {
		m->link = false;
	}
}

static void step(struct walk *w, struct member *m)
{
	bool all = true, left = false;
	for (int i = 0; i < MEMBERS; i++) {
		all &= w->m[i].s.state == SOURCE_READY;
		left |= w->m[i].s.state >= SOURCE_ABORTING;
	}
	for (int i = 0; all && i < MEMBERS; i++)
		w->m[i].go = true;
	if (left && m->s.state < SOURCE_COMMITTED && roll(w, 4) == 0)
		fire(w, &m->s, EVENT_FAILED); /* davitd takes the others back */
	else if (m->s.action != ACTION_NONE && roll(w, 2))
		source_acts(w, m);
	else if (m->t.action != ACTION_NONE && roll(w, 2))
		target_acts(w, m);
	else if (m->go && m->s.state == SOURCE_READY && roll(w, 2))
		fire(w, &m->s, EVENT_COMMIT);
	else
		link_step(w, m);
}

static void restart(struct walk *w, struct side *x, bool reboot, bool torn)
{
	if (reboot)
		x->box = GONE;
	if (reboot && torn)
		x->state = x->synced;
	x->action = ACTION_NONE;
	fire(w, x, x->box == GONE ? EVENT_REBOOTED : EVENT_RESTARTED);
}

static void fault(struct walk *w)
{
	struct member *one = &w->m[roll(w, MEMBERS)];
	unsigned kind = roll(w, 6);
	bool source = kind & 1, torn = roll(w, 2);
	if (kind < 2) { /* a connection */
		one->link = false;
	} else if (kind == 2) { /* a mover */
		one->link = one->go = false;
		one->s_told = true;
		restart(w, &one->s, false, false);
	} else {
		for (int i = 0; i < MEMBERS; i++) { /* an agent with its movers, or a host */
			struct member *m = &w->m[i];
			m->link = false;
			*(source ? &m->s_told : &m->t_told) = true;
			m->go &= !source;
			restart(w, source ? &m->s : &m->t, kind >= 4, torn);
		}
	}
}

static void check_one_copy(const struct walk *w)
{
	for (int i = 0; i < MEMBERS; i++)
		assert_false(w->m[i].s.box == RUNS && w->m[i].t.box == RUNS);
}

static bool walk(const char *folder, uint32_t seed)
{
	struct walk w = { .seed = seed };
	snprintf(w.source, sizeof(w.source), "%s/s%u", folder, seed);
	snprintf(w.target, sizeof(w.target), "%s/t%u", folder, seed);
	assert_int_equal(mkdir(w.source, 0700) + mkdir(w.target, 0700), 0);
	for (int i = 0; i < MEMBERS; i++)
		w.m[i] = (struct member){ .s = { SOURCE_OFFERED, SOURCE_OFFERED, ACTION_NONE, RUNS },
					  .t = { TARGET_OFFERED, TARGET_OFFERED, ACTION_NONE, GONE },
					  .link = true };
	unsigned faults = roll(&w, 4);
	for (int i = 0; i < 40 * STEPS; i++) {
		if (i < STEPS && faults > 0 && roll(&w, STEPS / 4) == 0) {
			faults--;
			fault(&w);
		}
		step(&w, &w.m[roll(&w, MEMBERS)]);
		check_one_copy(&w);
	}
	for (int i = 0; i < MEMBERS; i++)
		if (!handover_is_settled(w.m[i].s.state) || w.m[i].s.state != w.m[0].s.state)
			fail_msg("seed %u: member 0 is %s, member %d %s (its target %s)", seed, handover_state_name(w.m[0].s.state), i,
				 handover_state_name(w.m[i].s.state), handover_state_name(w.m[i].t.state));
	return w.m[0].s.state == SOURCE_DONE;
}

static void all_go_or_none_whatever_fails(void **state)
{
	unsigned went = 0;
	for (uint32_t seed = 1; seed <= WALKS; seed++)
		went += walk(*state, seed);
	print_message("%u of %d groups went\n", went, WALKS);
	assert_in_range(went, WALKS / 10, WALKS - WALKS / 10);
}

/* Where words need no disk. */
static int quick_folder(void **state)
{
	char *path = strdup("/dev/shm/davit-unit-XXXXXX");
	*state = path;
	return path && mkdtemp(path) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit_in_folder(first_word_holds_for_all_of_a_source),
		unit_in_folder(first_word_holds_for_all_of_a_target),
		unit_in_folder(reboot_of_the_source_takes_no_single_copy),
		unit_in_folder(move_of_its_own_takes_every_event_as_it_is),
		unit_in_folder(operator_decides_for_one),
		unit_in_folder(bad_id_and_damaged_word_are_told),
		cmocka_unit_test_setup_teardown(all_go_or_none_whatever_fails, quick_folder, unit_folder_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The handover's table: its shape, its names, and what it must never allow in a single step. */
#include "tests/unit/unit.h"
#include "migrate/handover.h"

static void each_state_and_event_has_one_rule_at_most(void **state)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			assert_false(r[i].state == r[j].state && r[i].event == r[j].event);
}

static void rules_stay_on_their_side(void **state)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(handover_side_of(r[i].state), handover_side_of(r[i].next));
}

static void every_unfinished_state_has_a_way_on_after_a_restart_and_a_reboot(void **state)
{
	(void)state;
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++) {
		if (handover_is_settled(s))
			continue;
		assert_non_null(handover_next(s, EVENT_RESTARTED));
		assert_non_null(handover_next(s, EVENT_REBOOTED));
	}
}

static void settled_states_take_no_action(void **state)
{
	(void)state;
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++)
		for (int ev = 0; handover_is_settled(s) && ev < HANDOVER_EVENT_COUNT; ev++) {
			const struct handover_rule *r = handover_next(s, ev);
			assert_true(!r || (r->action == ACTION_NONE && handover_is_settled(r->next)));
		}
}

static void committed_source_thaws_only_when_the_target_never_ran_or_by_force(void **state)
{
	static const enum handover_state committed[] = { SOURCE_COMMITTED, SOURCE_SERVING, SOURCE_GONE };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(committed); i++)
		for (int ev = 0; ev < HANDOVER_EVENT_COUNT; ev++) {
			const struct handover_rule *r = handover_next(committed[i], ev);
			if (r && (r->action == ACTION_RESUME || r->next == SOURCE_ABORTING))
				assert_true(ev == EVENT_NEVER_RAN || ev == EVENT_FORCED_SOURCE);
		}
}

static void source_lets_its_copy_go_only_when_the_target_lacks_nothing_or_by_force(void **state)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		if (r[i].action == ACTION_DELETE)
			assert_true(r[i].event == EVENT_RUNS || r[i].event == EVENT_FORCED_TARGET);
}

static void an_operator_can_end_whatever_waits_for_the_other_side(void **state)
{
	static const enum handover_state waiting[] = {
		SOURCE_COMMITTED, SOURCE_SERVING, SOURCE_GONE, TARGET_IN_DOUBT, TARGET_FILLING, TARGET_STRANDED
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		assert_non_null(handover_next(waiting[i], EVENT_FORCED_SOURCE));
		assert_non_null(handover_next(waiting[i], EVENT_FORCED_TARGET));
	}
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++)
		assert_true(!handover_is_settled(s) || (!handover_next(s, EVENT_FORCED_SOURCE) && !handover_next(s, EVENT_FORCED_TARGET)));
}

static void target_thaws_only_by_the_commit_and_with_it_on_disk(void **state)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	(void)state;
	for (size_t i = 0; i < n; i++) {
		if (r[i].action != ACTION_THAW)
			continue;
		assert_int_equal(r[i].next, TARGET_THAWING);
		if (r[i].state != TARGET_THAWING) {
			assert_true(r[i].event == EVENT_COMMITTED || r[i].event == EVENT_FORCED_TARGET);
			assert_int_equal(r[i].order, ORDER_SYNC);
		}
	}
}

static void commit_and_the_word_that_it_never_ran_are_on_disk_first(void **state)
{
	size_t n;
	const struct handover_rule *r = handover_rules(&n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		if ((r[i].next == SOURCE_COMMITTED || r[i].next == TARGET_DROPPING) && r[i].next != r[i].state)
			assert_int_equal(r[i].order, ORDER_SYNC);
}

static void nothing_leads_from_dropping_to_running(void **state)
{
	bool reached[HANDOVER_STATE_COUNT] = { [TARGET_DROPPING] = true };
	(void)state;
	for (int round = 0; round < HANDOVER_STATE_COUNT; round++)
		for (int s = 0; s < HANDOVER_STATE_COUNT; s++)
			for (int ev = 0; reached[s] && ev < HANDOVER_EVENT_COUNT; ev++) {
				const struct handover_rule *r = handover_next(s, ev);
				if (r)
					reached[r->next] = true;
			}
	assert_false(reached[TARGET_THAWING] || reached[TARGET_RUNNING] || reached[TARGET_READY]);
}

static void names_of_states_read_back(void **state)
{
	(void)state;
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++) {
		enum handover_state back;
		struct err e = { 0 };
		assert_int_equal(handover_state_of(handover_side_of(s), handover_state_name(s), &back, &e), 0);
		assert_int_equal(back, s);
	}
	for (int ev = 0; ev < HANDOVER_EVENT_COUNT; ev++)
		assert_non_null(handover_event_name(ev));
	for (int a = 0; a < HANDOVER_ACTION_COUNT; a++)
		assert_non_null(handover_action_name(a));
}

static void unknown_names_are_refused(void **state)
{
	enum handover_state s;
	enum handover_verdict v;
	enum handover_answer a;
	struct err e = { 0 };
	(void)state;
	assert_int_equal(handover_state_of(HANDOVER_SOURCE, "thawing", &s, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(handover_verdict_of(NULL, &v, &e), -1);
	assert_int_equal(handover_answer_of("", &a, &e), -1);
}

static void a_source_that_has_not_committed_never_says_it_did(void **state)
{
	(void)state;
	for (int s = 0; s < HANDOVER_STATE_COUNT; s++) {
		assert_true((handover_verdict_in(s) == VERDICT_COMMITTED) == (s == SOURCE_COMMITTED || s == SOURCE_SERVING));
		assert_true((handover_verdict_in(s) == VERDICT_DONE) == (s == SOURCE_DONE));
		assert_true((handover_answer_in(s) == ANSWER_RUNNING) == (s == TARGET_RUNNING || s == TARGET_DONE));
		assert_true((handover_answer_in(s) == ANSWER_NEVER_RAN) == (s == TARGET_DROPPING || s == TARGET_DROPPED));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_and_event_has_one_rule_at_most),
		cmocka_unit_test(rules_stay_on_their_side),
		cmocka_unit_test(every_unfinished_state_has_a_way_on_after_a_restart_and_a_reboot),
		cmocka_unit_test(settled_states_take_no_action),
		cmocka_unit_test(committed_source_thaws_only_when_the_target_never_ran_or_by_force),
		cmocka_unit_test(source_lets_its_copy_go_only_when_the_target_lacks_nothing_or_by_force),
		cmocka_unit_test(an_operator_can_end_whatever_waits_for_the_other_side),
		cmocka_unit_test(target_thaws_only_by_the_commit_and_with_it_on_disk),
		cmocka_unit_test(commit_and_the_word_that_it_never_ran_are_on_disk_first),
		cmocka_unit_test(nothing_leads_from_dropping_to_running),
		cmocka_unit_test(names_of_states_read_back),
		cmocka_unit_test(unknown_names_are_refused),
		cmocka_unit_test(a_source_that_has_not_committed_never_says_it_did),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

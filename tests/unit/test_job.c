/* Jobs tell how they stand and how they end; holds keep two changes of one container apart. */
#include "tests/unit/unit.h"
#include <poll.h>
#include "agent/agent.h"
#include "agent/db/operation.h"

static struct agent agent;

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	memset(&agent, 0, sizeof(agent));
	agent.config = pb_new(&davit__agent_config__descriptor, &e);
	agent.config->max_operations = 2;
	agent.db = db_open(":memory:", &e);
	hold_table_init(&agent.holds);
	job_table_init(&agent.jobs);
	return event_bus_init(&agent.events, agent.db, &e);
}

static int teardown(void **state)
{
	(void)state;
	job_stop_all(&agent, 5000);
	db_close(agent.db);
	pb_freep(&agent.config);
	return 0;
}

static int succeed(struct job *j, void *arg, struct err *e)
{
	(void)arg, (void)e;
	job_phase(j, "work");
	job_bytes(j, 10, 20);
	return 0;
}

static int go_wrong(struct job *j, void *arg, struct err *e)
{
	(void)j, (void)arg;
	return err_set(e, ERR_OBSTACLE, 0, "cannot");
}

static int until_cancelled(struct job *j, void *arg, struct err *e)
{
	struct pollfd p = { .fd = job_cancel_fd(j), .events = POLLIN };

	(void)arg;
	poll(&p, 1, 5000);
	return job_cancelled(j) ? err_set(e, ERR_CANCELLED, 0, "cancelled") : 0;
}

static const struct job_kind good = { "good", "good work", succeed, NULL }, bad = { "bad", "bad work", go_wrong, NULL },
			     slow = { "slow", "slow work", until_cancelled, NULL };

static bool is_running(const Davit__Operation *op)
{
	return strcmp(op->state, "running") == 0;
}

static void job_ends_and_is_kept(void **state)
{
	struct err e = { 0 };
	auto_pb(Davit__Operation) *begun = job_start(&agent, &good, "web", NULL, NULL, &e);
	auto_pb(Davit__Operation) *ended = NULL;

	(void)state;
	assert_non_null(begun);
	assert_string_equal(begun->state, "running");
	ended = job_wait(&agent, begun->id, 5000, &e);
	assert_string_equal(ended->state, "succeeded");
	assert_string_equal(ended->phase, "work");
	assert_int_equal(ended->bytes_done, 10);
	assert_non_null(ended->finished_at);
	assert_null(hold_reason(&agent.holds, "web"));
	assert_int_equal(job_cancel(&agent, begun->id, &e), -1);
	assert_int_equal(e.code, ERR_STATE);
}

static void end_is_stored_when_the_disk_takes_it_again(void **state)
{
	struct err e = { 0 };
	auto_pb(Davit__Operation) *begun = job_start(&agent, &slow, "web", NULL, NULL, &e);
	auto_pb(Davit__Operation) *seen = NULL, *stored = NULL;

	(void)state;
	assert_true(db_exec(agent.db, &e, "PRAGMA query_only=1", "") >= 0);
	assert_int_equal(job_cancel(&agent, begun->id, &e), 0);
	while (!seen || is_running(seen)) {
		pb_freep(&seen);
		seen = job_wait(&agent, begun->id, 5, &e);
	}
	assert_string_equal(seen->state, "cancelled");
	stored = db_operation_get(agent.db, begun->id, &e);
	assert_string_equal(stored->state, "running");
	assert_true(db_exec(agent.db, &e, "PRAGMA query_only=0", "") >= 0);
	pb_freep(&stored);
	job_stop_all(&agent, 5000);
	stored = db_operation_get(agent.db, begun->id, &e);
	assert_string_equal(stored->state, "cancelled");
}

static void failure_is_told_with_its_code(void **state)
{
	struct err e = { 0 };
	auto_pb(Davit__Operation) *begun = job_start(&agent, &bad, NULL, NULL, NULL, &e);
	auto_pb(Davit__Operation) *ended = job_wait(&agent, begun->id, 5000, &e);

	(void)state;
	assert_string_equal(ended->state, "failed");
	assert_string_equal(ended->error->code, "obstacle");
}

static void cancel_ends_a_job_and_a_held_container_is_busy(void **state)
{
	struct err e = { 0 };
	auto_pb(Davit__Operation) *begun = job_start(&agent, &slow, "web", NULL, NULL, &e);
	auto_pb(Davit__Operation) *ended = NULL;

	(void)state;
	assert_null(job_start(&agent, &good, "web", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "slow work"));
	assert_int_equal(hold_share(&agent.holds, "web", &e), -1);
	assert_int_equal(job_cancel(&agent, begun->id, &e), 0);
	ended = job_wait(&agent, begun->id, 5000, &e);
	assert_string_equal(ended->state, "cancelled");
	assert_int_equal(hold_share(&agent.holds, "web", &e), 0);
	hold_drop(&agent.holds, "web");
}

static void more_operations_than_allowed_are_refused(void **state)
{
	struct err e = { 0 };
	auto_pb(Davit__Operation) *a = job_start(&agent, &slow, "a", NULL, NULL, &e), *b = job_start(&agent, &slow, "b", NULL, NULL, &e);
	auto_pb(Davit__OperationList) *list = pb_new(&davit__operation_list__descriptor, &e);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_null(job_start(&agent, &slow, "c", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(hold_reason(&agent.holds, "c"));
	assert_int_equal(db_operation_list(agent.db, NULL, list, &e), 0);
	assert_int_equal(list->n_operations, 2);
}

static void shared_holds_add_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(hold_share(&agent.holds, "x", &e), 0);
	assert_int_equal(hold_share(&agent.holds, "x", &e), 0);
	hold_drop(&agent.holds, "x");
	hold_drop(&agent.holds, "x");
	assert_int_equal(hold_take(&agent.holds, "x", "moving", &e), 0);
	assert_string_equal(hold_reason(&agent.holds, "x"), "moving");
	assert_int_equal(hold_take(&agent.holds, "x", "other", &e), -1);
	hold_drop(&agent.holds, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(job_ends_and_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(end_is_stored_when_the_disk_takes_it_again, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_is_told_with_its_code, setup, teardown),
		cmocka_unit_test_setup_teardown(cancel_ends_a_job_and_a_held_container_is_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(more_operations_than_allowed_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_holds_add_up, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The agent's database keeps its promises: names, ids, addresses and ports are given once; keys answer as before; what was running is told as
 * interrupted; the ring of events can be resumed. */
#include "tests/unit/unit.h"
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "agent/db/event.h"
#include "agent/db/idempotency.h"
#include "agent/db/operation.h"

static struct db *open_db(void)
{
	struct err e = { 0 };
	struct db *db = db_open(":memory:", &e);

	assert_non_null(db);
	return db;
}

static Davit__Container *container(const char *name, const char *id, uint32_t ids)
{
	struct err e = { 0 };
	Davit__Container *c = pb_new(&davit__container__descriptor, &e);

	pb_set_str(&c->name, name, &e);
	pb_set_str(&c->id, id, &e);
	pb_set_str(&c->state, "created", &e);
	c->spec = pb_new(&davit__container_spec__descriptor, &e);
	pb_set_str(&c->spec->name, name, &e);
	c->ids = pb_new(&davit__id_range__descriptor, &e);
	c->ids->host_start = ids;
	c->ids->size = 65536;
	return c;
}

static void attach(Davit__Container *c, const char *address, uint32_t port)
{
	struct err e = { 0 };
	Davit__NetworkAttachment *a = pb_new(&davit__network_attachment__descriptor, &e);

	pb_push(&c->spec->n_attachments, &c->spec->attachments, a, &e);
	pb_set_str(&a->network, "lan", &e);
	if (address)
		pb_set_str(&a->address, address, &e);
	if (port) {
		Davit__Port *p = pb_new(&davit__port__descriptor, &e);

		p->host_port = p->container_port = port;
		pb_push(&a->n_ports, &a->ports, p, &e);
	}
}

static Davit__CoreNetwork lan = { PROTOBUF_C_MESSAGE_INIT(&davit__core_network__descriptor),
				  (char *)"lan",
				  (char *)"br0",
				  (char *)"10.5.0.0/29",
				  (char *)"10.5.0.1",
				  0,
				  0,
				  NULL,
				  NULL,
				  NULL };
static Davit__CoreNetwork *const networks[] = { &lan };

static void name_and_address_are_given_once(void **state)
{
	struct db *db = open_db();
	auto_pb(Davit__Container) *a = container("a", "1", 100000), *again = container("a", "2", 200000), *b = container("b", "3", 300000);
	struct err e = { 0 };

	(void)state;
	attach(a, "10.5.0.2/29", 8080);
	attach(b, "10.5.0.2/29", 0);
	assert_int_equal(db_container_insert(db, a, &e), 0);
	assert_int_equal(db_container_insert(db, again, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(db_container_insert(db, b, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "10.5.0.2"));
	/* a refused one leaves nothing: its name is free */
	assert_null(db_container_get(db, "b", NULL, &e));
	assert_int_equal(db_container_delete(db, "a", &e), 0);
	assert_int_equal(db_container_insert(db, b, &e), 0);
	db_close(db);
}

static void published_port_is_given_once(void **state)
{
	struct db *db = open_db();
	auto_pb(Davit__Container) *a = container("a", "1", 100000), *b = container("b", "2", 200000);
	struct err e = { 0 };

	(void)state;
	attach(a, "10.5.0.2/29", 8080);
	attach(b, "10.5.0.3/29", 8080);
	assert_int_equal(db_container_insert(db, a, &e), 0);
	assert_int_equal(db_container_insert(db, b, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	db_close(db);
}

static void chosen_addresses_fill_the_subnet_and_then_fail(void **state)
{
	struct db *db = open_db();
	struct err e = { 0 };

	(void)state;
	/* .0 net, .1 gateway, .7 broadcast: .2 to .6 are left */
	for (int i = 0; i < 6; i++) {
		char name[2] = { (char)('a' + i), 0 };
		auto_pb(Davit__Container) *c = container(name, name, 65536u * (unsigned)(i + 10));
		int r;

		attach(c, NULL, 0);
		r = db_address_choose(db, networks, 1, c->spec, c->id, &e);
		if (i == 5) {
			assert_int_equal(r, -1);
			assert_int_equal(e.code, ERR_RESOURCE);
			break;
		}
		assert_int_equal(r, 0);
		assert_int_equal(db_container_insert(db, c, &e), 0);
		assert_true(strncmp(c->spec->attachments[0]->mac, "02:da:0a:05:00:0", 16) == 0);
		assert_string_equal(c->spec->attachments[0]->gateway, "10.5.0.1");
	}
	db_close(db);
}

static void address_outside_the_subnet_is_refused_with_its_field(void **state)
{
	static const char *const bad[] = { "10.6.0.2/29", "10.5.0.1/29", "10.5.0.0/29", "10.5.0.7/29",
					   "10.5.0.2/24", "x",		 "10.5.0.2/",	"10.5.0.300/29" };
	struct db *db = open_db();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_pb(Davit__Container) *c = container("a", "1", 100000);
		struct err e = { 0 };

		attach(c, bad[i], 0);
		assert_int_equal(db_address_choose(db, networks, 1, c->spec, "1", &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		assert_true(str_prefix(e.field, "spec.attachments[0]"));
	}
	db_close(db);
}

static void address_alone_gets_the_subnets_prefix(void **state)
{
	struct db *db = open_db();
	auto_pb(Davit__Container) *c = container("a", "1", 100000);
	struct err e = { 0 };

	(void)state;
	attach(c, "10.5.0.4", 0);
	assert_int_equal(db_address_choose(db, networks, 1, c->spec, "1", &e), 0);
	assert_string_equal(c->spec->attachments[0]->address, "10.5.0.4/29");
	db_close(db);
}

static void id_ranges_never_overlap(void **state)
{
	struct db *db = open_db();
	struct err e = { 0 };
	Davit__IdRange r = DAVIT__ID_RANGE__INIT, other = DAVIT__ID_RANGE__INIT;

	(void)state;
	for (int i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), 0 };
		auto_pb(Davit__Container) *c = NULL;

		assert_int_equal(db_container_choose_ids(db, 1000000, 3, "same", &r, &e), 0);
		assert_int_equal((r.host_start - 1000000) % 65536, 0);
		assert_int_equal(db_container_check_ids(db, &r, &e), 0);
		c = container(name, name, r.host_start);
		assert_int_equal(db_container_insert(db, c, &e), 0);
		assert_int_equal(db_container_check_ids(db, &r, &e), -1);
		other.host_start = r.host_start + 1;
		other.size = 10;
		assert_int_equal(db_container_check_ids(db, &other, &e), -1);
	}
	assert_int_equal(db_container_choose_ids(db, 1000000, 3, "same", &r, &e), -1);
	assert_int_equal(e.code, ERR_RESOURCE);
	db_close(db);
}

static void key_answers_as_before_and_refuses_another_request(void **state)
{
	struct db *db = open_db();
	struct idempotency_answer a;
	uint8_t one[IDEMPOTENCY_HASH], two[IDEMPOTENCY_HASH];
	Davit__ExecSession answer = DAVIT__EXEC_SESSION__INIT;
	struct err e = { 0 };
	char id[33], again[33];

	(void)state;
	answer.id = (char *)"x";
	idempotency_hash("POST", "/v1/containers", "a", 1, one);
	idempotency_hash("POST", "/v1/containers", "b", 1, two);
	assert_int_equal(idempotency_begin(db, "k", one, id, &a, &e), IDEMPOTENCY_FIRST);
	assert_int_equal(idempotency_begin(db, "k", one, id, &a, &e), IDEMPOTENCY_REFUSED);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(idempotency_keep(db, "k", 201, &answer.base, &e), 0);
	assert_int_equal(idempotency_begin(db, "k", one, id, &a, &e), IDEMPOTENCY_ANSWERED);
	assert_int_equal(a.status, 201);
	assert_string_equal(a.type, "davit.ExecSession");
	idempotency_answer_free(&a);
	assert_int_equal(idempotency_begin(db, "k", two, id, &a, &e), IDEMPOTENCY_REFUSED);
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.field, "Idempotency-Key");
	assert_int_equal(idempotency_begin(db, "", one, id, &a, &e), IDEMPOTENCY_REFUSED);
	/* a failure frees the key */
	assert_int_equal(idempotency_begin(db, "f", one, id, &a, &e), IDEMPOTENCY_FIRST);
	idempotency_drop(db, "f");
	assert_int_equal(idempotency_begin(db, "f", two, id, &a, &e), IDEMPOTENCY_FIRST);
	/* what an agent began that ended is for the next that asks, and for one alone */
	assert_int_equal(idempotency_sweep(db, &e), 0);
	assert_int_equal(idempotency_begin(db, "f", one, again, &a, &e), IDEMPOTENCY_REFUSED);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(idempotency_begin(db, "f", two, again, &a, &e), IDEMPOTENCY_AGAIN);
	assert_string_equal(again, id);
	assert_int_equal(idempotency_begin(db, "f", two, again, &a, &e), IDEMPOTENCY_REFUSED);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(idempotency_begin(db, "k", one, id, &a, &e), IDEMPOTENCY_ANSWERED);
	idempotency_answer_free(&a);
	db_close(db);
}

static void running_operation_is_told_as_interrupted_after_a_restart(void **state)
{
	struct db *db = open_db();
	Davit__Operation op = DAVIT__OPERATION__INIT;
	auto_pb(Davit__Operation) *after = NULL;
	struct err e = { 0 };

	(void)state;
	op.id = (char *)"1";
	op.kind = (char *)"migrate";
	op.state = (char *)"running";
	assert_int_equal(db_operation_put(db, &op, true, &e), 0);
	assert_int_equal(db_operation_interrupt(db, &e), 0);
	after = db_operation_get(db, "1", &e);
	assert_string_equal(after->state, "failed");
	assert_string_equal(after->error->code, "cancelled");
	assert_non_null(strstr(after->error->message, "interrupted"));
	db_close(db);
}

static void events_resume_after_an_id_and_old_ones_are_told_as_lost(void **state)
{
	struct db *db = open_db();
	struct event_bus bus;
	Davit__Event ev = DAVIT__EVENT__INIT, *out[100];
	struct err e = { 0 };
	bool lost;
	int n;

	(void)state;
	assert_int_equal(event_bus_init(&bus, db, &e), 0);
	ev.type = (char *)"container.started";
	for (int i = 0; i < 5; i++)
		event_publish(&bus, &ev);
	n = event_read(&bus, 3, out, 100, &lost, &e);
	assert_int_equal(n, 2);
	assert_false(lost);
	assert_int_equal(out[0]->id, 4);
	assert_int_equal(out[1]->id, 5);
	for (int i = 0; i < n; i++)
		pb_freep(&out[i]);
	assert_int_equal(event_wait(&bus, 5, 10), 0);
	assert_int_equal(event_wait(&bus, 4, 10), 1);
	assert_true(db_exec(db, &e, "DELETE FROM event WHERE id < 4", "") >= 0);
	n = event_read(&bus, 1, out, 100, &lost, &e);
	assert_true(lost);
	for (int i = 0; i < n; i++)
		pb_freep(&out[i]);
	event_bus_stop(&bus);
	assert_int_equal(event_wait(&bus, 5, 10), -1);
	db_close(db);
}

static void inner_failure_takes_the_whole_transaction_back(void **state)
{
	struct db *db = open_db();
	struct err e = { 0 };
	int64_t n;

	(void)state;
	assert_int_equal(db_begin(db, true, &e), 0);
	assert_true(db_exec(db, &e, "INSERT INTO address VALUES('n', 'a', 'c')", "") >= 0);
	assert_int_equal(db_begin(db, true, &e), 0);
	db_rollback(db);
	assert_int_equal(db_commit(db, &e), -1);
	assert_int_equal(db_query_int(db, &e, &n, 0, "SELECT count(*) FROM address", ""), 0);
	assert_int_equal(n, 0);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_and_address_are_given_once),
		cmocka_unit_test(published_port_is_given_once),
		cmocka_unit_test(chosen_addresses_fill_the_subnet_and_then_fail),
		cmocka_unit_test(address_outside_the_subnet_is_refused_with_its_field),
		cmocka_unit_test(address_alone_gets_the_subnets_prefix),
		cmocka_unit_test(id_ranges_never_overlap),
		cmocka_unit_test(key_answers_as_before_and_refuses_another_request),
		cmocka_unit_test(running_operation_is_told_as_interrupted_after_a_restart),
		cmocka_unit_test(events_resume_after_an_id_and_old_ones_are_told_as_lost),
		cmocka_unit_test(inner_failure_takes_the_whole_transaction_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

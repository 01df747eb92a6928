/* The client of the core against a peer that answers as the test says. */
#include "tests/unit/unit.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "migrate/core.h"
#include "tests/unit/fake_core.h"
#include "tests/unit/fake_memory.h"

struct pair {
	struct core core;
	int peer;
};

static void connect_pair(struct pair *p)
{
	struct err e = { 0 };
	int sv[2];
	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, sv, &e), 0);
	core_init(&p->core, sv[0]);
	p->peer = sv[1];
}

static void disconnect(struct pair *p)
{
	core_close(&p->core);
	fd_closep(&p->peer);
}

static void answer(struct pair *p, uint64_t id, bool more, const int *fds, size_t n)
{
	Davit__CoreReply r = DAVIT__CORE_REPLY__INIT;
	struct err e = { 0 };
	r.id = id;
	r.has_more = r.more = more;
	assert_int_equal(pb_send(p->peer, &r.base, fds, n, &e), 0);
}

static Davit__CoreRequest request(void)
{
	static Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	Davit__CoreRequest r = DAVIT__CORE_REQUEST__INIT;
	name.name = (char *)"web";
	r.op_case = DAVIT__CORE_REQUEST__OP_GET;
	r.get = &name;
	return r;
}

static size_t open_fds(void)
{
	size_t n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void replies_come_by_their_id_in_order(void **state)
{
	struct pair p;
	struct err e = { 0 };
	(void)state;
	connect_pair(&p);
	Davit__CoreRequest r = request();
	assert_int_equal(core_send(&p.core, &r, &e), 0);
	answer(&p, r.id, true, NULL, 0);
	answer(&p, r.id, false, NULL, 0);
	auto_pb(Davit__CoreReply) *first = core_recv(&p.core, r.id, 1000, NULL, &e);
	auto_pb(Davit__CoreReply) *last = core_recv(&p.core, r.id, 1000, NULL, &e);
	assert_true(first && first->more);
	assert_true(last && !last->more);
	disconnect(&p);
}

static void replies_to_requests_given_up_are_dropped_with_their_descriptors(void **state)
{
	struct pair p;
	struct err e = { 0 };
	(void)state;
	connect_pair(&p);
	Davit__CoreRequest old = request(), r = request();
	assert_int_equal(core_send(&p.core, &old, &e), 0);
	assert_null(core_recv(&p.core, old.id, 1, NULL, &e));
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_int_equal(core_send(&p.core, &r, &e), 0);
	size_t before = open_fds();
	answer(&p, old.id, false, (int[]){ 0, 1 }, 2);
	answer(&p, r.id, false, NULL, 0);
	auto_pb(Davit__CoreReply) *reply = core_recv(&p.core, r.id, 1000, NULL, &e);
	assert_non_null(reply);
	assert_int_equal(open_fds(), before);
	disconnect(&p);
}

static void descriptors_belong_to_the_caller(void **state)
{
	struct pair p;
	struct err e = { 0 };
	size_t before = open_fds();
	(void)state;
	connect_pair(&p);
	Davit__CoreRequest r = request();
	assert_int_equal(core_send(&p.core, &r, &e), 0);
	answer(&p, r.id, false, (int[]){ 0, 1, 2 }, 3);
	{
		auto_core_fds struct core_fds fds = CORE_FDS_INIT;
		auto_pb(Davit__CoreReply) *reply = core_recv(&p.core, r.id, 1000, &fds, &e);
		assert_non_null(reply);
		assert_int_equal(fds.n, 3);
		assert_true(fcntl(fds.fd[2], F_GETFD) & FD_CLOEXEC);
		close(steal_fd(&fds.fd[1]));
	}
	disconnect(&p);
	assert_int_equal(open_fds(), before);
}

static void answered_error_keeps_code_field_and_obstacles(void **state)
{
	Davit__Error error = DAVIT__ERROR__INIT;
	Davit__Obstacle o = DAVIT__OBSTACLE__INIT, *list[] = { &o };
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	struct pair p;
	struct err e = { 0 };
	(void)state;
	connect_pair(&p);
	Davit__CoreRequest r = request();
	assert_int_equal(core_send(&p.core, &r, &e), 0);
	o.kind = (char *)"device";
	o.reason = (char *)"a device is open";
	error.code = (char *)"obstacle";
	error.message = (char *)"it cannot be saved";
	error.field = (char *)"spec.devices";
	error.obstacles = list;
	error.n_obstacles = 1;
	reply.id = r.id;
	reply.error = &error;
	assert_int_equal(pb_send(p.peer, &reply.base, NULL, 0, &e), 0);
	assert_null(core_recv(&p.core, r.id, 1000, NULL, &e));
	assert_int_equal(e.code, ERR_OBSTACLE);
	assert_string_equal(e.field, "spec.devices");
	assert_int_equal(p.core.error->n_obstacles, 1);
	assert_string_equal(p.core.error->obstacles[0]->kind, "device");
	disconnect(&p);
}

static void core_that_ends_is_told(void **state)
{
	struct pair p;
	struct err e = { 0 };
	(void)state;
	connect_pair(&p);
	Davit__CoreRequest r = request();
	assert_int_equal(core_send(&p.core, &r, &e), 0);
	fd_closep(&p.peer);
	assert_null(core_recv(&p.core, r.id, 1000, NULL, &e));
	assert_int_equal(e.code, ERR_IO);
	disconnect(&p);
}

static void resume_of_what_runs_or_is_gone_is_told_apart(void **state)
{
	struct fake_host h = { .lock = PTHREAD_MUTEX_INITIALIZER, .state = "running" };
	struct core core;
	struct err e = { 0 };
	(void)state;
	core_init(&core, fake_open(&h));
	assert_int_equal(core_let_run(&core, "web", &e), 1);
	assert_int_equal(core_pause(&core, "web", true, &e), 0);
	assert_int_equal(core_let_run(&core, "web", &e), 1);
	assert_string_equal(fake_state(&h), "running");
	assert_int_equal(core_delete(&core, "web", true, &e), 0);
	assert_int_equal(core_let_run(&core, "web", &e), 0);
	core_close(&core);
}

static void *many_calls(void *arg)
{
	struct core *core = arg;
	struct err e = { 0 };
	for (int i = 0; i < 200; i++) {
		auto_pb(Davit__ContainerStatus) *s = core_get(core, "web", &e);
		if (!s || strcmp(s->state, "running") != 0)
			return NULL;
	}
	return arg;
}

static void one_socket_serves_several_threads(void **state)
{
	struct fake_host h = { .lock = PTHREAD_MUTEX_INITIALIZER, .state = "running" };
	pthread_t threads[4];
	struct core core;
	(void)state;
	core_init(&core, fake_open(&h));
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_calls, &core), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *whole = NULL;
		pthread_join(threads[i], &whole);
		assert_non_null(whole);
	}
	core_close(&core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_come_by_their_id_in_order),
		cmocka_unit_test(replies_to_requests_given_up_are_dropped_with_their_descriptors),
		cmocka_unit_test(descriptors_belong_to_the_caller),
		cmocka_unit_test(answered_error_keeps_code_field_and_obstacles),
		cmocka_unit_test(core_that_ends_is_told),
		cmocka_unit_test(resume_of_what_runs_or_is_gone_is_told_apart),
		cmocka_unit_test(one_socket_serves_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requests find their route by method and path, and names in paths are checked once, here. */
#include "tests/unit/unit.h"
#include "agent/http/auth.h"
#include "agent/routes.h"

static const struct route *find(const char *method, const char *path, char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1], struct err *e)
{
	size_t n;
	const struct route *t = routes_table(&n);

	memset(params, 0, ROUTE_PARAMS * (ROUTE_PARAM_MAX + 1));
	err_clear(e);
	return route_find(t, n, method, path, params, e);
}

static void path_gives_its_names(void **state)
{
	char p[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1];
	struct err e;
	const struct route *r = find("POST", "/v1/containers/web-1/start", p, &e);

	(void)state;
	assert_non_null(r);
	assert_string_equal(r->name, "startContainer");
	assert_string_equal(p[0], "web-1");
	assert_string_equal(find("GET", "/v1/containers", p, &e)->name, "listContainers");
	assert_string_equal(find("POST", "/v1/snapshots/prune", p, &e)->name, "pruneSnapshots");
}

static void unknown_path_is_not_found_and_wrong_method_is_told_apart(void **state)
{
	char p[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1];
	struct err e;

	(void)state;
	assert_null(find("GET", "/v2/containers", p, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(find("GET", "/v1/containers/", p, &e));
	assert_null(find("PATCH", "/v1/containers", p, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_null(find("GET", "", p, &e));
}

static void malformed_name_is_refused_with_its_field(void **state)
{
	static const char *const bad[] = {
		"/v1/containers/..",  "/v1/containers/.hidden",
		"/v1/containers/a b", "/v1/containers/a\nb",
		"/v1/containers/é",   "/v1/containers/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	char p[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(find("GET", bad[i], p, &e));
		assert_int_equal(e.code, ERR_INVALID);
		assert_string_equal(e.field, "name");
	}
}

static void query_parameters_are_those_of_the_table(void **state)
{
	char p[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1];
	struct err e;
	const struct route *r = find("GET", "/v1/containers/web/logs", p, &e);

	(void)state;
	assert_true(route_has_query(r, "follow"));
	assert_true(route_has_query(r, "since"));
	assert_true(route_has_query(r, "tail"));
	assert_false(route_has_query(r, "tai"));
	assert_false(route_has_query(r, "follow,since"));
	assert_false(route_has_query(find("GET", "/v1/containers", p, &e), "x"));
}

static void only_operators_change_and_only_peers_move(void **state)
{
	size_t n;
	const struct route *t = routes_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		bool peer_path = strncmp(t[i].path, "/v1/peer/", 9) == 0;

		if (peer_path)
			assert_int_equal(t[i].roles, ROLE_PEER);
		else if (strcmp(t[i].method, "GET") != 0)
			assert_int_equal(t[i].roles, ROLE_OPERATOR);
		assert_true(t[i].status >= 200 && t[i].status < 300);
		assert_true(t[i].status != 204 || !t[i].out);
	}
}

static void roles_come_from_the_subject_exactly(void **state)
{
	(void)state;
	assert_int_equal(auth_role_of("reader"), ROLE_READER);
	assert_int_equal(auth_role_of("operator"), ROLE_READER | ROLE_OPERATOR);
	assert_int_equal(auth_role_of("peer"), ROLE_PEER);
	assert_int_equal(auth_role_of("Operator"), 0);
	assert_int_equal(auth_role_of("operators"), 0);
	assert_int_equal(auth_role_of(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_gives_its_names),
		cmocka_unit_test(unknown_path_is_not_found_and_wrong_method_is_told_apart),
		cmocka_unit_test(malformed_name_is_refused_with_its_field),
		cmocka_unit_test(query_parameters_are_those_of_the_table),
		cmocka_unit_test(only_operators_change_and_only_peers_move),
		cmocka_unit_test(roles_come_from_the_subject_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

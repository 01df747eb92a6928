// fuzz-sources: agent/http/route.c
/* Paths and methods against a table of routes: what is found has good names, what is not has an error, and nothing is read or written out of
 * bounds. The input is METHOD, a zero byte, PATH. */
#include "agent/http/route.h"
#include "tests/fuzz/fuzz.h"

static const struct route table[] = {
	{ .method = "GET", .path = "/healthz" },
	{ .method = "GET", .path = "/v1/containers", .query = "force,since" },
	{ .method = "GET", .path = "/v1/containers/{name}" },
	{ .method = "POST", .path = "/v1/containers/{name}/kill" },
	{ .method = "GET", .path = "/v1/peer/moves/{id}/down" },
	{ .method = "PUT", .path = "/v1/{kind}/of/{name}" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4096] = "", params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1] = { "", "" };
	struct err e = { 0 };

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	const char *path = text + strlen(text) + (strlen(text) < size);
	const struct route *found = route_find(table, sizeof(table) / sizeof(table[0]), text, path, params, &e);

	fuzz_assert(found || e.code == ERR_NOT_FOUND || e.code == ERR_UNSUPPORTED || e.code == ERR_INVALID);
	for (size_t i = 0; found && i < ROUTE_PARAMS; i++)
		fuzz_assert(!params[i][0] || str_check_name(params[i], "name", &e) == 0);
	(void)route_has_query(&table[1], path);
	return 0;
}

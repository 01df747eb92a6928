/* Matching of paths against patterns, part by part. */
#include "agent/http/route.h"
#include <string.h>
#include "base/str.h"

/* Compares one path with one pattern. 1, 0, or -1 for a malformed name. */
static int match(const char *pattern, const char *path, char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1], struct err *e)
{
	size_t n = 0;

	while (*pattern && *path) {
		size_t a = strcspn(pattern + 1, "/") + 1, b = strcspn(path + 1, "/") + 1;

		if (pattern[1] == '{') {
			char name[ROUTE_PARAM_MAX + 1];

			memcpy(name, pattern + 2, a - 3);
			name[a - 3] = 0;
			if (b - 1 > ROUTE_PARAM_MAX)
				return err_field(e, name, "longer than %d characters", ROUTE_PARAM_MAX);
			memcpy(params[n], path + 1, b - 1);
			params[n++][b - 1] = 0;
		} else if (a != b || memcmp(pattern, path, a) != 0) {
			return 0;
		}
		pattern += a;
		path += b;
	}
	return !*pattern && !*path;
}

static int check_names(const char *pattern, char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1], struct err *e)
{
	size_t n = 0;

	for (const char *p = strchr(pattern, '{'); p; p = strchr(p + 1, '{')) {
		char name[ROUTE_PARAM_MAX + 1];
		size_t len = strcspn(p + 1, "}");

		memcpy(name, p + 1, len);
		name[len] = 0;
		if (str_check_name(params[n++], name, e) < 0)
			return -1;
	}
	return 0;
}

const struct route *route_find(const struct route *table, size_t n, const char *method, const char *path,
			       char params[ROUTE_PARAMS][ROUTE_PARAM_MAX + 1], struct err *e)
{
	bool other_method = false;

	for (size_t i = 0; i < n; i++) {
		int m = match(table[i].path, path, params, e);

		if (m < 0)
			return NULL;
		if (m > 0 && str_eq(table[i].method, method))
			return check_names(table[i].path, params, e) < 0 ? NULL : &table[i];
		other_method |= m > 0;
	}
	if (other_method)
		err_set(e, ERR_UNSUPPORTED, 0, "%s is not possible here", method);
	else
		err_set(e, ERR_NOT_FOUND, 0, "no such path: the API is described by /v1/openapi.json");
	return NULL;
}

bool route_has_query(const struct route *r, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = r->query; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
		if (strcspn(p, ",") == n && memcmp(p, name, n) == 0)
			return true;
	return false;
}

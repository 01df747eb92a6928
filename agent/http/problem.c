/* From struct err (and what the core said beyond it) to a Problem. */
#include "agent/http/problem.h"
#include <string.h>
#include "proto/pb.h"

/* "not_found" → "not found": a title is the code for people. */
static char *title_of(const char *code)
{
	char *t = mem_strdup(code, NULL);

	for (char *p = t; p && *p; p++)
		if (*p == '_')
			*p = ' ';
	return t;
}

static int copy_details(Davit__Problem *p, const Davit__Error *from)
{
	for (size_t i = 0; i < from->n_obstacles; i++) {
		void *o = pb_dup(&from->obstacles[i]->base, NULL);
		if (!o || pb_push(&p->n_obstacles, &p->obstacles, o, NULL) < 0)
			return -1;
	}
	for (size_t i = 0; i < from->n_reasons; i++) {
		void *o = pb_dup(&from->reasons[i]->base, NULL);
		if (!o || pb_push(&p->n_reasons, &p->reasons, o, NULL) < 0)
			return -1;
	}
	return 0;
}

Davit__Problem *problem_new(const struct err *from, const Davit__Error *details, int status)
{
	const struct err_info *info = err_info(from->code);
	auto_pb(Davit__Problem) *p = pb_new(&davit__problem__descriptor, NULL);

	if (!p)
		return NULL;
	p->status = (uint32_t)(status ? status : info->http);
	p->type = mem_printf(NULL, PROBLEM_TYPE "%s", info->name);
	p->title = title_of(info->name);
	if (!p->type || !p->title || pb_set_str(&p->code, info->name, NULL) < 0 || pb_set_str(&p->detail, from->msg, NULL) < 0 ||
	    (from->field[0] && pb_set_str(&p->field, from->field, NULL) < 0) || (from->remedy[0] && pb_set_str(&p->remedy, from->remedy, NULL) < 0) ||
	    (details && copy_details(p, details) < 0))
		return NULL;
	return steal_ptr(&p);
}

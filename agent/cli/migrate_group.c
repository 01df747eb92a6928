/* migrate --group NAME… HOST: a request for each member, then waiting for all of them. What keeps them together is the agent's (migrate/group.h). */
#include "agent/cli/migrate.h"
#include <stdio.h>
#include "agent/cli/progress.h"
#include "migrate/group.h"

struct members {
	int n;
	Davit__Operation *op[GROUP_MAX]; /* owned; begun, then ended */
};

static void members_free(struct members *m)
{
	for (int i = 0; i < m->n; i++)
		pb_freep(&m->op[i]);
}

static int begin(struct cli *c, const struct words *words, const Davit__MigrateRequest *body, struct members *m, struct err *e)
{
	for (; m->n < words->n - 1; m->n++) {
		auto_free char *path = cli_path(e, "/v1/containers/%s/migrate", words->v[m->n]);

		if (!(m->op[m->n] = progress_begin(c, path, &body->base, e)))
			return -1;
	}
	return 0;
}

/* One that could not be begun takes the others back: they wait for it. */
static void take_back(struct cli *c, const struct members *m)
{
	for (int i = 0; i < m->n; i++) {
		auto_pb(Davit__Operation) *op = NULL;

		if (progress_cancel(c, m->op[i]->id, &(struct err){ 0 }) == 0)
			op = progress_end(c, m->op[i]->id, &(struct err){ 0 });
	}
}

/* Waits for all. The first error counts: the others' say the same. */
static int end(struct cli *c, struct members *m, struct err *e)
{
	int r = 0;

	for (int i = 0; i < m->n; i++) {
		struct err why = { 0 };
		Davit__Operation *op = progress_end(c, m->op[i]->id, &why);

		if (!op && r == 0)
			*e = why;
		if (!op)
			r = -1;
		pb_freep(&m->op[i]);
		m->op[i] = op;
	}
	return r;
}

static int report(const struct cli *c, const struct words *words, const struct members *m, bool check, struct err *e)
{
	Davit__OperationList list = DAVIT__OPERATION_LIST__INIT;

	list.operations = (Davit__Operation **)m->op;
	list.n_operations = (size_t)m->n;
	if (c->json)
		return cli_print_json(&list.base, e);
	for (int i = 0; i < m->n; i++)
		migrate_tell(m->op[i], words->v[i], words->v[m->n], check);
	return 0;
}

int migrate_group(struct cli *c, const struct words *words, const Davit__MigrateRequest *body, struct err *e)
{
	Davit__MoveGroup group = DAVIT__MOVE_GROUP__INIT;
	Davit__MigrateRequest asked = *body;
	struct members m = { 0 };
	char id[33];
	int r = str_random_hex(id, 16, e);

	group.id = id;
	group.size = (uint32_t)words->n - 1;
	asked.group = &group;
	if (r == 0 && (r = begin(c, words, &asked, &m, e)) < 0)
		take_back(c, &m);
	if (r == 0)
		r = end(c, &m, e);
	if (r == 0)
		r = report(c, words, &m, asked.check_only, e);
	members_free(&m);
	return r;
}

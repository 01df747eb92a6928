/* migrate ls, show, cancel, resume, resolve: what becomes of moves, from and to this host. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/migrate.h"

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

static int list(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__MigrationList) *moves = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 0, false, &words, e);

	if (r == 0)
		r = cli_request(c, "GET", "/v1/migrations", NULL, &davit__migration_list__descriptor, &moves, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("%-33s %-20s %-7s %-16s %-10s %s\n", "ID", "CONTAINER", "ROLE", "PEER", "STATE", "STARTED");
	for (size_t i = 0; i < moves->n_migrations; i++) {
		const Davit__MoveRecord *m = moves->migrations[i];

		printf("%-33s %-20s %-7s %-16s %-10s %.19s\n", m->id, m->container, or_none(m->role), or_none(m->peer), or_none(m->state),
		       or_none(m->started_at));
	}
	return 0;
}

/* What a state means to a person, where it is not the end. */
static const struct {
	const char *role, *state, *text;
} meanings[] = {
	{ "source", "offered", "the container runs here; its memory may be on its way" },
	{ "source", "accepted", "it is being frozen here" },
	{ "source", "frozen", "it stands still here and is on its way" },
	{ "source", "ready", "the target holds a frozen copy" },
	{ "source", "committed", "the target may run it; this host asks until it knows. The copy here stays frozen" },
	{ "source", "serving", "the target runs it, and memory follows from the frozen copy here" },
	{ "source", "gone", "a reboot here took memory that the target may lack; it is asked what became of it" },
	{ "source", "aborting", "it is to go on here" },
	{ "source", "aborted", "it went on here" },
	{ "source", "done", "it runs on the target; nothing is left here" },
	{ "target", "offered", "looked at" },
	{ "target", "preparing", "it arrives" },
	{ "target", "ready", "restored and frozen here, until the source commits" },
	{ "target", "in_doubt", "frozen here; the source was lost before it said whether to run it, and is asked until it answers" },
	{ "target", "thawing", "it is about to run here" },
	{ "target", "filling", "it runs here, and memory follows; what it touches before waits" },
	{ "target", "stranded", "it runs here until it touches memory that went with a reboot of the source" },
	{ "target", "running", "it runs here" },
	{ "target", "done", "it runs here, and the source knows" },
	{ "target", "dropping", "it is being removed here; it never ran" },
	{ "target", "dropped", "it never ran here" },
};

static const char *meaning_of(const Davit__MoveRecord *m)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (str_eq(meanings[i].role, m->role) && str_eq(meanings[i].state, m->state))
			return meanings[i].text;
	return "";
}

static void print_numbers(const Davit__MoveRecord *m)
{
	char a[32], b[32];

	if (m->mode)
		printf("mode       %s%s%s\n", m->mode, m->mode_why ? ": " : "", m->mode_why ? m->mode_why : "");
	for (size_t i = 0; i < m->n_phases; i++)
		if (m->phases[i]->has_duration_us)
			printf("phase      %-10s %s\n", m->phases[i]->name, str_human_ns((uint64_t)m->phases[i]->duration_us * 1000, a, sizeof(a)));
	if (m->has_bytes)
		printf("sent       %s at %s/s\n", str_human_bytes(m->bytes, a, sizeof(a)), str_human_bytes(m->rate, b, sizeof(b)));
	if (m->has_downtime_us)
		printf("downtime   %s\n", str_human_ns((uint64_t)m->downtime_us * 1000, a, sizeof(a)));
	if (m->has_filled_us)
		printf("whole      %s after the thaw\n", str_human_ns((uint64_t)m->filled_us * 1000, a, sizeof(a)));
}

static int show(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_free char *path = NULL;
	auto_pb(Davit__MoveRecord) *m = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	path = cli_path(e, "/v1/migrations/%s", words.v[0]);
	r = cli_request(c, "GET", path, NULL, &davit__move_record__descriptor, &m, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("move       %s\ncontainer  %s\nthis host  %s (the other: %s)\nstate      %s: %s\nstarted    %s\n", m->id, m->container,
	       or_none(m->role), or_none(m->peer), or_none(m->state), meaning_of(m), or_none(m->started_at));
	if (m->finished_at)
		printf("finished   %s\n", m->finished_at);
	print_numbers(m);
	if (m->error)
		printf("error      %s\n", m->error->message);
	return 0;
}

/* where: a path with the id in it. */
static int post(struct cli *c, int argc, char **argv, const char *where, struct err *e)
{
	auto_free char *path = NULL;
	auto_pb(Davit__MoveRecord) *m = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	path = cli_path(e, where, words.v[0]);
	return cli_request(c, "POST", path, NULL, &davit__move_record__descriptor, &m, e) < 0 ? -1 : 0;
}

static int cancel(struct cli *c, int argc, char **argv, struct err *e)
{
	return post(c, argc, argv, "/v1/migrations/%s/cancel", e);
}

static int resume(struct cli *c, int argc, char **argv, struct err *e)
{
	return post(c, argc, argv, "/v1/migrations/%s/resume", e);
}

static void print_consequences(const Davit__MoveResolution *r)
{
	printf("Move %s of %s is %s here (%s). Decided for the %s:\n", r->id, r->container, r->state, r->role, r->side);
	for (size_t i = 0; i < r->n_consequences; i++)
		printf("  - %s\n", r->consequences[i]);
}

/* What could go wrong is asked for first and printed, whatever follows. */
static int resolve(struct cli *c, int argc, char **argv, struct err *e)
{
	const char *side = NULL;
	bool sure = false;
	const struct option options[] = {
		{ "force", 0, "SIDE", OPTION_STRING, &side, "source or target: whose copy is to go on" },
		{ "yes-i-know-the-consequences", 0, NULL, OPTION_FLAG, &sure, "do it; without it they are only told" },
		{ 0 },
	};
	Davit__MoveResolve body = DAVIT__MOVE_RESOLVE__INIT;
	auto_pb(Davit__MoveResolution) *told = NULL, *done = NULL;
	auto_free char *path = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (!side)
		return err_field(e, "--force", "source or target: whose copy is to go on");
	body.side = (char *)(uintptr_t)side;
	path = cli_path(e, "/v1/migrations/%s/resolve", words.v[0]);
	r = path ? cli_request(c, "POST", path, &body.base, &davit__move_resolution__descriptor, &told, e) : -1;
	if (r < 0)
		return -1;
	if (r == 0)
		print_consequences(told);
	if (!sure) {
		err_set(e, ERR_STATE, 0, "nothing was done");
		return err_remedy(e, "to do it all the same: --yes-i-know-the-consequences");
	}
	body.has_confirm = body.confirm = true;
	return cli_request(c, "POST", path, &body.base, &davit__move_resolution__descriptor, &done, e) < 0 ? -1 : 0;
}

static const struct command table[] = {
	{ "ls", "", "moves from and to this host, the newest first", list },
	{ "show", "ID", "one move: how far it is, and what that means", show },
	{ "cancel", "ID", "take a move back that has not committed", cancel },
	{ "resume", "ID", "ask the other side now, or go on sending memory that follows", resume },
	{ "resolve", "ID --force source|target", "decide a move that is in doubt; tells what that may break", resolve },
};

bool migrations_has(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (str_eq(table[i].name, word))
			return true;
	return false;
}

int command_migrations(struct cli *c, int argc, char **argv, struct err *e)
{
	return cli_group(c, table, ARRAY_LEN(table), argc, argv, e);
}

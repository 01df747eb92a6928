/* info, version, events. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli/cli.h"
#include "api.pb-c.h"

static void print_facts(const Davit__HostFacts *f)
{
	char total[32], free_bytes[32], disk[32];

	printf("kernel        %s %s\n", f->kernel ? f->kernel : "?", f->machine ? f->machine : "");
	if (f->criu_problem)
		printf("criu          %s: %s\n", f->criu_path ? f->criu_path : "none", f->criu_problem);
	else
		printf("criu          %s, %s\n", f->criu_version ? f->criu_version : "?", f->criu_path ? f->criu_path : "?");
	printf("cgroups       v%u\n", f->cgroup_version);
	printf("memory        %s, %s free\n", str_human_bytes(f->memory_total, total, sizeof(total)),
	       str_human_bytes(f->memory_available, free_bytes, sizeof(free_bytes)));
	printf("disk          %s free\n", str_human_bytes(f->disk_available, disk, sizeof(disk)));
	printf("CPUs          %u\n", f->cpus);
	printf("LSMs         ");
	for (size_t i = 0; i < f->n_lsms; i++)
		printf(" %s", f->lsms[i]);
	printf("%s, Landlock ABI %u\n", f->n_lsms ? "" : " none", f->landlock_abi);
	for (size_t i = 0; i < f->n_lsm_details; i++)
		printf("              %s\n", f->lsm_details[i]);
	printf("moves         %s\n",
	       f->memory_tracking ? "hybrid: memory is copied while a container runs" : "stop-and-copy: the kernel cannot track writes (Linux 6.7)");
}

int command_info(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__Node) *n = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 0, false, &words, e);

	if (r == 0)
		r = cli_request(c, "GET", "/v1/node", NULL, &davit__node__descriptor, &n, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("host          %s\ndavitd        %s\ncontainers    %u running\n", n->name, n->version ? n->version : "?", n->containers_running);
	if (n->facts)
		print_facts(n->facts);
	for (size_t i = 0; i < n->n_peers; i++)
		printf("peer          %s %s\n", n->peers[i]->name, n->peers[i]->url);
	return 0;
}

int command_version(struct cli *c, int argc, char **argv, struct err *e)
{
	auto_pb(Davit__Node) *n = NULL;
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 0, 0, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	printf("davit %s\n", DAVIT_VERSION);
	/* An agent that does not answer has no version; ours is told all the same. */
	if (cli_client(c, e) && client_call(c->client, "GET", "/v1/node", NULL, &davit__node__descriptor, &n, e) == 0)
		printf("davitd %s on %s\n", n->version ? n->version : "?", n->name);
	err_clear(e);
	return 0;
}

struct event_printer {
	struct buf partial;
	bool json;
};

static const char *member(const char *json, const char *name, char *out, size_t cap)
{
	char key[32];
	const char *p;

	snprintf(key, sizeof(key), "\"%s\":", name);
	p = strstr(json, key);
	out[0] = 0;
	if (!p || !(p = strchr(p + strlen(key), '"')))
		return out;
	snprintf(out, cap, "%.*s", (int)strcspn(p + 1, "\""), p + 1);
	return out;
}

/* One event's lines; "data:" holds it all. */
static void print_event(const struct event_printer *p, const char *text)
{
	const char *data = strstr(text, "data: ");
	char time[40], type[64], container[80];

	if (!data)
		return;
	data += strlen("data: ");
	if (p->json)
		printf("%.*s\n", (int)strcspn(data, "\n"), data);
	else
		printf("%-27.26s %-28s %s\n", member(data, "time", time, sizeof(time)), member(data, "type", type, sizeof(type)),
		       member(data, "container", container, sizeof(container)));
	fflush(stdout);
}

static int take(void *arg, const char *bytes, size_t n, struct err *e)
{
	struct event_printer *p = arg;
	char *end;

	if (buf_append(&p->partial, bytes, n, e) < 0)
		return -1;
	while ((end = strstr(p->partial.data, "\n\n"))) {
		*end = 0;
		print_event(p, p->partial.data);
		buf_consume(&p->partial, (size_t)(end - p->partial.data) + 2);
	}
	return 0;
}

int command_events(struct cli *c, int argc, char **argv, struct err *e)
{
	struct event_printer p = { 0 };
	struct option_number after = { 0 };
	const char *container = NULL;
	const struct option options[] = {
		{ "after", 0, "ID", OPTION_NUMBER, &after, "those after an event that was seen" },
		{ "container", 0, "NAME", OPTION_STRING, &container, "of one container" },
		{ 0 },
	};
	auto_buf struct buf path = { 0 };
	struct words words;
	int r = cli_parse(c, options, argc, argv, 0, 0, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if ((container && str_check_name(container, "--container", e) < 0) || buf_puts(&path, "/v1/events", e) < 0 ||
	    (after.given && buf_printf(&path, e, "?after=%llu", (unsigned long long)after.value) < 0) ||
	    (container && buf_printf(&path, e, "%scontainer=%s", after.given ? "&" : "?", container) < 0) || !cli_client(c, e))
		return -1;
	p.json = c->json;
	r = client_stream(c->client, path.data, take, &p, e);
	buf_free(&p.partial);
	return r;
}

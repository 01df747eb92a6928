/* What commands share. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "proto/json.h"

struct client *cli_client(struct cli *c, struct err *e)
{
	if (!c->client)
		c->client = client_open(c->host, c->cert, c->key, c->cacert, e);
	return c->client;
}

int cli_print_json(const ProtobufCMessage *m, struct err *e)
{
	auto_buf struct buf b = { 0 };

	if (json_print(m, true, &b, e) < 0)
		return -1;
	fwrite(b.data, 1, b.len, stdout);
	return 0;
}

int cli_request(struct cli *c, const char *method, const char *path, const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void *out,
		struct err *e)
{
	auto_pb(ProtobufCMessage) *answer = NULL;

	if (!path || !cli_client(c, e) || client_call(c->client, method, path, in, d, d ? &answer : NULL, e) < 0)
		return -1;
	if (c->json && answer)
		return cli_print_json(answer, e) < 0 ? -1 : 1;
	if (out)
		*(void **)out = steal_ptr(&answer);
	return 0;
}

char *cli_path(struct err *e, const char *fmt, const char *name)
{
	const char *hole = strstr(fmt, "%s");

	if (str_check_name(name, "NAME", e) < 0)
		return NULL;
	return mem_printf(e, "%.*s%s%s", (int)(hole - fmt), fmt, name, hole + 2);
}

int cli_delete_each(struct cli *c, const char *fmt, int argc, char **argv, struct err *e)
{
	struct words words;
	int r = cli_parse(c, NULL, argc, argv, 1, -1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	for (int i = 0; i < words.n; i++) {
		auto_free char *path = cli_path(e, fmt, words.v[i]);

		if (cli_request(c, "DELETE", path, NULL, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

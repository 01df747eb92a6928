/* logs: the monitor's lines, put back together: text to the stream it came from; with --timestamps as they stand. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/cli/cli.h"

struct log_printer {
	struct buf partial;
	bool timestamps;
};

/* "TIME STREAM F|P TEXT\n" */
static int print_line(const struct log_printer *l, const char *line, size_t n, struct err *e)
{
	const char *stream = memchr(line, ' ', n), *tag = stream ? memchr(stream + 1, ' ', n - (size_t)(stream + 1 - line)) : NULL;
	size_t head = tag ? (size_t)(tag - line) + 3 : 0;
	int fd = stream && str_prefix(stream + 1, "stderr ") ? STDERR_FILENO : STDOUT_FILENO;

	if (!tag || head > n)
		return fd_write_all(STDOUT_FILENO, line, n, e);
	if (l->timestamps)
		return fd_write_all(fd, line, n, e);
	/* a partial line goes on in the next one: no newline */
	return fd_write_all(fd, line + head, tag[1] == 'P' ? n - head - 1 : n - head, e);
}

static int take(void *arg, const char *p, size_t n, struct err *e)
{
	struct log_printer *l = arg;
	size_t done = 0;

	if (buf_append(&l->partial, p, n, e) < 0)
		return -1;
	for (;;) {
		const char *start = l->partial.data + done, *nl = memchr(start, '\n', l->partial.len - done);

		if (!nl)
			break;
		if (print_line(l, start, (size_t)(nl - start) + 1, e) < 0)
			return -1;
		done += (size_t)(nl - start) + 1;
	}
	buf_consume(&l->partial, done);
	return 0;
}

int command_logs(struct cli *c, int argc, char **argv, struct err *e)
{
	const char *since = NULL;
	struct option_number tail = { 0 };
	struct log_printer l = { .timestamps = false };
	bool follow = false;
	const struct option options[] = {
		{ "follow", 'f', NULL, OPTION_FLAG, &follow, "go on as lines come, until it ends" },
		{ "since", 0, "TIME|SPAN", OPTION_STRING, &since, "not older than 2026-11-24T10:00:00Z, or 10m" },
		{ "tail", 0, "N", OPTION_NUMBER, &tail, "only the last N lines" },
		{ "timestamps", 't', NULL, OPTION_FLAG, &l.timestamps, "with time and stream" },
		{ 0 },
	};
	auto_free char *base = NULL, *path = NULL;
	struct words words;
	int r = cli_parse(c, options, argc, argv, 1, 1, false, &words, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	for (const char *p = since; p && *p; p++)
		if (!strchr("0123456789-:.TZhmsdunw", *p))
			return err_field(e, "--since", "\"%s\" is neither a time nor a span", since);
	base = cli_path(e, "/v1/containers/%s/logs", words.v[0]);
	path = base ? mem_printf(e, "%s?follow=%s%s%s", base, follow ? "true" : "false", since ? "&since=" : "", since ? since : "") : NULL;
	if (path && tail.given) {
		char *longer = mem_printf(e, "%s&tail=%llu", path, (unsigned long long)tail.value);

		free(path);
		path = longer;
	}
	r = path && cli_client(c, e) ? client_stream(c->client, path, take, &l, e) : -1;
	buf_free(&l.partial);
	return r;
}

/* The pass over a JSON text: see json_scan.h. It knows strings, brackets and what separates values; nothing else. */
#include "proto/json_scan.h"
#include <string.h>

struct scan {
	const char *text;
	size_t n;
	const struct json_limits *lim;
	struct json_tokens *out;
	size_t depth;
	uint32_t open[JSON_DEPTH_CAP]; /* tokens of the containers around */
	bool key_next;		       /* the next string is a member's name, no value */
	struct err *e;
};

void json_tokens_free(struct json_tokens *t)
{
	free(t->v);
	*t = (struct json_tokens){ 0 };
}

void json_position(const char *text, size_t offset, size_t *line, size_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			(*column)++;
		}
	}
}

static int over_limit(struct scan *s, size_t at, const char *what, size_t max)
{
	size_t line, column;
	json_position(s->text, at, &line, &column);
	return err_set(s->e, ERR_LIMIT, 0, "line %zu, column %zu: %s, at most %zu are allowed", line, column, what, max);
}

static int add_token(struct scan *s, size_t start, size_t end)
{
	if (s->out->n > s->lim->items)
		return over_limit(s, start, "too many members and elements", s->lim->items);
	if (mem_grow(&s->out->v, &s->out->cap, s->out->n + 1, sizeof(*s->out->v), s->e) < 0)
		return -1;
	s->out->v[s->out->n] = (struct json_token){ (uint32_t)start, (uint32_t)end, (uint32_t)s->out->n + 1 };
	s->out->n++;
	return 0;
}

static int open_container(struct scan *s, size_t at)
{
	size_t max = MIN(s->lim->depth, (size_t)JSON_DEPTH_CAP);
	if (s->depth >= max)
		return over_limit(s, at, "nested too deep", max);
	s->open[s->depth++] = (uint32_t)s->out->n;
	s->key_next = s->text[at] == '{';
	return add_token(s, at, at + 1);
}

static void close_container(struct scan *s, size_t at)
{
	if (s->depth == 0)
		return;
	struct json_token *t = &s->out->v[s->open[--s->depth]];
	t->end = (uint32_t)at + 1;
	t->next = (uint32_t)s->out->n;
	s->key_next = false;
}

static bool in_object(const struct scan *s)
{
	return s->depth > 0 && s->text[s->out->v[s->open[s->depth - 1]].start] == '{';
}

/* End of the string that begins at `at`: after its closing quote. */
static size_t string_end(const struct scan *s, size_t at)
{
	for (at++; at < s->n && s->text[at] != '"'; at++)
		if (s->text[at] == '\\')
			at++;
	return MIN(at + 1, s->n);
}

static size_t scalar_end(const struct scan *s, size_t at)
{
	while (at < s->n && !memchr(" \t\r\n,:[]{}\"", s->text[at], 11))
		at++;
	return at;
}

/* Handles what begins at `at`; returns where it ends, 0 on error. */
static size_t step(struct scan *s, size_t at)
{
	size_t end = at + 1;
	switch (s->text[at]) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case ':':
		break;
	case ',':
		s->key_next = in_object(s);
		break;
	case '{':
	case '[':
		return open_container(s, at) < 0 ? 0 : end;
	case '}':
	case ']':
		close_container(s, at);
		break;
	case '"':
		end = string_end(s, at);
		if (!s->key_next && add_token(s, at, end) < 0)
			return 0;
		s->key_next = false;
		break;
	default:
		end = scalar_end(s, at);
		if (add_token(s, at, end) < 0)
			return 0;
	}
	return end;
}

int json_scan(const char *text, size_t n, const struct json_limits *lim, struct json_tokens *out, struct err *e)
{
	struct scan s = { .text = text, .n = n, .lim = lim, .out = out, .e = e };
	if (n > lim->bytes || n > UINT32_MAX)
		return err_set(e, ERR_LIMIT, 0, "JSON text of %zu bytes, at most %zu are allowed", n, lim->bytes);
	const char *nul = n ? memchr(text, '\0', n) : NULL;
	if (nul) { /* jansson passes over one that follows a number */
		size_t line, column;
		json_position(text, (size_t)(nul - text), &line, &column);
		return err_set(e, ERR_INVALID, 0, "line %zu, column %zu: a NUL byte", line, column);
	}
	for (size_t at = 0; at < n;)
		if ((at = step(&s, at)) == 0)
			return -1;
	return 0;
}

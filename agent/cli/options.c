/* Options from tables: long ones with "--name value" or "--name=value", letters alone or together, "--" ends them. Help is printed from the same
 * table. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "base/clock.h"

/* Those of every command. */
#define COMMON 6

static void common_options(struct cli *c, bool *help, struct option out[COMMON])
{
	struct option o[COMMON] = {
		{ "json", 0, NULL, OPTION_FLAG, &c->json, "print the API's JSON" },
		{ "host", 0, "URL", OPTION_STRING, &c->host, "the agent: unix:///path or https://host:port" },
		{ "cert", 0, "FILE", OPTION_STRING, &c->cert, "client certificate for https" },
		{ "key", 0, "FILE", OPTION_STRING, &c->key, "its key" },
		{ "cacert", 0, "FILE", OPTION_STRING, &c->cacert, "who signed the agent's certificate" },
		{ "help", 'h', NULL, OPTION_FLAG, help, "print this" },
	};

	memcpy(out, o, sizeof(o));
}

/* printf counts bytes, a terminal columns: what a field of `columns` has to be given as width. */
static int field_width(const char *s, int columns)
{
	for (; *s; s++)
		columns += (*s & 0xc0) == 0x80;
	return columns;
}

static void print_option(const struct option *o)
{
	char left[48];

	snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
	if (o->letter)
		printf("  -%c, %-*s %s\n", o->letter, field_width(left, 32), left, o->help);
	else
		printf("      %-*s %s\n", field_width(left, 32), left, o->help);
}

static void print_help(const struct cli *c, const char *name, const struct option *options, const struct option *common)
{
	printf("usage: davit %s [OPTION]… %s\n%s.\n\n", name, c->command->words, c->command->help);
	for (; options && options->name; options++)
		print_option(options);
	for (int i = 0; i < COMMON; i++)
		print_option(&common[i]);
}

static const struct option *find_name(const struct option *options, const struct option *common, const char *name, size_t n)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == n && memcmp(options->name, name, n) == 0)
			return options;
	for (int i = 0; i < COMMON; i++)
		if (strlen(common[i].name) == n && memcmp(common[i].name, name, n) == 0)
			return &common[i];
	return NULL;
}

static const struct option *find_letter(const struct option *options, const struct option *common, char letter)
{
	for (; options && options->name; options++)
		if (options->letter == letter)
			return options;
	for (int i = 0; i < COMMON; i++)
		if (common[i].letter == letter)
			return &common[i];
	return NULL;
}

static int store(const struct option *o, char *value, struct err *e)
{
	struct option_number *number = o->to;
	char what[64];
	int64_t ns;

	snprintf(what, sizeof(what), "--%s", o->name);
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)o->to = true;
		return 0;
	case OPTION_STRING:
		*(const char **)o->to = value;
		return 0;
	case OPTION_LIST:
		return strv_add(o->to, value, e);
	case OPTION_NUMBER:
		number->given = true;
		return str_to_u64(value, 0, UINT64_MAX, &number->value, what, e);
	case OPTION_BYTES:
		number->given = true;
		return str_to_bytes(value, &number->value, what, e);
	case OPTION_SECONDS:
		if (clock_span_parse(value, &ns, what, e) < 0)
			return -1;
		if (ns < 0)
			return err_field(e, what, "cannot be negative");
		number->given = true;
		number->value = (uint64_t)((ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC);
		return 0;
	}
	return -1;
}

struct parsing {
	const struct option *options, *common;
	int argc, at;
	char **argv;
};

static int unknown(const struct cli *c, const char *given, struct err *e)
{
	err_field(e, given, "unknown option of %s", c->command->name);
	return err_remedy(e, "see davit help %s", c->command->name);
}

static int take_value(struct parsing *p, const struct option *o, char *inline_value, struct err *e)
{
	char *value = inline_value;

	if (!o->value) {
		if (value)
			return err_field(e, o->name, "takes no value");
	} else if (!value) {
		if (p->at + 1 >= p->argc) {
			char what[64];

			snprintf(what, sizeof(what), "--%s", o->name);
			return err_field(e, what, "needs a value: %s", o->value);
		}
		value = p->argv[++p->at];
	}
	return store(o, value, e);
}

static int take_long(const struct cli *c, struct parsing *p, struct err *e)
{
	char *name = p->argv[p->at] + 2, *equals = strchr(name, '=');
	const struct option *o = find_name(p->options, p->common, name, equals ? (size_t)(equals - name) : strlen(name));

	return o ? take_value(p, o, equals ? equals + 1 : NULL, e) : unknown(c, p->argv[p->at], e);
}

static int take_letters(const struct cli *c, struct parsing *p, struct err *e)
{
	for (char *l = p->argv[p->at] + 1; *l; l++) {
		const struct option *o = find_letter(p->options, p->common, *l);

		if (!o)
			return unknown(c, p->argv[p->at], e);
		if (o->value)
			return take_value(p, o, l[1] ? l + 1 : NULL, e);
		if (store(o, NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int check_count(const struct cli *c, const char *name, int n, int min, int max, struct err *e)
{
	if (n >= min && (max < 0 || n <= max))
		return 0;
	err_set(e, ERR_INVALID, 0, n < min ? "a word is missing" : "too many words");
	return err_remedy(e, "usage: davit %s [OPTION]… %s", name, c->command->words);
}

int cli_parse(struct cli *c, const struct option *options, int argc, char **argv, int min, int max, bool program, struct words *out, struct err *e)
{
	struct option common[COMMON];
	bool help = false;
	struct parsing p = { .options = options, .common = common, .argc = argc, .argv = argv, .at = 1 };

	common_options(c, &help, common);
	*out = (struct words){ .v = argv + 1 };
	for (; p.at < argc; p.at++) {
		char *word = argv[p.at];

		if (strcmp(word, "--") == 0 || (program && (word[0] != '-' || word[1] == 0) && out->n >= min - 1)) {
			p.at += word[0] == '-' && word[1] == '-';
			/* the rest is a program and its arguments */
			for (; p.at < argc; p.at++)
				out->v[out->n++] = argv[p.at];
			break;
		}
		if (word[0] != '-' || word[1] == 0) {
			out->v[out->n++] = word; /* words move to the front, over options already taken */
			continue;
		}
		if ((word[1] == '-' ? take_long(c, &p, e) : take_letters(c, &p, e)) < 0)
			return -1;
	}
	if (help) {
		print_help(c, argv[0], options, common);
		return 1;
	}
	return check_count(c, argv[0], out->n, min, max, e);
}

void cli_print_commands(const struct command *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", table[i].name, table[i].words);
		printf("  %-*s %s\n", field_width(left, 40), left, table[i].help);
	}
}

int cli_group(struct cli *c, const struct command *table, size_t n, int argc, char **argv, struct err *e)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		printf("usage: davit %s COMMAND [OPTION]… [WORD]…\n\n", argv[0]);
		cli_print_commands(table, n);
		c->status = argc < 2 ? err_info(ERR_INVALID)->exit : 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, argv[1]) == 0) {
			c->command = &table[i];
			return table[i].run(c, argc - 1, argv + 1, e);
		}
	err_set(e, ERR_INVALID, 0, "no command \"%s %s\"", argv[0], argv[1]);
	return err_remedy(e, "see davit %s --help", argv[0]);
}

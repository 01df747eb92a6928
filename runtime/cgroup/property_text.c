/* GVariant's text form, as far as properties of a unit need it: see properties.h. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/cgroup/properties.h"

static const struct {
	const char *word;
	char type;
	int64_t low;
	uint64_t high;
} types[] = {
	{ "boolean", 'b', 0, 1 },
	{ "byte", 'y', 0, UINT8_MAX },
	{ "int16", 'n', INT16_MIN, INT16_MAX },
	{ "uint16", 'q', 0, UINT16_MAX },
	{ "int32", 'i', INT32_MIN, INT32_MAX },
	{ "uint32", 'u', 0, UINT32_MAX },
	{ "int64", 'x', INT64_MIN, INT64_MAX },
	{ "uint64", 't', 0, UINT64_MAX },
	{ "double", 'd', 0, 0 },
	{ "string", 's', 0, 0 },
	{ "objectpath", 'o', 0, 0 },
	{ "signature", 'g', 0, 0 },
};

static int wrong(const char *at, struct err *e)
{
	return err_set(e, ERR_INVALID, 0, "\"%.40s\" is no value of GVariant's text form", at);
}

static const char *skip(const char *p)
{
	return p + strspn(p, " \t\n");
}

/* "uint64 …" or "@t …": *p goes to the value. False: a type that is not known. */
static bool take_type(const char **p, struct property *out)
{
	size_t n = strcspn(*p, " \t\n");

	if (**p == '@') {
		bool known = n == 2 || (n == 3 && strncmp(*p, "@as", 3) == 0);
		if (!known)
			return false;
		memcpy(out->type, *p + 1, n - 1);
		*p = skip(*p + n);
		if (n == 3)
			return true;
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			if (types[i].type == out->type[0])
				return true;
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strlen(types[i].word) == n && strncmp(*p, types[i].word, n) == 0) {
			out->type[0] = types[i].type;
			*p = skip(*p + n);
		}
	return true;
}

/* From the quote on; *p goes behind the closing one. */
static int take_string(const char **p, struct property *out, struct err *e)
{
	const char quote = **p, *at = *p + 1;
	auto_buf struct buf b = { 0 };

	for (; *at && *at != quote; at++) {
		static const char codes[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
		const char *code = *at == '\\' && at[1] ? strchr(codes, at[1]) : NULL;
		if (*at == '\\' && at[1])
			at++;
		if (buf_append(&b, code ? &values[code - codes] : at, 1, e) < 0)
			return -1;
	}
	if (*at != quote)
		return wrong(*p, e);
	*p = at + 1;
	return buf_append(&b, "", 1, e) < 0 ? -1 : strv_add(&out->words, b.data, e);
}

static int take_array(const char **p, struct property *out, struct err *e)
{
	const char *at = skip(*p + 1);

	memcpy(out->type, "as", 3);
	while (*at != ']') {
		if (*at != '\'' && *at != '"')
			return wrong(at, e);
		if (take_string(&at, out, e) < 0)
			return -1;
		at = skip(at);
		if (*at == ',')
			at = skip(at + 1);
		else if (*at != ']')
			return wrong(at, e);
	}
	*p = at + 1;
	return 0;
}

static int take_whole(const char *text, char **end, struct property *out, struct err *e)
{
	bool negative = *text == '-';
	uint64_t n;

	errno = 0;
	n = strtoull(text + (negative || *text == '+'), end, 0);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].type != out->type[0])
			continue;
		bool fits = negative ? n <= -(uint64_t)types[i].low : n <= types[i].high;
		if (errno == ERANGE || !fits)
			return err_set(e, ERR_RANGE, 0, "\"%.40s\" is out of the range of %s", text, types[i].word);
	}
	out->number = negative ? -n : n;
	return 0;
}

static int take_number(const char **p, struct property *out, struct err *e)
{
	size_t n = strspn(*p, "0123456789abcdefABCDEFxX.+-");
	bool hex = strncasecmp(*p + (**p == '-'), "0x", 2) == 0, real = !hex && strcspn(*p, ".eE") < n;
	char *end = NULL;

	if (!out->type[0])
		out->type[0] = real ? 'd' : 'i';
	if (out->type[0] == 'd')
		out->real = strtod(*p, &end);
	else if (strchr("sogb", out->type[0]) || real)
		return wrong(*p, e);
	else if (take_whole(*p, &end, out, e) < 0)
		return -1;
	if (end != *p + n || (out->type[0] == 'd' && !isfinite(out->real)))
		return wrong(*p, e);
	*p = end;
	return 0;
}

static int take_boolean(const char **p, struct property *out)
{
	out->number = **p == 't';
	out->type[0] = 'b';
	*p += out->number ? 4 : 5;
	return 0;
}

static int take_value(const char **p, struct property *out, struct err *e)
{
	const char *type = out->type;
	size_t n = strcspn(*p, " \t\n");

	if (**p == '[' && (!*type || str_eq(type, "as")))
		return take_array(p, out, e);
	if ((**p == '\'' || **p == '"') && (!*type || strchr("sog", *type))) {
		out->type[0] = *type ? *type : 's';
		return take_string(p, out, e);
	}
	if ((!*type || *type == 'b') && ((n == 4 && !strncmp(*p, "true", 4)) || (n == 5 && !strncmp(*p, "false", 5))))
		return take_boolean(p, out);
	return isdigit((unsigned char)**p) || (**p && strchr("+-.", **p)) ? take_number(p, out, e) : wrong(*p, e);
}

int property_parse(const char *text, struct property *out, struct err *e)
{
	const char *p = skip(text);

	memset(out->type, 0, sizeof(out->type));
	if (!take_type(&p, out))
		return wrong(text, e);
	if (take_value(&p, out, e) < 0)
		return -1;
	return *skip(p) ? wrong(p, e) : 0;
}

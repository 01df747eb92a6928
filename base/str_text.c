/* Text that comes from anywhere, made fit for JSON. Sources: RFC 3629, RFC 8259. */
#include <stdio.h>
#include <string.h>
#include "base/str.h"

size_t str_utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
	return overlong || surrogate || (p[0] == 0xf4 && p[1] >= 0x90) ? 0 : n;
}

void str_json_char(const char **s, char out[8])
{
	unsigned char c = (unsigned char)**s;
	size_t n = str_utf8_length(*s);
	if (n == 0)
		strcpy(out, "\xef\xbf\xbd");
	else if (c == '"' || c == '\\')
		snprintf(out, 8, "\\%c", c);
	else if (c == '\n')
		strcpy(out, "\\n");
	else if (c < 0x20 || c == 0x7f)
		snprintf(out, 8, "\\u%04x", c);
	else
		snprintf(out, 8, "%.*s", (int)n, *s);
	*s += n ? n : 1;
}

int buf_json_string(struct buf *b, const char *s, struct err *e)
{
	if (buf_puts(b, "\"", e) < 0)
		return -1;
	while (*s) {
		/* Most text needs no change: copy such runs whole. */
		size_t plain = 0;
		while ((unsigned char)s[plain] >= 0x20 && (unsigned char)s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\')
			plain++;
		if (plain && buf_append(b, s, plain, e) < 0)
			return -1;
		s += plain;
		if (!*s)
			break;
		char c[8];
		str_json_char(&s, c);
		if (buf_puts(b, c, e) < 0)
			return -1;
	}
	return buf_puts(b, "\"", e);
}

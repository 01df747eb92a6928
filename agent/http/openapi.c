/* https://spec.openapis.org/oas/v3.1.0. Text is composed directly: every string in it is a name or a sentence of ours without quotes. */
#include "agent/http/openapi.h"
#include <ctype.h>
#include <string.h>
#include "agent/http/server.h"
#include "agent/move.h"
#include "agent/routes.h"
#include "agent/session.h"
#include "api.pb-c.h"
#include "proto/frame.h"
#include "proto/json.h"
#include "proto/limits.h"

#define MESSAGES_MAX 128

/* Messages that are described, in order of discovery. */
struct messages {
	const ProtobufCMessageDescriptor *all[MESSAGES_MAX];
	size_t n;
};

static void want(struct messages *m, const ProtobufCMessageDescriptor *d)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->all[i] == d)
			return;
	if (m->n < MESSAGES_MAX)
		m->all[m->n++] = d;
}

static const char *scalar(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_BOOL:
		return "{\"type\": \"boolean\"}";
	case PROTOBUF_C_TYPE_STRING:
		return "{\"type\": \"string\"}";
	case PROTOBUF_C_TYPE_BYTES:
		return "{\"type\": \"string\", \"contentEncoding\": \"base64\"}";
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return "{\"type\": \"number\"}";
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return "{\"type\": \"integer\", \"format\": \"int64\"}";
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return "{\"type\": \"integer\", \"format\": \"int64\", \"minimum\": 0}";
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return "{\"type\": \"integer\", \"format\": \"int32\", \"minimum\": 0}";
	default:
		return "{\"type\": \"integer\", \"format\": \"int32\"}";
	}
}

static int put_enum(const ProtobufCEnumDescriptor *d, struct buf *b, struct err *e)
{
	if (buf_puts(b, "{\"type\": \"string\", \"description\": \"one of the names of ", e) < 0)
		return -1;
	return buf_printf(b, e, "%s\"}", d->short_name);
}

static int put_type(struct messages *m, const ProtobufCFieldDescriptor *f, struct buf *b, struct err *e)
{
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		want(m, f->descriptor);
		return buf_printf(b, e, "{\"$ref\": \"#/components/schemas/%s\"}", ((const ProtobufCMessageDescriptor *)f->descriptor)->short_name);
	}
	if (f->type == PROTOBUF_C_TYPE_ENUM)
		return put_enum(f->descriptor, b, e);
	return buf_puts(b, scalar(f->type), e);
}

static int put_property(struct messages *m, const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f, struct buf *b, struct err *e)
{
	bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
	char name[64];
	size_t max;

	if (buf_printf(b, e, "\"%s\": %s", json_name(f, name), repeated ? "{\"type\": \"array\", \"items\": " : "") < 0 || put_type(m, f, b, e) < 0)
		return -1;
	if (!repeated)
		return 0;
	max = limits_of_list(d, name);
	return max ? buf_printf(b, e, ", \"maxItems\": %zu}", max) : buf_puts(b, "}", e);
}

/* What a name does not tell. */
static const struct {
	const ProtobufCMessageDescriptor *d;
	const char *text;
} notes[] = {
	{ &davit__seccomp_supervisor__descriptor, "Calls that a process outside does for the container's root. A seccomp filter sees the registers "
						  "of a call only, no path and no struct, so these "
						  "calls go to a supervisor, which reads their arguments once, decides, and does what is listed: "
						  "mknod of devices (c 1:3, b 7:*), mount of types "
						  "(tmpfs, mqueue, overlay), setting of the container's own sysctls (a name, or what names begin "
						  "with). The host's policy must allow each entry; "
						  "each call leaves a line in the host's log; such a container cannot be moved or saved." },
	{ &davit__landlock__descriptor,
	  "The only paths that the container's processes reach, whatever owners, modes and mounts say. Such a container cannot be moved or saved." },
};

static int put_note(const ProtobufCMessageDescriptor *d, struct buf *b, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(notes); i++)
		if (notes[i].d == d)
			return buf_printf(b, e, "\"description\": \"%s\", ", notes[i].text);
	return 0;
}

static int put_schema(struct messages *m, const ProtobufCMessageDescriptor *d, struct buf *b, struct err *e)
{
	const char *comma = "";
	char name[64];

	if (buf_printf(b, e, "\n      \"%s\": {\"type\": \"object\", ", d->short_name) < 0 || put_note(d, b, e) < 0 ||
	    buf_puts(b, "\"additionalProperties\": false, \"required\": [", e) < 0)
		return -1;
	for (unsigned i = 0; i < d->n_fields; i++) {
		if (d->fields[i].label != PROTOBUF_C_LABEL_REQUIRED)
			continue;
		if (buf_printf(b, e, "%s\"%s\"", comma, json_name(&d->fields[i], name)) < 0)
			return -1;
		comma = ", ";
	}
	if (buf_puts(b, "], \"properties\": {", e) < 0)
		return -1;
	for (unsigned i = 0; i < d->n_fields; i++)
		if (buf_puts(b, i ? ", " : "", e) < 0 || put_property(m, d, &d->fields[i], b, e) < 0)
			return -1;
	return buf_puts(b, "}}", e);
}

static int put_content(const ProtobufCMessageDescriptor *d, struct buf *b, struct err *e)
{
	return buf_printf(b, e,
			  "\"content\": {\"application/json\": {\"schema\": {\"$ref\": \"#/components/schemas/%s\"}}, "
			  "\"application/x-protobuf\": {\"schema\": {\"type\": \"string\", \"format\": \"binary\"}}}",
			  d->short_name);
}

static int put_parameters(const struct route *r, struct buf *b, struct err *e)
{
	const char *comma = "";

	if (buf_puts(b, "\"parameters\": [", e) < 0)
		return -1;
	for (const char *p = strchr(r->path, '{'); p; p = strchr(p + 1, '{')) {
		if (buf_printf(b, e,
			       "%s{\"name\": \"%.*s\", \"in\": \"path\", \"required\": true, \"schema\": {\"type\": \"string\", \"maxLength\": %d, "
			       "\"pattern\": \"^[a-zA-Z0-9][a-zA-Z0-9._-]*$\"}}",
			       comma, (int)strcspn(p + 1, "}"), p + 1, ROUTE_PARAM_MAX) < 0)
			return -1;
		comma = ", ";
	}
	for (const char *p = r->query; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
		if (buf_printf(b, e, "%s{\"name\": \"%.*s\", \"in\": \"query\", \"schema\": {\"type\": \"string\"}}", comma, (int)strcspn(p, ","),
			       p) < 0)
			return -1;
		comma = ", ";
	}
	if ((r->flags & ROUTE_IDEMPOTENT_KEY) &&
	    buf_printf(b, e, "%s{\"name\": \"Idempotency-Key\", \"in\": \"header\", \"schema\": {\"type\": \"string\", \"maxLength\": 128}}", comma) <
		0)
		return -1;
	return buf_puts(b, "], ", e);
}

static int put_answer(const struct route *r, struct buf *b, struct err *e)
{
	if (buf_printf(b, e, "\"responses\": {\"%d\": {\"description\": \"done\"", r->status) < 0)
		return -1;
	if (r->out && (buf_puts(b, ", ", e) < 0 || put_content(r->out, b, e) < 0))
		return -1;
	if (r->media && buf_printf(b, e, ", \"content\": {\"%s\": {}}", r->media) < 0)
		return -1;
	return buf_puts(b, "}, \"default\": {\"$ref\": \"#/components/responses/problem\"}}", e);
}

static int put_route(struct messages *m, const struct route *r, struct buf *b, struct err *e)
{
	const char *role = r->roles & ROLE_READER ? "reader" : r->roles & ROLE_OPERATOR ? "operator" : "peer";
	char method[8] = "";

	for (size_t i = 0; r->method[i] && i < sizeof(method) - 1; i++)
		method[i] = (char)tolower((unsigned char)r->method[i]);
	if (buf_printf(b, e, "\n      \"%s\": {\"operationId\": \"%s\", \"summary\": \"%s\", \"x-role\": \"%s\", ", method, r->name, r->summary,
		       role) < 0 ||
	    put_parameters(r, b, e) < 0)
		return -1;
	if (r->in) {
		want(m, r->in);
		if (buf_puts(b, "\"requestBody\": {", e) < 0 || put_content(r->in, b, e) < 0 || buf_puts(b, "}, ", e) < 0)
			return -1;
	} else if (r->upload && buf_puts(b, "\"requestBody\": {\"content\": {\"application/octet-stream\": {}}}, ", e) < 0) {
		return -1;
	}
	if (r->out)
		want(m, r->out);
	return put_answer(r, b, e) < 0 ? -1 : buf_puts(b, "}", e);
}

/* Routes of one path stand together in the table or not: each path is printed where it comes first. */
static int put_paths(struct messages *m, struct buf *b, struct err *e)
{
	size_t n;
	const struct route *t = routes_table(&n);
	bool first_path = true;

	for (size_t i = 0; i < n; i++) {
		bool seen = false, first = true;

		for (size_t j = 0; j < i; j++)
			seen |= strcmp(t[i].path, t[j].path) == 0;
		if (seen)
			continue;
		if (buf_printf(b, e, "%s\n    \"%s\": {", first_path ? "" : ",", t[i].path) < 0)
			return -1;
		first_path = false;
		for (size_t j = i; j < n; j++) {
			if (strcmp(t[i].path, t[j].path) != 0)
				continue;
			if (buf_puts(b, first ? "" : ",", e) < 0 || put_route(m, &t[j], b, e) < 0)
				return -1;
			first = false;
		}
		if (buf_puts(b, "}", e) < 0)
			return -1;
	}
	return 0;
}

int openapi_print(struct buf *out, struct err *e)
{
	struct messages m = { .n = 0 };

	want(&m, &davit__problem__descriptor);
	if (buf_printf(
		out, e,
		"{\n  \"openapi\": \"3.1.0\",\n  \"info\": {\"title\": \"davit\", \"version\": \"%s\", \"description\": \"Containers of one host: "
		"make, watch, move. Limits: %d bytes of headers; a body of the configured maxBodyBytes (4 KiB to 16 MiB, 1 MiB unless configured); "
		"JSON of %zu bytes, nested %zu deep, with %zu members and elements; protobuf messages nested 64 deep; %d connections to each socket, "
		"over TCP %d of one address; "
		"%d s of silence before a request's head is whole, %d s after; %d incoming moves and %d sessions of exec and attach at once; "
		"frames of a move with a header of %d bytes and a payload of %d; texts of a spec of %d bytes; lists: maxItems of the schemas.\"},\n  "
		"\"paths\": {",
		DAVIT_VERSION, SERVER_HEADERS_MAX, json_limits_default.bytes, json_limits_default.depth, json_limits_default.items,
		SERVER_CONNECTIONS, SERVER_CONNECTIONS_PER_ADDRESS, SERVER_HEAD_SECONDS, SERVER_IDLE_SECONDS, MOVES_MAX, SESSION_MAX,
		FRAME_HEADER_MAX, FRAME_PAYLOAD_MAX, SPEC_TEXT_MAX) < 0 ||
	    put_paths(&m, out, e) < 0 ||
	    buf_puts(out,
		     "\n  },\n  \"components\": {\n    \"responses\": {\"problem\": {\"description\": \"RFC 9457\", \"content\": "
		     "{\"application/problem+json\": "
		     "{\"schema\": {\"$ref\": \"#/components/schemas/Problem\"}}}}},\n    \"schemas\": {",
		     e) < 0)
		return -1;
	/* Describing one may discover more. */
	for (size_t i = 0; i < m.n; i++)
		if (buf_puts(out, i ? "," : "", e) < 0 || put_schema(&m, m.all[i], out, e) < 0)
			return -1;
	return buf_puts(out, "\n    }\n  }\n}\n", e);
}

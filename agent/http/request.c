/* Bodies, query parameters and headers of a request. */
#include "agent/http/request.h"
#include <poll.h>
#include <string.h>
#include "proto/json.h"

#define MEDIA_JSON "application/json"
#define MEDIA_PROBLEM "application/problem+json"
#define MEDIA_PROTOBUF "application/x-protobuf"

struct request *request_new(struct agent *a, struct MHD_Connection *c, const char *method, const char *url, struct err *e)
{
	struct request *r = mem_new(1, sizeof(*r), e);

	if (!r)
		return NULL;
	r->agent = a;
	r->connection = c;
	r->method = method;
	r->url = mem_strdup(url, e);
	if (!r->url) {
		free(r);
		return NULL;
	}
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->upload_open)
		r->route->upload->end(r);
	buf_free(&r->body);
	pb_freep(&r->message);
	pb_freep(&r->answer);
	pb_freep(&r->details);
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->url);
	free(r);
}

struct query_check {
	const struct route *route;
	struct err *e;
	int r;
};

static enum MHD_Result check_one(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct query_check *q = arg;

	(void)kind, (void)value;
	if (route_has_query(q->route, key))
		return MHD_YES;
	q->r = err_field(q->e, key, "unknown query parameter");
	if (q->route->query)
		err_remedy(q->e, "possible here: %s", q->route->query);
	return MHD_NO;
}

int request_check_query(struct request *r, struct err *e)
{
	struct query_check q = { r->route, e, 0 };

	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, check_one, &q);
	return q.r;
}

const char *request_query(const struct request *r, const char *name)
{
	const char *value = NULL;
	size_t n = 0;

	/* "?force" alone has no value: it counts as empty, not as absent. */
	if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &n) != MHD_YES)
		return NULL;
	return value ? value : "";
}

int request_query_bool(const struct request *r, const char *name, bool *out, struct err *e)
{
	const char *v = request_query(r, name);

	*out = false;
	if (!v || strcmp(v, "false") == 0 || strcmp(v, "0") == 0)
		return 0;
	if (*v && strcmp(v, "true") != 0 && strcmp(v, "1") != 0)
		return err_field(e, name, "true or false, not %.32s", v);
	*out = true;
	return 0;
}

const char *request_header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* The API refuses what it does not know, in either encoding, at any depth. */
static int refuse_unknown(const ProtobufCMessage *m, struct err *e)
{
	if (m->n_unknown_fields)
		return err_set(e, ERR_INVALID, 0, "%s: unknown field number %u", m->descriptor->short_name, m->unknown_fields[0].tag);
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const void *at = (const uint8_t *)m + f->offset;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t n = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);

			for (size_t j = 0; j < n; j++)
				if (refuse_unknown((*(ProtobufCMessage *const *const *)at)[j], e) < 0)
					return -1;
		} else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(ProtobufCMessage *const *)at) {
			if (refuse_unknown(*(ProtobufCMessage *const *)at, e) < 0)
				return -1;
		}
	}
	return 0;
}

static bool is_media(const char *value, const char *media)
{
	size_t n = strlen(media);

	return value && strncasecmp(value, media, n) == 0 && (value[n] == 0 || value[n] == ';' || value[n] == ' ' || value[n] == ',');
}

static bool is_protobuf(const char *value)
{
	return is_media(value, MEDIA_PROTOBUF) || is_media(value, "application/protobuf");
}

int request_parse(struct request *r, struct err *e)
{
	const char *type = request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
	const ProtobufCMessageDescriptor *d = r->route->in;

	if (!d)
		return r->body.len ? err_set(e, ERR_INVALID, 0, "%s %s takes no body", r->method, r->route->path) : 0;
	if (is_protobuf(type)) {
		r->message = pb_unpack(d, r->body.data, r->body.len, "body", e);
		if (!r->message && e->code == ERR_CORRUPT)
			e->code = ERR_INVALID;
		return r->message ? refuse_unknown(r->message, e) : -1;
	}
	if (type && !is_media(type, MEDIA_JSON) && !(r->body.len == 0)) {
		err_field(e, "Content-Type", "%.64s is not taken here", type);
		return err_remedy(e, "send " MEDIA_JSON " or " MEDIA_PROTOBUF);
	}
	if (r->body.len == 0)
		r->message = json_parse(d, "{}", 2, JSON_REFUSE, NULL, e);
	else
		r->message = json_parse(d, r->body.data, r->body.len, JSON_REFUSE, NULL, e);
	return r->message ? 0 : -1;
}

struct MHD_Response *request_encode(const struct request *r, const ProtobufCMessage *m, bool problem, struct err *e)
{
	bool binary = is_protobuf(request_header(r, MHD_HTTP_HEADER_ACCEPT));
	auto_buf struct buf b = { 0 };
	struct MHD_Response *response;

	if ((binary ? pb_pack(m, &b, e) : json_print(m, true, &b, e)) < 0)
		return NULL;
	response = MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_COPY);
	if (!response) {
		err_set(e, ERR_RESOURCE, 0, "no memory for an answer");
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, binary ? MEDIA_PROTOBUF : problem ? MEDIA_PROBLEM : MEDIA_JSON);
	return response;
}

bool request_is_gone(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = { .events = POLLRDHUP };

	if (!info)
		return true;
	p.fd = info->connect_fd;
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* See client.h: what is the same over both ways (transfer.h). */
#include "agent/cli/client.h"
#include <string.h>
#include "agent/cli/cli.h"
#include "agent/cli/transfer.h"
#include "api.pb-c.h"

#define ANSWER_MAX ((size_t)64 << 20)

struct client {
	char *base, *socket; /* URL without a path, of https; or a unix socket */
	char *cert, *key, *cacert;
	struct https *https;
	Davit__Problem *problem; /* of the last failed request */
	Davit__Error *error;	 /* of the last failed operation */
};

static const char *option_or(const char *given, const char *variable)
{
	const char *env = getenv(variable);

	return given ? given : env && *env ? env : NULL;
}

static int copy(char **to, const char *from, struct err *e)
{
	if (!from)
		return 0;
	*to = mem_strdup(from, e);
	return *to ? 0 : -1;
}

static int set_host(struct client *c, const char *host, struct err *e)
{
	if (!host)
		host = CLIENT_SOCKET;
	if (str_prefix(host, "unix://"))
		host += strlen("unix://");
	if (host[0] == '/')
		return copy(&c->socket, host, e);
	if (!str_prefix(host, "https://")) {
		err_field(e, "--host", "\"%s\" is neither unix:///path nor https://host:port", host);
		return -1;
	}
	if (!c->cert || !c->key || !c->cacert) {
		err_field(e, "--host", "https needs --cert, --key and --cacert");
		return err_remedy(e, "or $DAVIT_CERT, $DAVIT_KEY, $DAVIT_CACERT");
	}
	if (copy(&c->base, host, e) < 0)
		return -1;
	c->https = https_open(c->base, c->cert, c->key, c->cacert, e);
	return c->https ? 0 : -1;
}

struct client *client_open(const char *host, const char *cert, const char *key, const char *cacert, struct err *e)
{
	struct client *c = mem_new(1, sizeof(*c), e);

	if (!c)
		return NULL;
	if (copy(&c->cert, option_or(cert, "DAVIT_CERT"), e) < 0 || copy(&c->key, option_or(key, "DAVIT_KEY"), e) < 0 ||
	    copy(&c->cacert, option_or(cacert, "DAVIT_CACERT"), e) < 0 || set_host(c, option_or(host, "DAVIT_HOST"), e) < 0) {
		client_close(c);
		return NULL;
	}
	return c;
}

struct client *client_clone(const struct client *c, struct err *e)
{
	return client_open(c->socket ? c->socket : c->base, c->cert, c->key, c->cacert, e);
}

void client_close(struct client *c)
{
	if (!c)
		return;
	https_close(c->https);
	pb_freep(&c->problem);
	pb_freep(&c->error);
	free(c->base);
	free(c->socket);
	free(c->cert);
	free(c->key);
	free(c->cacert);
	free(c);
}

int transfer_take(struct transfer *t, const char *p, size_t n)
{
	t->is_told = true;
	if (t->take && t->status < 300) {
		if (t->take(t->arg, p, n, t->e) != 0)
			return -1;
	} else if (t->body.len + n > ANSWER_MAX) {
		return err_set(t->e, ERR_LIMIT, 0, "the agent's answer is larger than %zu MiB", ANSWER_MAX >> 20);
	} else if (buf_append(&t->body, p, n, t->e) < 0) {
		return -1;
	}
	t->is_told = false;
	return 0;
}

int transfer_no_agent(const char *where, const char *remedy, struct err *e)
{
	err_set(e, ERR_IO, 0, "no agent answers at %s", where);
	return err_remedy(e, "%s", remedy);
}

static int problem(struct client *c, const struct transfer *t, struct err *e)
{
	const Davit__Problem *p;

	c->problem = pb_unpack(&davit__problem__descriptor, t->body.data, t->body.len, "answer", NULL);
	p = c->problem;
	if (!p)
		return err_set(e, ERR_PROTOCOL, 0, "the agent answered with status %ld and no reason", t->status);
	err_set(e, p->code ? err_code_of(p->code) : ERR_INTERNAL, 0, "%s", p->detail ? p->detail : p->title);
	if (p->field)
		cli_field(p->field, e->field, sizeof(e->field));
	return p->remedy ? err_remedy(e, "%s", p->remedy) : -1;
}

static int request(struct client *c, struct transfer *t, const ProtobufCMessage *in, struct err *e)
{
	auto_buf struct buf body = { 0 };

	pb_freep(&c->problem);
	t->e = e;
	if (in && pb_pack(in, &body, e) < 0)
		return -1;
	t->in = in ? &body : NULL;
	int rc = c->socket ? transfer_local(c->socket, t) : transfer_https(c->https, t);
	t->in = NULL;
	return rc < 0 ? -1 : t->status >= 300 ? problem(c, t, e) : 0;
}

static int unpack(const struct transfer *t, const ProtobufCMessageDescriptor *d, void *out, struct err *e)
{
	if (!d)
		return 0;
	*(void **)out = pb_unpack(d, t->body.data, t->body.len, "answer", e);
	return *(void **)out ? 0 : -1;
}

int client_call(struct client *c, const char *method, const char *path, const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void *out,
		struct err *e)
{
	struct transfer t = { .method = method, .path = path };
	int r = request(c, &t, in, e);

	if (r == 0)
		r = unpack(&t, d, out, e);
	buf_free(&t.body);
	return r;
}

int client_stream(struct client *c, const char *path, client_take take, void *arg, struct err *e)
{
	struct transfer t = { .method = "GET", .path = path, .take = take, .arg = arg };
	int r = request(c, &t, NULL, e);

	buf_free(&t.body);
	return r;
}

int client_upload(struct client *c, const char *method, const char *path, client_give give, void *arg, int64_t size,
		  const ProtobufCMessageDescriptor *d, void *out, struct err *e)
{
	struct transfer t = { .method = method, .path = path, .give = give, .size = size, .arg = arg };
	int r = request(c, &t, NULL, e);

	if (r == 0)
		r = unpack(&t, d, out, e);
	buf_free(&t.body);
	return r;
}

static void print_obstacle(const Davit__Obstacle *o, FILE *to)
{
	fprintf(to, "  - %s", o->reason);
	if (o->process)
		fprintf(to, " (%s%s", o->process, o->has_pid ? "" : ")");
	if (o->has_pid)
		fprintf(to, "%s%d)", o->process ? ", pid " : " (pid ", o->pid);
	if (o->remedy)
		fprintf(to, ": %s", o->remedy);
	fputc('\n', to);
}

static void print_reason(const Davit__Error *r, FILE *to)
{
	struct err e = { 0 };
	pb_error_get(r, &e);
	fprintf(to, "  - %s\n", err_line(&e).s);
}

static void print_all(Davit__Error *const *reasons, size_t n_reasons, Davit__Obstacle *const *obstacles, size_t n_obstacles, FILE *to)
{
	for (size_t i = 0; i < n_reasons; i++)
		print_reason(reasons[i], to);
	for (size_t i = 0; i < n_obstacles; i++)
		print_obstacle(obstacles[i], to);
}

void client_print_error(const Davit__Error *error, FILE *to)
{
	if (error)
		print_all(error->reasons, error->n_reasons, error->obstacles, error->n_obstacles, to);
}

void client_print_details(const struct client *c, FILE *to)
{
	if (c->problem)
		print_all(c->problem->reasons, c->problem->n_reasons, c->problem->obstacles, c->problem->n_obstacles, to);
	client_print_error(c->error, to);
}

void client_set_details(struct client *c, Davit__Error **error)
{
	pb_freep(&c->error);
	c->error = steal_ptr(error);
}

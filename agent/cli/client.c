/* libcurl's easy interface, one handle for each client, reused so that a connection is. */
#include "agent/cli/client.h"
#include <curl/curl.h>
#include <string.h>
#include "agent/cli/cli.h"
#include "api.pb-c.h"

#define MEDIA "application/x-protobuf"
#define ANSWER_MAX ((size_t)64 << 20)
#define CONNECT_TIMEOUT_S 10L

struct client {
	CURL *curl;
	char *base, *socket; /* URL without a path; socket NULL for https */
	char *cert, *key, *cacert;
	Davit__Problem *problem; /* of the last failed request */
	Davit__Error *error;	 /* of the last failed operation */
};

/* What a transfer hands over and takes. */
struct transfer {
	struct client *client;
	struct buf body;
	client_take take;
	client_give give;
	void *arg;
	struct err *e;
	bool failed; /* take() failed: e tells why */
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
		return copy(&c->socket, host, e) < 0 || copy(&c->base, "http://davit", e) < 0 ? -1 : 0;
	if (!str_prefix(host, "https://")) {
		err_field(e, "--host", "\"%s\" is neither unix:///path nor https://host:port", host);
		return -1;
	}
	if (!c->cert || !c->key || !c->cacert) {
		err_field(e, "--host", "https needs --cert, --key and --cacert");
		return err_remedy(e, "or $DAVIT_CERT, $DAVIT_KEY, $DAVIT_CACERT");
	}
	return copy(&c->base, host, e);
}

struct client *client_open(const char *host, const char *cert, const char *key, const char *cacert, struct err *e)
{
	struct client *c = mem_new(1, sizeof(*c), e);

	if (!c)
		return NULL;
	c->curl = curl_easy_init();
	if (!c->curl)
		err_set(e, ERR_RESOURCE, 0, "libcurl does not start");
	if (!c->curl || copy(&c->cert, option_or(cert, "DAVIT_CERT"), e) < 0 || copy(&c->key, option_or(key, "DAVIT_KEY"), e) < 0 ||
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
	curl_easy_cleanup(c->curl);
	pb_freep(&c->problem);
	pb_freep(&c->error);
	free(c->base);
	free(c->socket);
	free(c->cert);
	free(c->key);
	free(c->cacert);
	free(c);
}

static long status_of(const struct client *c)
{
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)size;
	if (t->take && status_of(t->client) < 300) {
		t->failed = t->take(t->arg, p, n, t->e) != 0;
		return t->failed ? CURL_WRITEFUNC_ERROR : n;
	}
	if (t->body.len + n > ANSWER_MAX || buf_append(&t->body, p, n, NULL) < 0)
		return CURL_WRITEFUNC_ERROR;
	return n;
}

static size_t on_need(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	ssize_t got = t->give(t->arg, p, size * n);

	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int problem(struct client *c, struct transfer *t, struct err *e)
{
	long status = status_of(c);
	const Davit__Problem *p;

	c->problem = pb_unpack(&davit__problem__descriptor, t->body.data, t->body.len, "answer", NULL);
	p = c->problem;
	if (!p)
		return err_set(e, ERR_PROTOCOL, 0, "the agent answered with status %ld and no reason", status);
	err_set(e, p->code ? err_code_of(p->code) : ERR_INTERNAL, 0, "%s", p->detail ? p->detail : p->title);
	if (p->field)
		cli_field(p->field, e->field, sizeof(e->field));
	return p->remedy ? err_remedy(e, "%s", p->remedy) : -1;
}

static int transport(const struct client *c, CURLcode code, const char *text, struct err *e)
{
	const char *where = c->socket ? c->socket : c->base;

	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
		err_set(e, ERR_IO, 0, "no agent answers at %s", where);
		return err_remedy(e, c->socket ? "is davitd running, and may you use its socket?" : "is davitd running there?");
	}
	return err_set(e, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO, 0, "%s: %s", where, text[0] ? text : curl_easy_strerror(code));
}

static void setup(struct client *c, struct transfer *t, const char *method, const char *url, char *text)
{
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	if (c->socket) {
		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
		return;
	}
	curl_easy_setopt(c->curl, CURLOPT_SSLCERT, c->cert);
	curl_easy_setopt(c->curl, CURLOPT_SSLKEY, c->key);
	curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->cacert);
	curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
}

static int perform(struct client *c, struct transfer *t, const char *text, struct err *e)
{
	CURLcode code = curl_easy_perform(c->curl);

	if (t->failed)
		return -1;
	/* An answer that came before the body was sent is an answer. */
	if (code != CURLE_OK && !(t->give && status_of(c) >= 400 && t->body.len))
		return transport(c, code, text, e);
	return status_of(c) >= 300 ? problem(c, t, e) : 0;
}

static int request(struct client *c, struct transfer *t, const char *method, const char *path, const ProtobufCMessage *in, int64_t size,
		   struct err *e)
{
	auto_free char *url = mem_printf(e, "%s%s", c->base, path);
	auto_buf struct buf body = { 0 };
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: " MEDIA);
	char text[CURL_ERROR_SIZE] = "";
	int r;

	pb_freep(&c->problem);
	t->client = c;
	t->e = e;
	if (!url || (in && pb_pack(in, &body, e) < 0)) {
		curl_slist_free_all(headers);
		return -1;
	}
	setup(c, t, method, url, text);
	headers = curl_slist_append(headers, "Expect:");
	if (in) {
		headers = curl_slist_append(headers, "Content-Type: " MEDIA);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.data ? body.data : "");
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
	}
	if (t->give) {
		curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, on_need);
		curl_easy_setopt(c->curl, CURLOPT_READDATA, t);
		curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	r = perform(c, t, text, e);
	curl_slist_free_all(headers);
	return r;
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
	struct transfer t = { 0 };
	int r = request(c, &t, method, path, in, 0, e);

	if (r == 0)
		r = unpack(&t, d, out, e);
	buf_free(&t.body);
	return r;
}

int client_stream(struct client *c, const char *path, client_take take, void *arg, struct err *e)
{
	struct transfer t = { .take = take, .arg = arg };
	int r = request(c, &t, "GET", path, NULL, 0, e);

	buf_free(&t.body);
	return r;
}

int client_upload(struct client *c, const char *method, const char *path, client_give give, void *arg, int64_t size,
		  const ProtobufCMessageDescriptor *d, void *out, struct err *e)
{
	struct transfer t = { .give = give, .arg = arg };
	int r = request(c, &t, method, path, NULL, size, e);

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

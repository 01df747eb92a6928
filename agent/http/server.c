/* libmicrohttpd's callbacks: from a connection to a handler and back. */
#include "agent/http/server.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "agent/agent.h"
#include "agent/http/dispatch.h"
#include "agent/http/request.h"
#include "base/clock.h"
#include "base/log.h"

/* Memory of a connection: large reads make a move's upload fast, which comes by TCP; the unix socket's callers get what headers need. */
#define CONNECTION_MEMORY_REMOTE ((size_t)1 << 20)
#define CONNECTION_MEMORY_LOCAL ((size_t)128 << 10)
#define THREAD_STACK ((size_t)256 << 10)
/* What a refused body may still send, so that the client gets to read why. */
#define SWALLOW_MAX ((uint64_t)16 << 20)

struct server {
	struct agent *agent;
	struct MHD_Daemon *local, *remote;
};

/* What the library tells lies in one place of the connection, which the next question overwrites (libmicrohttpd 1.0): so it is copied. */
static gnutls_session_t session_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return info ? info->tls_session : NULL;
}

static int socket_of(struct MHD_Connection *c)
{
	return MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	gnutls_session_t session = session_of(c);

	(void)arg, (void)socket_context;
	if (code != MHD_CONNECTION_NOTIFY_STARTED || !session)
		return;
	auth_demand_certificate(session);
	fd_keep_alive(socket_of(c));
}

static int authenticate(struct request *r, struct err *e)
{
	gnutls_session_t session = session_of(r->connection);

	if (session)
		return auth_tls(session, &r->caller, e);
	return auth_unix(socket_of(r->connection), r->agent->socket_gid, &r->caller, e);
}

static enum MHD_Result add_size(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void)kind;
	*(size_t *)arg += strlen(key) + (value ? strlen(value) : 0) + 4;
	return MHD_YES;
}

/* All that can be refused by the head of a request alone. */
static int check_head(struct request *r, struct err *e)
{
	size_t headers = 0;
	const char *length = request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t n = 0;

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, add_size, &headers);
	if (headers > SERVER_HEADERS_MAX)
		return err_set(e, ERR_LIMIT, 0, "more than %d bytes of headers", SERVER_HEADERS_MAX);
	if (authenticate(r, e) < 0 || dispatch_route(r, e) < 0)
		return -1;
	if (length && str_to_u64(length, 0, INT64_MAX, &n, "Content-Length", e) < 0)
		return -1;
	if (!r->route->upload && n > r->agent->config->max_body_bytes)
		return err_set(e, ERR_LIMIT, 0, "a body may have %llu bytes", (unsigned long long)r->agent->config->max_body_bytes);
	if (r->route->flags & ROUTE_LONG)
		MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	if (r->route->upload) {
		if (r->route->upload->begin(r, e) < 0)
			return -1;
		r->upload_open = true;
	}
	return 0;
}

/* Takes a piece of the body. False: the connection is to be closed. */
static bool take_body(struct request *r, const char *data, size_t n)
{
	if (r->failed) {
		r->swallowed += n;
		return r->swallowed <= SWALLOW_MAX;
	}
	if (r->route->upload)
		r->failed = r->route->upload->feed(r, data, n, &r->error) < 0;
	else if (r->body.len + n > r->agent->config->max_body_bytes)
		r->failed = err_set(&r->error, ERR_LIMIT, 0, "a body may have %llu bytes", (unsigned long long)r->agent->config->max_body_bytes) < 0;
	else
		r->failed = buf_append(&r->body, data, n, &r->error) < 0;
	return true;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data,
				  size_t *n, void **context)
{
	struct server *s = arg;
	struct request *r = *context;

	(void)version;
	if (!r) {
		r = request_new(s->agent, c, method, url, NULL);
		if (!r)
			return MHD_NO;
		*context = r;
		s->agent->requests++;
		/* It has come as far as a whole head: from now on it may take its time. */
		MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)SERVER_IDLE_SECONDS);
		r->failed = check_head(r, &r->error) < 0;
		return MHD_YES;
	}
	if (*n) {
		bool go_on = take_body(r, data, *n);

		*n = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	return dispatch_answer(r);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode code)
{
	struct request *r = *context;

	(void)arg, (void)code;
	if (r && r->route && (r->route->flags & ROUTE_LONG) && c)
		MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)SERVER_IDLE_SECONDS);
	request_free(r);
	*context = NULL;
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
	char line[512];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	log_debug("http: %s", line);
}

static struct MHD_Daemon *start(struct server *s, int fd, bool tls, struct err *e)
{
	const struct agent_tls *t = &s->agent->tls;
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, t->cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, t->key },
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, t->ca },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305" },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
	/* One address cannot take all connections; the unix socket's callers have none. */
	struct MHD_OptionItem fair[] = { { MHD_OPTION_PER_IP_CONNECTION_LIMIT, SERVER_CONNECTIONS_PER_ADDRESS, NULL }, { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC;
	struct MHD_Daemon *d = MHD_start_daemon(flags | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
						MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS,
						MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_HEAD_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
						tls ? CONNECTION_MEMORY_REMOTE : CONNECTION_MEMORY_LOCAL, MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK,
						MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
						MHD_OPTION_ARRAY, tls ? secure : none, MHD_OPTION_ARRAY, tls ? fair : none, MHD_OPTION_END);

	if (!d) {
		err_set(e, ERR_INTERNAL, 0, "the HTTP server does not start on the %s", tls ? "TCP socket" : "unix socket");
		if (tls)
			err_remedy(e, "check that tlsCert, tlsKey and tlsCa are PEM files that belong together");
	}
	return d;
}

struct server *server_start(struct agent *a, int unix_fd, int tcp_fd, struct err *e)
{
	struct server *s = mem_new(1, sizeof(*s), e);

	if (!s)
		return NULL;
	s->agent = a;
	s->local = start(s, unix_fd, false, e);
	if (s->local && tcp_fd >= 0)
		s->remote = start(s, tcp_fd, true, e);
	if (!s->local || (tcp_fd >= 0 && !s->remote)) {
		server_stop(s, 0);
		return NULL;
	}
	return s;
}

static unsigned connections(struct MHD_Daemon *d)
{
	const union MHD_DaemonInfo *info = d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS) : NULL;

	return info ? info->num_connections : 0;
}

void server_stop(struct server *s, int wait_ms)
{
	if (!s)
		return;
	if (s->local)
		MHD_quiesce_daemon(s->local);
	if (s->remote)
		MHD_quiesce_daemon(s->remote);
	/* libmicrohttpd has no way to wait for its connections; idle ones are closed by the stop below. */
	for (int waited = 0; waited < wait_ms && connections(s->local) + connections(s->remote) > 0; waited += 50)
		poll(NULL, 0, 50);
	if (connections(s->local) + connections(s->remote) > 0)
		return; /* a handler that still runs would block the stop; the process ends next */
	if (s->local)
		MHD_stop_daemon(s->local);
	if (s->remote)
		MHD_stop_daemon(s->remote);
	free(s);
}

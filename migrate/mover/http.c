/* Requests to a peer, their TLS, and what their failures mean. See http.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "api.pb-c.h"
#include "base/path.h"
#include "migrate/mover/http_private.h"
#include "proto/pb.h"

#define CONNECT_MS 10000
#define ASK_MS 10000
/* The most that libcurl allows: an upload's frame is as large as this. */
#define UPLOAD_BUFFER (1L << 20)

/* PEM bytes as a file without a name. */
static int pem_fd(const ProtobufCBinaryData *pem, const char *what, struct err *e)
{
	auto_close int fd = memfd_create(what, MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	if (fd_write_all(fd, pem->data, pem->len, e) < 0)
		return -1;
	return steal_fd(&fd);
}

static int set_pem(struct http_request *r, size_t i, CURLoption option, bool has, const ProtobufCBinaryData *pem, const char *what, struct err *e)
{
	if (!has)
		return err_field(e, what, "missing: hosts know each other by certificates only");
	if ((r->pem[i] = pem_fd(pem, what, e)) < 0)
		return -1;
	struct path_fd path = path_of_fd(r->pem[i]);
	return curl_easy_setopt(r->curl, option, path.s) == CURLE_OK ? 0 : err_set(e, ERR_INTERNAL, 0, "libcurl refuses %s", what);
}

static int set_tls(struct http_request *r, const Davit__MoverJob *job, struct err *e)
{
	if (set_pem(r, 0, CURLOPT_CAINFO, job->has_tls_ca, &job->tls_ca, "tlsCa", e) < 0 ||
	    set_pem(r, 1, CURLOPT_SSLCERT, job->has_tls_cert, &job->tls_cert, "tlsCert", e) < 0 ||
	    set_pem(r, 2, CURLOPT_SSLKEY, job->has_tls_key, &job->tls_key, "tlsKey", e) < 0)
		return -1;
	curl_easy_setopt(r->curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(r->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	/* The quickest first: a move's bulk passes through it. A libcurl whose backend has no such list keeps its own order. */
	curl_easy_setopt(r->curl, CURLOPT_TLS13_CIPHERS, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
	return 0;
}

static int keep_alive(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg, (void)purpose;
	fd_keep_alive(fd);
	return CURL_SOCKOPT_OK;
}

int http_request_init(struct http_request *r, const Davit__MoverJob *job, const char *what, struct err *e)
{
	memset(r, 0, sizeof(*r));
	r->pem[0] = r->pem[1] = r->pem[2] = -1;
	if (!job->url || !str_prefix(job->url, "https://"))
		return err_field(e, "url", "'%s' does not begin with https://", job->url ? job->url : "");
	size_t n = strlen(job->url);
	while (n > 0 && job->url[n - 1] == '/')
		n--;
	auto_free char *url = mem_printf(e, "%.*s/v1/peer/moves/%s/%s", (int)n, job->url, job->move_id, what);
	if (!url)
		return -1;
	if (!(r->curl = curl_easy_init()))
		return err_set(e, ERR_RESOURCE, 0, "libcurl does not start");
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, r->why);
	curl_easy_setopt(r->curl, CURLOPT_PRIVATE, r);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(r->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(r->curl, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(r->curl, CURLOPT_SOCKOPTFUNCTION, keep_alive);
	curl_easy_setopt(r->curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(r->curl, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, http_collect);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
	if (http_request_header(r, "Accept: application/x-protobuf", e) < 0)
		return -1;
	return set_tls(r, job, e);
}

int http_request_header(struct http_request *r, const char *line, struct err *e)
{
	struct curl_slist *list = curl_slist_append(r->headers, line);
	if (!list)
		return err_set(e, ERR_RESOURCE, 0, "no memory for a header");
	r->headers = list;
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, list);
	return 0;
}

/* The last CN of "Subject:O = davit, CN = host-b"; some TLS backends write "CN=". */
static char *name_of(const char *subject, struct err *e)
{
	const char *name = NULL;
	for (const char *p = subject; (p = strstr(p, "CN")); p += 2) {
		const char *after = p + 2 + strspn(p + 2, " ");
		if (*after == '=' && (p == subject || strchr(" ,:/", p[-1])))
			name = after + 1 + strspn(after + 1, " ");
	}
	if (!name || !strcspn(name, ",/\n")) {
		err_set(e, ERR_UNAUTHENTICATED, 0, "the peer's certificate has no name (CN)");
		return NULL;
	}
	return mem_printf(e, "%.*s", (int)strcspn(name, ",/\n"), name);
}

char *http_peer_name(const struct http_request *r, struct err *e)
{
	struct curl_certinfo *info = NULL;
	if (curl_easy_getinfo(r->curl, CURLINFO_CERTINFO, &info) == CURLE_OK && info && info->num_of_certs > 0)
		for (const struct curl_slist *line = info->certinfo[0]; line; line = line->next)
			if (str_prefix(line->data, "Subject:"))
				return name_of(line->data + strlen("Subject:"), e);
	err_set(e, ERR_UNSUPPORTED, 0, "libcurl does not tell the peer's certificate");
	return NULL;
}

void http_request_free(struct http_request *r)
{
	if (r->curl)
		curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->headers);
	for (size_t i = 0; i < 3; i++)
		fd_closep(&r->pem[i]);
	buf_free(&r->body);
	memset(r, 0, sizeof(*r));
}

size_t http_collect(char *p, size_t size, size_t n, void *request)
{
	struct http_request *r = request;
	if (r->body.len + size * n > HTTP_ANSWER_MAX || buf_append(&r->body, p, size * n, NULL) < 0)
		return 0;
	return size * n;
}

static const struct {
	CURLcode curl;
	enum err_code code;
	const char *remedy;
} failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_IO, "check the peer's url in the configuration" },
	{ CURLE_COULDNT_CONNECT, ERR_IO, "check that davitd runs there and listens, and that no firewall is between" },
	{ CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, "check the network to the peer" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_UNAUTHENTICATED, "the peer's certificate must be signed by tlsCa and name the host of its url" },
	{ CURLE_SSL_CERTPROBLEM, ERR_UNAUTHENTICATED, "check tlsCert and tlsKey" },
	{ CURLE_SSL_CACERT_BADFILE, ERR_UNAUTHENTICATED, "check tlsCa" },
	{ CURLE_OUT_OF_MEMORY, ERR_RESOURCE, "" },
};

static int failed(const struct http_request *r, CURLcode code, struct err *e)
{
	enum err_code ours = ERR_IO;
	const char *remedy = "";
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		if (failures[i].curl == code) {
			ours = failures[i].code;
			remedy = failures[i].remedy;
		}
	}
	err_set(e, ours, 0, "the peer: %s", r->why[0] ? r->why : curl_easy_strerror(code));
	return *remedy ? err_remedy(e, "%s", remedy) : -1;
}

/* A problem document, as every error answer of an agent carries one. */
static int refused(const struct http_request *r, long status, struct err *e)
{
	auto_pb(Davit__Problem) *p = pb_unpack(&davit__problem__descriptor, r->body.data, r->body.len, "problem", NULL);
	if (!p || !p->code)
		return err_set(e, ERR_PROTOCOL, 0, "the peer answered with HTTP status %ld", status);
	err_set(e, err_code_of(p->code), 0, "the peer: %s", p->detail ? p->detail : p->title);
	if (p->field)
		snprintf(e->field, sizeof(e->field), "%s", p->field);
	return p->remedy ? err_remedy(e, "%s", p->remedy) : -1;
}

int http_result(struct http_request *r, CURLcode code, struct err *e)
{
	long status = 0;
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	/* An upload that was refused early may end with a broken pipe after its answer. */
	if (status >= 400)
		return refused(r, status, e);
	if (code != CURLE_OK)
		return failed(r, code, e);
	return status == 200 ? 0 : err_set(e, ERR_PROTOCOL, 0, "the peer answered with HTTP status %ld", status);
}

int http_ask(const Davit__MoverJob *job, const char *what, struct buf *body, struct err *e)
{
	struct http_request r;
	int rc = http_request_init(&r, job, what, e);
	if (rc == 0) {
		curl_easy_setopt(r.curl, CURLOPT_TIMEOUT_MS, (long)(job->timeout_ms ? job->timeout_ms : ASK_MS));
		rc = http_result(&r, curl_easy_perform(r.curl), e);
	}
	if (rc == 0)
		rc = buf_append(body, r.body.data, r.body.len, e);
	http_request_free(&r);
	return rc;
}

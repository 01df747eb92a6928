/* libcurl's easy interface, one handle for each client, reused so that a connection is. */
#include <curl/curl.h>
#include "agent/cli/transfer.h"
#include "base/lazy.h"

#define CONNECT_TIMEOUT_S 10L

#define CURL_FUNCTIONS(F)                                                                                                                            \
	F(curl_easy_init)                                                                                                                            \
	F(curl_easy_reset)                                                                                                                           \
	F(curl_easy_setopt)                                                                                                                          \
	F(curl_easy_getinfo) F(curl_easy_perform) F(curl_easy_cleanup) F(curl_easy_strerror) F(curl_slist_append) F(curl_slist_free_all)
#define DEFINE(name) static __typeof__(name) *lazy_##name;
CURL_FUNCTIONS(DEFINE)

#define ENTRY(name) { #name, &lazy_##name },
static const struct lazy_function functions[] = { CURL_FUNCTIONS(ENTRY) };

struct https {
	CURL *curl;
	char *base, *cert, *key, *cacert;
	struct transfer *now;
};

static int copy(char **to, const char *from, struct err *e)
{
	*to = mem_strdup(from, e);
	return *to ? 0 : -1;
}

struct https *https_open(const char *base, const char *cert, const char *key, const char *cacert, struct err *e)
{
	if (lazy_load("libcurl.so.4", functions, ARRAY_LEN(functions), e) < 0)
		return NULL;
	struct https *h = mem_new(1, sizeof(*h), e);
	if (!h)
		return NULL;
	h->curl = lazy_curl_easy_init();
	if (!h->curl)
		err_set(e, ERR_RESOURCE, 0, "libcurl does not start");
	if (h->curl && copy(&h->base, base, e) == 0 && copy(&h->cert, cert, e) == 0 && copy(&h->key, key, e) == 0 && copy(&h->cacert, cacert, e) == 0)
		return h;
	https_close(h);
	return NULL;
}

void https_close(struct https *h)
{
	if (!h)
		return;
	if (h->curl)
		lazy_curl_easy_cleanup(h->curl);
	free(h->base);
	free(h->cert);
	free(h->key);
	free(h->cacert);
	free(h);
}

static long status_of(const struct https *h)
{
	long status = 0;

	lazy_curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct https *h = arg;

	(void)size;
	h->now->status = status_of(h);
	return transfer_take(h->now, p, n) < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_need(char *p, size_t size, size_t n, void *arg)
{
	const struct transfer *t = arg;
	ssize_t got = t->give(t->arg, p, size * n);

	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int failed(const struct https *h, CURLcode code, const char *text, struct err *e)
{
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return transfer_no_agent(h->base, "is davitd running there?", e);
	return err_set(e, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO, 0, "%s: %s", h->base,
		       text[0] ? text : lazy_curl_easy_strerror(code));
}

static void set_up(struct https *h, struct transfer *t, const char *url, char *text)
{
	lazy_curl_easy_reset(h->curl);
	lazy_curl_easy_setopt(h->curl, CURLOPT_URL, url);
	lazy_curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, t->method);
	lazy_curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	lazy_curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	lazy_curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, text);
	lazy_curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_data);
	lazy_curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
	lazy_curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
	lazy_curl_easy_setopt(h->curl, CURLOPT_SSLCERT, h->cert);
	lazy_curl_easy_setopt(h->curl, CURLOPT_SSLKEY, h->key);
	lazy_curl_easy_setopt(h->curl, CURLOPT_CAINFO, h->cacert);
	lazy_curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	if (t->in) {
		lazy_curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, t->in->data ? t->in->data : "");
		lazy_curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE, (long)t->in->len);
	}
	if (t->give) {
		lazy_curl_easy_setopt(h->curl, CURLOPT_UPLOAD, 1L);
		lazy_curl_easy_setopt(h->curl, CURLOPT_READFUNCTION, on_need);
		lazy_curl_easy_setopt(h->curl, CURLOPT_READDATA, t);
		lazy_curl_easy_setopt(h->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->size);
	}
}

int transfer_https(struct https *h, struct transfer *t)
{
	auto_free char *url = mem_printf(t->e, "%s%s", h->base, t->path);
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;

	if (!url)
		return -1;
	h->now = t;
	set_up(h, t, url, text);
	headers = lazy_curl_slist_append(NULL, "Accept: " TRANSFER_MEDIA);
	headers = lazy_curl_slist_append(headers, "Expect:");
	if (t->in)
		headers = lazy_curl_slist_append(headers, "Content-Type: " TRANSFER_MEDIA);
	lazy_curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
	CURLcode code = lazy_curl_easy_perform(h->curl);
	lazy_curl_slist_free_all(headers);
	t->status = status_of(h);
	if (t->is_told)
		return -1;
	/* An answer that came before the body was sent is an answer. */
	return code == CURLE_OK || (t->give && t->status >= 400 && t->body.len) ? 0 : failed(h, code, text, t->e);
}

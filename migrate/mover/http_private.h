/* What http.c (setting up, questions) and http_move.c (the two streams) share. */
#pragma once
#include <curl/curl.h>
#include "base/fd.h"
#include "migrate/mover/http.h"

#define HTTP_ANSWER_MAX (256 << 10)

/* One request: its curl handle and what it needs as long as that lives. */
struct http_request {
	CURL *curl;
	struct curl_slist *headers;
	int pem[3]; /* memfds of CA, certificate, key: every TLS backend takes files, not all take memory */
	char why[CURL_ERROR_SIZE];
	struct buf body; /* of an answer that is no stream */
};
/* "…/v1/peer/moves/{id}/{what}". */
int http_request_init(struct http_request *r, const Davit__MoverJob *job, const char *what, struct err *e);
int http_request_header(struct http_request *r, const char *line, struct err *e);
void http_request_free(struct http_request *r);
/* The CN of the certificate that the peer showed on this connection. Owned, or NULL. */
char *http_peer_name(const struct http_request *r, struct err *e);
/* Collects an answer's body, bounded. For CURLOPT_WRITEFUNCTION with the request as its data. */
size_t http_collect(char *p, size_t size, size_t n, void *request);
/* Turns how a request ended into an error. 0: status 200. */
int http_result(struct http_request *r, CURLcode code, struct err *e);

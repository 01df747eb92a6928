/* The handlers of the API, one file for each resource, and what they share.
 *
 * A handler reads r->params, r->message and the query, leaves r->answer (or r->response, a stream) and returns 0, or -1 with e set. It runs in
 * the connection's own thread and may block; what takes long is a job (job/job.h). */
#pragma once
#include "agent/agent.h"
#include "agent/http/request.h"
#include "api.pb-c.h"

/* A core socket of the request's own, closed with its scope. */
struct api_core {
	struct request *r;
	struct core core;
	bool open;
};
int api_core_open(struct request *r, struct api_core *out, struct err *e);
/* Closes it; obstacles and reasons of its last error become the request's. */
void api_core_close(struct api_core *c);
#define auto_api_core auto_cleanup(api_core_close)

/* One request to the core and its only reply, as its own channel; *reply may be NULL if nobody wants it. 0 or -1. */
int api_call(struct request *r, Davit__CoreRequest *q, int timeout_ms, Davit__CoreReply **reply, struct err *e);
/* Waits until the container no longer runs. 1: stopped (*out owned), 0: time is over, -1. Looks at the connection and the agent's end. */
int api_wait_stopped(struct request *r, const char *name, int timeout_ms, Davit__ContainerStatus **out, struct err *e);
/* Answers with the container's view. 0 or -1. */
int api_answer_container(struct request *r, const char *name, struct err *e);
/* A query parameter as seconds, 0..max; `otherwise` if absent. 0 or -1. */
int api_query_seconds(const struct request *r, const char *name, uint64_t max, uint64_t otherwise, uint64_t *out, struct err *e);
/* A streamed answer: `read` fills buf (blocking) and returns bytes or MHD_CONTENT_READER_END_*; `done` frees arg. 0 or -1 (arg was freed). */
int api_stream(struct request *r, size_t block, MHD_ContentReaderCallback read, void *arg, MHD_ContentReaderFreeCallback done, struct err *e);

int container_list(struct request *r, struct err *e);
int container_create(struct request *r, struct err *e);
int container_get(struct request *r, struct err *e);
int container_delete(struct request *r, struct err *e);

int container_start(struct request *r, struct err *e);
int container_stop(struct request *r, struct err *e);
int container_kill(struct request *r, struct err *e);
int container_pause(struct request *r, struct err *e);
int container_update(struct request *r, struct err *e);
int container_resume(struct request *r, struct err *e);
int container_wait(struct request *r, struct err *e);

int container_stats(struct request *r, struct err *e);
int container_processes(struct request *r, struct err *e);
int container_clock(struct request *r, struct err *e);
int container_mobility(struct request *r, struct err *e);
int container_logs(struct request *r, struct err *e);

int container_exec(struct request *r, struct err *e);
int container_attach(struct request *r, struct err *e);
int exec_output(struct request *r, struct err *e);
int exec_input(struct request *r, struct err *e);
extern const struct upload exec_input_upload;

int container_migrate(struct request *r, struct err *e);
int migration_list(struct request *r, struct err *e);
int migration_get(struct request *r, struct err *e);
int migration_cancel(struct request *r, struct err *e);
int migration_resume(struct request *r, struct err *e);
int migration_resolve(struct request *r, struct err *e);

int operation_list(struct request *r, struct err *e);
int operation_get(struct request *r, struct err *e);
int operation_cancel(struct request *r, struct err *e);

int container_checkpoint(struct request *r, struct err *e);
int container_restore(struct request *r, struct err *e);
int snapshot_create(struct request *r, struct err *e);
int snapshot_list(struct request *r, struct err *e);
int snapshot_get(struct request *r, struct err *e);
int snapshot_delete(struct request *r, struct err *e);
int snapshot_restore(struct request *r, struct err *e);
int snapshot_prune(struct request *r, struct err *e);

int image_import(struct request *r, struct err *e);
extern const struct upload image_import_upload;
int image_list(struct request *r, struct err *e);
int image_delete(struct request *r, struct err *e);

/* again.c: as route's `again`. */
int container_create_again(struct request *r, struct err *e);
int container_change_again(struct request *r, struct err *e);
int operation_again(struct request *r, struct err *e);

int event_stream(struct request *r, struct err *e);
int node_get(struct request *r, struct err *e);
int peer_list(struct request *r, struct err *e);
int health_get(struct request *r, struct err *e);
int openapi_get(struct request *r, struct err *e);
int metrics_get(struct request *r, struct err *e);

int move_up(struct request *r, struct err *e);
extern const struct upload move_up_upload;
int move_down(struct request *r, struct err *e);
int move_verdict(struct request *r, struct err *e);
int move_state(struct request *r, struct err *e);

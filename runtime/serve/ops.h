/* Requests: what serves each, on what conditions.
 *
 * An op fills its answer; the caller sends it. What it made and did not finish is undone before it returns -1. Ops run in a child of their own, so
 * they may block, hold locks and set process attributes; `inline` ones run in the loop and may do none of it. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "base/fd.h"
#include "proto/pb.h"
#include "runtime/serve/serve.h"

struct request {
	const struct core *core;
	const Davit__CoreRequest *msg;
	const char *name; /* what it is about, checked; NULL for none */
	int sock;	  /* where replies go */
	int cancel;	  /* readable when the asker is gone; -1 for inline ops */
};

/* The last reply. Owned parts; answer_free(). */
struct answer {
	Davit__CoreReply *reply;
	int fds[FD_PASS_MAX];
	size_t nfds;
	Davit__Error *error; /* what struct err cannot hold (obstacles, reasons), or NULL */
};
int answer_init(struct answer *a, uint64_t id, struct err *e);
void answer_free(struct answer *a);
/* Sends it, or the error if there is one. 0 or -1 (the asker is gone). */
int answer_send(struct answer *a, int sock, const struct err *error, struct err *e);
/* Sends an interim reply with StreamsReady and these descriptors (borrowed). */
int request_streams(const struct request *r, const int *fds, size_t nfds, struct err *e);
/* Sends an interim reply with this much of a list. */
int request_part(const struct request *r, Davit__CoreReply *part, struct err *e);

enum op_about { ABOUT_HOST, ABOUT_CONTAINER, ABOUT_IMAGE, ABOUT_NETWORK };
struct op {
	const char *name;
	int (*serve)(const struct request *r, struct answer *a, struct err *e);
	enum op_about about;
	bool lock;	   /* holds the container's lock */
	bool cancel;	   /* ends when its asker is gone */
	bool inline_;	   /* served by the loop */
	const char *event; /* told to subscribers when it went well */
	/* What its process left if it was killed is put right; in a child. NULL: nothing, or the next start of the core does it. */
	int (*undo)(const struct core *c, const char *name, struct err *e);
};
/* The op of a request; NULL if it has none that we know. */
const struct op *op_of(const Davit__CoreRequest *msg);
/* The name the request is about, NULL for none: member `name` of its message, or of its spec. Borrowed, unchecked. */
const char *op_name(const Davit__CoreRequest *msg);
/* Serves the request and answers it. Returns 0, or -1 after the error was sent. */
int op_run(const struct op *op, const struct request *r);

/* create.c */
int op_create(const struct request *r, struct answer *a, struct err *e);
/* lifecycle.c */
int op_start(const struct request *r, struct answer *a, struct err *e);
int op_kill(const struct request *r, struct answer *a, struct err *e);
int op_delete(const struct request *r, struct answer *a, struct err *e);
int op_pause(const struct request *r, struct answer *a, struct err *e);
int op_resume(const struct request *r, struct answer *a, struct err *e);
/* query.c */
int op_get(const struct request *r, struct answer *a, struct err *e);
int op_list(const struct request *r, struct answer *a, struct err *e);
int op_stats(const struct request *r, struct answer *a, struct err *e);
int op_processes(const struct request *r, struct answer *a, struct err *e);
int op_clock(const struct request *r, struct answer *a, struct err *e);
int op_check(const struct request *r, struct answer *a, struct err *e);
/* exec.c */
int op_exec(const struct request *r, struct answer *a, struct err *e);
int op_attach(const struct request *r, struct answer *a, struct err *e);
/* dump.c, restore.c */
int op_dump(const struct request *r, struct answer *a, struct err *e);
int op_restore_prepare(const struct request *r, struct answer *a, struct err *e);
int op_restore_run(const struct request *r, struct answer *a, struct err *e);
int op_restore_drop(const struct request *r, struct answer *a, struct err *e);
/* memory.c, layer_copy.c, throttle.c */
int op_memory(const struct request *r, struct answer *a, struct err *e);
int op_layer_copy(const struct request *r, struct answer *a, struct err *e);
int op_throttle(const struct request *r, struct answer *a, struct err *e);
/* Whether CPU is taken from the container, or was by a process that fell. */
bool throttle_is_marked(const struct core *c, const char *name);
/* Puts its limits back once who takes CPU from it is gone, if that one did not do so itself. Waits. */
int throttle_undo(const struct core *c, const char *name, struct err *e);
/* filling.c */
int op_memory_attach(const struct request *r, struct answer *a, struct err *e);
int op_memory_wait(const struct request *r, struct answer *a, struct err *e);
/* Waits for what an earlier move has not given to the container yet: read now, it would be taken for empty. 0; -1 (ERR_STATE: it takes too long). */
int filling_wait(const struct request *r, struct err *e);
/* images.c, networks.c, facts.c */
int op_image_import(const struct request *r, struct answer *a, struct err *e);
int op_image_list(const struct request *r, struct answer *a, struct err *e);
int op_image_remove(const struct request *r, struct answer *a, struct err *e);
int op_network_ensure(const struct request *r, struct answer *a, struct err *e);
int op_network_remove(const struct request *r, struct answer *a, struct err *e);
int op_announce(const struct request *r, struct answer *a, struct err *e);
int op_facts(const struct request *r, struct answer *a, struct err *e);
int op_update(const struct request *r, struct answer *a, struct err *e);
int op_vet(const struct request *r, struct answer *a, struct err *e);

/* Puts the container's status into the answer. */
int answer_status(struct answer *a, const struct core *c, const char *name, struct err *e);

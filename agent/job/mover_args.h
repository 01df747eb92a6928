/* What a move was asked to be, as its job keeps it. */
#pragma once
#include "agent/job/group.h"
#include "api.pb-c.h"

struct agent;

struct move_args {
	Davit__MoverJob job; /* strings owned by args or borrowed from the agent */
	char *url, *peer, *policy, *id, *container_id, *mode, *compress, *group;
	struct group_member *member; /* owned; NULL: a move of its own */
	int64_t timeout_ns;	     /* 0: none */
	bool recover;		     /* no mover to start: its journal is there */
};
/* For job_kind.free_arg. */
void move_args_free(void *arg);
/* Whether the request is one that this host can carry out. 0 or -1. */
int move_args_check(const struct agent *a, const Davit__MigrateRequest *m, struct err *e);
/* The job's strings from the request and the container. It joins its group, if it has one. 0 or -1. */
int move_args_fill(struct agent *a, struct move_args *args, const Davit__MigrateRequest *m, const Davit__Container *c, const char *id, struct err *e);

/* The loop's parts: sources of events, channels to the agent, jobs that serve requests. See serve.h. */
#pragma once
#include <stdint.h>
#include "runtime/serve/ops.h"

struct loop;

/* A descriptor in the epoll set; first member of what it belongs to. */
struct source {
	int fd;
	void (*ready)(struct loop *l, struct source *s);
};

/* A socket of the agent or of a worker of its. */
struct channel {
	struct source source;
	struct channel *next;
	char name[65]; /* "" or the only container it may ask about */
	bool first;    /* the inherited one: its end is ours */
	bool subscribed;
};

/* A child that serves a request (channel and id), or does what nobody asked for (channel NULL, op NULL): puts away a container that ended, … */
struct job {
	struct source source; /* a pidfd */
	struct job *next;
	pid_t pid;
	int cancel; /* write end: closed when the asker is gone */
	struct channel *channel;
	uint64_t id;
	const struct op *op;
	char name[65];
	bool container_ended; /* meanwhile: to be told after its own event */
};

struct loop {
	const struct core *core;
	int epoll;
	struct source signals, inotify;
	struct channel *channels;
	struct job *jobs;
	size_t njobs;
	struct watched *watched; /* events.c */
	size_t nwatched, watched_cap;
	int containers_wd;
	bool ending;
};

int loop_add(struct loop *l, struct source *s, struct err *e);
void loop_remove(struct loop *l, struct source *s);

/* channel.c */
int channel_add(struct loop *l, int fd, const char *name, bool first, struct err *e); /* owns fd */
void channel_close(struct loop *l, struct channel *c);
/* To all that subscribed. */
void channel_event(struct loop *l, const char *type, const char *name);
/* Sends an error as the last reply to a request. */
void channel_refuse(struct loop *l, struct channel *c, uint64_t id, const struct err *error);

/* job.c */
int job_serve(struct loop *l, struct channel *c, const struct op *op, const Davit__CoreRequest *msg, const char *name, struct err *e);
/* Takes up what processes of an earlier core left undone. */
int job_take_up(struct loop *l, struct err *e);
/* Puts away the container, which has stopped. */
void job_put_away(struct loop *l, const char *name);
/* Whether the container is being started just now: then its end is told once that is done and told. */
bool job_defers_exit(struct loop *l, const char *name);
void job_cancel_of(struct loop *l, const struct channel *c);

/* events.c */
int events_open(struct loop *l, struct err *e);
/* The container has ended: tells, and puts it away. */
void events_tell_exit(struct loop *l, const char *name);
void events_close(struct loop *l);

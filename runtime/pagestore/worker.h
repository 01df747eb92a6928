/* The process that does the page store's work: one loop over the memory socket, the restored tasks' descriptors, CRIU's socket and the core's. */
#pragma once
#include <sys/epoll.h>
#include "runtime/pagestore/intake.h"

#define CLIENTS_MAX 16

struct worker;
/* A descriptor in the loop; closed by watch_close(). */
struct watch {
	int fd; /* -1: none */
	void (*ready)(struct worker *w, struct watch *at, uint32_t events);
	bool waits;   /* a client that waits for the end */
	bool starts;  /* … for the start of the filling */
	bool writing; /* EPOLLOUT is watched as well */
};

struct worker {
	struct arena *a;
	struct fill fill;
	struct intake intake;
	int epoll, images_dirfd;
	int control, lazy; /* listening sockets */
	struct watch control_watch, lazy_watch, memory, init, tasks, clients[CLIENTS_MAX];
	uint32_t task_pid; /* whose descriptor comes next on `tasks`, or 0 */
	struct watch uffds[ARENA_SPACES_MAX];
	uint8_t *buffer;
	int64_t tick; /* ns of CLOCK_MONOTONIC: the next time to look at what tells nothing */
	bool end;     /* all is done */
	bool failed;  /* the container cannot go on rightly */
};

/* Serves until nothing is left to do. 0; -1: the container's memory is lost. */
int worker_run(struct arena *a, int control, int lazy, int images_dirfd);

int watch_open(struct worker *w, struct watch *at, int fd, void (*ready)(struct worker *w, struct watch *at, uint32_t events), struct err *e);
void watch_close(struct worker *w, struct watch *at);
/* Watches a task's descriptor. 0 or -1. */
int worker_watch_space(struct worker *w, struct arena_space *s, struct err *e);
/* The memory socket, from now on; taken over. */
void worker_attach(struct worker *w, int fd);
/* Reads all that the memory socket holds by now. */
void worker_take_all(struct worker *w);
/* All tasks are gone, or were never whole: their descriptors are let go. */
void worker_forget_tasks(struct worker *w);

/* tasks.c: CRIU connects, and hands over what it restores. */
void tasks_ready(struct worker *w, struct watch *at, uint32_t events);
/* The tasks of a restore are let in, if all is there that was sent before the freeze; those of one that cannot go well are refused. */
void tasks_admit(struct worker *w);
/* control.c: the end of the container's init, which the arena names, is that of the store. */
int worker_watch_init(struct worker *w, struct err *e);
/* The core asks. */
void control_ready(struct worker *w, struct watch *at, uint32_t events);
/* Tells those that wait how far it is, or that it is complete. */
void control_tell(struct worker *w);
/* Answers those that wait for the start of the filling, if it has come or cannot come any more. */
void control_tell_start(struct worker *w);

/* Tasks: parts of a request that run at the same time, each in a child of its own with no descriptors but those that it is given. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct task {
	pid_t pid;
	int fd;		  /* its result comes here */
	const char *what; /* "images": put before its error */
	uint64_t bytes;	  /* its result */
	bool done;
};

/* Starts run(arg, &bytes, e) in a child that keeps the n descriptors in fds and closes all others (0-2 stay). It dies with its parent. */
int task_start(struct task *t, const char *what, const int *fds, size_t n, int (*run)(void *arg, uint64_t *bytes, struct err *e), void *arg,
	       struct err *e);
/* Waits for all. The first failure, or `cancel` becoming readable (-1: never), ends the others. 0 or -1. No limit of time: they take what their peers
 * take. */
int task_wait_all(struct task *t, size_t n, int cancel, struct err *e);
/* The same, but returns as soon as t[which] is done; the others go on. */
int task_wait_one(struct task *t, size_t n, size_t which, int cancel, struct err *e);
/* Ends those that still run. */
void task_end_all(struct task *t, size_t n);

/* A job, as job.c and watch.c share it. */
#pragma once
#include <stdatomic.h>
#include "agent/agent.h"

struct job {
	struct job *next;
	struct agent *agent;
	const struct job_kind *kind;
	void *arg;
	Davit__Operation *op; /* under the table's lock */
	Davit__Error *details;
	int cancel_fd, wake_fd;
	atomic_bool cancelled;
	int64_t window_start; /* CLOCK_MONOTONIC: since when the rate is measured, and from how many bytes */
	uint64_t window_bytes;
};

/* Starting davit-monitor, and through it davit-runtime create, restore or exec: the agent's containers are made by the programs that podman and
 * containerd would run, there is no second way. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "runtime/serve/serve.h"

#define LAUNCH_GO 7

struct launch {
	const char *id;
	const char *pid_file, *exit_file, *attach;
	const char *log; /* NULL: none (an exec session) */
	uint64_t log_max_bytes, log_max_files;
	const Davit__ProcessSpec *process; /* terminal, stdin, rows, columns */
	int attach_fd;			   /* the first client's socket, or -1 */
	int go_fd;			   /* davit-runtime's as LAUNCH_GO, or -1 */
	const struct strv *command;	   /* of davit-runtime: name of the command, options, id */
};

/* Runs it and waits until the monitor says how it went. Returns the pid of the process that it holds, or -1; *rich (owned) then may get what
 * davit-runtime said beyond struct err. Nothing is left of a launch that failed but its log. */
pid_t launch_run(const struct core *c, const struct launch *l, Davit__Error **rich, struct err *e);
/* The two halves of it. sync and error: written to by the monitor and davit-runtime, read for the outcome. */
int launch_begin(const struct core *c, const struct launch *l, int sync, int error, struct err *e);
pid_t launch_outcome(int sync, int error, Davit__Error **rich, struct err *e);
/* Begins a command of davit-runtime: its name and --pid-file. */
int launch_command(struct strv *out, const char *name, const char *pid_file, struct err *e);

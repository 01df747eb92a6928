/* The client's end of a session of exec or attach: output frames to stdout and stderr, stdin and the terminal's size as input frames.
 *
 * With a terminal, ours is put into raw mode until the end. The input runs in a thread of its own, since both directions block. */
#pragma once
#include "agent/cli/cli.h"

struct session_options {
	bool stdin_open, terminal;
	/* Called once the output stream is open (run starts its container then), or NULL. */
	int (*opened)(void *arg, struct err *e);
	void *arg;
};
/* Runs the session to its end. Returns the process's exit code, or -1. */
int session_run(struct cli *c, const char *id, const struct session_options *o, struct err *e);

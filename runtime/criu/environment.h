/* The environment that criu runs in: nothing of the caller's, who might otherwise choose which programs criu starts, or its configuration ($HOME). */
#pragma once
#include <limits.h>

struct criu_environment {
	char path[2 * PATH_MAX];
	char *envp[2];
};

/* PATH is the system's, with the folder of our own tar (runtime/tar) before it where that is installed. */
void criu_environment_make(struct criu_environment *env);

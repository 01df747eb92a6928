/* Threads that nobody waits for. */
#pragma once
#include <stddef.h>
#include "base/err.h"

/* Starts run(arg) on a stack of so many bytes; it ends by itself. what: "a job", for the error. 0, or -1: arg is still the caller's. */
int thread_detach(size_t stack, void *(*run)(void *), void *arg, const char *what, struct err *e);

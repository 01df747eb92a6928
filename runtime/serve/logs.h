/* A container's log as it travels: its files one after the other, oldest first. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "runtime/serve/place.h"

/* Writes the log to fd: what is there now at once, and when `done` (a pipe's read end) closes what came meanwhile. */
int logs_send(const struct place *p, int fd, int done, uint64_t *bytes, struct err *e);
/* Stores a stream as the start of the log, at most max bytes of it; the rest is read and forgotten. */
int logs_receive(const struct core *c, const struct place *p, int fd, uint64_t max, uint64_t *bytes, struct err *e);

/* The source of a moving container's memory, in its simplest form: frozen processes are read, nothing is tracked. */
#pragma once
#include <stddef.h>

/* Serves a memory socket. mode: what is sent at first: "all", "half" (every other stretch of 16 pages, the rest told as unknown), "none"; then
 * MARK 1. FETCHes are answered. SIGUSR1: all is sent, then END. Returns when the socket is closed. processes: "HOST_PID:PID" each, the latter in the
 * container. */
void source_serve(int sock, const char *mode, char **processes, size_t n);

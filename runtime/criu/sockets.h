/* Connections that a killed CRIU left in repair mode (tcp(7), TCP_REPAIR), in which they neither send nor receive: its own way of leaving them is
 * only taken when it ends by itself. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Takes every TCP socket of these processes, which stand still, out of repair mode. What cannot be is left and logged. */
void criu_sockets_let_go(const pid_t *pids, size_t n);

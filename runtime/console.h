/* Terminals: the pty of a container, and how its master reaches who asked for it. Sources: pty(7), ioctl_tty(2) (TIOCGPTPEER), unix(7) (SCM_RIGHTS),
 * runc's docs/terminals.md (one message with the name of the slave and one descriptor). */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "oci.pb-c.h"

/* Parent: connects to a console socket. Returns an owned fd, or -1. */
int console_connect(const char *path, struct err *e);
/* Parent: a connected pair, when the runtime itself passes the terminal on. */
int console_pair(int *mine, int *childs, struct err *e);
/* Parent: the master, sent by console_open(). Returns an owned fd. */
int console_receive(int sock, struct err *e);
/* Init: a new pty of the container's own devpts (rootfd: its root), its master sent over sock. Returns an owned fd of the slave. */
int console_open(int rootfd, int sock, const Davit__OciBox *size, struct err *e);
/* Sends a master with the name of its slave, as console sockets take it. */
int console_send(int sock, int master, const char *name, struct err *e);
/* Init: the slave at /dev/console, made if missing. */
int console_mount(int rootfd, int slave, struct err *e);

/* Parent: receives a master and gives it the size of the caller's terminal, if that is one. Before the program runs, which may ask for it at once. */
int console_take(int sock, struct err *e);

/* Parent: passes bytes between the caller's terminal (made raw meanwhile) or stdio and a master until a child ends, follows window sizes, and passes
 * signals on to the child. master -1: signals only. Returns the wait status of pid. */
int console_proxy(int master, pid_t pid, int pidfd, struct err *e);

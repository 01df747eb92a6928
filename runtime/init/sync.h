/* What the parent and a starting process say to each other: datagrams over a SOCK_SEQPACKET pair, in the order of this list. Either side may say
 * SYNC_ERROR instead, or end. The socket is O_CLOEXEC: its end tells the parent that the program runs. */
#pragma once
#include <stdint.h>
#include "base/err.h"

enum sync_type {
	SYNC_PID = 1, /* intermediate → parent: pid of the process it made */
	SYNC_GO,      /* parent → init: your ids are mapped */
	SYNC_MOUNTED, /* init → parent: mounts are made, the root is not pivoted yet; only with hooks */
	SYNC_HOOKED,  /* parent → init: the host's hooks have run */
	SYNC_SECCOMP, /* init → parent: number of the seccomp listener's fd */
	SYNC_TAKEN,   /* parent → init: the listener has been taken */
	SYNC_READY,   /* init → parent: everything is done but exec */
	SYNC_RUN,     /* parent → init: exec, or wait at the fifo */
	SYNC_ERROR,
};

int sync_send(int sock, enum sync_type type, int value, struct err *e);
void sync_send_error(int sock, const struct err *what);
/* Waits for `want`. value may be NULL. Returns 0; -1 with the other side's error, or ERR_STATE if it ended. */
int sync_wait(int sock, enum sync_type want, int *value, struct err *e);
/* Waits for the other side to end or to tell an error: 0 or -1 with it. */
int sync_wait_end(int sock, struct err *e);
/* After a failure in dealing with the other stage: the error that it told before it ended, if any, takes the place of e. */
void sync_prefer_told(int sock, struct err *e);

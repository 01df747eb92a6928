/* What is said over a monitor's attach socket (SOCK_SEQPACKET): one datagram is one type byte and its data. Kept free of protobuf, so that
 * the monitor stays small. Towards the client: STDOUT, STDERR, EXIT. Towards the monitor: STDIN, STDIN_EOF, RESIZE. A client that only
 * listens may be one of several; a datagram that a slow client cannot take within a second ends that client, never the container. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define ATTACH_DATA_MAX 32768
enum attach_type {
	ATTACH_STDOUT = 'o', /* bytes */
	ATTACH_STDERR = 'e',
	ATTACH_EXIT = 'x', /* i32 big-endian: exit code, 128 + signal; the last datagram */
	ATTACH_STDIN = 'i',
	ATTACH_STDIN_EOF = 'z',
	ATTACH_RESIZE = 'r', /* u16 rows, u16 columns, big-endian */
};
struct attach_msg {
	enum attach_type type;
	const uint8_t *data; /* borrowed: into the buffer that was parsed */
	size_t n;
	int32_t exit_code;
	uint16_t rows, columns;
};
/* Sends one message. 0 or -1 (ERR_BUSY: the socket is non-blocking or has a time limit, and the peer does not read). */
int attach_send(int sock, const struct attach_msg *m, struct err *e);
/* Parses a datagram. 0 or -1 (ERR_PROTOCOL). */
int attach_parse(const uint8_t *p, size_t n, struct attach_msg *out, struct err *e);

/* Messages in memory and over sockets.
 *
 * `auto_pb(Davit__Error) *m = NULL;` frees on leaving the scope. A message built by hand is freed the same way only if everything in it
 * came from malloc; messages on the stack that borrow their strings are not freed at all. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "spec.pb-c.h"

static inline void pb_freep(void *p)
{
	ProtobufCMessage *m = *(ProtobufCMessage **)p;
	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
	*(void **)p = NULL;
}
#define auto_pb(type) auto_cleanup(pb_freep) type

#define PB_DATAGRAM_MAX (192 << 10) /* below net.core.wmem_default, so that every socket takes it */

/* Packs m at the end of out. 0 or -1 (ERR_INTERNAL if a required field is missing). */
int pb_pack(const ProtobufCMessage *m, struct buf *out, struct err *e);
/* Owned message, or NULL (ERR_CORRUPT, "what" named). */
void *pb_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char *what, struct err *e);
/* A deep copy (by packing). */
void *pb_dup(const ProtobufCMessage *m, struct err *e);
/* One message a datagram of a SOCK_SEQPACKET socket, with descriptors (borrowed). */
int pb_send(int sock, const ProtobufCMessage *m, const int *fds, size_t nfds, struct err *e);
/* *out: owned message. As fd_recv_msg for fds. 1, 0 at end, -1. */
int pb_recv(int sock, const ProtobufCMessageDescriptor *d, void *out, int *fds, size_t *nfds, struct err *e);
/* Whole files of one message: written atomically; read with a limit. */
int pb_write_file(int dirfd, const char *name, const ProtobufCMessage *m, mode_t mode, bool durable, struct err *e);
void *pb_read_file(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, size_t max, struct err *e);

/* struct err to the wire and back. pb_error: owned message (NULL only without memory). */
Davit__Error *pb_error(const struct err *from);
void pb_error_get(const Davit__Error *from, struct err *to);

/* Setting optional fields of a message that was built by hand (allocated members). */
int pb_set_str(char **field, const char *value, struct err *e);
/* Appends an owned message to a repeated field: pb_push(&m->n_mounts, &m->mounts, mount, e). Owns item also when it fails. */
int pb_push(size_t *n, void *array, void *item, struct err *e);
int pb_push_str(size_t *n, char ***array, const char *value, struct err *e);
/* A new zero message of a type, on the heap. */
void *pb_new(const ProtobufCMessageDescriptor *d, struct err *e);

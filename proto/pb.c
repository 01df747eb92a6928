/* Messages: building, packing, sockets, files. What comes from outside is checked by pb_scan before it is unpacked. */
#include "proto/pb.h"
#include <errno.h>
#include <string.h>
#include "base/file.h"
#include "proto/pb_scan.h"

/* A required pointer that is NULL somewhere in m: its field, else NULL. protobuf-c would pack an empty string for it, or crash. */
static const ProtobufCFieldDescriptor *missing_field(const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *found = NULL;
	for (unsigned i = 0; i < m->descriptor->n_fields && !found; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *base = (const char *)m;
		if (f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_STRING)
			continue;
		bool is_message = f->type == PROTOBUF_C_TYPE_MESSAGE;
		if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)(base + f->quantifier_offset) != f->id)
			continue;
		bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
		size_t n = repeated ? *(const size_t *)(base + f->quantifier_offset) : 1;
		void *const *items = repeated ? *(void **const *)(base + f->offset) : (void *const *)(base + f->offset);
		bool needed = f->label != PROTOBUF_C_LABEL_OPTIONAL;
		for (size_t k = 0; k < n && !found; k++)
			found = !items[k] ? (needed ? f : NULL) : is_message ? missing_field(items[k]) : NULL;
	}
	return found;
}

int pb_pack(const ProtobufCMessage *m, struct buf *out, struct err *e)
{
	const ProtobufCFieldDescriptor *missing = missing_field(m);
	if (missing)
		return err_set(e, ERR_INTERNAL, 0, "pack %s: required field %s is not set", m->descriptor->name, missing->name);
	size_t n = protobuf_c_message_get_packed_size(m);
	if (buf_reserve(out, n, e) < 0)
		return -1;
	out->len += protobuf_c_message_pack(m, (uint8_t *)out->data + out->len);
	out->data[out->len] = '\0';
	return 0;
}

void *pb_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char *what, struct err *e)
{
	if (pb_scan(d, p, n, what, e) < 0)
		return NULL;
	void *m = protobuf_c_message_unpack(d, NULL, n, p);
	if (!m)
		err_set(e, ERR_CORRUPT, 0, "%s: not a message of type %s", what, d->name);
	return m;
}

void *pb_dup(const ProtobufCMessage *m, struct err *e)
{
	auto_buf struct buf b = { 0 };
	if (pb_pack(m, &b, e) < 0)
		return NULL;
	void *copy = protobuf_c_message_unpack(m->descriptor, NULL, b.len, (const uint8_t *)b.data);
	if (!copy)
		err_set(e, ERR_RESOURCE, ENOMEM, "copy %s", m->descriptor->name);
	return copy;
}

int pb_send(int sock, const ProtobufCMessage *m, const int *fds, size_t nfds, struct err *e)
{
	auto_buf struct buf b = { 0 };
	if (pb_pack(m, &b, e) < 0)
		return -1;
	if (b.len == 0 || b.len > PB_DATAGRAM_MAX) /* an empty datagram would read as the end */
		return err_set(e, ERR_LIMIT, 0, "send %s: %zu bytes, one message has 1 to %d", m->descriptor->name, b.len, PB_DATAGRAM_MAX);
	return fd_send_msg(sock, b.data, b.len, fds, nfds, e);
}

static void close_all(int *fds, size_t *nfds)
{
	for (size_t i = 0; nfds && i < *nfds; i++)
		fd_closep(&fds[i]);
	if (nfds)
		*nfds = 0;
}

int pb_recv(int sock, const ProtobufCMessageDescriptor *d, void *out, int *fds, size_t *nfds, struct err *e)
{
	auto_free void *data = mem_new(1, PB_DATAGRAM_MAX, e);
	if (!data)
		return -1;
	ssize_t n = fd_recv_msg(sock, data, PB_DATAGRAM_MAX, fds, nfds, e);
	if (n <= 0) {
		if (n == 0)
			close_all(fds, nfds);
		return (int)n;
	}
	void *m = pb_unpack(d, data, (size_t)n, "received message", e);
	if (!m) {
		close_all(fds, nfds);
		return -1;
	}
	memcpy(out, &m, sizeof(m));
	return 1;
}

int pb_write_file(int dirfd, const char *name, const ProtobufCMessage *m, mode_t mode, bool durable, struct err *e)
{
	auto_buf struct buf b = { 0 };
	return pb_pack(m, &b, e) < 0 ? -1 : file_write_atomic(dirfd, name, b.data, b.len, mode, durable, e);
}

void *pb_read_file(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, size_t max, struct err *e)
{
	size_t n;
	auto_free char *data = file_read(dirfd, name, max, &n, e);
	return data ? pb_unpack(d, data, n, name, e) : NULL;
}

Davit__Error *pb_error(const struct err *from)
{
	auto_pb(Davit__Error) *m = pb_new(&davit__error__descriptor, NULL);
	if (!m || pb_set_str(&m->code, err_info(from->code)->name, NULL) < 0 || pb_set_str(&m->message, from->msg, NULL) < 0)
		return NULL;
	if (from->field[0] && pb_set_str(&m->field, from->field, NULL) < 0)
		return NULL;
	if (from->remedy[0] && pb_set_str(&m->remedy, from->remedy, NULL) < 0)
		return NULL;
	return steal_ptr(&m);
}

void pb_error_get(const Davit__Error *from, struct err *to)
{
	err_set(to, err_code_of(from->code), 0, "%s", from->message);
	if (from->remedy)
		err_remedy(to, "%s", from->remedy);
	err_prefix_field(to, from->field);
	if (to && from->field)
		to->field[strnlen(from->field, ERR_FIELD_MAX - 1)] = '\0';
}

int pb_set_str(char **field, const char *value, struct err *e)
{
	char *copy = value ? mem_strdup(value, e) : NULL;
	if (value && !copy)
		return -1;
	free(*field);
	*field = copy;
	return 0;
}

/* Makes room for one more pointer. A repeated field has no capacity, and one that was unpacked or parsed is just as long as it is: so it is asked of
 * the allocator each time, for the next power of two, which costs nothing while the array has that size already. */
static int grow_array(size_t n, void *array, struct err *e)
{
	void *old, *grown;
	size_t room = 4;
	while (room <= n)
		room *= 2;
	memcpy(&old, array, sizeof(old));
	grown = reallocarray(old, room, sizeof(void *));
	if (!grown)
		return err_set(e, ERR_RESOURCE, ENOMEM, "grow a field to %zu items", n + 1);
	memcpy(array, &grown, sizeof(grown));
	return 0;
}

int pb_push(size_t *n, void *array, void *item, struct err *e)
{
	if (!item)
		return -1;
	if (grow_array(*n, array, e) < 0) {
		pb_freep(&item);
		return -1;
	}
	void **items;
	memcpy(&items, array, sizeof(items));
	items[(*n)++] = item;
	return 0;
}

int pb_push_str(size_t *n, char ***array, const char *value, struct err *e)
{
	auto_free char *copy = mem_strdup(value, e);
	if (!copy || grow_array(*n, array, e) < 0)
		return -1;
	(*array)[(*n)++] = steal_ptr(&copy);
	return 0;
}

void *pb_new(const ProtobufCMessageDescriptor *d, struct err *e)
{
	void *m = malloc(d->sizeof_message);
	if (m)
		protobuf_c_message_init(d, m);
	else
		err_set(e, ERR_RESOURCE, ENOMEM, "make %s", d->name);
	return m;
}

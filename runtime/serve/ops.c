/* The table of ops, and the frame around each: lock, serve, answer. */
#include "runtime/serve/ops.h"

#include <stddef.h>
#include "base/log.h"
#include "runtime/serve/records.h"

/* A request waits this long for those before it that concern the same container. */
#define LOCK_WAIT_MS 30000

#define CASE(x) DAVIT__CORE_REQUEST__OP_##x
static const struct op ops[] = {
	[CASE(FACTS)] = { .name = "facts", .serve = op_facts },
	[CASE(VET)] = { .name = "vet", .serve = op_vet },
	[CASE(CHANNEL)] = { .name = "channel", .inline_ = true },
	[CASE(SUBSCRIBE)] = { .name = "subscribe", .inline_ = true },
	[CASE(CREATE)] = { .name = "create", .serve = op_create, .about = ABOUT_CONTAINER, .lock = true, .event = "container.created" },
	[CASE(START)] = { .name = "start", .serve = op_start, .about = ABOUT_CONTAINER, .lock = true, .event = "container.started" },
	[CASE(KILL)] = { .name = "kill", .serve = op_kill, .about = ABOUT_CONTAINER, .lock = true },
	[CASE(DELETE)] = { .name = "delete", .serve = op_delete, .about = ABOUT_CONTAINER, .lock = true, .event = "container.removed" },
	[CASE(UPDATE)] = { .name = "update", .serve = op_update, .about = ABOUT_CONTAINER, .lock = true, .event = "container.updated" },
	[CASE(GET)] = { .name = "get", .serve = op_get, .about = ABOUT_CONTAINER, .inline_ = true },
	[CASE(LIST)] = { .name = "list", .serve = op_list },
	[CASE(PAUSE)] = { .name = "pause", .serve = op_pause, .about = ABOUT_CONTAINER, .lock = true, .event = "container.paused" },
	[CASE(RESUME)] = { .name = "resume", .serve = op_resume, .about = ABOUT_CONTAINER, .lock = true, .event = "container.resumed" },
	[CASE(EXEC)] = { .name = "exec", .serve = op_exec, .about = ABOUT_CONTAINER, .lock = true },
	[CASE(ATTACH)] = { .name = "attach", .serve = op_attach, .about = ABOUT_CONTAINER },
	[CASE(STATS)] = { .name = "stats", .serve = op_stats, .about = ABOUT_CONTAINER },
	[CASE(PROCESSES)] = { .name = "processes", .serve = op_processes, .about = ABOUT_CONTAINER },
	[CASE(CLOCK)] = { .name = "clock", .serve = op_clock, .about = ABOUT_CONTAINER },
	[CASE(CHECK)] = { .name = "check", .serve = op_check, .about = ABOUT_CONTAINER },
	[CASE(DUMP)] = { .name = "dump", .serve = op_dump, .about = ABOUT_CONTAINER, .lock = true, .cancel = true },
	[CASE(RESTORE_PREPARE)] = { .name = "restore_prepare", .serve = op_restore_prepare, .about = ABOUT_CONTAINER, .lock = true, .cancel = true },
	[CASE(RESTORE_RUN)] = { .name = "restore_run", .serve = op_restore_run, .about = ABOUT_CONTAINER, .lock = true },
	[CASE(RESTORE_DROP)] = { .name = "restore_drop", .serve = op_restore_drop, .about = ABOUT_CONTAINER, .lock = true },
	[CASE(IMAGE_IMPORT)] = { .name = "image_import", .serve = op_image_import, .about = ABOUT_IMAGE, .cancel = true },
	[CASE(IMAGE_LIST)] = { .name = "image_list", .serve = op_image_list },
	[CASE(IMAGE_REMOVE)] = { .name = "image_remove", .serve = op_image_remove, .about = ABOUT_IMAGE },
	[CASE(NETWORK_ENSURE)] = { .name = "network_ensure", .serve = op_network_ensure, .about = ABOUT_NETWORK },
	[CASE(NETWORK_REMOVE)] = { .name = "network_remove", .serve = op_network_remove, .about = ABOUT_NETWORK },
	[CASE(MEMORY)] = { .name = "memory", .serve = op_memory, .about = ABOUT_CONTAINER },
	[CASE(LAYER_COPY)] = { .name = "layer_copy", .serve = op_layer_copy, .about = ABOUT_CONTAINER, .cancel = true },
	[CASE(THROTTLE)] = { .name = "throttle", .serve = op_throttle, .about = ABOUT_CONTAINER, .cancel = true, .undo = throttle_undo },
	[CASE(MEMORY_ATTACH)] = { .name = "memory_attach", .serve = op_memory_attach, .about = ABOUT_CONTAINER },
	[CASE(
	    MEMORY_WAIT)] = { .name = "memory_wait", .serve = op_memory_wait, .about = ABOUT_CONTAINER, .cancel = true, .event = "container.filled" },
	[CASE(ANNOUNCE)] = { .name = "announce", .serve = op_announce, .about = ABOUT_CONTAINER },
};

const struct op *op_of(const Davit__CoreRequest *msg)
{
	size_t i = (size_t)msg->op_case;
	return i < ARRAY_LEN(ops) && ops[i].name ? &ops[i] : NULL;
}

static void *member(const ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
	return f ? *(void *const *)((const char *)m + f->offset) : NULL;
}

const char *op_name(const Davit__CoreRequest *msg)
{
	const ProtobufCMessage *m = (const ProtobufCMessage *)msg->facts; /* any member of the union: all are messages */
	const ProtobufCMessage *spec = member(m, "spec");
	return member(spec ? spec : m, "name");
}

int answer_init(struct answer *a, uint64_t id, struct err *e)
{
	*a = (struct answer){ 0 };
	a->reply = pb_new(&davit__core_reply__descriptor, e);
	if (!a->reply)
		return -1;
	a->reply->id = id;
	return 0;
}

void answer_free(struct answer *a)
{
	for (size_t i = 0; i < a->nfds; i++)
		close(a->fds[i]);
	pb_freep(&a->reply);
	pb_freep(&a->error);
	*a = (struct answer){ 0 };
}

int answer_send(struct answer *a, int sock, const struct err *error, struct err *e)
{
	if (!error)
		return pb_send(sock, &a->reply->base, a->fds, a->nfds, e);
	auto_pb(Davit__Error) *plain = NULL;
	if (!a->error && !(plain = pb_error(error)))
		return err_set(e, ERR_RESOURCE, 0, "no memory for an error");
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	reply.id = a->reply->id;
	reply.error = a->error ? a->error : plain;
	return pb_send(sock, &reply.base, NULL, 0, e);
}

int request_part(const struct request *r, Davit__CoreReply *part, struct err *e)
{
	part->id = r->msg->id;
	part->has_more = part->more = true;
	return pb_send(r->sock, &part->base, NULL, 0, e);
}

int request_streams(const struct request *r, const int *fds, size_t nfds, struct err *e)
{
	Davit__StreamsReady ready = DAVIT__STREAMS_READY__INIT;
	Davit__CoreReply reply = DAVIT__CORE_REPLY__INIT;
	reply.id = r->msg->id;
	reply.has_more = reply.more = true;
	reply.result_case = DAVIT__CORE_REPLY__RESULT_STREAMS;
	reply.streams = &ready;
	return pb_send(r->sock, &reply.base, fds, nfds, e);
}

static int serve_locked(const struct op *op, const struct request *r, struct answer *a, struct err *e)
{
	auto_close int lock = -1;
	if (op->lock && (lock = record_lock(r->core, r->name, LOCK_WAIT_MS, e)) < 0)
		return -1;
	return op->serve(r, a, e);
}

int op_run(const struct op *op, const struct request *r)
{
	struct err e, gone = { 0 };
	err_clear(&e);
	auto_cleanup(answer_free) struct answer a = { 0 };
	int rc = answer_init(&a, r->msg->id, &e);
	if (rc == 0)
		rc = serve_locked(op, r, &a, &e);
	if (rc < 0)
		log_err(LOG_LEVEL_INFO, op->name, &e);
	if (a.reply)
		(void)answer_send(&a, r->sock, rc < 0 ? &e : NULL, &gone);
	return rc;
}

int answer_status(struct answer *a, const struct core *c, const char *name, struct err *e)
{
	Davit__ContainerStatus *s = record_status(c, name, e);
	if (!s)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_STATUS;
	a->reply->status = s;
	return 0;
}

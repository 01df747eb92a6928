/* exec and attach: a session is opened by one request; its output is one long answer, its input one long body.
 *
 * Both directions are ExecFrame messages, delimited (proto/frame.h). They are turned from and into the monitor's datagrams (proto/attach.h) one by
 * one, so nothing is kept here but the frame in hand. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "agent/api/api.h"
#include "agent/db/container.h"
#include "agent/session.h"
#include "proto/attach.h"
#include "proto/frame.h"

#define EXEC_TIMEOUT_MS 15000

static int answer_session(struct request *r, struct core_fds *fds, struct err *e)
{
	auto_pb(Davit__ExecSession) *answer = pb_new(&davit__exec_session__descriptor, e);
	char id[33];

	if (!answer)
		return -1;
	if (fds->n != 1)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core gave %zu descriptors for a session", fds->n);
	if (session_add(r->agent->sessions, r->params[0], steal_fd(&fds->fd[0]), id, e) < 0 || pb_set_str(&answer->id, id, e) < 0)
		return -1;
	r->answer = steal_ptr(&answer);
	return 0;
}

/* Opens a session: asks the core for an attach socket while no long job has the container. */
static int open_session(struct request *r, Davit__CoreRequest *q, struct err *e)
{
	auto_pb(Davit__Container) *known = db_container_get(r->agent->db, r->params[0], NULL, e);
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	auto_api_core struct api_core c = { 0 };
	auto_pb(Davit__CoreReply) *reply = NULL;

	if (!known || hold_share(&r->agent->holds, r->params[0], e) < 0)
		return -1;
	if (api_core_open(r, &c, e) == 0)
		reply = core_call(&c.core, q, EXEC_TIMEOUT_MS, &fds, e);
	hold_drop(&r->agent->holds, r->params[0]);
	return reply ? answer_session(r, &fds, e) : -1;
}

int container_exec(struct request *r, struct err *e)
{
	Davit__CoreExec exec = DAVIT__CORE_EXEC__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	char id[33];

	exec.name = r->params[0];
	exec.process = r->message;
	if (exec.process->n_args == 0)
		return err_field(e, "args", "is needed: what shall run?");
	if (str_random_hex(id, 16, e) < 0)
		return -1;
	exec.exec_id = id;
	q.op_case = DAVIT__CORE_REQUEST__OP_EXEC;
	q.exec = &exec;
	return open_session(r, &q, e);
}

int container_attach(struct request *r, struct err *e)
{
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;

	name.name = r->params[0];
	q.op_case = DAVIT__CORE_REQUEST__OP_ATTACH;
	q.attach = &name;
	return open_session(r, &q, e);
}

struct output {
	struct agent *agent;
	struct MHD_Connection *connection;
	struct session *session;
	struct buf pending;
	bool ended;
};

static void output_free(void *arg)
{
	struct output *o = arg;

	session_end(o->agent->sessions, o->session);
	session_put(o->agent->sessions, o->session);
	buf_free(&o->pending);
	free(o);
}

/* One datagram as a frame into o->pending. */
static int translate(struct output *o, const uint8_t *p, size_t n, struct err *e)
{
	Davit__ExecFrame f = DAVIT__EXEC_FRAME__INIT;
	struct attach_msg m;

	if (attach_parse(p, n, &m, e) < 0)
		return -1;
	ProtobufCBinaryData data = { .len = m.n, .data = (uint8_t *)(uintptr_t)m.data };
	if (m.type == ATTACH_STDOUT) {
		f.has_stdout = 1;
		f.stdout = data;
	} else if (m.type == ATTACH_STDERR) {
		f.has_stderr = 1;
		f.stderr = data;
	} else if (m.type == ATTACH_EXIT) {
		f.has_exit_code = 1;
		f.exit_code = m.exit_code;
		o->ended = true;
	}
	return frame_put_delimited(&o->pending, &f.base, e);
}

/* Waits for the next datagram. 1, 0: the stream has ended, -1. */
static int receive(struct output *o, struct err *e)
{
	uint8_t datagram[ATTACH_DATA_MAX + 16];
	size_t none = 0;
	int ready;
	ssize_t n;

	while ((ready = fd_wait(o->session->fd, POLLIN, 1000, e)) == 0)
		if (o->agent->stopping || request_is_gone(o->connection))
			return 0;
	if (ready < 0)
		return -1;
	n = fd_recv_msg(o->session->fd, datagram, sizeof(datagram), NULL, &none, e);
	if (n <= 0)
		return (int)n;
	return translate(o, datagram, (size_t)n, e) < 0 ? -1 : 1;
}

static ssize_t read_output(void *arg, uint64_t pos, char *out, size_t max)
{
	struct output *o = arg;
	struct err e = { 0 };
	size_t n;

	(void)pos;
	while (o->pending.len == 0) {
		int r = o->ended ? 0 : receive(o, &e);

		if (r <= 0)
			return r == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = MIN(max, o->pending.len);
	memcpy(out, o->pending.data, n);
	buf_consume(&o->pending, n);
	return (ssize_t)n;
}

int exec_output(struct request *r, struct err *e)
{
	struct output *o = mem_new(1, sizeof(*o), e);

	if (!o)
		return -1;
	o->agent = r->agent;
	o->connection = r->connection;
	o->session = session_get(r->agent->sessions, r->params[0], true, e);
	if (!o->session) {
		free(o);
		return -1;
	}
	return api_stream(r, 32 << 10, read_output, o, output_free, e);
}

struct input {
	struct session *session;
	struct buf partial;
};

static int begin_input(struct request *r, struct err *e)
{
	struct input *in = mem_new(1, sizeof(*in), e);

	if (!in)
		return -1;
	in->session = session_get(r->agent->sessions, r->params[0], false, e);
	if (!in->session) {
		free(in);
		return -1;
	}
	r->upload = in;
	return 0;
}

static int send_stdin(int fd, const ProtobufCBinaryData *data, struct err *e)
{
	for (size_t at = 0; at < data->len;) {
		size_t n = MIN(data->len - at, (size_t)ATTACH_DATA_MAX);
		struct attach_msg m = { .type = ATTACH_STDIN, .data = data->data + at, .n = n };

		if (attach_send(fd, &m, e) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static int send_frame(int fd, const Davit__ExecFrame *f, struct err *e)
{
	struct attach_msg eof = { .type = ATTACH_STDIN_EOF };
	struct attach_msg size = { .type = ATTACH_RESIZE, .rows = (uint16_t)f->rows, .columns = (uint16_t)f->columns };

	if (f->has_stdin && send_stdin(fd, &f->stdin, e) < 0)
		return -1;
	if (f->has_rows && f->has_columns && attach_send(fd, &size, e) < 0)
		return -1;
	return f->has_stdin_eof && f->stdin_eof ? attach_send(fd, &eof, e) : 0;
}

static int feed_input(struct request *r, const void *p, size_t n, struct err *e)
{
	struct input *in = r->upload;

	if (buf_append(&in->partial, p, n, e) < 0)
		return -1;
	for (;;) {
		auto_pb(Davit__ExecFrame) *f = NULL;
		int got = frame_take_delimited(&in->partial, &davit__exec_frame__descriptor, r->agent->config->max_body_bytes, &f, e);

		if (got <= 0)
			return got;
		if (send_frame(in->session->fd, f, e) < 0)
			return -1;
	}
}

static void end_input(struct request *r)
{
	struct input *in = r->upload;

	session_put(r->agent->sessions, in->session);
	buf_free(&in->partial);
	free(in);
	r->upload = NULL;
}

const struct upload exec_input_upload = { begin_input, feed_input, end_input };

int exec_input(struct request *r, struct err *e)
{
	const struct input *in = r->upload;

	return in->partial.len ? err_set(e, ERR_PROTOCOL, 0, "the input ends in the middle of a frame") : 0;
}

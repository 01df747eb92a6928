/* /v1/images: PUT a tar, list, delete. The tar goes through to the core as it comes; nothing of it is kept here. */
#include <errno.h>
#include "agent/api/api.h"
#include "migrate/store.h"

#define IMPORT_TIMEOUT_MS 600000

struct import {
	struct core core;
	uint64_t request;
	int pipe;    /* write end, owned */
	bool broken; /* the core stopped reading: its reply tells why */
};

static int begin_import(struct request *r, struct err *e)
{
	Davit__CoreImageImport import = DAVIT__CORE_IMAGE_IMPORT__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_core_fds struct core_fds fds = CORE_FDS_INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;
	struct import *i = mem_new(1, sizeof(*i), e);

	if (!i)
		return -1;
	if (core_channel(&r->agent->core, NULL, &i->core, e) < 0) {
		free(i);
		return -1;
	}
	import.name = r->params[0];
	q.op_case = DAVIT__CORE_REQUEST__OP_IMAGE_IMPORT;
	q.image_import = &import;
	reply = core_call(&i->core, &q, CORE_TIMEOUT_MS, &fds, e);
	if (!reply || fds.n != 1) {
		if (reply)
			err_set(e, ERR_PROTOCOL, 0, "the runtime core gave %zu descriptors for an import", fds.n);
		core_close(&i->core);
		free(i);
		return -1;
	}
	i->request = q.id;
	i->pipe = steal_fd(&fds.fd[0]);
	r->upload = i;
	return 0;
}

static int feed_import(struct request *r, const void *p, size_t n, struct err *e)
{
	struct import *i = r->upload;
	struct err inner = { 0 };

	if (i->broken || fd_write_all(i->pipe, p, n, &inner) == 0)
		return 0;
	if (inner.sys != EPIPE) {
		*e = inner;
		return -1;
	}
	i->broken = true;
	return 0;
}

static void end_import(struct request *r)
{
	struct import *i = r->upload;

	fd_closep(&i->pipe);
	core_close(&i->core);
	free(i);
	r->upload = NULL;
}

const struct upload image_import_upload = { begin_import, feed_import, end_import };

int image_import(struct request *r, struct err *e)
{
	struct import *i = r->upload;
	auto_pb(Davit__CoreReply) *reply = NULL;
	auto_pb(Davit__ImageImportAnswer) *answer = NULL;

	fd_closep(&i->pipe);
	reply = core_recv(&i->core, i->request, IMPORT_TIMEOUT_MS, NULL, e);
	if (!reply && e->code == ERR_CORRUPT) {
		/* What is corrupt is the caller's, not ours. */
		e->code = ERR_INVALID;
		err_remedy(e, "send a whole tar of a root file system, plain or packed with gzip or zstd");
	}
	answer = reply ? pb_new(&davit__image_import_answer__descriptor, e) : NULL;
	if (!answer)
		return -1;
	if (reply->result_case != DAVIT__CORE_REPLY__RESULT_IMAGE)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered something else");
	answer->image = steal_ptr(&reply->image);
	reply->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	r->answer = steal_ptr(&answer);
	return 0;
}

int image_list(struct request *r, struct err *e)
{
	Davit__CoreImageList list = DAVIT__CORE_IMAGE_LIST__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	auto_pb(Davit__CoreReply) *reply = NULL;

	q.op_case = DAVIT__CORE_REQUEST__OP_IMAGE_LIST;
	q.image_list = &list;
	if (api_call(r, &q, CORE_TIMEOUT_MS, &reply, e) < 0)
		return -1;
	if (reply->result_case != DAVIT__CORE_REPLY__RESULT_IMAGES)
		return err_set(e, ERR_PROTOCOL, 0, "the runtime core answered something else");
	r->answer = steal_ptr(&reply->images);
	reply->result_case = DAVIT__CORE_REPLY__RESULT__NOT_SET;
	return 0;
}

/* A snapshot is restored onto the very image. */
static int refuse_if_needed(struct request *r, const char *name, struct err *e)
{
	auto_pb(Davit__SnapshotList) *all = store_list(r->agent->store, NULL, e);

	if (!all)
		return -1;
	for (size_t i = 0; i < all->n_snapshots; i++)
		if (str_eq(all->snapshots[i]->image, name)) {
			err_set(e, ERR_BUSY, 0, "image %s is used by snapshot %s of %s", name, all->snapshots[i]->id, all->snapshots[i]->container);
			return err_remedy(e, "remove the snapshot first, or force");
		}
	return 0;
}

int image_delete(struct request *r, struct err *e)
{
	Davit__CoreName name = DAVIT__CORE_NAME__INIT;
	Davit__CoreRequest q = DAVIT__CORE_REQUEST__INIT;
	bool force;

	if (request_query_bool(r, "force", &force, e) < 0 || (!force && refuse_if_needed(r, r->params[0], e) < 0))
		return -1;
	name.name = r->params[0];
	q.op_case = DAVIT__CORE_REQUEST__OP_IMAGE_REMOVE;
	q.image_remove = &name;
	return api_call(r, &q, CORE_TIMEOUT_MS, NULL, e);
}

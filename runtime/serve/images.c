/* image_import, image_list, image_remove: root file systems that containers share. */
#include "proto/pb.h"
#include "runtime/layer/layer.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/records.h"
#include "runtime/serve/task.h"

#define IMAGE_WAIT_MS 10000

struct import {
	const struct request *r;
	int fd;
};

static int import(void *arg, uint64_t *bytes, struct err *e)
{
	const struct import *x = arg;
	const struct core *c = x->r->core;
	const struct layer_limits limits = { .bytes = c->policy->has_max_image_bytes ? c->policy->max_image_bytes : 0 };
	auto_pb(Davit__ImageInfo) *info = NULL;
	if (image_import(c->images_dir, x->r->name, x->fd, &limits, &info, e) < 0)
		return -1;
	*bytes = info->bytes;
	return 0;
}

int op_image_import(const struct request *r, struct answer *a, struct err *e)
{
	int p[2];
	if (fd_pipe(p, e) < 0)
		return -1;
	struct import x = { .r = r, .fd = p[0] };
	auto_close int ours = p[0], theirs = p[1];
	struct task task = { .fd = -1, .done = true };
	if (request_streams(r, &theirs, 1, e) < 0)
		return -1;
	fd_closep(&theirs);
	if (task_start(&task, "image", &ours, 1, import, &x, e) < 0)
		return -1;
	fd_closep(&ours);
	if (task_wait_all(&task, 1, r->cancel, e) < 0)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_IMAGE;
	a->reply->image = image_get(r->core->images_dir, r->name, e);
	return a->reply->image ? 0 : -1;
}

int op_image_list(const struct request *r, struct answer *a, struct err *e)
{
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_IMAGES;
	a->reply->images = image_list(r->core->images_dir, e);
	return a->reply->images ? 0 : -1;
}

static int refuse_if_used(void *arg, const char *name, struct err *e)
{
	const struct request *r = arg;
	auto_place p = { 0 };
	if (place_of(r->core, name, &p, e) < 0)
		return -1;
	auto_free char *image = record_image(&p, NULL);
	if (str_eq(image, r->name)) {
		err_set(e, ERR_BUSY, 0, "image %s is used by container %s", r->name, name);
		return err_remedy(e, "delete the container first");
	}
	return 0;
}

/* Under the lock with which containers are made, so that none begins to use it meanwhile. */
int op_image_remove(const struct request *r, struct answer *a, struct err *e)
{
	(void)a;
	auto_close int lock = record_lock(r->core, RECORD_CREATE_LOCK, IMAGE_WAIT_MS, e);
	if (lock < 0 || record_each(r->core, refuse_if_used, (void *)r, e) < 0)
		return -1;
	return image_remove(r->core->images_dir, r->name, e);
}

/* create: place, layer, mounts, bundle, monitor; in the end `ready`. A failure at any step undoes all of it, a death at any step is found at the next
 * start (reconcile.c). */
#include "base/log.h"
#include "proto/pb.h"
#include "runtime/layer/layer.h"
#include "runtime/serve/lifecycle.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/prepare.h"
#include "runtime/serve/records.h"

static int make(const struct request *r, const struct place *p, struct answer *a, struct err *e)
{
	const Davit__CoreCreate *q = r->msg->create;
	if (layer_create(p->layer, e) < 0 || prepare_mounts(r->core, q->spec, q->ids, p, e) < 0)
		return -1;
	if (prepare_bundle(r->core, q->spec, q->ids, p, true, false, e) < 0 || lifecycle_launch(r->core, q->spec, p, &a->error, e) < 0)
		return -1;
	return lifecycle_whole(p, NULL, e) < 0 ? -1 : answer_status(a, r->core, r->name, e);
}

int op_create(const struct request *r, struct answer *a, struct err *e)
{
	const Davit__CoreCreate *q = r->msg->create;
	auto_place p = { 0 };
	if (place_of(r->core, r->name, &p, e) < 0 || prepare_place(r->core, q->spec, q->ids, &p, "creating", false, e) < 0)
		return -1;
	if (make(r, &p, a, e) == 0)
		return 0;
	struct err undo = { 0 };
	if (prepare_undo(r->core, r->name, &p, false, &undo) < 0)
		log_err(LOG_LEVEL_ERROR, "undo create", &undo);
	return -1;
}

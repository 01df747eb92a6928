/* update: other limits for a container, running or not.
 *
 * The cgroup first, since the kernel has the last word (a limit below what is used), then spec.pb: it is what the container is started anew with, and
 * what a dump takes along, so the change goes with every later move and snapshot. */
#include "base/file.h"
#include "proto/pb.h"
#include "runtime/serve/bundle.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/records.h"

/* Two messages of one type, packed one after the other, are the first with what the second has. */
static Davit__Limits *merge(const Davit__Limits *old, const Davit__Limits *wanted, struct err *e)
{
	auto_buf struct buf both = { 0 };
	if ((old && pb_pack(&old->base, &both, e) < 0) || pb_pack(&wanted->base, &both, e) < 0)
		return NULL;
	return pb_unpack(&davit__limits__descriptor, both.data ? both.data : "", both.len, "limits", e);
}

static int apply(const struct request *r, const Davit__ContainerSpec *s, struct err *e)
{
	auto_pb(Davit__OciResources) *resources = pb_new(&davit__oci_resources__descriptor, e);
	if (!resources || bundle_resources(s, resources, e) < 0)
		return -1;
	return container_update(&r->core->rt, r->name, resources, e);
}

int op_update(const struct request *r, struct answer *a, struct err *e)
{
	auto_place p = { 0 };
	auto_pb(Davit__ContainerStatus) *status = record_require(r->core, r->name, "created running paused stopped", e);
	auto_pb(Davit__Limits) *limits = status ? merge(status->spec->limits, r->msg->update->limits, e) : NULL;
	if (!limits || place_of(r->core, r->name, &p, e) < 0)
		return -1;
	pb_freep(&status->spec->limits);
	status->spec->limits = steal_ptr(&limits);
	if (policy_check(r->core, status->spec, status->ids, e) < 0 || (!str_eq(status->state, "stopped") && apply(r, status->spec, e) < 0))
		return -1;
	auto_close int dir = file_open_dir(AT_FDCWD, p.dir, e);
	if (dir < 0 || pb_write_file(dir, "spec.pb", &status->spec->base, 0600, true, e) < 0)
		return -1;
	return answer_status(a, r->core, r->name, e);
}

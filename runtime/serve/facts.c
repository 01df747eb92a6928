/* facts: answered from files of the kernel, the records, and what was found out of criu once for each boot. */
#include "runtime/serve/facts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/proc.h"
#include "proto/pb.h"
#include "runtime/criu/criu.h"
#include "runtime/layer/layer.h"
#include "runtime/serve/ops.h"
#include "runtime/serve/policy.h"
#include "runtime/serve/records.h"

#define CRIU_FILE "criu.pb"
#define CRIU_LOCK ".criu"
#define CRIU_WAIT_MS 60000
#define CRIU_FILE_MAX (1 << 20)

/* Of this boot, and of the criu that would be used now. */
Davit__HostFacts *facts_criu_known(const struct core *c)
{
	char boot[37];
	auto_close int dir = file_open_dir(AT_FDCWD, c->run_dir, NULL);
	auto_pb(Davit__HostFacts) *f = dir < 0 ? NULL : pb_read_file(dir, CRIU_FILE, &davit__host_facts__descriptor, CRIU_FILE_MAX, NULL);
	if (!f || proc_boot_id(boot, NULL) < 0 || !str_eq(f->boot_id, boot))
		return NULL;
	auto_free char *path = criu_known(c->criu, c->criu_tmp);
	struct stat told, criu;
	bool same = path && str_eq(f->criu_path, path) && fstatat(dir, CRIU_FILE, &told, 0) == 0 && stat(path, &criu) == 0;
	return same && criu.st_ctime <= told.st_mtime ? steal_ptr(&f) : NULL;
}

static int set_problem(Davit__HostFacts *f, const struct err *from, struct err *e)
{
	return pb_set_str(&f->criu_problem, from->msg, e);
}

static int ask_criu(const struct core *c, Davit__HostFacts *f, struct err *e)
{
	struct err x = { 0 };
	char text[32];
	auto_free char *path = criu_find(c->criu, c->criu_tmp, &x);
	int version = path ? criu_version(path, &x) : -1;
	if (version < 0)
		return set_problem(f, &x, e);
	snprintf(text, sizeof(text), "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
	if (pb_set_str(&f->criu_path, path, e) < 0 || pb_set_str(&f->criu_version, text, e) < 0)
		return -1;
	struct buf image = { 0 };
	if (criu_cpuinfo(path, &image, &x) < 0) {
		buf_free(&image);
		return set_problem(f, &x, e);
	}
	f->has_cpuinfo = true;
	f->cpuinfo.data = (uint8_t *)image.data; /* handed over */
	f->cpuinfo.len = image.len;
	return 0;
}

Davit__HostFacts *facts_criu(const struct core *c, struct err *e)
{
	char boot[37];
	auto_close int lock = record_lock(c, CRIU_LOCK, CRIU_WAIT_MS, e);
	if (lock < 0)
		return NULL;
	auto_pb(Davit__HostFacts) *known = facts_criu_known(c);
	if (known)
		return steal_ptr(&known);
	auto_pb(Davit__HostFacts) *f = pb_new(&davit__host_facts__descriptor, e);
	if (!f || proc_boot_id(boot, e) < 0 || pb_set_str(&f->boot_id, boot, e) < 0 || ask_criu(c, f, e) < 0)
		return NULL;
	auto_close int dir = file_open_dir(AT_FDCWD, c->run_dir, e);
	/* A criu that is missing may be installed at any time: only what works is remembered. */
	if (dir < 0 || (!f->criu_problem && pb_write_file(dir, CRIU_FILE, &f->base, 0600, false, e) < 0))
		return NULL;
	return steal_ptr(&f);
}

int facts_check_cpu(const struct core *c, const ProtobufCBinaryData *cpuinfo, struct err *e)
{
	auto_pb(Davit__HostFacts) *here = facts_criu(c, e);
	if (!here)
		return -1;
	/* The same CPU, as on most clusters: nothing to ask. */
	if (here->has_cpuinfo && here->cpuinfo.len == cpuinfo->len && memcmp(here->cpuinfo.data, cpuinfo->data, cpuinfo->len) == 0)
		return 0;
	if (!here->criu_path)
		return err_set(e, ERR_UNSUPPORTED, 0, "%s", here->criu_problem ? here->criu_problem : "no criu works here");
	return criu_cpuinfo_check(here->criu_path, cpuinfo->data, cpuinfo->len, e);
}

struct ids {
	const struct core *core;
	Davit__HostFacts *facts;
};

static int add_ids(void *arg, const char *name, struct err *e)
{
	struct ids *x = arg;
	auto_place p = { 0 };
	if (place_of(x->core, name, &p, e) < 0)
		return -1;
	auto_pb(Davit__ContainerRecord) *r = record_load(&p, NULL);
	if (!r || !r->ids)
		return 0;
	return pb_push(&x->facts->n_ids_in_use, &x->facts->ids_in_use, steal_ptr(&r->ids), e);
}

static int add_stores(const struct core *c, Davit__HostFacts *f, struct err *e)
{
	struct ids x = { .core = c, .facts = f };
	auto_pb(Davit__ImageInfoList) *images = image_list(c->images_dir, e);
	if (!images || record_each(c, add_ids, &x, e) < 0)
		return -1;
	f->n_images = images->n_images;
	f->images = steal_ptr(&images->images);
	images->n_images = 0;
	for (size_t i = 0; i < c->config->n_networks; i++) {
		void *copy = pb_dup(&c->config->networks[i]->base, e);
		if (!copy || pb_push(&f->n_networks, &f->networks, copy, e) < 0)
			return -1;
	}
	return 0;
}

int op_vet(const struct request *r, struct answer *a, struct err *e)
{
	Davit__CoreVetted *out = pb_new(&davit__core_vetted__descriptor, e);
	if (!out)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_VETTED;
	a->reply->vetted = out;
	return policy_vet(r->core, r->msg->vet->spec, out, e);
}

int op_facts(const struct request *r, struct answer *a, struct err *e)
{
	const Davit__CoreFacts *q = r->msg->facts;
	if (q->has_cpuinfo && facts_check_cpu(r->core, &q->cpuinfo, e) < 0)
		return -1;
	Davit__HostFacts *f = facts_criu(r->core, e);
	if (!f)
		return -1;
	a->reply->result_case = DAVIT__CORE_REPLY__RESULT_FACTS;
	a->reply->facts = f;
	return facts_kernel(r->core, f, e) < 0 ? -1 : add_stores(r->core, f, e);
}

/* What the images tell of tasks. See trust.h. Sources: CRIU's pstree.c (which namespaces are made: those whose number is not that of criu's own),
 * cr-restore.c (credentials), capabilities(7). */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/images.h"
#include "runtime/criu/trust.h"
#include "runtime/lsm.h"
#include "runtime/namespace.h"
#include "runtime/rlimit.h"

#define INVENTORY "inventory.img"
#define VERSION 2 /* with two magic numbers */
#define STATE_DEAD 2
#define STATE_ZOMBIE 6
#define LOCK_NFTABLES 1
#define LOCK_SKIP 2

int trust_inventory(struct trust *t, struct err *e)
{
	const Criu__InventoryEntry *i = t->inventory = criu_image_read(t->images, INVENTORY, &criu__inventory_entry__descriptor, e);
	uint32_t lock = ns_how_of_spec(t->c->spec, NS_NETWORK) == NS_NEW ? LOCK_SKIP : LOCK_NFTABLES;

	if (!i)
		return -1;
	if (i->img_version != VERSION)
		return trust_refuse(INVENTORY, "img_version", e, "are of version %u, not %d", i->img_version, VERSION);
	if (!i->root_ids)
		return trust_refuse(INVENTORY, "root_ids", e, "do not tell which namespaces are the host's");
	if (!i->has_network_lock_method || i->network_lock_method != lock)
		return trust_refuse(INVENTORY, "network_lock_method", e, "have another lock of the network (%u, not %u)", i->network_lock_method,
				    lock);
	if (i->plugins_entry && i->plugins_entry->n_plugins)
		return trust_refuse(INVENTORY, "plugins_entry", e, "ask for a plugin of criu: %s", i->plugins_entry->plugins[0]);
	return 0;
}

/* A task whose number is that of criu's own namespace is made in the host's. The time namespace is made by us (clocks.c). */
int trust_ids(const struct trust *t, const char *image, struct err *e)
{
	auto_pb(Criu__KobjIds) *own = criu_image_read(t->images, image, &criu__kobj_ids__descriptor, e);
	const Criu__KobjIds *host = t->inventory->root_ids;

	if (!own)
		return -1;
	const struct {
		const char *member;
		enum ns_kind kind;
		uint32_t own, host;
	} all[] = {
		{ "user_ns_id", NS_USER, own->user_ns_id, host->user_ns_id },
		{ "mnt_ns_id", NS_MOUNT, own->mnt_ns_id, host->mnt_ns_id },
		{ "pid_ns_id", NS_PID, own->pid_ns_id, host->pid_ns_id },
		{ "net_ns_id", NS_NETWORK, own->net_ns_id, host->net_ns_id },
		{ "uts_ns_id", NS_UTS, own->uts_ns_id, host->uts_ns_id },
		{ "ipc_ns_id", NS_IPC, own->ipc_ns_id, host->ipc_ns_id },
		{ "cgroup_ns_id", NS_CGROUP, own->cgroup_ns_id, host->cgroup_ns_id },
	};
	for (size_t k = 0; k < ARRAY_LEN(all); k++)
		if (ns_how_of_spec(t->c->spec, all[k].kind) == NS_NEW && (all[k].own == 0 || all[k].own == all[k].host))
			return trust_refuse(image, all[k].member, e, "put a process into the host's %s namespace", ns_types[all[k].kind].oci);
	return 0;
}

static int check_caps(const struct trust *t, const char *image, const Criu__CredsEntry *c, struct err *e)
{
	const struct {
		const char *member;
		size_t n;
		const uint32_t *words;
	} sets[] = {
		{ "thread_core.creds.cap_eff", c->n_cap_eff, c->cap_eff }, { "thread_core.creds.cap_prm", c->n_cap_prm, c->cap_prm },
		{ "thread_core.creds.cap_inh", c->n_cap_inh, c->cap_inh }, { "thread_core.creds.cap_bnd", c->n_cap_bnd, c->cap_bnd },
		{ "thread_core.creds.cap_amb", c->n_cap_amb, c->cap_amb },
	};
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		for (size_t k = 0; k < sets[i].n; k++) {
			uint32_t allowed = k < 2 ? (uint32_t)(t->caps >> (32 * k)) : 0;
			if (sets[i].words[k] & ~allowed)
				return trust_refuse(image, sets[i].member, e,
						    "give capabilities that config.json does not (word %zu: %x, allowed %x)", k, sets[i].words[k],
						    allowed);
		}
	return 0;
}

/* A label is that of config.json, or one that the process could change to below it. */
static bool label_fits(const char *label, const char *wanted)
{
	size_t n = strlen(wanted);

	return label && !strncmp(label, wanted, n) && (label[n] == '\0' || str_prefix(label + n, "//"));
}

static int check_label(const struct trust *t, const char *image, const Criu__CredsEntry *c, struct err *e)
{
	const Davit__OciProcess *p = t->c->spec->process;
	const char *wanted = lsm_has_apparmor() ? p->apparmor_profile : lsm_has_selinux() ? p->selinux_label : NULL;

	if (c->has_apparmor_data)
		return trust_refuse(image, "thread_core.creds.apparmor_data", e, "bring a profile of AppArmor along");
	if (c->lsm_sockcreate && !str_eq(c->lsm_sockcreate, wanted))
		return trust_refuse(image, "thread_core.creds.lsm_sockcreate", e, "label sockets %s", c->lsm_sockcreate);
	if (wanted && !str_eq(wanted, "unconfined") && !label_fits(c->lsm_profile, wanted))
		return trust_refuse(image, "thread_core.creds.lsm_profile", e, "have a process with the label %s, not %s",
				    c->lsm_profile ? c->lsm_profile : "(none)", wanted);
	return 0;
}

static int check_rlimits(const struct trust *t, const char *image, const Criu__TaskRlimits *l, struct err *e)
{
	const Davit__OciProcess *p = t->c->spec->process;

	for (size_t i = 0; i < p->n_rlimits; i++) {
		int number = rlimit_number(p->rlimits[i]->type);
		if (number < 0 || !l || (size_t)number >= l->n_rlimits || l->rlimits[number]->max <= p->rlimits[i]->hard)
			continue;
		return trust_refuse(image, "tc.rlimits", e, "raise %s of a process to %lu", p->rlimits[i]->type,
				    (unsigned long)l->rlimits[number]->max);
	}
	return 0;
}

static int check_thread(const struct trust *t, const char *image, const Criu__CoreEntry *c, struct err *e)
{
	const Criu__ThreadCore *thread = c->thread_core;
	const Davit__OciProcess *p = t->c->spec->process;

	if (check_caps(t, image, thread->creds, e) < 0 || check_label(t, image, thread->creds, e) < 0)
		return -1;
	if (p->no_new_privileges && thread->creds->no_new_privs != 1)
		return trust_refuse(image, "thread_core.creds.no_new_privs", e, "have a process without no_new_privs");
	return 0;
}

/* What has ended and waits for its parent is nobody any more. */
static bool has_ended(const Criu__CoreEntry *c)
{
	bool able = c->thread_core && c->thread_core->creds;

	return !able && c->tc && (c->tc->task_state == STATE_DEAD || c->tc->task_state == STATE_ZOMBIE);
}

static int note_task(struct trust *t, const char *image, const Criu__CoreEntry *c, struct err *e)
{
	if (mem_grow(&t->tasks, &t->cap_tasks, t->n_tasks + 1, sizeof(*t->tasks), e) < 0)
		return -1;
	struct trust_task *task = &t->tasks[t->n_tasks++];
	*task = (struct trust_task){ .tid = (uint32_t)strtoul(image + strlen("core-"), NULL, 10), .ended = has_ended(c) };
	if (c->thread_core) {
		task->mode = c->thread_core->seccomp_mode;
		task->filter = c->thread_core->seccomp_filter;
	}
	return 0;
}

int trust_core(struct trust *t, const char *image, struct err *e)
{
	auto_pb(Criu__CoreEntry) *c = criu_image_read(t->images, image, &criu__core_entry__descriptor, e);

	if (!c || note_task(t, image, c, e) < 0)
		return -1;
	if (c->tc && (c->tc->has_old_seccomp_mode || c->tc->has_old_seccomp_filter))
		return trust_refuse(image, "tc.old_seccomp_mode", e, "tell of seccomp in the way of old versions");
	if (c->tc && check_rlimits(t, image, c->tc->rlimits, e) < 0)
		return -1;
	if (c->thread_core && c->thread_core->creds)
		return check_thread(t, image, c, e);
	return has_ended(c) ? 0 : trust_refuse(image, "thread_core.creds", e, "do not tell what a process may do");
}

/* A container's process: its first one and those of exec are made by the same rules. */
#include <string.h>
#include "proto/pb.h"
#include "runtime/caps.h"
#include "runtime/lsm.h"
#include "runtime/serve/bundle.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool listed(char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i], s))
			return true;
	return false;
}

int bundle_caps(const Davit__ContainerSpec *s, struct strv *out, struct err *e)
{
	bool none = listed(s->cap_drop, s->n_cap_drop, "ALL");
	for (size_t i = 0; !none && caps_default[i]; i++)
		if (!listed(s->cap_drop, s->n_cap_drop, caps_default[i]) && strv_add(out, caps_default[i], e) < 0)
			return -1;
	for (size_t i = 0; i < s->n_cap_add; i++)
		if (!listed(s->cap_drop, s->n_cap_drop, s->cap_add[i]) && !listed(out->v, out->n, s->cap_add[i]) &&
		    strv_add(out, s->cap_add[i], e) < 0)
			return -1;
	return 0;
}

/* Bounding, permitted and effective alike; nothing is inheritable or ambient, so a user other than root has none of them after exec
 * (capabilities(7)). */
static int set_caps(const Davit__ContainerSpec *s, Davit__OciProcess *out, struct err *e)
{
	auto_strv struct strv caps = { 0 };
	if (bundle_caps(s, &caps, e) < 0 || !(out->capabilities = pb_new(&davit__oci_capabilities__descriptor, e)))
		return -1;
	Davit__OciCapabilities *c = out->capabilities;
	for (size_t i = 0; i < caps.n; i++)
		if (pb_push_str(&c->n_bounding, &c->bounding, caps.v[i], e) < 0 || pb_push_str(&c->n_permitted, &c->permitted, caps.v[i], e) < 0 ||
		    pb_push_str(&c->n_effective, &c->effective, caps.v[i], e) < 0)
			return -1;
	return 0;
}

static bool has_env(const Davit__ProcessSpec *p, const char *key)
{
	for (size_t i = 0; i < p->n_env; i++)
		if (str_prefix(p->env[i], key))
			return true;
	return false;
}

static int set_env(const Davit__ProcessSpec *p, const char *home, Davit__OciProcess *out, struct err *e)
{
	if (!has_env(p, "PATH=") && pb_push_str(&out->n_env, &out->env, PATH_DEFAULT, e) < 0)
		return -1;
	if (!has_env(p, "HOME=")) {
		auto_free char *line = mem_printf(e, "HOME=%s", home);
		if (!line || pb_push_str(&out->n_env, &out->env, line, e) < 0)
			return -1;
	}
	if (p->terminal && !has_env(p, "TERM=") && pb_push_str(&out->n_env, &out->env, "TERM=xterm", e) < 0)
		return -1;
	for (size_t i = 0; i < p->n_env; i++)
		if (pb_push_str(&out->n_env, &out->env, p->env[i], e) < 0)
			return -1;
	return 0;
}

static int add_gids(Davit__OciUser *u, const uint32_t *gids, size_t n, struct err *e)
{
	size_t cap = u->n_additional_gids;
	if (mem_grow(&u->additional_gids, &cap, u->n_additional_gids + n, sizeof(*gids), e) < 0)
		return -1;
	if (n)
		memcpy(u->additional_gids + u->n_additional_gids, gids, n * sizeof(*gids));
	u->n_additional_gids += n;
	return 0;
}

static int set_user(const Davit__ProcessSpec *p, int rootfs_fd, Davit__OciProcess *out, struct err *e)
{
	auto_cleanup(user_free) struct user u = { 0 };
	if (user_resolve(rootfs_fd, p->user, &u, e) < 0)
		return -1;
	out->user = pb_new(&davit__oci_user__descriptor, e);
	if (!out->user)
		return -1;
	out->user->has_uid = out->user->has_gid = true;
	out->user->uid = u.uid;
	out->user->gid = u.gid;
	if (add_gids(out->user, u.gids, u.n_gids, e) < 0 || add_gids(out->user, p->additional_gids, p->n_additional_gids, e) < 0)
		return -1;
	return set_env(p, u.home, out, e);
}

static int set_terminal(const Davit__ProcessSpec *p, Davit__OciProcess *out, struct err *e)
{
	out->has_terminal = true;
	out->terminal = p->terminal;
	if (!p->terminal || !p->has_rows || !p->has_columns)
		return 0;
	out->console_size = pb_new(&davit__oci_box__descriptor, e);
	if (!out->console_size)
		return -1;
	out->console_size->has_height = out->console_size->has_width = true;
	out->console_size->height = p->rows;
	out->console_size->width = p->columns;
	return 0;
}

static int set_rlimits(const Davit__ContainerSpec *s, Davit__OciProcess *out, struct err *e)
{
	for (size_t i = 0; i < s->n_rlimits; i++) {
		Davit__OciRlimit *r = pb_new(&davit__oci_rlimit__descriptor, e);
		if (!r || pb_push(&out->n_rlimits, &out->rlimits, r, e) < 0 || pb_set_str(&r->type, s->rlimits[i]->type, e) < 0)
			return -1;
		r->has_soft = r->has_hard = true;
		r->soft = s->rlimits[i]->soft;
		r->hard = s->rlimits[i]->hard;
	}
	return 0;
}

/* Our profile where the kernel has AppArmor and the caller named none. */
static int set_labels(const Davit__ContainerSpec *s, Davit__OciProcess *out, struct err *e)
{
	const char *profile = s->apparmor_profile ? s->apparmor_profile : lsm_has_apparmor() ? "davit-default" : NULL;
	if (profile && str_eq(profile, "davit-default") && lsm_load_default_profile(e) < 0)
		return -1;
	if (profile && pb_set_str(&out->apparmor_profile, profile, e) < 0)
		return -1;
	return s->selinux_label ? pb_set_str(&out->selinux_label, s->selinux_label, e) : 0;
}

Davit__OciProcess *bundle_process(const Davit__ContainerSpec *s, const Davit__ProcessSpec *p, int rootfs_fd, struct err *e)
{
	auto_pb(Davit__OciProcess) *out = pb_new(&davit__oci_process__descriptor, e);
	if (!out)
		return NULL;
	for (size_t i = 0; i < p->n_args; i++)
		if (pb_push_str(&out->n_args, &out->args, p->args[i], e) < 0)
			return NULL;
	if (pb_set_str(&out->cwd, p->cwd ? p->cwd : "/", e) < 0 || set_user(p, rootfs_fd, out, e) < 0 || set_caps(s, out, e) < 0)
		return NULL;
	if (set_terminal(p, out, e) < 0 || set_rlimits(s, out, e) < 0 || set_labels(s, out, e) < 0)
		return NULL;
	out->has_no_new_privileges = true;
	out->no_new_privileges = !s->allow_new_privileges;
	out->has_oom_score_adj = true;
	out->oom_score_adj = s->oom_score_adj;
	return steal_ptr(&out);
}

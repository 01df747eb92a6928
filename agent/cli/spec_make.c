/* The rest of a spec (rlimits, devices, security options, plain lists), and the whole. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "agent/cli/spec_private.h"
#include "base/file.h"

#define SECCOMP_MAX ((size_t)1 << 20)

static int rlimit_value(const char *text, uint64_t *out, struct err *e)
{
	if (strcmp(text, "unlimited") == 0)
		*out = UINT64_MAX;
	else
		return str_to_u64(text, 0, UINT64_MAX, out, "--ulimit", e);
	return 0;
}

/* "nofile=1024:4096" */
static int add_ulimit(Davit__ContainerSpec *s, const char *text, struct err *e)
{
	char copy[128], *value, *hard;
	Davit__SpecRlimit *r = pb_new(&davit__spec_rlimit__descriptor, e);

	if (!r || pb_push(&s->n_rlimits, &s->rlimits, r, e) < 0)
		return -1;
	snprintf(copy, sizeof(copy), "%s", text);
	value = strchr(copy, '=');
	if (!value)
		return err_field(e, "--ulimit", "\"%s\" is no NAME=SOFT[:HARD]", text);
	*value++ = 0;
	hard = strchr(value, ':');
	if (hard)
		*hard++ = 0;
	for (char *p = copy; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	r->type = mem_printf(e, "%s%s", str_prefix(copy, "RLIMIT_") ? "" : "RLIMIT_", copy);
	return !r->type || rlimit_value(value, &r->soft, e) < 0 || rlimit_value(hard ? hard : value, &r->hard, e) < 0 ? -1 : 0;
}

static int add_device(Davit__ContainerSpec *s, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	auto_free char *path = colon ? mem_printf(e, "%.*s", (int)(colon - text), text) : mem_strdup(text, e);
	Davit__SpecDevice *d = path ? pb_new(&davit__spec_device__descriptor, e) : NULL;

	if (!d || pb_push(&s->n_devices, &s->devices, d, e) < 0)
		return -1;
	if (path[0] != '/' || (colon && (colon[1] == 0 || strspn(colon + 1, "rwm") != strlen(colon + 1))))
		return err_field(e, "--device", "\"%s\" is no PATH[:rwm]", text);
	return pb_set_str(&d->path, path, e) < 0 || (colon && pb_set_str(&d->access, colon + 1, e) < 0) ? -1 : 0;
}

static int set_seccomp(Davit__ContainerSpec *s, const char *value, struct err *e)
{
	if (strcmp(value, "default") == 0 || strcmp(value, "unconfined") == 0)
		return pb_set_str(&s->seccomp, value, e);
	s->seccomp = file_read(AT_FDCWD, value, SECCOMP_MAX, NULL, e);
	if (!s->seccomp)
		snprintf(e->field, sizeof(e->field), "--security-opt");
	return s->seccomp ? 0 : -1;
}

static int set_security(Davit__ContainerSpec *s, const char *text, struct err *e)
{
	if (str_prefix(text, "seccomp="))
		return set_seccomp(s, text + 8, e);
	if (str_prefix(text, "apparmor="))
		return pb_set_str(&s->apparmor_profile, text + 9, e);
	if (str_prefix(text, "label="))
		return pb_set_str(&s->selinux_label, text + 6, e);
	if (strcmp(text, "no-new-privileges") == 0 || strcmp(text, "no-new-privileges=true") == 0)
		return 0;
	if (strcmp(text, "no-new-privileges=false") == 0) {
		s->has_allow_new_privileges = s->allow_new_privileges = 1;
		return 0;
	}
	err_field(e, "--security-opt", "\"%s\" is unknown", text);
	return err_remedy(e, "seccomp=…, apparmor=…, label=…, no-new-privileges=false");
}

/* "net_admin" and "CAP_NET_ADMIN" are the same. */
static int add_cap(size_t *n, char ***array, const char *text, struct err *e)
{
	auto_free char *cap = mem_printf(e, "%s%s", strcasecmp(text, "ALL") == 0 || strncasecmp(text, "CAP_", 4) == 0 ? "" : "CAP_", text);

	for (char *p = cap; p && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return cap ? pb_push_str(n, array, cap, e) : -1;
}

/* "mknod=c 1:3" to the list of that name; lists: as in the message, ends with a NULL name. */
struct named_list {
	const char *name;
	size_t *n;
	char ***list;
};

static int add_named(const struct named_list *l, const char *text, const char *option, const char *form, struct err *e)
{
	const char *equals = strchr(text, '=');

	for (; equals && equals[1] && l->name; l++)
		if (strlen(l->name) == (size_t)(equals - text) && strncmp(l->name, text, (size_t)(equals - text)) == 0)
			return pb_push_str(l->n, l->list, equals + 1, e);
	err_field(e, option, "\"%s\" is unknown", text);
	return err_remedy(e, "%s", form);
}

static int add_supervised(Davit__ContainerSpec *s, const char *text, struct err *e)
{
	if (!s->seccomp_supervisor && !(s->seccomp_supervisor = pb_new(&davit__seccomp_supervisor__descriptor, e)))
		return -1;
	Davit__SeccompSupervisor *m = s->seccomp_supervisor;
	const struct named_list lists[] = {
		{ "mknod", &m->n_mknod, &m->mknod }, { "mount", &m->n_mount, &m->mount }, { "sysctl", &m->n_sysctl, &m->sysctl }, { 0 }
	};
	return add_named(lists, text, "--supervise", "mknod=\"c 10:200\", mount=tmpfs, sysctl=net.ipv4.ip_forward", e);
}

static int add_landlock(Davit__ContainerSpec *s, const char *text, struct err *e)
{
	if (!s->landlock && !(s->landlock = pb_new(&davit__landlock__descriptor, e)))
		return -1;
	Davit__Landlock *m = s->landlock;
	const struct named_list lists[] = { { "ro", &m->n_read_only, &m->read_only }, { "rw", &m->n_read_write, &m->read_write }, { 0 } };
	return add_named(lists, text, "--landlock", "ro=PATH or rw=PATH", e);
}

static int set_lists(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->cap_add.n; i++)
		r = add_cap(&s->n_cap_add, &s->cap_add, o->cap_add.v[i], e);
	for (size_t i = 0; r == 0 && i < o->cap_drop.n; i++)
		r = add_cap(&s->n_cap_drop, &s->cap_drop, o->cap_drop.v[i], e);
	for (size_t i = 0; r == 0 && i < o->mounts.n; i++)
		r = spec_add_mount(s, "bind", "--mount", o->mounts.v[i], e);
	for (size_t i = 0; r == 0 && i < o->tmpfs.n; i++)
		r = spec_add_mount(s, "tmpfs", "--tmpfs", o->tmpfs.v[i], e);
	for (size_t i = 0; r == 0 && i < o->labels.n; i++)
		r = spec_set_key_value(o->labels.v[i], "--label", &s->n_labels, &s->labels, e);
	for (size_t i = 0; r == 0 && i < o->sysctls.n; i++)
		r = spec_set_key_value(o->sysctls.v[i], "--sysctl", &s->n_sysctls, &s->sysctls, e);
	for (size_t i = 0; r == 0 && i < o->ulimits.n; i++)
		r = add_ulimit(s, o->ulimits.v[i], e);
	for (size_t i = 0; r == 0 && i < o->devices.n; i++)
		r = add_device(s, o->devices.v[i], e);
	for (size_t i = 0; r == 0 && i < o->security.n; i++)
		r = set_security(s, o->security.v[i], e);
	for (size_t i = 0; r == 0 && i < o->supervise.n; i++)
		r = add_supervised(s, o->supervise.v[i], e);
	for (size_t i = 0; r == 0 && i < o->landlock.n; i++)
		r = add_landlock(s, o->landlock.v[i], e);
	return r;
}

static void set_size(Davit__ProcessSpec *p)
{
	struct winsize w;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		return;
	p->has_rows = p->has_columns = 1;
	p->rows = w.ws_row;
	p->columns = w.ws_col;
}

Davit__ProcessSpec *spec_make_process(const struct words *args, const struct strv *env, const char *user, const char *workdir, bool interactive,
				      bool terminal, struct err *e)
{
	auto_pb(Davit__ProcessSpec) *p = pb_new(&davit__process_spec__descriptor, e);

	if (!p || (user && pb_set_str(&p->user, user, e) < 0) || (workdir && pb_set_str(&p->cwd, workdir, e) < 0))
		return NULL;
	for (int i = 0; i < args->n; i++)
		if (pb_push_str(&p->n_args, &p->args, args->v[i], e) < 0)
			return NULL;
	for (size_t i = 0; i < env->n; i++) {
		if (!strchr(env->v[i], '=') || env->v[i][0] == '=') {
			err_field(e, "--env", "\"%s\" is no KEY=VALUE", env->v[i]);
			return NULL;
		}
		if (pb_push_str(&p->n_env, &p->env, env->v[i], e) < 0)
			return NULL;
	}
	p->has_terminal = p->has_stdin = 1;
	p->terminal = terminal;
	p->stdin = interactive;
	if (terminal)
		set_size(p);
	return steal_ptr(&p);
}

static int set_rest(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e)
{
	s->has_read_only_rootfs = s->read_only_rootfs = o->read_only;
	s->has_host_clocks = s->host_clocks = o->host_clocks;
	s->has_host_user_namespace = s->host_user_namespace = o->host_userns;
	s->has_stop_timeout_s = o->stop_timeout.given;
	s->stop_timeout_s = (uint32_t)MIN(o->stop_timeout.value, (uint64_t)UINT32_MAX);
	s->has_log_max_bytes = o->log_max_bytes.given;
	s->log_max_bytes = o->log_max_bytes.value;
	return (o->hostname && pb_set_str(&s->hostname, o->hostname, e) < 0) || (o->stop_signal && pb_set_str(&s->stop_signal, o->stop_signal, e) < 0)
		   ? -1
		   : 0;
}

Davit__ContainerSpec *spec_make(const struct spec_options *o, const struct words *args, struct err *e)
{
	auto_pb(Davit__ContainerSpec) *s = pb_new(&davit__container_spec__descriptor, e);

	if (!s)
		return NULL;
	if (!o->name || !o->image) {
		err_field(e, o->name ? "--image" : "--name", "is needed");
		return NULL;
	}
	if (str_check_name(o->name, "--name", e) < 0 || str_check_name(o->image, "--image", e) < 0 || pb_set_str(&s->name, o->name, e) < 0 ||
	    pb_set_str(&s->image, o->image, e) < 0 || spec_set_network(s, o, e) < 0 || spec_set_limits(s, o, e) < 0 || set_lists(s, o, e) < 0 ||
	    set_rest(s, o, e) < 0)
		return NULL;
	s->process = spec_make_process(args, &o->env, o->user, o->workdir, o->interactive, o->terminal, e);
	return s->process ? steal_ptr(&s) : NULL;
}

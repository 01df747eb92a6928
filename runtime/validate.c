/* See validate.h: the parts of a spec that are for every platform, and the list of problems. */
#include "runtime/validate.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "runtime/namespace.h"

#define HOSTNAME_MAX 64 /* __NEW_UTS_LEN */

struct field field_of(const char *fmt, ...)
{
	struct field f;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.s, sizeof(f.s), fmt, ap);
	va_end(ap);
	return f;
}

void problem(struct problems *p, const char *field, const char *remedy, const char *fmt, ...)
{
	char message[512];
	size_t used = strlen(p->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (p->n++ == 0) {
		err_field(p->e, field, "%s", message);
		if (remedy)
			err_remedy(p->e, "%s", remedy);
	}
	snprintf(p->text + used, sizeof(p->text) - used, "%s%s: %s", used ? "; " : "", field, message);
}

/* One problem stands as it is; of several the message is the list. */
static int result(struct problems *p)
{
	if (p->n > 1 && p->e)
		snprintf(p->e->msg, sizeof(p->e->msg), "%u problems: %.*s", p->n, (int)sizeof(p->e->msg) - 32, p->text);
	return p->n ? -1 : 0;
}

static bool is_known_version(const char *v)
{
	return str_prefix(v, "1.") && strspn(v, "0123456789.") >= 3;
}

static void check_root(const Davit__OciSpec *s, int bundle_fd, struct problems *p)
{
	struct stat st;

	if (!s->root || !s->root->path || !*s->root->path)
		return problem(p, "root.path", "name the folder of the root filesystem", "missing");
	if (fstatat(bundle_fd, s->root->path, &st, 0) < 0)
		return problem(p, "root.path", "name a folder, absolute or relative to the bundle", "%s does not exist", s->root->path);
	if (!S_ISDIR(st.st_mode))
		problem(p, "root.path", "name a folder, absolute or relative to the bundle", "%s is not a folder", s->root->path);
}

static void check_name(const Davit__OciSpec *s, const char *value, const char *field, struct problems *p)
{
	if (!value || !*value)
		return;
	if (strlen(value) > HOSTNAME_MAX)
		problem(p, field, "use at most 64 bytes", "too long (%zu bytes)", strlen(value));
	if (ns_how_of_spec(s, NS_UTS) == NS_HOST)
		problem(p, field, "add {\"type\": \"uts\"} to linux.namespaces", "cannot be set without a UTS namespace: it would rename the host");
}

static void check_hook_list(const char *name, Davit__OciHook *const *hooks, size_t n, struct problems *p)
{
	for (size_t i = 0; i < n; i++) {
		if (!hooks[i]->path || hooks[i]->path[0] != '/')
			problem(p, field_of("hooks.%s[%zu].path", name, i).s, "name the program by its absolute path", "not an absolute path");
		if (hooks[i]->has_timeout && (hooks[i]->timeout <= 0 || hooks[i]->timeout > 86400))
			problem(p, field_of("hooks.%s[%zu].timeout", name, i).s, "use 1 to 86400 seconds, or leave it away", "%d is out of range",
				hooks[i]->timeout);
		for (size_t k = 0; k < hooks[i]->n_env; k++)
			if (!strchr(hooks[i]->env[k], '='))
				problem(p, field_of("hooks.%s[%zu].env[%zu]", name, i, k).s, "write NAME=value", "\"%s\" has no =", hooks[i]->env[k]);
	}
}

static void check_hooks(const Davit__OciHooks *h, struct problems *p)
{
	if (!h)
		return;
	check_hook_list("prestart", h->prestart, h->n_prestart, p);
	check_hook_list("createRuntime", h->create_runtime, h->n_create_runtime, p);
	check_hook_list("createContainer", h->create_container, h->n_create_container, p);
	check_hook_list("startContainer", h->start_container, h->n_start_container, p);
	check_hook_list("poststart", h->poststart, h->n_poststart, p);
	check_hook_list("poststop", h->poststop, h->n_poststop, p);
}

static void check_annotations(const Davit__OciSpec *s, struct problems *p)
{
	for (size_t i = 0; i < s->n_annotations; i++)
		if (!*s->annotations[i]->key)
			problem(p, "annotations", "give each annotation a name", "an empty name");
}

int validate_spec(const Davit__OciSpec *s, int bundle_fd, struct err *e)
{
	struct problems p = { .e = e };

	if (!s->oci_version)
		problem(&p, "ociVersion", "write \"1.2.0\"", "missing");
	else if (!is_known_version(s->oci_version))
		problem(&p, "ociVersion", "write \"1.2.0\"", "\"%s\" is not a version 1 of the specification", s->oci_version);
	check_root(s, bundle_fd, &p);
	if (!s->process)
		problem(&p, "process", "add it, with args, cwd and user", "missing");
	else
		validate_process_into(s->process, &p);
	check_name(s, s->hostname, "hostname", &p);
	check_name(s, s->domainname, "domainname", &p);
	check_hooks(s->hooks, &p);
	check_annotations(s, &p);
	if (!s->linux)
		problem(&p, "linux", "add it, with the list of namespaces", "missing");
	else
		validate_linux_into(s, &p);
	validate_mounts_into(s, &p);
	return result(&p);
}

int validate_process(const Davit__OciProcess *s, struct err *e)
{
	struct problems p = { .e = e };

	validate_process_into(s, &p);
	return result(&p);
}

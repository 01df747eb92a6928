/* From option texts to a spec: each text form is parsed in one function of its own, which names its option when it fails. */
#include "agent/cli/spec_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spec_options_free(struct spec_options *o)
{
	struct strv *lists[] = { &o->publish, &o->cap_add, &o->cap_drop, &o->mounts,   &o->tmpfs,     &o->env,	   &o->labels,
				 &o->sysctls, &o->ulimits, &o->devices,	 &o->security, &o->supervise, &o->landlock };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strv_free(lists[i]);
}

void spec_options_table(struct spec_options *o, bool run, struct option out[SPEC_OPTIONS])
{
	const struct option table[] = {
		{ "name", 'n', "NAME", OPTION_STRING, &o->name, "the container's name (needed)" },
		{ "image", 0, "IMAGE", OPTION_STRING, &o->image, "its root file system (needed): see davit image list" },
		{ "network", 0, "none|host|NETWORK", OPTION_STRING, &o->network, "none (default), the host's, or a bridge network of the host" },
		{ "ip", 0, "ADDRESS", OPTION_STRING, &o->ip, "its address in the network; else one is chosen" },
		{ "publish", 'p', "[IP:]HOST:PORT[/udp]", OPTION_LIST, &o->publish, "publish a port on the host" },
		{ "memory", 'm', "BYTES", OPTION_STRING, &o->memory, "memory limit, such as 256m" },
		{ "memory-swap", 0, "BYTES", OPTION_BYTES, &o->memory_swap, "memory and swap together" },
		{ "cpus", 0, "N", OPTION_STRING, &o->cpus, "CPU limit, such as 1.5" },
		{ "pids", 0, "N", OPTION_NUMBER, &o->pids, "limit of tasks" },
		{ "cap-add", 0, "CAP", OPTION_LIST, &o->cap_add, "give a capability (as the host's policy allows)" },
		{ "cap-drop", 0, "CAP|ALL", OPTION_LIST, &o->cap_drop, "take a capability" },
		{ "read-only", 0, NULL, OPTION_FLAG, &o->read_only, "the root file system cannot be written" },
		{ "mount", 0, "SOURCE:TARGET[:OPTION,…]", OPTION_LIST, &o->mounts,
		  "bind a path of the host; options: ro, shared (same storage on all hosts)" },
		{ "tmpfs", 0, "TARGET[:OPTION,…]", OPTION_LIST, &o->tmpfs, "a tmpfs, such as /tmp:size=16m" },
		{ "env", 'e', "KEY=VALUE", OPTION_LIST, &o->env, "an environment variable" },
		{ "user", 'u', "UID[:GID]|NAME", OPTION_STRING, &o->user, "who runs it" },
		{ "workdir", 'w', "PATH", OPTION_STRING, &o->workdir, "where it starts" },
		{ "hostname", 0, "NAME", OPTION_STRING, &o->hostname, "default: the container's name" },
		{ "label", 'l', "KEY=VALUE", OPTION_LIST, &o->labels, "a label" },
		{ "sysctl", 0, "KEY=VALUE", OPTION_LIST, &o->sysctls, "a namespaced sysctl" },
		{ "ulimit", 0, "NAME=SOFT[:HARD]", OPTION_LIST, &o->ulimits, "a resource limit, such as nofile=1024:4096" },
		{ "device", 0, "PATH[:rwm]", OPTION_LIST, &o->devices, "a device of the host" },
		{ "security-opt", 0, "KEY=VALUE", OPTION_LIST, &o->security,
		  "seccomp=unconfined|FILE, apparmor=PROFILE, label=LABEL, no-new-privileges=false" },
		{ "supervise", 0, "CALL=WHAT", OPTION_LIST, &o->supervise,
		  "have a call done for its root, as the host's policy allows: mknod=\"c 10:200\", mount=tmpfs, sysctl=NAME. A filter sees a call's "
		  "registers only, no path: so a supervisor outside reads the rest, decides, and does it" },
		{ "landlock", 0, "ro|rw=PATH", OPTION_LIST, &o->landlock, "the only paths that it reaches, read or written, whatever else says" },
		{ "host-clocks", 0, NULL, OPTION_FLAG, &o->host_clocks, "no time namespace of its own" },
		{ "host-userns", 0, NULL, OPTION_FLAG, &o->host_userns, "no user namespace of its own (as the host's policy allows)" },
		{ "stop-signal", 0, "SIGNAL", OPTION_STRING, &o->stop_signal, "what stop sends first (default SIGTERM)" },
		{ "stop-timeout", 0, "SPAN", OPTION_SECONDS, &o->stop_timeout, "how long stop waits for it (default 10s)" },
		{ "log-max-bytes", 0, "BYTES", OPTION_BYTES, &o->log_max_bytes, "size of a log file before it is rotated" },
		{ "interactive", 'i', NULL, OPTION_FLAG, &o->interactive, "keep its stdin open" },
		{ "tty", 't', NULL, OPTION_FLAG, &o->terminal, "give it a terminal" },
		{ run ? "detach" : NULL, 'd', NULL, OPTION_FLAG, &o->detach, "do not wait for it; print its name" },
		{ run ? "rm" : NULL, 0, NULL, OPTION_FLAG, &o->remove, "remove it when it has ended" },
		{ NULL, 0, NULL, OPTION_FLAG, NULL, NULL },
	};

	_Static_assert(ARRAY_LEN(table) == SPEC_OPTIONS, "size of the table");
	memcpy(out, table, sizeof(table));
}

int spec_set_key_value(const char *text, const char *option, size_t *n, Davit__KeyValue ***array, struct err *e)
{
	const char *equals = strchr(text, '=');
	auto_free char *key = NULL;
	Davit__KeyValue *kv;

	if (!equals || equals == text)
		return err_field(e, option, "\"%s\" is no KEY=VALUE", text);
	key = mem_printf(e, "%.*s", (int)(equals - text), text);
	kv = key ? pb_new(&davit__key_value__descriptor, e) : NULL;
	if (!kv || pb_push(n, array, kv, e) < 0)
		return -1;
	return pb_set_str(&kv->key, key, e) < 0 ? -1 : pb_set_str(&kv->value, equals + 1, e);
}

/* "10.0.0.1:8080:80/udp", "8080:80". */
static int set_port(Davit__NetworkAttachment *a, const char *text, struct err *e)
{
	char copy[128], *slash, *last, *host, *ip = NULL;
	uint64_t host_port, port;
	Davit__Port *p;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = 0;
	last = strrchr(copy, ':');
	if (!last)
		return err_field(e, "--publish", "\"%s\" is no [IP:]HOSTPORT:PORT", text);
	*last++ = 0;
	host = strrchr(copy, ':');
	if (host) {
		*host++ = 0;
		ip = copy;
	} else {
		host = copy;
	}
	if (str_to_u64(host, 1, 65535, &host_port, "--publish", e) < 0 || str_to_u64(last, 1, 65535, &port, "--publish", e) < 0)
		return -1;
	if (slash && strcmp(slash, "tcp") != 0 && strcmp(slash, "udp") != 0)
		return err_field(e, "--publish", "\"%s\" is neither tcp nor udp", slash);
	p = pb_new(&davit__port__descriptor, e);
	if (!p || pb_push(&a->n_ports, &a->ports, p, e) < 0)
		return -1;
	p->host_port = (uint32_t)host_port;
	p->container_port = (uint32_t)port;
	return (ip && pb_set_str(&p->host_ip, ip, e) < 0) || (slash && pb_set_str(&p->protocol, slash, e) < 0) ? -1 : 0;
}

int spec_set_network(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e)
{
	bool bridge = o->network && strcmp(o->network, "none") != 0 && strcmp(o->network, "host") != 0;
	Davit__NetworkAttachment *a;

	if (!bridge) {
		if (o->ip)
			return err_field(e, "--ip", "needs --network NETWORK");
		if (o->publish.n)
			return err_field(e, "--publish", "needs --network NETWORK");
		return o->network ? pb_set_str(&s->network_mode, o->network, e) : 0;
	}
	if (str_check_name(o->network, "--network", e) < 0 || pb_set_str(&s->network_mode, "bridge", e) < 0)
		return -1;
	a = pb_new(&davit__network_attachment__descriptor, e);
	if (!a || pb_push(&s->n_attachments, &s->attachments, a, e) < 0 || pb_set_str(&a->network, o->network, e) < 0 ||
	    (o->ip && pb_set_str(&a->address, o->ip, e) < 0))
		return -1;
	for (size_t i = 0; i < o->publish.n; i++)
		if (set_port(a, o->publish.v[i], e) < 0)
			return -1;
	return 0;
}

static int set_cpus(Davit__Limits *l, const char *text, struct err *e)
{
	char *end;
	double n = strtod(text, &end);

	if (*end || end == text || !(n >= 0.001 && n <= 10000))
		return err_field(e, "--cpus", "\"%s\" is no number of CPUs such as 1.5", text);
	l->has_cpu_millis = 1;
	l->cpu_millis = (uint32_t)(n * 1000 + 0.5);
	return 0;
}

int spec_set_limits(Davit__ContainerSpec *s, const struct spec_options *o, struct err *e)
{
	Davit__Limits *l;

	if (!o->memory && !o->cpus && !o->pids.given && !o->memory_swap.given)
		return 0;
	l = s->limits = pb_new(&davit__limits__descriptor, e);
	if (!l)
		return -1;
	if (o->memory && str_to_bytes(o->memory, &l->memory_bytes, "--memory", e) < 0)
		return -1;
	l->has_memory_bytes = o->memory != NULL;
	l->has_memory_swap_bytes = o->memory_swap.given;
	l->memory_swap_bytes = o->memory_swap.value;
	if (o->pids.given && (o->pids.value == 0 || o->pids.value > 4194304))
		return err_field(e, "--pids", "1 to 4194304");
	l->has_pids = o->pids.given;
	l->pids = (uint32_t)o->pids.value;
	return o->cpus ? set_cpus(l, o->cpus, e) : 0;
}

/* Options of a mount: ours are taken out, the others are mount(8)'s. */
static int set_mount_options(Davit__SpecMount *m, char *text, struct err *e)
{
	for (char *save = NULL, *o = strtok_r(text, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		if (strcmp(o, "ro") == 0) {
			m->has_read_only = m->read_only = 1;
		} else if (strcmp(o, "shared") == 0) {
			m->has_shared_storage = m->shared_storage = 1;
		} else if (strcmp(o, "rw") != 0 && pb_push_str(&m->n_options, &m->options, o, e) < 0) {
			return -1;
		}
	}
	return 0;
}

int spec_add_mount(Davit__ContainerSpec *s, const char *type, const char *option, const char *text, struct err *e)
{
	auto_free char *copy = mem_strdup(text, e);
	char *source = copy, *target = copy, *options;
	Davit__SpecMount *m = copy ? pb_new(&davit__spec_mount__descriptor, e) : NULL;

	if (!m || pb_push(&s->n_mounts, &s->mounts, m, e) < 0)
		return -1;
	if (strcmp(type, "bind") == 0) {
		target = strchr(copy, ':');
		if (!target)
			return err_field(e, option, "\"%s\" is no SOURCE:TARGET", text);
		*target++ = 0;
	} else {
		source = NULL;
	}
	options = strchr(target, ':');
	if (options)
		*options++ = 0;
	if (target[0] != '/' || (source && source[0] != '/'))
		return err_field(e, option, "\"%s\": paths have to be absolute", text);
	if (pb_set_str(&m->type, type, e) < 0 || pb_set_str(&m->target, target, e) < 0 || (source && pb_set_str(&m->source, source, e) < 0))
		return -1;
	return options ? set_mount_options(m, options, e) : 0;
}

/* See network.h. */
#include "runtime/criu/network.h"
#include <string.h>
#include "base/file.h"
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/scan.h"
#include "runtime/namespace.h"

#define RECORD "network.pb"
#define RECORD_MAX (16 << 20)

bool network_may_differ(const Davit__OciSpec *spec)
{
	const Davit__OciCapabilities *c = spec->process ? spec->process->capabilities : NULL;
	if (ns_how_of_spec(spec, NS_NETWORK) != NS_NEW)
		return false;
	for (size_t i = 0; c && i < c->n_bounding; i++)
		if (str_eq(c->bounding[i], "CAP_NET_ADMIN"))
			return true;
	return false;
}

int network_record(struct inside_reader *r, int images_dirfd, Davit__ObstacleList *list, struct err *e)
{
	auto_pb(Davit__NetworkInside) *in = inside_read_end(r, e);
	if (!in)
		return err_prefix(e, "read the container's network");
	for (size_t i = 0; i < in->n_problems; i++) {
		Davit__Obstacle *o = obstacle_new(in->problems[i]->key, in->problems[i]->value, e);
		if (!o || pb_push(&list->n_obstacles, &list->obstacles, o, e) < 0)
			return -1;
	}
	return in->n_problems ? obstacle_err(list, e) : pb_write_file(images_dirfd, RECORD, &in->base, 0644, false, e);
}

int scan_network(struct scan *s, struct err *e)
{
	struct inside_reader r = INSIDE_READER_NONE;
	if (!s->o->spec || !network_may_differ(s->o->spec))
		return 0;
	if (inside_read_begin(s->o->init, s->o->network, &r, e) < 0)
		return -1;
	auto_pb(Davit__NetworkInside) *in = inside_read_end(&r, e);
	if (!in)
		return err_prefix(e, "look at the container's network");
	for (size_t i = 0; i < in->n_problems; i++)
		if (!scan_add(s, s->o->init, in->problems[i]->key, in->problems[i]->value, e))
			return -1;
	return 0;
}

/* "net.ipv4.ip_forward" as a file below /proc/sys/net. */
static int add_setting(Davit__NetworkInside *in, const Davit__OciStringEntry *from, struct err *e)
{
	if (!str_prefix(from->key, "net.") && !str_prefix(from->key, "net/"))
		return 0;
	Davit__KeyValue *kv = pb_new(&davit__key_value__descriptor, e);
	if (!kv || pb_push(&in->n_sysctls, &in->sysctls, kv, e) < 0 || pb_set_str(&kv->key, from->key + strlen("net."), e) < 0 ||
	    pb_set_str(&kv->value, from->value ? from->value : "", e) < 0)
		return -1;
	for (char *p = strchr(from->key, '/') ? NULL : strchr(kv->key, '.'); p; p = strchr(p, '.'))
		*p = '/';
	return 0;
}

int network_restore_settings(const Davit__OciSpec *spec, pid_t init, struct err *e)
{
	if (ns_how_of_spec(spec, NS_NETWORK) != NS_NEW || !spec->linux || !spec->linux->n_sysctl)
		return 0;
	auto_pb(Davit__NetworkInside) *in = pb_new(&davit__network_inside__descriptor, e);
	if (!in)
		return -1;
	in->has_settings_only = in->settings_only = true;
	for (size_t i = 0; i < spec->linux->n_sysctl; i++)
		if (add_setting(in, spec->linux->sysctl[i], e) < 0)
			return -1;
	return in->n_sysctls ? inside_make(init, in, NULL, e) : 0;
}

int network_restore(int images_dirfd, const Davit__OciSpec *spec, pid_t init, const Davit__RuntimeNetwork *n, struct err *e)
{
	if (ns_how_of_spec(spec, NS_NETWORK) != NS_NEW || !file_exists(images_dirfd, RECORD))
		return 0;
	/* Whoever sent the images gives it no more than it could take itself. */
	if (!network_may_differ(spec))
		return err_set(e, ERR_DENIED, 0, "the images change the network of a container without CAP_NET_ADMIN");
	auto_pb(Davit__NetworkInside) *in = pb_read_file(images_dirfd, RECORD, &davit__network_inside__descriptor, RECORD_MAX, e);
	return in && inside_make(init, in, n, e) == 0 ? 0 : err_prefix(e, "make the container's network as it was");
}

/* See config.h. */
#include "runtime/config.h"
#include "base/mem.h"
#include "proto/json.h"
#include "proto/pb.h"

static int make_absolute(Davit__OciMount *m, struct err *e)
{
	if (!m->destination || !*m->destination || *m->destination == '/')
		return 0;
	auto_free char *path = mem_printf(e, "/%s", m->destination);
	return path ? pb_set_str(&m->destination, path, e) : -1;
}

Davit__OciSpec *config_parse(const char *text, size_t len, struct err *e)
{
	auto_pb(Davit__OciSpec) *spec = json_parse(&davit__oci_spec__descriptor, text, len, JSON_KEEP, NULL, e);

	for (size_t i = 0; spec && i < spec->n_mounts; i++)
		if (make_absolute(spec->mounts[i], e) < 0)
			return NULL;
	return steal_ptr(&spec);
}

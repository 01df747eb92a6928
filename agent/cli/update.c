/* davit update: other limits of containers. */
#include "agent/cli/cli.h"
#include "agent/cli/spec_private.h"
#include "proto/pb.h"

int command_update(struct cli *c, int argc, char **argv, struct err *e)
{
	struct spec_options o = { 0 };
	const struct option options[] = {
		{ "memory", 'm', "BYTES", OPTION_STRING, &o.memory, "memory limit, such as 256m" },
		{ "memory-swap", 0, "BYTES", OPTION_BYTES, &o.memory_swap, "memory and swap together" },
		{ "cpus", 0, "N", OPTION_STRING, &o.cpus, "CPU limit, such as 1.5" },
		{ "pids", 0, "N", OPTION_NUMBER, &o.pids, "limit of tasks" },
		{ 0 },
	};
	auto_pb(Davit__ContainerSpec) *spec = pb_new(&davit__container_spec__descriptor, e);
	struct words names;
	int r = spec ? cli_parse(c, options, argc, argv, 1, -1, false, &names, e) : -1;

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (spec_set_limits(spec, &o, e) < 0)
		return -1;
	if (!spec->limits)
		return err_field(e, "--memory", "nothing is to be changed: give a limit");
	for (int i = 0; i < names.n; i++) {
		auto_free char *path = cli_path(e, "/v1/containers/%s/update", names.v[i]);

		if (!path || cli_request(c, "POST", path, &spec->limits->base, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

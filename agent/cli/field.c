/* The API's names of fields as the options of davit: who typed `--cpus` is not told about spec.limits.cpuMillis. */
#include <stdio.h>
#include <string.h>
#include "agent/cli/cli.h"

/* Without "spec." and indices. The first that fits counts; a name stands for all below it. */
static const struct {
	const char *field, *option;
} names[] = {
	{ "name", "--name" },
	{ "newName", "--name" },
	{ "image", "--image" },
	{ "process.args", "COMMAND" },
	{ "args", "COMMAND" },
	{ "process.env", "--env" },
	{ "env", "--env" },
	{ "process.cwd", "--workdir" },
	{ "cwd", "--workdir" },
	{ "process.user", "--user" },
	{ "user", "--user" },
	{ "hostname", "--hostname" },
	{ "limits.memoryBytes", "--memory" },
	{ "limits.memorySwapBytes", "--memory-swap" },
	{ "limits.cpuMillis", "--cpus" },
	{ "limits.pids", "--pids" },
	{ "mounts", "--mount" },
	{ "networkMode", "--network" },
	{ "attachments.address", "--ip" },
	{ "attachments.ports", "--publish" },
	{ "attachments", "--network" },
	{ "address", "--ip" },
	{ "capAdd", "--cap-add" },
	{ "capDrop", "--cap-drop" },
	{ "seccomp", "--security-opt seccomp" },
	{ "apparmorProfile", "--security-opt apparmor" },
	{ "selinuxLabel", "--security-opt label" },
	{ "allowNewPrivileges", "--security-opt no-new-privileges" },
	{ "readOnlyRootfs", "--read-only" },
	{ "sysctls", "--sysctl" },
	{ "rlimits", "--ulimit" },
	{ "devices", "--device" },
	{ "labels", "--label" },
	{ "hostUserNamespace", "--host-userns" },
	{ "hostClocks", "--host-clocks" },
	{ "stopSignal", "--stop-signal" },
	{ "stopTimeoutS", "--stop-timeout" },
	{ "logMaxBytes", "--log-max-bytes" },
	{ "clockPolicy", "--clock-policy" },
	{ "bandwidth", "--bandwidth" },
	{ "timeoutS", "--timeout" },
	{ "target", "HOST" },
	{ "keepLast", "--keep-last" },
	{ "keepHourly", "--keep-hourly" },
	{ "keepDaily", "--keep-daily" },
	{ "keepWeekly", "--keep-weekly" },
};

static void strip(const char *field, char *out, size_t cap)
{
	size_t n = 0;

	field += str_prefix(field, "spec.") ? strlen("spec.") : 0;
	while (*field && n + 1 < cap) {
		if (*field == '[' && strchr(field, ']'))
			field = strchr(field, ']') + 1;
		else
			out[n++] = *field++;
	}
	out[n] = 0;
}

void cli_field(const char *field, char *out, size_t cap)
{
	char plain[ERR_FIELD_MAX];

	strip(field, plain, sizeof(plain));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i].field);

		if (strncmp(plain, names[i].field, n) == 0 && (plain[n] == 0 || plain[n] == '.')) {
			snprintf(out, cap, "%s", names[i].option);
			return;
		}
	}
	snprintf(out, cap, "%s", field);
}

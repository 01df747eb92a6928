/* Options of run and create, and the ContainerSpec they make. */
#pragma once
#include "agent/cli/cli.h"
#include "spec.pb-c.h"

#define SPEC_OPTIONS 35

/* As given. Zero-initialise; spec_options_free() at the end. */
struct spec_options {
	const char *name, *image, *network, *ip, *memory, *cpus, *user, *workdir, *hostname;
	const char *stop_signal;
	struct option_number pids, memory_swap, stop_timeout, log_max_bytes;
	struct strv publish, cap_add, cap_drop, mounts, tmpfs, env, labels, sysctls, ulimits, devices, security, supervise, landlock;
	bool read_only, interactive, terminal, host_clocks, host_userns, detach, remove;
};
void spec_options_free(struct spec_options *o);
/* The option table that fills o; run adds --detach and --rm. */
void spec_options_table(struct spec_options *o, bool run, struct option out[SPEC_OPTIONS]);
/* Owned spec, or NULL with the option named. */
Davit__ContainerSpec *spec_make(const struct spec_options *o, const struct words *args, struct err *e);
/* A process of run or exec. Owned, or NULL. */
Davit__ProcessSpec *spec_make_process(const struct words *args, const struct strv *env, const char *user, const char *workdir, bool interactive,
				      bool terminal, struct err *e);

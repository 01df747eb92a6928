/* davit-runtime serve: the privileged core of davitd; runtime/serve/serve.h tells how it works. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/criu/criu.h"
#include "runtime/layer/lazy_archive.h"
#include "runtime/serve/facts.h"
#include "runtime/serve/reconcile.h"
#include "runtime/serve/serve.h"

enum { STATE_DIR = 256, RUN_DIR, BIN_DIR, CGROUP_PARENT, POLICY, CONFIG, CRIU, IDS_START, IDS_COUNT, LOG_GROUP, SOCKET_FD, LEVEL, FORMAT };

static struct core core = { .socket = -1, .lock = -1, .log_gid = (gid_t)-1, .ids_start = 1000000, .ids_count = 1000 };
static enum log_level level = LOG_LEVEL_INFO;
static enum log_format format = LOG_FORMAT_TEXT;

static const struct cli_option options[] = {
	{ { "socket-fd", required_argument, NULL, SOCKET_FD }, "N", "SOCK_SEQPACKET socket of davitd, inherited" },
	{ { "state-dir", required_argument, NULL, STATE_DIR }, "DIR", "images, containers, logs" },
	{ { "run-dir", required_argument, NULL, RUN_DIR }, "DIR", "what does not outlive the host" },
	{ { "bin-dir", required_argument, NULL, BIN_DIR }, "DIR", "where davit-runtime and davit-monitor are" },
	{ { "cgroup-parent", required_argument, NULL, CGROUP_PARENT }, "PATH", "below which all cgroups are made" },
	{ { "policy", required_argument, NULL, POLICY }, "FILE", "the host's policy.json (default: nothing is allowed)" },
	{ { "config", required_argument, NULL, CONFIG }, "FILE", "davitd's configuration, for its networks" },
	{ { "criu", required_argument, NULL, CRIU }, "PATH", "the criu to use (default: the first that works)" },
	{ { "ids-start", required_argument, NULL, IDS_START }, "N", "first id of containers' ranges" },
	{ { "ids-count", required_argument, NULL, IDS_COUNT }, "N", "how many ranges of 65536" },
	{ { "log-group", required_argument, NULL, LOG_GROUP }, "GID", "group that may read containers' logs" },
	{ { "log-level", required_argument, NULL, LEVEL }, "LEVEL", "error, warn, info, debug" },
	{ { "log-format", required_argument, NULL, FORMAT }, "FORMAT", "text, json, journald" },
	{ { 0 }, NULL, NULL },
};

static int set_text(char **to, const char *value, struct err *e)
{
	free(*to);
	*to = mem_strdup(value, e);
	return *to ? 0 : -1;
}

static int set_number(uint32_t *to, const char *value, const char *name, struct err *e)
{
	uint64_t n = 0;
	if (str_to_u64(value, 0, UINT32_MAX - 1, &n, name, e) < 0)
		return -1;
	*to = (uint32_t)n;
	return 0;
}

static int take_number(int val, const char *value, struct err *e)
{
	uint32_t n = 0;
	switch (val) {
	case IDS_START:
		return set_number(&core.ids_start, value, "ids-start", e);
	case IDS_COUNT:
		return set_number(&core.ids_count, value, "ids-count", e);
	case LOG_GROUP:
		return set_number(&core.log_gid, value, "log-group", e);
	default:
		if (set_number(&n, value, "socket-fd", e) < 0)
			return -1;
		core.socket = (int)n;
		return 0;
	}
}

static int take_option(struct cli *c, int val, const char *value, struct err *e)
{
	char **const texts[] = { [STATE_DIR - 256] = &core.state_dir,
				 [RUN_DIR - 256] = &core.run_dir,
				 [BIN_DIR - 256] = &core.bin_dir,
				 [CGROUP_PARENT - 256] = &core.cgroup_parent,
				 [POLICY - 256] = &core.policy_file,
				 [CONFIG - 256] = &core.config_file,
				 [CRIU - 256] = &core.criu };
	(void)c;
	if (val == LEVEL)
		return log_level_of(value, &level, e);
	if (val == FORMAT)
		return log_format_of(value, &format, e);
	return val <= CRIU ? set_text(texts[val - 256], value, e) : take_number(val, value, e);
}

/* What takes a second, so that the first who asks for it need not wait. A grandchild: it ends by itself, and nobody has to wait for it. */
static void warm_up(void)
{
	struct err e = { 0 };
	pid_t pid = fork();
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (pid != 0)
		return;
	if (fork() != 0)
		_exit(0);
	close(core.socket);
	close(core.lock);
	Davit__HostFacts *f = facts_criu(&core, &e);
	if (!f)
		log_err(LOG_LEVEL_WARN, "criu", &e);
	else if (f->criu_problem)
		log_warn("containers cannot be moved or saved: %s", f->criu_problem);
	_exit(0);
}

/* Each request is a fork of this process, and most that move a container pack or unpack a layer: loaded here, libarchive and what it brings are there
 * already. Without it those requests fail, and tell why. */
static void load_ahead(void)
{
	struct err e = { 0 };
	if (lazy_archive(&e) < 0)
		log_err(LOG_LEVEL_WARN, "layers cannot be moved or saved", &e);
}

static int serve(struct cli *c, int argc, char **argv, struct err *e)
{
	(void)c;
	(void)argc;
	(void)argv;
	log_setup(2, level, format);
	signal(SIGCHLD, SIG_DFL); /* ignored by inheritance it would make every wait fail */
	int rc = serve_open(&core, e);
	if (rc == 0 && (rc = serve_harden(&core, e)) == 0 && (rc = reconcile(&core, e)) == 0) {
		warm_up();
		load_ahead();
		rc = serve_run(&core, e);
		serve_close(&core);
	}
	serve_free(&core);
	return rc < 0 ? -1 : CLI_OK;
}

const struct cli_command cli_serve = {
	.name = "serve",
	.arguments = "",
	.help = "serve davitd's requests (started by davitd alone)",
	.options = options,
	.max = 0,
	.run = serve,
	.option = take_option,
};

/* davitd: the agent of one host.
 *
 * Order, and what each step may do: options and configuration (root, reads files); folders, keys, sockets (root, makes them); the runtime core (the
 * one child that stays root); then root is given up, the cage closes (privsep.h, sandbox.h), and only then the database is opened,
 * unfinished moves are taken up, and requests are served. The main thread then waits for a signal or for the end of the core, without which
 * davitd is of no use: it ends too, and says so; containers go on, and the next davitd finds them. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/db/idempotency.h"
#include "agent/db/operation.h"
#include "agent/http/openapi.h"
#include "agent/http/server.h"
#include "agent/memory.h"
#include "agent/mobility.h"
#include "agent/move.h"
#include "agent/notify.h"
#include "agent/privsep.h"
#include "agent/reconcile.h"
#include "agent/sandbox.h"
#include "agent/session.h"
#include "agent/subscriber.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "migrate/store.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

/* How long davitd is quiet before it gives memory back, and how often it looks when it is. */
#define IDLE_MS 3000
#define IDLE_LONG_MS 15000

struct options {
	const char *config;
	const char *state_dir, *run_dir, *log_level;
	bool check, given_config;
};

static const char usage[] = "usage: davitd [OPTION]…\n"
			    "The agent of one host: serves davit's API on a unix socket and, with mutual TLS, on TCP.\n\n"
			    "  --config FILE       configuration, JSON (default " CONFIG_PATH ")\n"
			    "  --state-dir DIR     instead of the configuration's stateDir\n"
			    "  --run-dir DIR       instead of the configuration's runDir\n"
			    "  --log-level LEVEL   error, warn, info or debug\n"
			    "  --check-config      check the configuration and its policy, and end\n"
			    "  --openapi           print the API's description and end\n"
			    "  --version           print the version and end\n"
			    "  --help              print this and end\n";

enum { OPT_CONFIG = 256, OPT_STATE, OPT_RUN, OPT_LEVEL, OPT_CHECK, OPT_OPENAPI, OPT_VERSION, OPT_HELP };
static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "state-dir", required_argument, NULL, OPT_STATE },
	{ "run-dir", required_argument, NULL, OPT_RUN },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "openapi", no_argument, NULL, OPT_OPENAPI },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int fail(const struct err *e)
{
	fprintf(stderr, "davitd: %s\n", err_line(e).s);
	return err_info(e->code)->exit;
}

/* Prints what was asked for. Returns an exit status, or -1 to go on. */
static int print_and_end(int option)
{
	struct err e = { 0 };
	auto_buf struct buf b = { 0 };

	if (option == OPT_VERSION)
		return printf("davitd " DAVIT_VERSION "\n") > 0 ? 0 : 1;
	if (option == OPT_HELP)
		return fputs(usage, stdout) >= 0 ? 0 : 1;
	if (option != OPT_OPENAPI)
		return -1;
	if (openapi_print(&b, &e) < 0)
		return fail(&e);
	return fwrite(b.data, 1, b.len, stdout) == b.len ? 0 : 1;
}

/* Returns an exit status, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *o)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == '?')
			return err_info(ERR_INVALID)->exit;
		status = print_and_end(c);
		if (status >= 0)
			return status;
		o->config = c == OPT_CONFIG ? optarg : o->config;
		o->given_config |= c == OPT_CONFIG;
		o->state_dir = c == OPT_STATE ? optarg : o->state_dir;
		o->run_dir = c == OPT_RUN ? optarg : o->run_dir;
		o->log_level = c == OPT_LEVEL ? optarg : o->log_level;
		o->check |= c == OPT_CHECK;
	}
	if (optind < argc) {
		fprintf(stderr, "davitd: unexpected argument \"%s\": see davitd --help\n", argv[optind]);
		return err_info(ERR_INVALID)->exit;
	}
	return -1;
}

static int load_config(const struct options *o, struct agent *a, struct err *e)
{
	a->config = config_read(o->config, o->given_config, e);
	if (!a->config || (o->state_dir && pb_set_str(&a->config->state_dir, o->state_dir, e) < 0) ||
	    (o->run_dir && pb_set_str(&a->config->run_dir, o->run_dir, e) < 0) ||
	    (o->log_level && pb_set_str(&a->config->log_level, o->log_level, e) < 0) || config_complete(a->config, e) < 0 ||
	    config_check(a->config, e) < 0)
		return -1;
	a->mover = mem_printf(e, "%s/davit-mover", a->config->libexec_dir);
	a->moves_dir = mem_printf(e, "%s/agent/moves", a->config->state_dir);
	a->logs_dir = mem_printf(e, "%s/logs", a->config->state_dir);
	return a->mover && a->moves_dir && a->logs_dir ? 0 : -1;
}

static int setup_log(const Davit__AgentConfig *c, struct err *e)
{
	enum log_level level;
	enum log_format format;

	if (log_level_of(c->log_level, &level, e) < 0 || log_format_of(c->log_format, &format, e) < 0)
		return -1;
	log_setup(STDERR_FILENO, level, format);
	return 0;
}

/* What the privileged half leaves behind for the other. */
struct prepared {
	int unix_fd, tcp_fd, core_fd, core_pidfd, notify_fd;
	pid_t core;
};

/* All that takes root, and then no more root. */
static int prepare(struct agent *a, const struct options *o, struct prepared *p, struct err *e)
{
	struct privsep_user user;
	const Davit__AgentConfig *c = a->config;
	const char *config = access(o->config, F_OK) == 0 ? o->config : NULL;

	if (geteuid() != 0) {
		err_set(e, ERR_DENIED, 0, "davitd has to be started as root");
		return err_remedy(e, "it gives root up at once and serves as user %s", c->user);
	}
	if (privsep_find_user(c, &user, e) < 0 || privsep_read_tls(c, &a->tls, e) < 0 || privsep_read_snapshot_key(a, e) < 0 ||
	    privsep_make_folders(c, &user, e) < 0)
		return -1;
	a->socket_gid = user.socket_gid;
	p->notify_fd = notify_open();
	p->unix_fd = privsep_listen_unix(c->socket, user.socket_gid, e);
	p->tcp_fd = c->listen && p->unix_fd >= 0 ? privsep_listen_tcp(c->listen, e) : -1;
	if (p->unix_fd < 0 || (c->listen && p->tcp_fd < 0))
		return -1;
	p->core_fd = privsep_start_core(c, config, user.gid, &p->core, &p->core_pidfd, e);
	return p->core_fd < 0 || privsep_drop(&user, e) < 0 ? -1 : 0;
}

static int enter_cage(const struct agent *a, struct err *e)
{
	auto_free char *own = mem_printf(e, "%s/agent", a->config->state_dir);
	struct sandbox_paths paths = { .own = own, .logs = a->logs_dir, .libexec = a->config->libexec_dir };

	return own ? sandbox_enter(&paths, e) : -1;
}

static int open_state(struct agent *a, struct err *e)
{
	auto_free char *db = mem_printf(e, "%s/agent/agent.db", a->config->state_dir);
	auto_free char *snapshots = mem_printf(e, "%s/agent/snapshots", a->config->state_dir);

	if (!db || !snapshots || file_mkdir_p(a->moves_dir, 0700, e) < 0 || file_mkdir_p(snapshots, 0700, e) < 0)
		return -1;
	hold_table_init(&a->holds);
	group_table_init(&a->groups);
	job_table_init(&a->jobs);
	a->db = db_open(db, e);
	if (!a->db || idempotency_sweep(a->db, e) < 0 || db_operation_interrupt(a->db, e) < 0 || event_bus_init(&a->events, a->db, e) < 0)
		return -1;
	a->store = store_open(snapshots, e);
	if (a->store && a->snapshot_key && store_set_key(a->store, a->snapshot_key, a->snapshot_key_len, e) < 0)
		return -1;
	a->sessions = session_table_new(e);
	a->moves = move_table_new(a, e);
	return a->store && a->sessions && a->moves ? 0 : -1;
}

/* Whether the core has ended (then -1), looked at for a moment: its end is the cause of whatever just failed. */
static int check_core(const struct prepared *p, int wait_ms, struct err *e)
{
	struct pollfd fd = { .fd = p->core_pidfd, .events = POLLIN };
	int status = 0;

	if (poll(&fd, 1, wait_ms) <= 0)
		return 0;
	waitpid(p->core, &status, WNOHANG);
	err_set(e, ERR_IO, 0, "the runtime core ended (status %d): davitd ends with it; containers go on", proc_exit_code(status));
	return err_remedy(e, "its own message stands above");
}

/* Waits for a signal (0) or the core's end (-1). */
static int wait_for_end(struct agent *a, const struct prepared *p, int signals, struct err *e)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = p->core_pidfd, .events = POLLIN } };
	unsigned seen = a->requests, released = seen - 1;
	int r;

	/* Once it has been quiet for a while, what is not needed is given back. */
	while ((r = poll(fds, ARRAY_LEN(fds), released == seen && a->requests == seen ? IDLE_LONG_MS : IDLE_MS)) <= 0) {
		if (r < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		if (a->requests == seen && released != seen) {
			memory_release();
			released = seen;
		}
		seen = a->requests;
	}
	return check_core(p, 0, e);
}

static int serve(struct agent *a, const struct prepared *p, int signals, struct err *e)
{
	struct server *server;
	int r;

	core_init(&a->core, p->core_fd);
	if (open_state(a, e) < 0)
		return -1;
	if (reconcile(a, e) < 0 || move_recover_all(a, e) < 0 || subscriber_start(a, e) < 0 || mobility_start(a, e) < 0) {
		check_core(p, 500, e);
		return -1;
	}
	server = server_start(a, p->unix_fd, p->tcp_fd, e);
	if (!server)
		return -1;
	log_info("davitd " DAVIT_VERSION " serves on %s%s%s as %s", a->config->socket, a->config->listen ? " and " : "",
		 a->config->listen ? a->config->listen : "", a->config->user);
	notify_send(p->notify_fd, "READY=1\nSTATUS=Serving.");
	memory_release();
	r = wait_for_end(a, p, signals, e);
	log_info("davitd ends; containers go on");
	notify_send(p->notify_fd, "STOPPING=1");
	a->stopping = true;
	event_bus_stop(&a->events);
	session_table_stop(a->sessions);
	job_stop_all(a, r == 0 ? 3000 : 0);
	server_stop(server, r == 0 ? 1000 : 0);
	return r;
}

/* Blocked in every thread: only the main one looks at them. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static struct agent agent;
	struct options o = { .config = CONFIG_PATH };
	struct prepared p = { -1, -1, -1, -1, -1, -1 };
	struct err e = { 0 };
	int status = parse_options(argc, argv, &o), signals;

	if (status >= 0)
		return status;
	if (load_config(&o, &agent, &e) < 0 || setup_log(agent.config, &e) < 0)
		return fail(&e);
	if (o.check && (config_check_policy(agent.config, &e) < 0 || privsep_find_user(agent.config, &(struct privsep_user){ 0 }, &e) < 0))
		return fail(&e);
	if (o.check)
		return printf("%s: in order\n", o.config) > 0 ? 0 : 1;
	memory_setup();
	signals = block_signals();
	if (sodium_init() < 0 || signals < 0)
		return fail((err_set(&e, ERR_INTERNAL, errno, "start"), &e));
	if (prepare(&agent, &o, &p, &e) < 0 || enter_cage(&agent, &e) < 0 || serve(&agent, &p, signals, &e) < 0)
		status = fail(&e);
	else
		status = 0;
	/* Handlers may still run in their threads: the database is safe at any moment, so nothing is torn down. What nobody can reach any more is a
	 * leak. */
	fflush(stdout);
#ifdef __SANITIZE_ADDRESS__
	__lsan_do_leak_check();
#endif
	_exit(status);
}

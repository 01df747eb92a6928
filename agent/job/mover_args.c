/* From the request for a move to the mover's job. */
#include "agent/job/mover_args.h"
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/job/mover.h"
#include "base/clock.h"
#include "migrate/codec.h"
#include "migrate/group.h"
#include "migrate/mode.h"

/* Of a move's time limit, copying may take so much: then it freezes, or gives up by itself, which tells more than being cancelled. */
#define COPY_SHARE_PERCENT 80
#define DOWNTIME_MAX_MS 60000
#define ROUNDS_LIMIT 1000

void move_args_free(void *arg)
{
	struct move_args *m = arg;

	group_leave(&m->member, &(const struct err){ .code = ERR_CANCELLED, .msg = "its move did not begin" });
	free(m->url);
	free(m->peer);
	free(m->policy);
	free(m->id);
	free(m->container_id);
	free(m->mode);
	free(m->compress);
	free(m->group);
	free(m);
}

/* The strings that the mover's job needs. */
int move_args_fill(struct agent *a, struct move_args *args, const Davit__MigrateRequest *m, const Davit__Container *c, const char *id, struct err *e)
{
	const char *url = config_peer_url(a->config, m->target, e);

	if (!url)
		return -1;
	args->url = mem_strdup(url, e);
	args->peer = mem_strdup(m->target, e);
	args->policy = mem_strdup(m->clock_policy ? m->clock_policy : "continue", e);
	args->container_id = mem_strdup(c->id, e);
	args->id = mem_strdup(id, e);
	if (!args->url || !args->peer || !args->policy || !args->id || !args->container_id)
		return -1;
	mover_question(a, args->url, args->id, &args->job);
	args->job.kind = (char *)(uintptr_t) "move";
	args->job.has_timeout_ms = 0;
	args->job.moves_folder = a->moves_dir;
	args->job.container_id = args->container_id;
	args->job.source_url = a->config->advertise_url;
	args->job.peer = args->peer;
	args->job.clock_policy = args->policy;
	args->job.has_bandwidth = m->has_bandwidth;
	args->job.bandwidth = m->bandwidth;
	if ((m->mode && !(args->job.mode = args->mode = mem_strdup(m->mode, e))) ||
	    (m->compress && !(args->job.compress = args->compress = mem_strdup(m->compress, e))))
		return -1;
	args->job.has_allow_tcp_reset = args->job.allow_tcp_reset = m->has_allow_tcp_reset && m->allow_tcp_reset;
	args->job.has_downtime_ms = m->has_downtime_ms;
	args->job.downtime_ms = m->downtime_ms;
	args->job.has_max_rounds = m->has_max_rounds;
	args->job.max_rounds = m->max_rounds;
	args->job.has_auto_converge = m->has_auto_converge;
	args->job.auto_converge = m->auto_converge;
	args->job.has_copy_timeout_ms = m->has_timeout_s;
	args->job.copy_timeout_ms = (uint32_t)MIN((uint64_t)m->timeout_s * 1000 * COPY_SHARE_PERCENT / 100, (uint64_t)UINT32_MAX);
	args->job.has_check_only = args->job.check_only = m->has_check_only && m->check_only;
	args->timeout_ns = m->has_timeout_s ? m->timeout_s * NSEC_PER_SEC : 0;
	if (!m->group || args->job.check_only)
		return 0;
	if (!(args->job.group = args->group = mem_strdup(m->group->id, e)))
		return -1;
	args->member = group_join(&a->groups, m->group->id, m->group->size, m->target, c->name, e);
	return args->member ? 0 : -1;
}

int move_args_check(const struct agent *a, const Davit__MigrateRequest *m, struct err *e)
{
	if (!a->tls.cert) {
		err_set(e, ERR_STATE, 0, "this host has no certificate to show to other hosts");
		return err_remedy(e, "set tlsCert, tlsKey and tlsCa in davitd's configuration");
	}
	if (!a->config->advertise_url) {
		err_set(e, ERR_STATE, 0, "this host does not tell other hosts how to reach it");
		return err_remedy(e, "set listen and advertiseUrl in davitd's configuration");
	}
	if (m->clock_policy && !str_eq(m->clock_policy, "continue") && !str_eq(m->clock_policy, "suspend") && !str_eq(m->clock_policy, "freeze"))
		return err_field(e, "clockPolicy", "continue, suspend or freeze, not \"%s\"", m->clock_policy);
	if (m->has_bandwidth && m->bandwidth < 1024)
		return err_field(e, "bandwidth", "at least 1024 bytes/s");
	if (m->has_timeout_s && m->timeout_s == 0)
		return err_field(e, "timeoutS", "at least 1 second");
	if (m->has_downtime_ms && (m->downtime_ms == 0 || m->downtime_ms > DOWNTIME_MAX_MS))
		return err_field(e, "downtimeMs", "from 1 to %d", DOWNTIME_MAX_MS);
	if (m->has_max_rounds && (m->max_rounds == 0 || m->max_rounds > ROUNDS_LIMIT))
		return err_field(e, "maxRounds", "from 1 to %d", ROUNDS_LIMIT);
	if (m->group && (m->group->size < 2 || m->group->size > GROUP_MAX))
		return err_field(e, "group.size", "from 2 to %d", GROUP_MAX);
	if (codec_check(m->compress, e) < 0 || (m->group && group_check_id(m->group->id, e) < 0))
		return -1;
	enum mode mode;
	return m->mode ? mode_of(m->mode, &mode, e) : 0;
}

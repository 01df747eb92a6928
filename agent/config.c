/* Configuration: read, completed, checked. */
#include "agent/config.h"
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/db/address.h"
#include "agent/db/container.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "proto/json.h"

#define CONFIG_MAX ((size_t)1 << 20)

/* A file that is missing and not required is an empty one. */
static void *read_message(const ProtobufCMessageDescriptor *d, const char *path, bool required, struct err *e)
{
	struct err inner = { 0 };
	size_t n = 0;
	auto_free char *text = file_read(AT_FDCWD, path, CONFIG_MAX, &n, &inner);
	void *m;

	if (!text && inner.code == ERR_NOT_FOUND && !required)
		return pb_new(d, e);
	if (!text) {
		*e = inner;
		err_remedy(e, "name the configuration with --config FILE");
		return NULL;
	}
	m = json_parse(d, text, n, JSON_REFUSE, NULL, e);
	if (!m)
		err_prefix(e, "%s", path);
	return m;
}

Davit__AgentConfig *config_read(const char *path, bool required, struct err *e)
{
	return read_message(&davit__agent_config__descriptor, path, required, e);
}

int config_check_policy(const Davit__AgentConfig *c, struct err *e)
{
	auto_pb(Davit__HostPolicy) *policy = read_message(&davit__host_policy__descriptor, c->policy, false, e);

	return policy ? 0 : -1;
}

static int default_str(char **field, const char *value, struct err *e)
{
	return *field ? 0 : pb_set_str(field, value, e);
}

static int default_join(char **field, const char *folder, const char *name, struct err *e)
{
	if (!*field)
		*field = mem_printf(e, "%s/%s", folder, name);
	return *field ? 0 : -1;
}

/* davitd's own folder: the programs of one build find each other. */
static int own_folder(char out[PATH_MAX], struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

	if (n < 0)
		return err_sys(e, errno, "/proc/self/exe");
	out[n] = 0;
	*strrchr(out, '/') = 0;
	return 0;
}

/* The first folder that holds davit-mover: beside an installed davitd, in a build tree, or the configured prefix. */
static int default_libexec(Davit__AgentConfig *c, struct err *e)
{
	static const char *const places[] = { "../libexec/davit", "../libexec" };

	for (size_t i = 0; !c->libexec_dir && i < ARRAY_LEN(places); i++) {
		auto_free char *path = mem_printf(e, "%s/%s/davit-mover", c->bin_dir, places[i]);

		if (!path)
			return -1;
		if (access(path, X_OK) == 0 && default_join(&c->libexec_dir, c->bin_dir, places[i], e) < 0)
			return -1;
	}
	return default_str(&c->libexec_dir, DAVIT_PREFIX "/libexec/davit", e);
}

static void default_u32(protobuf_c_boolean *has, uint32_t *field, uint32_t value)
{
	if (!*has)
		*field = value;
	*has = 1;
}

int config_complete(Davit__AgentConfig *c, struct err *e)
{
	char folder[PATH_MAX], host[HOST_NAME_MAX + 1] = "localhost";

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = 0;
	if (own_folder(folder, e) < 0 || default_str(&c->name, host, e) < 0 || default_str(&c->state_dir, "/var/lib/davit", e) < 0 ||
	    default_str(&c->run_dir, "/run/davit", e) < 0 || default_join(&c->socket, c->run_dir, "davit.sock", e) < 0 ||
	    default_str(&c->user, "davit", e) < 0 || default_str(&c->policy, CONFIG_POLICY_PATH, e) < 0 ||
	    default_str(&c->log_level, "info", e) < 0 || default_str(&c->log_format, "text", e) < 0 ||
	    default_str(&c->cgroup_parent, "/davit", e) < 0 || default_str(&c->bin_dir, folder, e) < 0 || default_libexec(c, e) < 0)
		return -1;
	default_u32(&c->has_ids_start, &c->ids_start, 1000000);
	default_u32(&c->has_ids_count, &c->ids_count, 1000);
	default_u32(&c->has_max_operations, &c->max_operations, 8);
	default_u32(&c->has_mobility_check_s, &c->mobility_check_s, 30);
	if (!c->has_max_body_bytes)
		c->max_body_bytes = 1 << 20;
	c->has_max_body_bytes = 1;
	return 0;
}

int config_split_address(const char *text, char host[64], char port[8], struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	uint64_t number;

	if (!colon || n == 0 || n >= 64)
		return err_field(e, "listen", "\"%s\" is no ADDRESS:PORT", text);
	if (text[0] == '[' && text[n - 1] == ']') {
		memcpy(host, text + 1, n - 2);
		host[n - 2] = 0;
	} else {
		memcpy(host, text, n);
		host[n] = 0;
	}
	if (str_to_u64(colon + 1, 1, 65535, &number, "listen", e) < 0)
		return -1;
	snprintf(port, 8, "%u", (unsigned)number);
	return 0;
}

static int check_tls(const Davit__AgentConfig *c, struct err *e)
{
	char host[64], port[8];
	const struct {
		const char *field, *value;
	} need[] = { { "tlsCert", c->tls_cert }, { "tlsKey", c->tls_key }, { "tlsCa", c->tls_ca } };

	for (size_t i = 0; i < ARRAY_LEN(need); i++)
		if (c->listen && !need[i].value) {
			err_field(e, need[i].field, "%s is needed with listen: TCP is served with mutual TLS only", need[i].field);
			return err_remedy(e, "name a PEM file");
		}
	if (c->advertise_url && !str_prefix(c->advertise_url, "https://"))
		return err_field(e, "advertiseUrl", "advertiseUrl has to begin with https://");
	return c->listen ? config_split_address(c->listen, host, port, e) : 0;
}

static int check_peers(const Davit__AgentConfig *c, struct err *e)
{
	char field[32];

	for (size_t i = 0; i < c->n_peers; i++) {
		snprintf(field, sizeof(field), "peers[%zu].name", i);
		if (str_check_name(c->peers[i]->name, field, e) < 0)
			return -1;
		snprintf(field, sizeof(field), "peers[%zu].url", i);
		if (!str_prefix(c->peers[i]->url, "https://"))
			return err_field(e, field, "%s has to begin with https://", field);
	}
	if (c->n_peers && !c->tls_cert)
		return err_field(e, "tlsCert", "tlsCert is needed to speak to peers");
	return 0;
}

static int check_gateway(const char *gateway, const struct subnet *s, const char *field, struct err *e)
{
	struct in_addr a;

	if (inet_pton(AF_INET, gateway, &a) != 1)
		return err_field(e, field, "\"%s\" is no IPv4 address", gateway);
	return subnet_has(s, ntohl(a.s_addr)) ? 0 : err_field(e, field, "%s lies outside the subnet", gateway);
}

static int check_networks(const Davit__AgentConfig *c, struct err *e)
{
	char field[40];

	for (size_t i = 0; i < c->n_networks; i++) {
		const Davit__CoreNetwork *n = c->networks[i];
		struct subnet s;

		snprintf(field, sizeof(field), "networks[%zu].name", i);
		if (str_check_name(n->name, field, e) < 0)
			return -1;
		for (size_t j = 0; j < i; j++)
			if (str_eq(n->name, c->networks[j]->name) || str_eq(n->bridge, c->networks[j]->bridge))
				return err_field(e, field, "%s: name or bridge is that of networks[%zu]", field, j);
		snprintf(field, sizeof(field), "networks[%zu].bridge", i);
		if (strlen(n->bridge) == 0 || strlen(n->bridge) > 15)
			return err_field(e, field, "%s: an interface name has 1 to 15 characters", field);
		snprintf(field, sizeof(field), "networks[%zu].subnet", i);
		if (subnet_parse(n->subnet, &s, NULL, field, e) < 0)
			return -1;
		snprintf(field, sizeof(field), "networks[%zu].gateway", i);
		if (n->gateway && check_gateway(n->gateway, &s, field, e) < 0)
			return -1;
	}
	return 0;
}

static int check_absolute(const char *field, const char *path, struct err *e)
{
	return path && path[0] != '/' ? err_field(e, field, "%s has to be an absolute path, not \"%s\"", field, path) : 0;
}

int config_check(const Davit__AgentConfig *c, struct err *e)
{
	enum log_level level;
	enum log_format format;

	if (str_check_name(c->name, "name", e) < 0 || check_absolute("stateDir", c->state_dir, e) < 0 ||
	    check_absolute("runDir", c->run_dir, e) < 0 || check_absolute("socket", c->socket, e) < 0 || check_tls(c, e) < 0 ||
	    check_peers(c, e) < 0 || check_networks(c, e) < 0)
		return -1;
	if (log_level_of(c->log_level, &level, e) < 0 || log_format_of(c->log_format, &format, e) < 0)
		return -1;
	auto_free char *group = path_join(e, "/", c->cgroup_parent);
	if (!group || !str_eq(group, c->cgroup_parent) || str_eq(group, "/"))
		return err_field(e, "cgroupParent", "\"%s\" is no plain path of a group below the root, as /davit", c->cgroup_parent);
	if (str_eq(c->user, "root"))
		return err_field(e, "user", "davitd does not serve as root");
	if (c->ids_start < 65536)
		return err_field(e, "idsStart", "idsStart has to be 65536 or more: lower ids belong to the host");
	if (c->ids_count == 0 || c->ids_start + (uint64_t)c->ids_count * CONTAINER_IDS_SIZE > UINT32_MAX)
		return err_field(e, "idsCount", "the ranges reach beyond 4294967295");
	if (c->mobility_check_s > 86400)
		return err_field(e, "mobilityCheckS", "mobilityCheckS has to be 0 to 86400");
	if (c->max_operations == 0 || c->max_operations > 64)
		return err_field(e, "maxOperations", "maxOperations has to be 1 to 64");
	if (c->max_body_bytes < 4096 || c->max_body_bytes > 16 << 20)
		return err_field(e, "maxBodyBytes", "maxBodyBytes has to be 4096 to 16777216");
	return 0;
}

const char *config_peer_url(const Davit__AgentConfig *c, const char *target, struct err *e)
{
	if (str_prefix(target, "https://"))
		return target;
	for (size_t i = 0; i < c->n_peers; i++)
		if (str_eq(c->peers[i]->name, target))
			return c->peers[i]->url;
	err_set(e, ERR_NOT_FOUND, 0, "no peer is called %s", target);
	snprintf(e->field, sizeof(e->field), "target");
	err_remedy(e, "add it to peers in davitd's configuration, or give an https:// URL");
	return NULL;
}

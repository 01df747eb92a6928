/* The host itself: facts, peers, health, the API's description. */
#include "agent/api/api.h"
#include "agent/http/openapi.h"
#include "agent/view.h"

static int add_peers(const Davit__AgentConfig *c, size_t *n, Davit__Peer ***peers, struct err *e)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		Davit__Peer *p = pb_new(&davit__peer__descriptor, e);

		if (!p || pb_push(n, peers, p, e) < 0 || pb_set_str(&p->name, c->peers[i]->name, e) < 0 ||
		    pb_set_str(&p->url, c->peers[i]->url, e) < 0)
			return -1;
	}
	return 0;
}

int node_get(struct request *r, struct err *e)
{
	auto_pb(Davit__Node) *node = pb_new(&davit__node__descriptor, e);
	auto_pb(Davit__ContainerList) *list = node ? view_containers(r->agent, e) : NULL;

	if (!list || pb_set_str(&node->name, r->agent->config->name, e) < 0 || pb_set_str(&node->version, DAVIT_VERSION, e) < 0 ||
	    add_peers(r->agent->config, &node->n_peers, &node->peers, e) < 0)
		return -1;
	node->facts = core_facts(&r->agent->core, e);
	if (!node->facts)
		return -1;
	node->has_containers_running = 1;
	for (size_t i = 0; i < list->n_containers; i++)
		node->containers_running += str_eq(list->containers[i]->state, "running");
	r->answer = steal_ptr(&node);
	return 0;
}

int peer_list(struct request *r, struct err *e)
{
	auto_pb(Davit__PeerList) *list = pb_new(&davit__peer_list__descriptor, e);

	if (!list || add_peers(r->agent->config, &list->n_peers, &list->peers, e) < 0)
		return -1;
	r->answer = steal_ptr(&list);
	return 0;
}

static int answer_text(struct request *r, const char *text, size_t n, struct err *e)
{
	r->response = MHD_create_response_from_buffer(n, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	return r->response ? 0 : err_set(e, ERR_RESOURCE, 0, "no memory for an answer");
}

/* Healthy: the core answers. */
int health_get(struct request *r, struct err *e)
{
	auto_pb(Davit__ContainerStatusList) *list = core_list(&r->agent->core, e);

	return list ? answer_text(r, "ok\n", 3, e) : -1;
}

int openapi_get(struct request *r, struct err *e)
{
	auto_buf struct buf b = { 0 };

	return openapi_print(&b, e) < 0 ? -1 : answer_text(r, b.data, b.len, e);
}

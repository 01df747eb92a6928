/* All requests of the API. */
#include "agent/routes.h"
#include "agent/api/api.h"

#define READER ROLE_READER
#define OPERATOR ROLE_OPERATOR
#define PEER ROLE_PEER
#define ANY (ROLE_READER | ROLE_OPERATOR | ROLE_PEER)
#define M(type) &davit__##type##__descriptor
#define KEY ROUTE_IDEMPOTENT_KEY
#define DELIMITED "application/x-protobuf-delimited"

static const struct route table[] = {
	{ "GET", "/healthz", ANY, NULL, NULL, 200, health_get, NULL, "text/plain", NULL, 0, "health", "whether the agent and its core answer", NULL },
	{ "GET", "/metrics", READER, NULL, NULL, 200, metrics_get, NULL, "text/plain; version=0.0.4", NULL, 0, "metrics", "Prometheus metrics",
	  NULL },
	{ "GET", "/v1/openapi.json", ANY, NULL, NULL, 200, openapi_get, NULL, "application/json", NULL, 0, "openapi", "this description", NULL },
	{ "GET", "/v1/node", READER, NULL, M(node), 200, node_get, NULL, NULL, NULL, 0, "getNode", "the host: facts, peers, running containers",
	  NULL },
	{ "GET", "/v1/peers", READER, NULL, M(peer_list), 200, peer_list, NULL, NULL, NULL, 0, "listPeers", "hosts that containers may move to",
	  NULL },
	{ "GET", "/v1/events", READER, NULL, NULL, 200, event_stream, "after,container", "text/event-stream", NULL, ROUTE_LONG, "streamEvents",
	  "server-sent events; Last-Event-ID resumes", NULL },

	{ "GET", "/v1/containers", READER, NULL, M(container_list), 200, container_list, NULL, NULL, NULL, 0, "listContainers", "all containers",
	  NULL },
	{ "POST", "/v1/containers", OPERATOR, M(container_create), M(container), 201, container_create, NULL, NULL, NULL, KEY, "createContainer",
	  "make a container, and start it if asked", container_create_again },
	{ "GET", "/v1/containers/{name}", READER, NULL, M(container), 200, container_get, NULL, NULL, NULL, 0, "getContainer", "one container",
	  NULL },
	{ "DELETE", "/v1/containers/{name}", OPERATOR, NULL, NULL, 204, container_delete, "force", NULL, NULL, 0, "deleteContainer",
	  "remove a stopped container; force: kill it first", NULL },
	{ "POST", "/v1/containers/{name}/start", OPERATOR, NULL, M(container), 200, container_start, NULL, NULL, NULL, KEY, "startContainer",
	  "start it", container_change_again },
	{ "POST", "/v1/containers/{name}/stop", OPERATOR, M(stop_request), M(container), 200, container_stop, NULL, NULL, NULL, KEY | ROUTE_LONG,
	  "stopContainer", "send its stop signal, and SIGKILL after the timeout", container_change_again },
	{ "POST", "/v1/containers/{name}/kill", OPERATOR, M(signal_request), M(container), 200, container_kill, NULL, NULL, NULL, KEY,
	  "killContainer", "send a signal (default SIGKILL)", container_change_again },
	{ "POST", "/v1/containers/{name}/pause", OPERATOR, NULL, M(container), 200, container_pause, NULL, NULL, NULL, KEY, "pauseContainer",
	  "freeze it", container_change_again },
	{ "POST", "/v1/containers/{name}/update", OPERATOR, M(limits), M(container), 200, container_update, NULL, NULL, NULL, KEY, "updateContainer",
	  "change those limits that are given; they go with later moves and snapshots", container_change_again },
	{ "POST", "/v1/containers/{name}/resume", OPERATOR, NULL, M(container), 200, container_resume, NULL, NULL, NULL, KEY, "resumeContainer",
	  "let it go on", container_change_again },
	{ "GET", "/v1/containers/{name}/wait", READER, NULL, M(wait_answer), 200, container_wait, "timeout", NULL, NULL, ROUTE_LONG, "waitContainer",
	  "wait until it ends", NULL },
	{ "GET", "/v1/containers/{name}/logs", READER, NULL, NULL, 200, container_logs, "follow,since,tail", "text/plain", NULL, ROUTE_LONG,
	  "getLogs", "its output, a line each: time, stream, F or P (partial), text", NULL },
	{ "GET", "/v1/containers/{name}/stats", READER, NULL, M(container_stats), 200, container_stats, NULL, NULL, NULL, 0, "getStats", "counters",
	  NULL },
	{ "GET", "/v1/containers/{name}/processes", READER, NULL, M(process_list), 200, container_processes, NULL, NULL, NULL, 0, "listProcesses",
	  "its processes", NULL },
	{ "GET", "/v1/containers/{name}/clock", READER, NULL, M(container_clock), 200, container_clock, NULL, NULL, NULL, 0, "getClock",
	  "its clocks beside the host's", NULL },
	{ "GET", "/v1/containers/{name}/mobility", READER, NULL, M(mobility), 200, container_mobility, NULL, NULL, NULL, 0, "getMobility",
	  "what would keep it from being checkpointed or moved", NULL },
	{ "POST", "/v1/containers/{name}/exec", OPERATOR, M(process_spec), M(exec_session), 201, container_exec, NULL, NULL, NULL, 0, "execContainer",
	  "run a further process in it", NULL },
	{ "POST", "/v1/containers/{name}/attach", OPERATOR, NULL, M(exec_session), 201, container_attach, NULL, NULL, NULL, 0, "attachContainer",
	  "a session with its first process", NULL },
	{ "GET", "/v1/execs/{id}/output", OPERATOR, NULL, NULL, 200, exec_output, NULL, DELIMITED, NULL, ROUTE_LONG, "streamExecOutput",
	  "ExecFrame messages until the process ends", NULL },
	{ "POST", "/v1/execs/{id}/input", OPERATOR, NULL, NULL, 204, exec_input, NULL, NULL, &exec_input_upload, ROUTE_LONG, "streamExecInput",
	  "ExecFrame messages for it", NULL },

	{ "POST", "/v1/containers/{name}/checkpoint", OPERATOR, M(snapshot_create), M(operation), 202, container_checkpoint, NULL, NULL, NULL, KEY,
	  "checkpointContainer", "keep its state in a snapshot and stop it", operation_again },
	{ "POST", "/v1/containers/{name}/restore", OPERATOR, M(snapshot_restore), M(operation), 202, container_restore, NULL, NULL, NULL, KEY,
	  "restoreContainer", "let a checkpointed container go on", operation_again },
	{ "POST", "/v1/containers/{name}/migrate", OPERATOR, M(migrate_request), M(operation), 202, container_migrate, NULL, NULL, NULL, KEY,
	  "migrateContainer", "move it to another host while it runs", operation_again },
	{ "POST", "/v1/containers/{name}/snapshots", OPERATOR, M(snapshot_create), M(operation), 202, snapshot_create, NULL, NULL, NULL, KEY,
	  "createSnapshot", "keep its state; it goes on", operation_again },
	{ "GET", "/v1/containers/{name}/snapshots", READER, NULL, M(snapshot_list), 200, snapshot_list, NULL, NULL, NULL, 0, "listContainerSnapshots",
	  "its snapshots, the oldest first", NULL },

	{ "GET", "/v1/snapshots", READER, NULL, M(snapshot_list), 200, snapshot_list, "container", NULL, NULL, 0, "listSnapshots", "all snapshots",
	  NULL },
	{ "POST", "/v1/snapshots/prune", OPERATOR, M(snapshot_prune), M(prune_result), 200, snapshot_prune, NULL, NULL, NULL, 0, "pruneSnapshots",
	  "remove those that the rules do not keep", NULL },
	{ "GET", "/v1/snapshots/{id}", READER, NULL, M(snapshot), 200, snapshot_get, NULL, NULL, NULL, 0, "getSnapshot", "one snapshot", NULL },
	{ "DELETE", "/v1/snapshots/{id}", OPERATOR, NULL, NULL, 204, snapshot_delete, NULL, NULL, NULL, 0, "deleteSnapshot", "remove a snapshot",
	  NULL },
	{ "POST", "/v1/snapshots/{id}/restore", OPERATOR, M(snapshot_restore), M(operation), 202, snapshot_restore, NULL, NULL, NULL, KEY,
	  "restoreSnapshot", "bring the container back, or a clone under a new name", operation_again },

	{ "GET", "/v1/migrations", READER, NULL, M(migration_list), 200, migration_list, "container", NULL, NULL, 0, "listMigrations",
	  "moves from and to this host, the newest first", NULL },
	{ "GET", "/v1/migrations/{id}", READER, NULL, M(move_record), 200, migration_get, NULL, NULL, NULL, 0, "getMigration", "one move", NULL },
	{ "POST", "/v1/migrations/{id}/cancel", OPERATOR, NULL, M(move_record), 202, migration_cancel, NULL, NULL, NULL, 0, "cancelMigration",
	  "take a move back that has not committed", NULL },
	{ "POST", "/v1/migrations/{id}/resume", OPERATOR, NULL, M(move_record), 202, migration_resume, NULL, NULL, NULL, 0, "resumeMigration",
	  "ask the other side now, or go on sending memory that follows", NULL },
	{ "POST", "/v1/migrations/{id}/resolve", OPERATOR, M(move_resolve), M(move_resolution), 200, migration_resolve, NULL, NULL, NULL, 0,
	  "resolveMigration", "decide a move that is in doubt, by force; tells what that may break and does it only when confirmed", NULL },
	{ "GET", "/v1/operations", READER, NULL, M(operation_list), 200, operation_list, "container", NULL, NULL, 0, "listOperations",
	  "long work, the newest first", NULL },
	{ "GET", "/v1/operations/{id}", READER, NULL, M(operation), 200, operation_get, "wait", NULL, NULL, ROUTE_LONG, "getOperation",
	  "one operation; wait: seconds to wait for its end", NULL },
	{ "POST", "/v1/operations/{id}/cancel", OPERATOR, NULL, M(operation), 202, operation_cancel, NULL, NULL, NULL, 0, "cancelOperation",
	  "stop it", NULL },

	{ "GET", "/v1/images", READER, NULL, M(image_info_list), 200, image_list, NULL, NULL, NULL, 0, "listImages", "root file systems of this host",
	  NULL },
	{ "PUT", "/v1/images/{name}", OPERATOR, NULL, M(image_import_answer), 201, image_import, NULL, NULL, &image_import_upload, ROUTE_LONG,
	  "importImage", "make an image of a tar", NULL },
	{ "DELETE", "/v1/images/{name}", OPERATOR, NULL, NULL, 204, image_delete, "force", NULL, NULL, 0, "deleteImage",
	  "remove an image that is not used; force: also if only snapshots need it", NULL },

	{ "POST", "/v1/peer/moves/{id}/up", PEER, NULL, NULL, 204, move_up, NULL, NULL, &move_up_upload, ROUTE_LONG, "moveUp",
	  "a move's stream from its source", NULL },
	{ "GET", "/v1/peer/moves/{id}/down", PEER, NULL, NULL, 200, move_down, NULL, "application/octet-stream", NULL, ROUTE_LONG, "moveDown",
	  "a move's stream to its source", NULL },
	{ "GET", "/v1/peer/moves/{id}/verdict", PEER, NULL, M(move_verdict), 200, move_verdict, NULL, NULL, NULL, 0, "moveVerdict",
	  "whether this source has committed", NULL },
	{ "GET", "/v1/peer/moves/{id}/state", PEER, NULL, M(move_state), 200, move_state, NULL, NULL, NULL, 0, "moveState", "what this target did",
	  NULL },
};

const struct route *routes_table(size_t *n)
{
	*n = ARRAY_LEN(table);
	return table;
}

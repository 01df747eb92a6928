/* The kinds of obstacles: one table for what CRIU's log tells (obstacle_log.c) and for what a look at /proc tells (scan.c). */
#include "runtime/criu/obstacle.h"
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"

const struct obstacle_kind obstacle_kinds[] = {
	{ "io_uring", "an io_uring instance is open",
	  "let the program use epoll or threads (for many a setting or environment variable does), or close the ring first" },
	{ "unix_stream_external", "a stream unix socket is connected to a process outside the container",
	  "close the connection, or move both ends into one container" },
	{ "unix_external", "a unix socket leads to a process outside the container",
	  "close it, or ask for ext_unix_sk if a datagram socket may be reconnected by path" },
	{ "nested_namespace", "a process has a namespace of its own inside the container",
	  "end what made it (systemd units with Private…=, a container inside, `unshare`)" },
	{ "inotify_path", "an inotify watch is on a file whose path cannot be found again",
	  "remove the watch, or keep the watched file in the container's rootfs" },
	{ "device", "a device is open that has no state to save",
	  "close it; only null, zero, full, random, urandom, terminals and tun can be taken along" },
	{ "device_mapping", "device memory is mapped", "end the program that maps it (GPUs and other hardware cannot be taken along)" },
	{ "file_lock", "a file lock is held", "ask for file_locks, if no process outside the container uses the same file" },
	{ "file_lease", "a file lease is being broken", "try again" },
	{ "ghost_limit", "a deleted file that is still open is larger than the limit", "close or truncate it, or raise the limit (ghost_limit)" },
	{ "deleted_file", "a deleted file is open that has other names", "close it, or link it where the container's root may write" },
	{ "pipe_size", "a pipe is larger than this host lets it be", "raise fs.pipe-max-size on the target" },
	{ "file_changed", "a file that is open or mapped has changed since the dump", "restore with the files as they were at the dump" },
	{ "file_missing", "a file that was open is missing", "restore with the files as they were at the dump" },
	{ "file_outside", "a file is open that lies outside the container's mounts",
	  "close it; standard streams must be pipes or a terminal that the monitor holds" },
	{ "file_denied", "a file may not be opened by the container's root",
	  "give the file to the container's root; standard streams are best pipes" },
	{ "file_overmounted", "a file is open that a later mount hides", "close it" },
	{ "mount_external", "a mount comes from outside the container and is not in its spec", "unmount it, or name it in the spec's mounts" },
	{ "mount_unsupported", "a file system is mounted that cannot be saved",
	  "unmount it, or give it to the container as a bind mount in its spec" },
	{ "mount_source", "a mount of the container cannot be made here", "make the source of the mount available at the same path" },
	{ "network_lock", "the programs or kernel parts for locking the network are missing",
	  "install nftables, or give the container its own network" },
	{ "network_link", "the container has a network device of a kind that cannot be made again",
	  "remove it; only dummy devices and those of the spec can be taken along" },
	{ "network_queue", "a queue or filter of tc(8) is set in the container's network", "remove it (tc qdisc del)" },
	{ "network_address", "an address in the container's network has a property that is not known", "remove it" },
	{ "network_route", "a route in the container's network has a tunnel or a nexthop object", "replace it by a plain route" },
	{ "network_rule", "a rule of routing in the container's network has a property that is not known", "remove it" },
	{ "network_filter", "the container's packet rules cannot be told by nftables", "make them with nft(8) instead of iptables' extensions" },
	{ "iptables_legacy", "the container has packet rules of the old iptables", "make them with nft(8) or iptables-nft" },
	{ "tcp_established", "a TCP connection is established", "ask for tcp_established to keep it, or tcp_close to end it" },
	{ "in_flight", "a connection is waiting to be accepted", "try again; let the program call accept(2)" },
	{ "terminal", "a terminal of the outside is used", "run it without a terminal or with one of its own, or ask for shell_job" },
	{ "session", "a process belongs to a session whose leader is outside the container", "start it by setsid(1), or ask for shell_job" },
	{ "memfd", "a memory file cannot be saved", "let the program not use it (secret memory and sealed huge pages cannot be taken along)" },
	{ "hugetlb", "huge pages are mapped that this host cannot give", "reserve as many on the target (vm.nr_hugepages)" },
	{ "lsm_label", "the security label or profile of a process is not known here",
	  "load the profile on the target, or give another by lsm_profile" },
	{ "seccomp", "a seccomp filter cannot be read or set",
	  "use a kernel with seccomp checkpoint support; filters with a listener cannot be taken along" },
	{ "seccomp_listener", "system calls are answered by a process outside (a supervisor, or SCMP_ACT_NOTIFY), which is not there after a restore",
	  "run it without --supervise (annotation org.davit.supervise), or without SCMP_ACT_NOTIFY" },
	{ "landlock", "the container is held by Landlock, which nobody can read or put on again at a restore",
	  "run it without --landlock (annotation org.davit.landlock)" },
	{ "traced", "a process is traced", "detach the debugger or tracer" },
	{ "perf_event", "a perf event is open", "end the profiler inside the container" },
	{ "bpf", "a BPF program or map of a kind that cannot be saved is open", "unload it" },
	{ "userfaultfd", "a userfaultfd is open", "end the program that uses it" },
	{ "anonymous_file", "a kernel object is open that cannot be saved", "close it" },
	{ "exec_session", "a process was put into the container from outside (exec)", "end the exec session" },
	{ "socket", "a socket of a kind that cannot be saved is open", "close it" },
	{ "mptcp", "a multipath TCP socket is open", "switch multipath TCP off (Go programs: GODEBUG=multipathtcp=0)" },
	{ "socket_data", "a socket holds control messages or data that cannot be saved", "try again when it is empty" },
	{ "sysv_shm", "a System V shared memory segment of the host is attached", "give the container its own IPC namespace" },
	{ "namespace_owner", "a namespace does not belong to the container's user namespace", "let the container make its namespaces itself" },
	{ "uprobe", "a probe is set in a process", "remove the probe" },
	{ "pidfd", "a pidfd of a process outside the container is open", "close it" },
	{ "not_frozen", "the processes could not be stopped in time", "look for processes that wait uninterruptibly (state D)" },
	{ "uninterruptible", "a process waits uninterruptibly", "wait for its disk or network file system" },
	{ "pid_taken", "a process id that the restore needs is in use", "give the container its own PID namespace" },
	{ "cpu", "the CPU lacks what the images need", "choose a host with a CPU like the source's" },
	{ "no_space", "there is no space left for the images", "free disk space or memory (the images' folder may be a tmpfs)" },
	{ "kernel", "this kernel lacks what CRIU needs", "use another kernel, or a newer criu" },
};
const size_t obstacle_kinds_count = ARRAY_LEN(obstacle_kinds);

const struct obstacle_kind *obstacle_kind(const char *kind)
{
	for (size_t i = 0; i < obstacle_kinds_count; i++)
		if (str_eq(obstacle_kinds[i].kind, kind))
			return &obstacle_kinds[i];
	return NULL;
}

Davit__Obstacle *obstacle_new(const char *kind, const char *detail, struct err *e)
{
	const struct obstacle_kind *k = obstacle_kind(kind);
	auto_pb(Davit__Obstacle) *o = pb_new(&davit__obstacle__descriptor, e);

	if (!o || !k) {
		if (!k)
			err_set(e, ERR_INTERNAL, 0, "no obstacle is called %s", kind);
		return NULL;
	}
	o->kind = mem_strdup(k->kind, e);
	o->reason = detail ? mem_printf(e, "%s: %s", k->reason, detail) : mem_strdup(k->reason, e);
	if (!o->kind || !o->reason || pb_set_str(&o->remedy, k->remedy, e) < 0)
		return NULL;
	return steal_ptr(&o);
}

static bool is_vague(const char *kind)
{
	return str_eq(kind, "not_frozen");
}

bool obstacle_prefer(Davit__ObstacleList *told, Davit__ObstacleList *seen)
{
	const char *kind = told->n_obstacles && !is_vague(told->obstacles[0]->kind) ? told->obstacles[0]->kind : NULL;
	size_t first = 0;

	while (kind && first < seen->n_obstacles && !str_eq(seen->obstacles[first]->kind, kind))
		first++;
	if (first >= seen->n_obstacles)
		return false;
	Davit__Obstacle *o = seen->obstacles[first];
	seen->obstacles[first] = seen->obstacles[0];
	seen->obstacles[0] = o;
	Davit__ObstacleList swap = *told;
	*told = *seen;
	*seen = swap;
	return true;
}

int obstacle_err(const Davit__ObstacleList *list, struct err *e)
{
	const Davit__Obstacle *o = list->obstacles[0];
	char where[256] = "", more[32] = "";

	if (o->process || o->has_pid)
		snprintf(where, sizeof(where), "process %s%s%.0d%s: ", o->process ? o->process : "", o->process ? " " : "", o->pid, "");
	if (list->n_obstacles > 1)
		snprintf(more, sizeof(more), " (and %zu more)", list->n_obstacles - 1);
	err_set(e, ERR_OBSTACLE, 0, "%s%s%s%s%s", where, o->reason, o->path ? ": " : "", o->path ? o->path : "", more);
	return o->remedy ? err_remedy(e, "%s", o->remedy) : -1;
}

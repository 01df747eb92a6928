/* Obstacles: what the log's error lines mean. The lines are CRIU's, as it wrote them here or as its source prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "proto/pb.h"
#include "runtime/criu/log.h"
#include "runtime/criu/obstacle.h"

static const struct {
	const char *line, *kind, *path;
	int fd, pid;
} samples[] = {
	{ "Error (criu/files-ext.c:98): Can't dump file 3 of that type [600] (anon anon_inode:[io_uring])", "io_uring", NULL, 3, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 4 of that type [600] (anon anon_inode:[perf_event])", "perf_event", NULL, 4, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 5 of that type [600] (anon anon_inode:bpf-prog)", "bpf", NULL, 5, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 5 of that type [600] (anon anon_inode:[userfaultfd])", "userfaultfd", NULL, 5, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 6 of that type [600] (anon anon_inode:[vfio-device])", "anonymous_file",
	  "anon_inode:[vfio-device]", 6, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 7 of that type [20666] (chr 10:229)", "device", "10:229", 7, 0 },
	{ "Error (criu/files-ext.c:98): Can't dump file 7 of that type [60660] (unknown /dev/vda)", "device", "/dev/vda", 7, 0 },
	{ "Error (criu/sk-unix.c:881): unix: Can't dump half of stream unix connection. name: (null); peer name: /run/d.sock", "unix_stream_external",
	  NULL, 0, 0 },
	{ "Error (criu/sk-unix.c:874): unix: External socket is used. Consider using --ext-unix-sk option.", "unix_external", NULL, 0, 0 },
	{ "Error (criu/namespaces.c:460): Can't dump nested uts namespace for 1234", "nested_namespace", "uts", 0, 1234 },
	{ "Error (criu/namespaces.c:739): Can't dump nested time namespace for 7", "nested_namespace", "time", 0, 7 },
	{ "Error (criu/fsnotify.c:287): fsnotify: \tCan't dump that handle", "inotify_path", NULL, 0, 0 },
	{ "Error (criu/proc_parse.c:673): Can't handle non-regular mapping on 99's map 7f00", "device_mapping", NULL, 0, 99 },
	{ "Error (criu/file-lock.c:110): Some file locks are hold by dumping tasks! You can try --file-locks to dump them.", "file_lock", NULL, 0,
	  0 },
	{ "Error (criu/files-reg.c:1000): Can't dump ghost file /tmp/big of 70000000 size, increase limit", "ghost_limit", "/tmp/big", 0, 0 },
	{ "Error (criu/files-reg.c:1100): Can't create link remap for /a/b. Use link-remap option.", "deleted_file", "/a/b", 0, 0 },
	{ "Error (criu/files-reg.c:2400): File var/log/x has bad size 10 (expect 20)", "file_changed", "var/log/x", 0, 0 },
	{ "Error (criu/files-reg.c:2350): Can't open file tmp/gone on restore: No such file or directory", "file_missing", "tmp/gone", 0, 0 },
	{ "Error (criu/files-reg.c:1790): Can't lookup mount=29 for fd=1 path=/tmp/out", "file_outside", "/tmp/out", 1, 0 },
	{ "Error (criu/mount.c:753): mnt: 631:./data doesn't have a proper root mount", "mount_external", "./data", 0, 0 },
	{ "Error (criu/mount.c:724): mnt: FS mnt ./f dev 0x30 root / unsupported id 5", "mount_unsupported", "./f", 0, 0 },
	{ "Error (criu/mount.c:2650): mnt: No mapping for 631:./data mountpoint", "mount_source", "./data", 0, 0 },
	{ "Error (criu/net.c:3332): Locking network failed: iptables-restore returned 255.", "network_lock", NULL, 0, 0 },
	{ "Error (criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.", "tcp_established", NULL, 0, 0 },
	{ "Error (criu/sk-inet.c:185): inet: In-flight connection (l) for 12af", "in_flight", NULL, 0, 0 },
	{ "Error (criu/tty.c:2000): tty: Found dangling tty with sid 1 pgid 1 (pts) on peer fd 0.", "terminal", NULL, 0, 0 },
	{ "Error (criu/cr-dump.c:1681): A session leader of 345(7) is outside of its pid namespace", "session", NULL, 0, 345 },
	{ "Error (criu/lsm.c:300): apparmor LSM specified but apparmor not supported by kernel", "lsm_label", NULL, 0, 0 },
	{ "Error (criu/seccomp.c:100): seccomp: Can't fetch filter on tid_real 5 i 0: Invalid argument", "seccomp", NULL, 0, 0 },
	{ "Error (compel/src/lib/infect.c:261): Unseizable non-zombie 4711 found, state S, err -1/1", "traced", NULL, 0, 4711 },
	{ "Error (criu/sk-inet.c:139): inet: For Go programs, consider using \"GODEBUG=multipathtcp=0\" to disable MPTCP", "mptcp", NULL, 0, 0 },
	{ "Error (criu/cr-dump.c:477): Task 12 with SysVIPC shmem map @7f00 doesn't live in IPC ns", "sysv_shm", NULL, 0, 12 },
	{ "Error (criu/seize.c:700): Unable to freeze cgroup /sys/fs/cgroup/freezer/x (10 x 100ms attempts, timeout: 1s)", "not_frozen", NULL, 0, 0 },
	{ "Error (criu/cr-restore.c:1230): Can't fork for 5: File exists", "pid_taken", NULL, 0, 0 },
	{ "Error (criu/arch/x86/cpu.c:223): cpu: CPU instruction capabilities do not match run time", "cpu", NULL, 0, 0 },
	{ "Error (criu/image.c:600): Can't write: No space left on device", "no_space", NULL, 0, 0 },
	{ "Error (criu/namespaces.c:997): One or more namespaces doesn't belong to the target user namespace", "namespace_owner", NULL, 0, 0 },
	{ "Error (criu/pidfd.c:97): pidfd: pidfd pid 55 is not a part of process tree..", "pidfd", NULL, 0, 55 },
};

static Davit__ObstacleList *list_of(const char *log)
{
	struct err e = { 0 };
	Davit__ObstacleList *l = pb_new(&davit__obstacle_list__descriptor, &e);
	assert_non_null(l);
	assert_int_equal(obstacle_of_log(log, strlen(log), l, &e), 0);
	return l;
}

static void each_known_line_becomes_its_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		auto_free char *log = mem_printf(
		    NULL,
		    "(00.001) Warn  (criu/x.c:1): In-flight of no matter\n(00.012345) %s\n(00.02) Error (criu/cr-dump.c:2128): Dumping FAILED.\n",
		    samples[i].line);
		auto_pb(Davit__ObstacleList) *l = list_of(log);
		if (l->n_obstacles != 1 || !str_eq(l->obstacles[0]->kind, samples[i].kind))
			fail_msg("%s: %zu obstacles, the first %s, expected %s", samples[i].line, l->n_obstacles,
				 l->n_obstacles ? l->obstacles[0]->kind : "none", samples[i].kind);
		assert_int_equal(l->obstacles[0]->fd, samples[i].fd);
		assert_int_equal(l->obstacles[0]->pid, samples[i].pid);
		if (samples[i].path)
			assert_string_equal(l->obstacles[0]->path, samples[i].path);
		assert_non_null(l->obstacles[0]->remedy);
	}
}

static void kinds_are_unique_and_told_in_full(void **state)
{
	(void)state;
	for (size_t i = 0; i < obstacle_kinds_count; i++) {
		const struct obstacle_kind *k = &obstacle_kinds[i];
		assert_ptr_equal(obstacle_kind(k->kind), k);
		assert_true(strlen(k->reason) > 10 && strlen(k->remedy) > 5);
		assert_false(str_suffix(k->reason, ".") || str_suffix(k->remedy, "."));
	}
}

static void one_cause_told_twice_is_one_obstacle(void **state)
{
	(void)state;
	auto_pb(Davit__ObstacleList) *l = list_of("Error (a.c:1): Can't dump file 3 of that type [600] (anon anon_inode:[io_uring])\n"
						  "Error (a.c:1): Can't dump file 3 of that type [600] (anon anon_inode:[io_uring])\n");
	assert_int_equal(l->n_obstacles, 1);
}

static void unknown_errors_stay_in_the_message(void **state)
{
	struct err e = { 0 };
	const char *log = "Warn (a.c:1): x\n(0.1) Error (b.c:2): the moon is full: Operation not permitted\n(0.2) Error (c.c:3): Dump core (pid: 5) "
			  "failed with -1\n"
			  "(0.3) Error (criu/cr-dump.c:2128): Dumping FAILED.\n";
	(void)state;
	assert_int_equal(criu_log_explain("dump", log, strlen(log), NULL, &e), -1);
	assert_int_equal(e.code, ERR_CRIU);
	assert_string_equal(e.msg, "dump: CRIU failed: the moon is full: Operation not permitted; Dump core (pid: 5) failed with -1");
}

static void a_cause_is_told_with_its_remedy(void **state)
{
	struct err e = { 0 };
	const char *log = "Error (criu/namespaces.c:460): Can't dump nested uts namespace for 1234\n";
	(void)state;
	assert_int_equal(criu_log_explain("dump", log, strlen(log), NULL, &e), -1);
	assert_int_equal(e.code, ERR_OBSTACLE);
	assert_string_equal(e.remedy, obstacle_kind("nested_namespace")->remedy);
	assert_non_null(strstr(e.msg, "1234"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_known_line_becomes_its_kind),	cmocka_unit_test(kinds_are_unique_and_told_in_full),
		cmocka_unit_test(one_cause_told_twice_is_one_obstacle), cmocka_unit_test(unknown_errors_stay_in_the_message),
		cmocka_unit_test(a_cause_is_told_with_its_remedy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

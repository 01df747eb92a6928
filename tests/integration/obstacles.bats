#!/usr/bin/env bats
# What cannot be checkpointed is told with its kind, the process, and what to do; and the container goes on as if nothing had been.
load ../lib/common

setup() {
	load ../lib/oci
	load ../lib/criu
	bundle_setup
	bundle "$(eight)" 'del(.linux.seccomp) | .root.readonly = false'
	criu_setup
	tool obstacle
	writable
}
teardown() { common_teardown; }

# holds KIND [ARGUMENT]: the container's init is a shell, its child holds the obstacle and a counter runs beside
holds() {
	edit "$(args sh -c "(exec obstacle $*) & $COUNTER")"
	begins
	retry grep -q . "$TMP/out"
	grep -q ready "$TMP/out" || skip "this kernel does not make it: $(cat "$TMP/out")"
	retry above 0
}

# refused KIND [OPTION…]: the checkpoint fails for that reason, and the container counts on
refused() {
	local kind=$1
	shift
	run saved "$@"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"$(reason "$kind")"* ]]
	is running
	counts_on
}

# The reason's first words, as the table in obstacle.c has them.
reason() { sed -n "s/.*{ \"$1\",[[:space:]]*\"\([^\"]*\)\".*/\1/p; /\"$1\",$/{n;s/[[:space:]]*\"\([^\"]*\)\".*/\1/p;}" "$BATS_TEST_DIRNAME/../../runtime/criu/obstacle.c" | head -1; }

@test "an io_uring instance is named" {
	holds io_uring
	refused io_uring
}
@test "a perf event is named" {
	holds perf_event
	refused perf_event
}
@test "a userfaultfd is named" {
	holds userfaultfd
	refused userfaultfd
}
@test "secret memory is named" {
	holds secretmem
	refused memfd
}
@test "a nested namespace is named" {
	holds nested user
	refused nested_namespace
}
@test "a file lock is named, and kept if asked for" {
	holds lock /tmp/locked
	refused file_lock
	saved --file-locks
	retry is stopped
	back --file-locks
	counts_on
}
@test "a large deleted file is named, a small one travels along" {
	holds ghost 65
	refused ghost_limit
}
@test "a device is named" {
	[ -r /dev/fuse ] || skip "no /dev/fuse"
	edit 'del(.linux.namespaces[] | select(.type == "user")) | del(.linux.uidMappings, .linux.gidMappings)' "$(mount_at /fuse bind /dev/fuse bind)" '.linux.resources.devices = [{"allow": true, "access": "rwm"}]'
	: >"$BUNDLE/rootfs/fuse"
	holds open /fuse
	refused device
}
@test "a stream unix socket to the outside is named" {
	python3 -c 'import socket,sys,time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(100)' "$TMP/sock" 3>&- &
	later kill -9 $!
	retry test -S "$TMP/sock"
	chmod 777 "$TMP/sock"
	: >"$BUNDLE/rootfs/sock"
	edit "$(mount_at /sock bind "$TMP/sock" bind)"
	holds unix_stream /sock
	refused unix_stream_external
}
@test "a TCP connection without an option is named" {
	holds tcp 1
	refused tcp_established
	saved --tcp-established
	retry is stopped
	back --tcp-established
	counts_on
}
@test "a connection that is not accepted yet is named" {
	holds tcp
	refused in_flight --tcp-established
}
@test "multipath TCP is named" {
	holds mptcp
	refused mptcp
}
@test "a traced process is named" {
	holds traced
	refused traced
}
@test "a process that exec put in is named" {
	edit "$(args sh -c "$COUNTER")"
	begins
	retry above 0
	dr exec --detach "$ID" sleep 100 </dev/null >/dev/null 2>&1
	refused exec_session
}
@test "a file that is missing on the restore is named, and nothing is left" {
	holds open /etc/passwd
	saved
	retry is stopped
	mv "$BUNDLE/rootfs/etc/passwd" "$TMP/passwd"
	run back
	[ "$status" = 1 ]
	[[ $output == *"$(reason file_missing)"* ]]
	run dr state "$ID"
	[[ $output == *"does not exist"* ]]
	[ -z "$(find /sys/fs/cgroup -type d -path "*/davit-test/$ID")" ]
	mv "$TMP/passwd" "$BUNDLE/rootfs/etc/passwd"
	back
	counts_on
}
@test "a file that has changed is named" {
	holds open /etc/passwd
	saved
	retry is stopped
	echo more >>"$BUNDLE/rootfs/etc/passwd"
	run back
	[ "$status" = 1 ]
	[[ $output == *"$(reason file_changed)"* ]]
}

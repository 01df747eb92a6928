#!/usr/bin/env bats
# podman with davit-runtime in the place of runc: its everyday commands, and the same outputs as with runc where that is there. Roots, state and
# configuration are the test's own; no network.
load ../lib/common
load ../lib/podman

setup_file() { podman_image; }
setup() {
	common_setup
	podman_setup
}
teardown() { common_teardown; }

status_of() { pod inspect --format '{{.State.Status}}' "$1"; }

# everyday NAME: what a person does with a container; prints what must be the same with every runtime
everyday() {
	run_in --rm davit-test sh -c 'echo out; exit 3'
	echo "run: $?"
	run_in -d --name "$1" davit-test sleep 100 >/dev/null
	pod exec "$1" echo in
	pod exec "$1" sh -c 'exit 4'
	echo "exec: $?"
	pod pause "$1" >/dev/null && status_of "$1"
	pod unpause "$1" >/dev/null && status_of "$1"
	pod ps --format '{{.Command}}'
	pod stats --no-stream --format '{{.PIDs}}' "$1"
	pod kill "$1" >/dev/null && pod wait "$1"
	status_of "$1"
	pod start "$1" >/dev/null && status_of "$1"
	pod stop --time 0 "$1" >/dev/null && status_of "$1"
	pod rm "$1" >/dev/null
	pod ps --all --quiet
}

@test "podman runs, executes, pauses, kills, starts and stops with davit-runtime as with runc" {
	local ours theirs
	ours=$(everyday ours || true)
	[ "$ours" = "$(printf '%s\n' out 'run: 3' in 'exec: 4' paused running 'sleep 100' 1 137 exited running exited)" ] ||
		{ echo "$ours"; cat "$TMP/errors"; false; }
	command -v runc >/dev/null || return 0
	RUNTIME=$(command -v runc)
	theirs=$(everyday theirs || true)
	[ "$ours" = "$theirs" ] || { diff <(echo "$ours") <(echo "$theirs"); false; }
}

@test "podman update changes a limit of a container that runs" {
	pod update --help >/dev/null || skip "this podman has no update"
	run_in -d --name one davit-test sleep 100
	pod update --memory 64m one
	find /sys/fs/cgroup -path "*$CGROUP/*" \( -name memory.limit_in_bytes -o -name memory.max \) -exec cat {} + | grep -qx 67108864
}

#!/usr/bin/env bats
# podman with davit-runtime in the place of runc: its everyday commands, and the same outputs as with runc where that is there. Roots, state and
# configuration are the test's own; no network.
load ../lib/common

setup_file() {
	command -v podman >/dev/null || return 0
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$BATS_FILE_TMPDIR/image.tar"
}

setup() {
	common_setup
	command -v podman >/dev/null || skip "podman is not installed"
	CGROUP=/davit-podman-$$-$BATS_TEST_NUMBER
	# The limits that podman would set otherwise may be above those of this machine.
	printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' \
		>"$TMP/containers.conf"
	export CONTAINERS_CONF=$TMP/containers.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1
	RUNTIME=$BIN/davit-runtime
	later podman_clean
	pod import "$BATS_FILE_TMPDIR/image.tar" davit-test
}
teardown() { common_teardown; }

pod() {
	podman --root "$TMP/root" --runroot "$TMP/run" --tmpdir "$TMP/tmp" --storage-driver vfs --cgroup-manager cgroupfs --runtime "$RUNTIME" "$@" 2>>"$TMP/errors"
}

run_in() { pod run --network none --cgroup-parent "$CGROUP" "$@"; }

podman_clean() {
	pod rm --all --force --time 0
	# conmon, which is in there too, ends a little after its container.
	retry 5 cgroups_gone
}

cgroups_gone() {
	find /sys/fs/cgroup -depth -type d -path "*$CGROUP*" -exec rmdir {} + 2>/dev/null
	[ -z "$(find /sys/fs/cgroup -type d -path "*$CGROUP*" 2>/dev/null)" ]
}

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

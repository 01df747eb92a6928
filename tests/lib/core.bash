# A runtime core with folders of its own, for integration tests: core_start [NAME], core_stop, ask REQUEST…, spec NAME [MORE]. Load common.bash first.
# shellcheck shell=bash

CORECTL=$DAVIT_BUILD/tests/corectl
PARENT=/davit-test-$$

core_image() { # FILE: a tar with busybox
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$1"
}

# Starts the core NAME (default: core) and waits until it answers. POLICY and CONFIG are JSON texts.
core_start() {
	local name=${1:-core} ids=${2:-1000000}
	mkdir -p "$TMP/$name"
	echo "${POLICY:-{\}}" >"$TMP/$name/policy.json"
	echo "${CONFIG:-{\}}" >"$TMP/$name/davitd.json"
	"$CORECTL" serve "$TMP/$name/socket" "$BIN/davit-runtime" serve --state-dir "$TMP/$name/state" --run-dir "$TMP/$name/run" --bin-dir "$BIN" \
		--cgroup-parent "$PARENT-$name" --policy "$TMP/$name/policy.json" --config "$TMP/$name/davitd.json" --ids-start "$ids" --ids-count 100 \
		>"$TMP/$name/pid" 2>>"$TMP/$name/log" </dev/null 3>&- &
	echo $! >"$TMP/$name/stand-in"
	later core_clean "$name"
	retry test -S "$TMP/$name/socket"
	retry core_answers "$name"
}

core_answers() { "$CORECTL" ask "$TMP/$1/socket" '{"id":1,"list":{}}' >/dev/null 2>&1; }

# Ends the core as davitd's end would.
core_stop() {
	local name=${1:-core}
	kill "$(cat "$TMP/$name/stand-in")" 2>/dev/null || true
	retry core_gone "$name"
	rm -f "$TMP/$name/socket"
}

# Whoever inherits it may take its time to reap it.
core_gone() {
	local stat
	stat=$(cat "/proc/$(cat "$TMP/$1/pid")/stat" 2>/dev/null) || return 0
	[[ $stat == *") Z "* ]]
}

# Ends the core in the middle of whatever it does.
core_fall() {
	local name=${1:-core}
	kill -9 "$(cat "$TMP/$name/pid")"
	retry core_gone "$name"
	rm -f "$TMP/$name/socket"
}

# Removes all containers of a core, and the core.
core_clean() {
	local name=$1 c
	[ -d "$TMP/$name" ] || return 0
	for c in "$TMP/$name/state/containers"/*; do
		[ -e "$c" ] || continue
		"$CORECTL" ask "$TMP/$name/socket" "{\"id\":1,\"delete\":{\"name\":\"${c##*/}\",\"force\":true}}" >/dev/null 2>&1 ||
			"$CORECTL" ask "$TMP/$name/socket" "{\"id\":1,\"restoreDrop\":{\"name\":\"${c##*/}\"}}" >/dev/null 2>&1 || true
	done
	core_stop "$name"
	umount -l "$TMP/$name/run/tmp" "$TMP/$name"/state/containers/*/bundle/rootfs 2>/dev/null || true
	[ -z "${CORE_SHOW_LOG:-}" ] || cat "$TMP/$name/log" >&2
	rm -rf --one-file-system "${TMP:?}/$name"
}

ask() { "$CORECTL" ask "$TMP/${CORE:-core}/socket" "$@"; }
# The last reply's member, by a jq filter: answer FILTER REQUEST…
answer() {
	local filter=$1
	shift
	ask "$@" | tail -1 | jq -r "$filter"
}
state_of() { answer '.status.state' "{\"id\":1,\"get\":{\"name\":\"$1\"}}"; }
state_is() { [ "$(state_of "$1")" = "$2" ]; }

# The request that makes a container with a shell command: create NAME COMMAND [MORE OF THE SPEC] [IDS_START]
spec() {
	jq -cn --arg n "$1" --arg c "$2" --argjson more "{${3:-}}" --argjson ids "${4:-1000000}" \
		'{spec: ({name: $n, image: "busybox", process: {args: ["/bin/sh", "-c", $c]}} + $more), ids: {hostStart: $ids, size: 65536}}'
}
create() { ask "{\"id\":1,\"create\":$(spec "$@")}"; }
in_container() { "$CORECTL" run "$TMP/${CORE:-core}/socket" "$(jq -cn --arg n "$1" --arg c "$2" '{id: 1, exec: {name: $n, process: {args: ["/bin/sh", "-c", $c]}}}')"; }

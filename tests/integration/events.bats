#!/usr/bin/env bats
# events: runc's JSON of a container's figures and lacks of memory.
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup
	config '.linux.resources += {memory: {limit: 33554432}, pids: {limit: 50}}'
	args sleep 100
}
teardown() { common_teardown; }

watch() { # OPTION…: events in the background, into $TMP/events
	"$BIN/davit-runtime" --root "$TMP/state" events "$@" one >"$TMP/events" 2>&1 &
	WATCHER=$!
	later kill "$WATCHER"
}

@test "events --stats prints the figures once in runc's shape" {
	start_one
	rt events --stats one >"$TMP/stats"
	[ "$(wc -l <"$TMP/stats")" = 1 ]
	jq -e '.type == "stats" and .id == "one" and (.data | has("cpu") and has("memory") and has("pids") and has("blkio") and has("hugetlb")
		and has("intel_rdt") and has("network_interfaces"))' "$TMP/stats"
	jq -e '.data | .cpu.usage.total > 0 and .memory.usage.limit == 33554432 and .memory.usage.usage > 0 and (.memory.raw | length) > 5
		and .pids == {current: 1, limit: 50}' "$TMP/stats"
}

@test "events has each member that runc's has, in its place" {
	command -v runc >/dev/null || skip "runc is not installed"
	local places='[.data | del(.memory.raw) | paths | map(if type == "number" then 0 else . end | tostring) | join(".")] | unique[]' more
	start_one
	rt events --stats one | jq -r "$places" >"$TMP/ours"
	rt delete --force one
	later runc --root "$TMP/runc" delete --force one
	runc --root "$TMP/runc" run --detach --bundle "$TMP/bundle" one >"$TMP/out" 2>&1 </dev/null || { cat "$TMP/out"; false; }
	runc --root "$TMP/runc" events --stats one | jq -r "$places" >"$TMP/theirs"
	grep -qx memory.usage.limit "$TMP/theirs"
	more=$(comm -13 "$TMP/ours" "$TMP/theirs")
	# On v2 runc prints zeros for what only v1 has.
	[ -e "$(cgroup_dir cpuset)/../cpuset.cpus" ] && [ -e "$(cgroup_dir cpuset)/../cpuset.mem_hardwall" ] || more=$(grep -v '^cpuset' <<<"$more" || true)
	# Whether it read from a disk or from the page cache is chance; test_cgroup_report shows these lists.
	more=$(grep -v '^blkio\.io' <<<"$more" || true)
	[ -z "$more" ] || { echo "only runc's: $more"; false; }
}

@test "events goes on at its interval and ends with the container" {
	start_one
	watch --interval 50ms
	retry sh -c "[ \"\$(wc -l <'$TMP/events')\" -ge 3 ]"
	rt kill one KILL
	wait "$WATCHER"
	jq -se 'all(.[]; .type == "stats")' "$TMP/events"
}

@test "events tells that a process was killed for lack of memory" {
	args sh -c 'while [ ! -e /go ]; do sleep 0.1; done; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 100'
	config '.linux.resources.memory.swap = 33554432'
	start_one
	watch --interval 50ms
	retry test -s "$TMP/events"
	touch "$TMP/bundle/rootfs/go"
	retry grep -q '^{"type":"oom","id":"one"}$' "$TMP/events"
}

@test "events refuses a bad interval and a container that does not run" {
	run rt events --interval soon one
	[ "$status" -eq 1 ]
	[[ "$output" == *interval* ]]
	start_one
	rt kill one KILL
	retry status_is stopped
	run rt events --stats one
	[ "$status" -eq 1 ]
	[[ "$output" == *"container one is not running"* ]]
}

#!/usr/bin/env bats
# The container's clocks over a checkpoint: exact by the offsets asked for, never back, and the same for whoever enters later.
load ../lib/common

setup() {
	load ../lib/oci
	load ../lib/criu
	bundle_setup
	bundle "$(eight)" 'del(.linux.seccomp) | .root.readonly = false' '.linux.timeOffsets = {monotonic: {secs: 5000}, boottime: {secs: 9000}}'
	criu_setup
	writable
	tool clocks
	gcc -std=gnu17 -D_GNU_SOURCE -O1 -w -static -o "$TMP/clocks" "$BATS_TEST_DIRNAME/../tools/clocks.c"
}
teardown() { common_teardown; }

watched() {
	edit "$(args clocks watch /tmp/n)"
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
}
# inside, outside: "MONOTONIC BOOTTIME" in ns
inside() { dr exec "$ID" clocks | cut -d' ' -f1,2; }
outside() { "$TMP/clocks" | cut -d' ' -f1,2; }
offsets() {
	local name sec nsec m
	while read -r name sec nsec; do
		[ "$name" = monotonic ] && m=$((sec * 1000000000 + nsec)) || echo "$m $((sec * 1000000000 + nsec))"
	done <"/proc/$(init)/timens_offsets"
}
# near A B WITHIN: |A - B| <= WITHIN ns
near() { [ $(($1 > $2 ? $1 - $2 : $2 - $1)) -le "$3" ]; }

@test "both clocks stand still between checkpoint and restore unless asked otherwise" {
	watched
	local before after
	saved
	read -ra before < <(outside)
	retry is stopped
	dr delete "$ID"
	sleep 0.5
	read -ra after < <(outside)
	back
	local m b
	read -r m b < <(offsets)
	# the offsets have shrunk by the time in between, of which the pause is known
	[ "$m" -lt $((5000000000000 - (after[0] - before[0]))) ]
	[ "$b" -lt $((9000000000000 - (after[1] - before[1]))) ]
	near "$m" 5000000000000 60000000000
}

@test "offsets are set to the nanosecond" {
	watched
	saved
	back --offset-monotonic 7000000000123 --offset-boottime 8000000000456
	[ "$(offsets)" = "7000000000123 8000000000456" ]
	local first in last
	read -ra first < <(outside)
	read -ra in < <(inside)
	read -ra last < <(outside)
	[ "${in[0]}" -ge $((first[0] + 7000000000123)) ]
	[ "${in[0]}" -le $((last[0] + 7000000000123)) ]
	[ "${in[1]}" -ge $((first[1] + 8000000000456)) ]
	[ "${in[1]}" -le $((last[1] + 8000000000456)) ]
}

@test "a running program sees its clocks continue, and never go back" {
	watched
	saved
	retry is stopped
	back --offset-monotonic 5000000000000 --offset-boottime 9000000000000
	local lines
	lines=$(cat "$BUNDLE/rootfs/tmp/n")
	changed() { [ "$(cat "$BUNDLE/rootfs/tmp/n")" != "$lines" ]; }
	retry changed
	cat "$BUNDLE/rootfs/tmp/n"
	grep -Eq 'back_monotonic 0+ 0+ back_boottime 0+ 0+ ' "$BUNDLE/rootfs/tmp/n"
}

@test "exec after a restore is in the same time namespace" {
	watched
	saved
	back --offset-monotonic 1000000000000 --offset-boottime 2000000000000
	[ "$(dr exec "$ID" readlink /proc/self/ns/time)" = "$(readlink "/proc/$(init)/ns/time")" ]
	[ "$(readlink "/proc/$(init)/ns/time")" = "$(readlink "/proc/$(init)/ns/time_for_children")" ]
	local in out
	read -ra out < <(outside)
	read -ra in < <(inside)
	near "${in[0]}" $((out[0] + 1000000000000)) 60000000000
	near "${in[1]}" $((out[1] + 2000000000000)) 60000000000
}

@test "it is known as the same container, whatever its clocks say" {
	watched
	saved
	back --offset-monotonic 100000000000000 --offset-boottime 200000000000000
	is running
	[ "$(dr state "$ID" | jq .pid)" = "$(init)" ]
	[ "$(unshare -T --boottime 777777 "$BIN/davit-runtime" --root "$STATE" state "$ID" | jq -r .status)" = running ]
}

@test "a runtime inside a time namespace of its own means its own clocks" {
	watched
	saved
	dr delete "$ID"
	unshare -T --monotonic 86400 --boottime 172800 "$BIN/davit-runtime" --root "$STATE" restore --detach --bundle "$BUNDLE" --pid-file "$TMP/pid" \
		--image-path "$IMG" --offset-monotonic 1000 --offset-boottime -2000 "$ID" </dev/null >>"$TMP/out" 2>"$TMP/error" || { cat "$TMP/error"; return 1; }
	[ "$(offsets)" = "86400000001000 172799999998000" ]
	dr checkpoint --image-path "$TMP/img2" "$ID"
}

@test "a clock that would be negative is refused by name" {
	watched
	saved
	run back --offset-monotonic -9000000000000000 --offset-boottime 0
	[ "$status" = 1 ]
	[[ $output == *"clock would be negative"* ]]
	run dr state "$ID"
	[[ $output == *"does not exist"* ]]
}

@test "a container with the host's clocks keeps them" {
	edit 'del(.linux.timeOffsets) | del(.linux.namespaces[] | select(.type == "time"))'
	watched
	saved
	back
	[ "$(readlink "/proc/$(init)/ns/time")" = "$(readlink /proc/self/ns/time)" ]
}

@test "a container with the host's clocks does not see them go back on a host that started later" {
	edit 'del(.linux.timeOffsets) | del(.linux.namespaces[] | select(.type == "time"))'
	watched
	unshare -T --monotonic 86400 --boottime 86400 true || skip "no time namespaces"
	# the host of the checkpoint: one whose clocks are a day ahead
	dr delete --force "$ID"
	unshare -T --monotonic 86400 --boottime 86400 "$BIN/davit-runtime" --root "$STATE" create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >>"$TMP/out" 2>&1
	dr start "$ID"
	unshare -T --monotonic 86400 --boottime 86400 "$BIN/davit-runtime" --root "$STATE" checkpoint --image-path "$IMG" "$ID"
	dr delete "$ID"
	back
	local in out
	read -ra out < <(outside)
	read -ra in < <(inside)
	[ "${in[0]}" -gt $((out[0] + 86000000000000)) ]
}

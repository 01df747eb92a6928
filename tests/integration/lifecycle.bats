#!/usr/bin/env bats
# create, start, state, list, kill, pause, resume, delete, run: the order that the OCI specification gives them, and runc's outputs.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle "$(args sleep 100)"
}
teardown() { common_teardown; }

@test "create makes a process that waits, start lets it run, kill and delete end it" {
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	is created
	[ "$(tr '\0' ' ' <"/proc/$(cat "$TMP/pid")/cmdline" | grep -c sleep)" = 0 ]
	dr start "$ID"
	is running
	[ "$(tr '\0' ' ' <"/proc/$(cat "$TMP/pid")/cmdline")" = "sleep 100 " ]
	dr kill "$ID" KILL
	retry is stopped
	dr delete "$ID"
	run dr state "$ID"
	[ "$status" = 1 ]
	[[ $output == *"does not exist"* ]]
}

@test "state has the members and values of runc's" {
	begins
	dr state "$ID" >"$TMP/ours"
	jq -e --arg id "$ID" --arg bundle "$BUNDLE" --argjson pid "$(cat "$TMP/pid")" \
		'.id == $id and .pid == $pid and .bundle == $bundle and .rootfs == $bundle + "/rootfs" and .status == "running" and .owner == ""
		 and (.created | test("^20[0-9-]+T[0-9:.]+Z$"))' "$TMP/ours"
	command -v runc >/dev/null || skip "runc is not installed: names of members not compared"
	runc --root "$TMP/runc" create --bundle "$BUNDLE" "$ID-r" </dev/null >/dev/null 2>&1 || skip "runc cannot run here"
	later runc --root "$TMP/runc" delete --force "$ID-r"
	[ "$(runc --root "$TMP/runc" state "$ID-r" | jq -c 'keys')" = "$(jq -c 'keys' "$TMP/ours")" ]
}

@test "a stopped container has pid 0 and keeps its state until it is deleted" {
	edit "$(args true)"
	begins
	retry is stopped
	[ "$(dr state "$ID" | jq .pid)" = 0 ]
	run dr start "$ID"
	[ "$status" = 1 ]
	[[ $output == *"cannot start container $ID that is stopped"* ]]
	dr delete "$ID"
}

@test "list prints a table, JSON and ids" {
	begins
	[[ $(dr list | head -1) =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER$ ]]
	[[ $(dr list | sed -n 2p) =~ ^$ID\ +$(cat "$TMP/pid")\ +running\ +$BUNDLE ]]
	[ "$(dr list --format json | jq -r '.[0].id')" = "$ID" ]
	[ "$(dr list --quiet)" = "$ID" ]
}

@test "ps prints the container's processes as a table and as JSON" {
	begins
	[ "$(dr ps --format json "$ID" | jq -c .)" = "[$(cat "$TMP/pid")]" ]
	dr ps "$ID" | grep -q "sleep 100"
	dr ps "$ID" -o pid,comm | grep -q "$(cat "$TMP/pid") sleep"
}

@test "pause stops the processes, resume lets them go on" {
	edit "$(args sh -c 'i=0; while :; do i=$((i+1)); echo $i >>/tmp/n; done')" '.root.readonly = false'
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
	dr pause "$ID"
	is paused
	before=$(cat "$BUNDLE/rootfs/tmp/n")
	sleep 0.1
	[ "$before" = "$(cat "$BUNDLE/rootfs/tmp/n")" ]
	run dr exec "$ID" true
	[ "$status" = 255 ]
	[[ $output == *paused* ]]
	dr resume "$ID"
	is running
	changed() { [ "$before" != "$(cat "$BUNDLE/rootfs/tmp/n")" ]; }
	retry changed
	run dr resume "$ID"
	[ "$status" = 1 ]
}

@test "a paused container can be killed and deleted by force" {
	begins
	dr pause "$ID"
	dr delete --force "$ID"
	retry eval '! has_process'
	run dr delete "$ID"
	[ "$status" = 1 ]
	dr delete --force "$ID"
}

@test "a running container is deleted only by force" {
	begins
	run dr delete "$ID"
	[ "$status" = 1 ]
	[[ $output == *"that is not stopped: running"* ]]
	is running
}

@test "a created container is deleted without force" {
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	dr delete "$ID"
	retry eval '! has_process'
	[ -z "$(dr list --quiet)" ]
}

@test "starts, kills, deletes and looks at once end in a container that is gone, and each says so in runc's way" {
	local round n statuses
	edit "$(args sleep 100)"
	for round in 1 2 3 4; do
		creates --bundle "$BUNDLE" "$ID"
		[ "$status" = 0 ]
		for n in 1 2 3; do
			for command in "start $ID" "kill $ID KILL" "delete --force $ID" "state $ID"; do
				# shellcheck disable=SC2086 # words are several
				{ dr $command >"$TMP/said.$n.${command%% *}" 2>&1 || echo "failed: $?" >>"$TMP/said.$n.${command%% *}"; } &
			done
		done
		wait
		dr delete --force "$ID"
		statuses=$(grep -h '^failed' "$TMP"/said.* | sort -u)
		[ -z "$statuses" ] || [ "$statuses" = "failed: 1" ] || { tail "$TMP"/said.*; false; }
		# Deleting what is gone already is no error.
		! grep -l failed "$TMP"/said.*.delete || { cat "$TMP"/said.*.delete; false; }
		run dr state "$ID"
		[[ $output == *"does not exist"* ]]
		[ -z "$(find /sys/fs/cgroup -path "*/davit-test/$ID")" ]
	done
}

@test "signals are given by name, with and without SIG, and by number" {
	edit "$(args sh -c 'trap "echo usr1" USR1; trap "echo hup" HUP; trap "exit 3" TERM; echo up; while :; do sleep 0.05; done')"
	begins
	retry grep -q up "$TMP/out"
	dr kill "$ID" SIGUSR1
	retry grep -q usr1 "$TMP/out"
	dr kill "$ID" 1
	retry grep -q hup "$TMP/out"
	dr kill "$ID" 0
	is running
	dr kill "$ID"
	retry is stopped
	run dr kill "$ID" TERM
	[ "$status" = 1 ]
	run dr kill "$ID" NONSENSE
	[ "$status" = 1 ]
	[[ $output == *"unknown signal"* ]]
}

@test "run returns the process's status, or 128 and the signal, and leaves nothing" {
	edit "$(args sh -c 'exit 42')"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 42 ]
	edit "$(args sh -c 'kill -9 $$; sleep 1')" 'del(.linux.namespaces[] | select(.type == "pid"))'
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 137 ]
	[ -z "$(dr list --quiet)" ]
	[ -z "$(find /sys/fs/cgroup -path "*/davit-test/$ID")" ]
}

@test "run --detach returns while the process runs; run --keep keeps what ended" {
	dr run --bundle "$BUNDLE" --detach --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	is running
	dr delete --force "$ID"
	edit "$(args true)"
	dr run --bundle "$BUNDLE" --keep "$ID"
	is stopped
}

@test "run passes signals on to the process" {
	edit "$(args sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.05; done')"
	"$BIN/davit-runtime" --root "$STATE" run --bundle "$BUNDLE" "$ID" >"$TMP/out" &
	runner=$!
	retry grep -q up "$TMP/out"
	kill -TERM $runner
	status=0
	wait $runner || status=$?
	[ "$status" = 9 ]
}

@test "an id that is taken is refused, and the container that has it stays" {
	begins
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"container with id exists"* ]]
	is running
}

@test "without a PID namespace of its own, delete ends the other processes too" {
	edit "$(args sh -c 'sleep 100 & sleep 100 & echo $!; wait')" 'del(.linux.namespaces[] | select(.type == "pid"))' '.process.cwd = "/"'
	begins
	retry test -s "$TMP/out"
	dr kill "$ID" KILL
	retry is stopped
	dr delete "$ID"
	ended "$(cat "$TMP/out")"
}

@test "what is asked for twice, too early or too late has runc's status" {
	local n at_once=0
	statuses() { # COMMAND…: of each, in order
		for n; do
			# shellcheck disable=SC2086 # words of a command
			dr $n >/dev/null 2>&1 </dev/null
			printf '%s ' $?
		done
	}
	set +e
	[ "$(statuses "state $ID" "start $ID" "kill $ID KILL" "pause $ID" "exec $ID true" "delete $ID" "delete --force $ID")" = "1 1 1 1 255 1 0 " ] || return 1
	set -e
	creates --bundle "$BUNDLE" "$ID"
	set +e
	[ "$(statuses "delete nobody" "resume $ID" "start $ID" "start $ID" "delete $ID")" = "1 1 0 1 1 " ] || return 1
	dr kill "$ID" KILL
	retry is stopped
	[ "$(statuses "kill $ID KILL" "start $ID" "pause $ID" "exec $ID true")" = "1 1 1 255 " ] || return 1
	# Of several deletes at once one does it, and nobody crashes or waits for ever.
	local pids=()
	for n in 1 2 3 4; do
		timeout 60 "$BIN/davit-runtime" --root "$STATE" delete "$ID" 2>/dev/null &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
		case $? in
		0) at_once=$((at_once + 1)) ;;
		1) ;;
		*) return 1 ;;
		esac
	done
	[ "$at_once" = 1 ] && [ ! -e "$STATE/$ID" ]
}

@test "features tells what there is: each mount option, action, operator and flag of it is taken, and each annotation that changes something is named" {
	"$BIN/davit-runtime" features >"$TMP/features"
	jq -e '.ociVersionMax == "1.2.0" and (.hooks | length) == 6 and (.linux.namespaces | length) == 8 and .linux.cgroup == {v1: true, v2: true, systemd: true, systemdUser: true, rdma: true}
		and .linux.intelRdt.enabled == false and .linux.mountExtensions.idmap.enabled and (.linux.capabilities | length) > 38
		and (["org.davit.landlock", "org.davit.supervise", "org.systemd.property.", "org.criu.config"] - .potentiallyUnsafeConfigAnnotations == [])' "$TMP/features"
	mkdir "$TMP/source"
	# What takes a mapping or a filesystem of its own is not for a bind mount, and byte orders do not mix.
	jq --slurpfile f "$TMP/features" --arg source "$TMP/source" '.process.args = ["true"]
		| .mounts += [$f[0].mountOptions[] | select(test("^(r?idmap|remount|tmpcopyup)$") | not) | {destination: "/tmp/\(.)", type: "bind", source: $source, options: ["bind", .]}]
		| .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: [$f[0].linux.seccomp.archs[] | select(test("X86|X32|ARM|AARCH64|EL"))], flags: ($f[0].linux.seccomp.supportedFlags - ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]),
			syscalls: ([$f[0].linux.seccomp.actions | to_entries[] | select(.value | test("NOTIFY|ALLOW") | not) | {names: ["acct"], action: .value, args: [{index: 0, value: .key, op: "SCMP_CMP_EQ"}]}]
				+ [$f[0].linux.seccomp.operators[] | {names: ["swapoff"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 77, op: .}]}])}' "$BUNDLE/config.json" >"$TMP/all.json"
	cp "$TMP/all.json" "$BUNDLE/config.json"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 0 ] || { echo "$output"; false; }
}

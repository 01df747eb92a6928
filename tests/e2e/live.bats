#!/usr/bin/env bats
# Moves whose memory is copied while the container runs, between two hosts (tests/lib/hosts.sh), in each mode: a writer that verifies every byte of its
# memory and its file before it writes anew (tests/tools/ledger.c), too fast a writer, a connection that breaks while memory follows.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs jq || return 0
	suite_up live
	suite_start ledger "$DAVIT_BUILD/tools/ledger=/bin/ledger"
	[ "$(davit_on a info --json | jq .facts.memoryTracking)" = true ] || export SUITE_SKIP="this kernel cannot track writes (Linux 6.7)"
}
teardown_file() { suite_down; }
setup() {
	common_setup
	suite_again
}
teardown() {
	suite_clear
	common_teardown
}

ledger_run() { # MEGABYTES
	davit_on a run --detach --name web --image ledger --network lan --ip 10.91.0.10 --memory 512m --pids 16 --cap-drop ALL -- /bin/ledger 7000 "$1" /tmp/file >/dev/null
	retry ledger_answers
	retry verified_more 0 $(($1 * 64)) # all of its memory is written by then
}
# "number lines verified wrong birth first…"
ledger_ask() { in_host switch timeout 60 bash -c 'exec 5<>/dev/tcp/10.91.0.10/7000 && echo 1 >&5 && head -n 1 <&5'; }
ledger_answers() { [ -n "$(ledger_ask)" ]; }
verified() { ledger_ask | awk '{ print $3 }'; }
# All of its memory is touched and right: it verified more pages than it has since.
assert_ledger() { # MEGABYTES
	local answer from
	from=$(verified)
	retry verified_more "$from" $(($1 * 64))
	answer=$(ledger_ask)
	echo "ledger: $answer"
	[ "$(echo "$answer" | awk '{ print $4 }')" = 0 ]
}
verified_more() { [ "$(verified)" -gt $(($1 + $2)) ]; }
move() { davit_on "$1" migrate web "host-$2" --json "${@:3}" >"$TMP/move.json"; }
of_move() { jq -r "$1" "$TMP/move.json"; }
state_on() { davit_on "$1" ps --all --json | jq -r '.containers[]? | select(.name == "web") | .state'; }
gone_from() { [ -z "$(state_on "$1")" ]; } # the other host clears away on its own time

@test "memory and files of a writer arrive whole in every mode, and back" {
	local from=a to=b mode
	ledger_run 48
	for mode in stop-and-copy pre-copy hybrid post-copy; do
		move "$from" "$to" --mode "$mode"
		echo "$mode: downtime $(of_move .downtimeUs) µs, rounds $(of_move '.rounds | length'), $(of_move .roundsWhy)"
		[ "$(of_move .mode)" = "$mode" ]
		[ "$(state_on "$to")" = running ]
		retry gone_from "$from"
		assert_ledger 48
		read -r from to <<<"$to $from"
	done
}

@test "without a word on the mode, memory is copied while it runs" {
	ledger_run 32
	move a b
	[ "$(of_move .mode)" = hybrid ]
	[ "$(of_move '.rounds | length')" -ge 1 ]
	assert_ledger 32
}

@test "compressed and on a narrow link" {
	ledger_run 16
	move a b --compress zstd --bandwidth 40m
	assert_ledger 16
	move b a --compress auto
	assert_ledger 16
}

@test "a writer that is faster than the link stays, with its CPU limit as it was, or follows" {
	ledger_run 24
	run davit_on a migrate web host-b --mode pre-copy --bandwidth 4m --downtime 1 --max-rounds 3
	[ "$status" -ne 0 ]
	[[ $output == *"was left running here"* ]]
	[ "$(state_on a)" = running ]
	retry gone_from b
	assert_ledger 16
	move a b --mode hybrid --bandwidth 16m --downtime 1 --max-rounds 2
	[ "$(of_move .followedBytes)" -gt 0 ]
	assert_ledger 24
}

@test "CPU that was taken from a container is given back, also when who took it was killed, or fell with its core" {
	local before also taker
	ledger_run 16
	before=$(quota)
	for also in "" core; do
		davit_on a migrate web host-b --mode pre-copy --auto-converge --bandwidth 4m --downtime 1 >/dev/null 2>&1 3>&- &
		retry taken "$before"
		taker=$(awk -v i=":$(stat -c %i "$(mark)")\$" '$6 ~ i { print $5 }' /proc/locks)
		# shellcheck disable=SC2046 # two, or one
		kill -KILL "$taker" $([ -z "$also" ] || awk '{ print $4 }' "/proc/$taker/stat")
		wait $! || true
		[ -z "$also" ] || { retry ended a && host_start a 3>&- 4>&-; }
		retry quota_is "$before"
		retry aborted
		[ ! -e "$(mark)" ]
	done
	[ "$(state_on a)" = running ]
	assert_ledger 16
}
mark() { echo "$HOSTS_DIR/a/run/monitor/web/throttled"; }
quota() { # shellcheck disable=SC2046 # files
	cat $(find /sys/fs/cgroup -path "*/davit-$HOSTS_TAG-a/*" \( -name cpu.max -o -name cpu.cfs_quota_us \))
}
quota_is() { [ "$(quota)" = "$1" ]; }
taken() { [ -e "$(mark)" ] && ! quota_is "$1"; }
ended() { ! kill -0 "$(host_pid "$1")" 2>/dev/null; }
aborted() { davit_on a migrations ls --json | jq -e '.migrations[0].state == "aborted"' >/dev/null; }

@test "a connection that breaks while memory follows is made again" {
	ledger_run 48
	davit_on a migrate web host-b --mode post-copy --bandwidth 8m --json >"$TMP/move.json" 3>&- &
	retry is_serving
	kill -KILL "$(pgrep -P "$(host_pid a)" davit-mover)"
	wait $!
	[ "$(state_on b)" = running ]
	retry gone_from a
	assert_ledger 48
}

@test "an agent that falls while memory follows leaves a container that is nobody's to hold" {
	ledger_run 48
	davit_on a migrate web host-b --mode post-copy --bandwidth 8m >/dev/null 2>&1 3>&- &
	mover=$!
	retry is_serving
	host_fall b
	host_start b 3>&- 4>&-
	[ "$(state_on b)" = running ]
	davit_on b snapshot create web >/dev/null # waits until it is whole
	wait "$mover"
	assert_ledger 48
	davit_on b pause web
	davit_on b resume web
	retry gone_from a
}
is_serving() { davit_on a migrations ls --json | jq -e '.migrations[0].state == "serving"' >/dev/null; }

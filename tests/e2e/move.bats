#!/usr/bin/env bats
# Moves between two agents on two hosts of their own network and clocks (tests/lib/hosts.sh): under a client that never stops asking, refused,
# cancelled, and with either agent killed in the middle.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs redis-server python3 || return 0
	suite_up move
	suite_start redis /usr/bin/redis-server "$DAVIT_BUILD/tools/clocks=/bin/clocks"
}
teardown_file() { suite_down; }
setup() {
	common_setup
	suite_again
	client=
}
teardown() {
	[ -z "${client:-}" ] || kill "$client" 2>/dev/null || true
	suite_clear
	common_teardown
}

redis_run() { # NAME ADDRESS: a redis with 20 MB of data, and a watcher of its clocks
	davit_on a run --detach --name "$1" --image redis --network lan --ip "$2" --memory 256m --pids 64 --cap-drop ALL --user 999:999 --workdir /data -- \
		/bin/sh -c '/bin/clocks watch /tmp/watch & exec /usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --enable-debug-command yes --save "" --daemonize no' >/dev/null
	retry redis_answers "$2"
	in_host switch redis-cli -h "$2" debug populate 20000 key 1000 >/dev/null
}
redis_answers() { [ "$(in_host switch redis-cli -h "$1" ping 2>/dev/null)" = PONG ]; }

client_start() { # ADDRESS
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 "$BATS_TEST_DIRNAME/client.py" "$1" 6379 counter "$TMP/client.json" 3>&- &
	client=$!
	retry [ -e "$TMP/client.json" ]
	retry client_asks
}
client_asks() { client_stats && [ "$(jq .replies "$TMP/client.json")" -gt 100 ]; }
client_stats() {
	local old
	old=$(stat -c %i "$TMP/client.json" 2>/dev/null)
	kill -USR1 "$client" && while kill -0 "$client" 2>/dev/null; do
		[ "$(stat -c %i "$TMP/client.json" 2>/dev/null)" != "$old" ] && return 0
		sleep 0.05
	done
	return 1
}
# The client's connection held, and every reply was the next one.
assert_client() {
	local before
	client_stats
	before=$(jq .replies "$TMP/client.json")
	retry client_goes_on "$before"
	kill "$client"
	wait "$client"
	client=
	[ "$(jq .lost "$TMP/client.json")" = 0 ]
	[ "$(jq .problem "$TMP/client.json")" = null ]
}
client_goes_on() { client_stats && [ "$(jq .replies "$TMP/client.json")" -gt "$1" ]; }

state_on() { davit_on "$1" ps --all --json | jq -r --arg n "$2" '.containers[]? | select(.name == $n) | .state'; }
# One copy, running, at the given host.
assert_only_on() {
	local other=a
	[ "$1" = a ] && other=b
	retry is_only_on "$1" "$other" "$2" || {
		echo "$2: at $1 '$(state_on "$1" "$2")', at $other '$(state_on "$other" "$2")'"
		return 1
	}
}
is_only_on() { [ "$(state_on "$1" "$3")" = running ] && [ -z "$(state_on "$2" "$3")" ]; }
running_copies() { echo $(($(state_on a "$1" | grep -c running) + $(state_on b "$1" | grep -c running))); }
is_moving() { [ "$(davit_on a migrations ls --json | jq -r '[.migrations[]? | select(.state == "frozen")] | length')" -gt 0 ]; }
last_move() { davit_on "$1" migrations ls --json | jq -e '.migrations[0]'; }

@test "a connection, memory and clocks move to another host and back" {
	redis_run web 10.91.0.10
	client_start 10.91.0.10
	davit_on a migrate web host-b
	assert_only_on b web
	davit_on b migrate web host-a
	assert_only_on a web
	assert_client
	[ "$(in_host switch redis-cli -h 10.91.0.10 dbsize)" -gt 20000 ]
	last_move a | jq -e '.clock.backwards == false'
	watch=$(davit_on a exec web -- /bin/cat /tmp/watch)
	echo "watch: $watch"
	[[ $watch =~ back_monotonic\ 0+\ .*back_boottime\ 0+\  ]]
}

@test "the clocks' error stays within the bound, days apart" {
	redis_run web 10.91.0.10
	davit_on a migrate web host-b
	last_move a | jq -e '.clock.bound < .totalUs * 1000'
	last_move a | jq -e '.clock | .offsetMonotonic < -86400000000000 and .offsetBoottime < -86400000000000'
	last_move a | jq -e '.clock | (.monotonicError | fabs) <= (.bound + 1000) and (.boottimeError | fabs) <= .bound'
}

@test "exec after a move is in the container's own clocks" {
	redis_run web 10.91.0.10
	davit_on a exec web -- /bin/clocks >"$TMP/before"
	davit_on a migrate web host-b
	davit_on b exec web -- /bin/clocks >"$TMP/after"
	read -r m0 b0 _ <"$TMP/before"
	read -r m1 b1 _ <"$TMP/after"
	[ "$((m1 - m0))" -gt 0 ] && [ "$((m1 - m0))" -lt 20000000000 ]
	[ "$((b1 - b0))" -gt 0 ] && [ "$((b1 - b0))" -lt 20000000000 ]
}

@test "a check tells that it could, and touches nothing" {
	redis_run web 10.91.0.10
	run davit_on a migrate --check web host-b
	[ "$status" = 0 ]
	assert_only_on a web
}

@test "a refusal tells every reason and leaves the container running" {
	redis_run web 10.91.0.10
	davit_on b image rm redis
	run davit_on a migrate web host-b
	davit_on b image import redis "$SUITE_DIR/redis.tar" >/dev/null
	[ "$status" != 0 ]
	[[ $output == *redis* ]]
	assert_only_on a web
	redis_answers 10.91.0.10
}

@test "a host that cannot be reached leaves the container running" {
	redis_run web 10.91.0.10
	run davit_on a migrate web https://10.90.0.77:7440
	[ "$status" != 0 ]
	assert_only_on a web
	redis_answers 10.91.0.10
}

@test "a cancelled move leaves the connection at the source" {
	redis_run web 10.91.0.10
	client_start 10.91.0.10
	davit_on a migrate --mode stop-and-copy --bandwidth 4m web host-b >"$TMP/out" 2>&1 3>&- &
	move=$!
	retry is_moving
	davit_on a migrations cancel "$(davit_on a migrations ls --json | jq -r '.migrations[0].id')"
	run wait "$move"
	[ "$status" != 0 ]
	assert_only_on a web
	assert_client
}

@test "a target's agent killed in the middle leaves the connection at the source" {
	redis_run web 10.91.0.10
	client_start 10.91.0.10
	davit_on a migrate --mode stop-and-copy --bandwidth 4m web host-b >"$TMP/out" 2>&1 3>&- &
	move=$!
	retry is_moving
	host_fall b
	run wait "$move"
	[ "$status" != 0 ]
	echo "after the failure: $(state_on a web)"
	assert_only_on a web
	host_start b 3>&-
	assert_only_on a web
	assert_client
}

@test "a source's agent killed in the middle ends with one copy, wherever" {
	redis_run web 10.91.0.10
	client_start 10.91.0.10
	davit_on a migrate --mode stop-and-copy --bandwidth 4m web host-b >"$TMP/out" 2>&1 3>&- &
	move=$!
	retry is_moving
	host_fall a
	run wait "$move"
	host_start a 3>&-
	retry one_copy web
	[ "$(running_copies web)" = 1 ]
	assert_client
}
one_copy() { [ "$(running_copies "$1")" = 1 ] && ! { state_on a "$1"; state_on b "$1"; } | grep -qvx running; }

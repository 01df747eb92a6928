#!/usr/bin/env bats
# A container's clocks over moves between three hosts whose own clocks are days apart: policies, timers of every kind, many moves, `davit clock`.
load ../lib/common
HOSTS_NAMES="a b c"
load ../lib/suite

setup_file() {
	suite_needs || return 0
	suite_up clocks
	suite_start tiny "$DAVIT_BUILD/tools/timers=/bin/timers" "$DAVIT_BUILD/tools/clocks=/bin/clocks"
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

inside() { # HOST: monotonic and boottime of the container, and the machine's monotonic, in ms
	local m b r
	read -r m b r <<<"$(davit_on "$1" exec tiny -- /bin/clocks)"
	echo "$((m / 1000000)) $((b / 1000000)) $((r / 1000000))"
}
# Moves tiny from A to B under a policy and checks, by the record and by a look from inside, that each clock did what the policy says.
move() { # FROM TO POLICY
	local m0 b0 r0 m1 b1 r1 record down
	read -r m0 b0 r0 <<<"$(inside "$1")"
	record=$(davit_on "$1" migrate --json --clock-policy "$3" tiny "host-$2")
	read -r m1 b1 r1 <<<"$(inside "$2")"
	down=$(jq '.downtimeUs / 1000 | floor' <<<"$record")
	echo "$1 → $2 $3: real $((r1 - r0)) ms, monotonic $((m1 - m0)), boottime $((b1 - b0)), downtime $down, bound $(jq .clock.bound <<<"$record") ns"
	jq -e '.clock | .backwards == false and .bound < 1000000' <<<"$record" >/dev/null
	# Standing still begins at the freeze and ends when the offsets are chosen, right before the restore: from then on the clock runs.
	local stood_m=$((r1 - r0 - (m1 - m0))) stood_b=$((r1 - r0 - (b1 - b0)))
	case $3 in
	continue) [ "${stood_m#-}" -le 3 ] && [ "${stood_b#-}" -le 3 ] ;;
	suspend) [ "$stood_m" -gt 3 ] && [ "$stood_m" -le "$down" ] && [ "${stood_b#-}" -le 3 ] ;;
	freeze) [ "$stood_m" -gt 3 ] && [ "$stood_m" -le "$down" ] && [ "$stood_b" -gt 3 ] && [ "$stood_b" -le "$down" ] ;;
	esac
}

@test "each policy holds over a chain of three hosts whose clocks are days apart" {
	davit_on a run --detach --name tiny --image tiny --memory 32m -- /bin/clocks watch /tmp/watch >/dev/null
	move a b continue
	move b a suspend
	move a c freeze
	move c b continue
	move b c suspend
	move c a freeze
	sleep 0.1
	watch=$(davit_on a exec tiny -- /bin/cat /tmp/watch)
	echo "$watch"
	[[ $watch =~ back_monotonic\ 0+\ .*back_boottime\ 0+\  ]]
}

@test "davit clock shows host, container, offsets and how its last move went" {
	davit_on a run --detach --name tiny --image tiny --memory 32m -- /bin/clocks watch /tmp/watch >/dev/null
	run davit_on a clock tiny
	[[ $output == *CLOCK_MONOTONIC* && $output != *"last move"* ]]
	davit_on a migrate --clock-policy suspend tiny host-b
	run davit_on b clock tiny
	echo "$output"
	[[ $output == *"last move"*"policy suspend: error at most "*" µs"* ]]
	id=$(davit_on b migrations ls --json | jq -r '.migrations[0].id')
	davit_on b clock tiny --json | jq -e --arg id "$id" '.lastMove == $id and .moved.bound < 1000000 and .containerBoottime - .hostBoottime == .offsetBoottime'
}

timers_end() { [ "$(davit_on "$1" exec tiny -- /bin/cat /tmp/timers | wc -l)" = 16 ]; }
@test "waits of every kind end when their clock says so, whatever the policy" {
	for policy in continue freeze; do
		davit_on a run --detach --name tiny --image tiny --memory 64m -- /bin/timers /tmp/timers 4 >/dev/null
		sleep 1
		davit_on a migrate --clock-policy "$policy" tiny host-b
		retry 20 timers_end b
		davit_on b exec tiny -- /bin/cat /tmp/timers | tee "$TMP/late" | awk -v p="$policy" '{ printf "%s %s %.1f ms\n", p, $1, $2 / 1e6 }'
		# None is early. Descriptors' timers are on the point; of the others CRIU starts what was left again, so they are late by the standstill.
		awk '$2 < 0 || $2 > ($1 ~ /^(timerfd|nanosleep|poll|epoll|futex)/ ? 100000000 : 3000000000) { print "wrong: " $0; bad = 1 } END { exit bad }' "$TMP/late"
		davit_on b rm --force tiny
	done
}

@test "a tiny container that moves many times never sees a clock go back, and no error passes its bound" {
	"$BATS_TEST_DIRNAME/clock_moves.sh" 10 "$TMP/moves.json"
	jq -e '.moves == 10 and .backwards == 0 and .watcherBacks == 0 and .errorsPastBound == 0' "$TMP/moves.json"
}

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

# How far a container's monotonic and boottime clocks are from the machine's, in ns, and how exactly that is known. All hosts are one machine: its wall
# clock is the same inside and outside, and what it is set by in between falls out.
look() { # HOST
	local m b r near machine_m machine_b machine_r machine_near
	read -r m b r near <<<"$(davit_on "$1" exec tiny -- /bin/clocks)"
	read -r machine_m machine_b machine_r machine_near <<<"$("$DAVIT_BUILD/tools/clocks")"
	echo "$((m - r - machine_m + machine_r)) $((b - r - machine_b + machine_r)) $((near + machine_near))"
}
between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || { echo "$1 is not from $2 to $3"; return 1; }; }
# Moves tiny from A to B under a policy and checks, by the record and by a look from inside, that each clock did what the policy says: that went on
# which had to, but for the map's error; that stood which had to, from the freeze until its offset was chosen, some time before the thaw.
move() { # FROM TO POLICY
	local m0 b0 near0 m1 b1 near1 record down bound slack
	read -r m0 b0 near0 <<<"$(look "$1")"
	record=$(davit_on "$1" migrate --json --clock-policy "$3" tiny "host-$2")
	read -r m1 b1 near1 <<<"$(look "$2")"
	read -r down bound < <(jq -r '"\(.downtimeUs * 1000) \(.clock.bound)"' <<<"$record")
	echo "$1 → $2 $3: stood: monotonic $((m0 - m1)) ns, boottime $((b0 - b1)), downtime $down, bound $bound, looks within $near0 $near1"
	jq -e '.clock.backwards == false and .clock.bound < .totalUs * 1000' <<<"$record" >/dev/null
	slack=$((bound + near0 + near1))
	if [ "$3" = continue ]; then between $((m0 - m1)) -$slack $slack; else between $((m0 - m1)) $((slack + 1)) $((down + slack)); fi
	if [ "$3" = freeze ]; then between $((b0 - b1)) $((slack + 1)) $((down + slack)); else between $((b0 - b1)) -$slack $slack; fi
}
# The watcher's line once it is newer than now.
watched() { # HOST
	local old
	old=$(davit_on "$1" exec tiny -- /bin/cat /tmp/watch)
	retry eval "watch=\$(davit_on $1 exec tiny -- /bin/cat /tmp/watch) && [ \"\$watch\" != '$old' ]"
	echo "$watch"
}
watch_run() { davit_on a run --detach --name tiny --image tiny --memory 32m -- /bin/clocks watch /tmp/watch >/dev/null; }

@test "each policy holds over a chain of three hosts whose clocks are days apart" {
	watch_run
	move a b continue
	move b a suspend
	move a c freeze
	move c b continue
	move b c suspend
	move c a freeze
	[[ $(watched a) =~ back_monotonic\ 0+\ .*back_boottime\ 0+\  ]]
}

@test "davit clock shows host, container, offsets and how its last move went" {
	watch_run
	run davit_on a clock tiny
	[[ $output == *CLOCK_MONOTONIC* && $output != *"last move"* ]]
	davit_on a migrate --clock-policy suspend tiny host-b
	run davit_on b clock tiny
	echo "$output"
	[[ $output == *"last move"*"policy suspend: error at most "*" µs"* ]]
	id=$(davit_on b migrations ls --json | jq -r '.migrations[0].id')
	davit_on b clock tiny --json | jq -e --arg id "$id" '.lastMove == $id and .moved.bound > 0 and .containerBoottime - .hostBoottime == .offsetBoottime'
}

# Two containers at once, one under each policy that differs for waits. /tmp/timers says of each wait how late it was on its own clock.
timers_end() { # HOST
	local name
	for name in continue freeze; do [ "$(davit_on "$1" exec $name -- /bin/cat /tmp/timers | wc -l)" = 23 ] || return 1; done
}
timers_began() { # HOST NAME: for so long that one that began again would be seen
	davit_on "$1" exec "$2" -- /bin/sh -c '[ -e /tmp/timers ]'
}
@test "waits of every kind end when their clock says so, whatever the policy" {
	local name down
	for name in continue freeze; do davit_on a run --detach --name $name --image tiny --memory 64m -- /bin/timers /tmp/timers 6 >/dev/null; done
	retry timers_began a freeze
	sleep 2 # the waits' own time: one that were begun anew by the move would be late by it
	for name in continue freeze; do davit_on a migrate --clock-policy $name --json $name host-b >"$TMP/$name.json"; done
	retry timers_end b
	for name in continue freeze; do
		down=$(jq '.downtimeUs * 1000' "$TMP/$name.json")
		echo "$name: downtime $((down / 1000)) µs"
		# None is early (getitimer tells microseconds). The program's own looks at the clock wait for the machine, whose longest stall the line "stall" tells (the standstill is in
		# it); of timers with a period the kernel tells when they were due: those of descriptors are on the point, the others late by what CRIU took
		# between its look at them and starting them again.
		davit_on b exec $name -- /bin/cat /tmp/timers | sort | awk -v down="$down" '
			{ printf "%s %.3f ms\n", $1, $2 / 1e6; late[$1] = $2 }
			END {
				for (n in late) {
					limit = n ~ /^timerfd.*period/ ? down / 2 : n ~ /period/ ? down + 1e6 : late["stall"] + down + 1e9
					if (n != "stall" && (late[n] < -1000 || late[n] > limit)) { print "wrong: " n " " late[n] " of " limit; bad = 1 }
				}
				exit bad
			}'
	done
}

@test "a tiny container that moves many times never sees a clock go back, and no error passes its bound" {
	"$BATS_TEST_DIRNAME/clock_moves.sh" 10 "$TMP/moves.json"
	jq -e '.moves == 10 and .backwards == 0 and .watcherBacks == 0 and .errorsPastBound == 0' "$TMP/moves.json"
}

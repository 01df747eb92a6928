#!/usr/bin/env bats
# The handover's own table under spin: every order of steps and faults is tried.
load ../lib/common

setup() {
	common_setup
	for program in spin gcc; do command -v "$program" >/dev/null || skip "$program is missing"; done
	cp "$BATS_TEST_DIRNAME/handover.pml" "$TMP/"
	"$DAVIT_BUILD/tests/table" >"$TMP/table.pml"
	cd "$TMP"
}
teardown() { common_teardown; }

check() { # DEFINES COMPILER_OPTIONS CHECKER_OPTIONS: prints what the checker found
	# shellcheck disable=SC2086
	spin $1 -a handover.pml && gcc -w -O0 -DMEMLIM=1000 $2 -o pan pan.c && timeout 120 ./pan -n -m100000 $3
}
finds() { grep -oE 'errors: [0-9]+' <<<"$output"; }

@test "never two copies, never an old one, and one in the end, whatever five faults do" {
	run check -DFAULTS=5 -DSAFETY ""
	[ "$(finds)" = "errors: 0" ] || { echo "$output"; return 1; }
}

@test "the same where memory follows, which is never let go before the target has it" {
	run check "-DFAULTS=5 -DLAZY" -DSAFETY ""
	[ "$(finds)" = "errors: 0" ] || { echo "$output"; return 1; }
}

@test "nothing goes on for ever" {
	run check -DFAULTS=3 "-DNP -DNOREDUCE" -l
	[ "$(finds)" = "errors: 0" ] || { echo "$output"; return 1; }
	run check "-DFAULTS=2 -DLAZY" "-DNP -DNOREDUCE" -l
	[ "$(finds)" = "errors: 0" ] || { echo "$output"; return 1; }
}

# A model that finds nothing wrong in a wrong table proves nothing.
wrong() { # STATE EVENT NEXT ACTION [DEFINES]: the rule for (state, event) leads elsewhere
	local number_of='$2 == name { print $3 }' state event next action
	state=$(awk -v name="$1" "$number_of" table.pml)
	event=$(awk -v name="$2" "$number_of" table.pml)
	next=$(awk -v name="$3" "$number_of" table.pml)
	action=$(awk -v name="$4" "$number_of" table.pml)
	grep -q "/\* next $state $event " table.pml
	sed -i "s#[0-9]* /\* next $state $event #$next /* next $state $event #; s#[0-9]* /\* action $state $event #$action /* action $state $event #
		s#[0-9]* /\* durable $state $event #1 /* durable $state $event #" table.pml
	run check "-DFAULTS=4 ${5:-}" -DSAFETY ""
	[ "$(finds)" = "errors: 1" ] || { echo "$1, $2 to $3 is not noticed"; return 1; }
	"$DAVIT_BUILD/tests/table" >table.pml
}

@test "a wrong table is noticed" {
	wrong S_COMMITTED EV_LOST S_ABORTING DO_RESUME
	wrong S_READY EV_REBOOTED S_ABORTING DO_RESUME
	wrong T_READY EV_LOST T_DROPPING DO_DROP
	wrong T_IN_DOUBT EV_RESTARTED T_THAWING DO_THAW
	wrong T_THAWING EV_REBOOTED T_DROPPING DO_DROP
	wrong S_SERVING EV_FILLS S_SERVING DO_DELETE -DLAZY
	wrong T_FILLING EV_LOST T_RUNNING DO_SEND_RUNNING -DLAZY
}

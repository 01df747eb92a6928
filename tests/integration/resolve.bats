#!/usr/bin/env bats
# Moves that need a person: what is said of them, who may ask, and what an operator may decide after having been told what it may break.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs || return 0
	suite_up resolve
	_cert host-c peer "DNS:host-c"
	suite_start base
}
setup() {
	common_setup
	suite_again
	suite_needs_criu
}
teardown() {
	suite_clear
	common_teardown
}
teardown_file() { suite_down; }

sleeper() { davit_on a run --detach --name web --image base -- /bin/sleep 10000 >/dev/null; }
state() { davit_on "$1" inspect web 2>/dev/null | jq -r .state; }
is_state() { [ "$(state "$1")" = "$2" ]; }
move_state() { davit_on a migrate show "$1" --json | jq -r .state; }
as_peer() { # NAME FROM TO PATH: what the host TO answers to a peer of that name
	local tls=$HOSTS_DIR/tls
	in_host "$2" curl -s --cacert "$tls/ca.crt" --cert "$tls/$1.crt" --key "$tls/$1.key" "https://$(host_address "$3"):7440$4"
}
# A move that the source has committed, whose target fell before it said that it runs; its id is in $move.
in_doubt() {
	local try
	for try in 1 2 3 4 5 6 7 8; do
		sleeper
		rm -f "$SUITE_DIR/ready"
		python3 "$BATS_TEST_DIRNAME/../fault/strike.py" "$HOSTS_DIR/a/state/agent/moves" committed "$(host_pid b)" >"$SUITE_DIR/struck" 2>"$SUITE_DIR/ready" 3>&- &
		striker=$!
		retry grep -q ready "$SUITE_DIR/ready" || { cat "$SUITE_DIR/ready"; return 1; }
		davit_on a migrate web host-b >"$SUITE_DIR/out" 2>&1 3>&- &
		mover=$!
		wait "$striker" || { cat "$SUITE_DIR/out" "$SUITE_DIR/ready"; return 1; }
		move=$(cat "$SUITE_DIR/struck")
		retry eval 'is_in_doubt || ! kill -0 "$mover" 2>/dev/null'
		if is_in_doubt; then return 0; fi
		wait "$mover" || true
		suite_alive b || host_start b 3>&- 4>&-
		davit_on b rm --force web 2>/dev/null || true
		davit_on a rm --force web 2>/dev/null || true
		echo "try $try was too quick"
	done
	return 1
}
is_in_doubt() { case "$(move_state "$move")" in committed | serving) true ;; *) false ;; esac && ! suite_alive b; }

@test "a move's verdict and state are told to its other side, and to no other peer" {
	sleeper
	davit_on a migrate web host-b
	move=$(davit_on a migrate ls --json | jq -r '.migrations[0].id')
	[ "$(as_peer host-b b a "/v1/peer/moves/$move/verdict" | jq -r .verdict)" = "done" ]
	[ "$(as_peer host-c b a "/v1/peer/moves/$move/verdict" | jq -r .code)" = denied ]
	[ "$(as_peer host-a a b "/v1/peer/moves/$move/state" | jq -r .state)" = running ]
	[ "$(as_peer host-c a b "/v1/peer/moves/$move/state" | jq -r .code)" = denied ]
}

@test "a move that takes too long is told as that, not as cancelled" {
	davit_on a run --detach --name web --image base --tmpfs /t:size=64m -- /bin/sh -c 'dd if=/dev/urandom of=/t/big bs=1M count=8; sleep 10000' >/dev/null
	retry eval 'davit_on a exec web /bin/ls -l /t/big 2>/dev/null | grep -q 8388608'
	run davit_on a migrate web host-b --mode stop-and-copy --bandwidth 200k --timeout 1
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *"time limit"* ]]
	[[ $output != *cancelled* ]]
	move=$(davit_on a migrate ls --json | jq -r '.migrations[0].id')
	[ "$(davit_on a migrate show "$move" --json | jq -r '.error.code')" = timeout ]
	retry is_state a running
}

@test "a move in doubt says so, cannot be cancelled, and ends by itself when the target is back" {
	in_doubt
	[[ $(davit_on a migrate show "$move") == *"stays frozen"* || $(davit_on a migrate show "$move") == *"memory follows"* ]]
	run davit_on a migrate cancel "$move"
	[ "$status" != 0 ]
	[[ $output == *"cannot be taken back"* ]]
	host_start b 3>&- 4>&-
	davit_on a migrate resume "$move"
	retry is_state b running
	retry eval '[ "$(move_state "$move")" = done ]'
	[ -z "$(state a)" ]
	run davit_on a migrate resolve "$move" --force source
	[ "$status" != 0 ]
	[[ $output == *"nothing to decide"* ]]
}

@test "a decision by force is told with its consequences, and made only after they were accepted" {
	in_doubt
	run davit_on a migrate resolve "$move" --force source
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *"two copies run"* ]]
	[[ $output == *"nothing was done"* ]]
	[ "$(state a)" != running ]
	[ "$(davit_on a migrate resolve "$move" --force source --yes-i-know-the-consequences --json | jq -s '.[-1].done')" = true ]
	retry is_state a running
	[ "$(move_state "$move")" = aborted ]
}

@test "force for the target deletes the frozen copy" {
	in_doubt
	run davit_on a migrate resolve "$move" --force target
	[[ $output == *"no copy is left"* || $output == *"nowhere else"* ]]
	davit_on a migrate resolve "$move" --force target --yes-i-know-the-consequences
	retry eval '[ "$(move_state "$move")" = done ]'
	[ -z "$(state a)" ]
}

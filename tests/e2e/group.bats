#!/usr/bin/env bats
# Containers that move as one (migrate/group.h): all of them stand still at one moment, and all go or none, whatever is killed meanwhile.
load ../lib/common
load ../lib/suite

MEMBERS="one two three"

setup_file() {
	suite_needs python3 || return 0
	suite_up group
	for h in a b; do echo '{"bindPathsReadOnly": ["/usr"]}' >"$HOSTS_DIR/$h/policy.json"; done
	suite_start small /usr/bin/python3 "$BATS_TEST_DIRNAME/loads/server.py=/srv/server.py" "$BATS_TEST_DIRNAME/loads/client.py=/srv/client.py"
}
teardown_file() { suite_down; }
setup() {
	common_setup
	suite_again
	suite_needs_criu
}
teardown() {
	suite_clear
	common_teardown
}

members_run() { # each counts to itself, and says if it ever finds another number than it left
	local name
	for name in $MEMBERS; do
		davit_on a run --detach --name "$name" --image small --memory 64m -- /bin/sh -c '
			n=0; echo 0 >/tmp/n; while :; do [ "$(cat /tmp/n)" = $n ] || touch /tmp/bad; n=$((n + 1)); echo $n >/tmp/n; usleep 20000; done' >/dev/null
	done
}
running_on() { davit_on "$1" ps --all --json | jq -r '[.containers[]? | select(.state == "running").name] | sort | join(" ")'; }
all_gone() { [ -z "$(davit_on a ps --all --quiet)" ]; }
all_on() { [ "$(running_on "$1")" = "one three two" ] && [ -z "$(davit_on "$2" ps --all --quiet)" ]; }
# All at one host, none at the other, and none of their moves is under way any more.
whole() { { all_on a b || all_on b a; } && ! { davit_on a migrations ls --json; davit_on b migrations ls --json; } | jq -e '.migrations[]? | select(.state | IN("done", "aborted", "running", "dropped") | not)' >/dev/null; }
count_on() { davit_on "$1" exec "$2" cat /tmp/n; }
members_go_on() { # HOST
	local name before
	for name in $MEMBERS; do
		before=$(count_on "$1" "$name")
		retry eval "[ \"\$(count_on $1 $name)\" -gt ${before:-0} ]"
		[ -z "$(davit_on "$1" exec "$name" ls /tmp/bad 2>/dev/null)" ]
	done
}

@test "a server and its client go over as one, their connection between them, and at one moment both stand still" {
	davit_on a run --detach --name server --image small --network lan --ip 10.91.0.70 --mount /usr:/usr:ro,shared --memory 256m -- /usr/bin/python3 -I /srv/server.py >/dev/null
	davit_on a run --detach --name client --image small --network lan --ip 10.91.0.71 --mount /usr:/usr:ro,shared --memory 256m -- /bin/sh -c '
		{ while [ ! -e /tmp/end ]; do usleep 50000; done; } | /usr/bin/python3 -I /srv/client.py 10.91.0.70 4' >/dev/null
	retry eval 'davit_on a logs client | grep -q going'
	davit_on a migrate --group --json server client host-b >"$TMP/moves.json"
	jq -e '[.operations[].move] | length == 2 and .[0].group == .[1].group and
		([.[].clock.before.realtime] | max) < ([.[].clock.after.realtime] | min)' "$TMP/moves.json"
	davit_on b exec client touch /tmp/end
	retry eval 'davit_on b logs client | grep -q right'
	retry all_gone
}

@test "one that cannot go keeps all of them here, which is told with the reason" {
	members_run
	davit_on b run --detach --name three --image small -- sleep 1000 >/dev/null
	run davit_on a migrate --group one two three host-b
	echo "$status: $output"
	[ "$status" != 0 ]
	[[ $output == *three* ]]
	[ "$(running_on a)" = "one three two" ]
	[ "$(running_on b)" = three ]
	run davit_on a migrate --group one two nobody host-b
	[ "$status" = 66 ]
	[ "$(running_on a)" = "one three two" ]
	davit_on b rm --force three
	members_go_on a
	[ -z "$(davit_on a migrations ls --json | jq -r '.migrations[]? | select(.container != "server" and .container != "client" and .state != "aborted").state')" ]
}

strike() { # WHAT MILLISECONDS: what is killed so long after the move began
	davit_on a migrate --group one two three host-b >"$TMP/out" 2>&1 3>&- &
	local move=$! movers
	sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
	case $1 in
	mover)
		movers=$(pgrep -P "$(host_pid a)" davit-mover | shuf -n 1)
		[ -z "$movers" ] || kill -KILL "$movers" 2>/dev/null || true # it may just have ended
		;;
	*) host_fall "$1" ;;
	esac
	wait "$move" || true
	for h in a b; do suite_alive $h || host_start $h 3>&-; done
	retry whole || { cat "$TMP/out"; davit_on a ps --all; davit_on b ps --all; return 1; }
	if all_on b a; then
		members_go_on b
		davit_on b migrate --group one two three host-a >/dev/null
	fi
	members_go_on a
}

@test "all go or none, with a mover or either agent killed at any time" {
	members_run
	local i what
	for i in $(seq "${DAVIT_GROUP_STRIKES:-1}"); do
		for what in mover a b; do strike $what $((RANDOM % 1200)); done
	done
}

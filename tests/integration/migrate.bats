#!/usr/bin/env bats
# Moves between two agents: what is refused is told whole and touches nothing, and whoever is killed, exactly one copy goes on.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs || return 0
	suite_up moves
	# The policy of b gives nothing.
	echo '{"capabilities": ["CAP_NET_ADMIN"], "allowNewPrivileges": true, "seccompUnconfined": true}' >"$HOSTS_DIR/a/policy.json"
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

counter() { # HOST NAME [option…]: counts in a file, so that a copy can be told from another
	local h=$1 name=$2
	shift 2
	davit_on "$h" run --detach --name "$name" --image base --tmpfs /t:size=64m "$@" -- \
		/bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i >/t/n.new; mv /t/n.new /t/n; sleep 0.01; done' >/dev/null
	retry counts "$h" "$name"
}
counts() { [ "$(davit_on "$1" exec "$2" /bin/cat /t/n 2>/dev/null || echo 0)" -gt 3 ]; }
goes_on() { # HOST NAME
	local before
	before=$(davit_on "$1" exec "$2" /bin/cat /t/n)
	retry eval '[ "$(davit_on '"$1"' exec '"$2"' /bin/cat /t/n)" -gt '"$before"' ]'
}
memory_limit() { # HOST NAME: as its cgroup has it
	local pid path
	pid=$(davit_on "$1" inspect "$2" | jq .pid)
	path=$(sed -n 's/^[0-9]*:\([^:]*,\)*memory\(,[^:]*\)*://p' "/proc/$pid/cgroup")
	if [ -n "$path" ]; then cat "/sys/fs/cgroup/memory$path/memory.limit_in_bytes"; else cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/memory.max"; fi
}
operation() { curl -s --unix-socket "$HOSTS_DIR/a/run/davit.sock" 'http://localhost/v1/operations?container=web' | jq '.operations[0]'; }
has() { davit_on "$1" ps --all --quiet | grep -qx "$2"; }
state() { davit_on "$1" inspect "$2" 2>/dev/null | jq -r .state; }
# One host has it, running and counting, the other does not know it.
one_copy() {
	local a b
	a=$(state a "$1") b=$(state b "$1")
	case "$a,$b" in
	running,) goes_on a "$1" ;;
	,running) goes_on b "$1" ;;
	*) return 1 ;;
	esac
}

@test "a check touches nothing and says so; a move takes the container with its id, address and changed limits" {
	counter a web --network lan
	id=$(davit_on a inspect web | jq -r '.id, .spec.attachments[0].address')
	[ "$(davit_on a migrate web host-b --check | head -1)" = "web can move to host-b" ]
	# Shared memory is not copied while the container runs, and the check says how much that is.
	davit_on a exec web /bin/sh -c 'head -c 20000000 /dev/zero >/dev/shm/much'
	[[ $(davit_on a migrate web host-b --check) == *" MiB of it go while the container stands still: shared memory"* ]]
	[ "$(state a web)" = running ]
	run has b web
	[ "$status" != 0 ]
	davit_on a update web --memory 300m --pids 77
	[ "$(memory_limit a web)" = 314572800 ]
	[[ $(davit_on a migrate web host-b) == "web moved to host-b in"* ]]
	[ "$(davit_on b inspect web | jq -r '.id, .spec.attachments[0].address')" = "$id" ]
	[ "$(davit_on b inspect web | jq -c .spec.limits)" = '{"memoryBytes":314572800,"pids":77}' ]
	[ "$(memory_limit b web)" = 314572800 ]
	goes_on b web
	run has a web
	[ "$status" != 0 ]
	[ "$(davit_on a migrations ls --json | jq -r '.migrations[0] | .role + " " + .state')" = "source done" ]
}

@test "a target whose policy does not give what the container has refuses with the whole list, and touches neither" {
	counter a web --cap-add NET_ADMIN --security-opt seccomp=unconfined --security-opt no-new-privileges=false
	local ask
	for ask in --check ''; do
		# shellcheck disable=SC2086
		run davit_on a migrate web host-b $ask
		[ "$status" = 87 ]
		[[ $output == *"spec.capAdd[0]"* && $output == *"spec.seccomp"* && $output == *"spec.allowNewPrivileges"* ]]
	done
	goes_on a web
	run has b web
	[ "$status" != 0 ]
}

@test "a target without image or with the name or address taken refuses; the source goes on" {
	counter a web --network lan --ip 10.91.0.20
	counter b other --network lan --ip 10.91.0.20
	run davit_on a migrate web host-b
	[ "$status" != 0 ]
	[[ $output == *10.91.0.20* ]]
	goes_on a web
	davit_on b rm --force other
	counter b web
	run davit_on a migrate web host-b
	[ "$status" != 0 ]
	[[ $output == *exists* || $output == *"already"* ]]
	goes_on a web
	goes_on b web
	davit_on b rm --force web
	davit_on b image rm base
	run davit_on a migrate web host-b
	davit_on b image import base "$SUITE_DIR/base.tar" >/dev/null
	[ "$status" = 87 ]
	[[ $output == *image* ]]
	goes_on a web
}

@test "a target that does not answer or is unknown is told; the source goes on" {
	counter a web
	run davit_on a migrate web nowhere
	[ "$status" = 66 ]
	[[ $output == *"no peer is called nowhere"* ]]
	run davit_on a migrate web https://10.90.0.9:7440 --timeout 3s
	[ "$status" != 0 ]
	run davit_on a migrate web https://10.90.0.2:1
	[ "$status" != 0 ]
	goes_on a web
	one_copy web
}

@test "a cancelled move leaves the container where it was" {
	counter a web
	davit_on a exec web /bin/dd if=/dev/urandom of=/t/big bs=1M count=8 2>/dev/null
	davit_on a migrate web host-b --mode stop-and-copy --bandwidth 200k >"$SUITE_DIR/out" 2>&1 3>&- &
	mover=$!
	retry eval '[ "$(operation | jq ".bytesDone // 0")" -gt 0 ]'
	run davit_on a stop web
	[ "$status" = 75 ]
	davit_on a migrations cancel "$(operation | jq -r .id)"
	run wait "$mover"
	[ "$status" != 0 ]
	retry one_copy web
	[ "$(state a web)" = running ]
}

@test "drain moves all that can move, tells what cannot, and is taken up where it stopped" {
	counter a one
	counter a two --memory 64m
	davit_on a pause two
	davit_on a create --name still --image base -- /bin/true >/dev/null
	run davit_on a drain host-b --check
	[ "$status" = 79 ]
	[[ $output == *"one can move to host-b"* && $output == *"still stays: container still is created"* && $output == *"2 of 3 containers cannot move"* ]]
	has a one
	davit_on a resume two
	run davit_on a drain host-b --parallel 2 --json
	[ "$status" = 79 ]
	goes_on b one
	goes_on b two
	has a still
	davit_on a rm still
	davit_on a drain host-b
	run davit_on a drain nowhere
	[ "$status" = 0 ] # nothing is left
}

@test "whenever the source's davitd is killed in a move, one copy goes on" {
	for delay in 0.02 0.06 0.10 0.14 0.18; do
		counter a web
		davit_on a migrate web host-b >/dev/null 2>&1 3>&- &
		move=$!
		sleep "$delay"
		host_fall a
		wait "$move" || true
		host_start a 3>&- 4>&-
		retry one_copy web || { echo "after $delay s: a $(state a web), b $(state b web)"; tail -5 "$HOSTS_DIR"/?/davitd.log; return 1; }
		davit_on a rm --force web 2>/dev/null || davit_on b rm --force web
	done
}

@test "whenever the target's davitd is killed in a move, one copy goes on" {
	for delay in 0.02 0.06 0.10 0.14 0.18; do
		counter a web
		davit_on a migrate web host-b >/dev/null 2>&1 3>&- &
		move=$!
		sleep "$delay"
		host_fall b
		host_start b 3>&- 4>&-
		wait "$move" || true
		retry one_copy web || { echo "after $delay s: a $(state a web), b $(state b web)"; tail -5 "$HOSTS_DIR"/?/davitd.log; return 1; }
		davit_on a rm --force web 2>/dev/null || davit_on b rm --force web
	done
}

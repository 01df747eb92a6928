#!/usr/bin/env bats
# What a container's network is after a move: its way out, IPv6, and what becomes of it where its addresses cannot be. Hosts a and b share a link; host c
# has another subnet, as on a routed network.
load ../lib/common

hosts() {
	HOSTS_NAMES="a b c"
	. "$BATS_TEST_DIRNAME/../lib/hosts.sh"
}

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	for program in jq curl openssl ip nsenter unshare python3; do
		command -v "$program" >/dev/null || export NETWORK_SKIP="$program is missing"
	done
	[ -e /proc/self/timens_offsets ] || export NETWORK_SKIP="this kernel has no time namespaces"
	[ -e /proc/sys/net/ipv6 ] || export NETWORK_SKIP="this kernel has no IPv6"
	[ -z "${NETWORK_SKIP:-}" ] || return 0
	export NETWORK_DIR
	NETWORK_DIR=$(mktemp -d /tmp/davit-network.XXXXXX)
	chmod 711 "$NETWORK_DIR"
	hosts
	hosts_up "$NETWORK_DIR/hosts"
	export HOSTS_DIR HOSTS_TAG
	jq '.networks[0] |= (.subnet = "10.92.0.0/24" | .gateway = "10.92.0.1" | .subnet6 = "fd92::/64" | .gateway6 = "fd92::1" | del(.uplink))' \
		"$HOSTS_DIR/c/davitd.json" >"$HOSTS_DIR/c/changed"
	mv "$HOSTS_DIR/c/changed" "$HOSTS_DIR/c/davitd.json"
	for h in a b c; do host_start "$h" 3>&- 4>&-; done
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$NETWORK_DIR/image.tar" "$DAVIT_BUILD/tools/peer=/bin/peer"
	for h in a b c; do davit_on "$h" image import net "$NETWORK_DIR/image.tar" >/dev/null; done
}

teardown_file() {
	[ -n "${NETWORK_DIR:-}" ] || return 0
	local dir=$HOSTS_DIR tag=$HOSTS_TAG
	hosts
	HOSTS_DIR=$dir HOSTS_TAG=$tag
	hosts_down
	rm -rf --one-file-system "$NETWORK_DIR"
}

setup() {
	common_setup
	[ -z "${NETWORK_SKIP:-}" ] || skip "$NETWORK_SKIP"
	local dir=$HOSTS_DIR tag=$HOSTS_TAG
	hosts
	HOSTS_DIR=$dir HOSTS_TAG=$tag
	client=
}

teardown() {
	local h name
	[ -z "${client:-}" ] || kill "$client" 2>/dev/null || true
	for h in a b c; do
		[ -z "${BATS_TEST_COMPLETED:-}" ] && tail -20 "$HOSTS_DIR/$h/davitd.log" 2>/dev/null
		for name in $(davit_on "$h" ps --all --quiet 2>/dev/null); do davit_on "$h" rm --force "$name" >/dev/null 2>&1 || true; done
	done
	common_teardown
}

web() { # [OPTION…]: a container that answers on port 7000, at 10.91.0.10 and fd91::a5b:a
	davit_on a run --detach --name web --image net --network lan --ip 10.91.0.10 --memory 64m "$@" -- /bin/peer >/dev/null
	retry 10 answers 10.91.0.10
}
answers() { in_host switch python3 "$BATS_TEST_DIRNAME/peer.py" ask "$1" 3>&-; }
# A connection in each state that there is, opened before a move and looked at after it (peer.py says what each holds).
client_start() {
	mkfifo "$TMP/go"
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 "$BATS_TEST_DIRNAME/peer.py" "$@" "$TMP/ready" <"$TMP/go" >"$TMP/client" 2>&1 3>&- &
	client=$!
	exec 9>"$TMP/go"
	retry 10 [ -e "$TMP/ready" ]
}
client_go() { # after the move: the client's own verdict
	exec 9>&-
	wait "$client" || {
		cat "$TMP/client"
		return 1
	}
	client=
}

@test "after a move the way out leads over the new host's bridge, in both families, and back" {
	web
	run davit_on a exec web -- /bin/ip route
	[[ $output == *"default via 10.91.0.1 "* ]]
	davit_on a migrate web host-b
	run davit_on b exec web -- /bin/ip route
	[[ $output == *"default via 10.91.0.2 "* ]] || { echo "$output"; false; }
	run davit_on b exec web -- /bin/ip -6 route
	[[ $output == *"default via fd91::2 "* ]] || { echo "$output"; false; }
	davit_on b inspect web --json | jq -e '.spec.attachments[0] | .gateway == "10.91.0.2" and .gateway6 == "fd91::2" and .address == "10.91.0.10/24"'
	davit_on b migrate web host-a
	run davit_on a exec web -- /bin/ip route
	[[ $output == *"default via 10.91.0.1 "* ]]
}

@test "connections of both families in every state move: full queues both ways, half closed, urgent, listening" {
	web
	client_start states 10.91.0.10 fd91::a5b:a
	# That they may be closed does not mean that they are where the address can be.
	davit_on a migrate --allow-tcp-reset web host-b
	davit_on a migrations ls --json | jq -e '.migrations[0].tcpReset | not'
	client_go
	answers fd91::a5b:a
}

@test "a connection over a published port goes on after a move, though its host's port is gone" {
	web --publish 7700:7000
	client_start published 10.90.0.1 7700
	davit_on a migrate web host-b
	client_go
	# New ones find the port where the container is.
	in_host switch python3 "$BATS_TEST_DIRNAME/peer.py" published 10.90.0.2 7700 "$TMP/again" </dev/null 3>&-
	run in_host switch python3 "$BATS_TEST_DIRNAME/peer.py" published 10.90.0.1 7700 "$TMP/gone" </dev/null 3>&-
	[ "$status" != 0 ]
}

@test "an IPv6 neighbour learns at once where the container is" {
	web
	answers fd91::a5b:a
	davit_on a migrate web host-b
	# The switch's forwarding table leads to host b before anything was sent to the container.
	mac=$(davit_on b inspect web --json | jq -r '.spec.attachments[0].mac')
	run bridge -n "dv$HOSTS_TAG-switch" fdb show br data
	[[ $output == *"$mac dev b-data "* ]] || { echo "$output"; false; }
	answers fd91::a5b:a
}

@test "where its address cannot be a move is refused, and the refusal names the way out" {
	web
	run davit_on a migrate web host-c
	[ "$status" != 0 ]
	[[ $output == *10.91.0.10* && $output == *--allow-tcp-reset* ]] || { echo "$output"; false; }
	run davit_on a migrate --check web host-c
	[ "$status" != 0 ]
	answers 10.91.0.10
}

@test "with consent it gets another address there, and its peers are told that their connections are closed" {
	web
	client_start reset 10.91.0.10 fd91::a5b:a
	run davit_on a migrate --check --allow-tcp-reset web host-c
	[[ $output == *"other addresses"* ]]
	davit_on a migrate --allow-tcp-reset web host-c
	client_go
	davit_on c inspect web --json | jq -e '.spec.attachments[0] | (.address | startswith("10.92.0.")) and (.address6 | startswith("fd92:")) and .gateway == "10.92.0.1"'
	davit_on a migrations ls --json | jq -e '.migrations[0].tcpReset'
	# Its listening socket is as it was.
	in_host c python3 "$BATS_TEST_DIRNAME/peer.py" ask "$(davit_on c inspect web --json | jq -r '.spec.attachments[0].address | split("/")[0]')" 3>&-
}

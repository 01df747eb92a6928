#!/usr/bin/env bats
# What a container's network is after a move: its way out, IPv6, and what becomes of it where its addresses cannot be. Hosts a and b share a link; host c
# has another subnet, as on a routed network.
load ../lib/common
HOSTS_NAMES="a b c"
load ../lib/suite

setup_file() {
	suite_needs python3 nft || return 0
	[ -e /proc/sys/net/ipv6 ] || { export SUITE_SKIP="this kernel has no IPv6"; return 0; }
	suite_up network
	jq '.networks[0] |= (.subnet = "10.92.0.0/24" | .gateway = "10.92.0.1" | .subnet6 = "fd92::/64" | .gateway6 = "fd92::1" | del(.uplink))' \
		"$HOSTS_DIR/c/davitd.json" >"$HOSTS_DIR/c/changed"
	mv "$HOSTS_DIR/c/changed" "$HOSTS_DIR/c/davitd.json"
	local h
	for h in $HOSTS_NAMES; do echo '{"capabilities": ["CAP_NET_ADMIN"]}' >"$HOSTS_DIR/$h/policy.json"; done
	suite_start net "$DAVIT_BUILD/tools/peer=/bin/peer" "$(command -v nft)=/usr/sbin/nft" "$(command -v ip)=/usr/sbin/ip"
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

web() { # [OPTION…]: a container that answers on port 7000, at 10.91.0.10 and fd91::a5b:a
	davit_on a run --detach --name web --image net --network lan --ip 10.91.0.10 --memory 64m "$@" -- /bin/peer >/dev/null
	retry answers 10.91.0.10
}
answers() { in_host switch python3 "$BATS_TEST_DIRNAME/peer.py" ask "$1" 3>&-; }
# A connection in each state that there is, opened before a move and looked at after it (peer.py says what each holds).
client_start() {
	mkfifo "$TMP/go"
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 "$BATS_TEST_DIRNAME/peer.py" "$@" "$TMP/ready" <"$TMP/go" >"$TMP/client" 2>&1 3>&- &
	client=$!
	exec 9>"$TMP/go"
	retry [ -e "$TMP/ready" ]
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

@test "new connections all the while: none is lost, whatever state the freeze finds it in" {
	web
	client_start storm 10.91.0.10
	davit_on a migrate web host-b
	davit_on b migrate web host-a
	davit_on a migrate --mode stop-and-copy web host-b
	client_go
}

@test "connections that nobody accepts are named before, and stay where they are" {
	web
	client_start waiting 10.91.0.10
	run davit_on a migrate --check web host-b
	[ "$status" != 0 ]
	[[ $output == *"waiting to be accepted"* ]] || { echo "$output"; false; }
	run davit_on a migrate web host-b
	[ "$status" != 0 ]
	[[ $output == *"waiting to be accepted"* ]] || { echo "$output"; false; }
	davit_on a exec web -- /bin/touch /tmp/accept
	client_go
	davit_on a migrate web host-b
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

leads_to_b() { bridge -n "dv$HOSTS_TAG-switch" fdb show br data | grep -F "$1 dev b-data "; }
@test "an IPv6 neighbour learns at once where the container is" {
	web
	answers fd91::a5b:a
	davit_on a migrate web host-b
	# The switch's forwarding table leads to host b before anything was sent to the container.
	mac=$(davit_on b inspect web --json | jq -r '.spec.attachments[0].mac')
	retry leads_to_b "$mac"
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

inside() { davit_on "$1" exec web -- /bin/sh -ec "$2"; }
# All that the container can see of its network, in an order of its own.
network_of() { # HOST; without link-local addresses, which the kernel makes when it has looked whether others have them
	inside "$1" 'for f in 4 6; do /usr/sbin/ip -$f -o addr; /usr/sbin/ip -$f route show table all; /usr/sbin/ip -$f rule; done | sed "/fe80:/d; s/ valid_lft.*//; s/^[0-9]*: //"
		/usr/sbin/ip neigh show nud permanent; /usr/sbin/nft list ruleset | sed "s/packets [0-9]* bytes [0-9]*//; s/ expires [^ ]*//"
		cd /proc/sys/net; grep . ipv4/tcp_keepalive_time ipv4/conf/*/forwarding ipv4/conf/*/rp_filter ipv6/conf/*/accept_ra core/somaxconn' | sort
}

@test "what a container made of its own network moves with it: rules for packets, routes, addresses, neighbours, settings" {
	web --cap-add net_admin --sysctl net.ipv4.tcp_keepalive_time=1234 --sysctl net.ipv4.ip_forward=1 --sysctl net.ipv6.conf.default.accept_ra=2
	inside a 'cd /usr/sbin; ./ip addr add 10.99.0.1/32 dev lo; ./ip addr add fd99::1/64 dev eth0 nodad; ./ip addr add 10.91.0.11/24 dev eth0
		./ip route add 10.50.0.0/16 via 10.91.0.1; ./ip route add 10.51.0.0/16 via 10.91.0.254 metric 7 mtu 1400 src 10.99.0.1; ./ip route add blackhole 10.52.0.0/16
		./ip route add 10.53.0.0/16 nexthop via 10.91.0.254 weight 2 nexthop via 10.91.0.1; ./ip route add 10.54.0.0/16 via 10.51.0.9 dev eth0 onlink
		./ip route add default via 10.91.0.254 table 100; ./ip route add fd50::/64 via fd91::1; ./ip route del default; ./ip rule add fwmark 7 lookup 100 prio 77
		./ip neigh add 10.91.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
		./nft -f - <<-END
		table inet guard {
			set seen { type ipv4_addr; flags timeout; elements = { 10.1.2.3 timeout 10h } }
			map ways { type inet_service : verdict; elements = { 7001 : jump no, 7003 : drop } }
			chain in { type filter hook input priority 0; policy accept; counter; tcp dport vmap @ways; ip saddr @seen drop; }
			chain no { reject with tcp reset; }
		}
		table ip shift {
			chain pre { type nat hook prerouting priority dstnat; tcp dport 7100 redirect to :7000; }
		}
		END'
	network_of a | sed 's/via 10.91.0.1 /via 10.91.0.2 /; s/fd91::1 /fd91::2 /' >"$TMP/before"
	client_start states 10.91.0.10 fd91::a5b:a
	davit_on a migrate --check web host-b
	davit_on a migrate web host-b
	network_of b >"$TMP/after"
	diff "$TMP/before" "$TMP/after"
	client_go
	davit_on b migrate web host-a
	network_of a | sed 's/via 10.91.0.1 /via 10.91.0.2 /; s/fd91::1 /fd91::2 /' >"$TMP/back"
	diff "$TMP/before" "$TMP/back"
	# To where its addresses are others goes what does not depend on them.
	davit_on a migrate --allow-tcp-reset web host-c
	inside c '/usr/sbin/nft list ruleset | grep -q 7100; /usr/sbin/ip -4 addr show dev lo | grep -q 10.99.0.1; /usr/sbin/ip rule | grep -q "fwmark 0x7"; ! /usr/sbin/ip addr | grep 10.91.0.11'
}

@test "a device and a queue that cannot be made again are named before" {
	web --cap-add net_admin
	inside a '/usr/sbin/ip link add br7 type bridge; /usr/sbin/ip link show br7 >/dev/null'
	run davit_on a migrate --check web host-b
	[ "$status" != 0 ]
	[[ $output == *"bridge br7"* ]] || { echo "$output"; false; }
	run davit_on a migrate web host-b
	[ "$status" != 0 ]
	inside a '/usr/sbin/ip link del br7'
	davit_on a migrate --check web host-b
}

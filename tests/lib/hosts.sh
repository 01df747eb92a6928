# Hosts on one machine, for demo, tests and benchmarks; source it, then: hosts_up DIR, host_start a, host_start b, …, hosts_down.
#
# Network namespaces: the hosts (HOSTS_NAMES, "a b" unless set before; "a b c" for a third) and the switch between them, where clients live too. Each
# host has eth0 (10.90.0.1, .2, .3: the agents talk here) and eth1, which the container network "lan" takes as its uplink (10.91.0.0/24 and
# fd91::/64, each host's bridge is a gateway of its own; the switch is 10.91.0.254 and fd91::254). Each runs its own davitd with own folders, cgroup
# parent and id ranges, mutual TLS from a CA made on the spot. Hosts b and c live in time namespaces whose monotonic and boottime clocks are
# days off. nsenter instead of `ip netns exec`, which would hide /sys/fs/cgroup.
# shellcheck shell=bash

HOSTS_NAMES=${HOSTS_NAMES:-a b}
HOSTS_MONOTONIC_B=${HOSTS_MONOTONIC_B:-500000}
HOSTS_BOOTTIME_B=${HOSTS_BOOTTIME_B:-1000000}
HOSTS_MONOTONIC_C=${HOSTS_MONOTONIC_C:-40000}
HOSTS_BOOTTIME_C=${HOSTS_BOOTTIME_C:-9000000}
HOSTS_DIR=
HOSTS_TAG=

host_number() { case $1 in a) echo 1 ;; b) echo 2 ;; c) echo 3 ;; switch) echo 254 ;; esac; }
host_address() { echo "10.90.0.$(host_number "$1")"; }
# Runs a command in the network of a host or of the switch.
in_host() {
	local h=$1
	shift
	nsenter "--net=/run/netns/dv$HOSTS_TAG-$h" -- "$@"
}

_link() { # HOST INTERFACE SWITCH_PORT BRIDGE
	ip -n "dv$HOSTS_TAG-$1" link add "$2" type veth peer name "$3" netns "dv$HOSTS_TAG-switch"
	ip -n "dv$HOSTS_TAG-$1" link set "$2" up
	ip -n "dv$HOSTS_TAG-switch" link set "$3" master "$4" up
}

_cert() { # NAME ROLE SUBJECT_ALT_NAME
	local d=$HOSTS_DIR/tls
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$d/$1.key" -subj "/O=davit/OU=$2/CN=$1" -out "$d/$1.csr" 2>/dev/null
	openssl x509 -req -in "$d/$1.csr" -CA "$d/ca.crt" -CAkey "$d/ca.key" -CAcreateserial -days "${HOSTS_DAYS:-7}" -extfile <(echo "subjectAltName=$3") \
		-out "$d/$1.crt" 2>/dev/null
}

hosts_certificates() { # DIR/tls: a CA, a certificate for each host (role peer) and one for an operator
	mkdir -p "$HOSTS_DIR/tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$HOSTS_DIR/tls/ca.key" -out "$HOSTS_DIR/tls/ca.crt" \
		-subj "/O=davit/CN=demo CA" -days "${HOSTS_DAYS:-7}" 2>/dev/null
	_cert host-a peer "DNS:host-a,${HOSTS_ALT_A:-IP:10.90.0.1}"
	_cert host-b peer "DNS:host-b,${HOSTS_ALT_B:-IP:10.90.0.2}"
	[[ " $HOSTS_NAMES " != *" c "* ]] || _cert host-c peer "DNS:host-c,IP:10.90.0.3"
	_cert operator operator "DNS:operator"
	_cert reader reader "DNS:reader"
}

_config() { # HOST
	local h peers=()
	for h in $HOSTS_NAMES; do [ "$h" = "$1" ] || peers+=("{\"name\": \"host-$h\", \"url\": \"https://$(host_address "$h"):7440\"}"); done
	jq -n --arg h "host-$1" --arg dir "$HOSTS_DIR/$1" --arg tls "$HOSTS_DIR/tls" --arg addr "$(host_address "$1")" --arg n "$(host_number "$1")" \
		--arg cg "/davit-$HOSTS_TAG-$1" --argjson peers "[$(IFS=,; echo "${peers[*]}")]" \
		'{name: $h, stateDir: ($dir + "/state"), runDir: ($dir + "/run"), listen: ($addr + ":7440"), tlsCert: "\($tls)/\($h).crt", tlsKey: "\($tls)/\($h).key",
		tlsCa: "\($tls)/ca.crt", advertiseUrl: "https://\($addr):7440", peers: $peers, policy: ($dir + "/policy.json"),
		networks: [{name: "lan", bridge: "dvbr", subnet: "10.91.0.0/24", gateway: ("10.91.0." + $n), uplink: "eth1", subnet6: "fd91::/64", gateway6: ("fd91::" + $n)}],
		idsStart: (($n | tonumber) * 4000000 - 3000000), idsCount: 50, cgroupParent: $cg}' >"$HOSTS_DIR/$1/davitd.json"
}

hosts_up() { # DIR
	HOSTS_DIR=$1
	HOSTS_TAG=$$
	local h
	mkdir -p "$HOSTS_DIR"
	chmod 755 "$HOSTS_DIR"
	for h in switch $HOSTS_NAMES; do
		ip netns add "dv$HOSTS_TAG-$h"
		ip -n "dv$HOSTS_TAG-$h" link set lo up
	done
	for h in mgmt data; do ip -n "dv$HOSTS_TAG-switch" link add "$h" type bridge && ip -n "dv$HOSTS_TAG-switch" link set "$h" up; done
	ip -n "dv$HOSTS_TAG-switch" addr add 10.90.0.254/24 dev mgmt
	ip -n "dv$HOSTS_TAG-switch" addr add 10.91.0.254/24 dev data
	[ ! -e /proc/sys/net/ipv6 ] || ip -n "dv$HOSTS_TAG-switch" addr add fd91::254/64 dev data nodad
	for h in $HOSTS_NAMES; do
		_link "$h" eth0 "$h-mgmt" mgmt
		_link "$h" eth1 "$h-data" data
		ip -n "dv$HOSTS_TAG-$h" addr add "$(host_address "$h")/24" dev eth0
		mkdir -p "$HOSTS_DIR/$h"
		echo '{}' >"$HOSTS_DIR/$h/policy.json"
	done
	hosts_certificates
	for h in $HOSTS_NAMES; do _config "$h"; done
}

host_start() { # HOST: starts its davitd and waits until it answers
	local h=$1 clocks=()
	case $h in
	b) clocks=(unshare -T --monotonic "$HOSTS_MONOTONIC_B" --boottime "$HOSTS_BOOTTIME_B" --fork --kill-child) ;;
	c) clocks=(unshare -T --monotonic "$HOSTS_MONOTONIC_C" --boottime "$HOSTS_BOOTTIME_C" --fork --kill-child) ;;
	esac
	# In a session of its own: ^C is for whoever cleans up, and that takes a davitd.
	setsid nsenter "--net=/run/netns/dv$HOSTS_TAG-$h" -- "${clocks[@]}" "$DAVIT_BUILD/bin/davitd" --config "$HOSTS_DIR/$h/davitd.json" >>"$HOSTS_DIR/$h/davitd.log" 2>&1 &
	echo $! >"$HOSTS_DIR/$h/pid"
	local end=$((SECONDS + 60))
	while [ $SECONDS -lt $end ]; do
		curl -fs --max-time 30 --unix-socket "$HOSTS_DIR/$h/run/davit.sock" http://localhost/healthz >/dev/null 2>&1 && return 0
		kill -0 "$(cat "$HOSTS_DIR/$h/pid")" 2>/dev/null || break
		sleep 0.05
	done
	echo "davitd of host $h did not come up:" >&2
	tail -5 "$HOSTS_DIR/$h/davitd.log" >&2
	return 1
}

# davit against a host's socket.
davit_on() {
	local h=$1
	shift
	DAVIT_HOST="unix://$HOSTS_DIR/$h/run/davit.sock" "$DAVIT_BUILD/bin/davit" "$@"
}

# The pid of a host's davitd (under its unshare, where it has one).
host_pid() {
	local p
	p=$(cat "$HOSTS_DIR/$1/pid" 2>/dev/null) || return 1
	if [ "$1" = a ]; then echo "$p"; else pgrep -P "$p" | head -1; fi
}

host_stop() { # ends davitd; containers stay
	local p
	p=$(host_pid "$1") || return 0
	[ -n "$p" ] && kill "$p" 2>/dev/null
	wait "$(cat "$HOSTS_DIR/$1/pid")" 2>/dev/null
	rm -f "$HOSTS_DIR/$1/pid"
}

host_fall() { # kills davitd in the middle of whatever it does and waits until its sockets are closed
	local p
	p=$(host_pid "$1") || return 1
	kill -KILL "$p"
	while kill -0 "$p" 2>/dev/null; do sleep 0.01; done
}

_end_processes() { # of a host whose davitd is gone or could not remove a container: frozen ones, monitors, page stores
	local d p
	find /sys/fs/cgroup -maxdepth 2 -type d -name "davit-$HOSTS_TAG-$1" -exec find {} -depth -type d \; 2>/dev/null | while read -r d; do
		[ ! -e "$d/freezer.state" ] || echo THAWED >"$d/freezer.state"
		[ ! -e "$d/cgroup.freeze" ] || echo 0 >"$d/cgroup.freeze"
		while read -r p; do kill -KILL "$p"; done <"$d/cgroup.procs"
	done 2>/dev/null
	for p in /proc/[0-9]*; do
		[ "${p#/proc/}" = $$ ] || ! grep -qF "$HOSTS_DIR/$1/" "$p/cmdline" || kill -KILL "${p#/proc/}"
	done 2>/dev/null
	return 0
}

hosts_down() { # removes containers, agents, namespaces and folders; can be called at any moment, more than once
	[ -n "$HOSTS_DIR" ] || return 0
	local h name
	for h in $HOSTS_NAMES; do
		if [ -n "$(ls "$HOSTS_DIR/$h/state/containers" 2>/dev/null)" ]; then
			# Whoever ended its davitd left its containers.
			davit_on "$h" ps >/dev/null 2>&1 || { host_stop "$h"; host_start "$h" 3>&- 4>&-; }
			davit_on "$h" ps --all --json 2>/dev/null | jq -r '.containers[]?.name' 2>/dev/null | while read -r name; do
				davit_on "$h" rm --force "$name" >/dev/null 2>&1
			done
		fi
		host_stop "$h"
		_end_processes "$h"
	done
	for h in $HOSTS_NAMES switch; do ip netns del "dv$HOSTS_TAG-$h" 2>/dev/null; done
	grep -F " $HOSTS_DIR/" /proc/self/mountinfo | awk '{print $5}' | sort -r | while read -r name; do umount -l "$name"; done
	for h in $HOSTS_NAMES; do
		for name in /sys/fs/cgroup/davit-"$HOSTS_TAG"-"$h" /sys/fs/cgroup/*/davit-"$HOSTS_TAG"-"$h"; do
			[ -d "$name" ] && find "$name" -depth -type d -exec rmdir {} + 2>/dev/null
		done
	done
	rm -rf "$HOSTS_DIR"
	HOSTS_DIR=
}

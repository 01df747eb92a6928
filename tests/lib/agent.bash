# A davitd of a test file's own, in a network namespace of its own, with a CA made on the spot: agent_up in setup_file, agent_down in teardown_file.
# AGENT: its folder; API: curl against its socket; davit speaks to it.
# shellcheck shell=bash
agent_certificate() { # NAME ROLE
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$AGENT/$1.key" -subj "/O=davit/OU=$2/CN=$1" -out "$AGENT/$1.csr" 2>/dev/null
	openssl x509 -req -in "$AGENT/$1.csr" -CA "$AGENT/ca.crt" -CAkey "$AGENT/ca.key" -CAcreateserial -days 2 \
		-extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n') -out "$AGENT/$1.crt" 2>/dev/null
}

agent_up() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	AGENT=$(mktemp -d /tmp/davit-agent.XXXXXX)
	AGENT_NS=dvagent$$
	export AGENT AGENT_NS DAVIT_HOST="unix://$AGENT/run/davit.sock"
	chmod 755 "$AGENT"
	ip netns add "$AGENT_NS"
	ip -n "$AGENT_NS" link set lo up
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$AGENT/ca.key" -out "$AGENT/ca.crt" -subj "/CN=test CA" -days 2 2>/dev/null
	local role
	for role in reader operator peer; do agent_certificate $role $role; done
	agent_certificate nobody stranger
	echo '{}' >"$AGENT/policy.json"
	jq -n --arg d "$AGENT" --arg cg "/davit-agent-$$" '{name: "agent-test", stateDir: "\($d)/state", runDir: "\($d)/run", policy: "\($d)/policy.json",
		cgroupParent: $cg, listen: "127.0.0.1:7440", advertiseUrl: "https://127.0.0.1:7440", tlsCert: "\($d)/peer.crt", tlsKey: "\($d)/peer.key", tlsCa: "\($d)/ca.crt",
		networks: [{name: "lan", bridge: "dvtest0", subnet: "10.66.0.0/29", gateway: "10.66.0.1"}]}' >"$AGENT/davitd.json"
	agent_start
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$AGENT/base.tar"
	davit image import base "$AGENT/base.tar" >/dev/null
}

agent_start() {
	nsenter "--net=/run/netns/$AGENT_NS" -- "$BIN/davitd" --config "$AGENT/davitd.json" >>"$AGENT/log" 2>&1 3>&- 4>&- &
	echo $! >"$AGENT/pid"
	local end=$((SECONDS + 60))
	while [ $SECONDS -lt $end ]; do
		curl -fs --max-time 30 --unix-socket "$AGENT/run/davit.sock" http://localhost/healthz >/dev/null 2>&1 && return 0
		kill -0 "$(cat "$AGENT/pid")" 2>/dev/null || break
		sleep 0.05
	done
	cat "$AGENT/log" >&2
	return 1
}

agent_pid() { cat "$AGENT/pid"; }

# shellcheck disable=SC2120 # tests give the signal
agent_stop() { # [SIGNAL]
	kill "-${1:-TERM}" "$(agent_pid)" 2>/dev/null || return 0
	wait "$(agent_pid)" 2>/dev/null || true # no child of this shell if another one started it
	while kill -0 "$(agent_pid)" 2>/dev/null; do sleep 0.02; done
	return 0
}

davit() { "$BIN/davit" "$@" 3>&-; }
api() { # METHOD PATH [curl option…]
	local method=$1 path=$2
	shift 2
	[[ " $* " == *Content-Type* ]] || set -- -H 'Content-Type: application/json' "$@"
	curl -sS --max-time 60 --unix-socket "$AGENT/run/davit.sock" -X "$method" "$@" "http://localhost$path"
}
remote() { # ROLE METHOD PATH [curl option…]
	local role=$1 method=$2 path=$3
	shift 3
	nsenter "--net=/run/netns/$AGENT_NS" -- curl -sS --max-time 60 --cacert "$AGENT/ca.crt" --cert "$AGENT/$role.crt" --key "$AGENT/$role.key" -X "$method" "$@" \
		"https://127.0.0.1:7440$path"
}

agent_down() {
	[ -n "${AGENT:-}" ] || return 0
	local name
	kill -0 "$(agent_pid)" 2>/dev/null || agent_start # containers of one that was killed are removed by the next
	for name in $(davit ps --all --quiet 2>/dev/null); do davit rm --force "$name" >/dev/null 2>&1; done
	agent_stop TERM
	ip netns del "$AGENT_NS" 2>/dev/null
	grep -F " $AGENT/" /proc/self/mountinfo | awk '{print $5}' | sort -r | while read -r name; do umount -l "$name"; done
	for name in /sys/fs/cgroup/davit-agent-* /sys/fs/cgroup/*/davit-agent-*; do
		[ "${name##*-}" = "${AGENT_NS#dvagent}" ] && [ -d "$name" ] && find "$name" -depth -type d -exec rmdir {} + 2>/dev/null
	done
	rm -rf --one-file-system "$AGENT"
}

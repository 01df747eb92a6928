#!/bin/bash
# Runs inside a virtual host as its test (tests/vm/image.sh, davit-test.service). The second disk holds davit's programs, the image, the
# certificates and `role`: "a" drives, "b" is the other host. Prints one line a claim: "ok CLAIM" or "not ok CLAIM: WHY"; tests/vm/*.bats read them.
set -u
here=/mnt/test
role=$(cat $here/role)
export PATH=$here/bin:$PATH
export DAVIT_HOST=unix:///run/davit/davit.sock

claim() { # CLAIM COMMAND…
	local what=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "ok $what"
	else
		echo "not ok $what: $(echo "$output" | tail -3 | tr '\n' ' ')"
	fi
}

until_true() { # SECONDS COMMAND…
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

start_agent() {
	local nic address
	nic=$(basename "$(ls -d /sys/class/net/e*)")
	ip link set "$nic" up
	[ "$role" = a ] && address=10.91.0.1 || address=10.91.0.2
	mkdir -p /etc/davit
	echo '{}' >/etc/davit/policy.json
	cat >/etc/davit/davitd.json <<-JSON
		{"name": "host-$role", "listen": "0.0.0.0:7440", "advertiseUrl": "https://$address:7440", "tlsCert": "$here/tls/host-$role.crt",
		 "tlsKey": "$here/tls/host-$role.key", "tlsCa": "$here/tls/ca.crt", "binDir": "$here/bin", "libexecDir": "$here/libexec",
		 "peers": [{"name": "host-a", "url": "https://10.91.0.1:7440"}, {"name": "host-b", "url": "https://10.91.0.2:7440"}],
		 "networks": [{"name": "lan", "bridge": "davit0", "subnet": "10.91.0.0/24", "gateway": "$address", "uplink": "$nic"}]}
	JSON
	systemd-run --quiet --unit=davitd --property=KillMode=process --setenv=PATH="$PATH" $here/bin/davitd
	until_true 60 davit info
}

peer_answers() {
	curl -fs --cacert $here/tls/ca.crt --cert $here/tls/operator.crt --key $here/tls/operator.key https://10.91.0.2:7440/healthz
}

agent_log() {
	journalctl -u davitd --no-pager -o cat | tail -40 | sed 's/^/# /'
}

claim "davitd starts on $(uname -r) under systemd" start_agent
claim "the image is imported" davit image import redis $here/image.tar
if [ "$role" = b ]; then
	# Ends when the other host says so.
	timeout 240 python3 -c 'import socket; s = socket.create_server(("10.91.0.2", 9999)); s.accept()'
	agent_log
	exit 0
fi

claim "the peer answers over mutual TLS" until_true 120 peer_answers
claim "redis runs as a container" davit run --detach --name redis --image redis --network lan --ip 10.91.0.10 --memory 64m --pids 64 --cpus 1 --user 999:999 \
	--workdir /data -- /bin/sh -c '/bin/clocks watch /tmp/watch & exec /usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save "" --daemonize no'

memory_max() { [ "$(cat /sys/fs/cgroup/davit/*/memory.max)" = 67108864 ] && [ "$(cat /sys/fs/cgroup/davit/*/pids.max)" = 64 ]; }
claim "its limits are in cgroup v2" memory_max
confined() { davit exec redis /bin/cat /proc/self/attr/current | grep -q '^davit-default (enforce)'; }
claim "it is confined by the AppArmor profile davit-default" confined
denied() { ! davit exec --user 0:0 redis /bin/sh -c 'echo h > /proc/sysrq-trigger' && ! davit exec --user 0:0 redis /bin/sh -c 'echo x > /proc/sys/kernel/core_pattern'; }
claim "the profile denies what it should" denied

/usr/bin/python3 $here/client.py 10.91.0.10 6379 counter /run/client.json &
client=$!
claim "the client reaches redis" until_true 60 test -s /run/client.json
replies() { kill -USR1 $client; sleep 0.2; jq .replies /run/client.json; }
more_replies() { local n; n=$(replies); until_true 30 sh -c "kill -USR1 $client; sleep 0.2; [ \$(jq .replies /run/client.json) -gt $((n + 20)) ]"; }
clocks() { davit exec redis /bin/clocks; }
remote() { davit --host "https://10.91.0.2:7440" --cacert $here/tls/ca.crt --cert $here/tls/operator.crt --key $here/tls/operator.key "$@"; }

claim "the client is served" more_replies
before=$(clocks)
claim "redis moves to a host with another kernel start and another wall clock" davit migrate redis host-b
claim "the client is served by the other host over the same connection" more_replies
claim "redis runs there" remote inspect redis
after=$(remote exec redis /bin/clocks)
# The wall clocks are years apart; the container's monotonic clock goes on as if nothing had been.
went_on() { python3 -c "
import sys
b, a = [int(x) for x in '$before'.split()], [int(x) for x in '$after'.split()]
print(b, a)
sys.exit(0 if 0 < a[0] - b[0] < 120e9 and 0 < a[1] - b[1] < 120e9 and abs(a[2] - b[2]) > 300 * 86400e9 else 1)"; }
claim "its monotonic and boottime clocks went on, while the wall clock is the new host's" went_on
claim "redis moves back" remote migrate redis host-a
claim "the client is still served" more_replies
never_back() { davit exec redis /bin/cat /tmp/watch | grep -E 'back_monotonic 0+ 0+ back_boottime 0+ 0+ '; }
claim "no clock went back in between" never_back
kill $client
wait $client
claim "every reply was right" jq -e '.lost == 0 and .problem == null' /run/client.json
davit migrations ls --json | sed 's/^/# /'
agent_log
timeout 10 python3 -c 'import socket; socket.create_connection(("10.91.0.2", 9999), 5)'

# What the scripts inside the virtual hosts share; each sources it. The second disk, mounted at $here, holds davit's programs and unit, the image, the
# certificates and `role`: "a" or "b", which is the host's name and address. A claim is one line: "ok CLAIM (SECONDS s)" or "not ok CLAIM: WHY".
# shellcheck shell=bash
here=/mnt/test
role=$(cat $here/role)
export PATH=$here/bin:$PATH
export DAVIT_HOST=unix:///run/davit/davit.sock

claim() { # CLAIM COMMAND…
	local what=$1 output start=$SECONDS
	shift
	if output=$("$@" 2>&1); then
		echo "ok $what ($((SECONDS - start)) s)"
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
	sed "s|@PREFIX@|$here|g" $here/davitd.service >/etc/systemd/system/davitd.service
	systemctl daemon-reload
	systemctl start davitd
	until_true 60 davit info
}

# What a move from a, which drives, to b and back consists of.
redis_runs() { # IMAGE: with a watcher of its clocks
	davit run --detach --name redis --image "$1" --network lan --ip 10.91.0.10 --memory 64m --pids 64 --cpus 1 --user 999:999 --workdir /data -- \
		/bin/sh -c '/bin/clocks watch /tmp/watch & exec /usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save "" --daemonize no'
}
peer_answers() {
	curl -fs --cacert $here/tls/ca.crt --cert $here/tls/operator.crt --key $here/tls/operator.key https://10.91.0.2:7440/healthz
}
remote() { davit --host "https://10.91.0.2:7440" --cacert $here/tls/ca.crt --cert $here/tls/operator.crt --key $here/tls/operator.key "$@"; }
clocks() { davit exec redis /bin/clocks; }
client_begin() {
	/usr/bin/python3 $here/client.py 10.91.0.10 6379 counter /run/client.json &
	client=$!
	claim "the client reaches redis" until_true 60 test -s /run/client.json
}
replies() { kill -USR1 "$client"; sleep 0.2; jq .replies /run/client.json; }
more_replies() { local n; n=$(replies); until_true 90 sh -c "kill -USR1 $client; sleep 0.2; [ \$(jq .replies /run/client.json) -gt $((n + 20)) ]"; }
client_end() {
	kill "$client"
	wait "$client"
	claim "every reply was right" jq -e '.lost == 0 and .problem == null' /run/client.json
}
never_back() { davit exec redis /bin/cat /tmp/watch | grep -E 'back_monotonic 0+ 0+ back_boottime 0+ 0+ '; }
# b stays up until a says so.
wait_for_driver() { timeout 540 python3 -c 'import socket; s = socket.create_server(("10.91.0.2", 9999)); s.accept()'; }
tell_driven() { timeout 60 python3 -c 'import socket; socket.create_connection(("10.91.0.2", 9999), 50)'; }

agent_log() {
	journalctl -u davitd --no-pager -o cat | tail -40 | sed 's/^/# /'
}

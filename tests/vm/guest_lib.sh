# What the scripts inside the virtual hosts share; each sources it. The second disk, mounted at $here, holds davit's programs and unit, the image, the
# certificates and `role`: "a" or "b", which is the host's name and address. A claim is one line: "ok CLAIM" or "not ok CLAIM: WHY".
# shellcheck shell=bash
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
	sed "s|@PREFIX@|$here|g" $here/davitd.service >/etc/systemd/system/davitd.service
	systemctl daemon-reload
	systemctl start davitd
	until_true 60 davit info
}

agent_log() {
	journalctl -u davitd --no-pager -o cat | tail -40 | sed 's/^/# /'
}

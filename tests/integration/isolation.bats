#!/usr/bin/env bats
# What a container, a certificate, an agent that an attacker owns and a local user cannot do. Each name is the claim.
load ../lib/common
load ../lib/agent

setup_file() {
	agent_up
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$AGENT/escape.tar" "$DAVIT_BUILD/tools/escape=/bin/escape"
	davit image import escape "$AGENT/escape.tar" >/dev/null
	agent_certificate rogue peer
}
teardown_file() { agent_down; }
teardown() {
	local name
	for name in $(davit ps --all --quiet 2>/dev/null); do davit rm --force "$name" >/dev/null 2>&1; done
	return 0
}

@test "a container with defaults reaches no kernel setting, namespace, device, keyring, process, descriptor or socket of the host" {
	python3 - "$AGENT_NS" <<-'PYTHON' 3>&- &
		import socket, sys, time
		s = socket.socket(socket.AF_UNIX)
		s.bind("\0" + sys.argv[1])
		s.listen()
		time.sleep(60)
	PYTHON
	local listener=$!
	retry grep -q "@$AGENT_NS" /proc/net/unix
	run davit run --rm --name box --image escape -- /bin/escape "$AGENT_NS" $listener
	echo "$output"
	[ "$status" = 0 ]
	run davit run --rm --name box --image escape --user 999:999 -- /bin/escape "$AGENT_NS" $listener
	kill $listener
	echo "$output"
	[ "$status" = 0 ]
}

@test "a capability held in the container's user namespace is worth nothing outside" {
	local caps='SYS_ADMIN NET_ADMIN SYS_TIME MKNOD SYS_MODULE SYS_RAWIO SYS_PTRACE SYS_RESOURCE SYS_NICE SYSLOG SYS_CHROOT DAC_READ_SEARCH' cap options=() links
	mkdir -m 700 "$AGENT/hosts"
	echo secret >"$AGENT/hosts/file"
	jq -nc --arg caps "$caps" --arg path "$AGENT/hosts" '{capabilities: ($caps | split(" ") | map("CAP_" + .)), bindPaths: [$path]}' >"$AGENT/policy.json"
	agent_stop
	agent_start
	for cap in $caps; do options+=(--cap-add "$cap"); done
	links=$(ip -n "$AGENT_NS" -o address)
	# Inside it counts: own mounts, own name, own network.
	run davit run --rm --name box --image base "${options[@]}" -- /bin/sh -c 'mount -t tmpfs none /tmp && hostname inside && ip address add 10.9.9.9/32 dev lo && ip link set lo down && echo inside ok'
	echo "$output"
	[[ $output == *"inside ok"* ]]
	[ "$(ip -n "$AGENT_NS" -o address)" = "$links" ]
	[ "$(hostname)" != inside ]
	# Outside it does not: each line is something that the same capability lets the host's root do.
	run davit run --rm --name box --image base "${options[@]}" --mount "$AGENT/hosts:/hosts" -- /bin/sh -c '
		may() { if "$@" >/dev/null 2>/tmp/error; then echo "MAY: $*"; else echo "not: $* ($(tail -1 /tmp/error))"; fi; }
		may sh -c "! date -s 2001-01-01 2>&1 | grep -q permitted"
		may mknod /tmp/disk b 8 0
		may mknod /tmp/kmsg c 1 11
		echo nothing >/tmp/module.ko; may insmod /tmp/module.ko
		may dmesg
		may renice -n -5 -p $$
		may sh -c "ulimit -H -n 10000000"
		may cat /hosts/file
		may touch /hosts/new
		may chown 0 /hosts/file
		may mount -o remount,rw /sys
		may sh -c "echo 1 >/proc/sys/kernel/panic"
		may sh -c "echo 1 >/proc/sys/vm/drop_caches"
		may sh -c "echo -1000 >/proc/self/oom_score_adj"
		mount -o remount,rw /proc/sys 2>/dev/null; may sh -c "echo core >/proc/sys/kernel/core_pattern"
		echo end'
	echo "$output"
	[[ $output == *end* && $output != *MAY:* ]]
	rm -rf "$AGENT/hosts"
	echo '{}' >"$AGENT/policy.json"
	agent_stop
	agent_start
}

@test "root of a container is nobody on the host, without groups of the host" {
	davit run --detach --name box --image base -- /bin/sleep 1000 >/dev/null
	local pid
	pid=$(davit inspect box | jq .pid)
	[ "$(awk '/^Uid:/ { print ($2 >= 1000000) ($3 >= 1000000) ($4 >= 1000000) ($5 >= 1000000) }' "/proc/$pid/status")" = 1111 ]
	[ -z "$(awk '/^Groups:/ { $1 = ""; for (i = 2; i <= NF; i++) if ($i < 1000000) print $i }' "/proc/$pid/status")" ]
	[[ $(awk '/^CapBnd:/ { print $2 }' "/proc/$pid/status") != *ffffffff* ]]
}

@test "a container that forks without end takes only its own pids" {
	# The first process does not fork while others do all the time: it could not.
	[ "$(davit run --rm --name box --image base --pids 50 -- /bin/sh -c 'b() { b & b; }; b 2>/dev/null & i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo alive')" = alive ]
	davit run --detach --name box --image base -- /bin/sleep 1000 >/dev/null
	[ "$(cat /sys/fs/cgroup/pids/davit-agent-"${AGENT_NS#dvagent}"/box/pids.max /sys/fs/cgroup/davit-agent-"${AGENT_NS#dvagent}"/box/pids.max 2>/dev/null)" = 4096 ]
}

@test "a container that takes memory without end is killed alone" {
	run davit run --rm --name box --image base --memory 32m -- /bin/sh -c 'a=x; while :; do a=$a$a; done'
	[ "$status" = 137 ]
	[ "$(api GET /healthz)" = ok ]
}

@test "links in an image lead no mount out of the container" {
	local root=$AGENT/links host=$AGENT/outside
	mkdir -p "$root" "$host"
	tar -C "$root" -xf "$AGENT/base.tar"
	rm -rf "${root:?}/etc"
	rmdir "$root/dev" "$root/proc"
	ln -s "$host" "$root/etc"
	ln -s "$host" "$root/dev"
	ln -s "$host" "$root/proc"
	ln -s "../../../../../../..$host" "$root/link"
	tar -C "$root" -cf "$AGENT/links.tar" .
	davit image import links "$AGENT/links.tar" >/dev/null
	run davit run --rm --name box --image links --network lan --tmpfs /link/deep -- /bin/true
	run davit run --rm --name box --image links --tmpfs /link/deep -- /bin/true
	[ -z "$(ls -A "$host")" ]
	davit image rm links >/dev/null
	[ -z "$(davit ps --all --quiet)" ]
}

@test "a device node in an image opens no device" {
	mkdir -p "$AGENT/node/tmp"
	tar -C "$AGENT/node" -xf "$AGENT/base.tar"
	mknod -m 666 "$AGENT/node/disk" b 8 0
	mknod -m 666 "$AGENT/node/kmsg" c 1 11
	tar -C "$AGENT/node" -cf "$AGENT/node.tar" .
	davit image import node "$AGENT/node.tar" >/dev/null
	run davit run --rm --name box --image node -- /bin/sh -c 'head -c 1 /disk || head -c 1 /kmsg'
	[ "$status" != 0 ]
	[[ $output == *"can't open"* || $output == *denied* || $output == *"not permitted"* ]]
}

# Each request of the description is sent with this certificate; none but those that the role has is let in.
role_is_kept() { # ROLE FILTER-OF-ALLOWED
	local method path allowed limit
	while read -r method path allowed; do
		[ "$allowed" = true ] && limit=1 || limit=60 # of those that it has some answer for as long as somebody listens
		run remote "$1" "$method" "$path" --max-time $limit -o /dev/null -w '%{http_code}'
		[ "$allowed" = true ] || [[ $output == 403* ]] || { echo "$1 may $method $path: $output"; return 1; }
	done < <("$BIN/davitd" --openapi | jq -r '.paths | to_entries[] | .key as $p | .value | to_entries[] |
		"\(.key | ascii_upcase) \($p | gsub("\\{[a-z]+\\}"; "none")) \(.value["x-role"] as $r | '"$2"')"')
}
@test "a reader changes nothing, whatever it asks" { role_is_kept reader '$r == "reader"'; }
@test "a peer does no operator's work and reads nothing but its moves" { role_is_kept peer '$r == "peer" or $p == "/healthz" or $p == "/v1/openapi.json"'; }
@test "an operator cannot pass for a peer" { role_is_kept operator '$r != "peer"'; }

@test "a move is its source's alone, and each of its streams is one" {
	local id=00112233445566778899aabbccddeeff up
	mkfifo "$AGENT/up"
	remote peer POST "/v1/peer/moves/$id/up" -T "$AGENT/up" -o /dev/null 2>/dev/null 3>&- &
	up=$!
	exec 9>"$AGENT/up"
	stream_is_open() { [ "$(remote peer POST "/v1/peer/moves/$id/up" -d x | jq -r .code)" = busy ]; }
	retry stream_is_open
	[ "$(remote rogue POST "/v1/peer/moves/$id/up" -d x | jq -r .code)" = denied ]
	[ "$(remote rogue GET "/v1/peer/moves/$id/down" | jq -r .code)" = denied ]
	exec 9>&-
	wait $up || true
	rm "$AGENT/up"
}

@test "bytes that are no frames end a move and leave nothing" {
	local id n=0 bytes
	for bytes in '\xff\xff\xff\xff' '\x00\x00\x00\x00' '\x7f\xff\xff\xff\x00' '\x00\x00\x00\x02\x08' 'GET / HTTP' '\x00\x00\x00\x04\x4a\x02\x0a\x00'; do
		id=$(printf '%032x' $((++n)))
		printf '%b' "$bytes" >"$AGENT/frame"
		run remote peer POST "/v1/peer/moves/$id/up" --data-binary "@$AGENT/frame"
		[ "$(api GET /healthz)" = ok ]
	done
	[ -z "$(ls "$AGENT/state/agent/moves")" ]
	[ -z "$(davit ps --all --quiet)" ]
}

@test "half requests and readers that never read cannot keep davitd silent or make it large" {
	"$BATS_TEST_DIRNAME/../lib/http.py" pipeline "$AGENT/run/davit.sock" 300
	local limit=32768
	! sanitized || limit=$((1 << 20)) # the sanitizer's own memory counts
	"$BATS_TEST_DIRNAME/../lib/http.py" flood "$AGENT/run/davit.sock" "$AGENT/pid" 20 "$limit"
}

@test "links that the agent's user left in its folder lead root nowhere" {
	mkdir "$AGENT/rootly"
	agent_stop
	mv "$AGENT/state/agent/moves" "$AGENT/state/agent/moves.old"
	ln -s "$AGENT/rootly" "$AGENT/state/agent/moves"
	agent_start 2>/dev/null || true
	[ "$(stat -c %U "$AGENT/rootly")" = root ]
	agent_stop
	rm -f "$AGENT/state/agent/moves"
	mv "$AGENT/state/agent/moves.old" "$AGENT/state/agent/moves"
	agent_start
}

@test "an agent that an attacker owns writes no file of the host, not even those of its containers" {
	run nsenter -t "$(agent_pid)" -U setpriv --reuid davit --regid davit --clear-groups -- ls "$AGENT/state/containers" "$AGENT/state/images" "$AGENT/run/tmp"
	[ "$status" != 0 ]
	[[ $(awk '/^Seccomp:/ { print $2 }' "/proc/$(agent_pid)/status") = 2 ]]
	[ -z "$(find "$AGENT/state" "$AGENT/run" -path "$AGENT/state/images/*" -prune -o -user davit ! -path "$AGENT/state/agent*" -print)" ]
}

@test "a user without rights gets no answer on the socket" {
	run setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --max-time 60 --unix-socket "$AGENT/run/davit.sock" http://localhost/healthz
	[ "$status" != 0 ]
	[[ $output != ok ]]
}

@test "a program that a container made setuid root is out of reach of the host's users" {
	davit run --detach --name box --image base -- /bin/sh -c 'cp /bin/busybox /usr/bin/suid && chmod 4755 /usr/bin/suid && exec sleep 1000' >/dev/null
	local file=$AGENT/state/containers/box/layer/upper/usr/bin/suid
	retry [ -u "$file" ]
	run setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "exec '$file' id -u"
	[[ $status != 0 && $output == *"ermission denied"* ]]
	run setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "exec '$AGENT/state/containers/box/bundle/rootfs/usr/bin/suid' id -u"
	[[ $status != 0 && $output == *"ermission denied"* ]]
}

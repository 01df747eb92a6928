#!/usr/bin/env bats
# Restores: frozen starts, networks, terminals, bad input.
load ../lib/common

setup() {
	load ../lib/oci
	load ../lib/criu
	bundle_setup
	bundle "$(eight)" 'del(.linux.seccomp) | .root.readonly = false'
	criu_setup
	writable
}
teardown() { common_teardown; }

counter() {
	edit "$(args sh -c "$COUNTER")"
	begins
	retry above 0
}
gone() {
	run dr state "$ID"
	[[ $output == *"does not exist"* ]]
	[ -z "$(find /sys/fs/cgroup -type d -path "*/davit-test/$ID")" ]
}

@test "a paused restore runs nothing before resume" {
	tool clocks
	edit "$(args clocks watch /tmp/n)"
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
	saved
	retry is stopped
	dr delete "$ID"
	local before
	before=$(cat "$BUNDLE/rootfs/tmp/n")
	back --paused
	is paused
	sleep 0.3 # the time in which it would have written six times
	[ "$(cat "$BUNDLE/rootfs/tmp/n")" = "$before" ]
	dr resume "$ID"
	changed() { [ "$(cat "$BUNDLE/rootfs/tmp/n")" != "$before" ]; }
	retry changed
}

@test "what an rbind brought along comes back, with its files open" {
	[ "$(printf '6.15\n%s\n' "$(uname -r)" | sort -V | head -1)" = 6.15 ] || skip "this kernel clones no mount of a detached tree"
	mkdir -p "$TMP/src/below" "$BUNDLE/rootfs/r"
	chmod 755 "$TMP"
	mount -t tmpfs -o mode=777 davit-test "$TMP/src/below"
	later umount -R "$TMP/src/below"
	mkdir "$TMP/src/below/deeper"
	mount -t tmpfs -o mode=777 davit-test "$TMP/src/below/deeper"
	edit "$(mount_at /r bind "$TMP/src" rbind)" "$(args sh -c 'exec 3>/r/below/deeper/out; i=0; while :; do i=$((i + 1)); echo $i >&3; echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; sleep 0.02; done')"
	begins
	retry above 0
	saved
	retry is stopped
	back
	counts_on
	local lines
	lines=$(wc -l <"$TMP/src/below/deeper/out")
	more() { [ "$(wc -l <"$TMP/src/below/deeper/out")" -gt "$lines" ]; }
	retry more
}

@test "in the foreground the status of the container becomes that of restore" {
	edit "$(args sh -c 'echo 1 >/tmp/n; until [ -e /tmp/go ]; do sleep 0.02; done; exit 7')"
	begins
	retry above 0
	saved
	dr delete "$ID"
	touch "$BUNDLE/rootfs/tmp/go"
	local status=0
	dr restore --bundle "$BUNDLE" --image-path "$IMG" "$ID" </dev/null >>"$TMP/out" 2>&1 || status=$?
	cat "$TMP/out"
	[ "$status" = 7 ]
}

@test "the host's hooks run at a restore as at a start" {
	cat >"$TMP/hook" <<-H
		#!/bin/sh
		cat >>"$TMP/hooked"; echo >>"$TMP/hooked"
	H
	chmod +x "$TMP/hook"
	edit "del(.hooks) | .hooks = {createRuntime: [{path: \"$TMP/hook\"}], poststart: [{path: \"$TMP/hook\"}]}"
	counter
	saved
	back
	[ "$(jq -sc 'map(.status)' "$TMP/hooked")" = '["creating","running","creating","running"]' ]
	[ "$(jq -s '.[2].pid' "$TMP/hooked")" = "$(init)" ]
}

@test "an established TCP connection over a veth pair loses no byte" {
	local host="dvt${ID//[^A-Za-z0-9]/}"
	host=${host:0:13}
	ip netns add "davit-$ID"
	later ip netns del "davit-$ID"
	cat >"$TMP/hook" <<-H
		#!/bin/sh
		pid=\$(jq .pid)
		ip -n davit-$ID link del $host 2>/dev/null
		ip link add $host netns davit-$ID type veth peer name eth0 netns \$pid address 02:00:00:00:00:02 &&
		ip -n davit-$ID addr add 10.9.0.1/24 dev $host && { [ -e $TMP/restoring ] || ip -n davit-$ID link set $host up; } &&
		nsenter -t \$pid -n ip addr add 10.9.0.2/24 dev eth0 && nsenter -t \$pid -n ip link set eth0 up
	H
	chmod +x "$TMP/hook"
	edit "del(.hooks) | .hooks = {createRuntime: [{path: \"$TMP/hook\"}]}" "$(args nc -l -p 7000 -e cat)"
	cat >"$TMP/client.py" <<-'PY'
		import os, socket, sys, time
		for i in range(600):
		    try: s = socket.create_connection(("10.9.0.2", 7000), 1); break
		    except OSError: time.sleep(.05)
		s.setsockopt(6, 1, 1); s.settimeout(60)
		n = 0; after = 100 # replies that it wants once it was restored
		while after:
		    m = b"%16d" % n; s.sendall(m); r = b""
		    while len(r) < 16:
		        d = s.recv(16 - len(r))
		        if not d: sys.exit("closed at %d" % n)
		        r += d
		    assert r == m, (r, m)
		    n += 1; time.sleep(.002)
		    if n == 1: open(sys.argv[1], "w").write("up")
		    if os.path.exists(sys.argv[2]): after -= 1
	PY
	begins
	ip netns exec "davit-$ID" python3 "$TMP/client.py" "$TMP/up" "$TMP/restored" 2>"$TMP/client.err" 3>&- &
	local client=$!
	retry test -s "$TMP/up"
	ip -n "davit-$ID" link set "$host" down
	saved --tcp-established
	# What the client sends again must not arrive before there is a socket for it.
	touch "$TMP/restoring"
	back --tcp-established
	ip -n "davit-$ID" link set "$host" up
	touch "$TMP/restored"
	wait $client || { cat "$TMP/client.err"; return 1; }
}

@test "with tcp-close an established connection is restored as a closed one" {
	tool obstacle
	edit "$(args sh -c "(exec obstacle tcp 1) & $COUNTER")"
	begins
	retry grep -q ready "$TMP/out"
	saved --tcp-close
	retry is stopped
	back --tcp-close
	counts_on
	[ -z "$(awk '$4 == "01"' "/proc/$(init)/net/tcp")" ]
}

@test "what holds no images is refused and leaves nothing" {
	edit "$(args true)"
	mkdir "$IMG"
	run back
	[ "$status" = 1 ]
	[[ $output == *"holds no images"* ]]
	gone
	IMG=$TMP/nowhere
	run back
	[ "$status" = 1 ]
	[[ $output == *"No such file"* ]]
	gone
}

@test "damaged images are refused and leave nothing" {
	counter
	saved
	retry is stopped
	local image
	for image in inventory.img pstree.img core-1.img cgroup.img mountpoints-*.img descriptors.json clock.pb; do
		for image in "$IMG"/$image; do
			cp "$image" "$TMP/whole"
			head -c 7 "$TMP/whole" >"$image"
			run back
			echo "$image: $output"
			[ "$status" = 1 ]
			[ -n "$output" ]
			gone
			cp "$TMP/whole" "$image"
		done
	done
	back
	counts_on
}

@test "a bundle without the user namespace of the images is refused" {
	counter
	saved
	edit 'del(.linux.namespaces[] | select(.type == "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	run back
	[ "$status" = 1 ]
	[[ $output == *"linux.uidMappings"* ]]
	gone
}

@test "wrong options are refused with their names" {
	counter
	for option in --ids=5 --ids=1:0 --offset-monotonic=x --offset-boottime=99999999999999999999 --manage-cgroups-mode=none --empty-ns=pid; do
		run back "$option"
		echo "$option: $output"
		[ "$status" != 0 ]
		[[ $output == *"${option%%=*}"* || $output == *"$(sed 's/^--//; s/=.*//' <<<"$option")"* ]]
	done
}

@test "a terminal is given back to a console socket" {
	edit '.process.terminal = true' "$(args sh -c 'i=0; while :; do i=$((i + 1)); echo tick $i; sleep 0.05; done')"
	local n
	for n in one two; do
		python3 "$BATS_TEST_DIRNAME/../lib/receive_console.py" "$TMP/$n.sock" "$TMP/$n.out" 3>&- &
		later kill $!
		retry test -S "$TMP/$n.sock"
	done
	dr create --bundle "$BUNDLE" --console-socket "$TMP/one.sock" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	dr start "$ID"
	retry grep -q 'tick 3' "$TMP/one.out"
	saved
	back --console-socket "$TMP/two.sock"
	retry grep -q tick "$TMP/two.out"
	[ "$(readlink "/proc/$(init)/fd/1")" = /dev/pts/0 ]
}

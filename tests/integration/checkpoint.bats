#!/usr/bin/env bats
# Checkpoints and restores: what a container is stays as it was.
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
ns() { readlink "/proc/$(init)/ns/$1"; }

@test "a container with all eight namespaces goes on where it stopped" {
	counter
	saved
	retry is stopped
	local from
	from=$(number)
	back
	is running
	counts_on
	[ "$(number)" -gt "$from" ]
	[ "$(number)" -lt $((from + 200)) ] # it did not begin anew, nor run meanwhile
	for kind in user mnt pid net uts ipc cgroup time; do
		[ "$(ns $kind)" != "$(readlink /proc/self/ns/$kind)" ]
	done
}

@test "restored processes are in the container's cgroup, which is the root of their cgroup namespace" {
	counter
	saved
	back
	grep -q "/davit-test/$ID\$" "/proc/$(init)/cgroup"
	[ "$(dr exec "$ID" cat /proc/1/cgroup | cut -d: -f3 | sort -u)" = / ]
	[ "$(stat -Lc %i "/proc/$(init)/ns/user")" = "$(python3 -c 'import fcntl, os, sys
print(os.fstat(fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0xb701)).st_ino)' "/proc/$(init)/ns/cgroup")" ]
}

@test "masked and read-only paths, devices and mounts are there again" {
	mkdir "$TMP/volume"
	echo data >"$TMP/volume/file"
	edit "$(mount_at /data bind "$TMP/volume" bind ro)"
	mkdir -p "$BUNDLE/rootfs/data"
	counter
	local before
	before=$(dr exec "$ID" sh -c 'cut -d" " -f4-6 /proc/self/mountinfo | sort')
	saved
	back
	diff <(echo "$before") <(dr exec "$ID" sh -c 'cut -d" " -f4-6 /proc/self/mountinfo | sort')
	[ "$(dr exec "$ID" cat /data/file)" = data ]
	run dr exec "$ID" sh -c 'echo no >/data/file; echo no >/proc/sys/kernel/hostname; cat /proc/kcore'
	[ "$status" != 0 ]
	dr exec "$ID" sh -c 'echo gone >/dev/null; head -c 3 /dev/urandom' | wc -c | grep -q 3
}

@test "a fresh root filesystem gets the places of its mounts" {
	echo data >"$TMP/file"
	edit "$(mount_at /some/where/file bind "$TMP/file" bind)"
	chmod 1777 "$BUNDLE/rootfs"
	mkdir -p "$BUNDLE/rootfs/some/where"
	: >"$BUNDLE/rootfs/some/where/file"
	counter
	saved
	retry is stopped
	rm -rf "$BUNDLE/rootfs/some"
	rmdir "$BUNDLE/rootfs/proc"
	back
	counts_on
	[ "$(dr exec "$ID" cat /some/where/file)" = data ]
}

@test "leave-running lets the container go on" {
	counter
	saved --leave-running
	is running
	counts_on
	saved --leave-running # and again
	counts_on
}

@test "a paused container can be saved and stays paused" {
	counter
	dr pause "$ID"
	saved --leave-running
	is paused
	local from
	from=$(number)
	back # of the same moment
	counts_on
	[ "$(number)" -lt $((from + 200)) ]
}

@test "a restored container can be saved again" {
	counter
	for _ in 1 2 3; do
		saved
		back
		counts_on
	done
}

@test "a tree of processes keeps its pipes, sessions and numbers" {
	edit "$(args sh -c 'while :; do echo x; sleep 0.02; done | while read -r x; do i=$((i + 1)); echo $i; done | while read -r n; do echo $n >/tmp/n.new; mv /tmp/n.new /tmp/n; done')"
	begins
	retry above 3
	tree() { dr exec "$ID" ps -o pid,ppid,pgid,sid,comm | sort -n | head -5; } # its four shells: what they run has higher numbers, and changes
	local before
	before=$(tree)
	saved
	back
	diff <(echo "$before") <(tree)
	counts_on
}

@test "stdout that is a pipe goes on in the pipe that the restore is given" {
	edit "$(args sh -c 'while :; do echo line; sleep 0.02; done')"
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null > >(cat >"$TMP/one.out" 3>&-) 2>&1
	dr start "$ID"
	retry grep -q line "$TMP/one.out"
	saved
	[ "$(jq -r '.[1][0:6]' "$IMG/descriptors.json")" = 'pipe:[' ]
	dr delete "$ID"
	dr restore --detach --bundle "$BUNDLE" --pid-file "$TMP/pid" --image-path "$IMG" "$ID" </dev/null > >(cat >"$TMP/two.out" 3>&-) 2>"$TMP/error"
	retry grep -q line "$TMP/two.out"
	dr exec "$ID" sh -c 'echo by-path >/proc/1/fd/1'
	retry grep -q by-path "$TMP/two.out"
}

@test "a container without a user namespace is saved and restored" {
	edit 'del(.linux.namespaces[] | select(.type == "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	counter
	saved
	back
	counts_on
	grep -q "/davit-test/$ID\$" "/proc/$(init)/cgroup"
}

@test "a network namespace joined by path is joined again" {
	ip netns add "davit-$ID"
	later ip netns del "davit-$ID"
	edit 'del(.linux.namespaces[] | select(.type == "user")) | del(.linux.uidMappings, .linux.gidMappings)' \
		"(.linux.namespaces[] | select(.type == \"network\")).path = \"/run/netns/davit-$ID\""
	counter
	saved
	back
	counts_on
	[ "$(stat -Lc %i "/proc/$(init)/ns/net")" = "$(stat -Lc %i "/run/netns/davit-$ID")" ]
}

@test "the user namespace can get another range of ids" {
	counter
	saved
	chmod 755 "$TMP" "$BUNDLE"
	chown -hR 200000:200000 "$BUNDLE/rootfs"
	edit '.linux.uidMappings[0].hostID = 200000 | .linux.gidMappings[0].hostID = 200000'
	back
	counts_on
	[ "$(tr -s ' ' <"/proc/$(init)/uid_map")" = " 0 200000 65536" ]
	[ "$(stat -c %u "/proc/$(init)")" = 200000 ]
}

@test "images are readable by the container's root and hold no clocks for criu to set" {
	counter
	saved
	[ "$(stat -c %a "$IMG")" = 755 ]
	[ ! -e "$IMG/timens-0.img" ]
	[ -s "$IMG/clock.pb" ]
}

@test "memory pages go to a page server, past the images' folder" {
	edit "$(args sh -c "x=\$(seq 400000); $COUNTER")"
	begins
	retry above 0
	mkdir "$TMP/there"
	cat >"$TMP/pages.py" <<-'PY'
		import os, socket, subprocess, sys
		runtime, root, criu, image, there, name = sys.argv[1:]
		a, b = socket.socketpair()
		server = subprocess.Popen([criu, "page-server", "-D", there, "--ps-socket", str(b.fileno())], pass_fds=[b.fileno()])
		b.close()
		subprocess.run([runtime, "--root", root, "checkpoint", "--image-path", image, "--page-server-fd", str(a.fileno()), name], pass_fds=[a.fileno()], check=True)
		a.close()
		sys.exit(server.wait(10))
	PY
	local criu
	for criu in /usr/lib/davit/criu/sbin/criu /usr/sbin/criu; do [ -x "$criu" ] && break; done
	python3 "$TMP/pages.py" "$BIN/davit-runtime" "$STATE" "$criu" "$IMG" "$TMP/there" "$ID"
	[ -z "$(find "$IMG" -name 'pages-*.img')" ]
	[ "$(du -bc "$TMP"/there/pages-*.img | tail -1 | cut -f1)" -gt 2500000 ]
	mv "$TMP"/there/*.img "$IMG"/
	back
	counts_on
}

@test "an inotify watch on an overlay root is found again" {
	tool obstacle
	mkdir -p "$BUNDLE/lower" "$TMP/layer/upper" "$TMP/layer/work" "$BUNDLE/rootfs/srv/deep/folder"
	chmod 755 "$TMP/layer" "$TMP/layer/upper"
	rm -rf "$BUNDLE/lower"
	mv "$BUNDLE/rootfs" "$BUNDLE/lower"
	mkdir "$BUNDLE/rootfs"
	mount -t overlay overlay -o "lowerdir=$BUNDLE/lower,upperdir=$TMP/layer/upper,workdir=$TMP/layer/work" "$BUNDLE/rootfs"
	LATER=("umount -l $(printf %q "$BUNDLE/rootfs")" "${LATER[@]}") # last of all
	edit "$(args sh -c "(exec obstacle inotify /srv/deep/folder) & $COUNTER")"
	begins
	retry grep -q ready "$TMP/out"
	watch() { grep -h ^inotify /proc/"$(pgrep -P "$(init)" obstacle)"/fdinfo/* | cut -d' ' -f2-4; }
	local before
	before=$(watch)
	saved
	back
	[ "$(watch)" = "$before" ]
	counts_on
}

@test "only a running or paused container can be saved" {
	edit "$(args true)"
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	run saved
	[ "$status" = 1 ]
	[[ $output == *"is created: only a running or paused one"* ]]
	dr start "$ID"
	retry is stopped
	run saved
	[[ $output == *"is stopped: only a running or paused one"* ]]
	[ ! -e "$IMG" ]
}

@test "pages go to a page server at an address, as runc's option has it" {
	writable
	edit "$(args sh -c "x=\$(head -c 2000000 /dev/zero | tr '\\0' x); $COUNTER")"
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
	mkdir -p "$TMP/there" "$IMG"
	local criu port=$((20000 + RANDOM % 20000))
	for criu in /usr/lib/davit/criu/sbin/criu /usr/sbin/criu; do [ -x "$criu" ] && break; done
	"$criu" page-server --images-dir "$TMP/there" --address 127.0.0.1 --port $port >/dev/null 2>&1 &
	local server=$!
	retry grep -q "$(printf ':%04X 00000000:0000 0A' $port)" /proc/net/tcp
	saved --page-server 127.0.0.1:$port
	wait $server
	[ -z "$(find "$IMG" -name 'pages-*.img')" ]
	mv "$TMP"/there/*.img "$IMG"/
	back
	counts_on
}

@test "lazy pages are told ready on the status descriptor, and served at the address" {
	writable
	edit "$(args sh -c "$COUNTER")"
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
	local criu port=$((20000 + RANDOM % 20000)) from
	for criu in /usr/lib/davit/criu/sbin/criu /usr/sbin/criu; do [ -x "$criu" ] && break; done
	mkfifo "$TMP/status"
	saved --lazy-pages --page-server 127.0.0.1:$port --status-fd 9 9<>"$TMP/status" >"$TMP/dumped" 2>&1 &
	local dump=$!
	timeout 60 head -c 1 "$TMP/status" >"$TMP/byte" || { cat "$TMP/dumped"; false; }
	from=$(number)
	# criu's page server puts what it serves into a pipe that this limit lets it size; without, it ends, and criu's restore with it hangs.
	if [ "$(cat /proc/sys/fs/pipe-max-size)" -lt 4194304 ]; then
		: <>"/dev/tcp/127.0.0.1/$port" # who connects and wants nothing ends the dump
		wait $dump || true
		skip "fs.pipe-max-size is below 4 MiB: the restored half is not shown"
	fi
	# Where the dump left it the memory is fetched from, by criu's own daemon.
	mkdir -p "$TMP/lazy"
	"$criu" lazy-pages --images-dir "$IMG" --work-dir "$TMP/lazy" --page-server --address 127.0.0.1 --port $port --daemon >/dev/null 2>&1 ||
		{ kill $dump; skip "criu's lazy-pages daemon does not work here"; }
	edit ".linux.cgroupsPath = \"/davit-test/$ID/again\""
	dr restore --detach --bundle "$BUNDLE" --pid-file "$TMP/pid2" --image-path "$IMG" --work-path "$TMP/lazy" --lazy-pages "$ID-again" </dev/null >>"$TMP/out" 2>"$TMP/error" ||
		{
			cat "$TMP/error"
			kill $dump
			grep -q 'userfaultfd descriptor: Operation not permitted' "$TMP/error" || false
			skip "root may not make a userfaultfd here: the restored half is not shown"
		}
	retry above "$from"
	# The dump ends when the last page has been fetched.
	retry ended $dump
	retry is stopped
	above "$from"
}

@test "a pre-dump lets the container go on and is the parent of the checkpoint, where the kernel tracks memory" {
	writable
	edit "$(args sh -c "x=\$(head -c 2000000 /dev/zero | tr '\\0' x); $COUNTER")"
	begins
	retry test -s "$BUNDLE/rootfs/tmp/n"
	run saved --pre-dump
	if [ "$status" != 0 ]; then
		[ "$status" = 1 ]
		[[ $output == *"does not track written memory"*"checkpoint without them"* ]]
		counts_on
		return 0
	fi
	counts_on
	IMG=$TMP/second
	saved --parent-path ../img --auto-dedup
	[ "$(du -bc "$IMG"/pages-*.img | tail -1 | cut -f1)" -lt 2000000 ]
	back
	counts_on
}

@test "criu takes its options from the file that the annotation names" {
	printf 'log-file named-by-the-file.log\n' >"$TMP/criu.conf"
	edit ".annotations[\"org.criu.config\"] = \"$TMP/criu.conf\""
	counter
	saved --leave-running --work-path "$TMP/work"
	[ -e "$TMP/work/named-by-the-file.log" ]
	rm -rf "$TMP/images"
	rm "$TMP/criu.conf"
	run saved --leave-running
	[ "$status" = 1 ]
	[[ $output == *org.criu.config*criu.conf* ]]
	counts_on
}

@test "wrong options of checkpoint are refused with their names, before the container is touched" {
	writable
	edit "$(args sh -c "$COUNTER")"
	begins
	local option
	for option in --manage-cgroups-mode=none --empty-ns=pid --page-server=host --page-server=:1 --status-fd=77 --page-server-fd=77 --lazy-pages; do
		run saved "$option"
		echo "$option: $output"
		[ "$status" = 1 ]
		[[ $output == *"$(sed 's/^--//; s/=.*//' <<<"$option")"* ]]
	done
	run saved --parent-path /somewhere
	[[ $output == *parent-path*"is absolute"* ]]
	run saved --parent-path ../nowhere
	[[ $output == *parent-path*"there is no ../nowhere"* ]]
	counts_on
}

#!/usr/bin/env bats
# The supervisor of system calls: what it does for a container, what it refuses, and what becomes of it.
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup "$DAVIT_BUILD/tools/turncoat=/bin/turncoat"
	LOG=$TMP/log
	policy '{mknod: ["c 1:*", "c 5:2"], mount: ["tmpfs", "mqueue", "overlay"], sysctl: ["net.", "kernel.shmmax"]}'
}
teardown() { common_teardown; }

rt() { "$BIN/davit-runtime" --root "$TMP/state" --log "$LOG" --log-format json --policy "$TMP/policy.json" "$@"; }
policy() { jq -n "{seccompSupervisor: $1}" >"$TMP/policy.json"; }
supervise() { config ".annotations[\"org.davit.supervise\"] = ($1 | @json)"; }
userns() {
	config '.linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}] | .linux.gidMappings = .linux.uidMappings'
	chmod 755 "$TMP"
	chown -R 100000:100000 "$TMP/bundle/rootfs"
}
script() { args sh -c "$1"; }
audited() { jq -es "map(select(.msg == \"supervised call\" and ($1))) | length > 0" "$LOG" >/dev/null; }
supervisors() { pgrep -x davit-supervise -g 0 2>/dev/null; }

@test "mknod of a listed device works, of another is EPERM, and each leaves a line" {
	supervise '{mknod: ["c 1:3"]}'
	script 'mknod -m 666 /null c 1 3; echo "listed $?"; ls -l /null; echo x >/null && echo usable; mknod /zero c 1 5; echo "other $?"; mknod /fifo p; echo "fifo $?"; cd /tmp && mknod rel c 1 3 && ls rel; mknod /no/where c 1 3'
	run run_one
	echo "$output"; cat "$LOG"
	[[ $output == *"listed 0"*"1,   3"*usable*"other 1"*"fifo 0"*rel*"No such file"* ]]
	audited '.call == "mknod" and .decision == "done" and .arguments.path == "/null" and .arguments.device == "c 1:3" and .container == "one"'
	audited '.decision == "denied" and .arguments.device == "c 1:5"'
	audited '.decision == "failed" and .arguments.path == "/no/where" and .errno == 2'
}

@test "with a user namespace a device is the container's, on its root and bound elsewhere" {
	userns
	supervise '{mknod: ["c 1:*"]}'
	script 'mknod /null c 1 3; echo "root $?"; ls -ln /null; echo x >/null && echo usable; mknod -m 600 /dev/again c 1 5; echo "dev $?"; head -c 3 /dev/again | od -An -tx1; ls -ln /dev/again; mknod /dev/again c 1 5; mknod /tmp/x b 8 0; echo "disk $?"'
	run run_one
	echo "$output"; cat "$LOG"
	[[ $output == *"root 0"*" 0 "*usable*"dev 0"*"00 00 00"*"File exists"*"disk 1"* ]]
}

@test "a listed type is mounted, without a capability and with what the caller gave; another is EPERM" {
	for with in userns true; do
		$with
		supervise '{mount: ["tmpfs", "mqueue"]}'
		script 'mkdir /m; mount -t tmpfs -o size=1m,mode=750,nosuid,noexec none /m; echo "tmpfs $?"; stat -c "%a %u" /m; grep " /m " /proc/self/mountinfo; echo x >/m/x && cat /m/x; mkdir /q; mount -t mqueue none /q; echo "mqueue $?"; mount -t proc none /tmp; echo "proc $?"; mount -t tmpfs none /proc/sys; echo "over $?"; mount -o bind / /tmp; echo "bind $?"; mount -t tmpfs -o bogus none /tmp; echo "bogus $?"; umount /m; echo "umount $?"'
		run run_one
		echo "$output"; cat "$LOG"
		[[ $output == *"tmpfs 0"*"750 0"*"nosuid,nodev,noexec"*"size=1024k"*x*"mqueue 0"*"proc 1"*"over 1"*"bind 1"*"bogus 255"*"umount 1"* ]]
		audited '.call == "mount" and .decision == "done" and .arguments.type == "tmpfs" and .arguments.target == "/m" and .arguments.data == "size=1m,mode=750"'
		audited '.decision == "denied" and .arguments.type == "proc"'
		rm -rf "$TMP/bundle/rootfs/"{m,q}
	done
}

@test "an overlay is mounted by the container's own rights over its user namespace" {
	userns
	supervise '{mount: ["tmpfs", "overlay"]}'
	script 'mkdir /t /o; mount -t tmpfs none /t; mkdir /t/u /t/w; mount -t overlay -o lowerdir=/etc,upperdir=/t/u,workdir=/t/w,userxattr none /o; echo "overlay $?"; echo x >/o/new; ls /o /t/u'
	run run_one
	echo "$output"
	[[ $output == *"overlay 0"*new*passwd*new* ]]
}

@test "a listed setting of the container's own namespaces is written, others are read-only as ever" {
	for with in true userns; do
		$with
		[ $with = true ] || config '.process.capabilities[] += ["CAP_NET_ADMIN"]' # the kernel judges the writer
		supervise '{sysctl: ["net.ipv4.ip_nonlocal_bind", "net.ipv4.conf.", "kernel.shmmax"]}'
		script 'echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo "listed $?"; cat /proc/sys/net/ipv4/ip_nonlocal_bind; echo 2 >/proc/sys/net/ipv4/conf/lo/rp_filter; cat /proc/sys/net/ipv4/conf/lo/rp_filter; echo 12345 >/proc/sys/kernel/shmmax; cat /proc/sys/kernel/shmmax; echo 1 >/proc/sys/net/ipv4/ip_forward; echo "other $?"; echo 1 >/proc/sys/net/ipv4/conf/../ip_forward; echo "dots $?"; echo 7 >/tmp/file && cat /tmp/file'
		before=$(cat /proc/sys/kernel/shmmax)
		run run_one
		echo "$output"; cat "$LOG"
		[[ $output == *"listed 0"$'\n'"1"$'\n'"2"$'\n'"12345"*"other 1"*"dots 1"*7 ]]
		[ "$(cat /proc/sys/kernel/shmmax)" = "$before" ]
		audited '.call == "open" and .decision == "done" and .arguments.sysctl == "net.ipv4.ip_nonlocal_bind"'
	done
}

@test "what was judged is what is done, whatever another thread writes over the arguments meanwhile" {
	supervise '{mount: ["tmpfs"], sysctl: ["kernel.shmmax"]}'
	args /bin/turncoat
	run run_one
	echo "$output"
	[ "$status" = 0 ]
	[[ $output =~ ^([0-9]+)" mounts, "([0-9]+)" opens, 0 wrong" ]]
	[ "${BASH_REMATCH[1]}" -gt 0 ]
	[ "${BASH_REMATCH[2]}" -gt 0 ]
	! audited '.decision == "done" and (.arguments.type == "proc" or .arguments.sysctl == "kernel.panic")'
}

@test "only the container's root is served, in its own namespaces" {
	supervise '{mknod: ["c 1:3"], mount: ["tmpfs"], sysctl: ["net.ipv4.ip_nonlocal_bind"]}'
	config '.process.user = {uid: 1000, gid: 1000}'
	script 'mknod /tmp/null c 1 3; echo "mknod $?"; mount -t tmpfs none /tmp; echo "mount $?"; echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo "sysctl $?"; echo x >/tmp/x && cat /tmp/x'
	run run_one
	echo "$output"
	[[ $output == *"mknod 1"*"mount 1"*"sysctl 1"*x* ]]
	audited '.decision == "denied" and .call == "mknod"'
}

@test "the caller's file permissions hold: a folder of another user is closed to its mknod" {
	userns
	mkdir -m 700 "$TMP/bundle/rootfs/theirs"
	chown 101000:101000 "$TMP/bundle/rootfs/theirs"
	mkdir "$TMP/bundle/rootfs/hosts" # not mapped inside
	supervise '{mknod: ["c 1:3"]}'
	script 'mknod /theirs/null c 1 3; echo "theirs $?"; mknod /hosts/null c 1 3; echo "hosts $?"; umask 027; mknod -m 666 /tmp/a c 1 3; mknod /tmp/b c 1 3; stat -c %a /tmp/b'
	run run_one
	echo "$output"
	[[ $output == *"theirs 1"*"hosts 1"*640* ]]
	[ -z "$(ls -A "$TMP/bundle/rootfs/theirs" "$TMP/bundle/rootfs/hosts" | grep null)" ]
}

@test "links lead a supervised call nowhere but to the container's own files" {
	mkdir "$TMP/host"
	supervise '{mknod: ["c 1:3"], mount: ["tmpfs"]}'
	ln -s "../../../../../../../../..$TMP/host" "$TMP/bundle/rootfs/up"
	ln -s "$TMP/host" "$TMP/bundle/rootfs/absolute"
	script "mknod /up/null c 1 3; mknod /absolute/null c 1 3; cd /tmp; mknod ../../../../../../..$TMP/host/null c 1 3; mount -t tmpfs none /up; mount -t tmpfs none /proc/1/root/tmp; echo \"magic \$?\"; mkdir -p $TMP/host; mknod /up/null c 1 3; echo \"inside \$?\""
	run run_one
	echo "$output"
	[[ $output == *"magic 255"*"inside 0"* ]]
	[ -z "$(ls -A "$TMP/host")" ]
	[ -c "$TMP/bundle/rootfs$TMP/host/null" ]
	! grep -q "$TMP/host" /proc/self/mountinfo
}

@test "the host's policy decides, not the annotation" {
	policy '{mknod: ["c 1:3"]}'
	for asked in '{mknod: ["c 1:5"]}' '{mount: ["tmpfs"]}' '{sysctl: ["net.ipv4.ip_nonlocal_bind"]}'; do
		supervise "$asked"
		script true
		run run_one
		echo "$output"
		[ "$status" = 1 ]
		[[ $output == *"policy"*"seccompSupervisor"* ]]
	done
	rm "$TMP/policy.json"
	supervise '{mknod: ["c 1:3"]}'
	run run_one
	[ "$status" = 1 ]
	policy '{mknod: ["c 1:3"]}'
	chmod 666 "$TMP/policy.json"
	run run_one
	[[ $status = 1 && $output == *"nobody else can write"* ]]
}

@test "what cannot be asked for is refused by name" {
	script true
	local asked
	for asked in '{mknod: ["x 1:3"]}' '{mknod: ["c 1"]}' '{mknod: ["c 9999:1"]}' '{mount: ["ext4"]}' '{mount: ["proc"]}' '{mount: ["overlay"]}' '{sysctl: ["kernel.core_pattern"]}' \
		'{sysctl: ["net/../kernel"]}' '{sysctl: ["vm."]}' '{mknods: ["c 1:3"]}' '"text"'; do
		supervise "$asked"
		run run_one
		echo "$asked: $output"
		[[ $status = 1 && $output == *org.davit.supervise* ]]
	done
	supervise '{sysctl: ["net.ipv4.ip_nonlocal_bind"]}'
	config '.linux.namespaces |= map(select(.type != "network"))'
	run run_one
	[[ $status = 1 && $output == *namespace* ]]
}

supervisors() { # their pids
	local p
	for p in $(pgrep -x davit-supervise); do grep -qs "$TMP" "/proc/$p/cmdline" && echo "$p"; done
	return 0
}
none_left() { [ -z "$(supervisors)" ]; }
begin() { # SCRIPT: runs it in the background
	script "$1"
	start_one
}

@test "a container whose supervisor died gets ENOSYS, and does not wait" {
	supervise '{mknod: ["c 1:3"], sysctl: ["kernel.shmmax"]}'
	begin 'until [ -e /go ]; do sleep 0.05; done; mknod /null c 1 3; echo "mknod $?"; echo x >/tmp/x; echo "open $?"; exec sleep 1000'
	[ "$(supervisors | wc -l)" = 1 ]
	kill -9 "$(supervisors)"
	retry none_left
	touch "$TMP/bundle/rootfs/go"
	retry grep -q "open" "$TMP/out"
	cat "$TMP/out"
	grep -q "mknod: /null: Function not implemented" "$TMP/out"
}

@test "the supervisor ends with its container, is none of its processes, and holds little" {
	supervise '{mknod: ["c 1:3"]}'
	begin 'exec sleep 1000'
	local pid
	pid=$(supervisors)
	[ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ] || sanitized
	[ "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$pid/status")" = 1 ]
	[ "$(awk '/^CapBnd:/ { print $2 }' "/proc/$pid/status")" = 00000000082c00c0 ]
	! grep -qx "$pid" "$(cgroup_dir pids)/cgroup.procs"
	[ "$(find "/proc/$pid/fd" -type l | wc -l)" -le 10 ]
	rt kill one KILL
	retry none_left
}

@test "a program that exec puts in has a supervisor of its own" {
	supervise '{mknod: ["c 1:3"]}'
	begin 'exec sleep 1000'
	run rt exec one sh -c 'mknod /tmp/null c 1 3; echo "exec $?"; ls /tmp'
	echo "$output"
	[[ $output == *"exec 0"*null* ]]
	retry [ "$(supervisors | wc -l)" = 1 ]
	kill -9 "$(supervisors)"
	run rt exec one mknod /tmp/again c 1 3
	[ "$status" = 0 ]
}

@test "calls from many processes at once are all answered" {
	supervise '{mknod: ["c 1:3"], mount: ["tmpfs"], sysctl: ["kernel.shmmax"]}'
	script 'for i in $(seq 20); do (mknod /tmp/n$i c 1 3; mkdir /tmp/d$i; mount -t tmpfs none /tmp/d$i; echo $i >/proc/sys/kernel/shmmax; echo x >/tmp/d$i/x) & done; wait; ls /tmp/d*/x | wc -l; ls -l /tmp/n* | grep -c "1,   3"'
	run run_one
	echo "$output"
	[[ $output == *20*20 ]]
}

@test "a filter has one listener, and a profile with rules for open no supervisor for settings" {
	script true
	supervise '{mknod: ["c 1:3"]}'
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/none", syscalls: [{names: ["getcwd"], action: "SCMP_ACT_NOTIFY"}]}'
	run run_one
	[[ $status = 1 && $output == *"one listener"* ]]
	supervise '{sysctl: ["net."]}'
	config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["openat"], action: "SCMP_ACT_ERRNO", args: [{index: 2, value: 1, op: "SCMP_CMP_EQ"}]}]}'
	run run_one
	[[ $status = 1 && $output == *openat* ]]
}

@test "without a profile the supervised calls alone are filtered" {
	supervise '{mknod: ["c 1:3"]}'
	config 'del(.linux.seccomp)'
	script 'mknod /null c 1 3 && echo made; unshare -U true && echo free'
	run run_one
	[[ $output == *made*free* ]]
}

@test "a supervised container is not checkpointed, and the reason is told before it is stopped" {
	supervise '{mknod: ["c 1:3"]}'
	begin 'exec sleep 1000'
	run rt checkpoint --image-path "$TMP/images" one
	echo "$output"
	[[ $status = 1 && $output == *"answered by a process outside"*"--supervise"* ]]
	status_is running
}

#!/usr/bin/env bats
# Root, mounts, masked and read-only paths, and images that try to lead mounts out of the root.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle
	ROOT=$BUNDLE/rootfs
}
teardown() { common_teardown; }

# options_of PATH: mount options inside, from the output of cat /proc/self/mountinfo in $output
options_of() { awk -v p="$1" '$5 == p { o = $6 } END { print o }' <<<"$output"; }

@test "the root is pivoted into: nothing of the host is mounted or reachable" {
	runs 'cat /proc/self/mountinfo; ls /; cd /; cd ../../..; ls -d work home usr 2>&1'
	[[ $(awk 'NR == 1 { print $5 }' <<<"$output") = / ]]
	! grep -qE ' /(run|home|tmp|var)[ /]' <<<"$output"
	! grep -q '^work$' <<<"$output"
}

@test "a read-only root refuses writes, a writable one takes them" {
	runs 'echo x >/tmp/x; echo $?'
	[[ $output == *"Read-only file system"* ]]
	edit '.root.readonly = false'
	runs 'echo x >/tmp/x && cat /tmp/x'
	[ "$output" = x ]
}

@test "bind mounts take their options, and the source stays as it is" {
	mkdir "$TMP/src"
	echo hello >"$TMP/src/f"
	edit "$(mount_at /data bind "$TMP/src" bind ro nosuid nodev noexec noatime)" "$(mount_at /file bind "$TMP/src/f" bind rw)" '.root.readonly = false'
	runs 'cat /data/f /file; echo x >/data/y; echo more >>/file; cat /proc/self/mountinfo'
	[ "${lines[0]}" = hello ] && [ "${lines[1]}" = hello ]
	[[ $output == *"Read-only file system"* ]]
	[ "$(options_of /data)" = ro,nosuid,nodev,noexec,noatime ]
	[ "$(cat "$TMP/src/f")" = "$(printf 'hello\nmore')" ]
}

@test "rbind brings what is mounted below, and rro makes all of it read-only" {
	mkdir -p "$TMP/src/sub"
	mount -t tmpfs sub "$TMP/src/sub"
	later umount "$TMP/src/sub"
	touch "$TMP/src/sub/there"
	edit "$(mount_at /r bind "$TMP/src" rbind rro)" "$(mount_at /p bind "$TMP/src" bind)" '.root.readonly = false'
	runs 'ls /r/sub; echo "below /p: $(ls /p/sub)"; touch /r/sub/x; cat /proc/self/mountinfo'
	[ "${lines[0]}" = there ] && [ "${lines[1]}" = "below /p: " ]
	[[ $output == *"touch: /r/sub/x: Read-only file system"* ]]
	touch "$TMP/src/sub/writable"
}

@test "a relative source starts from the bundle" {
	mkdir "$BUNDLE/local"
	touch "$BUNDLE/local/here"
	edit "$(mount_at /l bind local bind)" '.root.readonly = false'
	runs 'ls /l'
	[ "$output" = here ]
}

@test "a relative destination starts at the root of the container" {
	edit "$(mount_at t/inner tmpfs tmpfs size=1m)" '.root.readonly = false' '.process.cwd = "/tmp"'
	runs 'grep -c " /t/inner tmpfs " /proc/mounts'
	[ "$output" = 1 ]
}

@test "a tmpfs has its size and mode, also a read-only one with something mounted in it" {
	touch "$TMP/inner"
	edit "$(mount_at /t tmpfs tmpfs size=1m mode=0700)" "$(mount_at /ro tmpfs tmpfs ro)" "$(mount_at /ro/inner bind "$TMP/inner" bind)" '.root.readonly = false'
	runs 'df -k /t | tail -1; stat -c %a /t; touch /ro/x; ls /ro; dd if=/dev/zero of=/t/f bs=1k count=2048'
	[[ ${lines[0]} == *" 1024 "* ]]
	[ "${lines[1]}" = 700 ]
	[[ $output == *"/ro/x: Read-only file system"* && $output == *inner* && $output == *"No space left"* ]]
}

@test "a remount changes what it names of a mount before it, and is refused where there is none" {
	edit "$(mount_at /t tmpfs tmpfs size=1m nodev)" "$(mount_at /t tmpfs tmpfs remount size=2m noexec)" "$(mount_at /t none none remount bind ro size=3m)" '.root.readonly = false'
	runs 'grep " /t " /proc/mounts'
	[[ $output == *ro,*nodev,noexec*size=2048k* ]]
	edit '.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["remount"]}]'
	runs true
	[ "$status" = 1 ]
	[[ $output == *"mounts["*"(/tmp): nothing is mounted there"* ]]
}

@test "tmpcopyup starts a tmpfs with what it hides, owners, modes and links included" {
	mkdir -p "$ROOT/seed/dir"
	echo text >"$ROOT/seed/dir/f"
	chmod 640 "$ROOT/seed/dir/f"
	chown 7:8 "$ROOT/seed/dir/f"
	ln -s dir/f "$ROOT/seed/l"
	edit "$(mount_at /seed tmpfs tmpfs tmpcopyup)"
	runs 'cat /seed/l; stat -c %a:%u:%g /seed/dir/f; touch /seed/new && echo writable'
	[ "${lines[0]}" = text ] && [ "${lines[1]}" = 640:7:8 ] && [ "${lines[2]}" = writable ]
	[ ! -e "$ROOT/seed/new" ]
}

@test "masked files are empty, masked folders are empty and read-only, missing ones are no error" {
	mkdir "$ROOT/secret"
	echo key >"$ROOT/secret/key"
	echo key >"$ROOT/key"
	edit '.linux.maskedPaths += ["/secret", "/key", "/missing/path"]'
	runs 'ls -A /secret; cat /key; touch /secret/x; cat /proc/keys /proc/timer_list | wc -c'
	[[ $output == *"/secret/x: Read-only file system"* ]]
	[ "${lines[-1]}" = 0 ]
}

@test "read-only paths are readable but not writable" {
	edit '.linux.namespaces -= [{"type": "network"}]'
	edit '.process.capabilities.bounding += ["CAP_SYS_ADMIN"]' '.process.capabilities.effective += ["CAP_SYS_ADMIN"]' '.process.capabilities.permitted += ["CAP_SYS_ADMIN"]'
	runs 'cat /proc/sys/kernel/ostype; echo x >/proc/sys/kernel/hostname; echo x >/proc/sys/kernel/domainname'
	[ "${lines[0]}" = Linux ]
	[ "$(grep -c 'Read-only file system' <<<"$output")" = 2 ]
}

@test "mounts are private by default; a slave root sees later mounts of the host, the host never those of the container" {
	mkdir "$TMP/shared"
	mount -t tmpfs shared "$TMP/shared"
	later umount -l "$TMP/shared"
	mount --make-shared "$TMP/shared"
	mkdir "$TMP/shared"/{a,b}
	edit "$(mount_at /private bind "$TMP/shared" rbind)" "$(mount_at /slave bind "$TMP/shared" rbind rslave)" '.root.readonly = false' "$(args sleep 100)"
	begins
	mount -t tmpfs late "$TMP/shared/a"
	later umount -l "$TMP/shared/a"
	touch "$TMP/shared/a/late"
	[ -z "$(dr exec "$ID" ls /private/a)" ]
	[ "$(dr exec "$ID" ls /slave/a)" = late ]
	grep -q " /slave .*master:" "/proc/$(cat "$TMP/pid")/mountinfo"
	! grep -q " /private .*\(shared\|master\):" "/proc/$(cat "$TMP/pid")/mountinfo"
}

@test "rootfsPropagation is as asked" {
	edit "$(args cat /proc/self/mountinfo)" '.linux.rootfsPropagation = "shared"'
	run dr run --bundle "$BUNDLE" "$ID"
	[[ ${lines[0]} == *" / / "*"shared:"* || ${lines[0]} == *shared:* ]]
	edit '.linux.rootfsPropagation = "private"'
	run dr run --bundle "$BUNDLE" "$ID"
	[[ ${lines[0]} != *shared:* && ${lines[0]} != *master:* ]]
}

@test "an idmapped bind mount shows the mapped owners" {
	mkdir "$TMP/src"
	touch "$TMP/src/f"
	chown 1:2 "$TMP/src/f"
	edit "$(mount_at /m bind "$TMP/src" bind)" '.mounts[-1].uidMappings = [{"containerID": 0, "hostID": 5000, "size": 100}] | .mounts[-1].gidMappings = .mounts[-1].uidMappings' '.root.readonly = false'
	runs 'stat -c %u:%g /m/f'
	[ "$output" = 5001:5002 ]
}

@test "the container's own cgroup is what it sees mounted, read-only" {
	runs 'cat /proc/self/mountinfo; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do [ -e $d/cgroup.procs ] && cat $d/cgroup.procs && mkdir $d/x; done'
	[[ $output == *"Read-only file system"* ]]
	[ -z "$(find /sys/fs/cgroup -path "*/davit-test/$ID/x")" ]
}

@test "a source that is closed to the container's root can be mounted" {
	mkdir -p "$TMP/closed/src"
	echo open >"$TMP/closed/src/f"
	chmod 700 "$TMP/closed"
	edit "$(userns)" "$(mount_at /m bind "$TMP/closed/src" bind ro)" '.root.readonly = true'
	mkdir "$ROOT/m"
	runs 'cat /m/f'
	[ "$output" = open ]
}

# --- images that lie ---

@test "a mount target that is a symbolic link stays inside the root" {
	ln -s /../../../../../../../..$TMP/outside "$ROOT/link"
	ln -s "$TMP/outside" "$ROOT/absolute"
	mkdir "$TMP/outside" "$TMP/src"
	touch "$TMP/src/mounted"
	mkdir -p "$ROOT$TMP/outside"
	edit "$(mount_at /link/a bind "$TMP/src" bind)" "$(mount_at /absolute/b tmpfs tmpfs)" '.root.readonly = false'
	runs 'ls /link/a; cat /proc/self/mountinfo'
	[ "${lines[0]}" = mounted ]
	[ -z "$(ls "$TMP/outside")" ]
	[ -z "$(grep "$TMP/outside" /proc/self/mountinfo)" ]
}

# races A B: another process of the host exchanges them for the rest of the test
races() {
	"$DAVIT_BUILD/tools/race" "$@" 3>&- &
	RACER=$!
	later kill -9 $RACER
}

@test "a folder swapped for a link to the host while mounts are made leads nowhere" {
	mkdir -p "$TMP/volume/x" "$TMP/target"
	ln -s "../../../../../../../..$TMP/target" "$TMP/volume/link"
	edit "$(mount_at /v bind "$TMP/volume" bind)" "$(mount_at /v/x/y tmpfs tmpfs)" '.root.readonly = false' "$(args true)"
	races "$TMP/volume/x" "$TMP/volume/link"
	for _ in $(seq 40); do dr run --bundle "$BUNDLE" "$ID" >/dev/null 2>&1 || true; done
	[ -z "$(ls "$TMP/target")" ]
	! grep -q "$TMP/target" /proc/self/mountinfo
}

@test "masks and read-only paths are on the kernel's files, whoever renames the folders below the mounts meanwhile" {
	mkdir "$ROOT"/{false-proc,false-sys}
	edit '.linux.maskedPaths += ["/sys/kernel/mm"]' "$(args sh -c 'for d in /proc /false-proc; do
		[ -e $d/version ] || continue
		echo mounted
		head -c 1 $d/timer_list | grep -q . && echo "$d/timer_list is open"
		(: >>$d/sys/kernel/core_pattern) 2>/dev/null && echo "$d/sys is open"
	done; for d in /sys /false-sys; do
		[ ! -e $d/kernel ] || [ -z "$(ls $d/kernel/mm)" ] || echo "$d/kernel/mm is open"
	done')"
	races "$ROOT/proc" "$ROOT/false-proc"
	races "$ROOT/sys" "$ROOT/false-sys"
	local seen=0
	for _ in $(seq 20); do
		run dr run --bundle "$BUNDLE" "$ID"
		echo "$output"
		[[ $output != *"is open"* ]]
		[[ $output != *mounted* ]] || seen=$((seen + 1))
	done
	[ $seen -gt 0 ]
}

@test "a mask is the host's null device, whatever takes the place of the container's meanwhile" {
	echo secret >"$ROOT/key"
	mknod -m 666 "$ROOT/dev/null" c 1 3
	echo seen >"$ROOT/other"
	ln -s /other "$ROOT/dev/link"
	edit 'del(.mounts[] | select(.destination | startswith("/dev")))' '.linux.maskedPaths += ["/key"]' "$(args sh -c 'cat /key; echo x >/key')"
	races "$ROOT/dev/null" "$ROOT/dev/link"
	local begun=0
	for _ in $(seq 20); do
		run dr run --bundle "$BUNDLE" "$ID"
		[[ $output != *secret* && $output != *seen* ]] || { echo "$output"; return 1; }
		[ "$status" != 0 ] || begun=$((begun + 1))
	done
	[ "$(cat "$ROOT/other")" = seen ]
	[ $begun -gt 0 ]
}

@test "/dev/console is the terminal, whatever takes the place of the container's devpts meanwhile" {
	mkdir "$ROOT/false-pts" "$ROOT/dev/pts"
	echo file | tee "$ROOT/false-pts/0" >"$ROOT/false-pts/ptmx"
	edit 'del(.mounts[] | select(.destination == "/dev" or .destination == "/dev/shm" or .destination == "/dev/mqueue"))' '.process.terminal = true | .root.readonly = false' \
		"$(args sh -c 'echo "console $(stat -c %t /dev/console)"')"
	races "$ROOT/dev/pts" "$ROOT/false-pts"
	for _ in $(seq 15); do
		run python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=lambda fd: b"")))' \
			"$BIN/davit-runtime" --root "$STATE" run --bundle "$BUNDLE" "$ID"
		echo "$output"
		[[ $output == *"console 88"* || $output == *"davit-runtime: "* ]]
	done
	kill -9 $RACER
	grep -qx file "$ROOT"/{false-pts,dev/pts}/0
}

@test "a link of the image leads no mount into /proc" {
	ln -s /proc/self "$ROOT/data"
	edit "$(mount_at /data/attr tmpfs tmpfs)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"mounts["*"/data/attr"*"leads into the container's /proc"* ]]
	edit 'del(.mounts[-1])' "$(mount_at //proc/self/attr tmpfs tmpfs)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
}

@test "proc and sysfs are not mounted over symbolic links" {
	rmdir "$ROOT/proc"
	mkdir "$ROOT/elsewhere"
	ln -s elsewhere "$ROOT/proc"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"/proc is a symbolic link"* ]]
}

@test "nothing is mounted inside /proc but the files that may be" {
	edit "$(mount_at /proc/self/attr tmpfs tmpfs)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"mounts["*"].destination"*"inside /proc"* ]]
	touch "$TMP/uptime"
	edit 'del(.mounts[-1])' "$(mount_at /proc/uptime bind "$TMP/uptime" bind)"
	runs 'cat /proc/uptime'
	[ -z "$output" ]
}

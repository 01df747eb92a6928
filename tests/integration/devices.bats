#!/usr/bin/env bats
# /dev: default devices, those of the spec, links; with mknod and, in a user namespace, by bind mounts.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle
}
teardown() { common_teardown; }

check_defaults() {
	runs 'for d in null zero full random urandom tty; do stat -c "%n %F %t:%T" /dev/$d; done; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x >/dev/null && head -c 4 /dev/zero | wc -c'
	[ "$status" = 0 ]
	grep -qx '/dev/null character special file 1:3' <<<"$output"
	grep -qx '/dev/zero character special file 1:5' <<<"$output"
	grep -qx '/dev/urandom character special file 1:9' <<<"$output"
	grep -qx '/dev/tty character special file 5:0' <<<"$output"
	grep -qx /proc/self/fd <<<"$output"
	grep -qx pts/ptmx <<<"$output"
	[ "${lines[-1]}" = 4 ]
}

@test "the default devices and links are there and work" {
	check_defaults
}

@test "the default devices and links are there and work in a user namespace" {
	edit "$(userns)"
	check_defaults
}

@test "devices of the spec have their numbers, modes and owners" {
	edit '.linux.devices = [{"type": "c", "path": "/dev/sub/mine", "major": 1, "minor": 3, "fileMode": 384, "uid": 7, "gid": 8}, {"type": "p", "path": "/dev/pipe"}]'
	runs 'stat -c "%t:%T %a %u:%g" /dev/sub/mine; stat -c %F /dev/pipe'
	[ "${lines[0]}" = "1:3 600 7:8" ]
	[ "${lines[1]}" = fifo ]
}

@test "in a user namespace a device of the spec is the host's of the same path, and must be the same" {
	edit "$(userns)" '.linux.devices = [{"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11}]'
	runs 'stat -c %t:%T /dev/kmsg'
	[ "$output" = 1:b ]
	edit '.linux.devices[0].minor = 12'
	runs true
	[ "$status" = 1 ]
	[[ $output == *"linux.devices[0]"*"another device"* ]]
}

@test "other devices cannot be made or opened" {
	edit '.root.readonly = false' '.process.capabilities.bounding += ["CAP_MKNOD"] | .process.capabilities.effective += ["CAP_MKNOD"] | .process.capabilities.permitted += ["CAP_MKNOD"]'
	runs 'mknod /dev/disk b 254 0; cat /dev/disk 2>&1 >/dev/null | head -1; echo end'
	[[ $output == *"not permitted"* ]]
}

@test "a bind mounted /dev is left as it is" {
	mkdir "$TMP/dev"
	edit 'del(.mounts[] | select(.destination | startswith("/dev")))' "$(mount_at /dev bind "$TMP/dev" bind)"
	runs 'ls -A /dev'
	[ -z "$output" ]
	[ -z "$(ls -A "$TMP/dev")" ]
}

@test "an image's own /dev entries do not stand in the way of the links, other files do" {
	edit 'del(.mounts[] | select(.destination | startswith("/dev")))' '.root.readonly = false'
	touch "$BUNDLE/rootfs/dev/ptmx"
	runs 'readlink /dev/ptmx'
	[ "$output" = pts/ptmx ]
	rm -f "$BUNDLE/rootfs/dev/null"
	echo trap >"$BUNDLE/rootfs/dev/null"
	runs true
	[ "$status" = 1 ]
	[[ $output == */dev/null* ]]
}

#!/usr/bin/env bats
# davit-runtime called by an ordinary user: what works without root, and what says that it takes root.
load ../lib/common

USER_ID=61234 # nobody's

setup() {
	load ../lib/oci
	bundle_setup
	# In the place of the library's own: as the user.
	as() { setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups -- "$@"; }
	dr() { as env XDG_RUNTIME_DIR="$TMP/run" HOME="$TMP" "$TMP/bin/davit-runtime" "$@"; }
	edit() {
		local filter
		for filter in "$@"; do
			jq "$filter" "$BUNDLE/config.json" >"$TMP/config.json.new"
			cp "$TMP/config.json.new" "$BUNDLE/config.json"
		done
	}
	stop_all() { dr delete --force "$ID" 2>/dev/null; }
	as true 2>/dev/null || skip "an ordinary user may not run programs here"
	as unshare --user true 2>/dev/null || skip "an ordinary user may not make user namespaces here"
	chmod 755 "$TMP"
	mkdir -p "$BUNDLE" "$TMP/run" "$TMP/bin"
	cp "$BIN/davit-runtime" "$TMP/bin/" # the way to the build's folder may be closed to others
	rootfs_make "$BUNDLE/rootfs"
	chown -R $USER_ID:$USER_ID "$TMP"
	dr spec --rootless --bundle "$BUNDLE"
	edit '.process.terminal = false' '.root.readonly = false'
}
teardown() { common_teardown; }

@test "a user's container is root inside and the user outside" {
	runs 'id -u; echo $(cat /proc/self/uid_map); echo x >/dev/null && ls /dev/zero; hostname'
	[ "$status" = 0 ]
	[ "${lines[0]} ${lines[1]} ${lines[2]} ${lines[3]}" = "0 0 $USER_ID 1 /dev/zero davit" ]
	[ -d "$TMP/run/davit-runtime" ]
	[ "$(stat -c %u "$TMP/run/davit-runtime")" = $USER_ID ]
}

@test "a user creates, starts, lists, enters, signals and deletes a container" {
	edit "$(args sh -c 'trap "exit 7" TERM; sleep 100 & while :; do sleep 0.1; done')"
	begins
	is running
	[ "$(dr list --format json | jq -r '.[0].owner')" = $USER_ID ]
	[ "$(dr exec "$ID" id -u)" = 0 ]
	[ "$(dr exec "$ID" readlink /proc/self/ns/pid)" = "$(readlink "/proc/$(cat "$TMP/pid")/ns/pid")" ]
	[ "$(dr ps --format json "$ID" | jq length)" -ge 2 ]
	[ "$(stat -c %u "/proc/$(cat "$TMP/pid")")" = $USER_ID ]
	dr kill "$ID" TERM
	retry is stopped
	dr delete "$ID"
	run dr state "$ID"
	[[ $output == *"does not exist"* ]]
}

@test "a user's container has the ids that /etc/subuid gives, and no others" {
	[ -u /usr/bin/newuidmap ] && [ -e /etc/subuid ] && [ -e /etc/subgid ] || skip "newuidmap is not installed"
	echo "davit-user:200000:1000" | tee "$TMP/subuid" >"$TMP/subgid"
	{ cat /etc/passwd; echo "davit-user:x:$USER_ID:$USER_ID::/:/bin/sh"; } >"$TMP/passwd"
	chmod 644 "$TMP/subuid" "$TMP/subgid" "$TMP/passwd"
	# shellcheck disable=SC2317 # called below
	dr() {
		# shellcheck disable=SC2016 # the inner shell expands it
		unshare --mount sh -c 'for f in subuid subgid passwd; do mount --bind "$0/$f" /etc/$f; done; id=$1; shift; exec setpriv --reuid=$id --regid=$id --clear-groups env XDG_RUNTIME_DIR="$0/run" "$0/bin/davit-runtime" "$@"' "$TMP" $USER_ID "$@"
	}
	edit ".linux.uidMappings = [{containerID: 0, hostID: $USER_ID, size: 1}, {containerID: 1, hostID: 200000, size: 1000}] | .linux.gidMappings = .linux.uidMappings" \
		'.process.capabilities[] += ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"]'
	runs 'cat /proc/self/uid_map; touch /tmp/file && chown 5:6 /tmp/file && stat -c %u:%g /tmp/file; cd /tmp; su user -s /bin/sh -c "id -u"'
	[ "$status" = 0 ]
	[[ $output == *"200000"*"5:6"*"1000"* ]]
	[ "$(stat -c %u:%g "$BUNDLE/rootfs/tmp/file")" = 200004:200005 ]
	edit '.linux.uidMappings[1].hostID = 300000'
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"linux.uidMappings: newuidmap refuses it"*"/etc/subuid"* ]]
}

@test "a user's container cannot give up a group to get at what is denied to it" {
	cp "$DAVIT_BUILD/tools/escape" "$BUNDLE/rootfs/bin/"
	echo denied >"$BUNDLE/rootfs/denied"
	chown root:61235 "$BUNDLE/rootfs/denied"
	chmod 604 "$BUNDLE/rootfs/denied"
	as() { setpriv --reuid=$USER_ID --regid=$USER_ID --groups=61235 -- "$@"; }
	edit "$(args /bin/escape --one setgroups /denied)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$output" = "held: Operation not permitted" ]
	# Without the group the file can be read: nothing else is in the way.
	as() { setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups -- "$@"; }
	edit "$(args cat /denied)"
	[ "$(dr run --bundle "$BUNDLE" "$ID")" = denied ]
}

@test "what takes root says so, with what a user can do instead" {
	refused() { # FILTER TEXT…
		cp "$BUNDLE/config.json" "$TMP/good.json"
		edit "$1"
		creates --bundle "$BUNDLE" "$ID"
		echo "$1: $output"
		[ "$status" = 1 ]
		local text
		for text in "${@:2}"; do [[ $output == *"$text"* ]]; done
		[ ! -e "$TMP/run/davit-runtime/$ID" ]
		cp "$TMP/good.json" "$BUNDLE/config.json"
	}
	edit "$(args sleep 100)"
	refused 'del(.linux.namespaces[] | select(.type == "user")) | del(.linux.uidMappings, .linux.gidMappings)' linux.namespaces "spec --rootless" "as root"
	refused '.linux.uidMappings[0].hostID = 0' linux.uidMappings "is not the caller's" "hostID $USER_ID"
	refused '.linux.resources.memory.limit = 67108864' linux.resources.memory.limit "user $USER_ID may not" "Delegate=yes"
	refused '.mounts += [{destination: "/mnt", type: "ext4", source: "/dev/vda"}]' 'mounts['
	begins
	run dr checkpoint "$ID"
	[ "$status" = 1 ]
	[[ $output == *"takes root of the host"* ]]
	run dr pause "$ID"
	[ "$status" = 1 ]
	[[ $output == *"no cgroup of its own"*"Delegate=yes"* ]]
	run dr update --memory 64m "$ID"
	[ "$status" = 1 ]
	[[ $output == *"--memory"*"user $USER_ID may not"* ]]
}

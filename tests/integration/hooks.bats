#!/usr/bin/env bats
# The six kinds of hooks: when, where, with what, and what their failure means.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle "$(args sh -c 'echo process >>/log/order')" "$(mount_at /log bind "$TMP/log" bind)" '.root.readonly = false'
	mkdir "$TMP/log"
	cat >"$TMP/hook" <<-EOS
		#!/bin/sh
		cat >"$TMP/log/\$1.json"
		echo "\$1" >>"$TMP/log/order"
		readlink /proc/self/ns/mnt >"$TMP/log/\$1.ns"
		echo "\$X" >"$TMP/log/\$1.env"
	EOS
	chmod 755 "$TMP/hook"
	# In the container: its own shell writes to the mount.
	printf '#!/bin/sh\ncat >/log/startContainer.json; echo startContainer >>/log/order\n' >"$BUNDLE/rootfs/bin/inner"
	chmod 755 "$BUNDLE/rootfs/bin/inner"
}
teardown() { common_teardown; }

hook() { jq -nr --arg n "$1" --arg p "$TMP/hook" '".hooks[\"\($n)\"] = [\({path: $p, args: ["hook", $n], env: ["PATH=/usr/bin:/bin", "X=\($n)"]} | @json)]"'; }

@test "all six run in their order, with the state on their stdin and only their own environment" {
	edit "$(hook prestart)" "$(hook createRuntime)" "$(hook createContainer)" "$(hook poststart)" "$(hook poststop)" '.hooks.startContainer = [{"path": "/bin/inner", "env": ["PATH=/bin"]}]'
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	[ "$(tr '\n' ' ' <"$TMP/log/order")" = "prestart createRuntime createContainer " ]
	dr start "$ID"
	retry is stopped
	dr delete "$ID"
	[ "$(sort "$TMP/log/order" | tr '\n' ' ')" = "createContainer createRuntime poststart poststop prestart process startContainer " ]
	[ "$(grep -n startContainer "$TMP/log/order" | cut -d: -f1)" -lt "$(grep -n process "$TMP/log/order" | cut -d: -f1)" ]
	[ "$(jq -r '"\(.id) \(.status) \(.bundle)"' "$TMP/log/createRuntime.json")" = "$ID creating $BUNDLE" ]
	[ "$(jq .pid "$TMP/log/prestart.json")" = "$(cat "$TMP/pid")" ]
	[ "$(jq -r .status "$TMP/log/poststart.json")" = running ]
	[ "$(jq -r .status "$TMP/log/poststop.json")" = stopped ]
	[ "$(cat "$TMP/log/prestart.env")" = prestart ]
}

@test "hooks of the host run in the host's namespaces, createContainer in the container's" {
	edit "$(hook createRuntime)" "$(hook createContainer)"
	dr run --bundle "$BUNDLE" "$ID"
	[ "$(cat "$TMP/log/createRuntime.ns")" = "$(readlink /proc/self/ns/mnt)" ]
	[ "$(cat "$TMP/log/createContainer.ns")" != "$(readlink /proc/self/ns/mnt)" ]
}

@test "a hook that fails ends the creation, is told with what it wrote, and nothing is left" {
	printf '#!/bin/sh\necho "no licence" >&2\nexit 3\n' >"$TMP/hook"
	for kind in prestart createRuntime createContainer; do
		edit 'del(.hooks)' "$(hook $kind)"
		creates --bundle "$BUNDLE" "$ID"
		[ "$status" = 1 ]
		[[ $output == *"hooks.$kind[0]"*"status 3"*"no licence"* ]]
		[ -z "$(dr list --quiet)" ]
	done
	[ ! -e "$TMP/log/order" ]
}

@test "a failing poststart or poststop is logged, and the container goes on" {
	printf '#!/bin/sh\nexit 3\n' >"$TMP/hook"
	edit "$(hook poststart)" "$(hook poststop)" "$(args sleep 100)"
	begins
	is running
	run dr delete --force "$ID"
	[ "$status" = 0 ]
}

@test "a hook that does not end within its timeout is killed" {
	printf '#!/bin/sh\nexec sleep 60\n' >"$TMP/hook"
	edit "$(hook createRuntime)" '.hooks.createRuntime[0].timeout = 1'
	SECONDS=0
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"did not end within 1 s"* ]]
	[ $SECONDS -lt 50 ]
}

@test "a hook that is not there or not absolute is refused" {
	edit '.hooks.prestart = [{"path": "/no/such/hook"}]'
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"/no/such/hook"* ]]
	edit '.hooks.prestart = [{"path": "hook"}]'
	creates --bundle "$BUNDLE" "$ID"
	[[ $output == *"hooks.prestart[0].path"* ]]
}

@test "a hook may ask for the container's state while it is created" {
	printf '#!/bin/sh\n%q --root %q state %q >%q\n' "$BIN/davit-runtime" "$STATE" "$ID" "$TMP/asked" >"$TMP/hook"
	edit "$(hook createRuntime)"
	dr run --bundle "$BUNDLE" "$ID"
	[ "$(jq -r .status "$TMP/asked")" = creating ]
}

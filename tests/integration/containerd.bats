#!/usr/bin/env bats
# containerd with davit-runtime in the place of runc, through its shim: the same outputs as with runc. Roots, state and socket are the test's own; the
# root filesystem is local, without network.
load ../lib/common

setup() {
	common_setup
	command -v containerd >/dev/null || skip "containerd is not installed"
	command -v runc >/dev/null || skip "runc is not installed"
	NAMESPACE=davit-test-$$
	mkdir -p "$TMP/rootfs"
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$TMP/image.tar"
	tar -C "$TMP/rootfs" -xf "$TMP/image.tar"
	cat >"$TMP/config.toml" <<-TOML
		version = 2
		root = "$TMP/root"
		state = "$TMP/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		address = "$TMP/sock"
		[debug]
		address = "$TMP/debug"
	TOML
	containerd --config "$TMP/config.toml" >"$TMP/log" 2>&1 3>&- &
	SERVER=$!
	later end_server
	RUNTIME=$BIN/davit-runtime
	retry ctr_do version
}
teardown() { common_teardown; }

ctr_do() { timeout 60 ctr --address "$TMP/sock" --namespace "$NAMESPACE" "$@" 2>>"$TMP/errors"; }

end_server() {
	local id
	for id in $(ctr_do task list --quiet); do ctr_do task delete --force "$id"; done
	for id in $(ctr_do container list --quiet); do ctr_do container delete "$id"; done
	kill "$SERVER" && wait "$SERVER"
	awk -v t="$TMP/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
	retry cgroups_gone "*/$NAMESPACE*"
}

begin() { # ID OPTION…: in the background
	local id=$1
	shift
	ctr_do run --detach --runc-binary "$RUNTIME" --rootfs "$@" "$TMP/rootfs" "$id" /bin/sh -c 'trap "exit 3" TERM; while :; do /bin/sleep 0.1; done' >/dev/null
}
state_of() { ctr_do task list | awk -v id="$1" '$1 == id { print $3 }'; }
is() { [ "$(state_of "$1")" = "$2" ]; }

everyday() {
	ctr_do run --rm --runc-binary "$RUNTIME" --rootfs "$TMP/rootfs" short /bin/sh -c 'export PATH=/bin:/usr/bin; echo out; id -u; hostname; exit 3'
	echo "run: $?"
	begin long --memory-limit 67108864 --env A=b --cwd /tmp --cap-add CAP_NET_RAW
	state_of long
	ctr_do task exec --exec-id one long /bin/sh -c 'echo in $A; pwd; exit 4'
	echo "exec: $?"
	ctr_do task exec --exec-id two --user 1000:1000 long /bin/id -u
	echo piped | ctr_do task exec --exec-id three long /bin/cat
	ctr_do task ps long | wc -l
	ctr_do task metrics --format json long | grep -o '"limit": *"*67108864' | head -1
	ctr_do task pause long
	state_of long
	ctr_do task resume long
	state_of long
	ctr_do task kill --signal TERM long
	retry is long STOPPED && echo stopped
	ctr_do task delete long
	echo "delete: $?"
	ctr_do container delete long
	ctr_do task list --quiet
	ctr_do run --rm --runc-binary "$RUNTIME" --rootfs "$TMP/rootfs" wrong no-such-program
	echo "wrong: $?"
	ctr_do container list --quiet
}

@test "containerd runs, executes, measures, pauses, kills and deletes with davit-runtime as with runc" {
	local ours theirs
	ours=$(everyday || true)
	RUNTIME=$(command -v runc)
	theirs=$(everyday || true)
	[ "$ours" = "$theirs" ] || { diff <(echo "$ours") <(echo "$theirs") || true; cat "$TMP/errors"; false; }
	[[ $ours == *out*"run: 3"*RUNNING*"in b"*/tmp*"exec: 4"*1000*piped*67108864*PAUSED*RUNNING*stopped* ]] || { echo "$ours"; cat "$TMP/errors"; false; }
}

@test "containerd's shim finds a container of davit-runtime again when containerd was killed" {
	begin long
	kill -9 "$SERVER"
	wait "$SERVER" || true
	containerd --config "$TMP/config.toml" >>"$TMP/log" 2>&1 3>&- &
	SERVER=$!
	retry ctr_do version
	retry is long RUNNING
	[ "$(ctr_do task exec --exec-id one long /bin/echo again)" = again ]
}

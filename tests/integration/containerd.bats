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
	# Its shim and runc look for criu there.
	[ ! -x /usr/lib/davit/criu/sbin/criu ] || PATH=/usr/lib/davit/criu/sbin:$PATH
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

once() { # OPTION… -- COMMAND of a shell
	local options=()
	while [ "$1" != -- ]; do options+=("$1") && shift; done
	ctr_do run --rm --runc-binary "$RUNTIME" --rootfs "${options[@]}" "$TMP/rootfs" once /bin/sh -c "PATH=/bin; exec 2>&1; $2"
	echo "status: $?"
}

options() {
	echo from-host >"$TMP/file"
	once --mount "type=bind,src=$TMP/file,dst=/etc/bound,options=rbind:ro" --device /dev/full --cap-drop CAP_CHOWN --cpus 0.5 --cpu-shares 512 --memory-limit 33554432 --read-only --seccomp \
		-- 'cat /etc/bound; echo x >/etc/bound; echo x >/new; ls -l /dev/full | cut -c1; grep -E "CapEff|Seccomp:|NoNewPrivs" /proc/self/status; mkdir /tmp/x; exit 3'
	once --with-ns "network:/proc/$$/ns/net" --allow-new-privs -- 'readlink /proc/self/ns/net; grep NoNewPrivs /proc/self/status'
	once --privileged --net-host --cgroup "/$NAMESPACE/own" -- 'grep CapEff /proc/self/status; cut -d: -f3 /proc/self/cgroup | grep -o own$ | sort -u; readlink /proc/self/ns/net'
	# The command stays for a moment: ctr closes its end when it ends, read or not.
	script -qec "ctr --address $TMP/sock --namespace $NAMESPACE run --rm -t --runc-binary $RUNTIME --rootfs $TMP/rootfs once /bin/sh -c 'PATH=/bin; tty; test -t 1 && echo terminal; sleep 0.5; exit 5'" \
		/dev/null </dev/null 2>>"$TMP/errors" | sed 's/\^@//g; s/\x00//g'
	echo "terminal: ${PIPESTATUS[0]}"
}

@test "options of ctr are as with runc" {
	local ours theirs
	command -v script >/dev/null || skip "script is not installed"
	ours=$(options || true)
	RUNTIME=$(command -v runc)
	theirs=$(options || true)
	[ "$ours" = "$theirs" ] || { diff <(echo "$ours") <(echo "$theirs") || true; cat "$TMP/errors"; false; }
	[[ $ours == *from-host*Read-only*"status: 3"*net:*"status: 0"*terminal*"terminal: 5"* ]] || { echo "$ours"; false; }
}

saved() {
	begin saved
	ctr_do task checkpoint --image-path "$TMP/images" --exit saved
	echo "checkpoint: $?"
	[ -e "$TMP/images/inventory.img" ] && retry is saved STOPPED && echo stopped
	ctr_do task delete --force saved
	ctr_do container delete saved
	rm -rf "$TMP/images"
}

@test "containerd checkpoints a task as with runc" {
	local ours theirs
	command -v criu >/dev/null || skip "criu is not installed"
	ours=$(saved || true)
	[ "$ours" = "$(printf '%s\n' 'checkpoint: 0' stopped)" ] || { echo "$ours"; cat "$TMP/errors"; false; }
	RUNTIME=$(command -v runc)
	theirs=$(saved || true)
	[[ $theirs == "checkpoint: 0"* ]] || skip "runc cannot checkpoint with this criu, davit-runtime can"
	[ "$ours" = "$theirs" ] || { diff <(echo "$ours") <(echo "$theirs") || true; false; }
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

#!/usr/bin/env bats
# podman's options, each with davit-runtime and with runc: the same output and status. Roots, state and configuration are the test's own; no network.
load ../lib/common
load ../lib/podman

setup_file() { podman_image; }
setup() {
	common_setup
	command -v runc >/dev/null || skip "runc is not installed"
	podman_setup
}
teardown() { common_teardown; }

# same FUNCTION: what it prints with davit-runtime, $OURS, is what it prints with runc. A terminal may or may not echo the ^@ of script's empty stdin.
same() {
	local theirs
	RUNTIME=$BIN/davit-runtime
	OURS=$("$@" 2>&1 | sed 's/\^@//g')
	RUNTIME=$(command -v runc)
	theirs=$("$@" 2>&1 | sed 's/\^@//g')
	[ "$OURS" = "$theirs" ] && [ -n "$OURS" ] && return
	echo "davit-runtime and runc, $*:"
	diff <(echo "$OURS") <(echo "$theirs")
	tail -5 "$TMP/errors"
	return 1
}

# shows TEXT ARGUMENTS…: of both, and it has TEXT
shows() {
	local text=$1
	shift
	same one "$@"
	[[ $OURS == *"$text"* ]] || { echo "without $text: $OURS"; tail -5 "$TMP/errors"; false; }
}
one() {
	run_in --rm "$@"
	echo "status $?"
}

@test "ids, mounts and file systems are as with runc" {
	mkdir "$TMP/shared"
	echo from-host >"$TMP/shared/file"
	chmod -R 777 "$TMP/shared"
	shows 'Read-only' --read-only davit-test sh -c 'touch /file 2>&1; touch /tmp/file && echo tmp; mount | grep -c " / .*ro,"'
	shows 'size=1024k' --tmpfs /data:size=1m,mode=1777,noexec davit-test sh -c 'mount | grep " /data "; touch /data/x && echo made'
	shows 'Read-only' -v "$TMP/shared:/data:ro,rslave" davit-test sh -c 'cat /data/file; touch /data/x 2>&1; mount | grep " /data " | cut -d"(" -f2 | grep -o "^r[ow]"'
	shows nosuid -v "$TMP/shared:/data:rw,nosuid,nodev,noexec,Z,rbind,rshared" davit-test sh -c 'grep " /data " /proc/mounts | cut -d" " -f4 | cut -d, -f1-4; grep -c "/data .*shared:" /proc/self/mountinfo'
	shows '0 100000 65536' --uidmap 0:100000:65536 --gidmap 0:100000:65536 davit-test sh -c 'echo $(cat /proc/self/uid_map); id -u; stat -c %u /bin/busybox'
	shows from-host -v "$TMP/shared:/data" --uidmap 0:100000:65536 davit-test cat /data/file
}

@test "limits, capabilities and devices are as with runc" {
	local init=
	[ ! -x /usr/bin/catatonit ] || init="--init --init-path /usr/bin/catatonit"
	shows 64 --ulimit nofile=64:128 --ulimit nproc=512:512 davit-test sh -c 'ulimit -n; ulimit -Hn'
	shows 33554432 --memory 32m --cpus 0.5 --pids-limit 20 --cpu-shares 512 davit-test sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares 2>/dev/null || cat memory.max pids.max cpu.max cpu.weight'
	shows CapEff --cap-drop all --cap-add net_raw,chown davit-test grep Cap /proc/self/status
	shows CapEff --user 1000:1000 --cap-add net_raw davit-test grep -E 'Cap|NoNewPrivs' /proc/self/status
	shows 'NoNewPrivs:	1' --security-opt no-new-privileges davit-test grep -E 'NoNewPrivs|Seccomp:' /proc/self/status
	shows 'Seccomp:	0' --security-opt seccomp=unconfined --security-opt unmask=ALL davit-test sh -c 'grep Seccomp: /proc/self/status; mount | grep -c "/proc/.*ro,"'
	shows 1:7 --device /dev/full:/dev/other:rw davit-test sh -c 'stat -c %t:%T /dev/other; echo x >/dev/other'
	shows inside --hostname inside --env A=b --workdir /tmp $init davit-test sh -c 'hostname; echo $A; pwd; ps -o pid,comm | head -2'
	shows 42 --sysctl kernel.msgmax=42 --shm-size 1m davit-test sh -c 'cat /proc/sys/kernel/msgmax; df /dev/shm | tail -1 | sed "s/  */ /g" | cut -d" " -f2'
	shows 'status 127' davit-test no-such-program
}

interactive() {
	# script(1) gives both ends a terminal.
	script -qec "podman --root $TMP/root --runroot $TMP/run --tmpdir $TMP/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $RUNTIME run --rm -it \
		--network none --cgroup-parent $CGROUP davit-test sh -c 'tty; test -t 1 && echo terminal; exit 5'" /dev/null </dev/null
	echo "run -it: $?"
	run_in -d --name i davit-test sleep 100 >/dev/null
	script -qec "podman --root $TMP/root --runroot $TMP/run --tmpdir $TMP/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $RUNTIME exec -it i \
		sh -c 'tty; test -t 0 && echo terminal; exit 6'" /dev/null </dev/null
	echo "exec -it: $?"
	echo piped | pod exec -i i cat
	pod rm --force --time 0 i >/dev/null
}

@test "terminals of run and exec are as with runc" {
	command -v script >/dev/null || skip "script is not installed"
	same interactive
	[[ $OURS == *terminal*"run -it: 5"*terminal*"exec -it: 6"*piped* ]]
}

lifecycle() {
	run_in -d --name l --health-cmd 'test -e /tmp/well' --health-interval disable davit-test sh -c 'echo begun; exec sleep 100' >/dev/null
	pod healthcheck run l
	echo "sick: $?"
	pod exec l touch /tmp/well
	pod healthcheck run l
	echo "well: $?"
	echo content >"$TMP/content"
	pod cp "$TMP/content" l:/tmp/copied && pod exec l cat /tmp/copied
	pod cp l:/tmp/copied - | tar -t
	pod restart --time 0 l >/dev/null
	pod logs l
	pod inspect --format '{{.State.Status}} {{.RestartCount}} {{.HostConfig.NetworkMode}} {{.State.Running}}' l
	pod top l pid comm | sed 's/  */ /g'
	pod diff l | sort | grep copied
	pod export l | tar -t | grep -c 'tmp/copied'
	pod export l | pod import - exported >/dev/null
	run_in --rm exported cat /tmp/copied
	pod rm --force --time 0 l >/dev/null
	pod rmi --force exported >/dev/null
}

@test "healthcheck, cp, restart, logs, inspect, top, diff, export and import are as with runc" {
	same lifecycle
	[[ $OURS == *"sick: 1"*"well: 0"*content*begun*begun*"running"* ]]
}

saved() {
	run_in -d --name c davit-test sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; usleep 20000; done' >/dev/null
	retry 5 pod exec c test -s /tmp/n
	pod container checkpoint --export "$TMP/c.tar" c >/dev/null && echo saved
	pod inspect --format '{{.State.Status}}' c
	local before after
	pod rm --force --time 0 c >/dev/null
	pod container restore --import "$TMP/c.tar" >/dev/null && echo restored
	before=$(pod exec c cat /tmp/n)
	sleep 0.3
	after=$(pod exec c cat /tmp/n)
	[ "${after:-0}" -gt "${before:-0}" ] && echo "counts on"
	pod rm --force --time 0 c >/dev/null
}

@test "checkpoint and restore are as with runc" {
	command -v criu >/dev/null || PATH=/usr/lib/davit/criu/sbin:$PATH
	command -v criu >/dev/null || skip "criu is not installed"
	local out
	out=$(saved)
	[ "$out" = "$(printf '%s\n' saved exited restored 'counts on')" ] || { echo "$out"; tail -5 "$TMP/errors"; false; }
}

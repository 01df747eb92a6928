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
	RUNTIME=${OURS_AT:-$BIN/davit-runtime}
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

@test "user namespaces, volumes and security options are as with runc" {
	subids_setup
	mkdir "$TMP/shared"
	echo from-host >"$TMP/shared/file"
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]}' >"$TMP/profile.json"
	AS=(with_subids)
	shows '2000000 5000' --userns=auto:size=5000 davit-test sh -c 'echo $(cat /proc/self/uid_map); stat -c %u /bin/busybox; touch /x && stat -c %u /x'
	AS=()
	shows 61234 -v "$TMP/shared:/over:O" -v "$TMP/shared:/own:U,ro" -v named:/etc/named -v /anonymous --user 61234 --mount type=tmpfs,destination=/t,tmpfs-mode=700,notmpcopyup \
		davit-test sh -c 'cat /over/file; echo x >/over/new && ls /over; stat -c %u /own /own/file; ls -d /etc/named /anonymous; stat -c %a /t; grep -c " /anonymous " /proc/mounts'
	[ ! -e "$TMP/shared/new" ]
	shows hidepid --security-opt proc-opts=hidepid=invisible --security-opt mask=/etc/passwd:/etc --security-opt unmask=/proc/keys --security-opt "seccomp=$TMP/profile.json" \
		--security-opt label=disable --privileged=false davit-test sh -c 'grep " /proc " /proc/mounts; cat /etc/passwd; ls /etc | wc -l; head -c1 /proc/keys | wc -c; mkdir /new 2>&1; grep Seccomp: /proc/self/status'
	shows CapEff --privileged --group-add 77 --oom-score-adj 500 --tmpfs /root davit-test sh -c 'grep Cap /proc/self/status; ls /dev | sort | head -3; id -G; cat /proc/self/oom_score_adj; stat -c %a /root; test -w /proc/sys/kernel/hostname && echo writable'
}

user_life() {
	run_user --rm davit-test sh -c 'cat /proc/self/uid_map; id; exit 3'
	echo "run: $?"
	run_user --rm --userns=keep-id --read-only -v "$TMP/home/shared:/s" --tmpfs /t:size=1m davit-test sh -c 'id -u; cat /s/file; echo x >/s/new; stat -c %u /s/new; touch /t/x && stat -c %u:%a /t /t/x; grep CapEff /proc/self/status'
	echo "keep-id: $?"
	run_user --rm --uidmap 0:0:1 --uidmap 1:1:1000 --gidmap 0:0:1000 davit-test cat /proc/self/uid_map
	run_user --rm --pid host --ipc private --privileged --ulimit nofile=64:64 davit-test sh -c 'test -d /proc/1 && ulimit -n; grep CapEff /proc/self/status'
	run_user -d --name u davit-test sh -c 'echo begun; exec sleep 100' >/dev/null
	pod exec --user 5 --workdir /tmp --env A=b u sh -c 'id -u; pwd; echo $A; exit 4'
	echo "exec: $?"
	pod top u pid comm | tail -1
	pod restart --time 0 u >/dev/null
	pod logs u
	pod kill u >/dev/null && pod wait u
	pod rm u >/dev/null
	pod ps --all --quiet
}
run_user() { pod run --network none "$@"; }
user_clean() {
	pod rm --all --force --time 0 >/dev/null
	kill "$(find "$TMP" -name pause.pid -exec cat {} +)"
	# The layers are of ids that only podman's own user namespace may remove.
	AS=()
	rm -rf "$TMP/root"
}

@test "an ordinary user's podman runs, keeps ids, executes, restarts and kills as with runc" {
	subids_setup
	chmod 755 "$TMP"
	mkdir -p "$TMP/home/shared" "$TMP/home/xdg" "$TMP/home/bin"
	echo from-host >"$TMP/home/shared/file"
	cp "$BIN/davit-runtime" "$TMP/home/bin/" # the way to the build's folder may be closed to others
	cp "$BATS_FILE_TMPDIR/image.tar" "$TMP/home/"
	pod rm --all --force >/dev/null
	rm -rf "$TMP/root" "$TMP/run" "$TMP/tmp"
	mkdir "$TMP/root" "$TMP/run" "$TMP/tmp"
	chown -R "$SUBIDS_USER:$SUBIDS_USER" "$TMP/home" "$TMP/root" "$TMP/run" "$TMP/tmp"
	cd / # where it may be
	AS=(with_subids setpriv "--reuid=$SUBIDS_USER" "--regid=$SUBIDS_USER" --clear-groups env "HOME=$TMP/home" "XDG_RUNTIME_DIR=$TMP/home/xdg")
	"${AS[@]}" unshare --user true 2>/dev/null || skip "an ordinary user may not make user namespaces here"
	OURS_AT=$TMP/home/bin/davit-runtime
	later user_clean
	pod import "$TMP/home/image.tar" davit-test
	same user_life
	[[ $OURS == *"3000000      65536"*"run: 3"*61234*from-host*"keep-id: 0"*"exec: 4"*begun*137 ]] || { echo "$OURS"; false; }
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
	# script(1) gives both ends a terminal. Both commands stay for a moment: podman closes its end when a container ends, read or not.
	script -qec "podman --root $TMP/root --runroot $TMP/run --tmpdir $TMP/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $RUNTIME run --rm -it \
		--network none --cgroup-parent $CGROUP davit-test sh -c 'tty; test -t 1 && echo terminal; sleep 0.5; exit 5'" /dev/null </dev/null
	echo "run -it: $?"
	run_in -d --name i davit-test sleep 100 >/dev/null
	script -qec "podman --root $TMP/root --runroot $TMP/run --tmpdir $TMP/tmp --storage-driver vfs --cgroup-manager cgroupfs --runtime $RUNTIME exec -it i \
		sh -c 'tty; test -t 0 && echo terminal; sleep 0.5; exit 6'" /dev/null </dev/null
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
	run_in -d --name c davit-test sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; usleep 20000; done' >/dev/null
	retry pod exec c test -s /tmp/n
	pod container checkpoint --export "$TMP/c.tar" c >/dev/null && echo saved
	pod inspect --format '{{.State.Status}}' c
	local before
	pod rm --force --time 0 c >/dev/null
	pod container restore --import "$TMP/c.tar" >/dev/null && echo restored
	before=$(pod exec c cat /tmp/n)
	retry eval '[ "$(pod exec c cat /tmp/n)" -gt "$before" ]' && echo "counts on"
	pod rm --force --time 0 c >/dev/null
}

@test "checkpoint and restore are as with runc" {
	command -v criu >/dev/null || PATH=/usr/lib/davit/criu/sbin:$PATH
	command -v criu >/dev/null || skip "criu is not installed"
	local out
	out=$(saved)
	[ "$out" = "$(printf '%s\n' saved exited restored 'counts on')" ] || { echo "$out"; tail -5 "$TMP/errors"; false; }
}

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
	# podman hands mounts over in an order of its own; the numbers of peer groups are the kernel's.
	shows '/c rw,relatime shared' -v "$TMP/shared:/a:private,exec,dev,suid" -v "$TMP/shared:/b:slave" -v "$TMP/shared:/c:shared" -v named:/d:nocopy,noexec -v "$TMP/shared:/e:bind,ro" \
		--mount "type=bind,src=$TMP/shared,dst=/f,ro,bind-propagation=rslave" davit-test sh -c 'grep " /[a-f] " /proc/self/mountinfo | cut -d" " -f5- | sed "s/:[0-9]*//g" | sort'
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
	shows 100663296 --memory 64m --memory-swap 96m --memory-reservation 32m --cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 0 --cpuset-mems 0 --cgroupns private \
		davit-test sh -c 'cd /sys/fs/cgroup; cat memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpuset/cpuset.cpus 2>/dev/null || { cat memory.low cpu.max cpuset.cpus; expr 67108864 + $(cat memory.swap.max); }'
	shows 'status 2' --pids-limit 5 davit-test sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done'
	shows 'c 10:200' --device-cgroup-rule 'c 10:200 rwm' davit-test sh -c 'cat /sys/fs/cgroup/devices/devices.list 2>/dev/null | sort; mknod /dev/tun c 10 200 && echo "c 10:200"'
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

# On a tmpfs, which is part of the dump: a container that goes on changes its own files between the dump and the copy that podman takes of them.
saved() {
	run_in -d --name c --tmpfs /tmp davit-test sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; usleep 20000; done' >/dev/null
	retry pod exec c test -s /tmp/n
	pod container checkpoint --export "$TMP/c.tar" --leave-running c >/dev/null && echo saved
	pod inspect --format '{{.State.Status}}' c
	counts_on c
	pod rm --force --time 0 c >/dev/null
	pod container restore --import "$TMP/c.tar" --name d >/dev/null && echo restored
	pod inspect --format '{{.Name}} {{.State.Status}}' d
	counts_on d
	pod exec d sh -c 'exit 4'
	echo "exec: $?"
	pod rm --force --time 0 d >/dev/null
	rm -f "$TMP/c.tar"
}
number() { pod exec "$1" cat /tmp/n; }
is_above() { local n; n=$(number "$1"); [ "${n:-0}" -gt "$2" ]; }
counts_on() { # NAME
	local before
	before=$(number "$1")
	retry is_above "$1" "${before:-0}" && echo "counts on"
}

@test "checkpoint and restore are as with runc" {
	local theirs
	# Both need a criu in their PATH; runc that cannot use the one that is here has nothing to compare with.
	[ ! -x /usr/lib/davit/criu/sbin/criu ] || PATH=/usr/lib/davit/criu/sbin:$PATH
	command -v criu >/dev/null || skip "criu is not installed"
	OURS=$(saved)
	[ "$OURS" = "$(printf '%s\n' saved running 'counts on' restored 'd running' 'counts on' 'exec: 4')" ] ||
		{ echo "$OURS"; grep -v "^Error: can only" "$TMP/errors" | tail -20; false; }
	RUNTIME=$(command -v runc)
	theirs=$(saved)
	[[ $theirs == saved*restored* ]] || skip "runc cannot checkpoint and restore with this criu, davit-runtime can"
	[ "$OURS" = "$theirs" ] || { diff <(echo "$OURS") <(echo "$theirs"); grep -v "^Error: can only" "$TMP/errors" | tail -20; false; }
}

# kinds FIRST SECOND: the namespaces that both containers are in
kinds() {
	local k
	for k in net pid ipc uts user cgroup; do
		[ "$(pod exec "$1" readlink "/proc/self/ns/$k")" != "$(pod exec "$2" readlink "/proc/self/ns/$k")" ] || echo "same $k"
	done
}

together() {
	run_in -d --name first davit-test sleep 100 >/dev/null
	pod run -d --name second --network container:first --pid container:first --ipc container:first --uts container:first --cgroup-parent "$CGROUP" davit-test sleep 100 >/dev/null
	kinds first second
	pod exec second ps -o comm | sort | uniq -c
	pod rm --force --time 0 second >/dev/null
	pod inspect --format '{{.State.Status}}' first
	pod rm --force --time 0 first >/dev/null
	run_in --rm --pid host --ipc host --uts host --cgroupns host --umask 027 davit-test sh -c 'umask; ls -d /proc/self; cut -d: -f3 /proc/self/cgroup | grep libpod | sed "s/libpod-[0-9a-f]*/ID/" | sort -u'
}

@test "namespaces of other containers and of the host are as with runc" {
	same together
	[[ $OURS == *"same net"*"same pid"*"same ipc"*"same uts"*"2 sleep"*running*0027* ]]
}

looks() {
	run_in -d --name look --memory 64m --memory-swap 96m --cap-drop chown --user 5 --read-only --tmpfs /x -v "$TMP:/host:ro" --ulimit nofile=64:64 --ulimit nproc=512:512 \
		--security-opt no-new-privileges --stop-signal USR1 davit-test sh -c 'trap "exit 9" USR1; echo up; while :; do sleep 0.05; done' >/dev/null
	pod inspect look | jq -S '.[0] | {State: (.State | {Status, Running, Paused, OOMKilled, Dead, ExitCode, OciVersion}), EffectiveCaps, BoundingCaps, Mounts,
		HostConfig: (.HostConfig | del(.ContainerIDFile, .LogConfig.Path)), Config: (.Config | del(.Hostname, .Env, .Annotations, .CreateCommand))}'
	pod stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' look | sed 's| .*/|, of |; s/^[12],/few,/'
	until pod logs look | grep -q up; do sleep 0.05; done
	pod stop --time 20 look >/dev/null
	echo "stop: $?"
	pod inspect --format '{{.State.Status}} {{.State.ExitCode}}' look
	pod rm look >/dev/null
}

@test "inspect, stats and stop are as with runc" {
	same looks
	[[ $OURS == *'"Status": "running"'*"few, of "*"stop: 0"*"exited 9"* ]]
}

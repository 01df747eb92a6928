#!/usr/bin/env bats
# exec: a further process in a running container.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle "$(args sleep 100)"
}
teardown() { common_teardown; }

@test "exec runs in all namespaces and the cgroup of the container, and returns the status" {
	edit "$(userns)" '.linux.namespaces += [{"type": "time"}]'
	begins
	for kind in user mnt pid net uts ipc cgroup time; do
		[ "$(dr exec "$ID" readlink /proc/self/ns/$kind)" = "$(readlink "/proc/$(cat "$TMP/pid")/ns/$kind")" ]
	done
	dr exec --detach --pid-file "$TMP/pid2" "$ID" sleep 50 </dev/null >/dev/null 2>&1
	[ "$(cat "/proc/$(cat "$TMP/pid2")/cgroup")" = "$(cat "/proc/$(cat "$TMP/pid")/cgroup")" ]
	run dr exec "$ID" sh -c 'exit 23'
	[ "$status" = 23 ]
	run dr exec "$ID" sh -c 'kill -KILL $$'
	[ "$status" = 137 ]
}

@test "exec passes stdin, stdout and stderr" {
	begins
	[ "$(echo through | dr exec "$ID" cat)" = through ]
	[ "$(dr exec "$ID" sh -c 'echo e >&2' 2>&1 >/dev/null)" = e ]
}

@test "exec takes user, folder, environment, groups and capabilities from its options" {
	begins
	run dr exec --user 1000:1001 --cwd /tmp --env A=b --additional-gids 9 --cap CAP_NET_RAW "$ID" sh -c 'id -u; id -g; id -G; pwd; echo $A; grep CapBnd /proc/self/status'
	[ "${lines[0]} ${lines[1]} ${lines[2]} ${lines[3]} ${lines[4]}" = "1000 1001 1001 9 /tmp b" ]
	[[ ${lines[5]} == *0000000020002420 ]]
}

@test "exec takes a process file, and refuses a wrong one by its field" {
	begins
	jq -n '{args: ["sh", "-c", "echo $X; id -u"], cwd: "/", env: ["PATH=/bin", "X=y"], user: {uid: 5, gid: 5}, noNewPrivileges: true}' >"$TMP/process.json"
	run dr exec --process "$TMP/process.json" "$ID"
	[ "${lines[0]} ${lines[1]}" = "y 5" ]
	jq '.cwd = "relative"' "$TMP/process.json" >"$TMP/bad.json"
	run dr exec --process "$TMP/bad.json" "$ID"
	[ "$status" = 255 ]
	[[ $output == *process.cwd* ]]
}

@test "exec is under the container's seccomp filter" {
	edit '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}'
	begins
	run dr exec "$ID" mkdir /dev/shm/x
	[[ $output == *"not supported"* ]]
}

@test "exec in a container that is created, stopped or not there" {
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID" </dev/null >/dev/null 2>&1
	[ "$(dr exec "$ID" echo before)" = before ]
	dr kill "$ID" KILL
	retry is stopped
	run dr exec "$ID" true
	[ "$status" = 255 ]
	[[ $output == *stopped* ]]
	run dr exec nobody true
	[ "$status" = 255 ]
	[[ $output == *"does not exist"* ]]
	run dr exec "$ID"
	[ "$status" = 255 ]
}

@test "a program that is not there is an error of exec, and the container goes on" {
	begins
	run dr exec "$ID" no-such-program
	[ "$status" = 255 ]
	[[ $output == *no-such-program* ]]
	is running
}

@test "no descriptor of the host comes along with exec" {
	begins
	exec 8</etc/hostname
	[ "$(dr exec "$ID" ls /proc/self/fd | tr '\n' ' ')" = "0 1 2 3 " ]
	exec 8<&-
	for fd in $(seq 3 30); do
		run dr exec --cwd "/proc/self/fd/$fd" "$ID" true
		[ "$status" = 255 ]
	done
}

@test "the processes of the container cannot look into exec while it enters" {
	cp "$DAVIT_BUILD/tools/escape" "$BUNDLE/rootfs/bin/"
	mkdir "$TMP/shared"
	chmod 777 "$TMP/shared"
	edit '.process.capabilities[] += ["CAP_SYS_PTRACE"]' "$(userns)" "$(mount_at /tmp bind "$TMP/shared" bind)"
	begins
	dr exec --detach "$ID" /bin/escape --one peek </dev/null >"$TMP/seen" 2>&1
	for _ in $(seq 30); do dr exec "$ID" true; done
	touch "$TMP/shared/stop"
	retry test -s "$TMP/seen"
	[ "$(cat "$TMP/seen")" = "held: Permission denied" ]
}

@test "exec goes into a cgroup below the container's when asked to, and refuses one that is not there" {
	begins
	local own
	own=$(awk -F: '$2 == "pids" || $2 == "" { print $3 }' "/proc/$(cat "$TMP/pid")/cgroup" | sort | tail -1)
	find /sys/fs/cgroup -type d -path "*$own" -exec mkdir {}/below \;
	later find /sys/fs/cgroup -depth -type d -path "*$own/below" -exec rmdir {} +
	dr exec --detach --pid-file "$TMP/pid2" --cgroup below "$ID" sleep 50 </dev/null >/dev/null 2>&1
	grep -q "$own/below$" "/proc/$(cat "$TMP/pid2")/cgroup"
	if grep -q ':pids:' /proc/self/cgroup; then
		dr exec --detach --pid-file "$TMP/pid3" --cgroup pids:/below "$ID" sleep 50 </dev/null >/dev/null 2>&1
		[ "$(grep -c "$own/below$" "/proc/$(cat "$TMP/pid3")/cgroup")" = 1 ]
		grep -q ":pids:.*$own/below$" "/proc/$(cat "$TMP/pid3")/cgroup"
	fi
	run dr exec --cgroup nowhere "$ID" true
	[ "$status" = 255 ]
	[[ $output == *"--cgroup nowhere"* ]]
	run dr exec --cgroup ../.. "$ID" true
	[ "$status" = 255 ]
	run dr exec --cgroup nonsense:/below "$ID" true
	[[ $output == *"in no cgroup of"*nonsense* ]]
}

@test "exec in a paused container is refused, or waits for the resume with --ignore-paused" {
	begins
	dr pause "$ID"
	run dr exec "$ID" true
	[ "$status" = 255 ]
	[[ $output == *"paused"*"--ignore-paused"* ]]
	dr exec --ignore-paused "$ID" echo late >"$TMP/late" 2>&1 &
	local execution=$!
	# Its first process is in the cgroup, and stands still.
	retry sh -c "[ \"\$('$BIN/davit-runtime' --root '$STATE' ps --format json '$ID' | jq length)\" -ge 2 ]"
	[ ! -s "$TMP/late" ]
	dr resume "$ID"
	wait $execution
	[ "$(cat "$TMP/late")" = late ]
}

@test "exec has the CPUs of execCPUAffinity, the container's first process not" {
	[ "$(nproc)" -gt 1 ] || skip "needs two CPUs"
	edit '.process.execCPUAffinity = {"initial": "0-1", "final": "1"}'
	begins
	[ "$(dr exec "$ID" grep Cpus_allowed_list /proc/self/status | cut -f2)" = 1 ]
	[ "$(grep Cpus_allowed_list "/proc/$(cat "$TMP/pid")/status" | cut -f2)" != 1 ]
	edit '.process.execCPUAffinity.final = "4000"'
	jq .process "$BUNDLE/config.json" >"$TMP/process.json"
	run dr exec --process "$TMP/process.json" "$ID"
	[ "$status" = 255 ]
	[[ $output == *process.execCPUAffinity.final* ]]
}

@test "exec has the personality of the container" {
	edit '.linux.personality = {"domain": "LINUX32"}' "$(args sh -c 'uname -m; sleep 100')"
	begins
	[ "$(dr exec "$ID" uname -m)" = "$(setarch linux32 uname -m)" ]
	retry test -s "$TMP/out"
	[ "$(cat "$TMP/out")" = "$(setarch linux32 uname -m)" ]
}

#!/usr/bin/env bats
# What the process is given: ids, capabilities, limits, environment, working folder, names, kernel settings, filter; and what it may not get at.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle
	ROOT=$BUNDLE/rootfs
}
teardown() { common_teardown; }

@test "ids, additional groups and umask are as asked, and no group of the host is left" {
	edit '.process.user = {"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 63}'
	runs 'id -u; id -g; id -G; umask'
	[ "${lines[0]} ${lines[1]} ${lines[2]} ${lines[3]}" = "1000 1001 1001 7 8 0077" ]
}

@test "HOME comes from the container's passwd unless the environment has it" {
	edit '.process.user = {"uid": 1000, "gid": 1000}'
	runs 'echo $HOME'
	[ "$output" = /home/user ]
	edit '.process.env += ["HOME=/mine"]'
	runs 'echo $HOME'
	[ "$output" = /mine ]
}

@test "the environment is the spec's alone" {
	edit '.process.env = ["PATH=/bin", "A=1", "B=two words"]'
	LEAK=1 runs 'env | sort'
	! grep -q LEAK <<<"$output"
	grep -qx 'A=1' <<<"$output"
	grep -qx 'B=two words' <<<"$output"
}

@test "capability sets are as asked, and gone for a user that has none" {
	runs 'grep ^Cap /proc/self/status'
	grep -qE '^CapBnd:.0000000020000420$' <<<"$output"
	grep -qE '^CapEff:.0000000020000420$' <<<"$output"
	grep -qE '^CapAmb:.0000000000000000$' <<<"$output"
	edit '.process.user.uid = 1000' '.process.capabilities.inheritable = ["CAP_KILL"] | .process.capabilities.ambient = ["CAP_KILL"]'
	runs 'grep ^Cap /proc/self/status'
	grep -qE '^CapEff:.0000000000000020$' <<<"$output"
	edit 'del(.process.capabilities)'
	runs 'grep ^Cap /proc/self/status | grep -c 0000000000000000'
	[ "$output" = 5 ]
}

@test "no_new_privs is set when asked for" {
	runs 'grep NoNewPrivs /proc/self/status'
	[[ $output == *1 ]]
	edit '.process.noNewPrivileges = false'
	runs 'grep NoNewPrivs /proc/self/status'
	[[ $output == *0 ]]
}

@test "resource limits are set, also ones too low for the runtime's own work" {
	edit '.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 9}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0}]'
	runs 'ulimit -Sn; ulimit -Hn; ulimit -c'
	[ "${lines[0]} ${lines[1]} ${lines[2]}" = "8 9 0" ]
}

@test "oom_score_adj is set" {
	edit '.process.oomScoreAdj = 321'
	runs 'cat /proc/self/oom_score_adj'
	[ "$output" = 321 ]
}

@test "the working folder is made if it is missing, and refused where the user may not enter" {
	edit '.root.readonly = false' '.process.cwd = "/a/b/c"'
	runs pwd
	[ "$output" = /a/b/c ]
	mkdir -m 700 "$ROOT/closed"
	edit '.process.cwd = "/closed"' '.process.user = {"uid": 1000, "gid": 1000}'
	runs pwd
	[ "$status" = 1 ]
	[[ $output == *process.cwd* ]]
}

@test "a working folder over a leaked descriptor of the host is refused" {
	exec 7</
	edit '.process.cwd = "/proc/self/fd/7"'
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	edit '.process.cwd = "/proc/1/fd/7/../../.."'
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	for fd in $(seq 3 40); do
		edit ".process.cwd = \"/proc/self/fd/$fd\"" "$(args cat etc/hostname)"
		run dr run --bundle "$BUNDLE" "$ID"
		[ "$status" = 1 ]
	done
	exec 7<&-
}

@test "no descriptor but 0 to 2 goes into the container, unless asked for" {
	exec 8</etc/hostname
	runs 'ls /proc/self/fd'
	[ "$(tr '\n' ' ' <<<"$output")" = "0 1 2 3 " ]
	exec 8<&-
	edit "$(args sh -c 'cat <&3 >/dev/null && ls /proc/self/fd')"
	# Descriptor 3 is bats' own elsewhere.
	[ "$("$BIN/davit-runtime" --root "$STATE" run --bundle "$BUNDLE" --preserve-fds 1 "$ID" 3</etc/hostname | tr '\n' ' ')" = "0 1 2 3 4 " ]
	run dr run --bundle "$BUNDLE" --preserve-fds 100 "$ID"
	[ "$status" = 1 ]
	[[ $output == *"is not open"* ]]
}

@test "hostname and domainname are set in the container only" {
	edit '.hostname = "inside" | .domainname = "example.test"'
	before=$(hostname)
	runs 'hostname; cat /proc/sys/kernel/domainname'
	[ "${lines[0]} ${lines[1]}" = "inside example.test" ]
	[ "$(hostname)" = "$before" ]
	edit 'del(.linux.namespaces[] | select(.type == "uts"))'
	runs hostname
	[ "$status" = 1 ]
	[[ $output == *hostname* && $output == *uts* ]]
}

@test "kernel settings of the container's namespaces are set, those of the host refused" {
	edit '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "123", "fs.mqueue.msg_max": "7", "kernel.domainname": "d"}' 'del(.domainname)'
	runs 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max /proc/sys/kernel/domainname'
	[ "$(tr '\n' ' ' <<<"$output")" = "1 123 7 d " ]
	edit "$(userns)"
	runs 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/kernel/domainname'
	[ "$(tr '\n' ' ' <<<"$output")" = "1 123 d " ]
	edit '.linux.sysctl = {"vm.swappiness": "1"}'
	runs true
	[ "$status" = 1 ]
	[[ $output == *"linux.sysctl.vm.swappiness"* ]]
	edit '.linux.sysctl = {"net/../vm/swappiness": "1"}'
	runs true
	[ "$status" = 1 ]
}

@test "a seccomp filter holds, with no_new_privs and without" {
	edit '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}' '.root.readonly = false'
	runs 'grep Seccomp: /proc/self/status; mkdir /tmp/x'
	[[ ${lines[0]} == *2 ]]
	[[ $output == *"not supported"* ]]
	edit '.process.noNewPrivileges = false'
	runs 'mkdir /tmp/x'
	[[ $output == *"not supported"* ]]
	edit "$(userns)" '.process.user = {"uid": 1000, "gid": 1000}'
	runs 'mkdir /tmp/x'
	[[ $output == *"not supported"* ]]
}

@test "the process has a session keyring of its own, unless the caller's is kept" {
	runs 'cat /proc/keys | wc -l'
	[ "$status" = 0 ]
	edit 'del(.linux.maskedPaths)' "$(args cat /proc/keys)"
	run dr run --bundle "$BUNDLE" "$ID"
	[[ $output == *"_ses.$ID"* ]]
	run dr run --bundle "$BUNDLE" --no-new-keyring "$ID-2"
	[[ $output != *"_ses.$ID-2"* ]]
}

@test "scheduling is set as asked" {
	edit '.process.scheduler = {"policy": "SCHED_BATCH", "nice": 5}' '.process.ioPriority = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}' "$(args sleep 100)"
	begins
	[ "$(awk '{ print $19, $41 }' "/proc/$(cat "$TMP/pid")/stat")" = "5 3" ]
	[ "$(ionice -p "$(cat "$TMP/pid")")" = idle ]
}

@test "the runtime's program cannot be written from the container" {
	local loader
	loader=$(ldd "$BIN/davit-runtime" | awk '$1 ~ /^\/.*\/ld-/ { print $1 }')
	mkdir -p "$ROOT$(dirname "$loader")"
	cp "$DAVIT_BUILD/tools/loader" "$ROOT$loader"
	cp "$DAVIT_BUILD/tools/escape" "$ROOT/bin/"
	local with_cap='.process.capabilities[] += ["CAP_DAC_OVERRIDE"]'
	# The file is busy as long as the runtime itself runs.
	overwrites() { # what it says in $TMP/out
		retry grep -qE '^(held|worked)' "$TMP/out"
		cat "$TMP/out"
		grep -qx "held: $1" "$TMP/out"
	}
	edit "$(args /proc/self/exe)" "$with_cap"
	begins
	overwrites 'Read-only file system'
	dr delete --force "$ID"
	edit "$(args sleep 100)"
	begins
	dr exec --detach "$ID" /proc/self/exe >"$TMP/out" 2>&1 </dev/null
	overwrites 'Read-only file system'
	dr delete --force "$ID"
	# With ids of its own the file is out of reach as it is.
	edit "$(userns)" "$(args /proc/self/exe)"
	begins
	overwrites 'Permission denied'
}

@test "args[0] is found in the PATH of the container, and a missing one is refused before anything runs" {
	edit '.process.env = ["PATH=/nowhere:/bin"]'
	runs 'echo found'
	[ "$output" = found ]
	edit "$(args no-such-program)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"process.args[0]"*no-such-program*"No such file"* ]]
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[ -z "$(dr list --quiet)" ]
}

@test "sockets of systemd's socket activation are passed on, and the process is told" {
	edit "$(args sh -c 'echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | wc -l')"
	run env LISTEN_FDS=1 bash -c '"$@" 3</dev/null' sh "$BIN/davit-runtime" --root "$STATE" run --bundle "$BUNDLE" "$ID"
	[ "${lines[0]}" = "1 1" ]
	[ "${lines[1]}" = 5 ]
}

#!/usr/bin/env bats
# Bad input: refused with its field and a remedy, before anything is made, with runc's exit status; and nothing is left.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle "$(args true)"
}
teardown() { common_teardown; }

# refused FILTER FIELD: the changed config is refused, the message names the field, nothing is made
refused() {
	cp "$BUNDLE/config.json" "$TMP/good.json"
	edit "$1"
	creates --bundle "$BUNDLE" "$ID"
	echo "$1: $output"
	[ "$status" = 1 ]
	[[ $output == *"$2"* ]]
	[ "$(wc -l <<<"$output")" = 1 ]
	[ -z "$(ls "$STATE" 2>/dev/null | grep -v ^@)" ]
	left=$(find /sys/fs/cgroup -path "*/davit-test/$ID" 2>/dev/null || true) # others come and go
	echo "left: $left"
	[ -z "$left" ]
	cp "$TMP/good.json" "$BUNDLE/config.json"
}

@test "every wrong field of config.json is refused by its name" {
	refused 'del(.ociVersion)' ociVersion
	refused '.ociVersion = "2.0"' ociVersion
	refused 'del(.process)' process
	refused '.process.args = []' process.args
	refused '.process.args = [""]' 'process.args[0]'
	refused '.process.cwd = "tmp"' process.cwd
	refused 'del(.process.cwd)' process.cwd
	refused '.process.env = ["NOVALUE"]' 'process.env[0]'
	refused '.process.rlimits = [{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]' 'process.rlimits[0].type'
	refused '.process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}]' 'process.rlimits[0].soft'
	refused '.process.oomScoreAdj = 2000' process.oomScoreAdj
	refused '.process.user.umask = 4096' process.user.umask
	refused '.process.capabilities.effective = ["CAP_SYS_TIME"]' process.capabilities.effective
	refused '.process.execCPUAffinity = {"initial": "0-"}' process.execCPUAffinity.initial
	refused '.linux.personality = {"domain": "SOLARIS"}' linux.personality.domain
	refused '.linux.intelRdt = {"closID": "x"}' linux.intelRdt
	refused '.linux.memoryPolicy = {"mode": "MPOL_BIND", "nodes": "0"}' linux.memoryPolicy
	refused '.linux.netDevices = {"eth0": {"name": "inside"}}' linux.netDevices
	refused '.process.scheduler = {"policy": "SCHED_NONSENSE"}' process.scheduler.policy
	refused 'del(.root)' root.path
	refused '.root.path = "nowhere"' root.path
	refused '.root.path = "config.json"' root.path
	refused '.hostname = ("x" * 65)' hostname
	refused '.linux.namespaces += [{"type": "nonsense"}]' 'linux.namespaces['
	refused '.linux.namespaces += [{"type": "pid"}]' 'linux.namespaces['
	refused '.linux.namespaces[0].path = "relative"' 'linux.namespaces[0].path'
	refused '.linux.namespaces += [{"type": "user"}]' linux.uidMappings
	refused '.linux.uidMappings = [{"containerID": 0, "hostID": 1, "size": 1}]' linux.uidMappings
	refused '.linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 5, "hostID": 100, "size": 10}] | .linux.gidMappings = [{"containerID": 0, "hostID": 1, "size": 0}]' 'linux.uidMappings[1]'
	refused '.linux.timeOffsets = {"monotonic": {"secs": 1}}' linux.timeOffsets
	refused '.linux.devices = [{"type": "x", "path": "/dev/x", "major": 1, "minor": 1}]' 'linux.devices[0].type'
	refused '.linux.devices = [{"type": "c", "path": "dev/x", "major": 1, "minor": 1}]' 'linux.devices[0].path'
	refused '.linux.sysctl = {"kernel.panic": "1"}' linux.sysctl.kernel.panic
	refused '.linux.maskedPaths = ["relative"]' 'linux.maskedPaths[0]'
	refused '.linux.rootfsPropagation = "sideways"' linux.rootfsPropagation
	refused '.linux.seccomp = {"defaultAction": "SCMP_ACT_NONSENSE"}' linux.seccomp.defaultAction
	refused '.linux.resources.pids = {"limit": -5}' linux.resources.pids.limit
	refused '.mounts += [{"destination": "", "type": "tmpfs", "source": "t"}]' 'mounts[7].destination'
	refused '.mounts += [{"destination": "a/../../b", "type": "tmpfs", "source": "t"}]' 'mounts[7].destination'
	refused '.mounts += [{"destination": "/a/../b", "type": "tmpfs", "source": "t"}]' 'mounts[7].destination'
	refused '.mounts += [{"destination": "/", "type": "tmpfs", "source": "t"}]' 'mounts[7].destination'
	refused '.mounts += [{"destination": "/x", "source": "t"}]' 'mounts[7].type'
	refused '.mounts += [{"destination": "/x", "type": "bind", "options": ["bind"]}]' 'mounts[7].source'
	refused '.mounts += [{"destination": "/x", "type": "tmpfs", "source": "t", "options": ["ro,nosuid"]}]' 'mounts[7].options[0]'
	refused '.hooks.poststop = [{"path": "relative"}]' 'hooks.poststop[0].path'
}

@test "all wrong fields of a config.json are named at once" {
	edit '.process.cwd = "x" | .process.args = [] | .linux.maskedPaths = ["y"]'
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *process.cwd* && $output == *process.args* && $output == *linux.maskedPaths* ]]
}

@test "what only the kernel can refuse is refused with nothing left" {
	refused '.mounts += [{"destination": "/x", "type": "nonsensefs", "source": "t"}] | .root.readonly = false' 'mounts[7]'
	refused '.mounts += [{"destination": "/x", "type": "tmpfs", "source": "t", "options": ["size=lots"]}] | .root.readonly = false' 'size'
	refused '.mounts += [{"destination": "/x", "type": "bind", "source": "/no/such/source", "options": ["bind"]}]' 'mounts[7].source'
	refused '.process.user.uid = 4294967295' process.user
	[ "$(find "$BUNDLE/rootfs" -newer "$TMP/good.json" -name nonsense)" = "" ]
}

@test "JSON that is none is refused with line and column" {
	echo '{"ociVersion": "1.0.2", }' >"$BUNDLE/config.json"
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *line* ]]
	echo '{"ociVersion": 5}' >"$BUNDLE/config.json"
	creates --bundle "$BUNDLE" "$ID"
	[[ $output == *ociVersion* ]]
	: >"$BUNDLE/config.json"
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	rm "$BUNDLE/config.json"
	creates --bundle "$BUNDLE" "$ID"
	[[ $output == *config.json* ]]
}

@test "ids that could leave the state folder are refused" {
	for id in .. . a/b /abs '' "$(printf 'x%.0s' $(seq 256))" 'sp ace'; do
		creates --bundle "$BUNDLE" "$id"
		[ "$status" = 1 ]
		run dr delete --force "$id"
		[ "$status" = 1 ]
	done
}

@test "options and commands that do not exist are refused, help is given" {
	run dr nonsense
	[ "$status" = 3 ]
	[[ $output == *'unknown command "nonsense"'* ]]
	creates --nonsense "$ID"
	[ "$status" = 1 ]
	[[ $output == *"--nonsense"* ]]
	run dr create
	[ "$status" = 1 ]
	run dr --help
	[ "$status" = 0 ]
	[[ $output == *checkpoint* ]]
	creates --help
	[ "$status" = 0 ]
	[[ $output == *--console-socket* ]]
	run dr --version
	[[ $output == *"davit-runtime version"* && $output == *spec:* ]]
}

@test "each wrong use of the command line has runc's exit status" {
	local expected words status theirs
	while read -r expected words; do
		status=0
		# shellcheck disable=SC2086 # words are several
		"$BIN/davit-runtime" --root "$STATE" $words >"$TMP/out" 2>&1 </dev/null || status=$?
		[ "$status" = "$expected" ] || { echo "davit-runtime $words: $status"; cat "$TMP/out"; false; }
		command -v runc >/dev/null || continue
		theirs=0
		# shellcheck disable=SC2086
		runc --root "$TMP/runc" $words >"$TMP/out" 2>&1 </dev/null || theirs=$?
		[ "$status" = "$theirs" ] || { echo "$words: $status, runc's is $theirs"; false; }
	done <<-'LIST'
		0
		0 help
		0 help create
		0 --version
		0 list
		0 delete --force nobody
		1 --nonsense
		1 --root
		1 --log-format nonsense list
		1 --log /nonexistent/log list
		1 create
		1 create one two
		1 create --bundle /nonexistent one
		1 create --nonsense one
		1 run
		1 start nobody
		1 state nobody
		1 kill nobody
		1 kill nobody KILL more
		1 delete nobody
		1 ps nobody
		1 list more
		1 list --format nonsense
		1 pause nobody
		1 resume nobody
		1 update nobody
		1 update --memory nonsense nobody
		1 events nobody
		1 checkpoint nobody
		1 restore nobody
		3 nonsense
		3 init
		255 exec nobody
		255 exec nobody true
	LIST
}

@test "what is refused on purpose says why" {
	run dr --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *linux.cgroupsPath*SLICE:PREFIX:NAME* ]]
	edit '.annotations = {"org.systemd.property.TimeoutStopSec": "soon"}'
	run dr --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *annotations.org.systemd.property.TimeoutStopSec*'"soon"'* ]]
	creates --no-pivot --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *pivot* ]]
	edit '.process.terminal = true'
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *--console-socket* ]]
}

@test "with --log-format json an error is one JSON object, in the log file too" {
	run dr --log-format json state nobody
	[ "$status" = 1 ]
	[ "$(jq -r .level <<<"$output")" = error ]
	[[ $(jq -r .msg <<<"$output") == *"does not exist"* ]]
	run dr --log "$TMP/log" --log-format json state nobody
	[ "$(jq -r .level "$TMP/log")" = error ]
	[[ $(jq -r .time "$TMP/log") == 20*T* ]]
}

@test "the whole error goes to DAVIT_ERROR_FD" {
	edit '.process.cwd = "x"'
	DAVIT_ERROR_FD=9 "$BIN/davit-runtime" --root "$STATE" create --bundle "$BUNDLE" "$ID" 9>"$TMP/error" 2>/dev/null || true
	grep -qa invalid "$TMP/error"
	grep -qa process.cwd "$TMP/error"
}

@test "two creators of one id: one wins, the other is refused, and one container is there" {
	edit "$(args sleep 100)"
	for i in 1 2 3 4; do
		dr create --bundle "$BUNDLE" "$ID" </dev/null >"$TMP/out$i" 2>&1 &
	done
	wait
	[ "$(grep -l 'container with id exists' "$TMP"/out? | wc -l)" = 3 ]
	is created
}

@test "a creator that is killed half-way leaves what delete --force removes" {
	printf '#!/bin/sh\nexec sleep 60\n' >"$TMP/hook"
	chmod 755 "$TMP/hook"
	edit ".hooks.createRuntime = [{\"path\": \"$TMP/hook\"}]"
	"$BIN/davit-runtime" --root "$STATE" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
	creator=$!
	retry is creating
	retry pgrep -P $creator sleep
	later pkill -P $creator sleep
	sleeper=$(pgrep -P $creator sleep)
	kill -9 $creator
	kill -9 "$sleeper"
	retry dr delete --force "$ID"
	[ -z "$(dr list --quiet)" ]
	[ -z "$(find /sys/fs/cgroup -path "*/davit-test/$ID")" ]
}

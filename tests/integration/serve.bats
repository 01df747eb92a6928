#!/usr/bin/env bats
# The runtime core (davit-runtime serve) as davitd sees it.

setup_file() {
	load ../lib/common.bash
	load ../lib/core.bash
	core_image "$BATS_FILE_TMPDIR/busybox.tar"
}

setup() {
	load ../lib/common.bash
	load ../lib/core.bash
	common_setup
}

teardown() { common_teardown; }

start_with_image() {
	core_start
	ask '{"id":1,"imageImport":{"name":"busybox"}}' "0<$BATS_FILE_TMPDIR/busybox.tar"
}

# Fails if something below this folder of the core is mounted.
nothing_mounted() {
	if grep "$TMP/core/$1" /proc/self/mountinfo; then return 1; fi
}

LOOP='i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done'

@test "a container is created, started, looked at, stopped, started again and deleted, and leaves nothing" {
	start_with_image
	create web "$LOOP"
	state_is web created
	ask '{"id":1,"start":{"name":"web"}}'
	state_is web running
	[ "$(answer '.processes.processes[0].containerPid' '{"id":1,"processes":{"name":"web"}}')" = 1 ]
	[ "$(answer '.stats.pids > 0' '{"id":1,"stats":{"name":"web"}}')" = true ]
	[ "$(answer '.clock.containerBoottime > 0' '{"id":1,"clock":{"name":"web"}}')" = true ]
	ask '{"id":1,"kill":{"name":"web","signal":"KILL"}}'
	retry state_is web stopped
	[ "$(answer '.status.exitCode' '{"id":1,"get":{"name":"web"}}')" = 137 ]
	retry test ! -e "$TMP/core/run/runtime/web"
	ask '{"id":1,"start":{"name":"web"}}'
	state_is web running
	ask '{"id":1,"delete":{"name":"web","force":true}}'
	[ -z "$(find "$TMP/core/state/containers" "$TMP/core/state/logs" "$TMP/core/run/monitor" -mindepth 1)" ]
	nothing_mounted state
	core_stop
	nothing_mounted run
	[ -z "$(find /sys/fs/cgroup -maxdepth 2 -name "${PARENT#/}-core")" ]
}

@test "exec runs in the container and passes output, status, input and user" {
	start_with_image
	create web "$LOOP"
	ask '{"id":1,"start":{"name":"web"}}'
	run in_container web 'echo out; echo err >&2; hostname; exit 7'
	[ "$status" = 7 ]
	[[ $output == *out* && $output == *err* && $output == *web* ]]
	run "$CORECTL" run "$TMP/core/socket" '{"id":1,"exec":{"name":"web","process":{"args":["id"],"user":"redis"}}}'
	[[ $output == "uid=999(redis)"* ]]
	run "$CORECTL" run "$TMP/core/socket" '{"id":1,"exec":{"name":"web","process":{"args":["cat"],"stdin":true}}}' "typed"
	[ "$output" = typed ]
	run "$CORECTL" run "$TMP/core/socket" '{"id":1,"exec":{"name":"web","process":{"args":["no-such-program"]}}}'
	[ "$status" = 1 ]
}

@test "output goes to the log, which the agent's group may read and nobody else" {
	start_with_image
	create web 'echo hello'
	ask '{"id":1,"start":{"name":"web"}}'
	retry state_is web stopped
	grep -q 'stdout F hello$' "$TMP/core/state/logs/web/log"
	[ "$(stat -c %A "$TMP/core/state/logs" | cut -c8-10)" = --- ]
}

@test "subscribers are told of what was asked and of an end that nobody asked for" {
	start_with_image
	"$CORECTL" watch "$TMP/core/socket" 3 >"$TMP/events" 3>&- &
	retry grep -q '"id":1' "$TMP/events"
	create web 'exit 3'
	ask '{"id":1,"start":{"name":"web"}}'
	wait $!
	[ "$(jq -r 'select(.event) | .event.type' "$TMP/events" | tr '\n' ' ')" = "container.created container.started container.exited " ]
	[ "$(jq -r 'select(.event.type == "container.exited") | .event.status.exitCode' "$TMP/events")" = 3 ]
}

@test "malformed requests are answered and harm nobody" {
	core_start
	run "$CORECTL" raw "$TMP/core/socket" ff
	[ "$(jq -r .error.code <<<"$output")" = protocol ]
	run "$CORECTL" raw "$TMP/core/socket" 0805ffff
	[ "$(jq -r '"\(.id) \(.error.code)"' <<<"$output")" = "5 protocol" ]
	run "$CORECTL" raw "$TMP/core/socket" 080a
	[ "$(jq -r .error.code <<<"$output")" = protocol ]
	for name in ../x . a/b '' .create; do
		run ask "{\"id\":1,\"delete\":{\"name\":\"$name\",\"force\":true}}"
		[ "$(jq -r .error.code <<<"$output")" = invalid ]
		run ask "{\"id\":1,\"imageRemove\":{\"name\":\"$name\"}}"
		[ "$(jq -r .error.code <<<"$output")" = invalid ]
	done
	core_answers core
}

refused() { # CODE FIELD MORE
	run create web true "$3"
	[ "$status" = 1 ]
	[ "$(jq -r '"\(.error.code) \(.error.field)"' <<<"$output")" = "$1 $2" ]
}

@test "an agent gets no more than the host's policy, and nothing is left of a refusal" {
	mkdir -p "$TMP/shared"
	ln -s /etc "$TMP/shared/out"
	POLICY="{\"bindPaths\":[\"$TMP/shared\"]}" start_with_image
	refused denied 'mounts[0].source' '"mounts":[{"type":"bind","source":"/","target":"/x"}]'
	refused denied 'mounts[0].source' '"mounts":[{"type":"bind","source":"/etc","target":"/x"}]'
	refused denied 'mounts[0].source' "\"mounts\":[{\"type\":\"bind\",\"source\":\"$TMP/shared/out\",\"target\":\"/x\"}]"
	refused denied 'mounts[0].source' "\"mounts\":[{\"type\":\"bind\",\"source\":\"$TMP/shared/out/passwd\",\"target\":\"/x\"}]"
	refused denied 'capAdd[0]' '"capAdd":["CAP_SYS_ADMIN"]'
	refused denied networkMode '"networkMode":"host"'
	refused denied hostUserNamespace '"hostUserNamespace":true'
	refused denied seccomp '"seccomp":"unconfined"'
	refused denied 'devices[0].path' '"devices":[{"path":"/dev/vda"}]'
	refused denied 'sysctls[0]' '"sysctls":[{"key":"kernel.core_pattern","value":"|/x"}]'
	run ask "{\"id\":1,\"create\":$(spec web true '' 0)}"
	[ "$(jq -r .error.code <<<"$output")" = denied ]
	run ask "{\"id\":1,\"create\":$(spec web true '"image":"nope"')}"
	[ "$(jq -r .error.code <<<"$output")" = not_found ]
	run ask '{"id":1,"networkEnsure":{"name":"mine","bridge":"eth0","subnet":"1.1.1.0/24","gateway":"1.1.1.1"}}'
	[ "$(jq -r .error.code <<<"$output")" = not_found ]
	[ -z "$(ls -A "$TMP/core/state/containers")" ]
	nothing_mounted state
}

@test "an allowed host path is mounted without set-id and devices, read-only where asked" {
	mkdir -p "$TMP/shared/d"
	echo text >"$TMP/shared/d/f"
	chmod 755 "$TMP" "$TMP/shared" "$TMP/shared/d"
	POLICY="{\"bindPaths\":[\"$TMP/shared\"]}" start_with_image
	create web "$LOOP" "\"mounts\":[{\"type\":\"bind\",\"source\":\"$TMP/shared/d\",\"target\":\"/x\",\"readOnly\":true}]"
	ask '{"id":1,"start":{"name":"web"}}'
	run in_container web 'cat /x/f; grep " /x " /proc/mounts; touch /x/g'
	[[ $output == text*ro,nosuid,nodev* ]]
	[ "$status" != 0 ]
	ask '{"id":1,"delete":{"name":"web","force":true}}'
	[ -e "$TMP/shared/d/f" ]
	# What was allowed became a link to what is not.
	mkdir "$TMP/closed"
	ln -s ../closed "$TMP/shared/out"
	run create web "$LOOP" "\"mounts\":[{\"type\":\"bind\",\"source\":\"$TMP/shared/out\",\"target\":\"/x\"}]"
	[ "$(jq -r .error.code <<<"$output")" = denied ]
}

@test "ids of another container are not given twice" {
	start_with_image
	create one true
	run create two true
	[ "$(jq -r .error.code <<<"$output")" = exists ]
	create two true '' 1065536
}

@test "a channel for one container serves no other, nor the host" {
	start_with_image
	create one "$LOOP"
	create two "$LOOP" '' 1065536
	limited() { "$CORECTL" limited "$TMP/core/socket" one "$1"; }
	[ "$(limited '{"id":1,"get":{"name":"one"}}' | jq -r .status.state)" = created ]
	[ "$(limited '{"id":1,"start":{"name":"one"}}' | jq -r .status.state)" = running ]
	for request in '"get":{"name":"two"}' '"delete":{"name":"two","force":true}' '"list":{}' '"imageRemove":{"name":"one"}' '"facts":{}' '"channel":{}' \
		'"channel":{"name":"two"}'; do
		run limited "{\"id\":1,$request}"
		[ "$(jq -r .error.code <<<"$output")" = denied ]
	done
}

@test "a core that is killed leaves running containers running, and the next finds them" {
	start_with_image
	create web "$LOOP"
	ask '{"id":1,"start":{"name":"web"}}'
	pid=$(answer .status.pid '{"id":1,"get":{"name":"web"}}')
	core_fall
	kill -0 "$pid"
	core_start
	state_is web running
	[ "$(answer .status.pid '{"id":1,"get":{"name":"web"}}')" = "$pid" ]
	in_container web true
	lines=$(wc -l <"$TMP/core/state/logs/web/log")
	more_lines() { [ "$(wc -l <"$TMP/core/state/logs/web/log")" -gt "$lines" ]; }
	retry more_lines
}

@test "a container that ends while no core is there is found stopped, with its exit status" {
	start_with_image
	create web 'sleep 0.5; exit 5'
	ask '{"id":1,"start":{"name":"web"}}'
	core_fall
	retry test -e "$TMP/core/state/containers/web/exit.json"
	core_start
	state_is web stopped
	[ "$(answer .status.exitCode '{"id":1,"get":{"name":"web"}}')" = 5 ]
	nothing_mounted state/containers/web
}

@test "a core that is killed while it creates leaves whole containers or none" {
	start_with_image
	for delay in 0.002 0.005 0.01 0.02 0.03; do
		create web "$LOOP" >/dev/null 2>&1 3>&- &
		sleep "$delay"
		core_fall
		wait $! || true
		core_start
		settled() {
			local s
			s=$(state_of web)
			[ "$s" = created ] || [ "$s" = null ]
		}
		retry settled
		ask '{"id":1,"delete":{"name":"web","force":true}}' >/dev/null || true
		[ -z "$(ls -A "$TMP/core/state/containers")" ]
		nothing_mounted state/containers
	done
}

@test "half-made containers are removed at the start, kept layers are not" {
	start_with_image
	create web "$LOOP"
	create kept 'echo data >/data/f; sleep 100' '' 1065536
	ask '{"id":1,"start":{"name":"kept"}}'
	retry in_container kept 'test -s /data/f'
	ask '{"id":1,"delete":{"name":"kept","force":true,"keepLayer":true}}'
	core_stop
	rm "$TMP/core/state/containers/web/ready"
	core_start
	[ "$(answer .error.code '{"id":1,"get":{"name":"web"}}')" = not_found ]
	[ ! -e "$TMP/core/state/containers/web" ]
	[ "$(cat "$TMP/core/state/containers/kept/layer/upper/data/f")" = data ]
	run create kept true
	[ "$(jq -r .error.code <<<"$output")" = exists ]
	ask '{"id":1,"delete":{"name":"kept"}}'
	[ ! -e "$TMP/core/state/containers/kept" ]
}

@test "two cores do not serve the same folders" {
	core_start
	run "$BIN/davit-runtime" serve --socket-fd 9 --state-dir "$TMP/core/state" --run-dir "$TMP/core/run" --bin-dir "$BIN" --cgroup-parent "$PARENT-core" 9<>/dev/null
	[ "$status" != 0 ]
	[[ $output == *"another core"* ]]
}

#!/usr/bin/env bats
# davitd and davit as a whole: who may do what, what is refused, and what outlives what.
load ../lib/common
load ../lib/agent

setup_file() { agent_up; }
teardown_file() { agent_down; }
teardown() {
	local name
	for name in $(davit ps --all --quiet 2>/dev/null); do davit rm --force "$name" >/dev/null 2>&1; done
	return 0
}

@test "davitd serves as its user, without capabilities, groups or new privileges" {
	run cat "/proc/$(agent_pid)/status"
	[[ $output =~ Uid:[[:space:]]$(id -u davit)[[:space:]] ]]
	[[ $output =~ CapEff:[[:space:]]0000000000000000 ]]
	[[ $output =~ CapBnd:[[:space:]]0000000000000000 ]]
	[[ $output =~ NoNewPrivs:[[:space:]]1 ]]
	[[ $output =~ Seccomp:[[:space:]]2 ]]
	grep -qE '^Groups:\s*$' "/proc/$(agent_pid)/status"
}

@test "a peer without a valid certificate gets no answer at all" {
	# What counts is the body: curl's own words about a closed connection differ ("Broken pipe" has an "ok" in it).
	no_answer() {
		local body
		body=$(nsenter "--net=/run/netns/$AGENT_NS" -- curl -sS --max-time 60 "$@" 2>/dev/null) && return 1
		[ -z "$body" ]
	}
	no_answer --cacert "$AGENT/ca.crt" https://127.0.0.1:7440/healthz
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$AGENT/own.key" -out "$AGENT/own.crt" -subj "/OU=operator/CN=own" -days 1 2>/dev/null
	no_answer --cacert "$AGENT/ca.crt" --cert "$AGENT/own.crt" --key "$AGENT/own.key" https://127.0.0.1:7440/healthz
	no_answer http://127.0.0.1:7440/healthz
}

@test "roles of certificates: a reader reads, an operator changes, a peer moves, a stranger nothing" {
	[ "$(remote reader GET /healthz)" = ok ]
	remote reader GET /v1/containers | jq -e . >/dev/null
	[ "$(remote reader POST /v1/snapshots/prune | jq -r .code)" = denied ]
	[ "$(remote reader GET /v1/peer/moves/x/state | jq -r .code)" = denied ]
	[ "$(remote operator POST /v1/containers/none/start | jq -r .code)" = not_found ]
	[ "$(remote operator GET /v1/peer/moves/x/state | jq -r .code)" = denied ]
	[ "$(remote peer GET /v1/containers | jq -r .code)" = denied ]
	[ "$(remote peer GET /v1/peer/moves/0123456789abcdef0123456789abcdef/state | jq -r .state)" = unknown ]
	[ "$(remote nobody GET /healthz | jq -r .code)" = denied ]
}

@test "a user outside the group cannot use the socket" {
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$BIN/davit" ps
	[ "$status" -ne 0 ]
	[[ $output == *"no agent answers"* || $output == *"may not use"* ]]
}

@test "a repeated request with one key makes one container and gets the same answer" {
	local body='{"spec": {"name": "once", "image": "base", "process": {"args": ["/bin/sleep", "1000"]}}}'
	first=$(api POST /v1/containers -H 'Idempotency-Key: k1' -d "$body" | jq -S .)
	second=$(api POST /v1/containers -H 'Idempotency-Key: k1' -d "$body" | jq -S .)
	[ "$first" = "$second" ]
	[ "$(jq -r .name <<<"$first")" = once ]
	[ "$(api POST /v1/containers -d "$body" | jq -r .code)" = exists ]
	[ "$(api POST /v1/containers -H 'Idempotency-Key: k1' -d '{"spec": {"name": "other", "image": "base"}}' | jq -r .field)" = Idempotency-Key ]
	[ "$(api GET /v1/containers | jq '.containers | length')" = 1 ]
}

@test "malformed requests are refused with code and field, and leave nothing" {
	refused() { # CODE FIELD BODY
		run api POST /v1/containers -w '%{http_code}' -d "$3"
		[ "$(head -c -3 <<<"$output" | jq -r .code)" = "$1" ] || { echo "$3 → $output"; return 1; }
		[ "$(head -c -3 <<<"$output" | jq -r '.field // ""')" = "$2" ] || { echo "$3 → $output"; return 1; }
		[[ $output =~ 4[0-9][0-9]$ ]]
	}
	refused invalid spec.procesz '{"spec": {"name": "x", "image": "base", "procesz": {}}}'
	refused invalid spec.process.args '{"spec": {"name": "x", "image": "base"}}'
	refused invalid spec.name '{"spec": {"name": "../x", "image": "base", "process": {"args": ["/bin/true"]}}}'
	refused not_found '' '{"spec": {"name": "x", "image": "none", "process": {"args": ["/bin/true"]}}}' || refused not_found image '{"spec": {"name": "x", "image": "none", "process": {"args": ["/bin/true"]}}}'
	refused not_found 'spec.attachments[0]' '{"spec": {"name": "x", "image": "base", "process": {"args": ["/bin/true"]}, "attachments": [{"network": "no"}]}}'
	run api POST /v1/containers -d '{"spec": '
	[ "$(jq -r .code <<<"$output")" = invalid ]
	head -c 2000000 /dev/zero | tr '\0' ' ' >"$AGENT/big"
	run api POST /v1/containers --data-binary "@$AGENT/big"
	[ "$(jq -r .code <<<"$output")" = limit ]
	rm "$AGENT/big"
	[ "$(api PUT /v1/containers -o /dev/null -w '%{http_code}')" = 405 ]
	[ "$(api GET '/v1/containers?x=1' | jq -r .field)" = x ]
	[ "$(api GET /v1/containers | jq '.containers // [] | length')" = 0 ]
}

@test "JSON and protobuf are the same API" {
	davit create --name both --image base -- /bin/sleep 1 >/dev/null
	api GET /v1/containers/both -H 'Accept: application/x-protobuf' -o "$AGENT/both.pb" -D "$AGENT/head"
	grep -qi '^content-type: application/x-protobuf' "$AGENT/head"
	grep -q both "$AGENT/both.pb"
	[ "$(api POST /v1/containers/both/kill -H 'Content-Type: application/x-protobuf' --data-binary $'\x0a\x03BAD' | jq -r .code)" != internal ]
	[ "$(api POST /v1/containers/both/kill -H 'Content-Type: application/x-protobuf' --data-binary $'\xff\xff' | jq -r .code)" = invalid ]
	[ "$(api POST /v1/containers/both/kill -H 'Content-Type: text/csv' -d x | jq -r .field)" = Content-Type ]
}

@test "run passes output, input and exit status" {
	run davit run --rm --name fg --image base -- /bin/sh -c 'echo out; echo err >&2; exit 3'
	[ "$status" = 3 ]
	[[ $output == *out* && $output == *err* ]]
	[ "$(echo hello | davit run --rm -i --name fg --image base -- /bin/cat)" = hello ]
	[ "$(head -c 3000000 /dev/zero | davit run --rm -i --name fg --image base -- /bin/wc -c)" = 3000000 ]
	run davit run --rm --name fg --image base -- /bin/nosuch
	[ "$status" = 66 ]
	[ -z "$(davit ps --all --quiet)" ]
}

@test "exec runs in the container and ends as its process did" {
	davit run --detach --name box --image base -- /bin/sleep 1000 >/dev/null
	run davit exec box /bin/sh -c 'echo in $(hostname); exit 7'
	[ "$status" = 7 ]
	[ "$output" = "in box" ]
	[ "$(echo text | davit exec -i box /bin/tr a-z A-Z)" = TEXT ]
	[ "$(davit exec --user 999:999 --env A=b box /bin/sh -c 'echo $(id -u) $A')" = "999 b" ]
	run davit exec none /bin/true
	[ "$status" = 66 ]
}

@test "a terminal has the size of ours and passes keys" {
	davit run --detach --name tty --image base -- /bin/sleep 1000 >/dev/null
	run timeout 60 script -qec "stty rows 33 cols 77; $BIN/davit exec -t -i tty /bin/stty size" /dev/null
	[[ $status = 0 && $output == *"33 77"* ]]
}

@test "a key whose request davitd's end interrupted finds what was done" {
	local body='{"start": true, "spec": {"name": "cut", "image": "base", "process": {"args": ["/bin/sleep", "1000"]}}}' delay
	for delay in 0 0.01 0.02 0.03 0.05; do
		api POST /v1/containers -H "Idempotency-Key: cut-$delay" -d "$body" >/dev/null 2>&1 &
		sleep "$delay"
		agent_stop KILL
		wait $! || true
		agent_start
		run api POST /v1/containers -H "Idempotency-Key: cut-$delay" -d "$body" -o /dev/null -w '%{http_code}'
		[ "$output" = 201 ]
		[ "$(api GET /v1/containers/cut | jq -r .state)" = running ]
		davit rm --force cut
	done
}

@test "the database can be copied while davitd runs, and is one davitd's" {
	[ "$(timeout 60 python3 -c "import sqlite3; s = sqlite3.connect('file:$AGENT/state/agent/agent.db?mode=ro', uri=True); d = sqlite3.connect(':memory:'); s.backup(d)
print(d.execute('select count(*) > 0 from event').fetchone()[0])")" = 1 ]
	run timeout 60 "$BIN/davitd" --config "$AGENT/davitd.json" --run-dir "$AGENT/other"
	[[ $status = 75 && $output == *"is in use"* ]]
	umount "$AGENT/other/tmp" 2>/dev/null || true
	rm -rf "$AGENT/other"
}

@test "whoever started davitd hears when it is ready and when it stops" {
	python3 - "$AGENT/notify" >"$AGENT/heard" <<-'PY' 3>&- &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(60)
		for _ in range(2):
		    print(s.recv(1000).decode().splitlines()[0], flush=True)
	PY
	local listener=$!
	retry [ -S "$AGENT/notify" ]
	agent_stop
	NOTIFY_SOCKET=$AGENT/notify agent_start
	retry grep -q READY=1 "$AGENT/heard"
	! tr '\0' '\n' <"/proc/$(pgrep -P "$(agent_pid)" davit-runtime)/environ" | grep -q NOTIFY_SOCKET
	agent_stop
	wait "$listener"
	[ "$(tail -1 "$AGENT/heard")" = STOPPING=1 ]
	agent_start
}

@test "an obstacle to a move is an event when it arises and when it is gone" {
	cp "$AGENT/davitd.json" "$AGENT/kept.json"
	jq '.mobilityCheckS = 1' "$AGENT/kept.json" >"$AGENT/davitd.json"
	agent_stop
	agent_start
	davit run --detach --name tied --image base -- /bin/sleep 1000 >/dev/null
	[ "$(api GET /v1/containers/tied/mobility | jq '.memoryBytes > 0 and (.obstacles | not)')" = true ]
	davit exec tied /bin/sh -c 'until [ -e /tmp/done ]; do sleep 0.05; done' 3>&- &
	local session=$! told
	told() { timeout 1 curl -sN --unix-socket "$AGENT/run/davit.sock" 'http://localhost/v1/events?container=tied&after=0' | grep -qx "event: container.$1"; }
	retry told immobile
	api GET /v1/containers/tied/mobility | jq -e '.obstacles[0] | .kind == "exec_session" and .remedy'
	davit exec tied /bin/touch /tmp/done
	wait "$session" || true
	retry told mobile
	mv "$AGENT/kept.json" "$AGENT/davitd.json"
	agent_stop
	agent_start
}

@test "each thing that happens to a container is told once" {
	davit run --detach --name told --image base -- /bin/true >/dev/null
	events() { timeout 1 curl -sN --unix-socket "$AGENT/run/davit.sock" 'http://localhost/v1/events?container=told&after=0' | sed -n 's/^event: container.//p' | paste -sd' '; }
	retry eval '[ "$(events)" = "created started exited" ]'
	davit rm told
	retry eval '[ "$(events)" = "created started exited removed" ]'
}

@test "a reader that takes its time gets all of an exec session's output" {
	davit run --detach --name slow --image base -- /bin/sleep 1000 >/dev/null
	[ "$(davit exec slow head -c 20000000 /dev/zero | { sleep 2.5; wc -c; })" = 20000000 ] # longer than a stalled client of a container is waited for
}

@test "logs follow until the container ends; tail and since choose" {
	davit run --detach --name talk --image base -- /bin/sh -c 'for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; echo end >&2' >/dev/null
	run timeout 60 "$BIN/davit" logs --follow talk
	[ "$status" = 0 ]
	[ "$(grep -c line <<<"$output")" = 5 ]
	[[ $output == *end* ]]
	[ "$(davit logs --tail 2 talk 2>&1 | wc -l)" = 2 ]
	[ -z "$(davit logs --since 0s talk 2>&1)" ]
	run davit logs --since 2999-99-99T talk
	[ "$status" != 0 ]
}

@test "stop sends the stop signal first and SIGKILL after the timeout" {
	davit run --detach --name polite --image base -- /bin/sh -c 'trap "exit 5" TERM; while :; do sleep 0.05; done' >/dev/null
	davit stop polite
	[ "$(api GET /v1/containers/polite | jq '.exitCode')" = 5 ]
	davit run --detach --name stubborn --image base -- /bin/sh -c 'trap "" TERM; while :; do sleep 0.05; done' >/dev/null
	davit stop --timeout 1 stubborn
	[ "$(api GET /v1/containers/stubborn | jq '.exitSignal')" = 9 ]
	run davit rm polite stubborn
	[ "$status" = 0 ]
}

@test "events can be resumed after the last one seen" {
	local last
	davit run --detach --name seen --image base -- /bin/sleep 1000 >/dev/null
	heard() { # EVENT OPTION…: what a reader is told in a second has it
		local what=$1
		shift
		timeout 1 curl -sN --unix-socket "$AGENT/run/davit.sock" "$@" >"$AGENT/events"
		grep -q "^event: container.$what" "$AGENT/events"
	}
	retry heard started 'http://localhost/v1/events?after=1'
	last=$(grep '^id: ' "$AGENT/events" | tail -1 | cut -c5-)
	davit rm --force seen
	retry heard removed -H "Last-Event-ID: $last" http://localhost/v1/events
	[ "$(grep '^id: ' "$AGENT/events" | head -1 | cut -c5-)" = $((last + 1)) ]
}

@test "addresses and ports are given once and come free with the container" {
	davit run --detach --name n1 --image base --network lan --ip 10.66.0.4 -- /bin/sleep 1000 >/dev/null
	[ "$(davit inspect n1 | jq -r '.spec.attachments[0].mac')" = 02:da:0a:42:00:04 ]
	run davit run --detach --name n2 --image base --network lan --ip 10.66.0.4 -- /bin/sleep 1000
	[ "$status" = 73 ]
	davit rm --force n1
	davit run --detach --name n2 --image base --network lan --ip 10.66.0.4 -- /bin/sleep 1000 >/dev/null
	[[ $(davit exec n2 /bin/ip -4 addr show eth0) == *10.66.0.4/29* ]]
}

@test "a killed davitd loses no container and no log line; the next one finds them" {
	davit run --detach --name keeps --image base -- /bin/sh -c 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done' >/dev/null
	retry eval '[ "$(davit logs keeps | wc -l)" -gt 5 ]'
	pid=$(davit inspect keeps | jq .pid)
	agent_stop KILL
	sleep 0.3
	kill -0 "$pid"
	agent_start
	[ "$(davit inspect keeps | jq -r '.state, .pid')" = "$(printf 'running\n%s' "$pid")" ]
	davit stop --timeout 0 keeps
	davit logs keeps >"$AGENT/lines"
	[ "$(cat "$AGENT/lines")" = "$(seq 0 "$(tail -1 "$AGENT/lines")")" ]
}

@test "a container that ended while no davitd was there is told with its exit code" {
	davit run --detach --name ends --image base -- /bin/sh -c 'sleep 0.5; exit 4' >/dev/null
	agent_stop KILL
	retry test -s "$AGENT/state/containers/ends/exit.json"
	agent_start
	[ "$(davit inspect ends | jq -r '.state, .exitCode')" = "$(printf 'stopped\n4')" ]
}

@test "a second davitd on the same folders is refused" {
	run timeout 60 nsenter "--net=/run/netns/$AGENT_NS" -- "$BIN/davitd" --config "$AGENT/davitd.json"
	[ "$status" = 75 ]
	[[ $output == *"another davitd serves here"* ]]
}

@test "without its core davitd ends and says so; containers go on" {
	davit run --detach --name alone --image base -- /bin/sleep 1000 >/dev/null
	pid=$(davit inspect alone | jq .pid)
	kill -KILL "$(pgrep -P "$(agent_pid)" -f 'davit-runtime serve' | head -1)"
	retry eval '! kill -0 "$(agent_pid)" 2>/dev/null'
	tail -1 "$AGENT/log" | grep -q 'runtime core ended'
	kill -0 "$pid"
	agent_start
	[ "$(davit inspect alone | jq -r .state)" = running ]
}

@test "a bad configuration is refused by field" {
	bad() { # FIELD JQ
		jq "$2" "$AGENT/davitd.json" >"$AGENT/bad.json"
		run "$BIN/davitd" --config "$AGENT/bad.json" --check-config
		[ "$status" != 0 ] || { echo "$2 was taken"; return 1; }
		[[ $output == *"$1"* ]] || { echo "$2 → $output"; return 1; }
	}
	run "$BIN/davitd" --config "$AGENT/davitd.json" --check-config
	[ "$status" = 0 ]
	bad tlsKey 'del(.tlsKey)'
	bad listen '.listen = "nowhere"'
	bad 'networks[0].subnet' '.networks[0].subnet = "10.0.0.0"'
	bad user '.user = "root"'
	bad peers '.peers = [{name: "b", url: "http://b"}]'
	bad nosuch '.nosuch = 1'
	bad logLevel '.logLevel = "loud"' || bad level '.logLevel = "loud"'
}

counter() { # NAME: a container that counts in a file on its tmpfs
	davit run --detach --name "$1" --image base --tmpfs /t:size=1m -- /bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i >/t/n.new; mv /t/n.new /t/n; sleep 0.02; done' >/dev/null
	retry eval '[ "$(davit exec '"$1"' /bin/cat /t/n 2>/dev/null || echo 0)" -gt 3 ]'
}
counted() { davit exec "$1" /bin/cat /t/n; }
need_criu() { davit info --json | jq -e '.facts.criuPath and (.facts.criuProblem | not)' >/dev/null || skip "no criu that works here"; }

@test "a snapshot leaves its container running, restores as a clone with changed limits, and goes" {
	need_criu
	counter count
	davit update count --pids 88
	run davit update count --memory 4k
	[[ $status != 0 && $output == *"--memory"*"1 MiB"* ]]
	run davit snapshot create count --label by=test
	[ "$status" = 0 ]
	[ -z "$output" ]
	at=$(counted count)
	retry eval '[ "$(counted count)" -gt "$at" ]'
	id=$(davit snapshot list count --json | jq -r '.snapshots[-1].id')
	[ "$(davit snapshot list count --json | jq -r '.snapshots[-1].labels[0].value')" = test ]
	davit snapshot restore "$id" --name clone
	[ "$(counted clone)" -gt 3 ]
	[ "$(davit inspect clone | jq .spec.limits.pids)" = 88 ]
	[ "$(davit inspect clone | jq -r .id)" != "$(davit inspect count | jq -r .id)" ]
	run davit snapshot restore "$id"
	[ "$status" = 73 ]
	davit rm --force count
	davit snapshot restore "$id"
	[ "$(counted count)" -gt 3 ]
	davit snapshot rm "$id"
	run davit snapshot restore "$id" --name again
	[ "$status" = 66 ]
}

@test "with a key snapshots are encrypted, restored, and of no use without it" {
	need_criu
	head -c 32 /dev/urandom >"$AGENT/snapshot.key"
	chmod 600 "$AGENT/snapshot.key"
	cp "$AGENT/davitd.json" "$AGENT/kept.json"
	jq --arg k "$AGENT/snapshot.key" '.snapshotKey = $k' "$AGENT/kept.json" >"$AGENT/davitd.json"
	agent_stop
	agent_start
	davit run --detach --name secret --image base --env WORD=a-word-of-mine-42 -- /bin/sleep 1000 >/dev/null
	davit snapshot create secret
	local id
	id=$(davit snapshot list secret --json | jq -r '.snapshots[-1].id')
	davit rm --force secret
	! grep -rq a-word-of-mine-42 "$AGENT/state/agent/snapshots/snapshots"
	davit snapshot restore "$id"
	davit exec secret /bin/true
	davit rm --force secret
	mv "$AGENT/kept.json" "$AGENT/davitd.json"
	agent_stop
	agent_start
	run davit snapshot restore "$id"
	[[ $status = 77 && $output == *encrypted* ]]
	rm "$AGENT/state/agent/snapshots/snapshots/$id".*
}

@test "a snapshot is not restored on another image of the same name" {
	need_criu
	davit image import other "$AGENT/base.tar" >/dev/null
	davit run --detach --name onto --image other -- /bin/sleep 1000 >/dev/null
	davit snapshot create onto
	local id
	id=$(davit snapshot list onto --json | jq -r '.snapshots[-1].id')
	davit rm --force onto
	run davit image rm other
	[[ $status != 0 && $output == *"used by snapshot $id"* ]]
	davit image rm --force other
	mkdir "$AGENT/more"
	echo more >"$AGENT/more/more"
	cp "$AGENT/base.tar" "$AGENT/other.tar"
	tar -C "$AGENT/more" -rf "$AGENT/other.tar" ./more
	davit image import other "$AGENT/other.tar" >/dev/null
	run davit snapshot restore "$id"
	[[ $status = 87 && $output == *"image other is another one"* ]]
	[ -z "$(davit ps --all --quiet | grep -x onto)" ]
	davit image rm --force other
	davit image import other "$AGENT/base.tar" >/dev/null
	davit snapshot restore "$id"
	run davit image rm --force other
	[[ $status != 0 && $output == *"used by container onto"* ]]
	davit rm --force onto
	for id in $(davit snapshot list onto --json | jq -r '.snapshots[].id'); do
		davit snapshot rm "$id"
	done
	davit image rm other
}

@test "a checkpointed container is gone from the host and goes on where it was" {
	need_criu
	counter kept
	davit checkpoint kept
	[ "$(davit inspect kept | jq -r .state)" = checkpointed ]
	run davit exec kept /bin/true
	[ "$status" != 0 ]
	id=$(davit snapshot list kept --json | jq -r '.snapshots[-1].id')
	run davit snapshot rm "$id"
	[ "$status" = 79 ]
	agent_stop
	agent_start
	davit restore kept
	[ "$(counted kept)" -gt 3 ]
	davit rm --force kept
	davit snapshot rm "$id"
}

@test "a refused move is on record as aborted, a check is not on record" {
	need_criu
	counter stays
	davit exec --interactive stays /bin/sleep 1000 </dev/null >/dev/null 2>&1 &
	retry eval 'davit top stays | grep -q "sleep 1000"'
	run davit migrate stays https://127.0.0.1:7440 --check
	[ "$status" = 86 ]
	[ "$(davit migrations ls --json | jq '.migrations | length')" = 0 ]
	run davit migrate stays https://127.0.0.1:7440
	[ "$status" = 86 ]
	[ "$(davit migrations ls --json | jq -r '.migrations[].state')" = aborted ]
}

@test "prune keeps what its rules say and refuses to keep nothing" {
	need_criu
	counter old
	for _ in 1 2 3; do davit snapshot create old; done
	run davit snapshot prune old
	[ "$status" = 64 ]
	[[ $(davit snapshot prune old --keep-last 1 --dry-run) == *"2 removed, 1 kept"* ]]
	davit snapshot prune old --keep-last 1
	[ "$(davit snapshot list old --json | jq '.snapshots | length')" = 1 ]
	davit snapshot rm "$(davit snapshot list old --json | jq -r '.snapshots[0].id')"
}

@test "metrics and the description of the API are well formed" {
	davit run --detach --name m --image base --memory 32m -- /bin/sleep 1000 >/dev/null
	run api GET /metrics
	[[ $output == *'davit_containers{state="running"} 1'* ]]
	[[ $output =~ davit_container_memory_limit_bytes\{container=\"m\"\}\ 3\.?[0-9e+]* ]]
	api GET /v1/openapi.json | jq -e '.paths["/v1/containers/{name}/migrate"].post and .components.schemas.Problem' >/dev/null
}

@test "an idle davitd needs at most 8 MiB" {
	! sanitized || skip "the sanitizer's own memory counts"
	agent_stop
	agent_start
	davit ps >/dev/null
	rss=$(awk '/VmRSS/ { print $2 }' "/proc/$(agent_pid)/status")
	[ "$rss" -le 8192 ] || { echo "$rss KiB"; return 1; }
}

# with_policy JSON: the agent and its core start anew with it
with_policy() {
	echo "$1" >"$AGENT/policy.json"
	agent_stop
	agent_start
}

@test "calls are done for a container as the policy allows, across restarts of the agent, with a line in its log; a move is refused for it" {
	with_policy '{"seccompSupervisor": {"mknod": ["c 1:*"], "mount": ["tmpfs"], "sysctl": ["kernel.shm"]}}'
	run davit create --name not --image base --supervise mount=overlay -- /bin/true
	[[ $status != 0 && $output == *policy* ]]
	davit run --detach --name helped --image base --supervise 'mknod=c 1:8' --supervise mount=tmpfs -- /bin/sh -c 'until [ -e /tmp/go ]; do sleep 0.05; done
		mknod /node c 1 8; mkdir /m; mount -t tmpfs none /m; mknod -m 600 /m/node c 1 8; ls -ln /node /m/node; head -c 1 /m/node | wc -c; head -c 1 /node | wc -c; grep /m/node /proc/mounts; echo end; exec sleep 1000' >/dev/null
	agent_stop KILL
	agent_start
	davit exec helped -- /bin/touch /tmp/go
	retry eval 'davit logs helped | grep -q end'
	davit logs helped
	[ "$(davit logs helped | grep -c '1,   8')" = 2 ]
	[ "$(davit logs helped | grep -cx 1)" = 2 ]
	grep '"msg":"supervised call"' "$AGENT/log" | jq -es 'map(select(.container == "helped" and .call == "mknod" and .decision == "done")) | length == 2' >/dev/null
	[ "$(davit exec helped -- /bin/mknod /tmp/again c 1 8 && echo done)" = done ]
	api GET /v1/containers/helped/mobility | jq -e '[.obstacles[].kind] | index("seccomp_listener")'
	davit rm --force helped
	with_policy '{}'
}

@test "a container reaches the paths that Landlock is told, and no other; info tells whether the kernel has it" {
	[[ $(davit info) =~ "Landlock ABI "([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" != 0 ] || skip "this kernel has no Landlock"
	run davit run --rm --name held --image base --landlock ro=/bin --landlock rw=/data -- /bin/sh -c 'touch /data/x && echo data; cat /etc/passwd || echo closed'
	echo "$output"
	[[ $output == *data*closed* ]]
	davit run --detach --name held --image base --landlock ro=/ -- /bin/sleep 1000 >/dev/null
	[ "$(davit exec held -- /bin/touch /tmp/x 2>/dev/null; echo $?)" = 1 ]
	api GET /v1/containers/held/mobility | jq -e '[.obstacles[].kind] | index("landlock")'
	run davit create --name none --image base --landlock rw=data -- /bin/true
	[ "$status" = 64 ]
}

@test "file capabilities of an image and of a layer count in the container, and go with a copy to other ids" {
	local root=$AGENT/filecaps held='CapEff:0000000000000400'
	caps() { davit exec --user 999:999 "$1" -- /bin/sh -c "$2 grep CapEff /proc/self/status; true" | tr -d '\t'; }
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$AGENT/filecaps.tar" "$(command -v setcap)=/bin/setcap"
	mkdir "$root"
	tar -C "$root" -xf "$AGENT/filecaps.tar"
	install -D "$root/bin/busybox" "$root/opt/busybox"
	setcap cap_net_bind_service=ep "$root/opt/busybox"
	tar -C "$root" --numeric-owner --xattrs --xattrs-include='*' -cf "$AGENT/filecaps.tar" .
	davit image import filecaps "$AGENT/filecaps.tar" >/dev/null
	with_policy '{"allowNewPrivileges": true, "capabilities": ["CAP_SETFCAP"]}'
	davit run --detach --name files --image filecaps --cap-add CAP_SETFCAP --security-opt no-new-privileges=false -- /bin/sleep 1000 >/dev/null
	davit exec files -- /bin/sh -c 'mkdir /own && cp /bin/busybox /own/busybox && setcap cap_net_bind_service=ep /own/busybox'
	[ "$(caps files /opt/busybox)" = "$held" ]
	[ "$(caps files /own/busybox)" = "$held" ]
	[ "$(caps files /bin/busybox)" = CapEff:0000000000000000 ]
	davit run --detach --name plain --image filecaps -- /bin/sleep 1000 >/dev/null
	[ "$(caps plain /opt/busybox)" = CapEff:0000000000000000 ] # no_new_privs
	need_criu
	davit snapshot create files
	davit snapshot restore "$(davit snapshot list files --json | jq -r '.snapshots[0].id')" --name copy
	[ "$(davit inspect copy | jq .ids.hostStart)" != "$(davit inspect files | jq .ids.hostStart)" ]
	[ "$(caps copy /own/busybox)" = "$held" ]
	[ "$(caps copy /opt/busybox)" = "$held" ]
	davit snapshot rm "$(davit snapshot list files --json | jq -r '.snapshots[0].id')"
	davit rm --force files
	davit rm --force plain
	davit rm --force copy
	davit image rm filecaps >/dev/null
	with_policy '{}'
}

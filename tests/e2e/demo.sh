#!/bin/bash
# davit's main job, on two hosts made on this machine: a live redis moves there and back under a client that never stops asking; cron takes a
# snapshot that becomes a clone; a scheduler drives host A with curl. Prints what happened and writes build/demo/report.json.
# Exits non-zero if any check failed. Nothing stays behind, also after ^C.
set -eu
cd "$(dirname "$0")/../.."
export DAVIT_BUILD=${DAVIT_BUILD:-$PWD/build}
# shellcheck source=tests/lib/hosts.sh
. tests/lib/hosts.sh

fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || fail "two hosts, their networks and namespaces take root: run this as root"
[ -e /proc/self/timens_offsets ] || fail "this kernel has no time namespaces (CONFIG_TIME_NS): davit needs Linux 5.6 or later with it"
[ -e /proc/self/ns/user ] || fail "this kernel has no user namespaces (CONFIG_USER_NS)"
for program in davit davitd davit-runtime davit-monitor; do
	[ -x "$DAVIT_BUILD/bin/$program" ] || fail "$DAVIT_BUILD/bin/$program is missing: run make"
done
for program in redis-server redis-cli cron jq curl openssl ip nsenter unshare; do
	command -v "$program" >/dev/null || fail "$program is missing: run make deps"
done

OUT=$DAVIT_BUILD/demo
rm -rf "$OUT"
mkdir -p "$OUT"
WORK=$(mktemp -d /tmp/davit-demo.XXXXXX)
chmod 755 "$WORK" # user davit has its state below
client=
cron=

cleanup() {
	local status=$?
	trap '' INT TERM
	[ -z "$client" ] || kill "$client" 2>/dev/null || true
	[ -z "$cron" ] || kill "$cron" 2>/dev/null || true
	if [ "$status" != 0 ] && [ -d "$WORK/hosts" ]; then
		for h in a b; do
			[ -s "$WORK/hosts/$h/davitd.log" ] && cp "$WORK/hosts/$h/davitd.log" "$OUT/host-$h.log"
		done
		echo "demo: logs of both hosts are in $OUT" >&2
	fi
	hosts_down || true
	rm -rf "$WORK"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

step() { printf '\n%s\n' "── $*"; }

step "two hosts, each with its own davitd; host-b's clocks are days ahead"
hosts_up "$WORK/hosts"
host_start a
host_start b
tests/lib/image.sh "$WORK/redis.tar" /usr/bin/redis-server "$DAVIT_BUILD/tools/clocks=/bin/clocks"
for h in a b; do
	davit_on "$h" image import redis "$WORK/redis.tar" >/dev/null
done

step "redis on host-a: own namespaces, memory, CPU and pids limited, default seccomp profile, no capabilities"
davit_on a run --detach --name redis --image redis --network lan --ip 10.91.0.10 --memory 256m --cpus 1 --pids 64 --cap-drop ALL --user 999:999 --workdir /data \
	-- /bin/sh -c '/bin/clocks watch /tmp/watch & exec /usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save "" --daemonize no' >/dev/null
davit_on a ps

# Not by in_host: a function in the background is a shell of its own, which would get the client's signals.
nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 tests/e2e/client.py 10.91.0.10 6379 counter "$WORK/client.json" &
client=$!
# It writes its first statistics when it has connected and takes signals.
for _ in $(seq 1200); do
	[ -s "$WORK/client.json" ] && break
	kill -0 "$client" 2>/dev/null || break
	sleep 0.05
done
[ -s "$WORK/client.json" ] || fail "the client cannot connect to redis"

client_view() { # FILE: the client's figures; its longest pause is since the last SIGUSR2
	local old
	old=$(stat -c %Y.%i "$WORK/client.json" 2>/dev/null || true)
	kill -USR1 "$client" 2>/dev/null || true
	for _ in $(seq 3000); do
		[ "$(stat -c %Y.%i "$WORK/client.json" 2>/dev/null || true)" != "$old" ] && break
		kill -0 "$client" 2>/dev/null || break
		sleep 0.02
	done
	cp "$WORK/client.json" "$1"
}

clocks_of() { # HOST: lines of the container's, host-a's and host-b's clocks
	echo "container $(davit_on "$1" exec redis /bin/clocks)"
	echo "host-a $("$DAVIT_BUILD/tools/clocks")"
	echo "host-b $(nsenter -t "$(host_pid b)" -T "$DAVIT_BUILD/tools/clocks")"
}

wait_replies() { # N more replies
	local start
	client_view "$WORK/now.json"
	start=$(jq .replies "$WORK/now.json")
	for _ in $(seq 1200); do
		client_view "$WORK/now.json"
		[ "$(jq .replies "$WORK/now.json")" -ge $((start + $1)) ] && return 0
		kill -0 "$client" 2>/dev/null || fail "the client ended: $(jq -r .problem "$WORK/client.json")"
		sleep 0.05
	done
	fail "the client gets no replies"
}

place_of() { # where the switch sees the container's MAC
	local mac
	mac=$(davit_on "$1" inspect redis | jq -r '.spec.attachments[0].mac')
	bridge -n "dv$HOSTS_TAG-switch" fdb show br data | awk -v m="$mac" '$1 == m && /master/ { print $3; exit }'
}

move() { # N FROM TO
	wait_replies 200
	clocks_of "$2" >"$WORK/$1.before"
	kill -USR2 "$client"
	davit_on "$2" migrate redis "host-$3" --json >"$WORK/$1.move.json"
	wait_replies 200
	client_view "$WORK/$1.client.json"
	clocks_of "$3" >"$WORK/$1.after"
	[ "$(place_of "$3")" = "$3-data" ] || fail "the switch does not see redis's MAC at host-$3"
	davit_on "$2" inspect redis >/dev/null 2>&1 && fail "host-$2 still has redis"
	return 0
}

step "davit migrate redis host-b, and back"
move 1 a b
move 2 b a

step "cron takes a snapshot; a clone is made of it"
mkdir -p "$WORK/cron/etc" "$WORK/cron/spool/crontabs" "$WORK/cron/run"
cat >"$WORK/cron/crontab" <<CRON
17 * * * * root $DAVIT_BUILD/bin/davit --host unix://$HOSTS_DIR/a/run/davit.sock snapshot create redis
@reboot root $DAVIT_BUILD/bin/davit --host unix://$HOSTS_DIR/a/run/davit.sock snapshot create redis --label by=cron >$WORK/cron/output 2>&1; echo \$? >$WORK/cron/status
CRON
chmod 644 "$WORK/cron/crontab"
# Its own mount namespace: the daemon sees our crontab and none of this machine's. @reboot lines run when the daemon starts.
unshare -m sh -c "mount --bind '$WORK/cron/crontab' /etc/crontab && mount --bind '$WORK/cron/etc' /etc/cron.d &&
	mount --bind '$WORK/cron/spool' /var/spool/cron && mount --bind '$WORK/cron/run' /run && exec cron -f" &
cron=$!
for _ in $(seq 1200); do
	[ -s "$WORK/cron/status" ] && break
	sleep 0.05
done
[ "$(cat "$WORK/cron/status" 2>/dev/null)" = 0 ] || fail "cron's snapshot failed: $(cat "$WORK/cron/output" 2>/dev/null)"
kill "$cron" 2>/dev/null || true
wait "$cron" 2>/dev/null || true
cron=
davit_on a snapshot list redis
snapshot=$(davit_on a snapshot list redis --json | jq -c '.snapshots[-1]')
begin=$(date +%s%N)
davit_on a snapshot restore "$(jq -r .id <<<"$snapshot")" --name redis-clone >/dev/null
restore_ms=$((($(date +%s%N) - begin) / 1000000))
clone=$(davit_on a inspect redis-clone | jq -r '.spec.attachments[0].address | sub("/.*"; "")')
counter=$(in_host switch timeout 5 redis-cli -h "$clone" get counter || true)
clone_ok=false
if [ "$clone" != 10.91.0.10 ] && [ "${counter:-0}" -gt 0 ] 2>/dev/null; then clone_ok=true; fi
jq -n --argjson s "$snapshot" --argjson restore "$restore_ms" --argjson ok $clone_ok \
	'{bytes: $s.bytes, create_ms: $s.createMs, restore_ms: $restore, clone_ok: $ok}' >"$WORK/snapshot.json"

step "a scheduler drives host-a with curl: create, watch, move"
api() { # METHOD PATH [BODY]
	curl -sS --fail-with-body --max-time 20 --unix-socket "$HOSTS_DIR/a/run/davit.sock" -X "$1" -H 'Content-Type: application/json' -H "Idempotency-Key: demo-$1-$2" \
		${3:+--data "$3"} "http://localhost$2"
}
why=
curl -sN --max-time 30 --unix-socket "$HOSTS_DIR/a/run/davit.sock" http://localhost/v1/events >"$WORK/events" &
watch=$!
api POST /v1/containers '{"start": true, "spec": {"name": "job", "image": "redis", "process": {"args": ["/bin/sh", "-c", "while :; do sleep 1; done"]},
	"limits": {"memoryBytes": 33554432, "pids": 16}}}' >"$WORK/created.json" || why="create: $(cat "$WORK/created.json")"
if [ -z "$why" ]; then
	api POST /v1/containers/job/migrate '{"target": "host-b"}' >"$WORK/operation.json" || why="migrate: $(cat "$WORK/operation.json")"
fi
if [ -z "$why" ]; then
	api GET "/v1/operations/$(jq -r .id "$WORK/operation.json")?wait=15" >"$WORK/result.json" || why="operation: $(cat "$WORK/result.json")"
	[ "$(jq -r .state "$WORK/result.json")" = succeeded ] || why="the move: $(jq -c '.error // .state' "$WORK/result.json")"
	[ "$(davit_on b inspect job 2>/dev/null | jq -r .state)" = running ] || why=${why:-"job does not run on host-b"}
	grep -q '^event: container\.' "$WORK/events" || why=${why:-"no event of a container was seen"}
	grep -q '^event: migration\.' "$WORK/events" || why=${why:-"no event of the migration was seen"}
fi
kill "$watch" 2>/dev/null || true
jq -n --arg why "$why" '{ok: ($why == ""), why: $why}' >"$WORK/api.json"

davit_on a exec redis /bin/cat /tmp/watch >"$WORK/watch"
kill "$client" 2>/dev/null || true
wait "$client" || fail "the client ended badly: $(jq -r .problem "$WORK/client.json")"
client=
python3 tests/e2e/report.py "$WORK" "$OUT/report.json"

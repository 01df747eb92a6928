#!/usr/bin/env bats
# Programs that people run, moved there and back under their clients: the checks are the clients' own.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs nginx memcached || return 0
	suite_up loads
	# What is too large to copy is mounted: the same storage on all hosts.
	local h loads=$BATS_TEST_DIRNAME/loads
	for h in a b; do echo '{"bindPathsReadOnly": ["/usr", "/etc"]}' >"$HOSTS_DIR/$h/policy.json"; done
	mkdir "$SUITE_DIR/java"
	javac -d "$SUITE_DIR/java" "$loads/Server.java"
	suite_start loads "$(command -v nginx)" "$(command -v memcached)" "$DAVIT_BUILD/tools/tree=/bin/tree" "$loads/server.py=/srv/server.py" \
		"$loads/server.js=/srv/server.js" "$SUITE_DIR/java/Server.class=/srv/Server.class"
}
teardown_file() { suite_down; }
setup() {
	common_setup
	suite_again
	suite_needs_criu
	client=
}
teardown() {
	[ -z "${client:-}" ] || kill "$client" 2>/dev/null || true
	suite_clear
	common_teardown
}

there_and_back() { # NAME
	davit_on a migrate "$1" host-b
	sleep 0.3 # some of its time belongs to the other host
	davit_on b migrate "$1" host-a
}

@test "nginx: a slow download and the next on its connection go on over two moves, byte for byte" {
	davit_on a run --detach --name web --image loads --network lan --ip 10.91.0.60 --memory 256m -- /bin/sh -c '
		mkdir /tmp/www && dd if=/dev/urandom of=/tmp/www/big bs=1M count=12 2>/dev/null && cp /tmp/www/big /tmp/www/next
		echo "daemon off; user nobody nogroup; worker_processes 2; pid /tmp/pid; error_log stderr;
			events { worker_connections 64; }
			http { access_log off; sendfile on; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
				scgi_temp_path /tmp/s; server { listen 80; root /tmp/www; } }" >/tmp/conf
		chmod 755 /tmp/www; exec nginx -c /tmp/conf' >/dev/null
	retry eval 'in_host switch curl -fs --max-time 10 -o /dev/null -r 0-9 http://10.91.0.60/next'
	local sum
	sum=$(davit_on a exec web sha256sum /tmp/www/big | cut -d' ' -f1)
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- curl -sS --max-time 300 --limit-rate 4M -w '%{http_code} %{num_connects}\n' \
		-o "$TMP/big" http://10.91.0.60/big -o "$TMP/next" http://10.91.0.60/next >"$TMP/curl" 2>"$TMP/problem" 3>&- &
	client=$!
	retry [ -s "$TMP/big" ]
	there_and_back web
	wait "$client"
	client=
	[ "$(cat "$TMP/curl")" = $'200 1\n200 0' ]
	[ "$(sha256sum <"$TMP/big" | cut -d' ' -f1)" = "$sum" ]
	[ "$(sha256sum <"$TMP/next" | cut -d' ' -f1)" = "$sum" ]
}

@test "memcached: what was set is got, and a connection counts on without a step missed" {
	davit_on a run --detach --name cache --image loads --network lan --ip 10.91.0.61 --memory 256m --user 65534:65534 -- \
		memcached -m 64 -t 4 -l 0.0.0.0 >/dev/null
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 - 10.91.0.61 "$TMP/stop" >"$TMP/out" 2>&1 3>&- <<-'PY' &
		import os, socket, sys, time
		for _ in range(100):
		    try:
		        s = socket.create_connection((sys.argv[1], 11211), 20)
		        break
		    except OSError:
		        time.sleep(0.1)
		f = s.makefile("rwb")
		def ask(line, data=None):
		    f.write(line.encode() + b"\r\n" + (data + b"\r\n" if data is not None else b""))
		    f.flush()
		    return f.readline().strip()
		values = {i: os.urandom(3000) for i in range(1000)}
		for i, v in values.items():
		    assert ask(f"set k{i} 0 0 {len(v)}", v) == b"STORED"
		assert ask("set n 0 0 1", b"0") == b"STORED"
		n = 0
		while not os.path.exists(sys.argv[2]):
		    n += 1
		    got = ask("incr n 1")
		    assert got == str(n).encode(), (n, got)
		    if n == 10:
		        print("going", flush=True)
		for i, v in values.items():
		    assert ask(f"get k{i}") == f"VALUE k{i} 0 {len(v)}".encode()
		    assert f.read(len(v) + 7) == v + b"\r\nEND\r\n", i
		print("right", n)
	PY
	client=$!
	retry grep -q going "$TMP/out"
	there_and_back cache
	touch "$TMP/stop"
	wait "$client" || { cat "$TMP/out"; return 1; }
	client=
	grep -q '^right' "$TMP/out"
}

# A server in the container that clients of this folder's keep busy: what they ask is answered in order on the connections that they have, and the server finds
# its own threads, timers and clocks right.
moves_under_clients() { # NAME ADDRESS RUN_OPTION… -- COMMAND…
	local name=$1 address=$2
	shift 2
	davit_on a run --detach --name "$name" --image loads --network lan --ip "$address" --mount /usr:/usr:ro,shared "$@" >/dev/null
	mkfifo "$TMP/end"
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 "$BATS_TEST_DIRNAME/loads/client.py" "$address" 8 <"$TMP/end" >"$TMP/out" 2>&1 3>&- &
	client=$!
	exec 9>"$TMP/end"
	retry grep -q going "$TMP/out"
	there_and_back "$name"
	exec 9>&-
	wait "$client" || { cat "$TMP/out"; return 1; }
	client=
	grep -q '^right' "$TMP/out"
}

redis_of() { in_host switch redis-cli -h 10.91.0.65 "$@"; }

@test "redis: pipelined clients miss no answer, and its append-only file has every write" {
	davit_on a run --detach --name redis --image loads --network lan --ip 10.91.0.65 --mount /usr:/usr:ro,shared --memory 256m --user 999:999 --workdir /data -- \
		/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --enable-debug-command yes --save '' --appendonly yes >/dev/null
	retry eval '[ "$(redis_of ping 2>/dev/null)" = PONG ]'
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- redis-benchmark -h 10.91.0.65 -l -q -c 16 -P 32 -r 100000 -t incr,lpush >"$TMP/out" 2>&1 3>&- &
	local bench=$!
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- python3 - 10.91.0.65 "$TMP/stop" >"$TMP/counted" 2>&1 3>&- <<-'PY' &
		import os, socket, sys
		f = socket.create_connection((sys.argv[1], 6379), 20).makefile("rwb")
		n = 0
		while not os.path.exists(sys.argv[2]):
		    f.write(b"INCR n\r\n" * 50)
		    f.flush()
		    for _ in range(50):
		        n += 1
		        got = f.readline()
		        assert got == b":%d\r\n" % n, (n, got)
		print(n)
	PY
	client=$!
	retry eval '[ "$(redis_of get n)" -gt 1000 ]'
	there_and_back redis
	touch "$TMP/stop"
	wait "$client" || { cat "$TMP/counted"; return 1; }
	client=$bench
	kill -0 "$bench" # it ends at the first error
	kill "$bench"
	client=
	local pushed
	pushed=$(redis_of llen mylist)
	redis_of debug loadaof
	[ "$(redis_of get n)" = "$(cat "$TMP/counted")" ]
	[ "$(redis_of llen mylist)" = "$pushed" ]
}

psql_of() { in_host switch "$POSTGRES/psql" -h 10.91.0.66 -U redis -X -A -t -c "$1" postgres; }

@test "PostgreSQL: pgbench sees no error, the books balance, and so they do after a crash" {
	POSTGRES=$(dirname "$(find /usr/lib/postgresql -name pgbench | sort -V | tail -1)")
	davit_on a run --detach --name books --image loads --network lan --ip 10.91.0.66 --mount /usr:/usr:ro,shared --memory 256m --user 999:999 --env "PATH=$POSTGRES:/bin" -- /bin/sh -c '
		[ -e /data/pg/PG_VERSION ] || { initdb -D /data/pg -A trust --locale C --no-sync --wal-segsize 4 && echo "host all all all trust" >>/data/pg/pg_hba.conf; } >/dev/null
		exec postgres -D /data/pg -k /tmp -h "*" -c shared_buffers=16MB' >/dev/null
	retry in_host switch "$POSTGRES/pg_isready" -q -h 10.91.0.66
	in_host switch "$POSTGRES/pgbench" -h 10.91.0.66 -U redis -i -q postgres 2>/dev/null
	while [ ! -e "$TMP/stop" ]; do
		in_host switch "$POSTGRES/pgbench" -h 10.91.0.66 -U redis -n -c 8 -j 2 -T 3 postgres || exit 1
	done >"$TMP/out" 2>&1 3>&- &
	client=$!
	there_and_back books
	touch "$TMP/stop"
	wait "$client" || { cat "$TMP/out"; return 1; }
	client=
	local done balance='SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(tbalance) FROM pgbench_tellers) AND
		(SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches) AND
		(SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history), count(*) FROM pgbench_history'
	! grep 'number of failed' "$TMP/out" | grep -v ': 0 '
	done=$(awk '/actually processed:/ { n += $NF } END { print n }' "$TMP/out")
	[ "$done" -gt 100 ]
	[ "$(psql_of "$balance")" = "t|$done" ]
	davit_on a kill --signal KILL books
	retry eval 'davit_on a start books >/dev/null 2>&1'
	retry in_host switch "$POSTGRES/pg_isready" -q -h 10.91.0.66
	[ "$(psql_of "$balance")" = "t|$done" ]
}

@test "python: asyncio's timers, its connections and the threads beside it go on" {
	moves_under_clients python 10.91.0.62 --memory 256m --user 65534:65534 -- /usr/bin/python3 -I /srv/server.py
}

@test "node: the event loop, its connections and its worker threads go on" {
	moves_under_clients node 10.91.0.63 --memory 512m --user 65534:65534 -- /usr/bin/node /srv/server.js
}

@test "a JVM under load with a collector that is busy goes on" {
	local settings
	settings=$(dirname "$(find /etc/java-*/ -name 'jvm*.cfg' | head -1)")
	moves_under_clients java 10.91.0.64 --memory 512m --mount "$settings:$settings:ro,shared" --user 65534:65534 -- \
		"$(readlink -f "$(command -v java)")" -Xmx64m -cp /srv Server
}

tree_of() { davit_on "$1" exec tree cat /tmp/state; }
tree_grew() { # HOST COUNT…: each way of talking went on since
	local after i before=("${@:2}")
	read -ra after < <(tree_of "$1")
	for i in 0 1 2 3 4; do [ "${after[i]}" -gt "${before[i]}" ] || return 1; done
	[ "${after[5]}" = 0 ]
}
tree_grows() { # HOST: every way of talking goes on, nothing was wrong
	local before
	read -ra before < <(tree_of "$1")
	[ "${#before[@]}" = 6 ]
	retry tree_grew "$1" "${before[@]}" || { echo "stood still, or wrong: ${before[*]} $(tree_of "$1")"; return 1; }
}

@test "a tree of processes with pipes, semaphores, shared memory, System V IPC, a pty and timers goes on where it is" {
	davit_on a run --detach --name tree --image loads --memory 256m -- /bin/tree /tmp/state >/dev/null
	retry eval '[ "$(tree_of a | wc -w)" = 6 ]'
	tree_grows a
	davit_on a migrate tree host-b
	tree_grows b
	davit_on b migrate tree host-a
	tree_grows a
}

#!/usr/bin/env bats
# Programs that people run, moved there and back under their clients: the checks are the clients' own.
load ../lib/common
load ../lib/suite

setup_file() {
	suite_needs nginx memcached || return 0
	suite_up loads
	suite_start loads "$(command -v nginx)" "$(command -v memcached)" "$DAVIT_BUILD/tools/tree=/bin/tree"
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
	retry 10 eval 'in_host switch curl -fs --max-time 1 -o /dev/null -r 0-9 http://10.91.0.60/next'
	local sum
	sum=$(davit_on a exec web sha256sum /tmp/www/big | cut -d' ' -f1)
	nsenter "--net=/run/netns/dv$HOSTS_TAG-switch" -- curl -sS --max-time 60 --limit-rate 4M -w '%{http_code} %{num_connects}\n' \
		-o "$TMP/big" http://10.91.0.60/big -o "$TMP/next" http://10.91.0.60/next >"$TMP/curl" 2>"$TMP/problem" 3>&- &
	client=$!
	retry 10 [ -s "$TMP/big" ]
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
	retry 15 grep -q going "$TMP/out"
	there_and_back cache
	touch "$TMP/stop"
	wait "$client" || { cat "$TMP/out"; return 1; }
	client=
	grep -q '^right' "$TMP/out"
}

tree_of() { davit_on "$1" exec tree cat /tmp/state; }
tree_grows() { # HOST: every way of talking goes on, nothing was wrong
	local before after i
	read -ra before < <(tree_of "$1")
	[ "${#before[@]}" = 6 ] || return 1
	sleep 0.3
	read -ra after < <(tree_of "$1")
	for i in 0 1 2 3 4; do [ "${after[i]}" -gt "${before[i]}" ] || { echo "way $i stands still: ${before[*]} ${after[*]}"; return 1; }; done
	[ "${after[5]}" = 0 ]
}

@test "a tree of processes with pipes, semaphores, shared memory, System V IPC, a pty and timers goes on where it is" {
	davit_on a run --detach --name tree --image loads --memory 256m -- /bin/tree /tmp/state >/dev/null
	retry 5 tree_grows a
	davit_on a migrate tree host-b
	tree_grows b
	davit_on b migrate tree host-a
	tree_grows a
}

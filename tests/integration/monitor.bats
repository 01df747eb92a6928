#!/usr/bin/env bats
# davit-monitor with a stand-in for the container runtime: what its callers rely on (runtime/monitor/main.c).
load ../lib/common

setup() {
	common_setup
	LIB=$BATS_TEST_DIRNAME/../lib
	# Whatever a test left running below its monitor ends here.
	later reap_all
}
teardown() { common_teardown; }

reap_all() {
	[ -f "$TMP/pid" ] && kill -KILL "$(cat "$TMP/pid")" 2>/dev/null
	return 0
}

monitor() { "$LIB/monitor.py" "$@"; }
start() { # [monitor options] -- COMMAND…
	local options=()
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	monitor start "$TMP" "${options[@]}" -- "$LIB/create.py" "$TMP/pid" "$@"
}
ended() { [ -f "$TMP/exit.json" ] && [ ! -e "$TMP/attach.sock" ]; }
wait_end() { retry ended; }
field() { jq -r ".$1" "$TMP/exit.json"; }
monitor_pid() { awk '{print $4}' "/proc/$(cat "$TMP/pid")/stat"; }
gone() { ! kill -0 "$1" 2>/dev/null; }

@test "log lines have time, stream, tag and text; a line without an end is partial" {
	start --log "$TMP/log" -- sh -c 'echo out; echo err >&2; printf part'
	wait_end
	grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}Z stdout F out$' "$TMP/log"
	grep -qE ' stderr F err$' "$TMP/log"
	grep -qE ' stdout P part$' "$TMP/log"
}

@test "the caller learns the pid, and the exit record tells the exit code" {
	run start -- sh -c 'sleep 0.2; exit 7'
	[ "$status" = 0 ]
	[ "$output" = "{\"pid\":$(cat "$TMP/pid")}" ]
	wait_end
	[ "$(field exitCode)" = 7 ]
	[ "$(field exitSignal)" = 0 ]
	[ "$(field oomKilled)" = false ]
	[ "$(stat -c %a "$TMP/exit.json")" = 600 ]
}

@test "a killed container is recorded with its signal" {
	start -- sleep 100
	kill -KILL "$(cat "$TMP/pid")"
	wait_end
	[ "$(field exitCode)" = 137 ]
	[ "$(field exitSignal)" = 9 ]
}

@test "a program that fails is quoted and leaves nothing" {
	run monitor start "$TMP" -- /bin/sh -c 'sleep 1000 & echo $! > '"$TMP"'/stray; echo "first line" >&2; echo "davit-runtime: rootfs: \"x\" is missing" >&2; exit 1'
	[ "$output" = '{"error":"rootfs: \"x\" is missing"}' ]
	retry gone "$(cat "$TMP/stray")"
	[ ! -e "$TMP/attach.sock" ]
	[ ! -e "$TMP/pid" ]
	[ ! -e "$TMP/exit.json" ]
}

@test "the message is taken out of a runtime's JSON log" {
	run monitor start "$TMP" -- /bin/sh -c 'echo "{\"level\":\"error\",\"msg\":\"no such \\\"bundle\\\"\"}" >&2; exit 1'
	[ "$output" = '{"error":"no such \"bundle\""}' ]
}

@test "a program that cannot be started is an error" {
	run monitor start "$TMP" -- /nonexistent/runtime create
	[[ "$output" == '{"error":"'*'/nonexistent/runtime'*'No such file'* ]]
	[ ! -e "$TMP/attach.sock" ]
}

@test "a pid file that names a foreign process is refused" {
	run monitor start "$TMP" -- /bin/sh -c "echo 1 > $TMP/pid"
	[[ "$output" == *'which is no process that'* ]]
}

@test "bad options are refused with their name" {
	run "$BIN/davit-monitor" --id x
	[ "$status" = 2 ] || [ "$status" = 1 ] || [ "$status" = 64 ]
	[[ "$output" == *"--pid-file is needed"* ]]
	run "$BIN/davit-monitor" --nonsense
	[[ "$output" == *"--nonsense"* ]]
	run monitor start "$TMP" --log-max-bytes 12 -- /bin/true
	[[ "$output" == *"log-max-bytes"* ]]
}

@test "the log rotates by size, keeps so many files and loses no line" {
	start --log "$TMP/log" --log-max-bytes 20000 --log-max-files 4 -- sh -c 'for i in $(seq 3000); do echo "line $i"; done'
	wait_end
	[ -f "$TMP/log.1" ] && [ -f "$TMP/log.2" ] && [ -f "$TMP/log.3" ] && [ ! -e "$TMP/log.4" ]
	for f in log log.1 log.2 log.3; do [ "$(stat -c %s "$TMP/$f")" -le 20000 ]; done
	# What is kept is the end, without a gap.
	cat "$TMP/log.3" "$TMP/log.2" "$TMP/log.1" "$TMP/log" | awk '$3 == "F" {print $5}' > "$TMP/kept"
	[ "$(tail -1 "$TMP/kept")" = 3000 ]
	first=$(head -1 "$TMP/kept")
	diff "$TMP/kept" <(seq "$first" 3000)
}

@test "the log is readable for its group only, also after rotation" {
	start --log "$TMP/log" --log-group 12345 --log-max-bytes 4096 --log-max-files 2 -- sh -c 'for i in $(seq 500); do echo "line $i"; done'
	wait_end
	[ "$(stat -c '%a %g' "$TMP/log")" = "640 12345" ]
	[ "$(stat -c '%a %g' "$TMP/log.1")" = "640 12345" ]
}

@test "an earlier log is continued" {
	echo "old" > "$TMP/log"
	start --log "$TMP/log" -- echo new
	wait_end
	[ "$(head -1 "$TMP/log")" = old ]
	[[ "$(tail -1 "$TMP/log")" == *"stdout F new" ]]
}

# Whether the monitor has read and logged what the container has written so far: nothing is in the pipe, and it sleeps.
all_read() {
	python3 -c 'import array, fcntl, os, sys, termios
n = array.array("i", [0])
fcntl.ioctl(os.open(sys.argv[1], os.O_WRONLY), termios.FIONREAD, n)
sys.exit(n[0] > 0)' "/proc/$(cat "$TMP/pid")/fd/1" && [ "$(awk '{print $3}' "/proc/$(monitor_pid)/stat")" = S ]
}

@test "a full disk loses log lines, says how many, and not the container or its exit record" {
	mkdir "$TMP/disk"
	mount -t tmpfs -o size=64k davit-test "$TMP/disk"
	later umount "$TMP/disk"
	monitor start "$TMP" --log "$TMP/disk/log" --exit-file "$TMP/disk/exit.json" -- "$LIB/create.py" "$TMP/pid" \
		sh -c "head -c 300000 /dev/zero | tr '\0' x | fold -w 99; echo; touch $TMP/wrote; while [ ! -e $TMP/go ]; do sleep 0.05; done; echo again; exit 5"
	retry test -e "$TMP/wrote"
	retry all_read
	[ "$(stat -c %s "$TMP/disk/log")" -le 65536 ]
	[ "$(tail -c 1 "$TMP/disk/log" | od -An -c | tr -d ' ')" = '\n' ]
	# Room for entries again, but none for the record until the log is cut.
	: > "$TMP/disk/log"
	touch "$TMP/go"
	retry test -s "$TMP/disk/exit.json"
	[ "$(jq .exitCode "$TMP/disk/exit.json")" = 5 ]
	grep -qE 'stderr F davit-monitor: [0-9]+ bytes of output were lost here: No space left on device' "$TMP/disk/log"
	grep -q 'stdout F again' "$TMP/disk/log"
}

@test "the exit record is written as soon as the disk has room" {
	mkdir "$TMP/disk"
	mount -t tmpfs -o size=64k davit-test "$TMP/disk"
	later umount "$TMP/disk"
	head -c 100000 /dev/zero > "$TMP/disk/filler" 2>/dev/null || true
	monitor start "$TMP" --exit-file "$TMP/disk/exit.json" -- "$LIB/create.py" "$TMP/pid" sh -c 'exit 9'
	sleep 0.3
	[ ! -s "$TMP/disk/exit.json" ]
	rm "$TMP/disk/filler"
	retry test -s "$TMP/disk/exit.json"
	[ "$(jq .exitCode "$TMP/disk/exit.json")" = 9 ]
}

@test "clients get output and the exit code last, and feed stdin" {
	start --stdin --log "$TMP/log" -- sh -c 'while read -r line; do echo "got $line"; done; exit 4'
	run monitor attach "$TMP" 'send=one\ntwo\n' eof
	[ "$output" = $'o got one\\ngot two\\n\nx 4\nend' ] || [ "$output" = $'o got one\\n\no got two\\n\nx 4\nend' ]
	wait_end
	grep -q 'stdout F got two' "$TMP/log"
}

@test "without --stdin the container's stdin is empty" {
	start --log "$TMP/log" -- sh -c 'cat; echo done'
	wait_end
	grep -q 'stdout F done' "$TMP/log"
}

@test "large input arrives whole though the reader is slow to start" {
	head -c 400000 /dev/urandom | base64 -w 70 > "$TMP/input"
	start --stdin -- sh -c "sleep 0.5; sha256sum > $TMP/sum"
	python3 - "$TMP" <<-'PY'
		import os, socket, sys
		os.chdir(sys.argv[1])
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect("attach.sock")
		data = open("input", "rb").read()
		for at in range(0, len(data), 32768):
		    s.send(b"i" + data[at:at + 32768])
		s.send(b"z")
		while s.recv(70000): pass
	PY
	[ "$(cut -d' ' -f1 "$TMP/sum")" = "$(sha256sum < "$TMP/input" | cut -d' ' -f1)" ]
}

@test "an exec session that is over at once loses neither output nor status to its caller" {
	for _ in 1 2 3 4 5; do
		run monitor exec "$TMP" -- "$LIB/create.py" "$TMP/pid" sh -c 'echo quick; exit 2'
		[ "${lines[1]}" = 'o quick\n' ]
		[ "${lines[2]}" = 'x 2' ]
		[ "${lines[3]}" = end ]
	done
}

@test "a client that does not read is ended after a second, and the container goes on without a loss" {
	start --log "$TMP/log" -- sh -c "while [ ! -e $TMP/go ]; do sleep 0.05; done; head -c 3000000 /dev/zero | tr '\\0' x | fold -w 99; echo; echo last"
	coproc STALL { "$LIB/monitor.py" attach "$TMP" stall; }
	read -r _ <&"${STALL[0]}"
	touch "$TMP/go"
	wait_end
	kill "$STALL_PID" 2>/dev/null || true
	[ "$(field exitCode)" = 0 ]
	grep -q 'stdout F last' "$TMP/log"
	[ "$(grep -o x "$TMP/log" | wc -l)" = 3000000 ]
}

@test "a datagram that breaks the protocol ends the client, not the container" {
	start -- sleep 100
	python3 - "$TMP" <<-'PY'
		import os, socket, sys
		os.chdir(sys.argv[1])
		for bad in b"?", b"x", b"r1", b"i" * 40000, b"z1":
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect("attach.sock")
		    s.send(bad)
		    try:
		        assert s.recv(100) == b"", bad
		    except ConnectionResetError:
		        pass
	PY
	kill -0 "$(cat "$TMP/pid")"
	[ "$(stat -c %a "$TMP/attach.sock")" = 600 ]
}

@test "a terminal has its size, takes another, and is read like a person's" {
	monitor start "$TMP" --terminal --rows 33 --columns 77 --log "$TMP/log" -- "$LIB/console.py" "$TMP/pid" \
		sh -c 'stty size; trap "stty size; exit 6" WINCH; echo ready; read -r line; echo "said $line"; while :; do sleep 0.05; done'
	retry grep -q ready "$TMP/log"
	grep -q 'stdout F 33 77' "$TMP/log"
	[ ! -e "$TMP/attach.sock.console" ]
	run timeout 60 "$LIB/monitor.py" attach "$TMP" 'send=hi\n' resize=10,20
	[[ "$output" == *'10 20'* ]]
	[ "${lines[-2]}" = 'x 6' ]
	wait_end
}

@test "the end of input is told to a terminal that reads lines" {
	monitor start "$TMP" --terminal -- "$LIB/console.py" "$TMP/pid" cat
	run timeout 60 "$LIB/monitor.py" attach "$TMP" 'send=hello\n' eof
	[ "${lines[-2]}" = 'x 0' ]
}

@test "socket paths longer than sun_path work" {
	deep=$TMP/$(printf 'd%.0s' {1..60})/$(printf 'e%.0s' {1..60})
	mkdir -p "$deep"
	run monitor start "$deep" -- "$LIB/create.py" "$deep/pid" sh -c 'read -r x; exit 1'
	[[ "$output" == '{"pid":'* ]]
	retry test -f "$deep/exit.json"
	run monitor start "$deep" --terminal -- "$LIB/console.py" "$deep/pid" true
	[[ "$output" == '{"pid":'* ]]
}

@test "descriptors of the caller reach the program and are kept by nobody else" {
	exec 7<"$BATS_TEST_FILENAME"
	python3 - "$TMP" "$LIB" <<-'PY'
		import os, subprocess, sys
		tmp, lib = sys.argv[1:]
		r, w = os.pipe()
		x = os.open(tmp, os.O_RDONLY)
		subprocess.run([os.environ["BIN"] + "/davit-monitor", "--id", "t", "--pid-file", tmp + "/pid", "--exit-file", tmp + "/exit.json", "--attach", tmp + "/attach.sock",
		    "--sync-fd", str(w), "--", "/bin/sh", "-c", f"ls -l /proc/self/fd > {tmp}/fds; exec {lib}/create.py {tmp}/pid sleep 100 {x}<&- 7<&-"], pass_fds=[w, x, 7])
		os.close(w)
		os.read(r, 100)
		print(x)
	PY
	grep -q "monitor.bats" "$TMP/fds"
	grep -q -- "-> $TMP\$" "$TMP/fds"
	! ls -l "/proc/$(monitor_pid)/fd" | grep monitor.bats
	exec 7<&-
}

@test "it outlives its caller and ignores signals" {
	start --log "$TMP/log" -- sh -c "echo up; while [ ! -e $TMP/go ]; do sleep 0.05; done; echo down"
	pid=$(monitor_pid)
	for signal in TERM INT HUP QUIT USR1 USR2 PIPE; do kill -s $signal "$pid"; done
	kill -0 "$pid"
	[ "$(ps -o sid= -p "$pid" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ]
	touch "$TMP/go"
	wait_end
	grep -q 'stdout F down' "$TMP/log"
}

@test "the end is told when the first process ends, though another still holds the pipe" {
	start --log "$TMP/log" -- sh -c "(while [ ! -e $TMP/go ]; do sleep 0.05; done; echo late) & echo early; exit 3"
	retry test -f "$TMP/exit.json"
	[ "$(field exitCode)" = 3 ]
	run monitor attach "$TMP"
	[ "$output" = $'x 3\nend' ]
	touch "$TMP/go"
	wait_end
	grep -q 'stdout F late' "$TMP/log"
}

@test "a container killed for lack of memory is marked so" {
	group=/sys/fs/cgroup/memory/davit-test-$$
	[ -f /sys/fs/cgroup/memory/memory.oom_control ] || skip "no memory controller of cgroup v1 is mounted"
	mkdir "$group"
	later rmdir "$group"
	echo $((64 << 20)) > "$group/memory.limit_in_bytes"
	# It waits to be started, as a container does: the monitor looks for its cgroup while it lives.
	# The limit leaves room for starting python: an exec that fails for lack of memory ends in SIGKILL too, and is counted by nobody.
	printf 'until [ -e %s/go ]; do sleep 0.02; done\nexec python3 -c "x = bytearray(256 << 20)"\n' "$TMP" > "$TMP/greedy"
	# shellcheck disable=SC2016
	run monitor start "$TMP" -- /bin/sh -c 'echo 0 > '"$group"'/tasks; exec '"$LIB/create.py $TMP/pid sh $TMP/greedy"
	touch "$TMP/go"
	wait_end
	[ "$(field exitCode)" = 137 ]
	[ "$(field oomKilled)" = true ]
}

@test "once the container runs it holds no capability, no dangerous call and little memory" {
	start --log "$TMP/log" -- sh -c 'echo hello; exec sleep 100'
	pid=$(monitor_pid)
	[ "$(awk '/^CapEff/ {print $2}' "/proc/$pid/status")" = 0000000000000000 ]
	[ "$(awk '/^CapBnd/ {print $2}' "/proc/$pid/status")" = 0000000000000000 ]
	[ "$(awk '/^NoNewPrivs/ {print $2}' "/proc/$pid/status")" = 1 ]
	[ "$(awk '/^Seccomp:/ {print $2}' "/proc/$pid/status")" = 2 ]
	if (echo -1000 > /proc/self/oom_score_adj) 2>/dev/null; then # not where CAP_SYS_RESOURCE is missing
		[ "$(cat "/proc/$pid/oom_score_adj")" = -1000 ]
		[ "$(cat "/proc/$(cat "$TMP/pid")/oom_score_adj")" != -1000 ]
	fi
	pss=$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")
	echo "PSS: $pss kB"
	grep -q libasan "/proc/$pid/maps" || [ "$pss" -le 1024 ]
}

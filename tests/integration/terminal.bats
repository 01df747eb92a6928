#!/usr/bin/env bats
# Terminals: the pty of a container, the console socket, and a runtime in the foreground that passes its own terminal on.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle '.process.terminal = true'
	LIB=$BATS_TEST_DIRNAME/../lib
}
teardown() { common_teardown; }

# takes [INPUT]: a receiver at $TMP/console.sock, its output in $TMP/tty
takes() {
	"$LIB/receive-pty.py" "$TMP/console.sock" "$@" >"$TMP/tty" 2>&1 &
	later kill $!
	retry test -S "$TMP/console.sock"
}
said() { tr -d '\r' <"$TMP/tty" | grep -q -- "$1"; }

@test "create sends the master over the console socket; stdio and /dev/console are its slave" {
	edit "$(args sh -c 'tty; stat -c %t:%T /dev/console; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; read x; echo "got $x"')"
	takes 'typed
'
	begins --console-socket "$TMP/console.sock"
	retry said 'got typed'
	[ "$(head -1 "$TMP/tty")" = /dev/pts/0 ]
	said '^/dev/pts/0$'
	said '^88:0$'
	said '^all$'
}

@test "the terminal has the size asked for, belongs to the user and controls the session" {
	edit '.process.consoleSize = {"height": 33, "width": 77} | .process.user = {"uid": 1000, "gid": 1000}' "$(args sh -c 'stty size; stat -c "owner %u" $(tty); echo >/dev/tty && echo controlling; ps -o pid,sid,comm; sleep 100')" '.process.cwd = "/"'
	takes
	begins --console-socket "$TMP/console.sock"
	retry said '^controlling$'
	said '^33 77$'
	said '^owner 1000$'
}

@test "a terminal works in a user namespace" {
	edit "$(userns)" "$(args sh -c 'tty; stat -c "owner %u" /dev/pts/0; read x; echo "got $x"')" '.process.user = {"uid": 1000, "gid": 1000}'
	takes 'there
'
	begins --console-socket "$TMP/console.sock"
	retry said 'got there'
	said '^owner 1000$'
}

@test "exec has a terminal by a console socket" {
	edit '.process.terminal = false' "$(args sleep 100)" "$(userns)"
	begins
	takes 'exit 5
'
	dr exec --detach --tty --console-socket "$TMP/console.sock" --pid-file "$TMP/pid2" "$ID" sh
	retry said '^/dev/pts/'
	retry eval 'ended $(cat "$TMP/pid2")'
}

@test "a runtime in the foreground passes its own terminal on, size included, and puts it back" {
	edit "$(args sh -c 'stty size; read x; echo "got $x"; exit 4')"
	cat >"$TMP/drive.py" <<-'PY'
		import fcntl, os, pty, struct, sys, termios
		pid, master = pty.fork()
		if pid == 0:
		    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 21, 54, 0, 0))
		    before = termios.tcgetattr(0)
		    status = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])
		    print("status", status, "same" if termios.tcgetattr(0) == before else "changed")
		    sys.stdout.flush()
		    os._exit(0)
		text, sent = b"", False
		while True:
		    try:
		        piece = os.read(master, 4096)
		    except OSError:
		        break
		    if not piece:
		        break
		    text += piece
		    if b"21 54" in text and not sent:
		        os.write(master, b"hello\n")
		        sent = True
		sys.stdout.write(text.decode())
	PY
	run timeout 60 python3 "$TMP/drive.py" "$BIN/davit-runtime" --root "$STATE" run --bundle "$BUNDLE" "$ID"
	[[ $output == *"21 54"* && $output == *"got hello"* && $output == *"status 4 same"* ]]
}

@test "a console socket that is not there is refused, and nothing is left" {
	creates --bundle "$BUNDLE" --console-socket "$TMP/nowhere.sock" "$ID"
	[ "$status" = 1 ]
	[[ $output == *nowhere.sock* ]]
	[ -z "$(dr list --quiet)" ]
}

@test "a terminal without a devpts in the container is refused" {
	edit 'del(.mounts[] | select(.destination == "/dev/pts"))'
	takes
	creates --bundle "$BUNDLE" --console-socket "$TMP/console.sock" "$ID"
	[ "$status" = 1 ]
	[[ $output == *devpts* ]]
}

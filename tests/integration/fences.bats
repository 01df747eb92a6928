#!/usr/bin/env bats
# The fences around a container one by one. What must not be possible is held by each of its fences alone: with all others taken away by the
# configuration it still fails; without any it works, which shows that the test would see it.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle '.root.readonly = false' "$(userns)"
	cp "$DAVIT_BUILD/tools/escape" "$DAVIT_BUILD/tools/flood" "$BUNDLE/rootfs/bin/"
	cp "$BUNDLE/config.json" "$TMP/fenced.json"
	OPTIONS=()
}
teardown() { common_teardown; }

without() { # FENCE: the jq filter that takes it away
	case $1 in
	user) echo 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces -= [{"type": "user"}]' ;;
	namespace:*) echo ".linux.namespaces -= [{\"type\": \"${1#*:}\"}]" ;;
	capability:*) echo ".process.capabilities[] += [\"CAP_${1#*:}\"]" ;;
	seccomp) echo 'del(.linux.seccomp)' ;;
	masks) echo 'del(.linux.maskedPaths, .linux.readonlyPaths)' ;;
	sysfs) echo '(.mounts[] | select(.destination == "/sys") | .options) -= ["ro"]' ;;
	devices) echo '.linux.resources.devices = [{"allow": true, "access": "rwm"}]' ;;
	keyring | terminal) echo . ;; # an option of davit-runtime, or the caller's
	memory) echo 'del(.linux.resources.memory)' ;;
	esac
}

tries() { # FENCE… -- WHAT [X]: escape's word, without these fences
	local filter=. option=()
	while [ "$1" != -- ]; do
		filter+=" | $(without "$1")"
		[ "$1" != keyring ] || option=(--no-new-keyring)
		shift
	done
	shift
	jq "$filter | .process.args = \$ARGS.positional" "$TMP/fenced.json" --args -- /bin/escape --one "$@" >"$BUNDLE/config.json"
	"${CALLER[@]}" "$BIN/davit-runtime" --root "$STATE" run "${option[@]}" --bundle "$BUNDLE" "$ID" 2>&1 | grep -oE '(worked|held: .*[a-z]|davit-runtime: .*)'
}

# each_holds FENCE… -- WHAT [X]. Fences in LESS are away in any case: those that would hold everything, or cannot stand without another.
each_holds() {
	local fences=() fence others word
	while [ "$1" != -- ]; do fences+=("$1"); shift; done
	word=$(tries "${LESS[@]}" "${fences[@]}" "$@")
	case $word in *"Function not implemented" | *"not supported by protocol") return 0 ;; esac # not in this kernel
	[ "$word" = worked ] || { echo "without ${fences[*]}, $*: $word"; return 1; }
	for fence in "${fences[@]}"; do
		others=()
		for word in "${fences[@]}"; do [ "$word" = "$fence" ] || others+=("$word"); done
		word=$(tries "${LESS[@]}" "${others[@]}" "$@")
		[[ $word == held:* ]] || { echo "$fence alone, $*: $word"; return 1; }
	done
}

LESS=()
CALLER=(env)

# A process of the host, and what the test calls it by.
victim() {
	sleep 1000 3>&- &
	later kill $!
	VICTIM=$!
}

@test "settings of the kernel are not written: read-only mounts and ids each hold" {
	each_holds masks user -- write /proc/sys/kernel/core_pattern
	[ ! -e /proc/sysrq-trigger ] || each_holds masks user -- write /proc/sysrq-trigger
	each_holds sysfs user -- write /sys/kernel/mm/ksm/run
}

@test "what the kernel tells of the host is not read: masks hold, beside them ids or capabilities" {
	each_holds masks user -- read /proc/timer_list
	LESS=(user)
	[ ! -e /proc/kcore ] || each_holds masks capability:SYS_RAWIO -- read /proc/kcore
}

@test "a mask is not taken off: capabilities and seccomp each hold" {
	LESS=(user)
	each_holds capability:SYS_ADMIN seccomp -- umount /proc/timer_list
	each_holds capability:SYS_ADMIN seccomp -- mount
}

@test "the program that a v1 hierarchy calls on the host is not set: capabilities, seccomp and the cgroup namespace each hold" {
	grep -q '^memory.*[^0]$' /proc/cgroups && grep -q ' - cgroup .*\bmemory\b' /proc/self/mountinfo || skip "no v1 hierarchy of the memory controller here"
	LESS=(user)
	each_holds capability:SYS_ADMIN seccomp namespace:cgroup -- release_agent
}

@test "devices are neither made nor opened: capabilities, the device cgroup and ids each hold" {
	each_holds capability:MKNOD devices user -- disk
	each_holds capability:MKNOD devices user -- 'kmsg device'
}

@test "the kernel's log is not read: seccomp holds" {
	LESS=(user capability:SYSLOG)
	each_holds seccomp -- syslog
}

@test "processes of the host are not traced, signalled, named or read: the PID namespace holds, and capabilities where there is none" {
	victim
	LESS=(user seccomp)
	each_holds namespace:pid capability:SYS_PTRACE -- ptrace $VICTIM
	each_holds namespace:pid capability:SYS_PTRACE -- memory $VICTIM
	LESS=(user)
	each_holds namespace:pid -- pidfd $VICTIM
	each_holds namespace:pid -- signal $VICTIM
}

@test "keys of the caller's session are not found: a keyring of its own and seccomp each hold" {
	CALLER=(python3 -c '
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
c.syscall(250, 1, b"caller")  # keyctl(KEYCTL_JOIN_SESSION_KEYRING)
assert c.syscall(248, b"user", b"davit-secret", b"x", 1, -3) > 0, os.strerror(ctypes.get_errno())  # add_key
os.execvp(sys.argv[1], sys.argv[1:])')
	[ "$(uname -m)" = x86_64 ] || skip "the numbers of the system calls are those of x86_64"
	LESS=(user)
	each_holds keyring seccomp -- 'session key'
}

@test "nothing is typed into the caller's terminal: a session of its own and seccomp each hold" {
	[ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null || echo 1)" = 1 ] || skip "this kernel gives TIOCSTI to nobody"
	CALLER=(python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=lambda fd: b"")))')
	LESS=(user)
	# Without the capability the terminal has to be the session's own, and it is not.
	each_holds capability:SYS_ADMIN seccomp -- TIOCSTI
}

@test "abstract sockets of the host are not reached: the network namespace holds" {
	python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind("\0" + sys.argv[1])
s.listen()
time.sleep(600)' "$ID" 3>&- &
	later kill $!
	retry grep -q "@$ID" /proc/net/unix
	LESS=(user)
	each_holds namespace:network -- 'abstract socket' "$ID"
}

@test "calls that are large, young or of no use to a container: seccomp holds" {
	LESS=(user capability:SYS_ADMIN capability:SYS_PTRACE)
	local call
	for call in bpf perf_event_open userfaultfd io_uring AF_ALG; do each_holds seccomp -- $call; done
	LESS=(user)
	for call in keyring add_key; do each_holds seccomp -- $call; done
	each_holds seccomp -- unshare user
}

@test "modules, the clock and files by their number: capabilities and seccomp each hold" {
	LESS=(user)
	each_holds capability:SYS_MODULE seccomp -- init_module
	each_holds capability:SYS_TIME -- adjtimex
	each_holds seccomp -- clock_settime
	each_holds capability:DAC_READ_SEARCH seccomp -- open_by_handle_at
	each_holds capability:SYS_ADMIN seccomp -- unshare mnt
	LESS=(user capability:SYS_CHROOT)
	each_holds capability:SYS_ADMIN seccomp -- setns
}

@test "a container that waits to be started is not traced by what exec brings" {
	edit "$(args sleep 100)"
	creates --bundle "$BUNDLE" "$ID"
	[ "$status" = 0 ]
	local what
	for what in ptrace memory; do
		run dr exec --cap CAP_SYS_PTRACE "$ID" /bin/escape --one "$what" 1
		echo "$what: $output"
		[[ $output == held:* ]]
	done
	dr start "$ID"
	retry is running
	[ "$(dr exec --cap CAP_SYS_PTRACE "$ID" /bin/escape --one memory 1)" = worked ]
}

# floods ARGUMENT…: what flood says in 24 MiB, and without that limit
floods() {
	edit '.linux.resources.memory = {"limit": 25165824}' '.process.rlimits = [{"type": "RLIMIT_NOFILE", "hard": 16384, "soft": 16384}]' "$(args /bin/flood "$@")"
	HELD=$(dr run --bundle "$BUNDLE" "$ID" 2>&1) || true
	edit "$(without memory)"
	FREE=$(dr run --bundle "$BUNDLE" "$ID" 2>&1) || true
	echo "$*: $HELD / $FREE"
}

@test "open files and files in memory count as the container's memory" {
	floods fds 60000
	[[ $HELD != *flooded* && $FREE == flooded ]]
	floods files 60000 /dev/shm
	[[ $HELD != *flooded* && $FREE == flooded ]]
}

@test "names that the kernel remembers count as the container's memory" {
	local peak=/sys/fs/cgroup/memory/memory.max_usage_in_bytes
	grep -q ' - cgroup .*\bmemory\b' /proc/self/mountinfo || peak=/sys/fs/cgroup/memory.peak
	edit "$(args sh -c "flood names 100000 /tmp; cat $peak")"
	FREE=$(dr run --bundle "$BUNDLE" "$ID" | tail -1)
	edit '.linux.resources.memory = {"limit": 25165824}'
	HELD=$(dr run --bundle "$BUNDLE" "$ID" | tail -1)
	echo "$HELD of $FREE"
	[ "$FREE" -gt 33554432 ] && [ "$HELD" -le 25165824 ]
}

@test "a process opens no more files than its limit" {
	edit '.process.rlimits = [{"type": "RLIMIT_NOFILE", "hard": 64, "soft": 64}]' "$(args sh -c 'ulimit -n 65 2>&1; ulimit -n')"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "${lines[-1]}" = 64 ]
}

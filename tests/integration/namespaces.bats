#!/usr/bin/env bats
# All eight namespaces: new, joined by path, the host's.
load ../lib/common

setup() {
	load ../lib/oci
	bundle_setup
	bundle "$(args sleep 100)"
}
teardown() { common_teardown; }

ns() { readlink "/proc/$1/ns/$2"; }
pid() { cat "$TMP/pid"; }
with() { echo ".linux.namespaces += [{\"type\": \"$1\"}]"; }
without() { echo "del(.linux.namespaces[] | select(.type == \"$1\"))"; }
joining() { echo "$(without "$1") | .linux.namespaces += [{\"type\": \"$1\", \"path\": \"$2\"}]"; }
# holder FLAG…: a process in new namespaces; sets HOLDER
holder() {
	unshare "$@" --fork sleep 1000 &
	local parent=$!
	later kill -9 $parent
	retry pgrep -P $parent sleep
	HOLDER=$(pgrep -P $parent sleep)
	later kill -9 "$HOLDER"
}

@test "every namespace of the list is new, every other is the host's" {
	edit "$(with time)" "$(userns)"
	begins
	for kind in user mnt pid net uts ipc cgroup time; do
		[ "$(ns "$(pid)" $kind)" != "$(ns self $kind)" ]
	done
	dr delete --force "$ID"
	edit '.linux.namespaces = [{"type": "mount"}]' 'del(.hostname, .linux.uidMappings, .linux.gidMappings)'
	begins
	[ "$(ns "$(pid)" mnt)" != "$(ns self mnt)" ]
	for kind in user pid net uts ipc cgroup time; do
		[ "$(ns "$(pid)" $kind)" = "$(ns self $kind)" ]
	done
}

@test "namespaces of a container with a user namespace belong to it" {
	edit "$(with time)" "$(userns)"
	begins
	cat >"$TMP/owner.py" <<-'PY'
		import fcntl, os, sys
		for kind in "mnt", "pid", "net", "uts", "ipc", "cgroup", "time":
		    fd = os.open(f"/proc/{sys.argv[1]}/ns/{kind}", os.O_RDONLY)
		    owner = os.fstat(fcntl.ioctl(fd, 0xb701)).st_ino
		    assert owner == os.stat(f"/proc/{sys.argv[1]}/ns/user").st_ino, kind
	PY
	python3 "$TMP/owner.py" "$(pid)"
}

@test "network, uts, ipc, time and cgroup namespaces are joined by path" {
	holder --net --uts --ipc --time --cgroup
	edit 'del(.hostname)'
	for pair in network:net uts:uts ipc:ipc time:time cgroup:cgroup; do
		edit "$(joining "${pair%:*}" "/proc/$HOLDER/ns/${pair#*:}")"
	done
	begins
	for kind in net uts ipc time cgroup; do
		[ "$(ns "$(pid)" $kind)" = "$(ns "$HOLDER" $kind)" ]
	done
}

@test "a PID namespace is joined by path, and the process is not its first" {
	holder --pid
	edit "$(joining pid "/proc/$HOLDER/ns/pid")" "$(args sh -c 'echo $$; sleep 100')"
	begins
	[ "$(ns "$(pid)" pid)" = "$(ns "$HOLDER" pid)" ]
	retry test -s "$TMP/out"
	[ "$(cat "$TMP/out")" -gt 1 ]
	dr kill "$ID" KILL
	retry is stopped
}

@test "a user namespace is joined by path; what is made new belongs to it" {
	holder --user --map-root-user
	edit "$(joining user "/proc/$HOLDER/ns/user")" '(.mounts[] | select(.type == "devpts")).options -= ["gid=5"]'
	begins
	[ "$(ns "$(pid)" user)" = "$(ns "$HOLDER" user)" ]
	[ "$(ns "$(pid)" net)" != "$(ns self net)" ]
}

@test "a network of the host is joined together with a new user namespace" {
	holder --net
	edit "$(userns)" "$(joining network "/proc/$HOLDER/ns/net")" 'del(.mounts[] | select(.type == "sysfs" or .type == "cgroup"))'
	begins
	[ "$(ns "$(pid)" net)" = "$(ns "$HOLDER" net)" ]
	[ "$(ns "$(pid)" user)" != "$(ns self user)" ]
}

@test "all namespaces of another container are joined, as in a pod" {
	edit "$(userns)"
	begins
	first=$(pid)
	ID2=$ID-2
	cp "$TMP/pid" "$TMP/pid1"
	edit 'del(.hostname)' "$(joining user "/proc/$first/ns/user")" "$(joining network "/proc/$first/ns/net")" "$(joining ipc "/proc/$first/ns/ipc")" \
		"$(joining uts "/proc/$first/ns/uts")" "$(joining pid "/proc/$first/ns/pid")" 'del(.linux.uidMappings, .linux.gidMappings)' \
		".linux.cgroupsPath = \"/davit-test/$ID/2\""
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$ID2" </dev/null >"$TMP/out" 2>&1
	dr start "$ID2"
	for kind in user net ipc uts pid; do
		[ "$(ns "$(pid)" $kind)" = "$(ns "$first" $kind)" ]
	done
	dr delete --force "$ID2"
}

@test "a mount namespace is joined as it is" {
	holder --mount
	nsenter --mount --target "$HOLDER" mount -t tmpfs mark /mnt
	nsenter --mount --target "$HOLDER" touch /mnt/joined
	edit "$(joining mount "/proc/$HOLDER/ns/mnt")" "$(args /bin/sh -c 'test -e /mnt/joined && echo joined; sleep 100')"
	begins
	[ "$(ns "$(pid)" mnt)" = "$(ns "$HOLDER" mnt)" ]
	retry grep -q joined "$TMP/out"
}

@test "the host's mount namespace is taken with root.path / and no mounts, and refused otherwise" {
	edit "$(without mount)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *root.path* && $output == *mounts* ]]
	edit '.root.path = "/"' '.mounts = []' 'del(.linux.maskedPaths, .linux.readonlyPaths)' "$(args /bin/sh -c 'readlink /proc/self/ns/mnt; pwd')" '.root.readonly = false'
	edit "$(without pid)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 0 ]
	[ "${lines[0]}" = "$(ns self mnt)" ]
}

@test "clocks of a new time namespace have the offsets asked for, and exec sees them" {
	edit "$(with time)" '.linux.timeOffsets = {"monotonic": {"secs": 864000, "nanosecs": 500}, "boottime": {"secs": 1728000}}'
	begins
	host=$(cut -d. -f1 /proc/uptime)
	inside=$(dr exec "$ID" cut -d. -f1 /proc/uptime)
	[ $((inside - host)) -ge 1727998 ] && [ $((inside - host)) -le 1728002 ]
	[ "$(readlink /proc/"$(pid)"/ns/time)" = "$(dr exec "$ID" readlink /proc/self/ns/time)" ]
	grep -qE '^monotonic +864000 +500$' "/proc/$(pid)/timens_offsets"
}

@test "offsets that would make a clock negative are refused" {
	edit "$(with time)" '.linux.timeOffsets = {"monotonic": {"secs": -864000000}}'
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *timeOffsets* ]]
	[ -z "$(dr list --quiet)" ]
}

@test "a new network namespace has its lo up" {
	runs 'cat /proc/net/dev | grep -c lo:; ip -o link show lo'
	[[ $output == *LOOPBACK,UP* ]]
}

@test "a cgroup namespace has the container's cgroup as its root" {
	runs 'cat /proc/self/cgroup'
	[ "$status" = 0 ]
	[[ $(grep -c ':/$' <<<"$output") -ge 1 ]]
	[[ $output != *davit-test* ]]
}

@test "ids are mapped as asked, and the process has the mapped ones on the host" {
	edit "$(userns)" '.process.user = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}'
	begins
	grep -qE '^Uid:.101000.101000.101000.101000$' "/proc/$(pid)/status"
	grep -qE '^Groups:.100005 100006 $' "/proc/$(pid)/status"
	[ "$(tr -s ' ' <"/proc/$(pid)/uid_map")" = " 0 100000 65536" ]
}

@test "a namespace path that is no namespace, of another kind or missing is refused by name" {
	edit "$(joining network /etc/passwd)"
	run dr run --bundle "$BUNDLE" "$ID"
	[ "$status" = 1 ]
	[[ $output == *"linux.namespaces["*"].path"* && $output == *"not a network namespace"* ]]
	edit "$(joining network /proc/self/ns/uts)"
	run dr run --bundle "$BUNDLE" "$ID"
	[[ $output == *"not a network namespace"* ]]
	edit "$(joining network /nowhere)"
	run dr run --bundle "$BUNDLE" "$ID"
	[[ $output == *"No such file"* ]]
	[ -z "$(dr list --quiet)" ]
}

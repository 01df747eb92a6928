#!/bin/bash
# Measures davit beside crun, runc and podman in one run: warmed up, medians. Table on stdout, build/bench/report.json for machines.
# Takes no arguments; BENCH_RUNS (default 9) sets how often each short thing is done.
set -eu
cd "$(dirname "$0")/../.."
export DAVIT_BUILD=${DAVIT_BUILD:-$PWD/build}
# shellcheck source=tests/lib/hosts.sh
. tests/lib/hosts.sh
[ "$(id -u)" = 0 ] || { echo "bench: containers of all four runtimes take root" >&2; exit 1; }

# crun 1.8.1 gives up where a cgroup2 without controllers is mounted beside v1 hierarchies. So that it can take part, all run in a mount
# namespace in which that one is not to be seen.
if [ -z "${BENCH_INSIDE:-}" ]; then
	export BENCH_INSIDE=1
	# shellcheck disable=SC2016 # the inner shell expands it
	exec unshare -m sh -c 'if [ -d /sys/fs/cgroup/unified ] && mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$0"' "$0"
fi

WORK=$(mktemp -d /tmp/davit-bench.XXXXXX)
chmod 755 "$WORK" # davitd's user must reach its folders
CRIU=/usr/lib/davit/criu/sbin
[ -x $CRIU/criu ] && PATH=$CRIU:$PATH
export PATH WORK
cleanup() {
	local status=$?
	trap '' INT TERM
	hosts_down || true
	awk -v w="$WORK/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m" || true; done
	rm -rf "$WORK"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

hosts_up "$WORK/hosts"
host_start a
host_start b
tests/lib/image.sh "$WORK/image.tar" "$DAVIT_BUILD/tools/clocks=/bin/clocks" "$DAVIT_BUILD/tools/fill=/bin/fill" \
	/usr/bin/redis-server
davit_on a image import small "$WORK/image.tar" >/dev/null
davit_on b image import small "$WORK/image.tar" >/dev/null
# podman's own default raises hard limits, which takes CAP_SYS_RESOURCE.
printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' >"$WORK/containers.conf"
export CONTAINERS_CONF=$WORK/containers.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1
export HOSTS_DIR
export HOSTS_TAG HOSTS_PID_A HOSTS_PID_B
HOSTS_PID_A=$(host_pid a)
HOSTS_PID_B=$(host_pid b)
/usr/bin/python3 tests/bench/bench.py "$DAVIT_BUILD/bench/report.json"

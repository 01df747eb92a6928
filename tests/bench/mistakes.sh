#!/bin/bash
# Twenty typical mistakes in a config.json and what each runtime says: tests/bench/mistakes.sh [RUNTIME…] (default: davit-runtime, crun and runc).
# Prints a Markdown table; nothing is left. As tests/bench/run.sh, it hides a cgroup2 that is mounted beside v1 hierarchies, which crun cannot bear.
set -u
cd "$(dirname "$0")/../.." || exit
BIN=${DAVIT_BUILD:-$PWD/build}/bin
[ "$(id -u)" = 0 ] || { echo "mistakes: containers of all three take root" >&2; exit 1; }
if [ -z "${MISTAKES_INSIDE:-}" ]; then
	export MISTAKES_INSIDE=1
	# shellcheck disable=SC2016 # the inner shell expands it
	exec unshare -m sh -c 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec "$0" "$@"' "$0" "$@"
fi
[ $# -gt 0 ] || set -- "$BIN/davit-runtime" crun runc
WORK=$(mktemp -d /tmp/davit-mistakes.XXXXXX)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK/bundle/rootfs/bin" "$WORK/bundle/rootfs/tmp"
cp "$(command -v busybox)" "$WORK/bundle/rootfs/bin/busybox"
ln -s busybox "$WORK/bundle/rootfs/bin/true"
echo text >"$WORK/bundle/rootfs/bin/text"
"$BIN/davit-runtime" spec --bundle "$WORK/bundle"
jq '.process.terminal = false | .process.args = ["/bin/true"] | .root.readonly = false | .linux.cgroupsPath = "/davit-mistakes/one" | del(.linux.seccomp)' \
	"$WORK/bundle/config.json" >"$WORK/good.json"

# A mistake for each line: what it is, a tab, and the jq filter that makes it.
mistakes() {
	cat <<-'LIST'
		no config.json	none
		a comma is missing	broken
		the root filesystem is not there	.root.path = "nowhere"
		the program is not in the image	.process.args = ["nginx"]
		the program is not executable	.process.args = ["/bin/text"]
		the working folder is relative	.process.cwd = "tmp"
		a variable without a value	.process.env += ["NOVALUE"]
		a namespace is misspelt	.linux.namespaces += [{type: "netwrok"}]
		a user namespace without mappings	.linux.namespaces += [{type: "user"}]
		the source of a bind mount is not there	.mounts += [{destination: "/data", type: "bind", source: "/no/such", options: ["rbind"]}]
		a mount's destination leaves the root	.mounts += [{destination: "data/../..", type: "tmpfs", source: "tmpfs"}]
		mount options in one word	.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["ro,nosuid"]}]
		an unknown file system	.mounts += [{destination: "/data", type: "ext5", source: "none"}]
		an unknown limit	.process.rlimits = [{type: "RLIMIT_FILES", soft: 10, hard: 10}]
		a soft limit above the hard one	.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 2000, hard: 1000}]
		a setting of the host's kernel	.linux.sysctl = {"kernel.panic": "1"}
		an unknown seccomp action	.linux.seccomp = {defaultAction: "SCMP_ACT_DENY"}
		a limit of memory as text	.linux.resources.memory = {limit: "64m"}
		a CPU that is not there	.linux.resources.cpu = {cpus: "4000"}
		a terminal that nobody holds	.process.terminal = true
	LIST
}

say() { # RUNTIME: what it says, in one line
	local out
	# Into a file: a process that was made and waits would hold a pipe open.
	timeout 20 "$1" --root "$WORK/root-$(basename "$1")" create --bundle "$WORK/bundle" one >"$WORK/out" 2>&1 </dev/null
	out=$(grep -v '^$' "$WORK/out" | tail -1)
	if [ -z "$out" ]; then
		# Some tell it only when the container is started.
		timeout 20 "$1" --root "$WORK/root-$(basename "$1")" start one >>"$WORK/out" 2>&1 </dev/null
		out="(created) $(tail -1 "$WORK/out")"
	fi
	timeout 20 "$1" --root "$WORK/root-$(basename "$1")" delete --force one >/dev/null 2>&1
	sed "s|$WORK/bundle|BUNDLE|g; s/^time=\"[^\"]*\" level=error msg=\"\(.*\)\"$/\1/; s/^[0-9T:.-]*Z: //; s/|/\\\\|/g" <<<"$out"
}

printf '| mistake |'
for r; do printf ' %s |' "$(basename "$r")"; done
printf '\n|---|'
for r; do printf -- '---|'; done
echo
while IFS=$'\t' read -r what filter; do
	case $filter in
	none) rm -f "$WORK/bundle/config.json" ;;
	broken) sed '0,/,$/s/,$//' "$WORK/good.json" >"$WORK/bundle/config.json" ;;
	*) jq "$filter" "$WORK/good.json" >"$WORK/bundle/config.json" ;;
	esac
	printf '| %s |' "$what"
	for r; do printf ' %s |' "$(say "$r")"; done
	echo
done < <(mistakes)
find /sys/fs/cgroup -depth -type d -path '*/davit-mistakes*' -exec rmdir {} + 2>/dev/null
exit 0

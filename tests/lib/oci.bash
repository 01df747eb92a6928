# Bundles of a static busybox for the tests of davit-runtime itself, changed by jq filters in one go. Load after common.bash.
#   bundle [JQ FILTER…]    makes $TMP/bundle from `davit-runtime spec`, each filter changing its config.json
#   edit JQ FILTER…        changes the config.json of $BUNDLE
#   dr ARGS…               davit-runtime with this test's own state folder
#   userns                 a jq filter: a user namespace of 65536 ids from 100000 on
command -v busybox >/dev/null || skip "needs busybox-static"

bundle_setup() {
	common_setup
	STATE=$TMP/state
	BUNDLE=$TMP/bundle
	ID=t-${TMP##*.}
	later stop_all
}

dr() { "$BIN/davit-runtime" --root "$STATE" "$@"; }

# Containers of the test that are left, whatever state they are in.
stop_all() {
	local dir
	for dir in "$STATE"/*/; do
		[ -f "$dir/config.json" ] && dr delete --force "$(basename "$dir")"
	done
	return 0
}

rootfs_make() { # DIR
	mkdir -p "$1"/{bin,etc,tmp,root,proc,sys,dev}
	chmod 755 "$TMP" "$1"
	cp "$(command -v busybox)" "$1/bin/busybox"
	"$1/bin/busybox" --install "$1/bin"
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n' >"$1/etc/passwd"
}

bundle() {
	mkdir -p "$BUNDLE"
	rootfs_make "$BUNDLE/rootfs"
	dr spec --bundle "$BUNDLE"
	edit '.process.terminal = false' ".linux.cgroupsPath = \"/davit-test/$ID\"" "$@"
	later rmdir_cgroups
}

edit() {
	local filter
	for filter in "$@"; do
		jq "$filter" "$BUNDLE/config.json" >"$BUNDLE/config.json.new"
		mv "$BUNDLE/config.json.new" "$BUNDLE/config.json"
	done
}

# The parents that the cgroups module makes for our path.
rmdir_cgroups() {
	find /sys/fs/cgroup -depth -type d \( -path "*/davit-test/$ID" -o -path '*/davit-test' \) -exec rmdir {} + 2>/dev/null
	return 0
}

# args WORD…: a jq filter that sets process.args
args() { jq -nr '"process.args = \($ARGS.positional | @json)" | "." + .' --args -- "$@"; }
userns() {
	echo '.linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}] | .linux.gidMappings = .linux.uidMappings'
}
mount_at() { # DESTINATION TYPE SOURCE [OPTION…]: a jq filter that adds a mount
	jq -nr '".mounts += [\({destination: $ARGS.positional[0], type: $ARGS.positional[1], source: $ARGS.positional[2], options: $ARGS.positional[3:]} | @json)]"' --args -- "$@"
}
# runs SCRIPT: the bundle's process is sh -c SCRIPT, run in the foreground; $output is what it wrote
runs() {
	edit "$(args sh -c "$1")"
	run dr run --bundle "$BUNDLE" "$ID"
	echo "$output"
}
# creates [OPTION…] ID: `run dr create` without a pipe that a waiting process would keep open
creates() {
	status=0
	dr create "$@" </dev/null >"$TMP/created" 2>&1 || status=$?
	output=$(cat "$TMP/created")
}
# begins [OPTION…]: creates and starts $ID; its output goes to $TMP/out
begins() {
	dr create --bundle "$BUNDLE" --pid-file "$TMP/pid" "$@" "$ID" </dev/null >"$TMP/out" 2>&1 || { cat "$TMP/out"; return 1; }
	dr start "$ID"
}
status_of() { dr state "$ID" | jq -r .status; }
is() { [ "$(status_of)" = "$1" ]; }
# ended PID: gone, or a zombie that its parent has not looked at
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
has_process() { ! ended "$(cat "$TMP/pid")"; }

# Containers made with davit-runtime alone. After common_setup: bundle_setup makes $TMP/bundle with a small root filesystem; `config JQ…` changes its
# config.json; `rt …` is davit-runtime with a state folder of the test's own. What a test leaves running is ended by common_teardown.

bundle_setup() { # PROGRAM…: further programs for the root filesystem (tests/lib/image.sh)
	local image=${BATS_FILE_TMPDIR:-$TMP}/image.tar
	[ -f "$image" ] || "$BATS_TEST_DIRNAME/../lib/image.sh" "$image" "$@"
	mkdir -p "$TMP/bundle/rootfs" "$TMP/state"
	tar -C "$TMP/bundle/rootfs" -xf "$image"
	CGROUP=/davit-test-$$-${BATS_TEST_NUMBER:-0}
	"$BIN/davit-runtime" spec --bundle "$TMP/bundle"
	config ".process.terminal = false | .root.readonly = false | .linux.cgroupsPath = \"$CGROUP/one\""
	later bundle_clean
}

config() { # JQ-FILTER
	jq "$1" "$TMP/bundle/config.json" >"$TMP/config.new"
	mv "$TMP/config.new" "$TMP/bundle/config.json"
}

# The command of the container.
args() { config ".process.args = $(printf '%s\n' "$@" | jq -R . | jq -sc .)"; }

rt() { "$BIN/davit-runtime" --root "$TMP/state" "$@"; }

# run one: runs the container in the foreground with its output
run_one() { rt run --bundle "$TMP/bundle" one; }

# start one in the background, its output in $TMP/out
start_one() {
	rt create --bundle "$TMP/bundle" one >"$TMP/out" 2>&1 </dev/null
	rt start one
}

status_is() { [ "$(rt state one | jq -r .status)" = "$1" ]; }

# cgroup_dir CONTROLLER: the container's folder in that hierarchy
cgroup_dir() {
	local mount
	mount=$(awk -v c="$1" '{ for (i = 1; i <= NF && $i != "-"; i++); if ($(i + 1) == "cgroup" && "," $(i + 3) "," ~ "," c ",") { print $5; exit } }' /proc/self/mountinfo)
	[ -n "$mount" ] || mount=$(awk '{ for (i = 1; i <= NF && $i != "-"; i++); if ($(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
	echo "$mount$CGROUP/one"
}

bundle_clean() {
	rt delete --force one 2>/dev/null || true
	find /sys/fs/cgroup -depth -type d -path "*$CGROUP*" -exec rmdir {} + 2>/dev/null || true
}

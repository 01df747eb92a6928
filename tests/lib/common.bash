# What integration tests share: BIN (the programs), TMP (a folder of the test's own, root of all it makes), retry (waits for a condition), and
# the end of whatever a test noted with `later COMMAND…`, in reverse order, also when it fails.
export DAVIT_BUILD=${DAVIT_BUILD:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build}
export BIN=$DAVIT_BUILD/bin

common_setup() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	TMP=$(mktemp -d "${TMPDIR:-/tmp}/davit-test.XXXXXX")
	LATER=()
}

# Whether the programs are a sanitizer build's (make SAN=1).
sanitized() { ldd "$BIN/davitd" | grep -q libasan; }

later() { LATER+=("$(printf '%q ' "$@")"); }

common_teardown() {
	local i
	for ((i = ${#LATER[@]} - 1; i >= 0; i--)); do eval "${LATER[i]}" || true; done
	[ -n "${TMP:-}" ] && rm -rf --one-file-system "$TMP"
	return 0
}

cgroups_gone() { # PATTERN of their paths: removes those that are empty; whether none is left
	find /sys/fs/cgroup -depth -type d -path "$1" -exec rmdir {} + 2>/dev/null
	[ -z "$(find /sys/fs/cgroup -type d -path "$1" 2>/dev/null)" ]
}

# retry COMMAND…: until it succeeds. The limit is for what never comes, not for what takes long on a busy machine.
retry() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "in vain: $*" >&2; return 1; }
		sleep 0.05
	done
}

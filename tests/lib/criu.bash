# Checkpoints and restores of bundles (load after oci.bash; call criu_setup after bundle).
#   saved [OPTION…]        checkpoints $ID into $TMP/img
#   back [OPTION…]         deletes what is left of $ID and restores it; its output goes to $TMP/out
#   eight                  a jq filter: all eight namespaces
#   tool SOURCE            compiles tests/tools/SOURCE.c statically into the rootfs's /bin
#   init                   init's host pid
# shellcheck shell=bash disable=SC2154
criu_setup() {
	[ -x "$BIN/davit-runtime" ] || skip "davit-runtime is not built"
	IMG=$TMP/img
	# The container's root opens it again on a restore.
	: >"$TMP/out"
	: >"$TMP/error"
	chmod 666 "$TMP/out" "$TMP/error"
	export IMG
}
saved() { dr checkpoint --image-path "$IMG" --work-path "$TMP/work" "$@" "$ID"; }
back() {
	dr delete --force "$ID" 2>/dev/null || true
	dr restore --detach --bundle "$BUNDLE" --pid-file "$TMP/pid" --image-path "$IMG" --work-path "$TMP/work" "$@" "$ID" </dev/null >>"$TMP/out" 2>"$TMP/error" ||
		{ cat "$TMP/error"; return 1; }
}
eight() { echo "$(userns) | .linux.namespaces |= (map(select(.type != \"time\" and .type != \"cgroup\")) + [{\"type\": \"time\"}, {\"type\": \"cgroup\"}])"; }
tool() { gcc -std=gnu17 -D_GNU_SOURCE -O1 -w -static -o "$BUNDLE/rootfs/bin/$1" "$BATS_TEST_DIRNAME/../tools/$1.c"; }
init() { cat "$TMP/pid"; }
# Files that the container writes: its root has to be able to.
writable() { chmod 1777 "$BUNDLE/rootfs/tmp"; }
number() { cat "$BUNDLE/rootfs/tmp/n" 2>/dev/null || echo 0; }
# counts_on: the counter grows from what it is now
counts_on() {
	local from
	from=$(number)
	retry above "$from"
}
above() { [ "$(number)" -gt "$1" ]; }
# A loop that writes a number that grows.
# shellcheck disable=SC2034,SC2016
COUNTER='i=0; while :; do i=$((i + 1)); echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; sleep 0.02; done'

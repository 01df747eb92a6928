# podman with roots, state and configuration of a test's own and without network, for files that load this beside common.bash: podman_image in setup_file,
# podman_setup in setup (after common_setup, which cleans up too). RUNTIME is the runtime that it drives.
podman_image() {
	command -v podman >/dev/null || return 0
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$BATS_FILE_TMPDIR/image.tar"
}

podman_setup() {
	command -v podman >/dev/null || skip "podman is not installed"
	CGROUP=/davit-podman-$$-$BATS_TEST_NUMBER
	# The limits that podman would set otherwise may be above those of this machine.
	printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' \
		>"$TMP/containers.conf"
	export CONTAINERS_CONF=$TMP/containers.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1
	RUNTIME=$BIN/davit-runtime
	AS=()
	later podman_clean
	pod import "$BATS_FILE_TMPDIR/image.tar" davit-test
}

pod() {
	"${AS[@]}" podman --root "$TMP/root" --runroot "$TMP/run" --tmpdir "$TMP/tmp" --storage-driver vfs --cgroup-manager cgroupfs --runtime "$RUNTIME" "$@" 2>>"$TMP/errors"
}

# with_subids COMMAND…: where /etc/subuid and /etc/subgid give ids to "containers", for --userns=auto, and to an ordinary user of the name davit-user
SUBIDS_USER=61234
with_subids() {
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare --mount sh -c 'for f in passwd group subuid subgid; do mount --bind "$0/$f" "/etc/$f"; done; exec "$@"' "$TMP/etc" "$@"
}
subids_setup() {
	[ -u /usr/bin/newuidmap ] && [ -e /etc/subuid ] && [ -e /etc/subgid ] || skip "newuidmap is not installed"
	mkdir "$TMP/etc"
	printf '%s\n' containers:2000000:100000 davit-user:3000000:65536 | tee "$TMP/etc/subuid" >"$TMP/etc/subgid"
	{ cat /etc/passwd; echo "davit-user:x:$SUBIDS_USER:$SUBIDS_USER::$TMP/home:/bin/sh"; } >"$TMP/etc/passwd"
	{ cat /etc/group; echo "davit-user:x:$SUBIDS_USER:"; } >"$TMP/etc/group"
}

run_in() { pod run --network none --cgroup-parent "$CGROUP" "$@"; }

podman_clean() {
	pod rm --all --force --time 0 >/dev/null
	# conmon, which is in there too, ends a little after its container.
	retry cgroups_gone "*$CGROUP*"
}

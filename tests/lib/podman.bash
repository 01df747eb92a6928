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
	later podman_clean
	pod import "$BATS_FILE_TMPDIR/image.tar" davit-test
}

pod() {
	podman --root "$TMP/root" --runroot "$TMP/run" --tmpdir "$TMP/tmp" --storage-driver vfs --cgroup-manager cgroupfs --runtime "$RUNTIME" "$@" 2>>"$TMP/errors"
}

run_in() { pod run --network none --cgroup-parent "$CGROUP" "$@"; }

podman_clean() {
	pod rm --all --force --time 0 >/dev/null
	# conmon, which is in there too, ends a little after its container.
	retry 5 cgroups_gone "*$CGROUP*"
}

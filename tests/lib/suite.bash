# Hosts that outlive single tests, for a file that loads this beside common.bash. setup_file: suite_needs, suite_up, suite_start; setup: suite_again (after
# common_setup); teardown: suite_clear; teardown_file: suite_down. HOSTS_NAMES is set before, by a file that wants others than a and b. SUITE_DIR is a
# folder of all of them. What hosts.sh keeps in variables is handed on to each test's own shell.
. "$BATS_TEST_DIRNAME/../lib/hosts.sh"

suite_needs() { # PROGRAM…: whether the file can run; else each test is skipped with the reason
	local program
	[ "$(id -u)" = 0 ] || return 1
	for program in jq curl openssl ip nsenter unshare "$@"; do
		command -v "$program" >/dev/null || export SUITE_SKIP="$program is missing"
	done
	[ -e /proc/self/timens_offsets ] || export SUITE_SKIP="this kernel has no time namespaces"
	[ -z "${SUITE_SKIP:-}" ]
}

suite_up() { # NAME: the hosts, configured, without davitd
	export SUITE_DIR SUITE_TAG
	SUITE_DIR=$(mktemp -d "/tmp/davit-$1.XXXXXX")
	chmod 711 "$SUITE_DIR"
	hosts_up "$SUITE_DIR/hosts"
	SUITE_TAG=$HOSTS_TAG
}

suite_start() { # IMAGE PROGRAM…: a davitd on each, with an image of these programs
	local h image=$1
	shift
	for h in $HOSTS_NAMES; do host_start "$h" 3>&- 4>&-; done
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$SUITE_DIR/$image.tar" "$@"
	for h in $HOSTS_NAMES; do davit_on "$h" image import "$image" "$SUITE_DIR/$image.tar" >/dev/null; done
}

suite_again() {
	[ -z "${SUITE_SKIP:-}" ] || skip "$SUITE_SKIP"
	HOSTS_DIR=$SUITE_DIR/hosts
	HOSTS_TAG=$SUITE_TAG
}

suite_needs_criu() { davit_on a info --json | jq -e '.facts.criuProblem | not' >/dev/null || skip "no criu that works here"; }

suite_alive() { curl -fs --max-time 30 --unix-socket "$HOSTS_DIR/$1/run/davit.sock" http://localhost/healthz >/dev/null 2>&1; }

suite_clear() { # what a test left; of one that failed the ends of the logs
	local h name
	[ -n "${HOSTS_DIR:-}" ] || return 0
	for h in $HOSTS_NAMES; do
		[ -n "${BATS_TEST_COMPLETED:-}" ] || tail -20 "$HOSTS_DIR/$h/davitd.log" 2>/dev/null
		suite_alive "$h" || host_start "$h" 3>&- 4>&-
		for name in $(davit_on "$h" ps --all --quiet 2>/dev/null); do davit_on "$h" rm --force "$name" >/dev/null 2>&1 || true; done
	done
	return 0
}

suite_down() {
	[ -n "${SUITE_TAG:-}" ] || return 0
	HOSTS_DIR=$SUITE_DIR/hosts
	HOSTS_TAG=$SUITE_TAG
	hosts_down
	rm -rf --one-file-system "$SUITE_DIR"
}

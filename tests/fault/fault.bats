#!/usr/bin/env bats
# A short run of the fault tests. Longer ones: tests/fault/run.sh --count 1000 --seed N.
load ../lib/common

setup() {
	common_setup
	[ "$(id -u)" = 0 ] || skip "needs root"
	for program in python3 nft tc ss jq curl openssl; do command -v "$program" >/dev/null || skip "$program is missing"; done
	[ -e /proc/self/timens_offsets ] || skip "this kernel has no time namespaces"
}
teardown() { common_teardown; }

@test "whatever goes wrong in a move, one whole copy runs in the end, its client is served, and nothing is left elsewhere" {
	run "$BATS_TEST_DIRNAME/run.sh" --seconds 30 --seed 4 --verbose
	echo "$output"
	[ "$status" = 0 ]
	[ "$(sed -n '/^{$/,$p' <<<"$output" | jq .done)" -ge 5 ]
}

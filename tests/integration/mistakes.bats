#!/usr/bin/env bats
# The twenty typical mistakes of tests/bench/mistakes.sh, which prints what the three runtimes say: davit-runtime names the place and the remedy, and
# docs/MISTAKES.md is what the script printed.
load ../lib/common

setup() { common_setup; }
teardown() { common_teardown; }

@test "each of twenty typical mistakes is told with its place and its remedy" {
	"$BATS_TEST_DIRNAME/../bench/mistakes.sh" "$BIN/davit-runtime" >"$TMP/table"
	[ "$(wc -l <"$TMP/table")" = 22 ]
	# JSON that is wrong as JSON has line and column, and what would be right there.
	! tail -n +3 "$TMP/table" | grep -vE 'line [0-9]+, column [0-9]+: .*expected' | grep -vE '\| davit-runtime: [a-zA-Z0-9_.() /]+.*\(.*\) \|$'
	! grep -E '\(created\)|Segmentation|internal' "$TMP/table"
	# In the page, but for what this machine's kernel says of its CPUs.
	mine() { grep '^|' "$1" | sed 's/\\|/ or /g' | cut -d'|' -f2,3 | grep -v 'a CPU that is not there'; }
	diff <(mine "$BATS_TEST_DIRNAME/../../docs/MISTAKES.md") <(mine "$TMP/table") || { echo "make the page anew: tests/bench/mistakes.sh"; false; }
}

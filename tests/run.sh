#!/bin/bash
# Runs all tests: unit tests (cmocka), whole things (bats), fuzzers for a few seconds. Every test is one TAP
# line; the last line of the output counts them. `tests/run.sh FILE…` runs only these.
#
# A file that fails is run once more and counts by that: what is broken fails twice, what hangs on the machine's mood does not. The first failure is
# printed all the same, before the last line, as unsteady: that is a defect to be mended. TESTS_ONCE=1: no second run. A sanitizer's
# report is a failure at once.
set -u
cd "$(dirname "$0")/.." || exit 1
export DAVIT_BUILD=${DAVIT_BUILD:-$PWD/build}
case $DAVIT_BUILD in /*) ;; *) DAVIT_BUILD=$PWD/$DAVIT_BUILD ;; esac
LOGS=$DAVIT_BUILD/test-logs
mkdir -p "$LOGS"
passed=0 failed=0 skipped=0
failures=()
unsteady=()

# A sanitizer build: each report of any process goes to a file of this folder (that of agent/sandbox.c), and is a failure also where no test looks at that
# process's end.
SANITIZER=/tmp/davit-sanitizer
sanitized=
if ldd "$DAVIT_BUILD/bin/davitd" 2>/dev/null | grep -q libasan; then
	sanitized=1
	mkdir -p "$SANITIZER"
	chmod 1777 "$SANITIZER"
	rm -f "$SANITIZER"/report.*
	export ASAN_OPTIONS=log_path=$SANITIZER/report UBSAN_OPTIONS=print_stacktrace=1:log_path=$SANITIZER/report
fi

tally() { # LOG STATUS: ok, not and skip, from the TAP lines of a log; a run that ends badly without a failed line is a failure itself
	# cmocka writes a skipped test as "not ok N # SKIP name"
	skip=$(grep -ciE '^(not )?ok .*# skip' "$1")
	ok=$(($(grep -cE '^ok ' "$1") - $(grep -ciE '^ok .*# skip' "$1")))
	not=$(($(grep -cE '^not ok ' "$1") - $(grep -cE '^not ok .*# SKIP' "$1")))
	if [ "$2" != 0 ] && [ "$not" = 0 ]; then
		not=1
		echo "not ok it ended with status $2" >>"$1"
	elif [ $((ok + not + skip)) = 0 ]; then
		not=1
		echo "not ok it ran no test" >>"$1"
	fi
}

reasons() { # LOG: why tests were skipped. bats gives it in the line itself, cmocka's tests print it in the line before.
	grep -iE -B1 '^(not )?ok .*# skip' "$1" | grep -vE '^ok [^#]*$|^--$|^[0-9]+\.\.' | sed -E 's/^(not )?ok [0-9]* */  skipped: /; t; s/^(# )?/  because: /'
}

broken() { # LOG: its failed tests with what they said
	awk '/^(ok |[0-9]+\.\.[0-9]+$|TAP version)/ {show = 0; next} /^not ok / {show = !/# SKIP/} show {print "  | " $0}' "$1" | tail -60
}

try() { # LOG COMMAND…: one run, and its tally; whether the sanitizers were silent
	local log=$1 report status silent=0
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	for report in "$SANITIZER"/report.*; do
		if [ -z "$sanitized" ] || [ ! -e "$report" ]; then continue; fi
		{ echo "not ok the sanitizers say nothing"; cat "$report"; } >>"$log"
		rm -f "$report"
		silent=1
	done
	tally "$log" "$status"
	return $silent
}

run_one() { # NAME COMMAND…
	local name=$1 log=$LOGS/${1//\//_}.log start=$SECONDS ok not skip
	shift
	if try "$log" "$@" && [ "$not" != 0 ] && [ -z "${TESTS_ONCE:-}" ]; then
		echo "$name failed; once more:"
		mv "$log" "${log%.log}.first.log"
		try "$log" "$@"
		[ "$not" != 0 ] || unsteady+=("$name")
	fi
	passed=$((passed + ok)) failed=$((failed + not)) skipped=$((skipped + skip))
	printf '%-40s %4d passed %3d failed %3d skipped  %4ds\n' "$name" "$ok" "$not" "$skip" $((SECONDS - start))
	reasons "$log"
	[ "$not" = 0 ] || failures+=("$name")
}

run_file() {
	case $1 in
	*.bats) run_one "${1#tests/}" bats --tap "$1" ;;
	*.sh) run_one "${1#tests/}" "$1" ;;
	*) CMOCKA_MESSAGE_OUTPUT=TAP run_one "unit/${1##*/}" "$1" ;;
	esac
}

files=("$@")
if [ ${#files[@]} = 0 ]; then
	shopt -s nullglob
	for src in tests/unit/test_*.c; do
		src=${src##*/}
		files+=("$DAVIT_BUILD/tests/${src%.c}")
	done
	files+=(tests/integration/*.bats tests/e2e/*.bats tests/model/*.bats tests/fault/*.bats tests/fuzz/*.bats tests/vm/*.bats)
fi
for f in "${files[@]}"; do
	run_file "$f"
done
for f in "${unsteady[@]}"; do
	echo "unsteady: $f"
	broken "$LOGS/${f//\//_}.first.log"
done
for f in "${failures[@]}"; do
	echo "failed: $f"
	broken "$LOGS/${f//\//_}.log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]

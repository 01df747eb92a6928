#!/bin/bash
# Runs all tests: unit tests (cmocka), whole things (bats), fuzzers for a few seconds. Every test is one TAP
# line; the last line of the output counts them. `tests/run.sh FILE…` runs only these.
set -u
cd "$(dirname "$0")/.." || exit 1
export DAVIT_BUILD=${DAVIT_BUILD:-$PWD/build}
case $DAVIT_BUILD in /*) ;; *) DAVIT_BUILD=$PWD/$DAVIT_BUILD ;; esac
LOGS=$DAVIT_BUILD/test-logs
mkdir -p "$LOGS"
passed=0 failed=0 skipped=0
failures=()

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

count() { # NAME LOG STATUS SECONDS: adds the TAP lines of a log; a run that ends badly without a failed line is a failure itself
	local ok not skip
	# cmocka writes a skipped test as "not ok N # SKIP name"
	skip=$(grep -ciE '^(not )?ok .*# skip' "$2")
	ok=$(($(grep -cE '^ok ' "$2") - $(grep -ciE '^ok .*# skip' "$2")))
	not=$(($(grep -cE '^not ok ' "$2") - $(grep -cE '^not ok .*# SKIP' "$2")))
	if [ "$3" != 0 ] && [ "$not" = 0 ]; then
		not=1
		echo "$1 ended with status $3"
	elif [ $((ok + not + skip)) = 0 ]; then
		not=1
		echo "$1 ran no test"
	fi
	passed=$((passed + ok)) failed=$((failed + not)) skipped=$((skipped + skip))
	printf '%-40s %4d passed %3d failed %3d skipped  %4ds\n' "$1" "$ok" "$not" "$skip" "$4"
	# bats gives the reason in the line itself, cmocka's tests print it in the line before.
	grep -iE -B1 '^(not )?ok .*# skip' "$2" | grep -vE '^ok [^#]*$|^--$|^[0-9]+\.\.' | sed -E 's/^(not )?ok [0-9]* */  skipped: /; t; s/^(# )?/  because: /'
	if [ "$not" != 0 ]; then
		failures+=("$1")
		grep -vE '^ok |^[0-9]+\.\.[0-9]+$|^TAP version' "$2" | tail -60 | sed 's/^/  | /'
	fi
}

run_one() { # NAME COMMAND…
	local name=$1 log=$LOGS/${1//\//_}.log start=$SECONDS status report
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	for report in "$SANITIZER"/report.*; do
		if [ -z "$sanitized" ] || [ ! -e "$report" ]; then continue; fi
		{ echo "not ok the sanitizers say nothing"; cat "$report"; } >>"$log"
		rm -f "$report"
	done
	count "$name" "$log" "$status" $((SECONDS - start))
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
[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]

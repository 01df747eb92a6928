#!/bin/bash
# Fault tests: moves of a self-verifying workload between two hosts, with something going wrong in each.
#
#   tests/fault/run.sh [--count N | --seconds S] [--seed N [--first N]] [--only FAULT,…] [--mode MODE] [--verbose] [--keep DIR]
#
# The same seed gives the same faults; --first begins with a later one of them. Ends with a summary in JSON and status 0 if every move ended well. After a failure the hosts' logs and
# journals are in DIR (default: build/test-logs/fault).
set -eu
cd "$(dirname "$0")/../.."
export DAVIT_BUILD=${DAVIT_BUILD:-$PWD/build}
keep=$DAVIT_BUILD/test-logs/fault
args=()
while [ $# -gt 0 ]; do
	if [ "$1" = --keep ]; then
		keep=$2
		shift
	else
		args+=("$1")
	fi
	shift
done
[ ${#args[@]} -gt 0 ] || args=(--count 20)
# shellcheck source=tests/lib/hosts.sh disable=SC1091
. tests/lib/hosts.sh
dir=$(mktemp -d /tmp/davit-fault.XXXXXX)
chmod 755 "$dir"
finish() {
	local status=$?
	trap - EXIT INT TERM
	if [ "$status" != 0 ]; then
		rm -rf "$keep"
		mkdir -p "$keep"
		for h in a b; do
			mkdir -p "$keep/$h"
			cp -r "$HOSTS_DIR/$h/davitd.log" "$HOSTS_DIR/$h/state/agent/moves" "$HOSTS_DIR/$h/state/logs" "$keep/$h/" 2>/dev/null || true
		done
	fi
	hosts_down 2>/dev/null || true
	rm -rf --one-file-system "$dir" 2>/dev/null || true
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
hosts_up "$dir/hosts"
# A disk of its own for each host, small enough to be filled.
for h in a b; do
	mkdir "$HOSTS_DIR/$h/state"
	mount -t tmpfs -o size=160m,mode=755 "davit-$HOSTS_TAG-$h" "$HOSTS_DIR/$h/state"
done
tests/lib/image.sh "$dir/base.tar" "$DAVIT_BUILD/tools/ledger=/bin/ledger"
for h in a b; do
	host_start "$h" </dev/null
	davit_on "$h" image import base "$dir/base.tar" >/dev/null
done
python3 tests/fault/drive.py --dir "$HOSTS_DIR" --tag "$HOSTS_TAG" "${args[@]}"

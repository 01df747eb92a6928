#!/bin/bash
# Moves a tiny container there and back many times and tells what its clocks made of it: tests/e2e/clock_moves.sh [MOVES [FILE [MODE]]]
#
# Inside, a watcher reads both clocks every 100 µs and counts every step back. Prints one JSON object (and writes it to FILE): moves, the worst error of
# either clock and the worst bound in µs, moves whose error passed their bound, downtimes, steps back as the records and as the watcher saw them. The
# error is the true one: both hosts are one machine, whose one clock tells how long the container really stood still.
# Fails if a clock went back, or if an error passed its bound.
set -euo pipefail
moves=${1:-1000}
out=${2:-/dev/null}
mode=${3:-stop-and-copy}
here=$(cd "$(dirname "$0")" && pwd)
DAVIT_BUILD=${DAVIT_BUILD:-$here/../../build}
export DAVIT_BUILD
# shellcheck source=tests/lib/hosts.sh
. "$here/../lib/hosts.sh"
work=$(mktemp -d /tmp/davit-clocks.XXXXXX)
chmod 755 "$work"
trap 'set +e; hosts_down 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

hosts_up "$work/hosts"
host_start a
host_start b
"$here/../lib/image.sh" "$work/tiny.tar" "$DAVIT_BUILD/tools/clocks=/bin/clocks"
for h in a b; do davit_on "$h" image import tiny "$work/tiny.tar" >/dev/null; done
davit_on a run --detach --name tiny --image tiny --memory 32m -- /bin/clocks watch /tmp/watch >/dev/null

from=a to=b
for ((i = 0; i < moves; i++)); do
	davit_on "$from" migrate --mode "$mode" --json tiny "host-$to" | jq -c --arg to "$to" '. + {to: $to}' >>"$work/records"
	read -r from to <<<"$to $from"
done
# The line that is there may be from before the last move: until there is a newer one.
old=$(davit_on "$from" exec tiny -- /bin/cat /tmp/watch)
watch=$old
while [ "$watch" = "$old" ]; do watch=$(davit_on "$from" exec tiny -- /bin/cat /tmp/watch); done
read -r _ samples _ back_monotonic _ _ back_boottime _ <<<"$watch"
jq -s --arg mode "$mode" --argjson samples "$((10#$samples))" --argjson backs "$((10#$back_monotonic + 10#$back_boottime))" --argjson monotonic "$HOSTS_MONOTONIC_B" --argjson boottime "$HOSTS_BOOTTIME_B" '
	def offset(seconds): if .to == "b" then seconds else -seconds end * 1000000000;
	def error(clock; seconds): .clock as $c | offset(seconds) as $o | ($c.after["container" + clock] - $c.before["container" + clock]) - ($c.after["host" + clock] - $c.before["host" + clock] - $o) | fabs;
	def median: sort | .[length / 2 | floor];
	[.[] | {error: ([error("Monotonic"; $monotonic), error("Boottime"; $boottime)] | max), bound: .clock.bound, down: .downtimeUs, back: .clock.backwards}] |
	{moves: length, mode: $mode, clockErrorUs: ([.[].error] | max / 1000), clockBoundUs: ([.[].bound] | max / 1000), medianErrorUs: ([.[].error] | median / 1000),
	medianBoundUs: ([.[].bound] | median / 1000), errorsPastBound: ([.[] | select(.error > .bound)] | length), boundsPast100Us: ([.[] | select(.bound > 100000)] | length),
	medianDowntimeMs: ([.[].down] | median / 1000), backwards: ([.[] | select(.back)] | length), watcherSamples: $samples, watcherBacks: $backs}' \
	"$work/records" >"$work/result"
tee "$out" <"$work/result"
jq -e '.backwards == 0 and .watcherBacks == 0 and .errorsPastBound == 0' "$work/result" >/dev/null

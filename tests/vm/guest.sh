#!/bin/bash
# Runs inside two virtual hosts as their test of moves (tests/vm/image.sh, davit-test.service): "a" drives, "b" is the other host.
# tests/vm/move.bats reads the claims.
set -u
# shellcheck source-path=SCRIPTDIR source=guest_lib.sh
. "$(dirname "$0")/guest_lib.sh"

claim "davitd starts on $(uname -r) under systemd" start_agent
claim "the image is imported" davit image import redis $here/image.tar
if [ "$role" = b ]; then
	wait_for_driver
	agent_log
	exit 0
fi

claim "the peer answers over mutual TLS" until_true 120 peer_answers
claim "redis runs as a container" redis_runs redis

memory_max() { [ "$(cat /sys/fs/cgroup/davit/*/memory.max)" = 67108864 ] && [ "$(cat /sys/fs/cgroup/davit/*/pids.max)" = 64 ]; }
claim "its limits are in cgroup v2" memory_max
confined() { davit exec redis /bin/cat /proc/self/attr/current | grep -q '^davit-default (enforce)'; }
claim "it is confined by the AppArmor profile davit-default" confined

client_begin

claim "the client is served" more_replies
before=$(clocks)
claim "redis moves to a host with another kernel start and another wall clock" davit migrate redis host-b
claim "the client is served by the other host over the same connection" more_replies
claim "redis runs there" remote inspect redis
# Of each process, the first among them: an exec alone would only show its own.
labels() { remote exec redis /bin/sh -c 'cat /proc/[0-9]*/attr/current' | sort | uniq -c | awk '{ print $1 > "/run/labels"; $1 = ""; print }' | sort -u; }
confined_there() { [ "$(labels)" = " davit-default (enforce)" ] && [ "$(cat /run/labels)" -ge 3 ]; }
claim "every process is confined there as it was" confined_there
after=$(remote exec redis /bin/clocks)
# The wall clocks are years apart; the container's monotonic clock goes on as if nothing had been.
went_on() { # BEFORE AFTER DAYS: that lie between the wall clocks at least
	python3 -c "
import sys
b, a = [int(x) for x in '$1'.split()], [int(x) for x in '$2'.split()]
print(b, a)
sys.exit(0 if 0 < a[0] - b[0] < 120e9 and 0 < a[1] - b[1] < 120e9 and abs(a[2] - b[2]) > $3 * 86400e9 else 1)"
}
claim "its monotonic and boottime clocks went on, while the wall clock is the new host's" went_on "$before" "$after" 300
# On the way back this host's wall clock is set anew in the middle of the move, which must count nothing by it.
arriving() { davit migrations ls --json | jq -e 'any(.migrations[]; .state | IN("done", "aborted") | not)'; }
move_back() {
	remote migrate redis host-a &
	local move=$!
	until_true 60 arriving && date --set "@$(($(date +%s) + 30 * 86400))" && wait "$move"
}
claim "redis moves back" move_back
back=$(clocks)
claim "its clocks went on over a wall clock that was set in the middle" went_on "$before" "$back" 29
claim "the client is still served" more_replies
claim "no clock went back in between" never_back
client_end
davit migrations ls --json | sed 's/^/# /'
agent_log
tell_driven

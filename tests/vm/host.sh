#!/bin/bash
# Runs inside a virtual host as the test of that host alone (tests/vm/image.sh, davit-test.service); tests/vm/host.bats reads the claims.
set -u
# shellcheck source-path=SCRIPTDIR source=guest_lib.sh
. "$(dirname "$0")/guest_lib.sh"

# The criu that is brought along, where the distribution's is too old.
bring_criu() { mkdir -p /usr/lib/davit && cp -r $here/criu /usr/lib/davit/; }
if [ "$(cat $here/suite)" = bookworm ] && [ -d $here/criu ]; then
	too_old() { start_agent && journalctl -u davitd --no-pager -o cat | grep "older than" && systemctl stop davitd; }
	claim "davitd starts without a fit criu and tells why the distribution's is none" too_old
	bring_criu
fi
claim "davitd starts" start_agent
claim "the image is imported" davit image import small $here/image.tar

# Counts as long as it lives, twenty times a second; what is missing or twice in its log shows.
# shellcheck disable=SC2016 # the container's shell expands it
count='n=0; while :; do n=$((n + 1)); echo $n; usleep 50000; done'
claim "a container runs" davit run --detach --name count --image small --memory 64m --memory-swap 96m --cpus 0.5 --pids 32 -- /bin/sh -c "$count"
cgroup=/sys/fs/cgroup/davit/count

is() { # FILE VALUE
	local value
	value=$(cat "$cgroup/$1")
	[ "$value" = "$2" ] || { echo "$1 is $value"; return 1; }
}
limits() { is memory.max 67108864 && is memory.swap.max 33554432 && is cpu.max "50000 100000" && is pids.max 32; }
claim "each limit is in its cgroup v2 file" limits
own_root() { [ "$(davit exec count /bin/cat /proc/self/cgroup)" = 0::/ ]; }
claim "it sees its cgroup as the root" own_root
# In a container of its own, whose first process does not fork: one that does would end with the limit reached.
many() {
	davit run --detach --name crowd --image small --pids 32 -- /bin/sleep 1000 || return 1
	# shellcheck disable=SC2016 # the container's shell expands it
	! davit exec crowd /bin/sh -c 'for i in $(seq 40); do sleep 1000 & done' && grep -q 'max [1-9]' /sys/fs/cgroup/davit/crowd/pids.events &&
		[ "$(davit inspect crowd | jq -r .state)" = running ] && davit rm --force crowd
}
claim "more tasks than its limit are refused" many
exec_status() { davit exec count /bin/sh -c 'echo said; exit 7' | grep -q said && [ "${PIPESTATUS[0]}" = 7 ]; }
claim "exec gives output and exit status" exec_status

# A process of the host in the container's cgroup meets the device program alone, without file modes in front of it.
in_cgroup() { sh -c "echo \$\$ >$cgroup/cgroup.procs; $1"; }
devices() {
	in_cgroup 'exec head -c 1 /dev/urandom >/dev/null' && in_cgroup 'exec head -c 1 /dev/zero >/dev/null' || return 1
	head -c 1 /dev/vda >/dev/null || return 1
	! in_cgroup 'exec head -c 1 /dev/vda' && ! in_cgroup 'echo >/dev/kmsg' && ! in_cgroup 'head -c 1 /dev/port'
}
claim "its device program lets through the usual devices and no other" devices

confined() { [ "$(davit exec count /bin/cat /proc/1/attr/current)" = "davit-default (enforce)" ]; }
claim "it is confined by the AppArmor profile davit-default" confined
# As root of the host, so that nothing but the profile stands before the deed.
under() { sh -c 'printf "exec davit-default" >/proc/self/attr/apparmor/exec; exec /bin/sh -c "$0"' "$1"; }
profile() {
	mkdir -p /run/place && under 'cat /etc/passwd >/dev/null && echo x >/run/place/file' || return 1
	mount -t tmpfs none /run/place && umount /run/place || return 1
	! under 'mount -t tmpfs none /run/place' && ! under 'kill -0 1' && ! under 'cat /proc/timer_list' && ! under 'echo core >/proc/sys/kernel/core_pattern' &&
		! under 'echo 0 >/proc/sysrq-trigger' && ! under 'ls /sys/kernel/security/apparmor'
}
claim "the profile denies what it should and no more" profile

# What docs/demos shows of AppArmor, and of cgroups on v2. There is no compiler here: what it would make is there already.
page() { cp -r $here/demos /var/tmp/ && cd /var/tmp/demos && PATH=$here/demos/bin:$PATH $here/page.py "$1.md" apparmor; }
demos() { davit image import busybox $here/image.tar && page apparmor && page cgroups; }
claim "the pages on AppArmor and cgroups are true" demos

frozen() { grep -q "frozen $1" "$cgroup/cgroup.events" && is cgroup.freeze "$1"; }
paused() { davit pause count && frozen 1 && davit resume count && frozen 0; }
claim "pause and resume are the cgroup's freezer" paused

# Of a SIGKILL nothing but davitd is hit; systemd starts the next one, which finds all.
lines() { davit logs count | tail -n 1; }
counts_on() { local n; n=$(lines); until_true 90 sh -c "[ \$(davit logs count | tail -n 1) -gt $n ]"; }
gapless() { davit logs count | awk '$1 != NR { print "line " NR " is " $1; exit 1 }'; }
killed() {
	local pid agent
	pid=$(davit inspect count | jq .pid) agent=$(systemctl show --property=MainPID --value davitd)
	kill -9 "$agent" && until_true 90 sh -c "[ -d /proc/$pid ] && ! [ -d /proc/$agent ]" && until_true 60 davit info &&
		counts_on && gapless && [ "$(davit inspect count | jq .pid)" = "$pid" ]
}
claim "davitd killed by SIGKILL loses no container and no line of its log" killed

lacking() {
	davit run --name eater --image small --memory 16m --memory-swap 16m -- /bin/fill 64
	[ "$(davit inspect eater | jq .oomKilled)" = true ]
}
claim "a container that the kernel kills for want of memory is told as such" lacking

snapshot() {
	local id
	davit snapshot create count && id=$(davit snapshot list count --json | jq -r '.snapshots[-1].id') && counts_on || return 1
	davit snapshot restore "$id" --name clone || return 1
	local n
	n=$(davit logs clone | tail -n 1)
	until_true 90 sh -c "[ \$(davit logs clone | tail -n 1) -gt ${n:-0} ]" && [ "$(cat /sys/fs/cgroup/davit/clone/memory.max)" = 67108864 ] &&
		[ "$(davit exec clone /bin/cat /proc/1/attr/current)" = "davit-default (enforce)" ] && davit rm --force clone
}
claim "a snapshot leaves it running, and its clone runs under the same limits and profile" snapshot
again() { davit checkpoint count && ! [ -s "$cgroup/cgroup.procs" ] && davit restore count && counts_on && gapless && limits && confined; }
claim "it is checkpointed and restored with its log, limits and profile" again
gone() { davit rm --force count && davit rm --force eater && [ ! -e "$cgroup" ]; }
claim "nothing is left of a removed container" gone

# davit-runtime by itself, with systemd as the maker of cgroups.
rt() { davit-runtime --root /run/rt --systemd-cgroup "$@"; }
scope_of() { systemctl show --property=ControlGroup --value davit-one.scope; }
scope() {
	mkdir -p /run/bundle && davit-runtime spec --bundle /run/bundle || return 1
	jq '.process.terminal = false | .process.args = ["/bin/sleep", "1000"] | .root.path = "/var/lib/davit/images/small/rootfs" |
		.linux.cgroupsPath = "davit-test.slice:davit:one" | .linux.resources += {memory: {limit: 67108864}, pids: {limit: 50}, cpu: {quota: 50000, period: 100000, cpus: "0"},
			unified: {"memory.high": "50331648"}} |
		.annotations = {"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.Documentation": "['"'man:one(1)', 'man:two(1)'"']"}' \
		/run/bundle/config.json >/run/bundle/new && mv /run/bundle/new /run/bundle/config.json
	rt create --bundle /run/bundle one </dev/null >/run/rt.out 2>&1 || { cat /run/rt.out; return 1; }
	rt start one && [ "$(scope_of)" = /davit.slice/davit-test.slice/davit-one.scope ] && cgroup=/sys/fs/cgroup$(scope_of) || return 1
	in_files && [ "$(cat "$cgroup/cgroup.procs")" = "$(rt state one | jq .pid)" ]
}
in_files() { is memory.max 67108864 && is memory.high 50331648 && is pids.max 50 && is cpu.max "50000 100000" && is cpuset.cpus 0; }
claim "with --systemd-cgroup a container is a scope of systemd with its limits" scope
cgroup=/sys/fs/cgroup$(scope_of)
kept() { systemctl daemon-reload && in_files; }
claim "its limits outlast a reload of systemd" kept
property() { systemctl show --property="$1" --value davit-one.scope; }
annotated() {
	local all
	all="$(property TimeoutStopUSec), $(property Documentation), $(property AllowedCPUs), $(property MemoryHigh)"
	all=${all//\"/} # newer versions quote
	[ "$all" = "7s, man:one(1) man:two(1), 0, 50331648" ] || { echo "$all"; return 1; }
}
claim "annotations of properties are the scope's" annotated
changed() {
	rt update --memory 32m --pids-limit 20 one && is memory.max 33554432 && is pids.max 20 &&
		[ "$(systemctl show --property=MemoryMax --value davit-one.scope)" = 33554432 ] && systemctl daemon-reload && is memory.max 33554432
}
claim "update tells systemd of the new limits" changed
within() { [ "$(rt exec one /bin/cat /proc/self/cgroup)" = 0::/ ] && rt pause one && is cgroup.freeze 1 && rt resume one; }
claim "exec, pause and resume work in the scope" within
twice() { ! rt create --bundle /run/bundle two </dev/null >/run/rt.out 2>&1 && grep -q davit-one.scope /run/rt.out && ! [ -e /run/rt/two ] && [ -e "$cgroup" ]; }
claim "a scope that is there already is refused and stays" twice
ended() { rt delete --force one && ! [ -e "$cgroup" ] && [ "$(systemctl show --property=LoadState --value davit-one.scope)" = not-found ]; }
claim "nothing is left of the scope of a removed container" ended

# An ordinary user, in a cgroup that systemd has given to it. Its own processes must leave the top of it (cgroups(7), "no internal processes").
cat >/run/person.sh <<'SCRIPT'
set -eu
trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
top=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
if [ "$1" = delegated ]; then mkdir "$top/own" && echo $$ >"$top/own/cgroup.procs"; fi
rt() { davit-runtime --root /var/tmp/person/state "$@"; }
is() { local value; value=$(cat "$top/davit/one/$1"); [ "$value" = "$2" ] || { echo "$1 is $value"; exit 1; }; }
cd /var/tmp/person/bundle
rt create one </dev/null >/var/tmp/person/out 2>&1 || { cat /var/tmp/person/out; exit 1; }
rt start one
is memory.max 67108864
is pids.max 50
is cpu.max "50000 100000"
[ "$(cat "$top/davit/one/cgroup.procs")" = "$(rt state one | jq .pid)" ]
! rt exec one /bin/sh -c 'for i in $(seq 60); do sleep 100 & done' 2>/dev/null
grep -q 'max [1-9]' "$top/davit/one/pids.events"
rt pause one
is cgroup.freeze 1
rt resume one
rt update --memory 32m --pids-limit 20 one
is memory.max 33554432
is pids.max 20
rt events --stats one | jq -e '.data | .memory.usage.limit == 33554432 and .pids.limit == 20'
rt delete --force one
[ ! -e "$top/davit/one" ]
SCRIPT
as_person() { systemd-run --quiet --wait --pipe --uid=person --setenv=PATH="$PATH" --property="Delegate=$1" /bin/bash /run/person.sh "$2"; }
person() {
	echo 'person:x:61234:61234::/:/bin/sh' >>/etc/passwd && echo 'person:x:61234:' >>/etc/group || return 1
	mkdir -p /var/tmp/person/bundle/rootfs && tar -C /var/tmp/person/bundle/rootfs -xf $here/image.tar && chown -R 61234:61234 /var/tmp/person || return 1
	setpriv --reuid=61234 --regid=61234 --clear-groups davit-runtime spec --rootless --bundle /var/tmp/person/bundle || return 1
	jq '.process.terminal = false | .process.args = ["/bin/sleep", "1000"] |
		.linux.resources = {memory: {limit: 67108864}, pids: {limit: 50}, cpu: {quota: 50000, period: 100000}}' \
		/var/tmp/person/bundle/config.json >/var/tmp/person/new && cat /var/tmp/person/new >/var/tmp/person/bundle/config.json
	as_person yes delegated
}
claim "an ordinary user's limits hold in a delegated cgroup, which pauses and counts" person
undelegated() {
	local said
	said=$(as_person no none 2>&1) && return 1
	[[ $said == *linux.resources.memory.limit*"user 61234"*Delegate=yes* ]] || { echo "$said"; return 1; }
}
claim "without a delegated cgroup a user's limits are refused with what to do" undelegated

# With the other host, whose kernel is another. A container moves only to a criu that is as new.
if [ -d $here/criu ]; then
	if [ "$role" = b ]; then
		wait_for_driver
	else
		newer_criu() { bring_criu && [ "$(davit info --json | jq -r .facts.criuPath)" = /usr/lib/davit/criu/sbin/criu ]; }
		claim "davitd takes a better criu as soon as it is there" newer_criu
		claim "the host of another kernel answers" until_true 300 peer_answers
		claim "redis runs as a container" redis_runs small
		client_begin
		claim "the client is served" more_replies
		claim "redis moves to the other kernel" davit migrate redis host-b
		claim "the client is served by the other kernel" more_replies
		claim "redis moves back from the other kernel" remote migrate redis host-a
		claim "the client is still served" more_replies
		claim "no clock went back between kernels" never_back
		client_end
		davit migrations ls --json | sed 's/^/# /'
		tell_driven
	fi
fi
agent_log

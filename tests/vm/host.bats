#!/usr/bin/env bats
# Two virtual hosts, each for itself: Debian 13 with its own criu, and Debian 12 (kernel 6.1), whose criu is too old and which gets ours. Each claim of
# host.sh is one test.

setup_file() {
	export DAVIT_BUILD=${DAVIT_BUILD:-$BATS_TEST_DIRNAME/../../build}
	load data
	data_can || return 0
	data_begin host
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$VM_OUT/image.tar" "$DAVIT_BUILD/tools/fill=/bin/fill" /usr/bin/redis-server "$DAVIT_BUILD/tools/clocks=/bin/clocks"
	data_disk a trixie host.sh
	data_disk b bookworm host.sh
	demos a
	demos b
	if fits_bookworm; then
		for role in a b; do cp -r /usr/lib/davit/criu "$VM_OUT/$role/"; done
	fi
	data_run
}

setup() {
	load data
	data_skip
}

teardown_file() {
	load data
	data_end
}

demos() { # ROLE: docs/demos with its programs, and a compiler that only copies them
	local to=$VM_OUT/$1/demos program
	cp -r "$BATS_TEST_DIRNAME/../../docs/demos" "$to"
	cp "$BATS_TEST_DIRNAME/../lib/page.py" "$VM_OUT/$1/"
	sed -i 's|/tmp/busybox.tar|/mnt/test/image.tar|' "$to"/*.md
	mkdir "$to/bin"
	for program in apparmor cgroups; do gcc -static -o "$to/bin/$program.out" "$to/$program.c"; done
	# shellcheck disable=SC2016 # the guest's shell expands it
	printf '#!/bin/sh\ncp "$(dirname "$0")/$2.out" "$2"\n' >"$to/bin/cc"
	chmod 755 "$to/bin/cc"
}

# Programs linked on a newer Debian do not start on 12, nor does our criu.
fits_bookworm() { [ -x /usr/lib/davit/criu/sbin/criu ] && grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; }

both() { # CLAIM: on Debian 13, and on 12 where it fits
	said 0 "$1"
	! fits_bookworm || said 1 "$1"
}

@test "davitd starts under systemd" {
	both "davitd starts"
	both "the image is imported"
}

@test "a criu that is too old is told of" {
	fits_bookworm || skip "davit is built here for a newer Debian than 12"
	said 1 "davitd starts without a fit criu and tells why the distribution's is none"
}

@test "each limit of a container is in its cgroup v2 file and holds" {
	both "a container runs"
	both "each limit is in its cgroup v2 file"
	both "it sees its cgroup as the root"
	both "more tasks than its limit are refused"
}

@test "exec gives output and exit status" {
	both "exec gives output and exit status"
}

@test "the cgroup's device program lets through the usual devices and no other" {
	both "its device program lets through the usual devices and no other"
}

@test "the AppArmor profile denies what it should and no more" {
	both "it is confined by the AppArmor profile davit-default"
	both "the profile denies what it should and no more"
}

@test "the demos of AppArmor and of cgroups on v2 show what happens" {
	both "the pages on AppArmor and cgroups are true"
}

@test "pause and resume are the cgroup's freezer" {
	both "pause and resume are the cgroup's freezer"
}

@test "davitd killed by SIGKILL loses no container and no line of its log" {
	both "davitd killed by SIGKILL loses no container"
}

@test "a container that the kernel kills for want of memory is told as such" {
	both "a container that the kernel kills for want of memory is told as such"
}

@test "a snapshot leaves its container running, and its clone runs under the same limits and profile" {
	both "a snapshot leaves it running"
}

@test "a container is checkpointed and restored with its log, limits and profile" {
	both "it is checkpointed and restored"
}

@test "nothing is left of a removed container" {
	both "nothing is left of a removed container"
}

@test "with --systemd-cgroup a container is a scope of systemd, whose limits outlast a reload and follow an update" {
	both "with --systemd-cgroup a container is a scope of systemd with its limits"
	both "its limits outlast a reload of systemd"
	both "annotations of properties are the scope's"
	both "update tells systemd of the new limits"
	both "exec, pause and resume work in the scope"
	both "a scope that is there already is refused and stays"
	both "nothing is left of the scope of a removed container"
}

@test "a better criu is taken as soon as it is there" {
	fits_bookworm || skip "davit is built here for a newer Debian than 12"
	said 0 "davitd takes a better criu as soon as it is there"
}

@test "redis moves between kernels 6.12 and 6.1 and back; its client is served all the while and no clock goes back" {
	fits_bookworm || skip "davit is built here for a newer Debian than 12"
	said 0 "the host of another kernel answers"
	said 0 "redis moves to the other kernel"
	said 0 "the client is served by the other kernel"
	said 0 "redis moves back from the other kernel"
	said 0 "the client is still served"
	said 0 "no clock went back between kernels"
	said 0 "every reply was right"
}

@test "an ordinary user's limits hold in a cgroup that is delegated to it, and are refused without one" {
	both "an ordinary user's limits hold in a delegated cgroup"
	both "without a delegated cgroup a user's limits are refused"
}

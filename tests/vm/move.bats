#!/usr/bin/env bats
# Two virtual hosts with kernels, clocks, systemd, cgroup v2 and AppArmor of their own (tests/vm/guests.sh); each claim of guest.sh is one test.

setup_file() {
	export DAVIT_BUILD=${DAVIT_BUILD:-$BATS_TEST_DIRNAME/../../build}
	load data
	data_can || return 0
	data_begin move
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$VM_OUT/image.tar" /usr/bin/redis-server "$DAVIT_BUILD/tools/clocks=/bin/clocks"
	data_disk a trixie guest.sh
	data_disk b trixie guest.sh
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

@test "davitd starts under systemd on both hosts" {
	said 0 "davitd starts"
	said 1 "davitd starts"
}

@test "a peer is reached over mutual TLS" {
	said 0 "the peer answers"
}

@test "redis runs as a container under cgroup v2 with its limits" {
	said 0 "redis runs as a container"
	said 0 "its limits are in cgroup v2"
}

@test "the container is confined by an AppArmor profile, and still is after its move" {
	said 0 "it is confined by the AppArmor profile"
	said 0 "every process is confined there as it was"
}

@test "redis moves to the other host and its client is served over the same connection" {
	said 0 "the client is served"
	said 0 "redis moves to a host"
	said 0 "the client is served by the other host"
	said 0 "redis runs there"
}

@test "its clocks go on although the hosts' clocks are years apart" {
	said 0 "its monotonic and boottime clocks went on"
}

@test "a wall clock that is set in the middle of a move shows in no other clock" {
	said 0 "its clocks went on over a wall clock that was set in the middle"
}

@test "redis moves back; no reply was lost and no clock went back" {
	said 0 "redis moves back"
	said 0 "the client is still served"
	said 0 "no clock went back"
	said 0 "every reply was right"
}

#!/usr/bin/env bats
# A virtual host of Debian 13 that boots with SELinux and the distribution's policy. Each claim of selinux.sh is a line of a test.

setup_file() {
	export DAVIT_BUILD=${DAVIT_BUILD:-$BATS_TEST_DIRNAME/../../build}
	load data
	data_can || return 0
	data_begin selinux
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$VM_OUT/image.tar"
	data_disk a trixie selinux.sh
	echo security=selinux selinux=1 >"$VM_OUT/a/append"
	GUEST_CLOCKS=utc data_run a
}

setup() {
	load data
	data_skip
}

teardown_file() {
	load data
	data_end
}

@test "a container has its process and mount labels, and exec too" {
	said 0 "SELinux is there and features tells it"
	said 0 "a container starts with a process label and a mount label"
	said 0 "its processes have the label, those of exec too"
	said 0 "its mounts have the mount label"
}

@test "a container that tries what its type or category denies is refused by the distribution's policy" {
	said 0 "a container goes on while the policy is enforced"
	said 0 "it reads a file of its own type"
	said 0 "it does not read one of a type that is denied to it, as root"
	said 0 "it does not read one of its own type with another container's category"
	said 0 "the kernel says that it was the policy"
}

@test "a label that the policy has not and a transition that it denies are refused" {
	said 0 "a label that the policy has not is refused by name"
	said 0 "a transition that the policy denies is refused"
}

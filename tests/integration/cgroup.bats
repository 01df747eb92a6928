#!/usr/bin/env bats
# Limits of a container, as its processes meet them, and its cgroup from beginning to end.
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup
}
teardown() { common_teardown; }

value() { # CONTROLLER V1-FILE V2-FILE
	local dir
	dir=$(cgroup_dir "$1")
	if [ -e "$dir/$2" ]; then cat "$dir/$2"; else cat "$dir/$3"; fi
}

@test "a process that goes beyond the memory limit is killed" {
	config '.linux.resources.memory = {limit: 16777216, swap: 16777216}'
	args sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1; echo "dd: $?"'
	run run_one
	[[ "$output" == *"dd: 137"* ]]
}

@test "a fork bomb stops at the pids limit" {
	config '.linux.resources.pids.limit = 10'
	args sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 5 & done; echo "not reached"'
	run run_one
	[[ "$output" == *"can't fork"* ]]
	[[ "$output" != *"not reached"* ]]
}

@test "quota, shares, burst and memory are what the files of the kernel show" {
	config '.linux.resources += {cpu: {quota: 50000, period: 100000, burst: 10000, shares: 512}, memory: {limit: 67108864, reservation: 33554432}}'
	args sleep 100
	start_one
	[[ "$(value cpu cpu.cfs_quota_us cpu.max)" =~ ^50000 ]]
	[[ "$(value cpu cpu.shares cpu.weight)" =~ ^(512|59)$ ]]
	[ "$(value cpu cpu.cfs_burst_us cpu.max.burst)" = 10000 ]
	[ "$(value memory memory.limit_in_bytes memory.max)" = 67108864 ]
	[ "$(value memory memory.soft_limit_in_bytes memory.low)" = 33554432 ]
}

@test "the container runs on the CPUs that it was given" {
	config '.linux.resources.cpu.cpus = "0"'
	args grep Cpus_allowed_list /proc/self/status
	run run_one
	[ "$status" = 0 ]
	[[ "$output" =~ Cpus_allowed_list:[[:space:]]0$ ]]
}

@test "a device that no rule allows cannot be opened, one that a rule allows can" {
	config '.linux.devices = [{type: "c", path: "/dev/tunnel", major: 10, minor: 200, fileMode: 438}]'
	args sh -c 'head -c 0 </dev/null && head -c 1 </dev/zero >/dev/full; true </dev/tunnel'
	run run_one
	[[ "$output" == *"No space left"* ]]
	[[ "$output" == *"/dev/tunnel: Operation not permitted"* ]]
	config '.linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 200, access: "rw"}]'
	run run_one
	# Whether there is a driver behind it is this kernel's affair.
	[[ "$output" != *"Operation not permitted"* ]]
}

@test "a paused container stands still and goes on when resumed" {
	args sh -c 'i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.01; done'
	start_one
	retry test -s "$TMP/bundle/rootfs/count"
	rt pause one
	status_is paused
	before=$(cat "$TMP/bundle/rootfs/count")
	sleep 0.2
	[ "$(cat "$TMP/bundle/rootfs/count")" = "$before" ]
	rt resume one
	status_is running
	changed() { [ "$(cat "$TMP/bundle/rootfs/count")" != "$before" ]; }
	retry changed
}

@test "a paused container can be deleted by force, and nothing is left" {
	args sh -c 'sleep 100 & sleep 100 & wait'
	start_one
	rt pause one
	rt delete --force one
	[ -z "$(find /sys/fs/cgroup -path "*$CGROUP/one*")" ]
	[ -z "$(ls -A "$TMP/state" | grep -v '^@')" ]
}

@test "cgroups that the container made below its own go with it" {
	args sleep 100
	start_one
	mkdir -p "$(cgroup_dir pids)/below/deeper"
	rt delete --force one
	[ -z "$(find /sys/fs/cgroup -path "*$CGROUP/one*")" ]
}

@test "a cgroup in which others live is refused" {
	dir=$(cgroup_dir pids)
	mkdir -p "$dir"
	sleep 100 &
	later kill $!
	echo $! >"$dir/cgroup.procs"
	run run_one
	[ "$status" != 0 ]
	[[ "$output" == *"$CGROUP/one has processes of another container"* ]]
	kill $!
}

@test "a refused limit is named, and nothing is left" {
	config '.linux.resources.cpu.cpus = "4000"'
	run run_one
	[ "$status" != 0 ]
	[[ "$output" == *"linux.resources.cpu.cpus"* ]]
	config 'del(.linux.resources.cpu) | .linux.resources.hugepageLimits = [{pageSize: "3MB", limit: 1}]'
	run run_one
	[[ "$output" == *"linux.resources.hugepageLimits"* ]]
	[ -z "$(find /sys/fs/cgroup -path "*$CGROUP/one*")" ]
	[ -z "$(ls -A "$TMP/state" | grep -v '^@')" ]
}

@test "the container sees its cgroup as the root" {
	args cat /proc/self/cgroup
	run run_one
	[ "$status" = 0 ]
	[[ "$output" != *davit-test* ]]
	[[ "$output" == *":/"* ]]
}

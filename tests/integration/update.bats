#!/usr/bin/env bats
# update: limits of a container that is there, as the files of the kernel show them afterwards.
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup
	config '.linux.resources += {memory: {limit: 67108864}, pids: {limit: 50}, cpu: {shares: 512}}'
	args sleep 100
	start_one
}
teardown() { common_teardown; }

value() { # CONTROLLER V1-FILE V2-FILE
	local dir
	dir=$(cgroup_dir "$1")
	if [ -e "$dir/$2" ]; then cat "$dir/$2"; else cat "$dir/$3"; fi
}

@test "update changes what its options name and nothing else" {
	rt update --memory 32M --cpu-quota 50000 --cpu-period 100000 --cpu-burst 1000 one
	[ "$(value memory memory.limit_in_bytes memory.max)" = 33554432 ]
	[[ "$(value cpu cpu.cfs_quota_us cpu.max)" =~ ^50000 ]]
	[ "$(value cpu cpu.cfs_burst_us cpu.max.burst)" = 1000 ]
	[ "$(value pids pids.max pids.max)" = 50 ]
	[[ "$(value cpu cpu.shares cpu.weight)" =~ ^(512|59)$ ]]
}

@test "update takes pids, cpuset, reservation and shares, and raises a limit again" {
	rt update --pids-limit 20 --cpuset-cpus 0 --cpuset-mems 0 --memory-reservation 16M --cpu-share 1024 --memory 128M one
	[ "$(value pids pids.max pids.max)" = 20 ]
	[ "$(value cpuset cpuset.cpus cpuset.cpus)" = 0 ]
	[ "$(value memory memory.soft_limit_in_bytes memory.low)" = 16777216 ]
	[[ "$(value cpu cpu.shares cpu.weight)" =~ ^(1024|100)$ ]]
	[ "$(value memory memory.limit_in_bytes memory.max)" = 134217728 ]
}

@test "update -r takes a file or standard input, and zero leaves a limit as it is" {
	echo '{"pids": {"limit": 30}, "memory": {"limit": 0}, "cpu": {"shares": 0}}' >"$TMP/resources"
	rt update -r "$TMP/resources" one
	[ "$(value pids pids.max pids.max)" = 30 ]
	[ "$(value memory memory.limit_in_bytes memory.max)" = 67108864 ]
	echo '{"pids": {"limit": 31}}' | rt update -r - one
	[ "$(value pids pids.max pids.max)" = 31 ]
}

@test "limits of the kernel's memory hold where the kernel has them, and are refused where not" {
	local dir
	dir=$(cgroup_dir memory)
	if [ ! -e "$dir/memory.kmem.tcp.limit_in_bytes" ]; then
		run rt update --kernel-memory-tcp 16M one
		[ "$status" -eq 1 ]
		[[ "$output" == *--kernel-memory-tcp* ]]
		return
	fi
	rt update --kernel-memory-tcp 16M one
	[ "$(cat "$dir/memory.kmem.tcp.limit_in_bytes")" = 16777216 ]
}

@test "a limit below what is used is refused where checkBeforeUpdate asks for it, and stays as it was" {
	echo '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}' >"$TMP/resources"
	run rt update -r "$TMP/resources" one
	[ "$status" -eq 1 ]
	[[ "$output" == *memory.limit*"uses"* ]]
	[ "$(value memory memory.limit_in_bytes memory.max)" = 67108864 ]
	status_is running
}

@test "update names the option that is wrong" {
	run rt update --memory lots one
	[ "$status" -eq 1 ]
	[[ "$output" == *memory* ]]
	run rt update --cpuset-cpus 4000 one
	[ "$status" -eq 1 ]
	[[ "$output" == *--cpuset-cpus* ]]
	run rt update --cpu-idle 2 one
	[[ "$output" == *cpu-idle* ]]
	run rt update --l3-cache-schema x one
	[[ "$output" == *--l3-cache-schema* ]]
	run rt update -r "$TMP/none" one
	[[ "$output" == *"--resources $TMP/none"* ]]
}

@test "update leaves config.json alone and refuses a container that has stopped" {
	local before
	before=$(sha256sum <"$TMP/state/one/config.json")
	rt update --pids-limit 20 one
	[ "$(sha256sum <"$TMP/state/one/config.json")" = "$before" ]
	rt kill one KILL
	retry status_is stopped
	run rt update --pids-limit 30 one
	[ "$status" -eq 1 ]
	[[ "$output" == *"cannot update container one that is stopped"* ]]
}

#!/usr/bin/env bats
# Capability sets of a container's processes.
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup
}
teardown() { common_teardown; }

sets() { # prints "CapInh=… CapPrm=…" of a run
	args sh -c 'grep ^Cap /proc/self/status | tr -d "\t" | tr "\n" " "'
	run_one
}

@test "each set is what the spec says" {
	config '.process.capabilities = {bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"], permitted: ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
		effective: ["CAP_KILL"], inheritable: ["CAP_NET_BIND_SERVICE"], ambient: ["CAP_NET_BIND_SERVICE"]}
		| .process.user = {uid: 1000, gid: 1000}'
	run sets
	[ "$status" = 0 ]
	[[ "$output" == *"CapInh:0000000000000400"* ]]
	[[ "$output" == *"CapPrm:0000000000000400"* ]]
	[[ "$output" == *"CapEff:0000000000000400"* ]]
	[[ "$output" == *"CapBnd:0000000000000421"* ]]
	[[ "$output" == *"CapAmb:0000000000000400"* ]]
}

@test "without capabilities even root has none" {
	config 'del(.process.capabilities)'
	run sets
	[[ "$output" == *"CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:0000000000000000"* ]]
}

@test "an unknown name is left out with a warning, as the specification demands" {
	config '.process.capabilities.bounding += ["CAP_FLY"] | .process.capabilities.permitted += ["CAP_FLY"]'
	run run_one
	[ "$status" = 0 ]
	[ "$(grep -c 'process.capabilities.bounding\[3\].*CAP_FLY' <<<"$output")" = 1 ]
	[ "$(grep -c CAP_FLY <<<"$output")" = 1 ]
}

@test "what runc's own spec asks for runs" {
	config '.process.capabilities = {bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"], ambient: ["CAP_KILL"]}'
	run sets
	[ "$status" = 0 ]
	[[ "$output" == *"CapEff:0000000000000020"*"CapAmb:0000000000000000"* ]]
}

@test "with the agent's default set a service starts as root, takes its folder and goes on as another user" {
	caps='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"]'
	config ".process.capabilities = {bounding: $caps, effective: $caps, permitted: $caps}"
	args sh -c 'mkdir /data2 && chown redis:redis /data2 && chmod 700 /data2 && su -s /bin/sh redis -c "id -u; touch /data2/file; ls -l /data2/file; grep CapEff /proc/self/status"'
	run run_one
	[ "$status" = 0 ]
	[[ "$output" == 999*redis*redis*/data2/file* ]]
	[[ "$output" =~ CapEff:[[:space:]]0000000000000000 ]]
}

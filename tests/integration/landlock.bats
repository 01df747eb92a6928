#!/usr/bin/env bats
# Landlock as a further layer of a container (annotation org.davit.landlock).
load ../lib/common
load ../lib/bundle

setup() {
	common_setup
	bundle_setup
	"$BIN/davit-runtime" features | jq -e '.annotations["org.davit.landlock.abi"] | tonumber > 0' >/dev/null || skip "this kernel has no Landlock"
}
teardown() { common_teardown; }

landlock() { config ".annotations[\"org.davit.landlock\"] = ($1 | @json)"; }

@test "what is not named is closed to root with all capabilities, what is read-only is not written" {
	mkdir "$TMP/bundle/rootfs/"{mine,secret}
	echo key >"$TMP/bundle/rootfs/secret/key"
	landlock '{readOnly: ["/bin", "/etc"], readWrite: ["/mine", "/dev/null"]}'
	args sh -c 'echo x >/mine/x && cat /mine/x; cat /secret/key; echo "secret $?"; echo x >/etc/x; echo "etc $?"; echo gone >/dev/null; echo "null $?"; mv /mine/x /etc/y; echo "out $?"; sh -c "cat /secret/key"; echo "child $?"'
	run run_one
	echo "$output"
	[[ $output == *x*"secret 1"*"etc 1"*"null 0"*"out 1"*"child 1"* ]]
	[[ $output != *key$'\n'* ]]
}

@test "exec is held as the container is" {
	landlock '{readOnly: ["/bin"]}'
	args sleep 1000
	start_one
	run rt exec --no-new-privs one cat /etc/passwd
	echo "$output"
	[[ $status != 0 && $output == *"ermission denied"* ]]
}

@test "wrong values are refused by name before anything is made, and a missing path when it starts" {
	args true
	local value
	for value in '{}' '{readOnly: ["tmp"]}' '{read: ["/"]}' '[]' '{readOnly: "/"}'; do
		landlock "$value"
		run run_one
		echo "$value: $output"
		[[ $status = 1 && $output == *org.davit.landlock* ]]
	done
	landlock '{readOnly: ["/"], readWrite: ["/none"]}'
	run run_one
	[[ $status = 1 && $output == *"/none: No such file"* ]]
	landlock '{readOnly: ["/etc"]}'
	run run_one
	echo "$output"
	[[ $status = 1 && $output == *"ermission denied"*org.davit.landlock* ]]
	landlock '{readOnly: ["/"]}'
	config '.process.noNewPrivileges = false'
	run run_one
	[[ $status = 1 && $output == *noNewPrivileges* ]]
}

@test "a container under Landlock is not checkpointed, and the reason is told" {
	landlock '{readOnly: ["/"]}'
	args sleep 1000
	start_one
	run rt checkpoint --image-path "$TMP/images" one
	echo "$output"
	[[ $status = 1 && $output == *Landlock*"--landlock"* ]]
	status_is running
}

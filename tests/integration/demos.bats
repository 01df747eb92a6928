#!/usr/bin/env bats
# Each page of docs/demos says what its commands print.
load ../lib/common
load ../lib/agent

setup_file() {
	command -v cc >/dev/null || skip "no C compiler"
	agent_up
	davit image import busybox "$AGENT/base.tar" >/dev/null
}
teardown_file() { agent_down; }

page() { # NAME
	local copy=$BATS_TEST_TMPDIR/demos
	cp -r "$BATS_TEST_DIRNAME/../../docs/demos" "$copy"
	sed -i "s|/tmp/busybox.tar|$AGENT/base.tar|" "$copy/$1.md"
	cd "$copy"
	PATH=$BIN:$PATH "$BATS_TEST_DIRNAME/../lib/page.py" "$1.md" 3>&-
}

@test "namespaces.md is true" { page namespaces; }
@test "cgroups.md is true" { page cgroups; }
@test "seccomp.md is true" { page seccomp; }
@test "capabilities.md is true" { page capabilities; }
@test "apparmor.md is true" { page apparmor; }

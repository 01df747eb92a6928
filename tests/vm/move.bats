#!/usr/bin/env bats
# Two virtual hosts with kernels, clocks, systemd, cgroup v2 and AppArmor of their own (tests/vm/guests.sh); each claim of guest.sh is one test.

setup_file() {
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	export DAVIT_BUILD=${DAVIT_BUILD:-$BATS_TEST_DIRNAME/../../build}
	! ldd "$DAVIT_BUILD/bin/davitd" | grep -q libasan || skip "the guests have no sanitizer runtime"
	VM_OUT=$DAVIT_BUILD/vm/move
	export VM_OUT
	rm -rf "$VM_OUT"
	mkdir -p "$VM_OUT"
	. "$BATS_TEST_DIRNAME/../lib/hosts.sh"
	HOSTS_DIR=$VM_OUT/hosts
	mkdir -p "$HOSTS_DIR"
	# The guests' clocks are years ahead.
	HOSTS_DAYS=3650 HOSTS_ALT_A=IP:10.91.0.1 HOSTS_ALT_B=IP:10.91.0.2 hosts_certificates
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$VM_OUT/image.tar" /usr/bin/redis-server "$DAVIT_BUILD/tools/clocks=/bin/clocks"
	for role in a b; do
		data=$VM_OUT/$role
		mkdir -p "$data/bin" "$data/libexec" "$data/tls"
		cp "$DAVIT_BUILD"/bin/* "$data/bin/"
		cp -r "$DAVIT_BUILD"/libexec/* "$data/libexec/"
		strip "$data"/bin/* "$data/libexec/davit-mover"
		cp "$HOSTS_DIR"/tls/* "$data/tls/"
		cp "$VM_OUT/image.tar" "$BATS_TEST_DIRNAME/guest.sh" "$BATS_TEST_DIRNAME/../e2e/client.py" "$data/"
		echo $role >"$data/role"
	done
	"$BATS_TEST_DIRNAME/guests.sh" trixie "$VM_OUT" "$VM_OUT/a" "$VM_OUT/b" >"$VM_OUT/guests.log" 2>&1 || true
}

teardown_file() {
	rm -rf "$VM_OUT"/*.data "$VM_OUT"/image.tar "$VM_OUT"/a "$VM_OUT"/b
}

said() { # GUEST CLAIM: the guest said ok
	local result=$VM_OUT/$1.result
	if ! tr -d '\r' <"$result" | grep -qE "^ok $2"; then
		tr -d '\r' <"$result" | tail -60
		cat "$VM_OUT/guests.log"
		return 1
	fi
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

@test "the container is confined by an AppArmor profile that denies what it should" {
	said 0 "it is confined by the AppArmor profile"
	said 0 "the profile denies what it should"
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

@test "redis moves back; no reply was lost and no clock went back" {
	said 0 "redis moves back"
	said 0 "the client is still served"
	said 0 "no clock went back"
	said 0 "every reply was right"
}

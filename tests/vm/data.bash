# What the bats files here share: the guests' second disks, running the guests, reading what they said.
# shellcheck shell=bash

# Whether guests can run here; if not, data_skip skips each test with the reason.
data_can() {
	if ! command -v qemu-system-x86_64 >/dev/null; then
		export VM_SKIP="qemu-system-x86_64 is not installed"
	elif ldd "$DAVIT_BUILD/bin/davitd" | grep -q libasan; then
		export VM_SKIP="the guests have no sanitizer runtime"
	fi
	[ -z "${VM_SKIP:-}" ]
}
data_skip() { [ -z "${VM_SKIP:-}" ] || skip "$VM_SKIP"; }

data_begin() { # NAME: an empty folder $VM_OUT with certificates
	VM_OUT=$DAVIT_BUILD/vm/$1
	export VM_OUT
	rm -rf "$VM_OUT"
	mkdir -p "$VM_OUT"
	# shellcheck disable=SC1091 # found by where the test is
	. "$BATS_TEST_DIRNAME/../lib/hosts.sh"
	HOSTS_DIR=$VM_OUT/hosts
	mkdir -p "$HOSTS_DIR"
	# The guests' clocks are years ahead.
	HOSTS_DAYS=3650 HOSTS_ALT_A=IP:10.91.0.1 HOSTS_ALT_B=IP:10.91.0.2 hosts_certificates
}

data_disk() { # ROLE SUITE SCRIPT: the folder $VM_OUT/ROLE, with $VM_OUT/image.tar in it
	local data=$VM_OUT/$1
	mkdir -p "$data/bin" "$data/libexec" "$data/tls"
	cp "$DAVIT_BUILD"/bin/* "$data/bin/"
	cp -r "$DAVIT_BUILD"/libexec/* "$data/libexec/"
	strip "$data"/bin/* "$data/libexec/davit-mover"
	cp "$HOSTS_DIR"/tls/* "$data/tls/"
	cp "$VM_OUT/image.tar" "$BATS_TEST_DIRNAME/guest_lib.sh" "$BATS_TEST_DIRNAME/../e2e/client.py" \
		"$BATS_TEST_DIRNAME/../../packaging/davitd.service" "$data/"
	cp "$BATS_TEST_DIRNAME/$3" "$data/guest.sh"
	echo "$1" >"$data/role"
	echo "$2" >"$data/suite"
}

data_run() { # [ROLE…]: runs these guests (a and b) to their end
	[ $# != 0 ] || set -- a b
	"$BATS_TEST_DIRNAME/guests.sh" "$VM_OUT" "${@/#/$VM_OUT/}" >"$VM_OUT/guests.log" 2>&1 || true
}

data_end() { # what they said stays
	[ -n "${VM_OUT:-}" ] || return 0
	rm -rf "$VM_OUT"/*.data "$VM_OUT"/image.tar "$VM_OUT"/a "$VM_OUT"/b
}

said() { # GUEST CLAIM: the guest said ok
	local result=$VM_OUT/$1.result
	if ! tr -d '\r' <"$result" | grep -qE "^ok $2"; then
		tr -d '\r' <"$result" | grep -E "^not ok $2" || tr -d '\r' <"$result" | tail -60
		cat "$VM_OUT/guests.log"
		return 1
	fi
}

#!/bin/bash
# Starts virtual hosts and waits for their results: tests/vm/guests.sh OUT DATA…, one guest for each DATA folder, which becomes its second
# disk and holds guest.sh, `suite`, the name of its Debian, and perhaps `append`, more of the kernel's command line. Two guests share a link (their only network card). OUT/N.result gets what guest.sh printed, OUT/N.console the console.
# No KVM: the processor is emulated, so times inside are several times those of a real host. A guest that does not end in time is ended.
#
# Guests have wall clocks years apart (systemd refuses one before its own build):
set -eu
out=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
images=${DAVIT_VM_IMAGES:-$here/../../build/vm}
limit=${GUEST_SECONDS:-600}
read -ra clocks <<<"${GUEST_CLOCKS:-2027-01-01T00:00:00 2029-06-01T00:00:00}"

mkdir -p "$out"
for data in "$@"; do
	suite=$(cat "$data/suite")
	"$here/image.sh" "$suite" "$images/$suite"
done
pids=()
# shellcheck disable=SC2317 # called by the trap
stop_guests() {
	local p
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
}
trap stop_guests EXIT

disk_of() { # DATA IMAGE: a file system of the folder's content
	mke2fs -q -t ext4 -d "$1" "$2" $(($(du -sm "$1" | cut -f1) * 3 / 2 + 32))M >/dev/null
}

guest() { # N DATA SERVER(on|off)
	local n=$1 suite machine=(-accel "tcg,thread=multi" -cpu max -smp 1 -m 1024 -nodefaults -display none -no-reboot)
	suite=$(cat "$2/suite")
	disk_of "$2" "$out/$n.data"
	qemu-system-x86_64 "${machine[@]}" -kernel "$images/$suite/vmlinuz" -initrd "$images/$suite/initrd" \
		-append "root=/dev/vda rw console=ttyS0 mitigations=off quiet ${GUEST_APPEND:-} $(cat "$2/append" 2>/dev/null)" \
		-drive "file=$images/$suite/root.img,if=virtio,format=raw,snapshot=on" -drive "file=$out/$n.data,if=virtio,format=raw,snapshot=on" \
		-serial "file:$out/$n.console" -serial "file:$out/$n.result" -rtc "base=${clocks[$n]:-utc}" \
		-netdev "stream,id=link,server=$3,addr.type=unix,addr.path=$out/link" -device "virtio-net-pci,netdev=link,mac=52:54:00:00:00:0$n" \
		>"$out/$n.qemu" 2>&1 &
	pids+=($!)
}

n=0
for data in "$@"; do
	guest "$n" "$data" "$([ "$n" = 0 ] && echo on || echo off)"
	if [ "$n" = 0 ]; then
		until [ -S "$out/link" ] || ! kill -0 "${pids[0]}" 2>/dev/null; do sleep 0.05; done
	fi
	n=$((n + 1))
done
end=$((SECONDS + limit))
while [ "$SECONDS" -lt "$end" ]; do
	alive=0
	for p in "${pids[@]}"; do kill -0 "$p" 2>/dev/null && alive=1; done
	[ "$alive" = 1 ] || exit 0
	sleep 0.2
done
echo "guests: not finished after $limit s" >&2
exit 1

#!/bin/bash
# Makes the tar of a root filesystem from what is installed here, without network: tests/lib/image.sh OUT.tar PROGRAM…
#
# Each PROGRAM (a path, or SOURCE=TARGET) comes with the shared libraries it is linked to; busybox is the rest. A program linked
# statically needs nothing else.
set -eu
out=$1
shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,sbin,usr/bin,etc,proc,sys,dev,tmp,run,root,var/lib,data}
chmod 755 "$root"
chmod 1777 "$root/tmp"
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
"$busybox" --list | grep -vx busybox | while read -r applet; do ln -sf busybox "$root/bin/$applet"; done
printf 'root:x:0:0:root:/root:/bin/sh\nredis:x:999:999:redis:/data:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nredis:x:999:\nnogroup:x:65534:\n' >"$root/etc/group"
chown 999:999 "$root/data"

add() { # SOURCE TARGET
	local source
	source=$(readlink -f "$1")
	install -D -m 755 "$source" "$root$2"
	ldd "$source" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | sort -u | while read -r library; do
		[ -e "$root$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
	done || true
}
for program in "$@"; do
	case $program in
	*=*) add "${program%%=*}" "${program#*=}" ;;
	*) add "$program" "$program" ;;
	esac
done
tar -C "$root" --numeric-owner -cf "$out" .

#!/bin/bash
# Makes the disk of a virtual host: tests/vm/image.sh SUITE DIR. Debian SUITE with its own kernel, systemd, AppArmor and criu, and the libraries
# that davit's programs need; the programs themselves come on a second disk. DIR gets root.img, vmlinuz and initrd, which are kept until this script
# is another.
#
# The archive is the one that this system's apt is set up with.
set -eu
suite=$1 dir=$2
made_by=$(sha256sum <"$0")
[ -s "$dir/root.img" ] && [ "$(cat "$dir/made_by" 2>/dev/null)" = "$made_by" ] && exit 0
packages=systemd,systemd-sysv,dbus,udev,kmod,iproute2,apparmor,nftables,linux-image-cloud-amd64,initramfs-tools,criu,openssl,jq,curl,python3-minimal,procps,bsdutils
packages+=,libprotobuf-c1,libjansson4,libseccomp2,libcap2,libnl-3-200,libnl-route-3-200,libnftables1,libsodium23,libxxhash0,libzstd1,libsqlite3-0
# Debian 13 renamed packages for its 64-bit time_t; the libraries inside are the same.
case $suite in
bookworm) packages+=,libarchive13,libmicrohttpd12,libgnutls30,libcurl4 ;;
*) packages+=,libarchive13t64,libmicrohttpd12t64,libgnutls30t64,libcurl4t64,selinux-policy-default,selinux-utils ;;
esac
# shellcheck disable=SC2016 # apt expands these
site=$(apt-get indextargets --format '$(CREATED_BY) $(SITE)' | awk '$1 == "Packages" && $2 ~ /\/debian$/ { print $2; exit }')
[ -n "$site" ] || { echo "vm: no Debian archive in this system's apt sources" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dir" "$work/root"
rm -f "$dir/made_by"
mmdebstrap --quiet --mode=root --variant=minbase --skip=output/mknod --include="$packages" \
	--keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$work/root.tar" "deb $site $suite main" >"$dir/mmdebstrap.log" 2>&1 ||
	{ tail -5 "$dir/mmdebstrap.log" >&2; exit 1; }
tar -C "$work/root" --exclude='./dev/*' -xf "$work/root.tar"
cp "$work"/root/boot/vmlinuz-* "$dir/vmlinuz"
cp "$work"/root/boot/initrd.img-* "$dir/initrd"
root=$work/root
rm -rf "${root:?}"/boot/* "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/lib/apt/lists/*
# Profiles that this host does not need cost ten seconds of its start.
find "$root/etc/apparmor.d" -mindepth 1 -maxdepth 1 -type f -delete
# Of no effect but where a guest boots with security=selinux; permissive, since files have no labels.
mkdir -p "$root/etc/selinux"
printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >"$root/etc/selinux/config"
useradd --root "$root" --system --no-create-home --home-dir /var/lib/davit --shell /usr/sbin/nologin davit 2>/dev/null || true
for unit in systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-networkd-wait-online; do
	ln -sf /dev/null "$root/etc/systemd/system/${unit%.service}$([ "${unit##*.}" = timer ] || echo .service)"
done
cat >"$root/etc/systemd/system/davit-test.service" <<'UNIT'
[Unit]
Description=the test on the second disk
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p /mnt/test && mount -o ro /dev/vdb /mnt/test && exec /mnt/test/guest.sh >/dev/ttyS1 2>&1'
ExecStopPost=/bin/systemctl poweroff -ff
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/mnt/test"
ln -sf ../davit-test.service "$root/etc/systemd/system/multi-user.target.wants/davit-test.service"
mke2fs -q -t ext4 -d "$root" "$dir/root.img.new" 2500M >/dev/null
mv "$dir/root.img.new" "$dir/root.img"
echo "$made_by" >"$dir/made_by"

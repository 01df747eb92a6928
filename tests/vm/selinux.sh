#!/bin/bash
# Runs inside a virtual host that was booted with SELinux and the distribution's policy (tests/vm/image.sh, davit-test.service); tests/vm/selinux.bats reads
# the claims. Files of this host have no labels, so it is permissive, and enforces while a container tries what its type denies.
set -u
# shellcheck source-path=SCRIPTDIR source=guest_lib.sh
. "$(dirname "$0")/guest_lib.sh"
fs=/sys/fs/selinux box=/run/box
label=system_u:system_r:container_t:s0:c1,c2
files=system_u:object_r:container_file_t:s0
rt() { davit-runtime --root /run/rt "$@"; }

told() { cat $fs/enforce && davit-runtime features | jq -e '.annotations["org.davit.lsm"] | contains("selinux")'; }
claim "SELinux is there and features tells it" told

# The root filesystem's files all have the type of a container's.
bundle() { # FILTER
	mountpoint -q $box || { mkdir -p $box && mount -t tmpfs -o "context=$files" none $box && mkdir -p $box/rootfs/io && tar -C $box/rootfs -xf $here/image.tar; } || return 1
	rm -f $box/rootfs/io/* $box/config.json
	davit-runtime spec --bundle $box && jq ".process.terminal = false | .root.readonly = false | .linux.mountLabel = \"$files:c1,c2\" | $1" $box/config.json >$box/new &&
		mv $box/new $box/config.json
}
bind() { echo ".mounts += [{destination: \"/$1\", type: \"bind\", source: \"/run/$1\", options: [\"bind\"]}]"; }

for file in secret plain other; do echo $file >/run/$file; done
chcon system_u:object_r:shadow_t:s0 /run/secret
chcon $files /run/plain
chcon $files:c3 /run/other

starts() {
	# shellcheck disable=SC2016 # the container's shell expands it
	bundle ".process.selinuxLabel = \"$label\" | $(bind secret) | $(bind plain) | $(bind other) |
		.process.args = [\"/bin/sh\", \"-c\", \"until [ -e /io/go ]; do usleep 100000; done; for f in plain secret other; do cat /\$f >/io/\$f; echo \$? >/io/\$f.status; done; >/io/done; exec sleep 1000\"]" &&
		{ rt create --bundle $box one </dev/null >/run/out 2>&1 || { cat /run/out; return 1; }; } && rt start one
}
claim "a container starts with a process label and a mount label" starts
has_label() { [ "$(rt exec one /bin/cat /proc/1/attr/current | tr -d '\0')" = $label ] && [ "$(rt exec one /bin/cat /proc/self/attr/current | tr -d '\0')" = $label ]; }
claim "its processes have the label, those of exec too" has_label
has_mount_label() { rt exec one /bin/grep ' /dev ' /proc/self/mountinfo | grep -F "$files:c1,c2"; }
claim "its mounts have the mount label" has_mount_label
unknown() { bundle '.process.selinuxLabel = "system_u:system_r:none_t:s0"' && ! rt run --bundle $box two </dev/null >/run/out2 2>&1 && grep 'process.selinuxLabel' /run/out2; }

# What enforces must not be able to hold this script up: it goes back by itself.
enforce() { # SECONDS COMMAND…: with the policy enforced
	local status seconds=$1
	shift
	(sleep "$seconds"; echo 0 >$fs/enforce) >/dev/null 2>&1 &
	echo 1 >$fs/enforce
	"$@"
	status=$?
	echo 0 >$fs/enforce
	kill $! 2>/dev/null
	return $status
}
go() { : >$box/rootfs/io/go && until_true 90 test -e $box/rootfs/io/done; }
tried() { enforce 120 go && head $box/rootfs/io/*.status; }
claim "a container goes on while the policy is enforced" tried
got() { [ "$(cat "$box/rootfs/io/$1.status")" = "$2" ]; }
claim "it reads a file of its own type" got plain 0
claim "it does not read one of a type that is denied to it, as root" got secret 1
claim "it does not read one of its own type with another container's category" got other 1
denied() { dmesg | grep 'avc: *denied' | grep -E 'container_t:s0:c1,c2.*shadow_t'; }
claim "the kernel says that it was the policy" denied
claim "a label that the policy has not is refused by name" unknown
transition() {
	bundle '.process.selinuxLabel = "system_u:system_r:auditd_t:s0" | .process.args = ["/bin/true"]' || return 1
	! enforce 120 rt run --bundle $box two </dev/null >/run/out3 2>&1 && grep -iE 'permission denied|not permitted' /run/out3
}
claim "a transition that the policy denies is refused" transition
rt delete --force one
dmesg | grep 'avc: *denied' | tail -5 | sed 's/^/# /'

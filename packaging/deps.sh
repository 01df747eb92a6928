#!/bin/bash
# Installs what davit's build, tests and demonstration need on Debian 12 or 13, and says why. Idempotent: what is there is left alone.
set -eu
cd "$(dirname "$0")"

BUILD="build-essential pkg-config protobuf-compiler protobuf-c-compiler libprotobuf-c-dev libjansson-dev libseccomp-dev libcap-dev libnl-3-dev
	libnl-route-3-dev libnftables-dev libarchive-dev zlib1g-dev libsodium-dev libxxhash-dev libzstd-dev liblz4-dev libmicrohttpd-dev libsqlite3-dev libgnutls28-dev
	libcurl4-openssl-dev libsystemd-dev"
DEMO="redis-tools cron curl jq openssl iproute2 nftables busybox-static python3 util-linux"
TESTS="bats libcmocka-dev shellcheck clang libclang-rt-dev strace attr acl iputils-ping libcap2-bin xz-utils zstd netcat-openbsd procps sqlite3 nginx-light memcached spin"
# The programs of tests/e2e/workloads.bats, from wherever they came; 150 MB to fetch where none is there.
LOADS=
command -v javac >/dev/null || LOADS="default-jdk-headless"
command -v node >/dev/null || LOADS="$LOADS nodejs"
[ -n "$(find /usr/lib/postgresql -name pgbench 2>/dev/null)" ] || LOADS="$LOADS postgresql"
BENCH="runc crun podman conmon catatonit containerd hyperfine gnuplot-nox"
VM="qemu-system-x86 qemu-utils mmdebstrap ipxe-qemu seabios e2fsprogs cpio"

say() { printf 'deps: %s\n' "$*"; }

[ "$(id -u)" = 0 ] || { say "installing packages takes root: run this as root"; exit 1; }
command -v apt-get >/dev/null || { say "this is no Debian: install the libraries that packaging/deps.sh lists by hand"; exit 1; }

missing_of() { # packages that are not installed
	local p
	for p in "$@"; do
		# libclang-rt-dev is versioned before Debian 13
		if [ "$p" = libclang-rt-dev ] && ! apt-cache show libclang-rt-dev >/dev/null 2>&1; then
			p=libclang-rt-14-dev
		fi
		[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" = "ii " ] || echo "$p"
	done
}

# Packages bring services (cron, podman's socket). None is started: the tests start what they need, with state of their own.
no_services() {
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
}

install_for() { # WHY PACKAGES…
	local why=$1 missing
	shift
	missing=$(missing_of "$@")
	[ -n "$missing" ] || { say "$why: all there"; return; }
	say "$why: installing $(echo "$missing" | tr "\n" " ")"
	no_services
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/tmp/davit-deps.$$ 2>&1 ||
		{ tail -5 /tmp/davit-deps.$$; rm -f /tmp/davit-deps.$$; exit 1; }
	rm -f /tmp/davit-deps.$$
}

if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mtime -7 2>/dev/null | head -1)" ]; then
	say "refreshing the package lists"
	apt-get update -qq
fi
# shellcheck disable=SC2086
{
	install_for "libraries and compilers of the build" $BUILD
	install_for "what the demonstration runs: redis, cron, curl" $DEMO
	case "${1:-all}" in
	demo) ;;
	*)
		install_for "test runners and tools" $TESTS
		install_for "programs that the tests move while they work" $LOADS
		install_for "runtimes to compare with" $BENCH
		install_for "virtual machines for tests on other kernels" $VM
		;;
	esac
}
./criu.sh
getent passwd davit >/dev/null || {
	say "making the system user davit, whom davitd becomes"
	useradd --system --no-create-home --home-dir /var/lib/davit --shell /usr/sbin/nologin davit
}

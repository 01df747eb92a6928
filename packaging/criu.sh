#!/bin/bash
# Makes sure that this host has a CRIU that works on the running kernel.
#
# The distribution's is taken where it passes its own check. Where it does not (Debian 12's 3.17.1 stops at "Unexpected rt vDSO area bounds" on
# kernels since 6.13), the source package of a newer Debian release is fetched and verified by apt in a private apt state, so that the
# system's own package lists stay as they are, and built into $PREFIX with criu.patch, which shortens the time that containers
# stand still. One that was built with another criu.patch is built again; if that cannot be, it stays.
set -eu
PATCH=$(cd "$(dirname "$0")" && pwd)/criu.patch
PREFIX=${DAVIT_CRIU_PREFIX:-/usr/lib/davit/criu}
SUITES=${DAVIT_CRIU_SUITES:-testing unstable}
BUILD_PACKAGES="build-essential pkg-config libnet1-dev libbsd-dev libnftables-dev uuid-dev libnl-3-dev libnl-route-3-dev libcap-dev
	libprotobuf-dev libprotobuf-c-dev protobuf-compiler protobuf-c-compiler python3-minimal"

say() { printf 'criu: %s\n' "$*"; }

works() { # PATH: passes its own check here
	[ -x "$1" ] && "$1" check >/dev/null 2>&1
}

built_as_now() { # the one in $PREFIX, if there is one, is what this script would build
	[ ! -x "$PREFIX/sbin/criu" ] || cmp -s "$PATCH" "$PREFIX/criu.patch"
}

find_working() {
	local candidate
	for candidate in "$PREFIX/sbin/criu" "$(command -v criu || true)"; do
		if [ -n "$candidate" ] && works "$candidate"; then
			say "$candidate ($("$candidate" --version | sed -n 's/^Version: //p')) works on $(uname -r)"
			return 0
		fi
	done
	return 1
}

mirror() { # the archive this system is set up with: nothing is named here
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(SITE)' | awk '$1 == "Packages" && $3 ~ /\/debian$/ { print $3; exit }'
}

private_apt() { # DIR: an apt state of its own
	local dir=$1 site suite
	site=$(mirror)
	[ -n "$site" ] || { say "no Debian archive in this system's apt sources: install a criu that passes 'criu check' by hand"; exit 1; }
	mkdir -p "$dir"/{lists/partial,archives/partial}
	: >"$dir/status"
	for suite in $SUITES; do
		echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main"
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-CONF
		Dir::State "$dir";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferencesparts "-";
		APT::Sandbox::User "root";
	CONF
}

# Only the original archive is used. A mirror that lacks one of the other files of the source package is no hindrance, if this one is what apt's signed
# index says.
original_is_whole() {
	apt-cache showsrc --only-source criu | awk 'length($1) == 64 && $3 ~ /\.orig\.tar\.[a-z0-9]+$/ { print $1 "  " $3 }' | sort -u |
		sha256sum --check --ignore-missing --status
}

compile() { # DIR
	make -C "$1/source" -j"$(nproc)" PREFIX="$PREFIX" NO_GNUTLS=y criu >"$1/make.log" 2>&1
}

build() {
	local dir library archive
	dir=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$dir'" EXIT
	say "building one into $PREFIX"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $BUILD_PACKAGES >"$dir/install.log" 2>&1 ||
		{ tail -5 "$dir/install.log"; exit 1; }
	private_apt "$dir/apt"
	(
		cd "$dir"
		export APT_CONFIG="$dir/apt/apt.conf"
		apt-get update -qq
		apt-get source -qq --download-only criu || original_is_whole || exit 1
		mkdir source
		tar -C source --strip-components=1 -xf criu_*.orig.tar.*
	) >"$dir/fetch.log" 2>&1 || { tail -5 "$dir/fetch.log"; exit 1; }
	if patch -d "$dir/source" -p1 --dry-run --quiet <"$PATCH" >/dev/null; then
		patch -d "$dir/source" -p1 --quiet <"$PATCH"
	else
		say "criu.patch is for another version: without it containers with much memory stand still longer"
	fi
	# Without TLS, which is ours to do: eight libraries less to load, 1.7 of 3 ms of each start, while a container stands still.
	# The other libraries are linked in for the same reason, if they are there as archives and fit: criu starts thrice for a checkpoint with its restore, and
	# forks a dozen times.
	mkdir "$dir/archives"
	for library in protobuf-c nl-3 net uuid bsd; do
		archive=$(gcc -print-file-name="lib$library.a")
		[ "$archive" = "lib$library.a" ] || ln -s "$archive" "$dir/archives/"
	done
	LDFLAGS="-L$dir/archives" compile "$dir" || compile "$dir" || { tail -20 "$dir/make.log"; exit 1; }
	install -D -m 755 "$dir/source/criu/criu" "$PREFIX/sbin/criu.new" && mv "$PREFIX/sbin/criu.new" "$PREFIX/sbin/criu" &&
		install -m 644 "$PATCH" "$PREFIX/criu.patch"
}

if ! built_as_now; then
	say "criu.patch is another one than that in $PREFIX was built with"
	(build) || say "it could not be built again: containers with much memory stand still longer"
fi
find_working && exit 0
if [ -z "$(command -v criu || true)" ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends criu >/dev/null 2>&1 || true
	find_working && exit 0
fi
say "the installed one fails its check on $(uname -r)"
build
find_working || { say "the criu built for this host fails its own check:"; "$PREFIX/sbin/criu" check || true; exit 1; }

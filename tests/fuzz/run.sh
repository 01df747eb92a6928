#!/bin/bash
# Builds every tests/fuzz/fuzz_*.c with libFuzzer, ASan and UBSan and runs each for FUZZ_SECONDS (default 20) over its seeds in
# tests/fuzz/corpus/NAME. Inputs that a run finds worth keeping go to build/fuzz/corpus/NAME; a finding ends the run with status 1 and is left in
# build/fuzz/findings. `run.sh NAME…` runs only these. A fuzzer that needs more than base/ and proto/ names it: `// fuzz-sources: FILE…`.
set -eu
cd "$(dirname "$0")/../.."
SECONDS_EACH=${FUZZ_SECONDS:-20}
OUT=$PWD/build/fuzz
FLAGS=(-std=gnu17 -g -O1 -D_GNU_SOURCE -Ulinux '-DDAVIT_VERSION="fuzz"' '-DDAVIT_PREFIX="/usr/local"' -I. -Ibuild/gen -Ibuild/gen/proto
	-fno-omit-frame-pointer -fno-sanitize-recover=undefined -Wno-unknown-warning-option)
LIBRARIES=(libprotobuf-c jansson libsodium libzstd libxxhash)
command -v clang >/dev/null || { echo "fuzz: clang is missing: apt-get install clang" >&2; exit 69; }

# The generated code is made by the Makefile, so that there is one way to make it.
make -s SAN= BUILD=build build/lib/libproto.a >/dev/null
mkdir -p "$OUT/obj" "$OUT/findings"
read -ra PKG <<<"$(pkg-config --cflags "${LIBRARIES[@]}")"
read -ra LIBS <<<"$(pkg-config --libs "${LIBRARIES[@]}")"

compile() { # SOURCE OBJECT
	mkdir -p "$(dirname "$2")"
	clang "${FLAGS[@]}" "${PKG[@]}" -fsanitize=fuzzer-no-link,address,undefined -c -o "$2" "$1"
}

# Objects are kept while neither their source nor any header is newer.
newest_header=$(find base proto migrate tests/fuzz build/gen -name '*.h' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
objects=()
for source in base/*.c proto/*.c build/gen/proto/*.c; do
	object=$OUT/obj/${source%.c}.o
	if [ ! "$object" -nt "$source" ] || [ ! "$object" -nt "$newest_header" ]; then
		compile "$source" "$object"
	fi
	objects+=("$object")
done

run() { # NAME
	local source=tests/fuzz/fuzz_$1.c more=()
	read -ra more <<<"$(sed -n 's|^// fuzz-sources: ||p' "$source" | tr '\n' ' ')"
	mkdir -p "$OUT/corpus/$1" "tests/fuzz/corpus/$1"
	clang "${FLAGS[@]}" "${PKG[@]}" -fsanitize=fuzzer,address,undefined -o "$OUT/fuzz_$1" "$source" "${more[@]}" "${objects[@]}" "${LIBS[@]}" -lpthread
	if ! "$OUT/fuzz_$1" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix="$OUT/findings/$1-" "$OUT/corpus/$1" "tests/fuzz/corpus/$1" >"$OUT/$1.log" 2>&1; then
		grep -v NEW_FUNC "$OUT/$1.log" | tail -40
		echo "fuzz $1: a finding, see $OUT/findings" >&2
		return 1
	fi
	echo "fuzz $1: nothing in $SECONDS_EACH s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$OUT/$1.log") inputs"
}

names=("$@")
if [ ${#names[@]} = 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		source=${source##*/fuzz_}
		names+=("${source%.c}")
	done
fi
for name in "${names[@]}"; do
	run "$name"
done

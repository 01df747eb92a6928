#!/usr/bin/env bats
# A few seconds of every fuzzer, so that none rots; `make fuzz FUZZ_SECONDS=…` is for looking.

setup() {
	command -v clang >/dev/null || skip "clang is missing"
	cd "$BATS_TEST_DIRNAME/../.." || return
}

@test "fuzzers find nothing in their seeds and a few seconds beyond" {
	FUZZ_SECONDS=${FUZZ_SECONDS:-2} tests/fuzz/run.sh
}

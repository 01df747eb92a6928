#!/usr/bin/env bats
# Pages that are made from tables are what the tables say.

@test "docs/ERRORS.md is what base/err.c says" {
	diff "$BATS_TEST_DIRNAME/../../docs/ERRORS.md" <("${DAVIT_BUILD:-$BATS_TEST_DIRNAME/../../build}/tools/errors")
}

#!/usr/bin/env bats
# A container whose memory does not come with its images: CRIU's lazy dump and restore with a page store, fed by a source that corectl plays.

setup_file() {
	load ../lib/common.bash
	load ../lib/core.bash
	"$BATS_TEST_DIRNAME/../lib/image.sh" "$BATS_FILE_TMPDIR/busybox.tar" "$DAVIT_BUILD/tools/remember=/bin/remember"
}

setup() {
	load ../lib/common.bash
	load ../lib/core.bash
	common_setup
	start_with_image a 1000000
	start_with_image b 8000000
	CORE=a
	SOURCES=()
	later end_sources
}

teardown() { common_teardown; }

end_sources() { for p in "${SOURCES[@]}"; do kill "$p" 2>/dev/null || true; done; }

start_with_image() {
	core_start "$@"
	CORE=$1 ask '{"id":1,"imageImport":{"name":"busybox"}}' "0<$BATS_FILE_TMPDIR/busybox.tar"
}

# A container with a program that knows what its memory has to be.
remembers() { # NAME MIB [MORE]
	ask "{\"id\":1,\"create\":$(remember_spec "$1" "$2" 1000000)}"
	ask "{\"id\":1,\"start\":{\"name\":\"$1\"}}"
	retry grep -q ready "$TMP/a/state/logs/$1/log"
}
remember_spec() { spec "$1" "exec /bin/remember $2" '' "$3"; }

# HOST_PID:PID of all processes of a container on a.
processes() { answer '.processes.processes[] | "\(.pid):\(.containerPid)"' "{\"id\":1,\"processes\":{\"name\":\"$1\"}}"; }

# Dumps it lazily on a and prepares it on b, with a source that begins in MODE.
lazy_move() { # NAME MIB MODE
	local out=$TMP/move.out
	ask "{\"id\":1,\"pause\":{\"name\":\"$1\",\"holdNetwork\":true}}"
	# shellcheck disable=SC2046 # a list
	"$CORECTL" move "$TMP/a/socket" "{\"id\":1,\"dump\":{\"name\":\"$1\",\"lazyPages\":true}}" "$TMP/b/socket" \
		"{\"id\":1,\"restorePrepare\":$(remember_spec "$1" "$2" 8000000 | jq -c '. + {memory: true}')}" "$3" $(processes "$1") >"$out" || { cat "$out" "$TMP/b/log"; return 1; }
	SOURCES+=("$(head -1 "$out")")
	cat "$out"
	jq -e '.error == null' <<<"$(tail -1 "$out")"
}
lazy_restore() { CORE=b ask "{\"id\":1,\"restoreRun\":{\"name\":\"$1\",\"offsetMonotonic\":0,\"offsetBoottime\":0,\"memory\":true,\"memoryRound\":1}}"; }
resume() { CORE=b ask "{\"id\":1,\"resume\":{\"name\":\"$1\"}}"; }
rest() { kill -USR1 "${SOURCES[-1]}"; }
complete() { [ "$(CORE=b answer '.memory.complete' "{\"id\":1,\"memoryWait\":{\"name\":\"$1\"}}")" = true ]; }
check() { # NAME
	CORE=b in_container "$1" 'touch /check'
	looked() { [ "$(grep -c 'right\|wrong' "$TMP/b/state/logs/$1/log")" = 3 ]; }
	retry looked "$1"
	[ "$(grep -c right "$TMP/b/state/logs/$1/log")" = 3 ]
}
store_gone() { [ ! -e "$TMP/b/run/monitor/$1/memory.sock" ] && [ ! -e "$TMP/b/run/tmp/moves/$1" ]; }
switch_is_off() { [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null || echo 0)" = "$SWITCH" ]; }

@test "memory that was copied before the freeze is given to the restored container, and the store ends" {
	SWITCH=$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null || echo 0)
	remembers web 32
	lazy_move web 32 all
	[ "$(du -sm "$TMP/b/run/tmp/moves/web" | cut -f1)" -lt 8 ]
	lazy_restore web
	switch_is_off
	CORE=b state_is web paused
	resume web
	rest
	complete web
	retry store_gone web
	check web
}

@test "half of the memory was withheld: faults fetch it, the rest follows" {
	remembers web 32
	lazy_move web 32 half
	lazy_restore web
	resume web
	check web
	rest
	complete web
	retry store_gone web
}

@test "nothing was copied: the container runs at once on what it fetches, also after the connection was cut" {
	remembers web 32
	lazy_move web 32 none
	lazy_restore web
	resume web
	kill "${SOURCES[-1]}"
	CORE=b in_container web 'touch /check'
	# shellcheck disable=SC2046 # a list
	SOURCES+=("$("$CORECTL" source "$TMP/b/socket" '{"id":1,"memoryAttach":{"name":"web"}}' none $(processes web))")
	check web
	rest
	complete web
}

@test "the core may fall while memory follows: the store goes on, a new core finds it" {
	remembers web 32
	lazy_move web 32 half
	lazy_restore web
	resume web
	core_fall b
	core_start b 8000000
	CORE=b state_is web running
	check web
	rest
	complete web
	retry store_gone web
}

@test "a restore that is dropped, before or after it ran, leaves nothing; nor does a container that is deleted while it is filled" {
	remembers web 16
	lazy_move web 16 half
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	store_gone web
	lazy_move web 16 half
	lazy_restore web
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	store_gone web
	lazy_move web 16 none
	lazy_restore web
	resume web
	CORE=b ask '{"id":1,"delete":{"name":"web","force":true}}'
	retry store_gone web
	ask '{"id":1,"resume":{"name":"web"}}'
	in_container web 'touch /check'
	looked() { [ "$(grep -c right "$TMP/a/state/logs/web/log")" = 3 ]; }
	retry looked
}

@test "who reads the memory of a container that is still being filled, for another move, waits until it is whole" {
	remembers web 16
	lazy_move web 16 none
	lazy_restore web
	CORE=b ask '{"id":1,"memory":{"name":"web"}}' >"$TMP/answer" 2>&1 3>&- &
	asker=$!
	CORE=b state_is web paused # the core is not held up
	[ ! -s "$TMP/answer" ]
	rest
	wait "$asker"
	[ "$(tail -1 "$TMP/answer" | jq '.streams != null')" = true ]
	complete web
}

#!/usr/bin/env bats
# dump, restore_prepare, restore_run, restore_drop of the runtime core, from one core to another on the same host.

setup_file() {
	load ../lib/common.bash
	load ../lib/core.bash
	core_image "$BATS_FILE_TMPDIR/busybox.tar"
}

setup() {
	load ../lib/common.bash
	load ../lib/core.bash
	common_setup
	start_with_image a 1000000
	start_with_image b 8000000
	CORE=a
}

teardown() { common_teardown; }

start_with_image() {
	core_start "$@"
	CORE=$1 ask '{"id":1,"imageImport":{"name":"busybox"}}' "0<$BATS_FILE_TMPDIR/busybox.tar"
}

LOOP='i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done'

# A running container on a, with data in its layer.
running() { # NAME [MORE]
	create "$1" "$LOOP" "${2:-}"
	ask "{\"id\":1,\"start\":{\"name\":\"$1\"}}"
	in_container "$1" 'echo data >/data/file; ln /data/file /data/link; chown 999:999 /data/file; rm /bin/yes'
	logged() { [ "$(wc -l <"$TMP/a/state/logs/$1/log")" -ge 3 ]; }
	retry logged "$1"
}

move() { # NAME [NEW SPEC]
	local prepare=${2:-$(spec "$1" "$LOOP" '' 8000000)}
	CORE=a ask "{\"id\":1,\"pause\":{\"name\":\"$1\",\"holdNetwork\":true}}"
	"$CORECTL" move "$TMP/a/socket" "{\"id\":1,\"dump\":{\"name\":\"$1\"}}" "$TMP/b/socket" "{\"id\":1,\"restorePrepare\":$prepare}"
}
restore_run() { CORE=b ask "{\"id\":1,\"restoreRun\":{\"name\":\"$1\",\"offsetMonotonic\":${2:-0},\"offsetBoottime\":${3:-0}}}"; }
gone_from() { # CORE NAME
	[ ! -e "$TMP/$1/state/containers/$2" ] && [ ! -e "$TMP/$1/run/runtime/$2" ] && [ ! -e "$TMP/$1/run/tmp/moves/$2" ] && [ ! -e "$TMP/$1/state/logs/$2" ] &&
		{ if grep -q "$TMP/$1/state/containers/$2/" /proc/self/mountinfo; then return 1; fi; }
}

@test "a container goes on elsewhere: memory, layer, log, clocks, ids; frozen until resume" {
	running web
	move web
	[ "$(CORE=b state_of web)" = restoring ]
	[ "$(CORE=b answer .error.code '{"id":1,"imageRemove":{"name":"busybox"}}')" = busy ]
	restore_run web 1000000000000 2000000000000
	CORE=b state_is web paused
	[ ! -e "$TMP/b/run/tmp/moves/web" ]
	before=$(tail -1 "$TMP/b/state/logs/web/log" | cut -d' ' -f4)
	[ "$before" = "$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)" ]
	CORE=b ask '{"id":1,"resume":{"name":"web"}}'
	goes_on() { [ "$(tail -1 "$TMP/b/state/logs/web/log" | cut -d' ' -f4)" -gt "$((before + 3))" ]; }
	retry goes_on
	[ "$(grep -c " $((before + 1))\$" "$TMP/b/state/logs/web/log")" = 1 ]
	CORE=b run in_container web 'cat /data/file; stat -c %u:%h /data/file; ls /bin/yes 2>&1; cut -d. -f1 /proc/uptime'
	[ "${lines[0]}" = data ]
	[ "${lines[1]}" = 999:2 ]
	[[ $output == *"No such file"* ]]
	uptime=$(cut -d. -f1 /proc/uptime)
	[ "${lines[3]}" -ge $((uptime + 1990)) ]
	[ "$(CORE=b answer '.status.offsetBoottime' '{"id":1,"get":{"name":"web"}}')" = 2000000000000 ]
	[ "$(CORE=b answer '.processes.processes[0].uid' '{"id":1,"processes":{"name":"web"}}')" = 8000000 ]
	CORE=a ask '{"id":1,"delete":{"name":"web","force":true}}'
	gone_from a web
}

@test "the source goes on as if nothing had been when the target drops the container" {
	running web
	move web
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	gone_from b web
	move web
	restore_run web
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	gone_from b web
	last=$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)
	CORE=a ask '{"id":1,"resume":{"name":"web"}}'
	goes_on() { grep -q " $((last + 2))\$" "$TMP/a/state/logs/web/log"; }
	retry goes_on
}

@test "a running container is not dropped as if it were being restored" {
	running web
	run ask '{"id":1,"restoreDrop":{"name":"web"}}'
	[ "$(jq -r .error.code <<<"$output")" = state ]
	state_is web running
	run ask '{"id":1,"dump":{"name":"web"}}'
	[ "$(jq -r .error.code <<<"$output")" = state ]
}

@test "check names an exec session as an obstacle, and a dump refuses with it" {
	running web
	[ "$(answer '.obstacles.obstacles | length' '{"id":1,"check":{"name":"web"}}')" = 0 ]
	"$CORECTL" run "$TMP/a/socket" '{"id":1,"exec":{"name":"web","process":{"args":["sleep","100"]}}}' 3>&- &
	seen() { [ "$(answer '.obstacles.obstacles[0].kind' '{"id":1,"check":{"name":"web"}}')" = exec_session ]; }
	retry seen
	ask '{"id":1,"pause":{"name":"web"}}'
	[ "$(answer '"\(.error.code) \(.error.obstacles[0].kind)"' '{"id":1,"dump":{"name":"web"}}')" = "obstacle exec_session" ]
	ask '{"id":1,"resume":{"name":"web"}}'
	state_is web running
}

@test "a dump with lazy pages leaves memory behind: images alone, the container paused as it was and then goes on" {
	running web
	ask '{"id":1,"pause":{"name":"web"}}'
	"$CORECTL" ask "$TMP/a/socket" '{"id":1,"dump":{"name":"web","lazyPages":true}}' "0>$TMP/images.tar" "1>$TMP/layer" "2>$TMP/pages" "3>$TMP/log" >"$TMP/dump.out"
	[ "$(tail -1 "$TMP/dump.out" | jq -r '.dump.clock.hostBoottime != null')" = true ]
	[ ! -s "$TMP/pages" ]
	tar -tf "$TMP/images.tar" | grep -q pagemap-
	state_is web paused
	ask '{"id":1,"resume":{"name":"web"}}'
	last=$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)
	goes_on() { [ "$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)" -gt "$((last + 3))" ]; }
	retry goes_on
}

@test "a dump whose asker goes away ends, and the container goes on" {
	running web
	ask '{"id":1,"pause":{"name":"web"}}'
	mkfifo "$TMP/stalled"
	"$CORECTL" ask "$TMP/a/socket" '{"id":1,"dump":{"name":"web"}}' "0>$TMP/stalled" >"$TMP/dump.out" 3>&- &
	retry grep -q streams "$TMP/dump.out"
	kill -9 $!
	ask '{"id":1,"resume":{"name":"web"}}'
	state_is web running
	last=$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)
	goes_on() { [ "$(tail -1 "$TMP/a/state/logs/web/log" | cut -d' ' -f4)" -gt "$((last + 3))" ]; }
	retry goes_on
	[ ! -e "$TMP/a/run/tmp/moves/web" ]
}

@test "a restore whose sender goes away leaves nothing" {
	mkfifo "$TMP/stalled"
	"$CORECTL" ask "$TMP/b/socket" "{\"id\":1,\"restorePrepare\":$(spec web "$LOOP" '' 8000000)}" "0<$TMP/stalled" >"$TMP/prepare.out" 3>&- &
	retry grep -q streams "$TMP/prepare.out"
	kill -9 $!
	retry gone_from b web
}

@test "a core that is killed while it receives leaves nothing after the next start" {
	mkfifo "$TMP/stalled"
	"$CORECTL" ask "$TMP/b/socket" "{\"id\":1,\"restorePrepare\":$(spec web "$LOOP" '' 8000000)}" "0<$TMP/stalled" >"$TMP/prepare.out" 3>&- &
	retry grep -q streams "$TMP/prepare.out"
	core_fall b
	kill -9 $!
	core_start b 8000000
	retry gone_from b web
}

@test "a restore that was begun while images were still to come is taken back if they do not come, or by the next core" {
	mkfifo "$TMP/stalled"
	exec {stalled}<>"$TMP/stalled"
	mkdir "$TMP/layer"
	tar -C "$TMP/layer" -cf "$TMP/layer.tar" .
	begin() {
		"$CORECTL" ask "$TMP/b/socket" "{\"id\":1,\"restorePrepare\":$(jq -c '. + {memory: true}' <<<"$(spec web "$LOOP" '' 8000000)")}" "0<$TMP/stalled" \
			"1<$TMP/layer.tar" >"$TMP/prepare.out" 3>&- {stalled}>&- &
		ASKER=$!
		waits() { [ -p "$TMP/b/run/tmp/moves/web/go" ] && [ -e "$TMP/b/run/runtime/web/state.pb" ] && restores; }
		retry waits
	}
	restores() { pgrep -f "^davit-monitor --id web .*$TMP/b/.* restore " >/dev/null; }
	nothing_is_left() { gone_from b web && ! restores; }
	begin
	kill -9 "$ASKER"
	retry nothing_is_left
	begin
	core_fall b
	kill -9 "$ASKER"
	core_start b 8000000
	retry nothing_is_left
}

@test "a restored container outlives a fall of the core while it is frozen" {
	running web
	move web
	restore_run web
	core_fall b
	core_start b 8000000
	CORE=b state_is web paused
	CORE=b ask '{"id":1,"resume":{"name":"web"}}'
	CORE=b state_is web running
}

@test "a container comes back to its kept layer, which outlives a restore that fails or is dropped" {
	running web
	CORE=b ask "{\"id\":1,\"create\":$(spec web true '' 8000000)}"
	echo kept >"$TMP/b/state/containers/web/layer/upper/kept"
	CORE=b ask '{"id":1,"delete":{"name":"web","keepLayer":true}}'
	[ "$(CORE=b answer .error.code '{"id":1,"get":{"name":"web"}}')" = not_found ]
	# It comes back onto its image.
	[ "$(CORE=b answer '"\(.error.code) \(.error.message)"' '{"id":1,"imageRemove":{"name":"busybox"}}')" = "busy image busybox is used by container web" ]
	ask '{"id":1,"pause":{"name":"web"}}'
	comes() {
		"$CORECTL" move "$TMP/a/socket" '{"id":1,"dump":{"name":"web","withoutLayer":true}}' \
			"$TMP/b/socket" "{\"id\":1,\"restorePrepare\":$(jq -c '. + {withoutLayer: true}' <<<"$(spec web "$LOOP" '' 8000000)")}"
	}
	CORE=b run ask "{\"id\":1,\"restorePrepare\":$(jq -c '. + {withoutLayer: true}' <<<"$(spec web "$LOOP" '' 8000000)")}"
	[ "$(cat "$TMP/b/state/containers/web/layer/upper/kept")" = kept ]
	comes
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	[ "$(cat "$TMP/b/state/containers/web/layer/upper/kept")" = kept ]
	[ ! -e "$TMP/b/state/containers/web/bundle" ]
	[ "$(CORE=b answer .error.code '{"id":1,"imageRemove":{"name":"busybox"}}')" = busy ]
	comes
	restore_run web
	CORE=b ask '{"id":1,"resume":{"name":"web"}}'
	CORE=b state_is web running
	[ "$(CORE=b in_container web 'cat /kept')" = kept ]
	CORE=b ask '{"id":1,"delete":{"name":"web","force":true}}'
	gone_from b web
}

@test "images that hold more than the target's policy gave are not resumed" {
	core_stop a
	POLICY='{"capabilities":["CAP_SYS_ADMIN"],"seccompUnconfined":true,"allowNewPrivileges":true,"hostUserNamespace":true}' core_start a
	running web '"capAdd":["CAP_SYS_ADMIN"]'
	move web
	run restore_run web
	[ "$(jq -r .error.code <<<"$output")" = denied ]
	[[ $output == *capabilities* ]]
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	gone_from b web
	CORE=a ask '{"id":1,"delete":{"name":"web","force":true}}'
	running web '"seccomp":"unconfined"'
	move web
	run restore_run web
	[ "$(jq -r .error.code <<<"$output")" = denied ]
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	CORE=a ask '{"id":1,"delete":{"name":"web","force":true}}'
	running web '"hostUserNamespace":true'
	move web
	run restore_run web
	[ "$(jq -r .error.code <<<"$output")" != null ]
	CORE=b ask '{"id":1,"restoreDrop":{"name":"web"}}'
	gone_from b web
}

# forged IMAGE ENTRY CHANGE… — CODE FIELD: the images with that change (tests/lib/images.py) are refused with that field, and are then as before.
forged() {
	local args=("${@:1:$#-3}") code=${*: -2:1} field=${*: -1}
	"$BATS_TEST_DIRNAME/../lib/images.py" "$IMAGES/${args[0]}" "${args[@]:1}"
	refused "$code" "$field"
}
refused() { # CODE FIELD
	run restore_run web
	[ "$(jq -r '"\(.error.code) \(.error.field)"' <<<"$output")" = "$1 $2" ] || { echo "wanted $1 $2: $output"; false; }
	[ "$1" != denied ] || [ "$(jq -r .error.remedy <<<"$output")" != null ]
	rm -rf "$IMAGES"
	cp -a "$TMP/images" "$IMAGES"
}

@test "forged images are refused before criu reads them, by the name of the image and its member; filter and masks are there without them" {
	local mnt more='"rlimits":[{"type":"RLIMIT_NOFILE","soft":100,"hard":200}],"mounts":[{"type":"tmpfs","target":"/scratch"}]'
	# A user namespace is what the filter alone denies it.
	LOOP='while :; do if unshare -U true 2>/dev/null; then echo open; else echo shut; fi; sleep 0.05; done'
	running web "$more"
	move web "$(spec web "$LOOP" "$more" 8000000)"
	IMAGES=$TMP/b/run/tmp/moves/web/images
	cp -a "$IMAGES" "$TMP/images"
	mnt=$(cd "$IMAGES" && echo mountpoints-*.img)

	# What may be there at all, and how it was made.
	echo x >"$IMAGES/iptables-9.img"
	refused denied iptables-9.img
	ln -s /etc "$IMAGES/parent"
	refused denied parent
	forged inventory.img 0 1=1 — denied inventory.img:img_version
	forged inventory.img 0 11=0 — denied inventory.img:network_lock_method
	forged inventory.img 0 12.12=:cuda_plugin — denied inventory.img:plugins_entry
	# Namespaces: 7 and 6 are those of criu itself.
	forged ids-1.img 0 10=7 — denied ids-1.img:user_ns_id
	forged ids-1.img 0 9=6 — denied ids-1.img:mnt_ns_id
	forged ids-1.img 0 6= — denied ids-1.img:net_ns_id
	# What a task may do.
	forged core-1.img 0 5.10.11=0xffffffff — denied core-1.img:thread_core.creds.cap_eff
	forged core-1.img 0 5.10.19=0x200000 — denied core-1.img:thread_core.creds.cap_amb
	forged core-1.img 0 5.10.18=0 — denied core-1.img:thread_core.creds.no_new_privs
	forged core-1.img 0 5.10.17=:profile — denied core-1.img:thread_core.creds.apparmor_data
	forged core-1.img 0 5.10.16=:label — denied core-1.img:thread_core.creds.lsm_sockcreate
	forged core-1.img 0 5.10= — denied core-1.img:thread_core.creds
	forged core-1.img 0 5.11=0 — denied core-1.img:thread_core.seccomp_mode
	forged core-1.img 0 3.11=0 — denied core-1.img:tc.old_seccomp_mode
	python3 - "$IMAGES/core-1.img" <<-'EOF'
		# 200 as the hard limit of RLIMIT_NOFILE, and no other number of that kind in the entry
		import sys
		data = open(sys.argv[1], "rb").read()
		assert data.count(b"\x08\x64\x10\xc8\x01") == 1
		open(sys.argv[1], "wb").write(data.replace(b"\x08\x64\x10\xc8\x01", b"\x08\x64\x10\xc9\x01"))
	EOF
	refused denied core-1.img:tc.rlimits
	forged seccomp.img 0 1.2=0 — corrupt null
	# Mounts: from outside, elsewhere, of another kind, with fewer restrictions, twice.
	forged "$mnt" 7=:/scratch 18=:/etc — denied "$mnt:ext_key"
	forged "$mnt" 7=:/scratch 13=1 6=:/etc — denied "$mnt:ext_key"
	forged "$mnt" 7=:/ 18=:/dev/null — denied "$mnt:ext_key"
	forged "$mnt" 7=:/scratch 18=:/dev/null — denied "$mnt:mountpoint"
	forged "$mnt" 7=:/scratch 7=:/bin — denied "$mnt:mountpoint"
	forged "$mnt" 7=:/scratch 1=17 — denied "$mnt:mountpoint"
	forged "$mnt" 7=:/sys 5=0 — denied "$mnt:flags"
	forged "$mnt" 7=:/proc/sys 5=0 — denied "$mnt:mountpoint"
	forged "$mnt" 7=:/scratch 12=1 — denied "$mnt:with_plugin"
	forged "$mnt" new 1=1 2=9999 7=:/proc — denied "$mnt:mountpoint"
	# Open files.
	forged files.img 1=1 3.9=1 — denied files.img:reg.ext
	forged files.img 1=1 3.6=:/../etc/passwd — denied files.img:reg.name
	forged files.img 1=1 3.7=199998 — denied files.img:reg.mnt_id
	forged files.img 1=1 1=16 — denied files.img:type
	forged files.img 1=1 1=10 — denied files.img:type
	forged files.img 1=1 4.3=2 4.4=3 4.5=255 — denied files.img:isk.type
	forged files.img 1=1 16.6=1 — denied files.img:usk.uflags

	# Filters that allow everything get ours beside them; paths that are masked here, and were not there, are masked.
	"$BATS_TEST_DIRNAME/../lib/images.py" "$IMAGES/seccomp.img" 0 1= 1=x0a08060000000000ff7f1801
	"$BATS_TEST_DIRNAME/../lib/images.py" "$IMAGES/$mnt" 7=:/proc/keys gone
	"$BATS_TEST_DIRNAME/../lib/images.py" "$IMAGES/$mnt" 7=:/proc/sys gone
	for core in "$IMAGES"/core-*.img; do
		"$BATS_TEST_DIRNAME/../lib/images.py" "$core" 0 5.12=0
	done
	restore_run web
	CORE=b ask '{"id":1,"resume":{"name":"web"}}'
	lines=$(wc -l <"$TMP/b/state/logs/web/log")
	goes_on() { [ "$(wc -l <"$TMP/b/state/logs/web/log")" -gt "$((lines + 3))" ]; }
	retry goes_on
	if grep "F open$" "$TMP/b/state/logs/web/log"; then false; fi
	CORE=b run in_container web 'cat /proc/keys; grep " /proc/sys " /proc/mounts'
	[[ $output == "proc /proc/sys proc ro,"* ]]
}

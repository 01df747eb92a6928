#!/usr/bin/env bats
# The tar that CRIU finds first (runtime/tar): its archives are ordinary ones, it restores what it saved, leaves the rest to tar(1), and writes nowhere else.
load ../lib/common

setup() {
	common_setup
	OURS="$DAVIT_BUILD/libexec/criu/tar"
	mkdir -p "$TMP/in/folder/empty" "$TMP/out"
	echo text >"$TMP/in/folder/file"
	ln -s ../elsewhere "$TMP/in/folder/link"
	chmod 1777 "$TMP/in/folder"
	touch -d '2020-01-02 03:04:05' "$TMP/in/folder/file"
}
teardown() { common_teardown; }

create() { # FOLDER
	"$OURS" --create --gzip --no-unquote --no-wildcards --one-file-system --check-links --preserve-permissions --sparse --numeric-owner --directory "$1" .
}
extract() { # FOLDER
	"$OURS" --extract --gzip --no-unquote --no-wildcards --directory "$1"
}
listing() { (cd "$1" && find . -mindepth 1 -printf '%p %y %m %U:%G %s %l\n' | sed -E 's/( d [^ ]+ [^ ]+) [0-9]+/\1/' | sort); }
is_ours() { head -c 16 "$1" | grep -aq davit; }

@test "what it saves it restores: folders, files, links, modes, owners, times" {
	[ "$(id -u)" != 0 ] || chown 5:6 "$TMP/in/folder/file"
	create "$TMP/in" >"$TMP/archive"
	is_ours "$TMP/archive"
	extract "$TMP/out" <"$TMP/archive"
	diff <(listing "$TMP/in") <(listing "$TMP/out")
	[ "$(stat -c %Y "$TMP/out/folder/file")" = "$(stat -c %Y "$TMP/in/folder/file")" ]
}

@test "any tar reads its archives" {
	create "$TMP/in" >"$TMP/archive"
	tar -C "$TMP/out" -xzf "$TMP/archive"
	diff <(listing "$TMP/in") <(listing "$TMP/out")
}

@test "hard links, sockets, holes and long names are left to tar(1), and come back" {
	ln "$TMP/in/folder/file" "$TMP/in/second"
	truncate -s 10M "$TMP/in/holes"
	mkfifo "$TMP/in/fifo"
	touch "$TMP/in/$(printf 'n%.0s' $(seq 150))"
	create "$TMP/in" >"$TMP/archive"
	! is_ours "$TMP/archive" || false
	extract "$TMP/out" <"$TMP/archive"
	diff <(listing "$TMP/in") <(listing "$TMP/out")
	[ "$TMP/out/second" -ef "$TMP/out/folder/file" ]
}

@test "an archive that leads out of the folder is refused" {
	mkdir "$TMP/aim"
	python3 - "$TMP/archive" "$TMP/aim" <<-'PYTHON'
		import gzip, io, sys, tarfile, zlib, struct
		out = io.BytesIO()
		tar = tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT)
		link = tarfile.TarInfo("way"); link.type = tarfile.SYMTYPE; link.linkname = sys.argv[2]; tar.addfile(link)
		tar.addfile(tarfile.TarInfo("way/prey"), io.BytesIO(b""))
		tar.close()
		body = zlib.compressobj(1, zlib.DEFLATED, -15)
		raw = body.compress(out.getvalue()) + body.flush()
		head = b"\x1f\x8b\x08\x10" + bytes(6) + b"davit\0"
		open(sys.argv[1], "wb").write(head + raw + struct.pack("<II", zlib.crc32(out.getvalue()), len(out.getvalue())))
	PYTHON
	is_ours "$TMP/archive"
	run extract "$TMP/out" <"$TMP/archive"
	[ "$status" != 0 ]
	[ -z "$(ls "$TMP/aim")" ]
}

@test "a damaged archive of its own is refused" {
	create "$TMP/in" >"$TMP/archive"
	head -c 60 "$TMP/archive" >"$TMP/short"
	run extract "$TMP/out" <"$TMP/short"
	[ "$status" != 0 ]
}

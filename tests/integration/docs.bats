#!/usr/bin/env bats
# Pages that are made from tables are what the tables say, and what they name is there.
ROOT=$BATS_TEST_DIRNAME/../..
BUILD=${DAVIT_BUILD:-$ROOT/build}

@test "docs/ERRORS.md is what base/err.c says" {
	diff "$ROOT/docs/ERRORS.md" <("$BUILD/tools/errors")
}

@test "docs/openapi.json is what davitd says" {
	diff "$ROOT/docs/openapi.json" <("$BUILD/bin/davitd" --openapi)
}

@test "the routes in docs/API.md are those of docs/openapi.json" {
	diff <(sed -n '/^<!-- routes/,/^<!-- end of the routes/p' "$ROOT/docs/API.md" | sed '1d;$d') <("$ROOT/docs/routes.sh" --print)
}

@test "every link from one page to another leads to a file" {
	local page target bad=
	for page in "$ROOT"/README.md "$ROOT"/docs/*.md "$ROOT"/docs/*/*.md; do
		while read -r target; do
			[ -e "$(dirname "$page")/${target%%#*}" ] || bad+="$(basename "$page"): $target"$'\n'
		done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -vE '^(https?:|#)')
	done
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

@test "every source file that a page names, and every function that docs/ARCHITECTURE.md names, is there" {
	local name bad=
	while read -r name; do
		[ -e "$ROOT/$name" ] || compgen -G "$ROOT/$name" >/dev/null || bad+="$name"$'\n'
	done < <(grep -ohP '(?<![\w/.-])(base|proto|runtime|migrate|agent|tests|packaging)/[A-Za-z0-9_./*-]*[A-Za-z0-9_*]' "$ROOT"/docs/*.md "$ROOT"/docs/*/*.md "$ROOT/README.md" | sort -u)
	while read -r name; do
		grep -rqE "\b$name\(" "$ROOT"/{base,proto,runtime,migrate,agent} --include='*.[ch]' || bad+="$name()"$'\n'
	done < <(grep -ohE '\b[a-z_0-9]+\(\)' "$ROOT/docs/ARCHITECTURE.md" | tr -d '()' | sort -u)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

@test "every program says how it is used" {
	local program
	for program in davit davitd davit-runtime davit-monitor; do
		"$BUILD/bin/$program" --help | grep -qi '^usage: '"$program"
	done
}

@test "every defence and every test that docs/ISOLATION.md names is there, and every function in docs/demos" {
	local page=$ROOT/docs/ISOLATION.md file name bad=
	# `file`: `function()`, `function()`
	while IFS=: read -r file name; do
		grep -qE "^[A-Za-z_].*\b$name\(" "$ROOT/$file" || bad+="$file: $name()"$'\n'
	done < <(grep -ohE '`[a-z/_0-9]+\.c`: `[a-z_0-9]+\(\)`(, `[a-z_0-9]+\(\)`)*' "$page" "$ROOT"/docs/demos/*.md | awk -F'`' '{ for (i = 4; i <= NF; i += 2) { sub(/\(\)/, "", $i); print $2 ":" $i } }')
	# `file.bats`: how the test's name begins
	while IFS=: read -r file name; do
		grep -qF -- "@test \"${name# }" "$ROOT"/tests/*/"$file" || bad+="$file: $name"$'\n'
	done < <(grep -ohE '`[a-z_]+\.bats`: [^;|]+' "$page" | tr -d '`' | sed 's/ *$//')
	[ -z "$bad" ] || { echo "$bad"; return 1; }
	[ "$(grep -cE '^\| .*`[a-z_]+\.bats`: ' "$page")" -ge 30 ]
}

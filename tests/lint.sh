#!/bin/bash
# Checks what a reader should not have to: shell scripts, format of C, the one direction of includes, sizes of files and functions.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
problem() { printf '%s\n' "$*"; bad=1; }

mapfile -t shells < <(git ls-files -z | xargs -0 grep -lE '^#!.*\b(ba)?sh$' -- 2>/dev/null)
shellcheck -x "${shells[@]}" || bad=1

mapfile -t sources < <(git ls-files '*.c' '*.h')
clang-format --dry-run -Werror "${sources[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c | head -20
[ "${PIPESTATUS[0]}" = 0 ] || problem "format: run make fmt"

# A folder includes headers from its left only: base, proto, runtime, migrate, agent. agent and migrate know the runtime by its messages alone.
forbid() { # FOLDER PATTERN
	if grep -rnE "#include \"($2)/" "$1" --include='*.[ch]'; then problem "$1/ includes from $2"; fi
}
forbid base 'proto|runtime|migrate|agent'
forbid proto 'runtime|migrate|agent'
forbid runtime 'migrate|agent'
forbid migrate 'runtime|agent'
forbid agent 'runtime'
if grep -rnE '#include ".*\.pb-c\.h"' base --include='*.[ch]'; then problem "base/ includes a schema"; fi

for f in "${sources[@]}"; do
	lines=$(wc -l <"$f")
	[ "$lines" -le 500 ] || problem "$f: $lines lines; a file that needs sections wants to be two files"
done
# Functions: from a line that starts a body to its closing brace in the first column.
awk 'FNR == 1 { start = 0 } /^\{$/ { start = FNR } /^\}$/ && start { if (FNR - start > 90) { printf "%s:%d: function of %d lines\n", FILENAME, start, FNR - start; n++ } start = 0 } END { exit n > 0 }' \
	"${sources[@]}" || bad=1
[ $bad = 0 ] && echo "lint: clean"
exit $bad

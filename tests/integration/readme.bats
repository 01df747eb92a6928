#!/usr/bin/env bats
# The README's first session works as it stands there.
load ../lib/common
load ../lib/agent

setup_file() {
	command -v redis-server >/dev/null || skip "redis-server is not installed"
	agent_up
}
teardown_file() { agent_down; }

@test "every command of the README's first session does what the README shows" {
	local line command='' shown='' n=0
	check() { # runs the command before; what it shows in one word, it has to print
		[ -n "$command" ] || return 0
		run bash -c "cd '$BATS_TEST_DIRNAME/../..' && PATH='$BIN:$PATH' && $command" 3>&-
		[ "$status" = 0 ] || { echo "$command: $output"; return 1; }
		[[ $shown == *[![:alnum:]]* || $output == "$shown" ]] || { echo "$command: $output, not $shown"; return 1; }
		n=$((n + 1))
	}
	while IFS= read -r line; do
		if [[ $line == '# '* ]]; then
			check
			command=${line#\# } shown=
			[[ $command != 'davitd &' ]] || command=
			command=${command//\/tmp\/redis.tar/$AGENT/redis.tar}
		else
			shown+=$line
		fi
	done < <(sed -n '/^## A first session/,/^```$/p' "$BATS_TEST_DIRNAME/../../README.md" | sed '1,/^```console/d;/^```$/d')
	check
	[ "$n" -ge 12 ]
	[ -z "$(davit ps --all --quiet)" ]
}

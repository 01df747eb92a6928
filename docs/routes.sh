#!/bin/bash
# Writes the table of routes in docs/API.md (between its two comments) from docs/openapi.json: `make docs`. With --print: only prints the table.
set -eu
cd "$(dirname "$0")"
table() {
	echo '| request | role | body | answer | |'
	echo '|---|---|---|---|---|'
	jq -r 'def type: (."application/json".schema."$ref" // "" | sub(".*/"; "")) as $t | if $t != "" then "`" + $t + "`" else keys[0] // "" end;
		.paths | to_entries[] | .key as $path | .value | to_entries[] | .key as $method | .value |
		([.parameters[] | select(.in == "query") | .name] | join(", ")) as $query |
		(if any(.parameters[]; .name == "Idempotency-Key") then " ⚷" else "" end) as $key |
		(.responses | to_entries[0]) as $answer |
		"| `\($method | ascii_upcase) \($path)`\($key) | \(."x-role") | \(.requestBody.content // {} | type) | \($answer.key) \($answer.value.content // {} | type) | \(.summary)\(if $query != "" then " (query: \($query))" else "" end) |"' openapi.json
}
if [ "${1:-}" = --print ]; then
	table
	exit
fi
rows=$(table)
awk -v rows="$rows" '/^<!-- end of the routes/ { skip = 0 } !skip { print } /^<!-- routes/ { print rows; skip = 1 }' API.md >API.md.new
mv API.md.new API.md

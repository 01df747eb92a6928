#!/usr/bin/env bats
# Bad input, as a table: each line is refused with its code and field, and leaves nothing.
load ../lib/common
load ../lib/agent

setup_file() { agent_up; }
teardown_file() { agent_down; }

# refused CODE FIELD BODY: POST /v1/containers answers 4xx with this code and field
refused() {
	local answer status
	answer=$(api POST /v1/containers -w '\n%{http_code}' -d "$3")
	status=${answer##*$'\n'} answer=${answer%$'\n'*}
	[[ $status == 4?? && $(jq -r '.code + " " + (.field // "")' <<<"$answer") == "$1 $2" && $(jq -r .detail <<<"$answer" | wc -l) = 1 ]] ||
		{ echo "wanted $1 $2 of $3, got $status $answer"; return 1; }
}
# spec MEMBERS: a request that is in order but for these
spec() { echo "{\"spec\": {\"name\": \"bad\", \"image\": \"base\", \"process\": {\"args\": [\"/bin/true\"]}, $1}}"; }
process() { echo "{\"spec\": {\"name\": \"bad\", \"image\": \"base\", \"process\": {\"args\": [\"/bin/true\"], $1}}}"; }
# fails STATUS TEXT COMMAND…: ends with this status and one line that has this text
fails() {
	local want=$1 text=$2
	shift 2
	run "$@" 3>&-
	[[ $status = "$want" && ${#lines[@]} = 1 && $output == *"$text"* ]] || { echo "wanted $want $text of $*, got $status $output"; return 1; }
}
nothing_is_left() {
	[ "$(api GET /v1/containers | jq '.containers // [] | length')" = 0 ]
	[ -z "$(ls "$AGENT/state/containers")" ]
	[ ! -e "$AGENT/run/runtime/bad" ]
}

@test "a spec that is malformed anywhere is refused with the field that is wrong" {
	refused invalid 'spec.mounts[0].source' "$(spec '"mounts": [{"type": "bind", "source": "/tmp/../etc", "target": "/x"}]')"
	refused invalid 'spec.mounts[0].target' "$(spec '"mounts": [{"type": "tmpfs", "target": "/proc/x"}]')"
	refused invalid 'spec.mounts[0].target' "$(spec '"mounts": [{"type": "tmpfs", "target": "../x"}]')"
	refused invalid 'spec.mounts[0].type' "$(spec '"mounts": [{"type": "nfs", "target": "/x"}]')"
	refused invalid 'spec.mounts[0].options' "$(spec '"mounts": [{"type": "tmpfs", "target": "/x", "options": ["suid"]}]')"
	refused invalid 'spec.capAdd[0]' "$(spec '"capAdd": ["CAP_NONE"]')"
	refused invalid 'spec.sysctls[0]' "$(spec '"sysctls": [{"key": "net/../kernel", "value": "x"}]')"
	refused invalid spec.hostname "$(spec '"hostname": "a\nb"')"
	refused invalid spec.limits.memoryBytes "$(spec '"limits": {"memoryBytes": 1}')"
	refused invalid spec.limits.memoryBytes "$(spec '"limits": {"memoryBytes": -1}')"
	refused invalid spec.limits.memoryBytes "$(spec '"limits": {"memoryBytes": "1m"}')"
	refused invalid spec.limits.pids "$(spec '"limits": {"pids": 0}')"
	refused invalid 'spec.rlimits[0].type' "$(spec '"rlimits": [{"type": "RLIMIT_NICE", "soft": 1, "hard": 1}]')"
	refused invalid spec.stopSignal "$(spec '"stopSignal": "SIGX"')"
	refused invalid spec.oomScoreAdj "$(spec '"oomScoreAdj": -1000')"
	refused invalid spec.logMaxBytes "$(spec '"logMaxBytes": 1')"
	refused invalid 'spec.attachments[0].address' "$(spec '"attachments": [{"network": "lan", "address": "1.2.3.4/24"}]')"
	refused invalid 'spec.attachments[0].mac' "$(spec '"attachments": [{"network": "lan", "mac": "zz"}]')"
	refused invalid 'spec.attachments[0].ports' "$(spec '"attachments": [{"network": "lan", "ports": [{"hostPort": 8080, "containerPort": 99999}]}]')"
	refused invalid spec.process "$(process '"cwd": "../x"')"
	refused invalid spec.process "$(process '"env": ["x"]')"
	refused invalid spec.process "$(process '"additionalGids": [70000]')"
	nothing_is_left
}

@test "what the host's policy does not give is denied with the member of policy.json that would" {
	refused denied 'spec.mounts[0].source' "$(spec '"mounts": [{"type": "bind", "source": "/etc", "target": "/x"}]')"
	refused denied 'spec.capAdd[0]' "$(spec '"capAdd": ["CAP_SYS_ADMIN"]')"
	refused denied spec.hostUserNamespace "$(spec '"hostUserNamespace": true')"
	refused denied spec.hostClocks "$(spec '"hostClocks": true')"
	refused denied spec.allowNewPrivileges "$(spec '"allowNewPrivileges": true')"
	refused denied spec.seccomp "$(spec '"seccomp": "unconfined"')"
	refused denied spec.networkMode "$(spec '"networkMode": "host"')"
	refused denied 'spec.sysctls[0]' "$(spec '"sysctls": [{"key": "kernel.core_pattern", "value": "|/x"}]')"
	refused denied 'spec.devices[0].path' "$(spec '"devices": [{"path": "/dev/kmsg"}]')"
	refused denied spec.seccompSupervisor "$(spec '"seccompSupervisor": {"mknod": ["c 1:3"]}')"
	refused denied spec.apparmorProfile "$(spec '"apparmorProfile": "unconfined"')"
	[[ $(api POST /v1/containers -d "$(spec '"networkMode": "host"')" | jq -r .remedy) == *'"hostNetwork" in policy.json'* ]]
	nothing_is_left
}

@test "text that is no JSON is refused with line and column" {
	refused invalid '' '[]'
	refused invalid '' '{"spec": {}, "spec": {}}'
	refused invalid '' '{"spec": {"name": "a\u0000b"}}'
	refused invalid '' "$(printf '{"spec": {"name": "\xff"}}')"
	refused invalid '' "$(spec '"limits": {"pids": 1e400}')"
	refused limit '' "$(printf '{"spec":%.0s' {1..2000})"
	[[ $(api POST /v1/containers -d '{"spec": ' | jq -r .detail) == *"line 1, column "* ]]
	nothing_is_left
}

@test "a list longer than the description allows is refused" {
	local many
	many=$(jq -cn '[range(300) | {type: "tmpfs", target: "/m\(.)"}]')
	refused limit spec.mounts "$(spec "\"mounts\": $many")"
	[ "$("$BIN/davitd" --openapi | jq .components.schemas.ContainerSpec.properties.mounts.maxItems)" = 256 ]
	nothing_is_left
}

@test "requests that are no HTTP are refused or closed, and davitd goes on" {
	run python3 "$BATS_TEST_DIRNAME/../lib/http.py" malformed "$AGENT/run/davit.sock"
	echo "$output"
	[ "$status" = 0 ]
	[ "$(api GET /healthz)" = ok ]
}

@test "archives that lead out of the image, are cut short or are none leave neither file nor image" {
	"$BATS_TEST_DIRNAME/../lib/evil_tar.py" "$AGENT"
	head -c 100000 "$AGENT/base.tar" >"$AGENT/short.tar"
	head -c 10000 /dev/urandom >"$AGENT/noise.tar"
	: >"$AGENT/empty.tar"
	local n
	for n in dotdot absolute symlink relative hardlink hardlink_up huge short noise empty; do
		fails 64 "image evil" "$BIN/davit" image import evil "$AGENT/$n.tar"
	done
	[ ! -e "$AGENT/escaped" ]
	[ "$(api GET /v1/images | jq -c '[.images[].name]')" = '["base"]' ]
	[ "$(ls "$AGENT/state/images")" = base ]
}

@test "davit refuses bad options with the option's name and status 64" {
	fails 64 "--name: " "$BIN/davit" run --name a/b --image base -- /bin/true
	fails 64 "--memory: " "$BIN/davit" run --name bad --image base --memory x -- /bin/true
	fails 64 "--cpus: " "$BIN/davit" run --name bad --image base --cpus -1 -- /bin/true
	fails 64 "--publish: " "$BIN/davit" run --name bad --image base --publish 99999:1 -- /bin/true
	fails 64 'no command "nosuch"' "$BIN/davit" nosuch
	fails 64 "--nosuch: " "$BIN/davit" run --nosuch
	fails 64 "--host: " "$BIN/davit" --host ftp://x ps
	fails 74 "no agent answers" "$BIN/davit" --host unix:///nonexistent ps
	fails 66 "no container none" "$BIN/davit" migrate none nowhere
	fails 66 "no snapshot none" "$BIN/davit" snapshot restore none
	fails 66 "/nonexistent" "$BIN/davit" image import bad /nonexistent
	nothing_is_left
}

@test "a malformed configuration is refused with the member and status 64, before anything is made" {
	local conf=$AGENT/bad.json
	member() { # TEXT-OF-THE-MESSAGE CONFIG
		echo "$2" >"$conf"
		fails 64 "$1" "$BIN/davitd" --check-config --config "$conf"
	}
	member lissten '{"lissten": "x"}'
	member idsStart '{"idsStart": "a"}'
	member idsStart '{"idsStart": 0}'
	member idsCount '{"idsStart": 4294967295}'
	member tlsCert '{"listen": "127.0.0.1:1"}'
	member maxBodyBytes '{"maxBodyBytes": 0}'
	member maxOperations '{"maxOperations": 0}'
	member stateDir '{"stateDir": "relative"}'
	member cgroupParent '{"cgroupParent": "../x"}'
	member cgroupParent '{"cgroupParent": "/"}'
	member advertiseUrl '{"advertiseUrl": "http://x"}'
	member 'peers[0].url' '{"peers": [{"name": "x"}]}'
	member 'networks[0].bridge' '{"networks": [{"name": "a", "bridge": "longer-than-fifteen", "subnet": "10.0.0.0/24"}]}'
	member 'networks[0].gateway' '{"networks": [{"name": "a", "bridge": "b", "subnet": "10.0.0.0/24", "gateway": "1.1.1.1"}]}'
	fails 66 "name the configuration with --config" "$BIN/davitd" --config /nonexistent
}

# signed NAME OPTION…: a certificate of our CA with an operator's subject
signed() {
	local name=$1
	shift
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$AGENT/$name.key" -subj "/OU=operator/CN=$name" -out "$AGENT/$name.csr" 2>/dev/null
	openssl x509 -req -in "$AGENT/$name.csr" "$@" -CAcreateserial -out "$AGENT/$name.crt" 2>/dev/null
}

@test "certificates that are expired, for servers only, or signed by another's certificate get no answer" {
	local name body ca=(-CA "$AGENT/ca.crt" -CAkey "$AGENT/ca.key")
	signed expired "${ca[@]}" -days -1
	signed server "${ca[@]}" -days 2 -extfile <(echo extendedKeyUsage=serverAuth)
	signed leaf -CA "$AGENT/peer.crt" -CAkey "$AGENT/peer.key" -days 2
	cat "$AGENT/peer.crt" >>"$AGENT/leaf.crt"
	signed good "${ca[@]}" -days 2
	[ "$(remote good GET /healthz)" = ok ]
	for name in expired server leaf; do
		body=$(remote "$name" GET /healthz 2>/dev/null) && { echo "$name was let in"; return 1; }
		[ -z "$body" ]
	done
}

@test "a certificate that gives no role is told which it needs" {
	[ "$(remote nobody GET /v1/containers | jq -r '.code + ": " + .remedy')" = "denied: issue it with OU=reader, OU=operator or OU=peer in its subject" ]
}

@test "a snapshot whose chunks were changed is refused as corrupt and leaves nothing" {
	davit run --detach --name bad --image base -- /bin/sh -c 'head -c 300000 /dev/urandom >/data/noise; exec sleep 1000' >/dev/null
	local id chunk
	davit snapshot create bad >/dev/null
	id=$(davit snapshot list bad --json | jq -r '.snapshots[-1].id')
	davit rm --force bad >/dev/null
	find "$AGENT/state/agent/snapshots" -type f -size +4k | while read -r chunk; do printf 'XXXX' | dd of="$chunk" bs=1 seek=100 conv=notrunc 2>/dev/null; done
	fails 84 "" "$BIN/davit" snapshot restore "$id" --name bad
	nothing_is_left
}

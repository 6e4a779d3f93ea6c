#!/usr/bin/env bash
# The compose cluster: built, started, produced to while a node is killed, killed whole, and read back. Everything that was
# acknowledged must be there once; klamm verify then does the same with more clients and faults. Wants a running engine, Compose (v2 or
# 1.29), kcat, and a binary to put into the image: KLAMM_BIN (default: the release build). Its project and volumes are its own and are
# removed at the end.
set -uo pipefail
cd "$(dirname "$0")/../.."
KLAMM_BIN=${KLAMM_BIN:-${CARGO_TARGET_DIR:-target}/release/klamm}
BOOTSTRAP=127.0.0.1:19092,127.0.0.1:29092,127.0.0.1:39092
# Debian's docker client has BuildKit built in; one that lacks it may stand before it in the PATH.
[ -x /usr/bin/docker ] && PATH=/usr/bin:$PATH
export COMPOSE_PROJECT_NAME=klamm-compat BIN_FROM=prebuilt DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
compose=(docker-compose)
docker compose version >/dev/null 2>&1 && compose=(docker compose)
work=$(mktemp -d)
topic=compose
passed=0 failed=0

finish() {
  "${compose[@]}" down -v --remove-orphans >/dev/null 2>&1
  rm -rf "$work"
}
trap finish EXIT

check() { # check NAME COMMAND..
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
    echo "ok compose: $name ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1))
    echo "FAIL compose: $name"
    tail -n 40 "$work/out"
    "${compose[@]}" ps
    "${compose[@]}" logs --tail=40
    result
  fi
}

# What follows a failure would only repeat it.
result() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

container() { "${compose[@]}" ps -q "$1"; }
health() { docker inspect -f '{{.State.Health.Status}}' "$(container "$1")"; }

healthy() { # healthy NODE..: within a minute
  local n
  for n in "$@"; do
    for _ in $(seq 120); do
      [ "$(health "$n")" = healthy ] && continue 2
      sleep 0.5
    done
    echo "$n is $(health "$n")"
    return 1
  done
}

build() {
  mkdir -p dist && cp "$KLAMM_BIN" dist/klamm && bash deploy/docker/import-base-images.sh && "${compose[@]}" build
}
# The published ports of node 3 lie where the kernel picks those of outgoing connections: whoever had one at that moment would
# make the start fail. Kept free from here on, and waited for.
sysctl -qw net.ipv4.ip_local_reserved_ports=39092,39644 2>/dev/null
for _ in $(seq 120); do
  ss -Htan 'sport = :39092 or sport = :39644' 2>/dev/null | grep -q . || break
  sleep 0.5
done

up() { "${compose[@]}" up -d && healthy n1 n2 n3; }
kc() { timeout 90 kcat -b "$BOOTSTRAP" -m 30 -X topic.metadata.refresh.interval.ms=1000 "$@"; }

# kcat ends with an error if one record wasn't acknowledged, so the numbers that count are those of the ranges that passed.
produce() { seq "$1" "$2" | kc -P -t $topic -X acks=all -X enable.idempotence=true -X message.timeout.ms=60000; }

produce_while_killing() { # node n2 dies while records 1001 to 3000 are on their way
  (for from in $(seq 1001 200 2801); do produce "$from" $((from + 199)) || exit 1; done) &
  local producer=$!
  sleep 0.3
  docker kill -s KILL "$(container n2)" && wait $producer
}

everything_is_there() { # everything_is_there LAST
  kc -C -t $topic -o beginning -e -q >"$work/read" || return
  diff <(seq "$1") <(sort -n "$work/read") | head -n 20
  [ "$(sort -n "$work/read" | uniq | wc -l)" = "$1" ] && [ "$(wc -l <"$work/read")" = "$1" ]
}

verify() { # a kill, a shutdown and a freeze, whom chance hits; exit code 0 only if every promise was kept
  "$KLAMM_BIN" verify -b "$BOOTSTRAP" --compose docker-compose.yml --chaos kill,stop,pause --faults 3 --every 1s --seed 3 \
    --rate 1000 --out "$work/verify"
}

script() { # as scripts for Kafka's image call its tools
  docker exec "$(container n1)" kafka-topics.sh --bootstrap-server n1:9092 --describe --topic $topic >"$work/described" &&
    grep -q "^Topic: $topic.*PartitionCount:" "$work/described" &&
    [ "$(docker exec "$(container n1)" kafka-get-offsets --bootstrap-server n1:9092 --topic $topic | awk -F: '{ sum += $3 } END { print sum }')" = "$1" ]
}

back() { docker start "$(container n2)" && healthy n2; }
kill_all() {
  docker kill -s KILL "$(container n1)" "$(container n2)" "$(container n3)" &&
    docker start "$(container n1)" "$(container n2)" "$(container n3)" && healthy n1 n2 n3
}
stop() { # controlled shutdown, exit code 0
  "${compose[@]}" stop && [ "$(docker inspect -f '{{.State.ExitCode}}' "$(container n1)" "$(container n2)" "$(container n3)" | sort -u)" = 0 ]
}

"${compose[@]}" down -v --remove-orphans >/dev/null 2>&1
check 'the image is built' build
check 'three nodes become healthy' up
check 'records are produced' produce 1 1000
check 'records are produced while a node is killed' produce_while_killing
check 'everything is there without the node' everything_is_there 3000
check 'the node comes back' back
check 'all nodes are killed at once and come back' kill_all
check 'everything is there afterwards' everything_is_there 3000
check 'further records are produced' produce 3001 4000
check 'everything is there at the end' everything_is_there 4000
check 'the image has the tools of Kafka that scripts call' script 4000
check 'klamm verify finds nothing lost' verify
check 'all nodes stop cleanly' stop
result

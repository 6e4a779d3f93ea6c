#!/usr/bin/env bash
# kcat, the librdkafka command line that Debian ships. Wants BOOTSTRAP and WORK.
set -uo pipefail
. "$(dirname "$0")/check.sh"
run=kcat-$$
kc() { timeout 60 kcat -b "$BOOTSTRAP" -m 30 -X topic.metadata.refresh.interval.ms=1000 "$@"; }

metadata() { [ "$(kc -L | grep -c '^  broker ')" = 3 ]; }

# kcat doesn't create topics itself: the first metadata request for one does (auto.create.topics.enable).
round_trip() { # round_trip CODEC: 2000 keyed records there and back, unchanged
  local topic=$run-$1
  seq 2000 | sed 's/.*/k&:value &/' >"$WORK/$topic.in"
  kc -P -t "$topic" -K: -z "$1" -X acks=all -X enable.idempotence=true -l "$WORK/$topic.in" || return
  kc -C -t "$topic" -o beginning -e -q -K: -X check.crcs=true | sort >"$WORK/$topic.out"
  diff <(sort "$WORK/$topic.in") "$WORK/$topic.out"
}

acks() { # acks=0 and acks=1, read back
  local topic=$run-acks$1
  seq 100 | kc -P -t "$topic" -X acks="$1" || return
  for _ in $(seq 20); do
    [ "$(kc -C -t "$topic" -o beginning -e -q | wc -l)" = 100 ] && return
    sleep 0.2
  done
  return 1
}

headers_and_offsets() {
  local topic=$run-headers
  echo v | kc -P -t "$topic" -p 0 -k key -H one=1 -H two=2 || return
  [ "$(kc -C -t "$topic" -p 0 -o 0 -c 1 -q -f '%k %s %h %o %p')" = "key v one=1,two=2 0 0" ]
}

tombstone() {
  local topic=$run-null
  echo 'key:' | kc -P -t "$topic" -p 0 -K: -Z || return
  [ "$(kc -C -t "$topic" -p 0 -o 0 -c 1 -q -f '%k %S')" = "key -1" ]
}

by_timestamp() { # ListOffsets by time: the first record at or after it
  local topic=$run-time now
  echo early | kc -P -t "$topic" -p 0 || return
  sleep 1.1
  now=$(date +%s%3N)
  echo late | kc -P -t "$topic" -p 0 || return
  [ "$(kc -C -t "$topic" -p 0 -o "s@$now" -e -q)" = late ]
}

group() { # a second run of the same group goes on where the first has committed
  local topic=$run-group
  seq 300 | kc -P -t "$topic" -X acks=all || return
  kc -G "$run" -c 100 -q -X auto.offset.reset=earliest "$topic" >"$WORK/$topic.a" || return
  kc -G "$run" -c 200 -q -X auto.offset.reset=earliest "$topic" >"$WORK/$topic.b" || return
  diff <(seq 300) <(sort -n "$WORK/$topic.a" "$WORK/$topic.b")
}

large() { # 900 kB, just below message.max.bytes
  local topic=$run-large
  head -c 675000 /dev/urandom | base64 -w0 >"$WORK/$topic.in"
  kc -P -t "$topic" -p 0 -X message.max.bytes=1000000 "$WORK/$topic.in" || return
  kc -C -t "$topic" -p 0 -o 0 -c 1 -q -f '%s' | cmp - "$WORK/$topic.in"
}

check 'metadata lists three brokers' metadata
for codec in none gzip snappy lz4 zstd; do check "round trip with $codec" round_trip $codec; done
check 'acks=0' acks 0
check 'acks=1' acks 1
check 'headers, key and offset' headers_and_offsets
check 'a null value' tombstone
check 'offset by timestamp' by_timestamp
check 'a group goes on from its commit' group
check 'a record of 900 kB' large
finish_part

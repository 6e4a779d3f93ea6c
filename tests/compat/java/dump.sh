#!/usr/bin/env bash
# kafka.tools' DumpLogSegments reads what the brokers have written: every batch valid, offset and time indexes that fit,
# producer snapshots, and the group records of __consumer_offsets. Wants LOG_DIRS, and BOOTSTRAP to write something first.
set -uo pipefail
. "$(dirname "$0")/../check.sh"
. "$(dirname "$0")/jars.sh"
jars tools "$TOOLS_VERSION" tools >/dev/null || exit
topic=dump-$$

# Small segments and a dense index, so that there is something of everything.
fill() {
  tool TopicCommand --bootstrap-server "$BOOTSTRAP" --create --topic "$topic" --partitions 1 --replication-factor 3 \
    --config segment.bytes=1048576 --config index.interval.bytes=1024 || return
  seq -f 'value %.0f ......................................................................' 60000 >"$WORK/dump.in"
  timeout 60 kcat -b "$BOOTSTRAP" -P -t "$topic" -X acks=all -X enable.idempotence=true -X batch.size=8000 -l "$WORK/dump.in" || return
  timeout 60 kcat -G "$topic" -b "$BOOTSTRAP" -c 1000 -q -X auto.offset.reset=earliest "$topic" >/dev/null
}

# Ten thousand records with a key each, then a hundred keys in turn; waits until every replica's log is compacted but for its last segment.
fill_compacted() {
  tool TopicCommand --bootstrap-server "$BOOTSTRAP" --create --topic "$topic-compacted" --partitions 1 --replication-factor 3 \
    --config cleanup.policy=compact --config min.cleanable.dirty.ratio=0.01 --config segment.bytes=1048576 \
    --config index.interval.bytes=1024 || return
  seq 60000 | awk '{ printf "%d\t%060d\n", ($1 > 10000 ? $1 % 100 + 20000 : $1), $1 }' >"$WORK/compacted.in"
  timeout 60 kcat -b "$BOOTSTRAP" -P -t "$topic-compacted" -K '\t' -X acks=all -X enable.idempotence=true -X batch.size=8000 -l "$WORK/compacted.in" || return
  for _ in $(seq 600); do
    [ "$(large_logs)" = 0 ] && return
    sleep 0.1
  done
  echo "$(large_logs) replicas weren't compacted within a minute"
  return 1
}
large_logs() { # replicas of the compacted topic with more than two segments and a half
  local folder
  # shellcheck disable=SC2086
  find $LOG_DIRS -maxdepth 1 -name "$topic-compacted-0" | while read -r folder; do
    cat "$folder"/*.log 2>/dev/null | wc -c
  done | awk '$1 > 2621440' | wc -l
}

# Files of one kind below every partition's folder, with commas.
files() { # files SUFFIX [PARTITION-PATTERN]
  # shellcheck disable=SC2086
  find $LOG_DIRS -path "*/${2:-*-[0-9]*}/*.$1" -size +0c -not -path '*/__cluster_metadata*' -not -name '*.deleted' | sort | paste -sd,
}

dump() { # dump WHAT FILES ARGUMENT..
  [ -n "$2" ] || { echo "no files of the kind $1"; return 1; }
  local some out=$WORK/dump-$1
  : >"$out"
  # The kernel takes no argument of more than 128 KiB.
  while read -r some; do
    tool DumpLogSegments --files "$some" "${@:3}" </dev/null >>"$out" 2>&1 || { tail -n 20 "$out"; return 1; }
  done < <(tr , '\n' <<<"$2" | xargs -n 500 | tr ' ' ,)
}

batches() { # every batch valid, and the 60000 records of each replica all there
  dump log "$(files log)" || return
  ! grep -nE 'isvalid: false|Exception|Found invalid|Non-secutive|Non-consecutive' "$WORK/dump-log" | head -n 20 | grep . || return
  dump records "$(files log "$topic-0")" --deep-iteration || return
  local count
  count=$(grep -c '^| offset' "$WORK/dump-records")
  echo "$count records in the replicas of $topic-0"
  [ "$count" = $((60000 * $(wc -w <<<"$LOG_DIRS"))) ]
}

# The tool prints 'Mismatches in :' and the like for an index that doesn't fit its log.
index() { # index SUFFIX
  dump "$1" "$(files "$1" "$topic-0")" --verify-index-only || return
  ! grep -nE 'Mismatches|Exception|not match|Found timestamp|Indexed offset' "$WORK/dump-$1" | head -n 20 | grep .
}

index_entries() { # entries, not only files
  dump entries "$(files index "$topic-0")" || return
  [ "$(grep -cE '^offset: [0-9]+ position: [0-9]+' "$WORK/dump-entries")" -gt 100 ]
}

# Every key's last record is in each replica, and none that was overwritten long ago.
compacted() {
  dump compacted "$(files log "$topic-compacted-0")" --deep-iteration --print-data-log || return
  ! grep -nE 'isvalid: false|Exception|Found invalid' "$WORK/dump-compacted" | head -n 20 | grep . || return
  local replicas kept gone
  replicas=$(wc -w <<<"$LOG_DIRS")
  kept=$(grep -cE 'payload: 0+([0-9]{1,4}|10000|599[0-9][1-9]|599[1-9]0|60000)$' "$WORK/dump-compacted")
  gone=$(grep -cE 'payload: 0+[23][0-9]{4}$' "$WORK/dump-compacted")
  echo "in $replicas replicas: $kept of the 10100 that are to be kept, $gone of twenty thousand that aren't"
  [ "$kept" = $((10100 * replicas)) ] && [ "$gone" = 0 ] || return
  dump compacted-index "$(files index "$topic-compacted-0")" --verify-index-only &&
    dump compacted-times "$(files timeindex "$topic-compacted-0")" --verify-index-only &&
    ! grep -nE 'Mismatches|Exception|not match|Found timestamp|Indexed offset' "$WORK/dump-compacted-index" "$WORK/dump-compacted-times" | head -n 20 | grep .
}

snapshots() {
  dump snapshot "$(files snapshot "$topic-0")" || return
  grep -q 'producerId: [0-9]* producerEpoch: 0' "$WORK/dump-snapshot" && ! grep -nE 'Exception|corrupt' "$WORK/dump-snapshot"
}

group_records() {
  dump offsets "$(files log '__consumer_offsets-*')" --offsets-decoder || return
  grep -q "$topic" "$WORK/dump-offsets" && ! grep -nE 'Exception|isvalid: false' "$WORK/dump-offsets"
}

check 'records for the dump' fill
check 'a compacted topic for the dump' fill_compacted
check 'log segments' batches
check 'compacted segments' compacted
check 'offset indexes' index index
check 'time indexes' index timeindex
check 'offset index entries' index_entries
check 'producer snapshots' snapshots
check 'group records' group_records
finish_part

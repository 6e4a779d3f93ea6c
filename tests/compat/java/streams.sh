#!/usr/bin/env bash
# Kafka Streams in processes of their own, of the current release, of the last one before 4.0, and of 2.8; then
# kafka-streams-application-reset. Wants BOOTSTRAP and WORK.
set -uo pipefail
. "$(dirname "$0")/../check.sh"
. "$(dirname "$0")/jars.sh"
versions=("$TOOLS_VERSION" 3.9.1 2.8.2)
application() { echo "streams-$1-$$"; }

# story VERSION: the lines of its checks in $WORK/streams-VERSION.lines.
story() {
  local folder=$WORK/streams-$1 jars hours=of-3.0 release=of-3.1
  jars=$(jars streams "$1" streams) || return
  [[ $1 != 2.* ]] || hours=of-2.8 release=of-2.8
  mkdir -p "$folder/classes"
  javac -nowarn -d "$folder/classes" -cp "$jars/*" "$java_folder/Clients.java" "$java_folder/$release/Release.java" \
    "$java_folder"/streams/*.java "$java_folder/streams/$hours/Hours.java" || return
  timeout 400 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$folder/classes:$jars/*" Streams "$BOOTSTRAP" "$(application "$1")" "$folder" >"$folder.lines"
}

reset() { # back to the beginning, and nothing left of what Streams has made
  local id
  id=$(application "$TOOLS_VERSION")
  tool StreamsResetter --bootstrap-server "$BOOTSTRAP" --application-id "$id" --input-topics "$id-lines,$id-kinds" --force || return
  tool consumer.group.ConsumerGroupCommand --bootstrap-server "$BOOTSTRAP" --describe --group "$id" >"$WORK/reset-group" 2>&1
  cat "$WORK/reset-group"
  [ "$(awk -v t="$id-lines" '$2 == t && $4 == 0' "$WORK/reset-group" | wc -l)" = 3 ] || return
  ! tool TopicCommand --bootstrap-server "$BOOTSTRAP" --list | grep -E "^$id-.*-(repartition|changelog)$"
}

# Downloads aren't part of the story, and Maven in two places at once is one too many.
for version in "${versions[@]}"; do jars streams "$version" streams >/dev/null || exit; done
jars tools "$TOOLS_VERSION" tools >/dev/null || exit
# Each waits more than it works: the coordinator misses a member after six seconds.
pids=()
for version in "${versions[@]}"; do
  story "$version" 2>"$WORK/streams-$version.err" &
  pids+=($!)
done
for at in "${!versions[@]}"; do
  version=${versions[$at]}
  if ! wait "${pids[$at]}"; then
    failures=$((failures + 1))
    echo "story of $version ended with an error"
    tail -n 40 "$WORK/streams-$version.err" "$WORK/streams-$version"/*.log
  fi
  [ ! -f "$WORK/streams-$version.lines" ] || sed -E "s/^(ok|FAIL) /\1 kafka-streams $version: /" "$WORK/streams-$version.lines"
done
check 'kafka-streams-application-reset' reset
finish_part

#!/usr/bin/env bash
# The Java producer, consumer and AdminClient, of the current release, of the last one before 4.0, and of 2.8. Wants BOOTSTRAP, METRICS and WORK.
set -uo pipefail
. "$(dirname "$0")/jars.sh"
result=0
for version in 4.4.0 3.9.1 2.8.2; do
  folder=$(jars clients "$version") || exit
  classes=$WORK/java-$version
  mkdir -p "$classes"
  programs=(Clients)
  [[ $version != 4.* ]] || programs+=(ConsumerProtocol)
  # Apache Kafka has no such pages.
  [[ $version != 4.* || -z $METRICS ]] || programs+=(Telemetry)
  release=of-3.1
  [[ $version != 2.* ]] || release=of-2.8
  sources=("${programs[@]/#/$java_folder/}")
  javac -nowarn -d "$classes" -cp "$folder/*" "$java_folder/$release/Release.java" "${sources[@]/%/.java}" || exit
  for program in "${programs[@]}"; do
    timeout 400 java -Xmx256m -XX:+UseSerialGC -cp "$classes:$folder/*" "$program" "$BOOTSTRAP" "$METRICS" \
      | sed -E "s/^(ok|FAIL) /\1 kafka-clients $version: /" || result=1
  done
done
exit $result

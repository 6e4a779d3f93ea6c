#!/usr/bin/env bash
# The Java producer, consumer and AdminClient, of the current release and of the last one before 4.0. Wants BOOTSTRAP and WORK.
set -uo pipefail
. "$(dirname "$0")/jars.sh"
result=0
for version in 4.4.0 3.9.1; do
  folder=$(jars clients "$version") || exit
  classes=$WORK/java-$version
  mkdir -p "$classes"
  javac -nowarn -d "$classes" -cp "$folder/*" "$java_folder/Clients.java" || exit
  timeout 400 java -Xmx256m -XX:+UseSerialGC -cp "$classes:$folder/*" Clients "$BOOTSTRAP" | sed -E "s/^(ok|FAIL) /\1 kafka-clients $version: /" || result=1
done
exit $result

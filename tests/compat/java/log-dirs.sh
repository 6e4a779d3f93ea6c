#!/usr/bin/env bash
# Replicas that move between data directories, on a cluster of its own whose brokers have two. Wants KLAMM_BIN and WORK.
set -uo pipefail
. "$(dirname "$0")/jars.sh"
. "$(dirname "$0")/../cluster.sh"
WORK=$WORK/log-dirs MORE_DIRS=1 METRICS=
mkdir -p "$WORK/classes"
folder=$(jars clients 4.4.0) || exit
javac -nowarn -d "$WORK/classes" -cp "$folder/*" "$java_folder/of-3.1/Release.java" "$java_folder/Clients.java" "$java_folder/LogDirs.java" || exit
trap stop_cluster EXIT
start_cluster || exit
timeout 200 java -Xmx256m -XX:+UseSerialGC -cp "$WORK/classes:$folder/*" LogDirs "$BOOTSTRAP"

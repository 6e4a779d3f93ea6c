#!/usr/bin/env bash
# run.sh [SCENARIO]   tells the same stories to three nodes of Apache Kafka and to three of Klamm, and compares the answers field by
#                     field; only those scenarios whose names begin with SCENARIO, if given. Both run on the same server.properties.
#
# KLAMM_BIN      the binary (default: the release build)
# COMPAT_HOME    where jars are kept between runs (default: ~/.cache/klamm-compat)
# Wants a JDK, Maven and 4 GB of memory. Differences that aren't in differences.txt are failures; the last line counts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export COMPAT_HOME=${COMPAT_HOME:-$HOME/.cache/klamm-compat} BROKER_VERSION=4.4.0
KLAMM_BIN=${KLAMM_BIN:-${CARGO_TARGET_DIR:-$here/../../../target}/release/klamm}
WORK=$(mktemp -d)
. "$here/../cluster.sh"
. "$here/../java/jars.sh"

finish() {
  stop_cluster
  bash "$here/../../chaos/kafka.sh" "$WORK/kafka" down || true
  [ -n "${KLAMM_KEEP:-}" ] && echo "kept: $WORK" || rm -rf "$WORK"
}
trap finish EXIT

clients=$(jars clients "$BROKER_VERSION")
mkdir "$WORK/classes"
javac -nowarn -d "$WORK/classes" -cp "$clients/*" "$here"/*.java
kafka=$(bash "$here/../../chaos/kafka.sh" "$WORK/kafka" up)

# The same files, with ports and folders of their own.
edits=(-e "s#$WORK/kafka/#$WORK/klamm/#g")
read -ra ports < <(free_ports 6)
next=0 klamm=""
for n in 1 2 3; do
  for old in $(sed -n "s#^listeners=PLAINTEXT://127.0.0.1:\([0-9]*\),CONTROLLER://127.0.0.1:\([0-9]*\)#\1 \2#p" "$WORK/kafka/$n.properties"); do
    edits+=(-e "s#:$old\b#:${ports[$next]}#g")
    [ $((next % 2)) = 1 ] || klamm+=${klamm:+,}127.0.0.1:${ports[$next]}
    next=$((next + 1))
  done
done
mkdir "$WORK/klamm"
for n in 1 2 3; do
  sed "${edits[@]}" "$WORK/kafka/$n.properties" >"$WORK/klamm/$n.properties"
  "$KLAMM_BIN" server "$WORK/klamm/$n.properties" >"$WORK/klamm/$n.log" 2>&1 </dev/null &
  node_pids+=($!)
done

for servers in "$kafka" "$klamm"; do
  java -Xmx256m -cp "$WORK/classes:$clients/*" Ready "$servers" || {
    tail -n 30 "$WORK"/k*/[123].log
    exit 1
  }
done
java -Xmx512m -Donly="${1:-}" -cp "$WORK/classes:$clients/*" Differ "$kafka" "$klamm" "$here/differences.txt" "$here"/scenarios/*.txt

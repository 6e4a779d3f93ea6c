#!/usr/bin/env bash
# run.sh [PART..]   real clients against three Klamm nodes. Default, in this order: kcat old python java tools side-by-side streams
#                   connect go node rust dump log-dirs
#
#   kcat      kcat: every codec, keys, groups              python   confluent-kafka 2.16 and 2.0, kafka-python, aiokafka
#   java      kafka-clients 4.4.0, 3.9.1 and 2.8.2        tools    kafka-topics, -console-producer, -console-consumer … 4.3.1
#   streams   Kafka Streams 4.3.1, 3.9.1 and 2.8.2        connect  Kafka Connect 4.3.1, standalone and distributed
#   go        franz-go, sarama, kafka-go                  node     kafkajs, @platformatic/kafka, kafka-javascript
#   side-by-side  Kafka's tools and Klamm's of the same names, with the same arguments: the same output
#   old       kcat's checks with librdkafka 1.9.2         rust     rskafka
#   dump      kafka.tools.DumpLogSegments over every segment, index and snapshot that the parts before left behind
#   log-dirs  replicas that move between data directories, on a cluster of its own
#
# KLAMM_BIN      the binary (default: the release build)
# BOOTSTRAP      a running cluster to use in its place; `dump` then wants its log directories in LOG_DIRS
# COMPAT_HOME    where clients are installed (default: ~/.cache/klamm-compat), kept between runs
# Wants kcat, python3 with venv, a JDK and Maven, Go, cargo, Node 20 with npm; where kafka-javascript's binary can't be had, a C++
# compiler and OpenSSL's headers, too. The last line counts the checks.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export COMPAT_HOME=${COMPAT_HOME:-$HOME/.cache/klamm-compat}
KLAMM_BIN=${KLAMM_BIN:-${CARGO_TARGET_DIR:-$here/../../target}/release/klamm}
WORK=$(mktemp -d)
export WORK
mkdir -p "$COMPAT_HOME"
. "$here/cluster.sh"
passed=0 failed=0

finish() {
  stop_cluster
  [ -n "${KLAMM_KEEP:-}" ] && echo "kept: $WORK" || rm -rf "$WORK"
}
trap finish EXIT

# A part prints 'ok NAME' and 'FAIL NAME' lines; breaking off is a failure of its own.
part() {
  local name=$1 start=$SECONDS status bad
  shift
  "$@" >"$WORK/$name.out" 2>"$WORK/$name.err"
  status=$?
  grep -E '^(ok|FAIL) ' "$WORK/$name.out" | sed "s/^[a-zA-Z]* /&$name: /"
  passed=$((passed + $(grep -c '^ok ' "$WORK/$name.out")))
  bad=$(grep -c '^FAIL ' "$WORK/$name.out")
  if [ "$status" -ne 0 ] || [ "$bad" -gt 0 ]; then
    [ "$bad" -gt 0 ] || { bad=1; echo "FAIL $name: ended with exit code $status"; }
    tail -n 40 "$WORK/$name.out" "$WORK/$name.err"
  fi
  failed=$((failed + bad))
  echo "-- $name: $((SECONDS - start)) s"
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(kcat old python java tools side-by-side streams connect go node rust dump log-dirs)
if [ -z "${BOOTSTRAP:-}" ]; then
  [ -x "$KLAMM_BIN" ] || { echo "no binary at $KLAMM_BIN: cargo build --release"; exit 2; }
  start_cluster || exit 1
  LOG_DIRS="$WORK/1/data $WORK/2/data $WORK/3/data"
fi
export KLAMM_BIN BOOTSTRAP METRICS=${METRICS:-} LOG_DIRS=${LOG_DIRS:-}
for name in "${parts[@]}"; do
  case $name in
    kcat) part kcat bash "$here/kcat.sh" ;;
    old) part old bash "$here/kcat-old.sh" ;;
    python) part python bash "$here/python/run.sh" ;;
    java) part java bash "$here/java/run.sh" ;;
    tools) part tools bash "$here/java/tools.sh" ;;
    side-by-side) part side-by-side bash "$here/tools-side-by-side.sh" ;;
    streams) part streams bash "$here/java/streams.sh" ;;
    connect) part connect bash "$here/connect/run.sh" ;;
    go) part go bash "$here/go/run.sh" ;;
    node) part node bash "$here/node/run.sh" ;;
    rust) part rust bash "$here/rust/run.sh" ;;
    log-dirs) part log-dirs bash "$here/java/log-dirs.sh" ;;
    dump) part dump bash "$here/java/dump.sh" ;;
    *) echo "no part $name" && exit 2 ;;
  esac
done
[ "$failed" -eq 0 ] || [ ${#node_pids[@]} -eq 0 ] || cluster_logs
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

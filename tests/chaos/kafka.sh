#!/usr/bin/env bash
# kafka.sh FOLDER up              three nodes of Apache Kafka, broker and controller each, on free loopback ports; prints the
#                                 bootstrap servers when all serve
# kafka.sh FOLDER kill|stop|start|pause|resume NODE
# kafka.sh FOLDER down            ends all of them
# kafka.sh FOLDER java            prints java's arguments for Kafka's classes, one a line: for nodes that somebody else starts
# BROKER_VERSION takes another release, without Kafka's tools.
# Data, logs and process numbers are in FOLDER, the jars in ~/.cache/klamm-compat (COMPAT_HOME). Wants a JDK and Maven.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 2 ] || { sed -n 2,8p "$0"; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd) action=$2 node=${3:-}
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
version=${BROKER_VERSION:-$version}
jars=${COMPAT_HOME:-$HOME/.cache/klamm-compat}/kafka-$version
# Kafka's own options of a broker (kafka-server-start.sh, kafka-run-class.sh).
java_options=(-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
  -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true)

pid() { cat "$folder/$1.pid" 2>/dev/null; }
# Only while it is the process that was started: its command line names this folder.
alive() { [ -n "$(pid "$1")" ] && kill -0 "$(pid "$1")" 2>/dev/null && grep -qz "$folder/$1.properties" "/proc/$(pid "$1")/cmdline"; }
gone() { # gone NODE SECONDS
  for _ in $(seq $(($2 * 10))); do alive "$1" || return 0; sleep 0.1; done
  return 1
}

free_port() { # below the ephemeral range; PORTS are taken already
  local port
  while :; do
    port=$((15000 + RANDOM % 17000))
    case " ${ports[*]:-} " in *" $port "*) continue ;; esac
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

write_properties() { # write_properties NODE CLIENT_PORT CONTROLLER_PORT VOTERS
  cat >"$folder/$1.properties" <<X
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$4
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/$1
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
log.retention.hours=168
log.roll.hours=168
X
}

fetch_jars() {
  cmp -s "$here/pom.xml" "$jars/.complete" && return
  mvn -B -q -f "$here/pom.xml" ${BROKER_VERSION:+"-Dkafka.version=$BROKER_VERSION" -Dbroker.only} dependency:copy-dependencies "-DoutputDirectory=$jars" >&2
  cp "$here/pom.xml" "$jars/.complete"
}

start() {
  setsid nohup java "${java_options[@]}" -Dkafka.logfile="$folder/$1.log" -Dlog4j2.configurationFile="$here/log4j2.properties" \
    -cp "$jars/*" kafka.Kafka "$folder/$1.properties" >"$folder/$1.out" 2>&1 </dev/null &
  echo $! >"$folder/$1.pid"
}

up() {
  fetch_jars
  ports=()
  for _ in 1 2 3 4 5 6; do ports+=("$(free_port)"); done
  local voters=1@127.0.0.1:${ports[3]},2@127.0.0.1:${ports[4]},3@127.0.0.1:${ports[5]} n
  for n in 1 2 3; do
    write_properties "$n" "${ports[$((n - 1))]}" "${ports[$((n + 2))]}" "$voters"
    java -Xmx256m -cp "$jars/*" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$folder/$n.properties" \
      --ignore-formatted >"$folder/$n.format" 2>&1 || { cat "$folder/$n.format" >&2; exit 1; }
    start "$n"
  done
  for n in 0 1 2; do
    for _ in $(seq 600); do
      (exec 3<>"/dev/tcp/127.0.0.1/${ports[$n]}") 2>/dev/null && continue 2
      sleep 0.2
    done
    echo "node $((n + 1)) doesn't serve: see $folder/$((n + 1)).log" >&2
    down
    exit 1
  done
  echo "127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}"
}

down() {
  local n
  for n in 1 2 3; do alive "$n" && kill -CONT "$(pid "$n")" && kill -TERM "$(pid "$n")"; done || true
  for n in 1 2 3; do gone "$n" 30 || kill -KILL "$(pid "$n")"; done
}

case $action in
  java) fetch_jars; printf '%s\n' "${java_options[@]}" "-Dlog4j2.configurationFile=$here/log4j2.properties" -cp "$jars/*" ;;
  up) up ;;
  down) down ;;
  start) alive "$node" && { echo "node $node runs already" >&2; exit 1; }; start "$node" ;;
  kill) kill -KILL "$(pid "$node")" && gone "$node" 10 ;;
  stop) kill -TERM "$(pid "$node")" && gone "$node" 120 ;;
  pause) kill -STOP "$(pid "$node")" ;;
  resume) kill -CONT "$(pid "$node")" ;;
  *) sed -n 2,8p "$0"; exit 2 ;;
esac

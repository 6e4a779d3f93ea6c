# Sourced by run.sh: a three-node cluster of the binary $KLAMM_BIN on free loopback ports in $WORK, from the properties that one
# writes for Apache Kafka; with MORE_DIRS on two data directories each. Sets BOOTSTRAP and METRICS, the nodes' pages; ends only the processes that it started.

node_pids=()

free_ports() { # free_ports COUNT: below the ephemeral range, so that no client's source port takes one
  python3 - "$1" <<'P'
import os, random, socket, sys
held, want = [], int(sys.argv[1])
rnd = random.Random(os.getpid())
while len(held) < want:
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", rnd.randrange(15000, 32000)))
        held.append(s)
    except OSError:
        s.close()
print(*[s.getsockname()[1] for s in held])
P
}

write_properties() { # write_properties ID CLIENT_PORT CONTROLLER_PORT VOTERS
  mkdir -p "$WORK/$1"
  cat >"$WORK/$1/server.properties" <<X
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$4
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$WORK/$1/data${MORE_DIRS:+,$WORK/$1/more}
broker.rack=rack$1
replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector
num.partitions=3
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=500
X
}

start_cluster() {
  local ports voters n
  read -ra ports < <(free_ports 9)
  voters=1@127.0.0.1:${ports[3]},2@127.0.0.1:${ports[4]},3@127.0.0.1:${ports[5]}
  BOOTSTRAP=127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}
  for n in 1 2 3; do
    write_properties "$n" "${ports[$((n - 1))]}" "${ports[$((n + 2))]}" "$voters"
    echo "klamm.http.listener=127.0.0.1:${ports[$((n + 5))]}" >>"$WORK/$n/server.properties"
    METRICS+=${METRICS:+,}http://127.0.0.1:${ports[$((n + 5))]}/metrics
    "$KLAMM_BIN" server "$WORK/$n/server.properties" >"$WORK/$n/node.log" 2>&1 </dev/null &
    node_pids+=($!)
  done
  local end=$((SECONDS + 60)) pid
  while [ $SECONDS -lt $end ]; do
    [ "$(kcat -b "$BOOTSTRAP" -m 2 -L 2>/dev/null | grep -c '^  broker ')" = 3 ] && return
    # Another program may have taken a port between the look at it and the start.
    for pid in "${node_pids[@]}"; do kill -0 "$pid" 2>/dev/null || break 2; done
    sleep 0.2
  done
  echo "the three brokers didn't appear within a minute, or one of them has ended" >&2
  cluster_logs >&2
  return 1
}

cluster_logs() {
  for n in 1 2 3; do
    echo "--- node $n"
    tail -n 40 "$WORK/$n/node.log" || true
  done
}

stop_cluster() { # controlled shutdown of all, then whatever is left
  local pid
  for pid in "${node_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for _ in $(seq 150); do
    kill -0 "${node_pids[@]}" 2>/dev/null || break
    sleep 0.2
  done
  for pid in "${node_pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  node_pids=()
}

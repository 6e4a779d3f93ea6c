#!/usr/bin/env bash
# Kafka's own command-line tools, by their main classes. Wants BOOTSTRAP and WORK.
set -uo pipefail
. "$(dirname "$0")/../check.sh"
. "$(dirname "$0")/jars.sh"
jars tools "$TOOLS_VERSION" tools >/dev/null || exit
topic=tools-$$
at=(--bootstrap-server "$BOOTSTRAP")

create() {
  tool TopicCommand "${at[@]}" --create --topic "$topic" --partitions 3 --replication-factor 3 --config retention.ms=3600000 |
    grep -q "Created topic $topic"
}
list() { tool TopicCommand "${at[@]}" --list | grep -qx "$topic"; }
describe() {
  tool TopicCommand "${at[@]}" --describe --topic "$topic" >"$WORK/describe" || return
  cat "$WORK/describe"
  grep -q 'PartitionCount: 3.*ReplicationFactor: 3.*retention.ms=3600000' "$WORK/describe" &&
    [ "$(grep -cE 'Partition: [0-9]+.*Leader: [0-9]+.*Replicas: .*Isr: [0-9],[0-9],[0-9]' "$WORK/describe")" = 3 ]
}
none_under_replicated() { [ -z "$(tool TopicCommand "${at[@]}" --describe --under-replicated-partitions --topic "$topic")" ]; }
produce() { seq 1000 | tool ConsoleProducer "${at[@]}" --topic "$topic" --compression-codec "${1:-none}"; }
consume() {
  tool consumer.ConsoleConsumer "${at[@]}" --topic "$topic" --from-beginning --max-messages 1000 --timeout-ms 30000 >"$WORK/consumed" || return
  diff <(seq 1000) <(sort -n "$WORK/consumed")
}
consume_in_group() {
  tool consumer.ConsoleConsumer "${at[@]}" --topic "$topic" --from-beginning --group "$topic" --max-messages 1000 \
    --timeout-ms 30000 >"$WORK/consumed" || return
  diff <(seq 1000) <(sort -n "$WORK/consumed")
}
describe_group() {
  tool consumer.group.ConsumerGroupCommand "${at[@]}" --describe --group "$topic" >"$WORK/group" 2>&1 || return
  cat "$WORK/group"
  # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
  [ "$(awk -v t="$topic" '$2 == t && $4 == $5 && $6 == 0 { end += $5 } END { print end + 0 }' "$WORK/group")" = 1000 ]
}
offsets() { [ "$(tool GetOffsetShell "${at[@]}" --topic "$topic" | awk -F: '{ end += $3 } END { print end }')" = 1000 ]; }
configs() { # set, shown, taken back; an unknown key is refused
  local of=("${at[@]}" --entity-type topics --entity-name "$topic")
  main_class kafka.admin.ConfigCommand "${of[@]}" --alter --add-config 'cleanup.policy=[compact,delete],segment.ms=7200000' || return
  main_class kafka.admin.ConfigCommand "${of[@]}" --alter --delete-config segment.ms || return
  main_class kafka.admin.ConfigCommand "${of[@]}" --describe --all >"$WORK/configs" || return
  grep -E 'cleanup.policy|segment.ms|min.insync' "$WORK/configs"
  grep -q 'cleanup.policy=compact,delete .*DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete' "$WORK/configs" &&
    grep -q 'segment.ms=604800000 .*synonyms={}' "$WORK/configs" &&
    grep -q 'min.insync.replicas=2 .*STATIC_BROKER_CONFIG:min.insync.replicas=2' "$WORK/configs" || return
  ! main_class kafka.admin.ConfigCommand "${of[@]}" --alter --add-config nonsense=1 >/dev/null 2>&1
}
reset_offsets() {
  tool consumer.group.ConsumerGroupCommand "${at[@]}" --reset-offsets --group "$topic" --topic "$topic" --to-earliest --execute \
    >"$WORK/reset" 2>&1 || return
  cat "$WORK/reset"
  [ "$(awk -v t="$topic" '$2 == t && $4 == 0' "$WORK/reset" | wc -l)" = 3 ]
}
delete_group() {
  tool consumer.group.ConsumerGroupCommand "${at[@]}" --delete --group "$topic" || return
  ! tool consumer.group.ConsumerGroupCommand "${at[@]}" --list | grep -qx "$topic"
}
delete_records() {
  printf '{"partitions":[{"topic":"%s","partition":0,"offset":1}],"version":1}' "$topic" >"$WORK/delete-records.json"
  tool DeleteRecordsCommand "${at[@]}" --offset-json-file "$WORK/delete-records.json" || return
  tool GetOffsetShell "${at[@]}" --topic "$topic" --time earliest | grep -qx "$topic:0:1"
}
performance() { # the load generators, as they come
  tool ProducerPerformance --bootstrap-server "$BOOTSTRAP" --topic "$topic" --num-records 20000 --record-size 100 --throughput -1 \
    --command-property acks=all | grep '^20000 records sent' || return
  tool ConsumerPerformance --bootstrap-server "$BOOTSTRAP" --topic "$topic" --num-records 20000 >"$WORK/performance" || return
  cat "$WORK/performance"
  [ "$(tail -n 1 "$WORK/performance" | awk -F', ' '{ print ($5 >= 20000) }')" = 1 ]
}
reassign() { # to two replicas, then back to three; the records come along
  local json=$WORK/reassign.json replicas
  for replicas in '[3,1]' '[2,3,1]'; do
    printf '{"version":1,"partitions":[{"topic":"%s","partition":1,"replicas":%s}]}' "$topic" "$replicas" >"$json"
    tool reassign.ReassignPartitionsCommand "${at[@]}" --reassignment-json-file "$json" --execute || return
    for _ in 1 2 3 4 5; do
      tool reassign.ReassignPartitionsCommand "${at[@]}" --reassignment-json-file "$json" --verify >"$WORK/verify" 2>&1
      cat "$WORK/verify"
      grep -q "Reassignment of partition $topic-1 is completed" "$WORK/verify" && break
    done
    grep -q "Reassignment of partition $topic-1 is completed" "$WORK/verify" || return
  done
  tool TopicCommand "${at[@]}" --describe --topic "$topic" | grep -E 'Partition: 1.*Replicas: 2,3,1.*Isr: [0-9],[0-9],[0-9]'
}
describe_producers() { # those of the load generator
  tool TransactionsCommand "${at[@]}" describe-producers --topic "$topic" --partition 0 >"$WORK/producers" || return
  cat "$WORK/producers"
  [ "$(awk '$1 ~ /^[0-9]+$/ && $4 >= 0' "$WORK/producers" | wc -l)" -ge 1 ]
}
client_metrics() {
  local of=("${at[@]}" --name "$topic")
  tool ClientMetricsCommand "${of[@]}" --alter --metrics org.apache.kafka.producer. --interval 60000 || return
  tool ClientMetricsCommand "${at[@]}" --list | grep -qx "$topic" || return
  tool ClientMetricsCommand "${of[@]}" --delete || return
  ! tool ClientMetricsCommand "${at[@]}" --list | grep -qx "$topic"
}
delete() {
  tool TopicCommand "${at[@]}" --delete --topic "$topic" || return
  for _ in 1 2 3 4 5; do list || return 0; done
  return 1
}

check 'kafka-topics --create' create
check 'kafka-topics --list' list
check 'kafka-topics --describe' describe
check 'kafka-topics --under-replicated-partitions' none_under_replicated
check 'kafka-console-producer' produce lz4
check 'kafka-console-consumer' consume
check 'kafka-console-consumer --group' consume_in_group
check 'kafka-consumer-groups --describe' describe_group
check 'kafka-get-offsets' offsets
check 'kafka-consumer-groups --reset-offsets' reset_offsets
check 'kafka-consumer-groups --delete' delete_group
check 'kafka-producer-perf-test, kafka-consumer-perf-test' performance
check 'kafka-delete-records' delete_records
check 'kafka-configs' configs
check 'kafka-transactions describe-producers' describe_producers
check 'kafka-client-metrics' client_metrics
check 'kafka-reassign-partitions' reassign
check 'kafka-topics --delete' delete
finish_part

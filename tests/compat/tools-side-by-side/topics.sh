# Sourced by tools-side-by-side.sh: kafka-topics.

create_topics() {
  topics --create --topic TWIN --partitions 3 --replication-factor 3 --config retention.ms=3600000 && wrote '^Created topic '
}
create_topics_anew() { topics --create --topic TWIN && wrote "already exists"; }
create_unknown_config() { topics --create --topic TWIN-x --config nonsense=1 && wrote '^Error while executing topic command'; }
create_too_many_replicas() { topics --create --topic TWIN-x --replication-factor 9 && wrote '^Error while executing'; }
create_by_assignment() {
  topics --create --topic TWIN.dot --replica-assignment 1:2,2:3 && wrote '^WARNING: Due to' &&
    topics --describe --topic TWIN.dot && wrote 'Partition: 1.*Replicas: 2,3'
}
describe_topics() {
  topics --describe --topic "$one" && wrote 'PartitionCount: 3.*retention.ms=3600000' && wrote 'Partition: 2.*LastKnownElr:'
}
describe_by_id() {
  local id
  id=$("$KLAMM_BIN" topic describe "$one" -b "$BOOTSTRAP" | sed -n 's/.*TopicId: \([^ ]*\) .*/\1/p') && topics --describe --topic-id "$id" && wrote 'LastKnownElr: N/A' &&
    topics --describe --topic-id AAAAAAAAAAAAAAAAAAAAAQ && wrote 'does not exist as expected'
}
describe_all_topics() { sorted topics --describe --exclude-internal; }
describe_reports() {
  local report
  for report in under-replicated-partitions unavailable-partitions under-min-isr-partitions at-min-isr-partitions; do
    topics --describe --topic "$one" --$report || return
  done
  topics --describe --topic "$one" --topics-with-overrides && wrote 'Configs: .*retention.ms'
}
describe_missing() {
  topics --describe --topic no-such-topic && wrote "Topic 'no-such-topic' does not exist as expected" &&
    topics --describe --topic no-such-topic --if-exists
}
alter_topics() {
  topics --alter --topic TWIN --partitions 5 && topics --describe --topic "$one" --exclude-internal && wrote 'PartitionCount: 5' &&
    topics --alter --topic TWIN --partitions 2 && wrote '^Error while executing topic command'
}
list_topics() { topics --list && topics --list --exclude-internal && topics --list --topic "$one.*" && wrote "^$one$"; }
delete_topics() {
  topics --delete --topic TWIN.dot && topics --delete --topic no-such-topic && topics --delete --topic no-such-topic --if-exists
}
wrong_topic_arguments() {
  topics && topics --list --describe && topics --create && topics --list --partitions 3 && topics --nonsense && topics --list --topic
}

check 'kafka-topics --create' create_topics
check 'kafka-topics --create of what is there' create_topics_anew
check 'kafka-topics --create with an unknown configuration' create_unknown_config
check 'kafka-topics --create with too many replicas' create_too_many_replicas
check 'kafka-topics --replica-assignment' create_by_assignment
check 'kafka-topics --describe' describe_topics
check 'kafka-topics --describe --topic-id' describe_by_id
check 'kafka-topics --describe of all' describe_all_topics
check 'kafka-topics --describe of partitions that need care' describe_reports
check 'kafka-topics --describe of what is not there' describe_missing
check 'kafka-topics --alter' alter_topics
check 'kafka-topics --list' list_topics
check 'kafka-topics --delete' delete_topics
check 'kafka-topics with wrong arguments' wrong_topic_arguments

# Sourced by tools-side-by-side.sh: kafka-configs.

topic_configs() {
  configs --alter --topic TWIN --add-config 'cleanup.policy=[compact,delete],segment.ms=7200000' && wrote '^Completed updating config' &&
    configs --describe --topic TWIN && wrote 'cleanup.policy=compact,delete sensitive=false synonyms=' &&
    configs --describe --entity-type topics --entity-name TWIN --all && wrote 'min.insync.replicas=2' &&
    configs --alter --entity-type topics --entity-name TWIN --delete-config segment.ms,cleanup.policy && configs --describe --topic TWIN
}
topic_configs_refused() {
  configs --alter --topic TWIN --add-config nonsense=1 && configs --alter --topic no-such-topic --add-config segment.ms=7200000 &&
    configs --describe --topic no-such-topic && wrote "doesn't exist and doesn't have dynamic config"
}
broker_configs() {
  configs --alter --broker 1 --add-config log.cleaner.threads=2 && configs --describe --broker 1 && wrote 'log.cleaner.threads=2' &&
    configs --alter --broker 1 --delete-config log.cleaner.threads && configs --describe --entity-type brokers &&
    configs --alter --broker 1 --delete-config log.cleaner.threads && configs --alter --topic TWIN --delete-config segment.ms
}
default_broker_configs() {
  configs --alter --entity-type brokers --entity-default --add-config log.cleaner.threads=3 && wrote '^Completed updating default config' &&
    configs --describe --broker-defaults && wrote 'log.cleaner.threads=3' && configs --describe --broker 2 &&
    configs --alter --broker-defaults --delete-config log.cleaner.threads && configs --describe --broker-defaults
}
all_broker_configs() { configs --describe --broker 1 --all && wrote 'num.io.threads=.* sensitive=false synonyms='; }
group_configs() {
  configs --alter --group TWIN --add-config consumer.session.timeout.ms=50000 && configs --describe --group TWIN &&
    wrote 'consumer.session.timeout.ms=50000' && configs --alter --group TWIN --delete-config consumer.session.timeout.ms
}
client_metrics_configs() {
  configs --alter --client-metrics TWIN --add-config 'metrics=[org.apache.kafka.producer.,org.apache.kafka.consumer.],interval.ms=60000' &&
    configs --describe --client-metrics TWIN && wrote 'interval.ms=60000' &&
    configs --alter --client-metrics TWIN --delete-config metrics,interval.ms && configs --describe --client-metrics no-such
}
quotas() {
  configs --alter --entity-type users --entity-name TWIN --entity-type clients --entity-default --add-config producer_byte_rate=1048576,request_percentage=50 &&
    sorted configs --describe --entity-type users --entity-name TWIN --entity-type clients --entity-default && wrote 'producer_byte_rate=1048576.0' &&
    configs --alter --entity-type users --entity-name TWIN --entity-type clients --entity-default --delete-config producer_byte_rate,request_percentage &&
    configs --alter --client TWIN --add-config consumer_byte_rate=20000000 && configs --describe --client TWIN && wrote '=2.0E7' &&
    configs --alter --client TWIN --delete-config consumer_byte_rate && configs --alter --client TWIN --delete-config consumer_byte_rate
}
wrong_config_arguments() {
  configs && configs --describe && configs --describe --topic TWIN --alter && configs --alter --topic TWIN &&
    configs --describe --entity-type tables && configs --alter --topic TWIN --add-config a
}

check 'kafka-configs of a topic' topic_configs
check 'kafka-configs of a topic, refused' topic_configs_refused
check 'kafka-configs of a broker' broker_configs
check 'kafka-configs of all brokers' default_broker_configs
check 'kafka-configs --all of a broker' all_broker_configs
check 'kafka-configs of a group' group_configs
check 'kafka-configs of client metrics' client_metrics_configs
check 'kafka-configs of clients and users' quotas
check 'kafka-configs with wrong arguments' wrong_config_arguments

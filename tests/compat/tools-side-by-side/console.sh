# Sourced by tools-side-by-side.sh: kafka-console-producer and kafka-console-consumer. What one tool wrote both read.

producer() { same --input "$WORK/lines" $tools.ConsoleProducer kafka-console-producer "${at[@]}" --topic "$one" "$@"; }
consumer() { same --sorted $tools.consumer.ConsoleConsumer kafka-console-consumer "${at[@]}" "$@"; }
produce_lines() {
  printf 'h1:v1,h2:NULL\tkey-%s\tvalue\n' 1 2 3 >"$WORK/lines"
  producer --command-property acks=all --compression-codec --reader-property parse.key=true --reader-property parse.headers=true --reader-property null.marker=NULL &&
    producer --sync --request-required-acks 1
}
produce_refused() {
  producer --reader-property parse.key=true --reader-property 'key.separator=|' && producer --nonsense && producer --property a=b --reader-property c=d
}
consume_all() { consumer --topic "$one" --from-beginning --timeout-ms 8000 && wrote '^h1:v1,h2:NULL'; }
consume_formatted() {
  consumer --topic "$one" --from-beginning --timeout-ms 8000 --property print.key=true --property print.headers=true --property print.partition=true \
    --property print.offset=true --property print.timestamp=true --property key.separator='|' && wrote '^CreateTime:[0-9]+\|Partition:[0-9]\|Offset:[0-9]+\|h1:v1,h2:null\|key-1\|value$'
}
consume_partition() {
  consumer --topic "$one" --partition 2 --offset 1 --max-messages 3 --timeout-ms 8000 && consumer --include "$one.*" --from-beginning --max-messages 106 --timeout-ms 20000
}
consume_in_a_group() {
  consumer --topic "$one" --group TWIN-console --from-beginning --max-messages 105 --timeout-ms 20000 >/dev/null
  local name
  # What one committed both show.
  for name in "$of_java" "$of_klamm"; do groups --describe --group "$name-console" && wrote '[1-9][0-9]* +0 +-' || return; done
}
consume_a_new_topic() {
  consumer --topic TWIN-new --from-beginning --timeout-ms 5000 && topics --list --topic ".*$$-new" && wrote "^$of_klamm-new$" && wrote "^$of_java-new$"
}
consume_refused() { consumer && consumer --topic "$one" --offset 1 && consumer --topic "$one" --partition 0 --offset soon && consumer --topic "$one" --group a --partition 0; }

check 'kafka-console-producer' produce_lines
check 'kafka-console-producer, refused' produce_refused
check 'kafka-console-consumer' consume_all
check 'kafka-console-consumer --formatter-property' consume_formatted
check 'kafka-console-consumer --partition and --include' consume_partition
check 'kafka-console-consumer --group' consume_in_a_group
check 'kafka-console-consumer of a topic that is not there yet' consume_a_new_topic
check 'kafka-console-consumer with wrong arguments' consume_refused

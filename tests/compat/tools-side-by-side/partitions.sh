# Sourced by tools-side-by-side.sh: kafka-get-offsets, kafka-delete-records, kafka-leader-election, kafka-reassign-partitions,
# kafka-log-dirs. The topics have five partitions and a hundred records each by now.

get_offsets() { same $tools.GetOffsetShell kafka-get-offsets "${at[@]}" "$@"; }
offsets() {
  local time
  for time in latest -2 max-timestamp 0 earliest-local; do get_offsets --topic "$one" --time "$time" && wrote "^$one:0:" || return; done
  get_offsets --topic-partitions "$one:1-3,$one:4" && wrote "^$one:4:" && get_offsets --topic "$one" --partitions 0,2
}
offsets_refused() {
  get_offsets --topic no-such-topic && get_offsets --topic "$one" --time soon && get_offsets --topic-partitions a --topic b
}
delete_records() {
  local name
  for name in "$of_java" "$of_klamm"; do
    printf '{"partitions":[{"topic":"%s","partition":0,"offset":1},{"topic":"%s","partition":1,"offset":-1}],"version":1}' "$name" "$name" \
      >"$WORK/records-$name.json"
  done
  same --sorted $tools.DeleteRecordsCommand kafka-delete-records "${at[@]}" --offset-json-file "$WORK/records-TWIN.json" &&
    wrote 'low_watermark: 1' && get_offsets --topic "$one" --time earliest
}
delete_too_many_records() {
  printf '{"partitions":[{"topic":"%s","partition":0,"offset":100000}],"version":1}' "$one" >"$WORK/too-many.json"
  same $tools.DeleteRecordsCommand kafka-delete-records "${at[@]}" --offset-json-file "$WORK/too-many.json" && wrote 'OffsetOutOfRangeException'
}

plans() { # plans REPLICAS: a file for each tool
  for name in "$of_java" "$of_klamm"; do
    printf '{"version":1,"partitions":[{"topic":"%s","partition":1,"replicas":%s}]}' "$name" "$1" >"$WORK/move-$name.json"
  done
}
# A second reassignment is refused while another is under way.
reassign() { between=settled same "${more[@]}" $tools.reassign.ReassignPartitionsCommand kafka-reassign-partitions "${at[@]}" "$@"; }
more=()
without_trace() { # Kafka's tool prints one to standard output
  local more=(--no-trace)
  "$@"
}
settled() {
  for _ in $(seq 100); do
    [ "$("$KLAMM_BIN" cluster reassign --list -b "$BOOTSTRAP")" = "nothing moves" ] && return
    sleep 0.1
  done
  return 1
}
reassign_and_verify() {
  for name in "$of_java" "$of_klamm"; do "$KLAMM_BIN" cluster reassign "$name/1=1,2,3" -b "$BOOTSTRAP" >/dev/null || return; done
  plans '[3,1]'
  reassign --execute --reassignment-json-file "$WORK/move-TWIN.json" && wrote '^Successfully started partition reassignment for ' && settled &&
    reassign --verify --reassignment-json-file "$WORK/move-TWIN.json" && wrote 'is completed' && wrote '^Clearing topic-level throttles' || return
  plans '[2,3,1]'
  reassign --verify --reassignment-json-file "$WORK/move-TWIN.json" && wrote 'rather than 2,3,1' &&
    reassign --execute --reassignment-json-file "$WORK/move-TWIN.json" --disallow-replication-factor-change && wrote '^Error reassigning' &&
    reassign --execute --reassignment-json-file "$WORK/move-TWIN.json" --throttle 10000000 --replica-alter-log-dirs-throttle 5000000 &&
    wrote 'inter-broker throttle limit was set to 10000000 B/s' && wrote 'replica-alter-dir throttle limit was set to 5000000 B/s' &&
    settled && configs --describe --topic "$one" && wrote 'replication.throttled.replicas' &&
    configs --describe --entity-type brokers --entity-name 1 && wrote 'leader.replication.throttled.rate=10000000' &&
    reassign --verify --preserve-throttles --reassignment-json-file "$WORK/move-TWIN.json" && wrote 'is completed' &&
    reassign --verify --reassignment-json-file "$WORK/move-TWIN.json" && configs --describe --topic "$one" &&
    configs --describe --entity-type brokers --entity-name 1
}
reassign_nothing() { reassign --list && reassign --cancel --reassignment-json-file "$WORK/move-TWIN.json"; }
reassign_refused() {
  plans '[1,1]'
  without_trace reassign --execute --reassignment-json-file "$WORK/move-TWIN.json" || return
  plans '[1,77]'
  without_trace reassign --execute --reassignment-json-file "$WORK/move-TWIN.json" && wrote 'Unknown broker id 77' &&
    reassign --execute && reassign --list --throttle 5
}
generate_plan() {
  printf '{"topics":[{"topic":"%s"}],"version":1}' "$one" >"$WORK/topics.json"
  "$KLAMM_BIN" kafka-reassign-partitions "${at[@]}" --generate --topics-to-move-json-file "$WORK/topics.json" --broker-list 1,2,3 >"$WORK/klamm.out" &&
    wrote '^Proposed partition reassignment configuration' && tail -n 1 "$WORK/klamm.out" >"$WORK/proposed.json" &&
    main_class $tools.reassign.ReassignPartitionsCommand "${at[@]}" --execute --reassignment-json-file "$WORK/proposed.json" >/dev/null && settled
}

elect() { same --sorted $tools.LeaderElectionCommand kafka-leader-election "${at[@]}" "$@"; }
elect_leaders() {
  # The first tool that asks would change what the second one finds.
  "$KLAMM_BIN" cluster elect -b "$BOOTSTRAP" >/dev/null || return
  elect --election-type preferred --topic "$one" --partition 0 && elect --election-type preferred --all-topic-partitions &&
    elect --election-type preferred --topic "$one" --partition 77 && elect --election-type preferred &&
    printf '{"partitions":[{"topic":"%s","partition":0},{"topic":"%s","partition":1}]}' "$one" "$one" >"$WORK/elect.json" &&
    elect --election-type PREFERRED --path-to-json-file "$WORK/elect.json"
}
log_dirs() {
  same --json $tools.LogDirsCommand kafka-log-dirs "${at[@]}" --describe --topic-list "$one" && wrote '"partition":"sbs-' &&
    same --json $tools.LogDirsCommand kafka-log-dirs "${at[@]}" --describe --broker-list 2 --topic-list "$one" &&
    same $tools.LogDirsCommand kafka-log-dirs "${at[@]}" --describe --broker-list 77
}

check 'kafka-get-offsets' offsets
check 'kafka-get-offsets, refused' offsets_refused
check 'kafka-delete-records' delete_records
check 'kafka-delete-records beyond the end' delete_too_many_records
check 'kafka-reassign-partitions --execute and --verify' reassign_and_verify
check 'kafka-reassign-partitions --list and --cancel' reassign_nothing
check 'kafka-reassign-partitions, refused' reassign_refused
check 'kafka-reassign-partitions --generate' generate_plan
check 'kafka-leader-election' elect_leaders
check 'kafka-log-dirs' log_dirs

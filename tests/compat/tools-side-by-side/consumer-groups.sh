# Sourced by tools-side-by-side.sh: kafka-consumer-groups. The topics have five partitions by now, and no records.

prepare_groups() { both_topics fill && both_topics read_in_group; }
list_groups() { sorted groups --list && wrote "^$one$" && sorted groups --list --state --type && sorted groups --list --state stable,empty; }
describe_groups() { groups --describe --group "$one" && wrote 'CURRENT-OFFSET' && groups --describe --group "$one" --verbose --offsets; }
describe_all_groups() { sorted groups --describe --all-groups; }
describe_states() {
  groups --describe --group "$one" --state && wrote 'Empty' && groups --describe --group "$one" --state --verbose
}
describe_empty_members() { groups --describe --group "$one" --members && groups --describe --group "$one" --members --verbose; }
describe_missing_group() { groups --describe --group no-such-group && wrote 'GroupIdNotFoundException'; }
reset_dry_run() { sorted groups --reset-offsets --group "$one" --topic "$one" --to-earliest --dry-run && wrote 'NEW-OFFSET'; }
reset_execute() {
  sorted groups --reset-offsets --group TWIN --topic TWIN:0,1 --to-offset 3 --execute && groups --describe --group TWIN &&
    sorted groups --reset-offsets --group TWIN --all-topics --shift-by -2 --execute && groups --describe --group TWIN
}
reset_otherwise() {
  local how
  for how in --to-latest --to-current '--to-datetime 2020-01-01T00:00:00.000' '--by-duration PT1H' '--to-offset 100000'; do
    sorted groups --reset-offsets --group "$one" --topic "$one" --dry-run $how || return
  done
}
reset_export() {
  sorted groups --reset-offsets --group TWIN --topic TWIN --to-latest --dry-run --export && wrote ',[0-9]+$' || return
  grep -v '^$' "$WORK/klamm.out" | sed "s/$of_klamm/$of_java/" >"$WORK/plan-$of_java"
  grep -v '^$' "$WORK/klamm.out" >"$WORK/plan-$of_klamm"
  sorted groups --reset-offsets --group TWIN --from-file "$WORK/plan-TWIN" --execute
}
reset_refused() {
  groups --reset-offsets --group TWIN --topic TWIN:77 --to-latest --dry-run && wrote 'do not exist' &&
    groups --reset-offsets --group TWIN --topic no-such-topic --to-latest --dry-run
}
delete_group_offsets() {
  sorted groups --delete-offsets --group TWIN --topic TWIN:0 --topic TWIN:1 && wrote 'Successful' &&
    groups --delete-offsets --group TWIN --topic no-such-topic && groups --delete-offsets --group no-such-group --topic TWIN:0
}
# Both tools look at one group with one member.
with_a_member() {
  local member
  timeout 60 "$KLAMM_BIN" consume "$one" -b "$BOOTSTRAP" --group "live-$one" -X "group.protocol=$1" >/dev/null 2>&1 &
  member=$!
  for _ in $(seq 100); do
    "$KLAMM_BIN" group describe "live-$one" -b "$BOOTSTRAP" 2>/dev/null | grep -q 'Stable.* 1 members' && break
    sleep 0.2
  done
  shift
  "$@"
  local status=$?
  kill "$member" && wait "$member" 2>/dev/null
  return "$status"
}
describe_live() {
  local what
  for what in --members '--members --verbose' --state '--state --verbose' --offsets; do
    groups --describe --group "live-$one" $what || return
  done
  groups --describe --group "live-$one" --members && wrote '/127.0.0.1' || return
  groups --reset-offsets --group "live-$one" --topic "$one" --to-latest --dry-run && wrote 'is inactive' || return
  groups --delete --group "live-$one" && wrote 'GroupNotEmptyException'
}
delete_groups() {
  groups --delete --group TWIN && wrote 'was successful' && groups --delete --group TWIN && wrote 'GroupIdNotFoundException'
}
wrong_group_arguments() {
  groups && groups --describe && groups --list --verbose && groups --reset-offsets --group TWIN --to-latest --topic TWIN --execute --dry-run &&
    groups --list --state nonsense && groups --validate-regex 'a.*' && wrote 'is valid'
}

check 'kafka-consumer-groups: groups with offsets' prepare_groups
check 'kafka-consumer-groups --list' list_groups
check 'kafka-consumer-groups --describe' describe_groups
check 'kafka-consumer-groups --describe --all-groups' describe_all_groups
check 'kafka-consumer-groups --state' describe_states
check 'kafka-consumer-groups --members of nobody' describe_empty_members
check 'kafka-consumer-groups --describe of what is not there' describe_missing_group
check 'kafka-consumer-groups --reset-offsets --dry-run' reset_dry_run
check 'kafka-consumer-groups --reset-offsets --execute' reset_execute
check 'kafka-consumer-groups --reset-offsets, each way' reset_otherwise
check 'kafka-consumer-groups --export and --from-file' reset_export
check 'kafka-consumer-groups --reset-offsets, refused' reset_refused
check 'kafka-consumer-groups --delete-offsets' delete_group_offsets
check 'kafka-consumer-groups --describe of a classic member' with_a_member classic describe_live
check 'kafka-consumer-groups --describe of a consumer member' with_a_member consumer describe_live
check 'kafka-consumer-groups --delete' delete_groups
check 'kafka-consumer-groups with wrong arguments' wrong_group_arguments

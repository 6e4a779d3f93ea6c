#!/usr/bin/env bash
# Kafka's tools and Klamm's, with the same arguments against the same cluster: what they write to standard output and their
# exit codes are the same, ids and times aside. Wants BOOTSTRAP, KLAMM_BIN and WORK.
#
# In the arguments TWIN is a name of which each tool has its own: where something changes, both change the same thing.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/check.sh"
. "$here/java/jars.sh"
jars tools "$TOOLS_VERSION" tools >/dev/null || exit
of_java=sbs-j-$$ of_klamm=sbs-k-$$
# Looked at by both, changed by neither tool of Kafka's.
one=$of_klamm
at=(--bootstrap-server "$BOOTSTRAP")

# same [--sorted] [--json] [--no-trace] [--quorum] [--features] [--input FILE] CLASS NAME ARGUMENT..: both tools, compared. What
# Kafka's tool has started may have to be over before the second one looks: `between` waits for it.
between=true
same() {
  local normal=() input=/dev/null class name java klamm twins=()
  while true; do
    case $1 in
      --sorted | --json | --no-trace | --quorum | --features) normal+=("$1") && shift ;;
      --input) input=$2 && shift 2 ;;
      *) break ;;
    esac
  done
  class=$1 name=$2
  shift 2
  # Names are made equal only where each has its own.
  [[ "$*" != *TWIN* ]] || twins=("$of_java" "$of_klamm")
  main_class "$class" "${@//TWIN/$of_java}" <"$input" >"$WORK/java.out" 2>"$WORK/java.err"
  java=$?
  $between || return
  timeout 60 "$KLAMM_BIN" "$name" "${@//TWIN/$of_klamm}" <"$input" >"$WORK/klamm.out" 2>"$WORK/klamm.err"
  klamm=$?
  python3 "$here/tools-normal.py" "${normal[@]}" "${twins[@]:0:1}" <"$WORK/java.out" >"$WORK/java.normal"
  python3 "$here/tools-normal.py" "${normal[@]}" "${twins[@]:1}" <"$WORK/klamm.out" >"$WORK/klamm.normal"
  if [ "$java" -ne "$klamm" ] || ! cmp -s "$WORK/java.normal" "$WORK/klamm.normal"; then
    echo "$name $*: exit codes $java and $klamm; < Kafka's, > Klamm's"
    diff "$WORK/java.normal" "$WORK/klamm.normal"
    head -n 5 "$WORK/klamm.err"
    return 1
  fi
}

tools=org.apache.kafka.tools
topics() { same "${sort[@]}" $tools.TopicCommand kafka-topics "${at[@]}" "$@"; }
groups() { same "${sort[@]}" $tools.consumer.group.ConsumerGroupCommand kafka-consumer-groups "${at[@]}" "$@"; }
configs() { same "${sort[@]}" kafka.admin.ConfigCommand kafka-configs "${at[@]}" "$@"; }
sort=()
sorted() { # the lines come in the order of a hash map
  local sort=(--sorted)
  "$@"
}
# Whether the last run of both wrote this: that they agree isn't enough.
wrote() { grep -qE -- "$1" "$WORK/klamm.out" || { echo "no $1 in:" && cat "$WORK/klamm.out" && return 1; }; }
both_topics() { for name in "$of_java" "$of_klamm"; do "$@" "$name" || return; done; }
# By keys, so that the partitions of both have equally many.
fill() { seq 100 | sed 's/.*/&:&/' | "$KLAMM_BIN" produce "$1" --key : -b "$BOOTSTRAP"; }
read_in_group() { "$KLAMM_BIN" consume "$1" -b "$BOOTSTRAP" --group "$1" --from-beginning -n 100 >/dev/null; }

. "$here/tools-side-by-side/topics.sh"
. "$here/tools-side-by-side/consumer-groups.sh"
. "$here/tools-side-by-side/configs.sh"
. "$here/tools-side-by-side/partitions.sh"
. "$here/tools-side-by-side/cluster.sh"
. "$here/tools-side-by-side/console.sh"
finish_part

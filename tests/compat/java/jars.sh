# Sourced by the Java parts: the jars, from Maven Central, once.
COMPAT_HOME=${COMPAT_HOME:-$HOME/.cache/klamm-compat}
TOOLS_VERSION=4.3.1
java_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# jars NAME VERSION [PROFILE]: prints the folder with the jars of that version.
jars() {
  local folder=$COMPAT_HOME/$1-$2
  if [ ! -f "$folder/.complete" ]; then
    mvn -B -q -f "$java_folder/pom.xml" ${3:+-P$3} "-Dkafka.version=$2" dependency:copy-dependencies \
      "-DoutputDirectory=$folder" >&2 || return
    touch "$folder/.complete"
  fi
  echo "$folder"
}

# tool CLASS ARGUMENT..: a command-line tool of Kafka by its main class, a minute at most.
tool() { main_class "org.apache.kafka.tools.$1" "${@:2}"; }
main_class() {
  timeout 60 java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$COMPAT_HOME/tools-$TOOLS_VERSION/*" "$@"
}

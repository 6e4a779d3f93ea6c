#!/usr/bin/env bash
# confluent-kafka of today and of before librdkafka knew Kafka 4, kafka-python and aiokafka, each in an environment of its own.
# Wants BOOTSTRAP and WORK.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${COMPAT_HOME:-$HOME/.cache/klamm-compat}
result=0

# clients NAME REQUIREMENTS PROGRAM: in the environment NAME.
clients() {
  local venv=$home/$1
  if ! cmp -s "$here/$2" "$venv/installed"; then
    python3 -m venv "$venv" &&
      "$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: -r "$here/$2" >&2 &&
      cp "$here/$2" "$venv/installed" || return
  fi
  timeout 400 "$venv/bin/python" "$here/$3" "$BOOTSTRAP"
}

# Both wait more than they work. The older one's wheels end with Python 3.11.
old=
if python3 -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then
  clients venv-old requirements-old.txt clients.py >"$WORK/python-old" &
  old=$!
fi
clients venv requirements.txt clients.py || result=1
clients venv-pure requirements-pure.txt pure.py || result=1
if [ -n "$old" ]; then
  wait "$old" || result=1
  sed -E 's/^(ok|FAIL) /\1 confluent-kafka 2.0: /' "$WORK/python-old"
fi
exit $result

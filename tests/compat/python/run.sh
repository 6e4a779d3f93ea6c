#!/usr/bin/env bash
# confluent-kafka in a virtual environment of its own. Wants BOOTSTRAP.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${COMPAT_HOME:-$HOME/.cache/klamm-compat}/venv
if ! cmp -s "$here/requirements.txt" "$venv/installed"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" >&2
  cp "$here/requirements.txt" "$venv/installed"
fi
exec "$venv/bin/python" "$here/clients.py" "$BOOTSTRAP"

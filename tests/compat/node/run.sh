#!/usr/bin/env bash
# kafkajs, @platformatic/kafka and @confluentinc/kafka-javascript, pinned by package-lock.json. Wants BOOTSTRAP.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${COMPAT_HOME:-$HOME/.cache/klamm-compat}/node
command -v node >/dev/null && command -v npm >/dev/null || { echo "FAIL wants node and npm" && exit 1; }
if ! cmp -s "$here/package-lock.json" "$home/installed"; then
  mkdir -p "$home"
  cp "$here/package.json" "$here/package-lock.json" "$home"
  # Where its publisher's binary can't be had, kafka-javascript is built (minutes), with the machine's own libraries.
  (cd "$home" && CKJS_LINKING=dynamic npm ci --no-audit --no-fund) >&2
  cp "$here/package-lock.json" "$home/installed"
fi
# Node looks for packages beside the program.
cp "$here"/*.mjs "$home"
exec timeout 400 node "$home/clients.mjs" "$BOOTSTRAP"

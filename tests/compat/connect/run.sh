#!/usr/bin/env bash
# Kafka Connect with its file connectors. Wants BOOTSTRAP and WORK.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../java/jars.sh"
connect=$(jars connect "$TOOLS_VERSION" connect) || exit
tools=$(jars tools "$TOOLS_VERSION" tools) || exit
mkdir -p "$WORK/connect"
exec timeout 400 python3 "$here/connect.py" "$BOOTSTRAP" "$WORK/connect" "$connect/*" "$tools/*"

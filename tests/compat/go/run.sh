#!/usr/bin/env bash
# franz-go, sarama and kafka-go, pinned by go.mod. Wants BOOTSTRAP.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${COMPAT_HOME:-$HOME/.cache/klamm-compat}/go
command -v go >/dev/null || { echo "FAIL wants go" && exit 1; }
export GOMODCACHE=$home/mod GOCACHE=$home/build GOFLAGS="-buildvcs=false -mod=readonly -modcacherw"
go build -C "$here" -o "$home/clients" . >&2
exec timeout 400 "$home/clients" "$BOOTSTRAP"

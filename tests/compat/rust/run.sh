#!/usr/bin/env bash
# rskafka, pinned by Cargo.lock. Wants BOOTSTRAP, kcat, and LOG_DIRS to see how batches are compressed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v cargo >/dev/null || { echo "FAIL wants cargo" && exit 1; }
# Beside the workspace's own build, which has other features of the same libraries.
target=${CARGO_TARGET_DIR:-${COMPAT_HOME:-$HOME/.cache/klamm-compat}}/compat-rust
CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 cargo build -q --locked --manifest-path "$here/Cargo.toml" >&2
# shellcheck disable=SC2086
exec timeout 400 "$target/debug/compat-rust" "$BOOTSTRAP" ${LOG_DIRS:-}

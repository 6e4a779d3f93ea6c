#!/usr/bin/env bash
# Makes debian:bookworm-slim from Debian's own packages where no image registry can be reached. Does nothing where the
# image is there already. Wants root, debootstrap and a running engine.
set -euo pipefail
image=debian:bookworm-slim
docker image inspect "$image" >/dev/null 2>&1 && exit 0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >/dev/null
tar -C "$root" --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/man/*' \
  --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./dev/*' -c . |
  docker import --change 'CMD ["bash"]' - "$image"

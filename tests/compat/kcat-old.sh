#!/usr/bin/env bash
# kcat once more, with librdkafka 1.9.2 of 2022: of before KIP-896, and no longer packaged by itself. It comes in confluent-kafka's wheel,
# which is never installed, so that the version of Python doesn't matter. Wants BOOTSTRAP and WORK, on x86-64.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=1.9.2
folder=${COMPAT_HOME:-$HOME/.cache/klamm-compat}/librdkafka-$version
if [ ! -f "$folder/.complete" ]; then
  mkdir -p "$folder"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.10 \
    --platform manylinux2014_x86_64 -d "$folder" "confluent-kafka==$version" >&2 &&
    python3 -m zipfile -e "$folder/confluent_kafka-$version-"*.whl "$folder" &&
    mv "$folder"/confluent_kafka.libs/librdkafka-*.so.1 "$folder/librdkafka.so.1" &&
    touch "$folder/.complete" || exit
fi
export LD_LIBRARY_PATH=$folder
kcat -V | grep -q "librdkafka $version " || { echo "FAIL kcat doesn't take librdkafka $version" && exit 1; }
bash "$here/kcat.sh" | sed -E "s/^(ok|FAIL) /\1 librdkafka $version: /"

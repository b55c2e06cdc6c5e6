#!/usr/bin/env bash
# Writes what Grand Challenge takes as uploads: ./export.sh [MODEL [TAG]]
#   dist/model.tar.gz          a model folder (default resources/model), unpacked there at /opt/ml/model
#   dist/lesionclick.tar.gz    the image, built first where it is missing
set -euo pipefail
cd "$(dirname "$0")"
model=${1:-resources/model}
tag=${2:-lesionclick}
LIMIT_GB=10

[ -f "$model/plans.json" ] || { echo "error: $model: holds no plans.json, expected a model folder" >&2; exit 2; }
docker image inspect "$tag" >/dev/null 2>&1 || ./build.sh "$tag"
bytes=$(docker image inspect --format '{{.Size}}' "$tag")
[ "$bytes" -le $((LIMIT_GB * 10 ** 9)) ] ||
    { echo "error: $tag: has $((bytes / 10 ** 6)) MB unpacked, the platform takes at most $LIMIT_GB GB" >&2; exit 2; }

mkdir -p dist
trap 'rm -f dist/.*.part' EXIT
tar -czf dist/.model.part -C "$model" .
mv dist/.model.part dist/model.tar.gz
docker save "$tag" | gzip -1 >dist/.image.part
mv dist/.image.part dist/lesionclick.tar.gz
ls -lh dist/model.tar.gz dist/lesionclick.tar.gz

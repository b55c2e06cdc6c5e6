#!/usr/bin/env bash
# Builds the image: ./build.sh [TAG]
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' lesionclick/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
docker build --platform linux/amd64 --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
    -t "${1:-lesionclick}" .

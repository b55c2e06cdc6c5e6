#!/usr/bin/env bash
# Builds an image: ./build.sh [--target inference|serve] [--api exec|invoke] [TAG]
#   --target inference   what Grand Challenge runs, by default as lesionclick
#   --target serve       the server with its page, by default as lesionclick-serve
#   --api                whether the platform starts a process for each case, or calls a web server for each
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    echo "error: $1, see the head of build.sh" >&2
    exit 2
}

target=inference api=exec tag=
while [ $# -gt 0 ]; do
    case "$1 ${2:-}" in
    "--target inference" | "--target serve") target=$2 && shift ;;
    "--api exec" | "--api invoke") api=$2 && shift ;;
    -*) fail "$1 ${2:-}: is no option of this script" ;;
    *) [ -z "$tag" ] || fail "$1: is a second tag" && tag=$1 ;;
    esac
    shift
done
case "$target $api" in
"inference exec") stage=inference name=lesionclick ;;
"inference invoke") stage=invoke name=lesionclick ;;
"serve exec") stage=serve name=lesionclick-serve ;;
*) fail "--api invoke: is for the platform, the server has an API of its own" ;;
esac

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' lesionclick/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
options=(--platform linux/amd64 --target "$stage" -t "${tag:-$name}")
options+=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
known=$(docker build --help 2>&1 || true)
for option in --provenance --sbom; do # the platform refuses images that carry attestations
    case "$known" in *"$option"*) options+=("$option=false") ;; esac
done
docker build "${options[@]}" .

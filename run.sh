#!/usr/bin/env bash
# Makes the virtual environment .venv, DICOM and server included, and segments a case: ./run.sh [INPUT [OUTPUT [OPTION ...]]]
# INPUT is a case in Grand Challenge layout, by default the sample; OUTPUT is ./output; see process.py --help for options.
set -euo pipefail
cd "$(dirname "$0")"
input=${1:-test/cases/psma}
output=${2:-output}

.ci/install dicom,serve
.venv/bin/python process.py --input "$input" --output "$output" "${@:3}"
.venv/bin/lesionclick overview "$input" "$output"

#!/usr/bin/env bash
# Makes the virtual environment .venv and segments a case: ./run.sh [INPUT [OUTPUT [OPTION ...]]]
# INPUT is a case in Grand Challenge layout, by default the sample; OUTPUT is ./output; see process.py --help for options.
# EXTRAS=test adds what the tests need to the environment.
set -euo pipefail
cd "$(dirname "$0")"
input=${1:-test/cases/psma}
output=${2:-output}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: Python 3.11 or later is needed" >&2; exit 2; }
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e ".${EXTRAS:+[$EXTRAS]}"
.venv/bin/python process.py --input "$input" --output "$output" "${@:3}"
.venv/bin/lesionclick overview "$input" "$output"

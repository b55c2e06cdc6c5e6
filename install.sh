#!/usr/bin/env bash
# Makes the virtual environment .venv with the pinned requirements and this package: ./install.sh [EXTRA,...]
# The extras are those of pyproject.toml; CONTRIBUTING.md says which ones the tests need.
set -euo pipefail
cd "$(dirname "$0")"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: Python 3.11 or later is needed" >&2; exit 2; }
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e ".${1:+[$1]}"

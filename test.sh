#!/usr/bin/env bash
# Segments the sample case and runs every check, in the environment of run.sh: ./test.sh [PYTEST_OPTION ...]
# The container's tests run where `docker` answers and are reported as skipped elsewhere.
set -euo pipefail
cd "$(dirname "$0")"

EXTRAS=test ./run.sh
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e training
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/pytest "$@"

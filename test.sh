#!/usr/bin/env bash
# Runs every check in the environment .venv, which it makes: ./test.sh [PYTEST_OPTION ...]
# The container's tests run where `docker` answers and are reported as skipped elsewhere.
set -euo pipefail
cd "$(dirname "$0")"

.ci/install dicom,serve,test
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e training
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports --no-cache | sed -n '/^Contracts/,$p'
# The tests of a file stay in one process, so that they share what its fixtures make: an image, a trained network.
.venv/bin/pytest --numprocesses auto --dist loadfile --cov "$@"

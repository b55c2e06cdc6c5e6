"""Cohorts of tiny cases, made up for tests."""

import csv
from pathlib import Path

from helpers_case import make_labelled_case

from lesionclick.cohort.manifest import Recipe
from lesionclick.inference.settings import InferenceSettings, Networks
from lesionclick.model.check import fingerprint
from lesionclick.model.folder import ModelFolder


def write_cases(folder: Path, count: int) -> Path:
    """Writes cases of noise, case-00 and so on, in Grand Challenge layout; every other one has clicks."""
    clicks = make_labelled_case(clicks=()).case.clicks
    for number in range(count):
        make_labelled_case("uuid", clicks, number).case.write(folder / f"case-{number:02d}")
    return folder


def recipe_of(model: Path) -> Recipe:
    """How the tests' cohorts are made: on the CPU, with torch, all networks everywhere."""
    settings = InferenceSettings(networks=Networks.all)
    return Recipe(fingerprint(ModelFolder.read(model)), settings, "cpu", "torch", "float32")


def files_of(out: Path) -> dict[str, bytes]:
    """The content of all results that are the same whenever and wherever they were made, by their path."""
    found = [path for path in out.rglob("*") if path.is_file() and path.name not in ("manifest.json", ".cohort-lock")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))

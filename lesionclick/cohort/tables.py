"""Tables of a cohort, made of its cases' folders: cases.csv, lesions.csv and failed.csv, in the order of the cases."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lesionclick.cohort.cases import CohortCase
from lesionclick.cohort.manifest import CSV_FILE, JSON_FILE, read_manifest
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, read_json_object, replacing
from lesionclick.report.lesion_files import COLUMNS

CASES_TABLE, LESIONS_TABLE, FAILED_TABLE = TABLES = ("cases.csv", "lesions.csv", "failed.csv")

CASE_COLUMNS = ("case", "lesion_count", "total_volume_ml", "total_tlg", "dmax_mm", "clicks", "warnings")


def write_tables(out: Path, cases: Iterable[CohortCase], failures: Mapping[str, str]) -> None:
    """Writes cases.csv (a line a case: all its lesions together, numbers of clicks and warnings) and lesions.csv.

    Args:
        out: the cohort's folder.
        cases: all of it.
        failures: names of those to leave out.

    Raises:
        CaseError: a file of a case is missing or damaged, or a table cannot be written.
    """
    of_cases: list[Mapping[str, Any]] = []
    of_lesions: list[Mapping[str, Any]] = []
    for case in cases:
        if case.name in failures:
            continue
        folder = out / case.name
        manifest = read_manifest(folder)
        if manifest is None:
            raise CaseError(f"{folder}: has lost its results, expected to start again with the same command")
        figures = read_json_object(folder / JSON_FILE, CaseError)["case"]
        counts = {name: len(manifest["record"][name]) for name in ("clicks", "warnings")}
        of_cases.append({"case": case.name, **figures, **counts})
        of_lesions += [{"case": case.name, **row} for row in _read_rows(folder / CSV_FILE)]
    _write(out / CASES_TABLE, CASE_COLUMNS, of_cases)
    _write(out / LESIONS_TABLE, ("case", *COLUMNS), of_lesions)


def write_failures(out: Path, failures: Mapping[str, str]) -> None:
    """Writes failed.csv: a line a case without results, and why, in a sentence.

    Raises:
        CaseError: it cannot be written.
    """
    rows = [{"case": name, "reason": reason} for name, reason in sorted(failures.items())]
    _write(out / FAILED_TABLE, ("case", "reason"), rows)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)

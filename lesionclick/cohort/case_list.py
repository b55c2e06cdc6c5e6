"""List of cases: a CSV file (commas or semicolons) that names each case and says where it lies.

name,study              folder or zip of a study each, or
name,ct,pet             files of CT (HU) and PET (SUV)
[,clicks]               beside either, a file of clicks where the case has one: the challenge's JSON or 3D Slicer's

Paths that are not absolute are taken from the list's own folder. Other columns are passed over.
"""

import csv
import logging
from collections.abc import Mapping
from pathlib import Path

from lesionclick.cohort.cases import CohortCase
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

logger = logging.getLogger(__name__)

NAME, STUDY, CT, PET, CLICKS = COLUMNS = ("name", "study", "ct", "pet", "clicks")


def read_case_list(path: Path) -> list[CohortCase]:
    """The cases of a list, in its order.

    Raises:
        CaseError: the list cannot be read, a column is missing, a row lacks something or names a file that is not
            there; the sentence names the row's line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
    first = text.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True)
    try:
        columns = [column.strip().lower() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        if NAME not in columns or (STUDY not in columns and not {CT, PET} <= set(columns)):
            raise CaseError(
                f"{path}: has the columns {', '.join(columns)}, expected name and study, or name, ct and pet"
            )
        passed_over = [column for column in columns if column not in COLUMNS]
        if passed_over:
            logger.info("%s: passed over the columns %s", path, ", ".join(passed_over))
        cases = [_case_of(row, f"{path}, line {reader.line_num}", path.parent) for row in reader]
    except csv.Error as error:
        raise CaseError(f"{path}, line {reader.line_num}: is no CSV: {error}") from error
    if not cases:
        raise CaseError(f"{path}: names no case, expected a row for each")
    return cases


def _case_of(row: Mapping[str, str | None], place: str, base: Path) -> CohortCase:
    values = {column: (row.get(column) or "").strip() for column in COLUMNS}
    name = values.pop(NAME)
    if not name:
        raise CaseError(f"{place}: has no name")
    paths = {column: base / value for column, value in values.items() if value}
    if (STUDY in paths) == (CT in paths or PET in paths) or (CT in paths) != (PET in paths):
        raise CaseError(f"{place}: {name} has {' and '.join(paths) or 'no path'}, expected a study, or a ct and a pet")
    for column, path in paths.items():
        if not path.exists() or (column != STUDY and not path.is_file()):
            raise CaseError(f"{place}: the {column} of {name} is missing: {path}")
    return CohortCase(name, **paths)

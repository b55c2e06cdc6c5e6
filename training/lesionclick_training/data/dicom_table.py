"""Table (CSV) of DICOM studies -> cases of a dataset, a row each; goes on where it stopped.

Columns, of which only `study` has to be there: study, name, ct_series, pet_series, seg_series, segments,
annotated_segments, without_lesions, organs. They mean what they mean in `dicom.DicomStudy`; several series or segments
are separated by semicolons, without_lesions is yes or no, and paths start from the table's folder.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.dataset import case_names
from lesionclick.errors import CaseError
from lesionclick.files import describe_error
from lesionclick.log import Progress, logger
from lesionclick_training.data.dicom import ANNOTATED_MARGIN, DicomStudy, add_study
from lesionclick_training.data.organs import warn_of_missing_organs

COLUMNS = (
    "study",
    "name",
    "ct_series",
    "pet_series",
    "seg_series",
    "segments",
    "annotated_segments",
    "without_lesions",
    "organs",
)

TRUTH = {"": False, "no": False, "yes": True}
"""What the column without_lesions may hold."""


@dataclass(frozen=True)
class TableResult:
    """What became of the rows.

    Attributes:
        added: names of the cases that are new.
        skipped: names of those that the dataset had before.
        failed: numbers of the rows that gave no case; the log says why.
    """

    added: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[int, ...]

    def require_success(self, table: Path) -> None:
        """Raises CaseError with the numbers of the rows that failed, if any did."""
        if self.failed:
            count = len(self.added) + len(self.skipped) + len(self.failed)
            raise CaseError(
                f"{table}: {len(self.failed)} of {count} rows gave no case, see above: row "
                f"{', '.join(map(str, self.failed))}"
            )


def convert_dicom_table(
    table: Path, dataset: Path, annotated_margin: float = ANNOTATED_MARGIN, extend: Path | None = None
) -> TableResult:
    """Adds the studies of a table to a dataset; one that fails hinders no other.

    Args:
        table: the CSV file, UTF-8, with the columns' names in row 1.
        dataset: the folder DatasetXXX_Name; a case that it has already is skipped.
        annotated_margin: as in `dicom.DicomStudy`, for all rows.
        extend: a smaller dataset, which `dataset` is made of first, with the first case that is added.

    Raises:
        CaseError: the table cannot be read, has other columns, or gives two rows the same name; nothing is added then.
    """
    studies = _read_table(table, annotated_margin)
    if extend is not None and dataset.exists():
        raise CaseError(f"{dataset}: exists already, expected --extend to be left out where a table goes on")
    before = set(case_names(dataset))
    added: list[str] = []
    skipped: list[str] = []
    failed: list[int] = []
    without_organs = 0
    with Progress("converting studies", len(studies), "studies") as progress:
        for row, study in studies.items():
            try:
                if isinstance(study, CaseError):
                    raise study
                if study.case_name in before:
                    skipped.append(study.case_name)
                else:
                    added.append(add_study(study, dataset, extend if not added else None))
                    without_organs += study.organs is None
            except CaseError as error:
                logger.error("row %d: %s", row, error)
                failed.append(row)
            progress.update()
    warn_of_missing_organs(without_organs, len(added))
    return TableResult(tuple(added), tuple(skipped), tuple(failed))


def _read_table(table: Path, annotated_margin: float) -> dict[int, DicomStudy | CaseError]:
    """Number of the row's line, 1 for the columns' names -> study, or what is wrong with the row."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = tuple(reader.fieldnames or ())
            # spreadsheets leave rows without content behind
            numbered = ((reader.line_num, row) for row in reader)
            rows = {number: row for number, row in numbered if any(row.values())}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{table}: is not a table (CSV) that can be read: {describe_error(error)}") from error
    surplus = [column for column in columns if column not in COLUMNS]
    if surplus or "study" not in columns:
        found = f"the column {surplus[0]!r}" if surplus else "no column 'study'"
        raise CaseError(f"{table}: has {found}, expected study and any of {', '.join(COLUMNS[1:])}")
    studies: dict[int, DicomStudy | CaseError] = {}
    row_of_name: dict[str, int] = {}
    for number, row in rows.items():
        try:
            study = _parse_row(row, table.parent, annotated_margin)
        except CaseError as error:
            studies[number] = error
            continue
        other = row_of_name.setdefault(study.case_name, number)
        if other != number:
            raise CaseError(
                f"{table}: rows {other} and {number} are both the case {study.case_name}, expected two names"
            )
        studies[number] = study
    return studies


def _parse_row(row: Mapping[str | None, str | list[str] | None], folder: Path, annotated_margin: float) -> DicomStudy:
    cells: dict[str, str] = {}
    for column, cell in row.items():
        if column is None:
            raise CaseError("has more cells than there are columns")
        cells[column] = cell.strip() if isinstance(cell, str) else ""
    if not cells["study"]:
        raise CaseError("names no study")
    free = cells.get("without_lesions", "").lower()
    if free not in TRUTH:
        raise CaseError(f"without_lesions is {free!r}, expected yes or no")

    def several(column: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in cells.get(column, "").split(";") if part.strip())

    return DicomStudy(
        folder / cells["study"],
        name=cells.get("name") or None,
        ct_series=cells.get("ct_series") or None,
        pet_series=cells.get("pet_series") or None,
        seg_series=several("seg_series"),
        segments=several("segments"),
        annotated_segments=several("annotated_segments"),
        annotated_margin=annotated_margin,
        without_lesions=TRUTH[free],
        organs=folder / cells["organs"] if cells.get("organs") else None,
    )

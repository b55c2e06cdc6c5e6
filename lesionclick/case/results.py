"""Results of a case: a folder that appears whole or not at all, masks in it, and a record of how they were made."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

import lesionclick
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import write_mask
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, is_inside, read_json_object, require_writable, write_json

RECORD_FILE = "report.json"

PROGRAM = "lesionclick segment"


class OutputFormat(StrEnum):
    """Formats of a mask: images, by their endings, and DICOM objects."""

    nifti = "nii.gz"
    meta_image = "mha"
    nrrd = "nrrd"
    dicom_seg = "dicom-seg"
    rtstruct = "rtstruct"
    dicom_sr = "dicom-sr"

    @property
    def is_dicom(self) -> bool:
        """Whether it is an object that refers to a DICOM series."""
        return self in DICOM_FORMATS


class DicomSegments(StrEnum):
    """How a DICOM SEG holds lesions: as one segment each, or all as a single one."""

    per_lesion = "per-lesion"
    single = "single"


DICOM_FORMATS = (OutputFormat.dicom_seg, OutputFormat.rtstruct, OutputFormat.dicom_sr)


@contextlib.contextmanager
def results_folder(out: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `out` that becomes `out` if all goes well and vanishes otherwise.

    Args:
        out: the folder to write; it must be missing or empty.
        overwrite: whether it may hold former results, which are replaced; nothing else is.

    Raises:
        CaseError: there is something at `out` that must not be replaced, or it cannot be written.
    """
    _require_replaceable(out, overwrite)
    require_writable(out.absolute() / RECORD_FILE)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            folder = Path(temporary) / "new"
            folder.mkdir()
            yield folder
            _require_replaceable(out, overwrite)  # somebody may have put something there meanwhile
            if out.exists():
                out.rename(Path(temporary) / "former")
            folder.rename(out)
    except OSError as error:
        raise CaseError(f"{out}: cannot be written: {describe_error(error)}") from error


def _require_replaceable(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise CaseError(f"{out}: is a file, expected a folder or nothing there")
    held = sorted(path.name for path in out.iterdir())
    if not held:
        return
    if not overwrite:
        raise CaseError(f"{out}: is not empty, expected a new folder (or --overwrite, to replace former results)")
    record = read_json_object(out / RECORD_FILE, CaseError) if RECORD_FILE in held else {}
    files = record.get("files")
    if record.get("program") != PROGRAM or not isinstance(files, list):
        raise CaseError(f"{out}: holds no former results of {PROGRAM!r}, which alone are overwritten")
    others = [name for name in held if name not in files]
    if others:
        raise CaseError(f"{out}: holds {others[0]!r} beside former results, which alone are overwritten")


def place_among_results(path: Path, out: Path, folder: Path) -> Path:
    """Where to write a further file that is to be found at `path`, while results for `out` are written to `folder`.

    What belongs into `out` appears with the other results; everything else is written to its own place.

    Raises:
        CaseError: the path is that of `out` or above it.
    """
    if is_inside(out, path):
        raise CaseError(f"{path}: is the place of the results {out}, expected another file, which may lie in them")
    return folder / os.path.relpath(os.path.realpath(path), os.path.realpath(out)) if is_inside(path, out) else path


def write_masks(
    name: str, labels_zyx: np.ndarray, geometry: Geometry, formats: Iterable[OutputFormat], folder: Path
) -> list[Path]:
    """Writes a mask, or numbers of organs, as <name>.<ending> in those of the formats that are images.

    Args:
        name: of the files, without their ending.
        labels_zyx: whole numbers up to 255, of shape geometry.shape_zyx.
        geometry: taken over exactly.
        formats: others than of images are passed over.
        folder: to write to.

    Returns:
        The files.

    Raises:
        CaseError: a file cannot be written.
    """
    paths = [folder / f"{name}.{ending}" for ending in formats if not ending.is_dicom]
    for path in paths:
        write_mask(labels_zyx, geometry, path)
    return paths


def write_record(record: Mapping[str, Any], folder: Path) -> Path:
    """Writes how results were made: report.json, with this program, its version and all files of the folder.

    Raises:
        CaseError: the file cannot be written.
    """
    path = folder / RECORD_FILE
    files = sorted({entry.name for entry in folder.iterdir()} | {RECORD_FILE})
    document = {"program": PROGRAM, "version": lesionclick.__version__, **record, "files": files}
    write_json(document, path)
    return path

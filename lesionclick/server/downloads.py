"""Downloads: images, masks and folders as files that are removed once they are sent.

They wait on the disk, since a client may take its time, and many may ask.
"""

import gzip
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from lesionclick.case.case import Case
from lesionclick.case.images import write_image


def download(
    ending: str,
    write: Callable[[Path], object],
    media_type: str,
    headers: Mapping[str, str],
) -> FileResponse:
    """An answer that brings a file.

    Args:
        ending: of the file's name.
        write: makes the file at a path where there is nothing yet.
        media_type: what it is.
        headers: of the answer.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / f"file{ending}"
        write(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=media_type,
        headers=headers,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def write_ct(case: Case, path: Path) -> None:
    """Writes a case's CT as .nii.gz: int16, HU."""
    rounded = np.round(case.ct_zyx)
    _write_nifti(np.clip(rounded, -32768, 32767, out=rounded).astype(np.int16), case, path)


def write_pet(case: Case, path: Path) -> None:
    """Writes a case's PET as .nii.gz: float32, SUV."""
    _write_nifti(case.pet_zyx, case, path)


def _write_nifti(array_zyx: np.ndarray, case: Case, path: Path) -> None:
    """Packs quickly rather than well: most readers sit at the same computer."""
    plain = path.with_name("plain.nii")
    write_image(array_zyx, case.geometry, plain)
    with plain.open("rb") as source, gzip.open(path, "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    plain.unlink()

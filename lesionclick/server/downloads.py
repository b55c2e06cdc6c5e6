"""Downloads: images and masks as bytes of a file, for pages and people."""

import gzip
import tempfile
from pathlib import Path

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import write_image, write_mask


def ct_nifti(case: Case) -> bytes:
    """A case's CT as .nii.gz: int16, HU."""
    return _nifti(np.clip(np.round(case.ct_zyx), -32768, 32767).astype(np.int16), case.geometry)


def pet_nifti(case: Case) -> bytes:
    """A case's PET as .nii.gz: float32, SUV."""
    return _nifti(case.pet_zyx, case.geometry)


def mask_file(mask_zyx: np.ndarray, geometry: Geometry, ending: str) -> bytes:
    """A mask in the format of an ending (.mha, .nii.gz): uint8, on the exact geometry."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{ending}"
        write_mask(mask_zyx, geometry, path)
        return path.read_bytes()


def _nifti(array_zyx: np.ndarray, geometry: Geometry) -> bytes:
    """Packed quickly rather than well: most readers sit at the same computer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.nii"
        write_image(array_zyx, geometry, path)
        return gzip.compress(path.read_bytes(), 1, mtime=0)

"""Files of a phantom: a case in nnU-Net's raw layout or in the container's."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.case import CLICKS_FILE, CT_FOLDER, PET_FOLDER, TRUTH_FILE
from lesionclick.case.clicks import Click, write_clicks
from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.phantom import Phantom
from lesionclick_training.phantom.shapes import Triple


def _image(volume: np.ndarray, spacing_zyx: Triple) -> sitk.Image:
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing([float(step) for step in reversed(spacing_zyx)])
    return image


def _stored_ct(phantom: Phantom) -> sitk.Image:
    """The CT in whole HU."""
    return _image(np.round(phantom.ct_zyx).astype(np.int16), phantom.spacing_zyx)


def _stored_pet(phantom: Phantom) -> sitk.Image:
    """The PET to 1 in 1000 above SUV 4 and to 1/256 SUV below, which makes a compressed file a third as large."""
    _, exponent = np.frexp(phantom.pet_zyx)
    step = np.ldexp(np.float32(1), np.maximum(exponent - 10, -7))
    return _image((np.round(phantom.pet_zyx / step) * step).astype(np.float32), phantom.spacing_zyx)


def write_nnunet_case(phantom: Phantom, dataset: Path, name: str) -> None:
    """Writes a phantom as a training case (`nnunet_layout.write_case`), CT and PET rounded to what a scan is worth."""
    label = nnunet_layout.stack_label(phantom.lesion_zyx, phantom.organ_zyx)
    nnunet_layout.write_case(dataset, name, _stored_ct(phantom), _stored_pet(phantom), label)


def write_container_case(phantom: Phantom, folder: Path, clicks: Iterable[Click]) -> None:
    """Writes a phantom as the container reads it, named after the folder, with its truth beside it.

    The files are images/ct/<name>.mha (int16, HU), images/pet/<name>.mha (float32, SUV), lesion-clicks.json and
    truth.mha (uint8, 1 in lesions).
    """
    images = {
        folder / CT_FOLDER / f"{folder.name}.mha": _stored_ct(phantom),
        folder / PET_FOLDER / f"{folder.name}.mha": _stored_pet(phantom),
        folder / TRUTH_FILE: _image(phantom.lesion_zyx, phantom.spacing_zyx),
    }
    for path, image in images.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), useCompression=True)
    write_clicks(clicks, folder / CLICKS_FILE)

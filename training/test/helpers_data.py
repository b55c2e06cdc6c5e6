"""Made-up releases for the converters, and cases read as nnU-Net reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from lesionclick_training.data.organ_classes import TOTAL_V2, Task

SHAPE = (6, 8, 10)  # z, y, x

SPACING = (2.0, 3.0, 4.0)  # x, y, z, mm

AUTOPET_CASES = (
    "fdg_0011f3deaf_03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-10445",
    "fdg_b_1",
    "psma_c_2",
    "psma_d_3",
)


def make_image(
    array: np.ndarray,
    spacing: tuple[float, ...] = SPACING,
    origin: tuple[float, ...] = (-5.0, 7.0, 11.0),
) -> sitk.Image:
    """An image somewhere off the world's origin; spacing and origin are x, y, z in mm."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def write_image(image: sitk.Image, path: Path) -> Path:
    """Writes an image, and its folder where that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def read_stored(dataset: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (CT, PET) and label (lesion, organ) of a case as nnU-Net reads them, which also checks their spacings."""
    reader = SimpleITKIO()
    images, properties = reader.read_images(
        [str(dataset / f"imagesTr/{name}_000{channel}.nii.gz") for channel in (0, 1)]
    )
    label, label_properties = reader.read_seg(str(dataset / f"labelsTr/{name}.nii.gz"))
    assert np.allclose(properties["spacing"], label_properties["spacing"])
    assert label.shape == images.shape
    return images, label


def file_names(folder: Path) -> list[str]:
    """What lies in a folder, sorted; nothing where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def write_release(folder: Path) -> Path:
    """Writes a release like autoPET's, with two folds."""
    random = np.random.default_rng(1)
    for name in AUTOPET_CASES:
        write_image(make_image(random.normal(size=SHAPE).astype(np.float32)), folder / f"imagesTr/{name}_0000.nii.gz")
        write_image(make_image(random.random(SHAPE).astype(np.float32)), folder / f"imagesTr/{name}_0001.nii.gz")
        write_image(make_image((random.random(SHAPE) > 0.9).astype(np.uint8)), folder / f"labelsTr/{name}.nii.gz")
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(AUTOPET_CASES),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    splits = [
        {"train": list(AUTOPET_CASES[2:]), "val": list(AUTOPET_CASES[:2])},
        {"train": list(AUTOPET_CASES[:2]), "val": list(AUTOPET_CASES[2:])},
    ]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    return folder


def write_release_clicks(folder: Path) -> Path:
    """Writes a tumor click for every case of the release, and for a case that is not in it."""
    folder.mkdir()
    for index, name in enumerate((*AUTOPET_CASES, "fdg_of_no_interest")):
        write_points(folder / f"{name}_clicks.json", [[9 - index, 7, 5]])
    return folder


def write_points(path: Path, points: Sequence[Sequence[int]]) -> None:
    """Writes tumor clicks x, y, z in the challenge's format."""
    listed = [{"point": point, "name": "tumor"} for point in points]
    path.write_text(json.dumps({"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": listed}))


def write_challenge(folder: Path) -> Path:
    """Writes training data like DEEP-PSMA's of two patients, CT and organs on a finer grid than PET and lesions."""
    for number in ("0001", "0012"):
        for tracer, uptake in (("PSMA", 2.0), ("FDG", 3.0)):
            study = folder / f"train_{number}" / tracer
            pet = np.full(SHAPE, uptake)
            pet[2, 3, 4] = 20
            write_image(make_image(pet), study / "PET.nii.gz")  # float64
            write_image(make_image((pet > 10).astype(np.uint8)), study / "TTB.nii.gz")
            # the CT: half the spacing, one PET voxel shorter at the start of x; HU rise by 10 a mm of x
            x = np.arange(18) * 1.0
            ct = np.broadcast_to(10 * x, (12, 16, 18)).astype(np.int16)
            grid = {"spacing": (1.0, 1.5, 2.0), "origin": (-3.0, 7.0, 11.0)}
            write_image(make_image(ct, **grid), study / "CT.nii.gz")
            organs = np.zeros((12, 16, 18), dtype=np.uint8)
            organs[:, :, 4:6] = 90
            organs[0, 0, 0] = 25
            write_image(make_image(organs, **grid), study / "totseg_24.nii.gz")
            (study / "threshold.json").write_text('{"suv_threshold": 3.0}')
            (study / "rigid.tfm").write_text("#Insight Transform File V1.0\n")
    (folder / "readme.txt").write_text("")
    return folder


def write_masks(folder: Path, masks: Mapping[str, np.ndarray], shape: tuple[int, ...], task: Task = TOTAL_V2) -> Path:
    """Writes a folder with a mask for every class of a task that organs of ours need; those not given are empty."""
    for name in task.indices:
        mask = masks.get(name, np.zeros(shape, dtype=np.uint8))
        write_image(
            make_image(mask.astype(np.uint8), spacing=(4.0, 6.0, 8.0), origin=(-4.0, 8.5, 13.0)),
            folder / f"{name}.nii.gz",
        )
    return folder

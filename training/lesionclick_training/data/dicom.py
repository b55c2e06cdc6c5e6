"""DICOM study with a CT series, a PET series and segmentations (TCGA-LUAD, NSCLC Radiogenomics) -> a case of a dataset.

Everything ends up on the PET's grid: the CT (HU) resampled linearly, the DICOM SEG by nearest neighbor. The PET becomes
body-weight SUV from its headers (`lesionclick.dicom.suv`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesionclick.case.images import resample_ct
from lesionclick.dicom.segmentation import choose_segments, read_lesions
from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.dicom.volume import read_ct, require_frame_of_reference
from lesionclick.errors import CaseError
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case
from lesionclick_training.data.organs import read_organs


def convert_dicom(
    study: Path,
    dataset: Path,
    name: str | None = None,
    ct_series: str | None = None,
    pet_series: str | None = None,
    segments: Sequence[str] = (),
    without_lesions: bool = False,
    organs: Path | None = None,
) -> str:
    """Adds one study to a dataset, which is made where it is missing.

    Args:
        study: the folder, searched through all its subfolders; files that are not DICOM are passed over.
        dataset: the folder DatasetXXX_Name.
        name: of the case; by default that of the study's folder.
        ct_series: SeriesInstanceUID of the CT, needed where the study has several.
        pet_series: that of the PET, likewise.
        segments: labels of the segments that are lesions, * and ? allowed; needed where there are several segments.
        without_lesions: says that the study is free of lesions; needed where it has no segmentation.
        organs: an organ label as `organs.write_organs` writes it, on any grid (that of the CT, say).

    Returns:
        The case's name.

    Raises:
        CaseError: the study is incomplete, ambiguous or contradicts itself, or the dataset has such a case; nothing is
            added then.
    """
    name = study.resolve().name if name is None else name
    if not name or Path(name).name != name:
        raise CaseError(f"{name!r} cannot name a case, expected a plain name without folders")
    found = find_series(study)
    pet = read_suv(choose_series(study, found, "PT", pet_series))
    ct = read_ct(choose_series(study, found, "CT", ct_series))
    require_frame_of_reference(ct.slices[0], pet)
    segmentations = [path for series in found if series.modality == "SEG" for path in series.paths]
    if without_lesions and segmentations:
        raise CaseError(f"{segmentations[0]}: a segmentation in a study that was said to be without lesions")
    if without_lesions:
        lesions = np.zeros(pet.image.GetSize()[::-1], dtype=np.uint8)
    else:
        lesions = read_lesions(choose_segments(study, segmentations, segments), pet, ct)
    organ = None if organs is None else read_organs(organs, pet.image)
    with adding_cases(dataset) as staged:
        write_case(staged, name, resample_ct(ct.image, pet.image), pet.image, stack_label(lesions, organ))
    return name

"""DICOM study with a CT series, a PET series and segmentations (TCGA-LUAD, NSCLC Radiogenomics) -> a case of a dataset.

Everything ends up on the PET's grid: the CT (HU) resampled linearly, the DICOM SEG by nearest neighbor. The PET becomes
body-weight SUV from its headers (`lesionclick.dicom.suv`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from lesionclick.case.geometry import Geometry
from lesionclick.case.images import resample_ct
from lesionclick.dicom.segmentation import SegmentChoice, choose_segments, read_segments, segment_labels
from lesionclick.dicom.series import Series, choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.dicom.volume import read_ct, require_frame_of_reference
from lesionclick.errors import CaseError
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case
from lesionclick_training.data.organs import read_organs, warn_of_missing_organs

ANNOTATED_MARGIN = 10.0
"""mm around the annotated region that belong to it, too: the pleura and the tumors in it lie around the lungs."""


@dataclass(frozen=True)
class DicomStudy:
    """A study and what in it is to be taken.

    Attributes:
        folder: searched through all its subfolders; files that are not DICOM are passed over.
        name: of the case; None for that of the study's folder.
        ct_series: SeriesInstanceUID of the CT, needed where several can be meant (`dicom.series.choose_series`).
        pet_series: that of the PET, likewise.
        seg_series: those of the segmentations to look at, needed where several hold a segment of the same label: an
            algorithm's and a reader's correction of it, say; empty for all.
        segments: labels of the segments that are lesions, * and ? allowed; needed where there are several segments.
        annotated_segments: those that tell where somebody looked for lesions, likewise. Outside of them it is
            unknown whether there is a lesion, but lesions are lesions. Empty where somebody looked everywhere.
        annotated_margin: mm by which that region is made larger.
        without_lesions: says that the study is free of lesions; needed where no segment is one.
        organs: an organ label as `organs.write_organs` writes it, on any grid (that of the CT, say); without one the
            organs are unknown.
    """

    folder: Path
    name: str | None = None
    ct_series: str | None = None
    pet_series: str | None = None
    seg_series: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    annotated_segments: tuple[str, ...] = ()
    annotated_margin: float = ANNOTATED_MARGIN
    without_lesions: bool = False
    organs: Path | None = None

    @property
    def case_name(self) -> str:
        """The case's name."""
        return self.folder.resolve().name if self.name is None else self.name


def convert_dicom(study: DicomStudy, dataset: Path, extend: Path | None = None) -> str:
    """Adds one study to a dataset, which is made where it is missing; logs a warning where its organs are unknown.

    Args:
        study: what is to be taken from where.
        dataset: the folder DatasetXXX_Name.
        extend: a smaller dataset, which `dataset` is made of first (`nnunet_layout.adding_cases`).

    Returns:
        The case's name.

    Raises:
        CaseError: the study is incomplete, ambiguous or contradicts itself, or the dataset has such a case; nothing is
            added then.
    """
    name = add_study(study, dataset, extend)
    warn_of_missing_organs(int(study.organs is None), 1)
    return name


def add_study(study: DicomStudy, dataset: Path, extend: Path | None = None) -> str:
    """Does what `convert_dicom` does, without its warning."""
    name = study.case_name
    if not name or Path(name).name != name:
        raise CaseError(f"{name!r} cannot name a case, expected a plain name without folders")
    ct, pet, label = _read_study(study)
    with adding_cases(dataset, extend=extend) as staged:
        write_case(staged, name, ct, pet, label)
    return name


def _read_study(study: DicomStudy) -> tuple[sitk.Image, sitk.Image, np.ndarray]:
    """CT (HU), PET (SUV) and label (`nnunet_layout.stack_label`), all on the PET's grid."""
    found = find_series(study.folder)
    pet = read_suv(choose_series(study.folder, found, "PT", study.pet_series))
    ct = read_ct(choose_series(study.folder, found, "CT", study.ct_series))
    require_frame_of_reference(ct.slices[0], pet)
    if study.seg_series:
        segmentations = [choose_series(study.folder, found, "SEG", uid) for uid in study.seg_series]
    else:
        segmentations = [series for series in found if series.modality == "SEG"]
    paths = [path for series in segmentations for path in series.paths]
    chosen = choose_segments(
        study.folder, paths, study.segments, study.annotated_segments, without_lesions=study.without_lesions
    )
    if not study.seg_series:
        _require_one_series_a_label(study.folder, segmentations, chosen)
    lesions, annotated = read_segments(chosen.lesions, pet, ct), None
    if chosen.annotated:
        spacing_zyx = Geometry.of(pet.image).spacing_zyx
        annotated = _widen(read_segments(chosen.annotated, pet, ct), spacing_zyx, study.annotated_margin)
    organ = None if study.organs is None else read_organs(study.organs, pet.image)
    return resample_ct(ct.image, pet.image), pet.image, stack_label(lesions, organ, annotated)


def _require_one_series_a_label(folder: Path, segmentations: Sequence[Series], chosen: SegmentChoice) -> None:
    """Raises CaseError where chosen segments of different series share their label: versions of one, most likely."""
    series_of_label: dict[str, set[str]] = defaultdict(set)
    for series in segmentations:
        for path in series.paths:
            for number in (*chosen.lesions.get(path, ()), *chosen.annotated.get(path, ())):
                series_of_label[segment_labels(path)[number]].add(series.uid)
    for label, uids in sorted(series_of_label.items()):
        if len(uids) > 1:
            listed = "; ".join(f"{series.uid} ({series.description})" for series in segmentations if series.uid in uids)
            raise CaseError(
                f"{folder}: the segment {label!r} is in {len(uids)} SEG series, name those that count by their UID: "
                f"{listed}"
            )


def _widen(mask: np.ndarray, spacing_zyx: Sequence[float], margin: float) -> np.ndarray:
    """A mask with all voxels that are no further than `margin` (mm) from one of its own; bool."""
    wider: np.ndarray = ndimage.distance_transform_edt(mask == 0, sampling=spacing_zyx) <= margin
    return wider

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import pydicom
from helpers_dicom import (
    CT_ORIGIN,
    CT_SHAPE,
    CT_SPACING,
    PET_ORIGIN,
    PET_SHAPE,
    PET_SPACING,
    SyntheticStudy,
)
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML

from lesionclick.dicom.segmentation import choose_segments, read_segments
from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.dicom.volume import SeriesVolume, read_ct
from lesionclick.errors import CaseError


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


@pytest.fixture
def volumes(study: SyntheticStudy, tmp_path: Path) -> tuple[SeriesVolume, SeriesVolume]:
    """PET and CT."""
    found = find_series(study.write(tmp_path / "study"))
    return read_suv(choose_series(tmp_path, found, "PT")), read_ct(choose_series(tmp_path, found, "CT"))


def nearest_ct_voxels() -> tuple[np.ndarray, ...]:
    """For each PET voxel's center the nearest CT voxel, z y x, by hand; no center lies halfway."""
    indices = np.indices(PET_SHAPE)
    nearest = []
    for axis in range(3):
        world = PET_ORIGIN[2 - axis] + indices[axis] * PET_SPACING[2 - axis]
        position = (world - CT_ORIGIN[2 - axis]) / CT_SPACING[2 - axis]
        assert not np.isclose(position % 1, 0.5).any()
        nearest.append(np.round(position).astype(int))
    return tuple(nearest)


def test_segment_on_the_pet_grid_lands_voxel_by_voxel(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    lesion = np.zeros(PET_SHAPE, dtype=np.uint8)
    lesion[1, 2, 3] = lesion[1, 2, 4] = lesion[4, 5, 0] = 1  # slices 0, 2 and 3 have no frame
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.pet)
    chosen = choose_segments(tmp_path, [path]).lesions
    assert chosen == {path: [1]}
    lesions = read_segments(chosen, *volumes)
    assert lesions.dtype == np.uint8
    assert np.array_equal(lesions, lesion)


@pytest.mark.parametrize("keep_spacing", [True, False])
def test_segment_on_the_ct_grid_goes_to_the_nearest_pet_voxels(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path, keep_spacing: bool
) -> None:
    lesion = np.zeros(CT_SHAPE, dtype=np.uint8)
    lesion[1, 2:5, 3:8] = lesion[9, 8, 5] = 1  # frames 1 and 9 alone: their distance is not that of the slices
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.ct)
    stored = pydicom.dcmread(path)
    measures = stored.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == CT_SPACING[2]
    if not keep_spacing:
        del measures.SpacingBetweenSlices
        stored.save_as(path)
    expected = lesion[nearest_ct_voxels()]
    assert expected.sum() > 1
    assert np.array_equal(read_segments({path: [1]}, *volumes), expected)


def test_segment_without_spacing_has_to_refer_to_a_series_of_the_study(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    lesion = np.ones(PET_SHAPE, dtype=np.uint8)
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.pet)
    stored = pydicom.dcmread(path)
    del stored.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    stored.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    stored.save_as(path)
    with pytest.raises(CaseError, match=r"seg\.dcm: SpacingBetweenSlices \(0018,0088\) is missing and it does not"):
        read_segments({path: [1]}, *volumes)


def test_of_several_segments_those_are_taken_whose_label_fits(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    first, second, liver = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(3))
    first[1, 1, 1] = second[2, 2, 2:5] = liver[3] = 1
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lesion 1": first, "Liver": liver, "Lesion 2": second}, study.pet)
    with pytest.raises(CaseError, match=r"holds 3 segments \(Lesion 1, Lesion 2, Liver\), name those that are lesions"):
        choose_segments(tmp_path, [path], [])
    with pytest.raises(CaseError, match="no segment is called 'Tumor', there are Lesion 1, Lesion 2, Liver"):
        choose_segments(tmp_path, [path], ["Tumor", "Lesion *"])
    chosen = choose_segments(tmp_path, [path], ["Lesion *"]).lesions
    assert chosen == {path: [1, 3]}
    assert np.array_equal(read_segments(chosen, *volumes), first | second)


def test_segments_tell_where_somebody_looked_for_lesions(study: SyntheticStudy, tmp_path: Path) -> None:
    masks = {label: np.ones(PET_SHAPE, dtype=np.uint8) for label in ("Lung", "FDG-Avid Tumor", "Pleura")}
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, masks, study.pet)
    chosen = choose_segments(tmp_path, [path], ["*Tumor"], ["Lung", "Pleura"])
    assert (chosen.lesions, chosen.annotated) == ({path: [2]}, {path: [1, 3]})
    assert choose_segments(tmp_path, [path], [], ["Lung", "Pleura"]) == chosen  # the only one that is left
    assert choose_segments(tmp_path, [path], ["*Tumor"]).annotated == {}
    with pytest.raises(CaseError, match="name those that are lesions"):
        choose_segments(tmp_path, [path], [], ["Lung"])
    with pytest.raises(
        CaseError, match=r"seg\.dcm: the segment 'Lung' is named both as lesion and as annotated region"
    ):
        choose_segments(tmp_path, [path], ["FDG*", "L*"], ["Lung"])
    with pytest.raises(CaseError, match="no segment is called 'Heart', there are FDG-Avid Tumor, Lung, Pleura"):
        choose_segments(tmp_path, [path], ["FDG*"], ["Heart"])


def test_a_study_without_lesions_may_have_a_region(study: SyntheticStudy, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lung": np.ones(PET_SHAPE, dtype=np.uint8)}, study.pet)
    chosen = choose_segments(tmp_path, [path], [], ["Lung"], without_lesions=True)
    assert (chosen.lesions, chosen.annotated) == ({}, {path: [1]})
    assert choose_segments(tmp_path, [], without_lesions=True).annotated == {}
    with pytest.raises(CaseError, match=r"is said to be without lesions and has a segment for them \(Lung\)"):
        choose_segments(tmp_path, [path], without_lesions=True)
    with pytest.raises(CaseError, match="holds no DICOM SEG"):
        choose_segments(tmp_path, [], [], ["Lung"], without_lesions=True)


def test_segments_of_several_files_are_united(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    first, second = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    first[1, 1, 1] = second[2, 2, 2:5] = 1
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for path, lesion in zip(paths, (first, second), strict=True):
        study.write_segmentation(path, {"Lesion": lesion}, study.pet)
    chosen = choose_segments(tmp_path, paths, ["Lesion"]).lesions
    assert np.array_equal(read_segments(chosen, *volumes), first | second)


def test_no_segmentation_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CaseError, match="holds no DICOM SEG, expected one unless the study is declared free of lesions"
    ):
        choose_segments(tmp_path, [], [])


def test_a_file_that_is_no_segmentation_is_named(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    path = next((tmp_path / "study" / "PT").iterdir())
    with pytest.raises(CaseError, match=rf"{path.name}: is not a DICOM SEG that can be read"):
        choose_segments(tmp_path, [path], [])


def test_a_segmentation_has_to_belong_to_the_study(
    study: SyntheticStudy, volumes: tuple[SeriesVolume, SeriesVolume], tmp_path: Path
) -> None:
    lesion = np.zeros(CT_SHAPE, dtype=np.uint8)
    lesion[2, 3, 4] = 1  # a voxel of the CT that is no PET voxel's nearest
    path = tmp_path / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.ct)
    with pytest.raises(CaseError, match=r"seg\.dcm: its chosen segments leave no voxel on the PET's grid"):
        read_segments({path: [1]}, *volumes)
    stored = pydicom.dcmread(path)
    stored.FrameOfReferenceUID = "1.2.3"
    stored.save_as(path)
    with pytest.raises(CaseError, match=r"seg\.dcm: FrameOfReferenceUID \(0020,0052\) is 1\.2\.3, not the PET's"):
        read_segments({path: [1]}, *volumes)


def test_a_segmentation_that_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    study = SyntheticStudy()
    folder, mask = study.write(tmp_path / "study"), np.zeros(PET_SHAPE, dtype=np.uint8)
    mask[1, 2, 3] = 1
    study.write_segmentation(folder / "seg.dcm", {"Lesion": mask}, study.pet)
    header = pydicom.dcmread(folder / "seg.dcm")
    header.file_meta.TransferSyntaxUID = MPEG2MPML
    header.PixelData = encapsulate([bytes(100)])
    header["PixelData"].VR = "OB"
    header.save_as(folder / "seg.dcm")
    found = find_series(folder)
    pet, ct = read_suv(choose_series(folder, found, "PT")), read_ct(choose_series(folder, found, "CT"))
    with pytest.raises(CaseError, match=r"seg\.dcm: its pixels cannot be read: .*MPEG2"):
        read_segments({folder / "seg.dcm": [1]}, pet, ct)

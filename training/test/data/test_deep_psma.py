import json
from pathlib import Path

import numpy as np
import pytest
from helpers_data import SHAPE, file_names, make_image, read_stored, write_challenge, write_image, write_release

from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.deep_psma import convert_deep_psma
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.data.organs import write_organs


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    return write_challenge(tmp_path / "deep-psma")


def test_deep_psma_resamples_ct_and_organs_to_the_pet(challenge: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset300_DeepPSMA"
    names = convert_deep_psma(challenge, dataset)
    expected = ["deep-psma_0001_psma", "deep-psma_0001_fdg", "deep-psma_0012_psma", "deep-psma_0012_fdg"]
    assert names == expected
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 4
    for name, uptake in ((expected[0], 2), (expected[3], 3)):
        images, label = read_stored(dataset, name)
        # x of the PET's voxels: -5, -3, -1, ... 13; the CT begins at -3 and ends at 14
        row = np.array([-1024, 0, 20, 40, 60, 80, 100, 120, 140, 160])
        assert np.allclose(images[0, 2, 3], row)
        assert images[1, 2, 3, 4] == 20
        assert images[1, 0, 0, 0] == uptake
        assert np.argwhere(label[0]).tolist() == [[2, 3, 4]]
        # the CT's columns 4 and 5 (x = 1 and 2): the PET's column 3 alone has its center (1) there
        assert (label[1][:, :, 3] == 7).all()
        # no lungs are labeled, so that glands, which totseg_24 has not, may be anywhere else
        assert (np.delete(label[1], 3, axis=2) == UNKNOWN).all()


def test_deep_psma_takes_organ_labels_with_glands(challenge: Path, tmp_path: Path) -> None:
    organ = np.full(SHAPE, 10, dtype=np.uint8)
    for number in ("0001", "0012"):
        for tracer in ("psma", "fdg"):
            write_organs(tmp_path / "organs" / f"deep-psma_{number}_{tracer}.nii.gz", organ, make_image(organ))
    convert_deep_psma(challenge, tmp_path / "Dataset300_DeepPSMA", organs=tmp_path / "organs")
    assert (read_stored(tmp_path / "Dataset300_DeepPSMA", "deep-psma_0001_fdg")[1][1] == 11).all()


def test_deep_psma_studies_without_an_organ_label_of_their_own_keep_that_of_the_challenge(
    challenge: Path, tmp_path: Path
) -> None:
    organ = np.full(SHAPE, 10, dtype=np.uint8)
    write_organs(tmp_path / "organs" / "deep-psma_0001_psma.nii.gz", organ, make_image(organ))
    convert_deep_psma(challenge, tmp_path / "Dataset300_DeepPSMA", organs=tmp_path / "organs")
    assert (read_stored(tmp_path / "Dataset300_DeepPSMA", "deep-psma_0001_psma")[1][1] == 11).all()
    assert (read_stored(tmp_path / "Dataset300_DeepPSMA", "deep-psma_0001_fdg")[1][1][:, :, 3] == 7).all()


def test_deep_psma_extends_a_smaller_dataset(challenge: Path, tmp_path: Path) -> None:
    smaller = tmp_path / "Dataset221_AutoPET"
    convert_autopet(write_release(tmp_path / "release"), smaller)
    dataset = tmp_path / "Dataset222_More"
    convert_deep_psma(challenge, dataset, extend=smaller)
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 8
    before, after = (json.loads((folder / "splits_final.json").read_text()) for folder in (smaller, dataset))
    for fold, larger in zip(before, after, strict=True):
        assert larger["val"] == fold["val"]
        assert set(larger["train"]) - set(fold["train"]) == {
            f"deep-psma_{number}_{tracer}" for number in ("0001", "0012") for tracer in ("psma", "fdg")
        }


def test_deep_psma_refuses_other_layouts(challenge: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "raw" / "Dataset300_DeepPSMA"
    study = challenge / "train_0012" / "FDG"
    write_image(make_image(np.full(SHAPE, 24, np.uint8)), study / "totseg_24.nii.gz")
    with pytest.raises(CaseError, match=r"FDG/totseg_24\.nii\.gz: its largest value is 24, so it holds no bone"):
        convert_deep_psma(challenge, dataset)
    write_image(make_image(np.ones((12, 16, 18), np.uint8), spacing=(1.0, 1.5, 2.0)), study / "TTB.nii.gz")
    with pytest.raises(CaseError, match=r"PET and label .* size is .* and \(18, 16, 12\) in .*FDG/TTB\.nii\.gz"):
        convert_deep_psma(challenge, dataset)
    (study / "PET.nii.gz").unlink()
    with pytest.raises(CaseError, match=r"train_0012/FDG/PET\.nii\.gz: the file is missing from the study"):
        convert_deep_psma(challenge, dataset)
    with pytest.raises(CaseError, match="holds no folder train_<number>"):
        convert_deep_psma(challenge / "train_0001", dataset)
    assert file_names(tmp_path / "raw") == []

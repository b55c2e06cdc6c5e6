import json
from pathlib import Path

import numpy as np
import pytest
from helpers_data import AUTOPET_CASES, SHAPE, make_image, write_release

from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case, write_dataset_json


def test_cases_added_later_join_the_training_side_of_every_fold(tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(write_release(tmp_path / "release"), dataset)
    before = json.loads((dataset / "splits_final.json").read_text())
    write_dataset_json(dataset, "for tests")
    image = make_image(np.zeros(SHAPE, np.float32))

    with adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))

    after = json.loads((dataset / "splits_final.json").read_text())
    assert after == [{"train": [*fold["train"], "more"], "val": fold["val"]} for fold in before]
    content = json.loads((dataset / "dataset.json").read_text())
    assert (content["numTraining"], content["description"]) == (len(AUTOPET_CASES) + 1, "for tests")
    with pytest.raises(CaseError, match="has a case more already"), adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))


def test_an_image_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    image = make_image(np.zeros(SHAPE, np.float32))
    (tmp_path / "imagesTr").write_text("in the way")
    with pytest.raises(CaseError, match=r"imagesTr/case_0000\.nii\.gz: cannot be written: "):
        write_case(tmp_path, "case", image, image, stack_label(np.zeros(SHAPE, np.uint8)))

"""The recipe: every command of docs/recipe.md, read from the page, on toy data in the public layouts."""

import json
import os
import re
import shlex
import string
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_data import write_image
from helpers_dicom import PET_SHAPE, SyntheticStudy
from helpers_training import quick_preprocessing, tiny_environment, write_multitalent
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

import lesionclick.cli.main
import lesionclick_training.cli.main
from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings
from lesionclick.model.folder import ModelFolder
from lesionclick.session.session import Session
from lesionclick.simulation.official_clicks import simulate_official
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkPlan, NetworkSize
from lesionclick_training.nnunet.training import find_trainer
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.phantom.phantom import Phantom, make_phantom

ROOT = Path(__file__).resolve().parents[3]

PAGE = ROOT / "docs/recipe.md"

SPACING = 16.0  # mm, along each axis

TINY = NetworkPlan("LesionClickPublishedPlans", (SPACING,) * 3, (16, 16, 16), (4, 8, 8, 8), (1, 1, 1, 1))

SHORT = {"LESIONCLICK_EPOCHS": "1", "LESIONCLICK_ITERATIONS": "1", "LESIONCLICK_VAL_ITERATIONS": "1"}

CASES = (
    "fdg_0011f3deaf_03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-10445",
    "fdg_0011f3deaf_01-01-2004-NA-PET-CT Ganzkoerper  primaer mit KM-20445",
    "fdg_1cb2d26a19_06-04-2007-NA-PET-CT Ganzkoerper  primaer mit KM-70937",
    "fdg_389c968170_02-17-2006-NA-PET-CT Ganzkoerper  primaer mit KM-04769",
    "psma_0179419e313f7d8c_2019-06-10",
    "psma_1983760ba540893d_2014-09-21",
)

COMMANDS = {"lesionclick-train": lesionclick_training.cli.main.main, "lesionclick": lesionclick.cli.main.main}

BY_HAND = ("pip", "./build.sh", "./export.sh")  # the environment is there; test_container.py runs the scripts


def shown_lines() -> list[str]:
    """The lines of the page's code blocks."""
    return re.findall(r"^ {4}(\S.*)", PAGE.read_text(), re.MULTILINE)


def expand(line: str) -> list[str]:
    """A line as one command, or as those of its loop."""
    loop = re.fullmatch(r"for (\w+) in (.*); do (.*); done", line)
    if loop is None:
        return [line]
    variable, values, command = loop.groups()
    return [command.replace(f"${variable}", value) for value in values.split()]


def run(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs one command in this process, on the CPU, which is all that is changed of it."""
    program, *arguments = shlex.split(string.Template(command).substitute(os.environ))
    if program == "export":
        name, value = arguments[0].split("=", 1)
        os.environ[name] = value
        return
    if program in BY_HAND:
        return
    if arguments[0] == "train":
        arguments += ["--device", "cpu"]
    with pytest.raises(SystemExit) as stopped:
        COMMANDS[program](arguments)
    assert stopped.value.code == 0, f"{command}\n{capsys.readouterr().err}"


def write(path: Path, array: np.ndarray, step: int = 1) -> None:
    """Writes a volume, each voxel cut into `step` in every direction."""
    for axis in range(3):
        array = array.repeat(step, axis)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((SPACING / step,) * 3)
    image.SetOrigin(((SPACING / step - SPACING) / 2,) * 3)
    write_image(image, path)


def write_release(folder: Path, phantoms: list[Phantom]) -> None:
    """Writes RELEASE, CLICKS.zip (half of the files in either format) and ORGANS as they are published."""
    with zipfile.ZipFile(folder / "CLICKS.zip", "w") as archive:
        for index, (name, phantom) in enumerate(zip(CASES, phantoms, strict=False)):
            write(folder / f"RELEASE/imagesTr/{name}_0000.nii.gz", phantom.ct_zyx)
            write(folder / f"RELEASE/imagesTr/{name}_0001.nii.gz", phantom.pet_zyx)
            write(folder / f"RELEASE/labelsTr/{name}.nii.gz", phantom.lesion_zyx)
            write(folder / f"ORGANS/{name}.nii.gz", phantom.organ_zyx)
            clicks = simulate_official(phantom.pet_zyx, phantom.lesion_zyx)
            points = [{"point": [click.x, click.y, click.z], "name": click.label} for click in clicks]
            document: dict[str, Any] = {"version": {"major": 1, "minor": 0}, "type": "Multiple points"}
            document["points"] = points
            if index % 2:
                document = {
                    label: [point["point"] for point in points if point["name"] == label]
                    for label in ("tumor", "background")
                }
            archive.writestr(f"clicks/{name}_clicks.json", json.dumps(document))
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "tumor": 1}}
    content |= {"numTraining": len(CASES), "file_ending": ".nii.gz"}
    (folder / "RELEASE/dataset.json").write_text(json.dumps(content))
    splits = []
    for held_out in ({0, 1}, {2}, {3}, {4}, {5}):
        sides = {"train": [name for index, name in enumerate(CASES) if index not in held_out]}
        splits.append({**sides, "val": [CASES[index] for index in sorted(held_out)]})
    (folder / "RELEASE/splits_final.json").write_text(json.dumps(splits))


def write_deep_psma(folder: Path, phantom: Phantom) -> None:
    """Writes DEEP_PSMA: one patient, CT and organs on a grid of their own, organs as TotalSegmentator numbers them."""
    numbers = {1: 1, 2: 2, 3: 5, 4: 21, 5: 10, 6: 90, 7: 51, 8: 6, 9: 22}
    organs = np.zeros_like(phantom.organ_zyx)
    for ours, theirs in numbers.items():
        organs[phantom.organ_zyx == ours] = theirs
    organs[(phantom.ct_zyx > 300) & (organs == 0)] = 27
    for tracer in ("PSMA", "FDG"):
        study = folder / "DEEP_PSMA/train_0001" / tracer
        write(study / "PET.nii.gz", phantom.pet_zyx)
        write(study / "TTB.nii.gz", phantom.lesion_zyx)
        write(study / "CT.nii.gz", phantom.ct_zyx, step=2)
        write(study / "totseg_24.nii.gz", organs, step=2)
        (study / "threshold.json").write_text('{"suv_threshold": 3.0}')
        (study / "rigid.tfm").write_text("#Insight Transform File V1.0\n")


def write_studies(folder: Path) -> None:
    """Writes STUDIES.csv and the one DICOM study that it names, whose readers looked at the lung alone."""
    study = SyntheticStudy()
    study.write(folder / "COLLECTION/R01-001")
    lung = np.zeros(PET_SHAPE, dtype=np.uint8)
    lung[1:4, 1:5, 1:5] = 1
    tumor = np.zeros(PET_SHAPE, dtype=np.uint8)
    tumor[2, 2:4, 2:4] = 1
    segments = {"Lung": lung, "FDG-Avid Tumor": tumor}
    study.write_segmentation(folder / "COLLECTION/R01-001/SEG/1.dcm", segments, study.pet)
    header = "study,name,segments,annotated_segments"
    (folder / "STUDIES.csv").write_text(f"{header}\nCOLLECTION/R01-001,lung_R01-001,FDG-Avid Tumor,Lung\n")


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with all that the recipe downloads, made the current one."""
    monkeypatch.chdir(tmp_path)
    phantoms = [make_phantom(seed, "FDG" if seed < 4 else "PSMA", (SPACING,) * 3) for seed in range(len(CASES))]
    write_release(tmp_path, phantoms)
    write_deep_psma(tmp_path, phantoms[-1])
    write_studies(tmp_path)
    with tiny_environment(), mock.patch.dict(PLANS, {NetworkSize.published: TINY}), quick_preprocessing():
        os.environ.update(SHORT)
        yield tmp_path


@pytest.mark.slow
def test_the_recipe_leads_from_the_downloads_to_a_packed_ensemble(
    downloads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [command for line in shown_lines() for command in expand(line)]
    for command in commands:
        if command.startswith("lesionclick-train train") and not Path("MULTITALENT.pth").exists():
            _write_multitalent(Path("MULTITALENT.pth"))
        run(command, capsys)

    more = json.loads(Path("work/raw/Dataset222_AutoPETMore/splits_final.json").read_text())
    assert [fold["val"] for fold in more] == [list(CASES[:2]), *([name] for name in CASES[2:])]
    added = {"deep-psma_0001_psma", "deep-psma_0001_fdg", "lung_R01-001"}
    assert all(added <= set(fold["train"]) for fold in more)
    for training in "ab":
        tables = [Table.read(Path(f"work/{training}_{fold}.csv")) for fold in range(5)]
        assert sorted(case for table in tables for case in table.cases) == sorted(CASES)
    model = ModelFolder.read("work/model")
    assert [fold.name for fold in model.folds] == [str(number) for number in range(10)]
    case = Dataset.find(Path("work/raw/Dataset221_AutoPET")).read(CASES[0]).case
    mask = Session(Ensemble.load("work/model", "cpu"), case, InferenceSettings()).predict().mask
    assert mask.shape == case.geometry.shape_zyx


def _write_multitalent(path: Path) -> None:
    """Writes a checkpoint in MultiTalent's format for the toy network, with stems of two datasets."""
    plans = PlansManager("work/preprocessed/Dataset221_AutoPET/LesionClickPublishedPlans.json")
    trainer = find_trainer(Variant.EDT2_Custom)
    network = trainer.build_network_architecture(plans, plans.get_configuration(CONFIGURATION), 2, 2)
    write_multitalent(path, network.state_dict(), {7: 1, 221: 2})


def test_the_page_shows_every_step() -> None:
    shown = " ".join(shown_lines())
    for step in ("convert autopet", "preprocess 221", "train 221", "train 222", "validate", "assemble", "./export.sh"):
        assert step in shown

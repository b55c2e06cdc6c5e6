import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_case import GEOMETRY, make_lesions

from lesionclick.case.geometry import Geometry
from lesionclick.case.results import OutputFormat, place_among_results, results_folder, write_masks, write_record
from lesionclick.errors import CaseError


def write_results(out: Path, text: str, overwrite: bool = False) -> None:
    with results_folder(out, overwrite) as folder:
        (folder / "a").write_text(text)
        write_record({"case": text}, folder)


def refusal_of(out: Path, overwrite: bool = False) -> str:
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(CaseError) as refusal:
        write_results(out, "never", overwrite)
    assert sorted(out.parent.rglob("*")) == before
    return str(refusal.value)


def test_results_appear_whole(tmp_path: Path) -> None:
    out = tmp_path / "x" / "out"
    with results_folder(out) as folder:
        (folder / "a").write_text("text")
        assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["a"]


def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with results_folder(tmp_path / "out") as folder:
            (folder / "a").write_text("text")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_results(tmp_path / "out", "first")
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["files"] == ["a", "report.json"]
    assert record["case"] == "first"


def test_former_results_alone_are_overwritten_and_on_request_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_results(out, "first")
    assert refusal_of(out) == f"{out}: is not empty, expected a new folder (or --overwrite, to replace former results)"
    write_results(out, "second", overwrite=True)
    assert (out / "a").read_text() == "second"
    (out / "notes.txt").write_text("mine")
    assert "holds 'notes.txt' beside former results" in refusal_of(out, overwrite=True)
    (out / "report.json").unlink()
    assert "holds no former results" in refusal_of(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    assert refusal_of(tmp_path / "out", overwrite=True).startswith(f"{tmp_path / 'out'}: is a file")
    assert "is not a writable folder" in refusal_of(tmp_path / "out" / "below")


def test_masks_are_written_in_every_image_format(tmp_path: Path) -> None:
    paths = write_masks("lesions", make_lesions(), GEOMETRY, OutputFormat, tmp_path)
    assert [path.name for path in paths] == ["lesions.nii.gz", "lesions.mha", "lesions.nrrd"]
    for path in paths:
        image = sitk.ReadImage(str(path))
        assert np.array_equal(sitk.GetArrayFromImage(image), make_lesions())
        assert Geometry.of(image) == GEOMETRY


def test_what_belongs_among_the_results_is_written_with_them(tmp_path: Path) -> None:
    out, folder = tmp_path / "out", tmp_path / "new"
    (tmp_path / "link").symlink_to(out)
    assert place_among_results(out / "a" / "b.gif", out, folder) == folder / "a" / "b.gif"
    assert place_among_results(tmp_path / "link" / "b.gif", out, folder) == folder / "b.gif"
    assert place_among_results(tmp_path / "out.gif", out, folder) == tmp_path / "out.gif"
    for taken in (out, tmp_path):
        with pytest.raises(CaseError, match="is the place of the results"):
            place_among_results(taken, out, folder)

"""Warnings of implausible cases on stderr, and in the file that --report asks for."""

import json
from pathlib import Path

import numpy as np
from conftest import ROOT, image_from, process, write_case

from lesionclick.case.case import Case

SAMPLE = ROOT / "test" / "cases" / "psma"


def test_warnings_are_logged_and_reported_and_the_mask_is_made_all_the_same(model_folder: Path, tmp_path: Path) -> None:
    sample = Case.read(SAMPLE)
    ct, pet = (
        image_from(image[30:50, 10:40, 20:60], spacing=sample.geometry.spacing)
        for image in (sample.ct_zyx + 1024, sample.pet_zyx)
    )
    folder = write_case(tmp_path / "input", ct, pet)
    report = tmp_path / "new" / "report.json"
    done = process("--input", folder, "--output", tmp_path / "out", "--model", model_folder, "--report", report)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_file()
    content = json.loads(report.read_text())
    names = [each["name"] for each in content["warnings"]]
    assert names[:2] == ["no-clicks", "ct-offset"]
    for each in content["warnings"]:
        assert f"WARNING {each['sentence']}\n" in done.stderr
    assert done.stderr.index("offset of -1024") < done.stderr.index("INFO preprocessing")
    assert content["model"]["path"] == str(model_folder)
    assert content["settings"]["field_of_view"] == "body"
    assert content["settings"]["clicks"] == 0
    assert 0 < content["seconds"] < 600
    assert np.isfinite(content["warnings"][1]["figures"]["tissue"])


def test_without_the_option_there_is_no_report_and_leaving_clicks_out_is_no_warning(
    case_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = process("--input", case_folder, "--output", out, "--model", model_folder, LESIONCLICK_CLICKS="no")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["case.mha"]
    assert "trained with clicks" not in done.stderr


def test_report_that_cannot_be_written_stops_before_the_networks(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "out"
    report = tmp_path / "file" / "report.json"
    done = process("--input", SAMPLE, "--output", out, "--model", model_folder, "--report", report)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {report}: cannot be written")
    assert not out.exists()

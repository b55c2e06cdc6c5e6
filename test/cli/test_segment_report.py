"""The page of a segmented study, and the moving picture that --mip asks for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

from lesionclick.cli.main import main

SAMPLE = ROOT / "test" / "cases" / "psma"


def test_page_and_moving_picture_come_with_the_results(model_folder: Path, tmp_path: Path) -> None:
    out, mip = tmp_path / "out", tmp_path / "mip.webp"
    with pytest.raises(SystemExit) as stopped:
        main(["segment", str(SAMPLE), "--out", str(out), "--model", str(model_folder), "--mip", str(mip)])
    assert stopped.value.code == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2
    assert "field_of_view: body" in page
    with Image.open(mip) as picture:
        assert picture.format == "WEBP"


def test_moving_picture_of_another_kind_is_refused_before_anything_is_done(
    model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    mip = tmp_path / "mip.mp4"
    sentence = refused("segment", SAMPLE, "--out", tmp_path / "out", "--model", model_folder, "--mip", mip)
    assert sentence == f"{mip}: a rotating picture has the ending .gif or .webp, not '.mp4'"
    assert not any(tmp_path.iterdir())

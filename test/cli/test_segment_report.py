"""The page of a segmented study, and the moving picture that --mip asks for."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, body, image_from, write_case
from helpers_report import read_page
from PIL import Image

from lesionclick.cli.main import main

SAMPLE = ROOT / "test" / "cases" / "psma"


def test_page_and_moving_picture_come_with_the_results(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    out, mip = tmp_path / "out", tmp_path / "mip.webp"
    with pytest.raises(SystemExit) as stopped:
        main(["segment", str(case_folder), "--out", str(out), "--model", str(model_folder), "--mip", str(mip)])
    assert stopped.value.code == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2
    assert "field of view: body" in page
    with Image.open(mip) as picture:
        assert picture.format == "WEBP"


def test_moving_picture_of_another_kind_is_refused_before_anything_is_done(
    model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    mip = tmp_path / "mip.mp4"
    sentence = refused("segment", SAMPLE, "--out", tmp_path / "out", "--model", model_folder, "--mip", mip)
    assert sentence == f"{mip}: a rotating picture has the ending .gif or .webp, not '.mp4'"
    assert not any(tmp_path.iterdir())


def test_a_whole_page_says_what_table_and_record_say_and_takes_no_text_for_markup(
    own_model_folder: Path, tmp_path: Path
) -> None:
    name, description = "<b>a & 'b' \"c\" <img src=x onerror=alert(1)>", "<script>phantoms</script> alone"
    dataset = own_model_folder / "dataset.json"
    dataset.write_text(json.dumps(json.loads(dataset.read_text()) | {"description": description}))
    ct, pet = (image_from(image) for image in body())
    folder = write_case(tmp_path / "input", ct, pet, name=name)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        main(["segment", str(folder), "--out", str(out), "--model", str(own_model_folder)])
    assert stopped.value.code == 0

    page = read_page(out / "report.html")  # whose elements are closed in order
    record = json.loads((out / "report.json").read_text())
    said = [text for _, text in page.texts]
    assert [text for tag, text in page.texts if tag == "h1"] == [name]
    assert {"script", "b", "link", "iframe", "object", "a", "form", "base"}.isdisjoint(tag for tag, _ in page.elements)
    for _, attributes in page.elements:
        assert not [each for each in attributes if each.startswith("on") or each in ("href", "srcset", "action")]
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
    text = (out / "report.html").read_text(encoding="utf-8")
    assert not [outside for outside in ("://", "url(", "@import") if outside in text]
    assert "default-src 'none'" in text

    warnings = [each["sentence"] for each in record["warnings"]]
    assert warnings
    assert [text for tag, text in page.texts if tag == "li"] == [description, *record["notes"], *warnings]
    for expected in ("field of view: body", "mirroring: none", f"sha256: {record['model']['sha256']}"):
        assert expected in said
    with (out / "lesions.csv").open(newline="") as file:
        lesions = list(csv.DictReader(file))
    rows = page.rows()
    assert [row["Lesion"] for row in rows] == [lesion["number"] for lesion in lesions]
    for row, lesion in zip(rows, lesions, strict=True):
        for heading, column in (("Volume (ml)", "volume_ml"), ("SUVpeak", "suv_peak"), ("TLG (g)", "tlg")):
            assert float(row[heading]) == pytest.approx(float(lesion[column]), rel=1e-3)


def test_moving_picture_may_lie_among_the_results_and_is_replaced_with_them(model_folder: Path, tmp_path: Path) -> None:
    folder = write_case(tmp_path / "input", *(image_from(image) for image in body()))
    out = tmp_path / "out"
    for more in ([], ["--overwrite"]):
        command = ["segment", str(folder), "--out", str(out), "--mip", str(out / "mip.gif"), *more]
        with pytest.raises(SystemExit) as stopped:
            main([*command, "--model", str(model_folder)])
        assert stopped.value.code == 0
        assert "mip.gif" in json.loads((out / "report.json").read_text())["files"]
        assert (out / "mip.gif").is_file()


@pytest.mark.parametrize("out", ["mip.gif", "mip.gif/out", "sub/../mip.gif"])
def test_moving_picture_in_the_way_of_the_results_is_refused(
    out: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    sentence = refused("segment", tmp_path / "nowhere", "--out", tmp_path / out, "--mip", tmp_path / "mip.gif")
    assert sentence.startswith(f"{tmp_path / 'mip.gif'}: is the place of the results")
    assert not any(tmp_path.iterdir())

"""Cases whose files inputs.json names, as the platform writes it and as it used to."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionclick.case.case import Case, case_files
from lesionclick.errors import CaseError

CT, PET, CLICKS = ("ct-image", "images/ct"), ("pet-image", "images/pet"), ("lesion-clicks", "lesion-clicks.json")


def entry(slug: str, path: str, key: str = "socket") -> dict[str, Any]:
    """What the platform says of one input, as far as it matters."""
    is_image = path.startswith("images")
    about = {"slug": slug, "relative_path": path, "is_image_kind": is_image, "is_json_kind": not is_image}
    image = {"name": "as_uploaded.mha"} if is_image else None
    return {key: about, "image": image, "file": None, "value": None}


def write_inputs(folder: Path, content: object) -> None:
    (folder / "inputs.json").write_text(json.dumps(content))


def same(one: Case, other: Case) -> bool:
    images = all(np.array_equal(*pair) for pair in ((one.ct_zyx, other.ct_zyx), (one.pet_zyx, other.pet_zyx)))
    return images and (one.name, one.geometry, one.clicks) == (other.name, other.geometry, other.clicks)


@pytest.mark.parametrize("key", ["socket", "interface"])
def test_files_are_found_where_sockets_say(key: str, case_folder: Path) -> None:
    expected = Case.read(case_folder)
    for old, new in (("images/ct", "images/low-dose"), ("images/pet", "images/suv"), ("lesion-clicks.json", "p.json")):
        (case_folder / old).rename(case_folder / new)
    named = [("lesion-clicks", "p.json"), ("pet-image", "images/suv"), ("ct-image", "images/low-dose")]
    write_inputs(case_folder, [entry(*each, key) for each in named])
    assert same(Case.read(case_folder), expected)
    assert case_files(case_folder)["the PET"] == case_folder / "images" / "suv"


def test_a_slug_counts_before_a_path_and_a_path_where_no_slug_is_known(case_folder: Path) -> None:
    expected = Case.read(case_folder)
    (case_folder / "images" / "pet").rename(case_folder / "images" / "x")
    shutil.copytree(case_folder / "images" / "ct", case_folder / "images" / "pet")
    write_inputs(case_folder, [entry("whole-body", "images/ct"), entry("pet-image", "images/x"), entry(*CLICKS)])
    assert same(Case.read(case_folder), expected)


def test_other_sockets_are_left_with_a_line_in_the_log(case_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = Case.read(case_folder)
    write_inputs(case_folder, [entry(*CT), entry("age", "age.json"), entry(*PET), entry(*CLICKS)])
    with caplog.at_level("INFO", "lesionclick"):
        assert same(Case.read(case_folder), expected)
    assert caplog.messages == [f"{case_folder / 'inputs.json'}: the socket 'age' is none of this task and is ignored"]


def test_an_image_may_be_named_by_its_file(case_folder: Path) -> None:
    expected = Case.read(case_folder)
    (case_folder / "images" / "ct" / "second.mha").write_bytes(b"")
    write_inputs(case_folder, [entry("ct-image", "images/ct/case.mha"), entry(*PET), entry(*CLICKS)])
    assert same(Case.read(case_folder), expected)


REFUSED: dict[str, tuple[object, str]] = {
    "no list": ({"socket": {}}, 'expected a list of sockets, found {"socket": {}}'),
    "no JSON": (None, "expected a list of sockets, found null"),
    "no socket": ([entry(*CT), {"image": None}], "entry 1 is no socket"),
    "no path": ([entry(*CT), {"socket": {"slug": "pet-image"}}], "entry 1 is no socket"),
    "no PET": ([entry(*CLICKS), entry(*CT)], "names no PET, expected a socket 'pet-image' or the path images/pet"),
    "no clicks": (
        [entry(*PET), entry(*CT)],
        "names no list of clicks, expected a socket 'lesion-clicks' or the path lesion-clicks.json",
    ),
    "two CTs": ([entry(*CT), entry("ct", "images/x"), entry(*PET), entry(*CLICKS)], "has 2 sockets for the CT"),
    "above": ([entry("ct-image", "../elsewhere"), entry(*PET), entry(*CLICKS)], "'../elsewhere' leads out of"),
    "from the root": ([entry("ct-image", "/etc"), entry(*PET), entry(*CLICKS)], "'/etc' leads out of"),
    "one file twice": ([entry(*CT), entry("pet-image", "images/ct"), entry(*CLICKS)], "the CT and the PET are both"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_missing_or_wrong_is_one_sentence(content: object, reason: str, case_folder: Path) -> None:
    write_inputs(case_folder, content)
    with pytest.raises(CaseError) as refused:
        Case.read(case_folder)
    text = str(refused.value)
    assert text.startswith(f"{case_folder / 'inputs.json'}: ")
    assert reason in text
    assert "\n" not in text


def test_a_link_out_of_the_input_is_refused(case_folder: Path, tmp_path: Path) -> None:
    (case_folder / "images" / "ct").rename(tmp_path / "elsewhere")
    (case_folder / "images" / "ct").symlink_to(tmp_path / "elsewhere")
    write_inputs(case_folder, [entry(*CT), entry(*PET), entry(*CLICKS)])
    with pytest.raises(CaseError, match="'images/ct' leads out of"):
        Case.read(case_folder)


def test_a_file_that_a_socket_promises_and_that_is_not_there_is_named(
    case_folder: Path, refused: Callable[..., str], tmp_path: Path, model_folder: Path
) -> None:
    write_inputs(case_folder, [entry(*CT), entry("pet-image", "images/suv"), entry(*CLICKS)])
    options = ("--output", tmp_path / "out", "--model", model_folder)
    sentence = refused("predict", "--input", case_folder, *options)
    assert sentence == f"{case_folder / 'images' / 'suv'}: the folder is missing, expected one .mha image in it"

"""A reader's work from beginning to end: a real server, the bundled networks, and Chromium."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium drives the browser; it is in the extra test")

from conftest import ROOT, process
from helpers_browser import (
    SAMPLE,
    RunningServer,
    Viewer,
    Voxel,
    largest_untouched,
    mask_of,
    open_browser,
    read_zyx,
    running_server,
    wait_for,
)
from scipy.ndimage import distance_transform_edt
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

FOLDS = ("fold_0", "fold_5")  # one of each training: quick, and their masks have faults to correct

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the bundled networks."""
    folder = tmp_path_factory.mktemp("reading") / "model"
    bundled = ROOT / "resources" / "model"
    folder.mkdir()
    for path in bundled.glob("*.json"):
        shutil.copy(path, folder)
    for name in FOLDS:
        shutil.copytree(bundled / name, folder / name)
    sums = (bundled / "SHA256SUMS").read_text().splitlines(keepends=True)
    kept = [line for line in sums if (folder / line.split()[1]).is_file()]
    (folder / "SHA256SUMS").write_text("".join(kept))
    return folder


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("data")
    with running_server(SAMPLE, "--data", data, "--model", model, "--mirroring", "none") as running:
        yield running


def farthest_missed(truth_zyx: np.ndarray, mask_zyx: np.ndarray) -> Voxel:
    """The voxel of the truth that is farthest from a mask, which may have found a part of each lesion."""
    away = distance_transform_edt(mask_zyx == 0) * (truth_zyx > 0)
    z, y, x = np.unravel_index(np.argmax(away), away.shape)
    assert away[z, y, x] > 0, "the networks find the sample's lesions whole: choose another case for this test"
    return int(x), int(y), int(z)


def around(viewer: Viewer, plane: str, voxel: Voxel) -> np.ndarray:
    """What is to be seen around a voxel of a plane: some voxels to each side."""
    x, y = map(round, viewer.pixel_of(plane, voxel))
    return viewer.picture()[y - 24 : y + 25, x - 24 : x + 25].astype(int)


def outline(picture: np.ndarray) -> int:
    """How many of its pixels have the color of the mask's outline."""
    return int((np.abs(picture - (0x2F, 0xE0, 0xF0)).max(axis=-1) < 40).sum())


def test_reading(server: RunningServer, model: Path, tmp_path: Path) -> None:
    with open_browser(tmp_path) as browser:
        viewer = Viewer(browser, server)
        viewer.open()
        viewer.wait_until_final()
        assert "not for patients" in viewer.text("banner")
        truth, pet = read_zyx(SAMPLE / "truth.mha"), read_zyx(next((SAMPLE / "images" / "pet").iterdir()))
        automatic = mask_of(server, tmp_path)

        # PET over CT: pixels are bright, gray where CT shows, colored where PET does
        left, top, width, height = viewer.box_of_planes()
        picture = viewer.picture()[top : top + height, left : left + width].astype(int)
        bright, colored = picture.max(axis=-1) > 60, np.ptp(picture, axis=-1) > 80
        assert bright.mean() > 0.1
        assert (bright & colored).mean() > 0.005
        assert (bright & ~colored).mean() > 0.05

        # a lesion that the networks have missed, or the most of one
        missed = largest_untouched(truth, automatic, pet) or farthest_missed(truth, automatic)
        viewer.open(missed)
        viewer.wait_until_final()
        before = around(viewer, "axial", missed)
        viewer.click(*viewer.pixel_of("axial", missed))
        wait_for(lambda: viewer.listed_clicks() == [("tumor", missed)], "the click is listed")
        viewer.wait_until_final()
        assert mask_of(server, tmp_path)[missed[::-1]] == 1
        wait_for(lambda: outline(around(viewer, "axial", missed)) > outline(before) + 10, "the mask is seen there")
        assert len(browser.find_elements(By.CSS_SELECTOR, "#lesion-rows tr[data-lesion]")) > 0

        # undo and redo
        viewer.press("z", held=Keys.CONTROL)
        wait_for(lambda: viewer.listed_clicks() == [], "the click is undone")
        viewer.wait_until_final()
        assert np.array_equal(mask_of(server, tmp_path), automatic)
        wait_for(lambda: outline(around(viewer, "axial", missed)) <= outline(before) + 10, "the mask is gone there")
        viewer.press("z", held=Keys.CONTROL + Keys.SHIFT)
        wait_for(lambda: viewer.listed_clicks() == [("tumor", missed)], "the click is back")
        viewer.wait_until_final()

        # a false positive; where there is none, something of the mask that holds no click
        mask = mask_of(server, tmp_path)
        nothing = np.zeros_like(mask)
        nothing[missed[::-1]] = 1
        false = largest_untouched(mask, truth, pet) or largest_untouched(mask, nothing, pet)
        assert false is not None
        viewer.open(false)
        viewer.wait_until_final()
        seen = outline(around(viewer, "coronal", false))
        viewer.click(*viewer.pixel_of("coronal", false), right=True)
        wait_for(lambda: viewer.listed_clicks()[1:] == [("background", false)], "the second click is listed")
        viewer.wait_until_final()
        corrected = mask_of(server, tmp_path)
        assert corrected[false[::-1]] == 0
        assert corrected[missed[::-1]] == 1
        wait_for(lambda: outline(around(viewer, "coronal", false)) < seen, "the mask is gone there")

        # everything is there after the page is loaded again
        browser.refresh()
        viewer.wait_until_shown()
        wait_for(lambda: len(viewer.listed_clicks()) == 2, "the clicks are listed again")
        assert viewer.listed_clicks() == [("tumor", missed), ("background", false)]
        assert np.array_equal(mask_of(server, tmp_path), corrected)
        viewer.wait_until_final()

        # what is downloaded is what process.py computes
        for name in ("mask.mha", "clicks.json"):
            browser.find_element(By.CSS_SELECTOR, "#downloads summary").click()
            browser.find_element(By.CSS_SELECTOR, f"#downloads [data-file='{name}']").click()
        wait_for(lambda: len(list(tmp_path.glob("*.mha")) + list(tmp_path.glob("*.json"))) == 2, "the files are there")
        (mask_file,), (click_file,) = tmp_path.glob("*.mha"), tmp_path.glob("*.json")
        points = json.loads(click_file.read_text())["points"]
        assert [(each["name"], tuple(each["point"])) for each in points] == viewer.listed_clicks()
        assert viewer.complaints() == []
    case = tmp_path / "case"
    shutil.copytree(SAMPLE / "images", case / "images")
    shutil.copy(click_file, case / "lesion-clicks.json")
    options = ("--model", model, "--mirroring", "none", "--obey-clicks")
    done = process("--input", case, "--output", tmp_path / "output", *options)
    assert done.returncode == 0, done.stderr
    (fresh,) = (tmp_path / "output").rglob("*.mha")
    assert np.array_equal(read_zyx(mask_file), read_zyx(fresh))
    assert np.array_equal(read_zyx(mask_file), corrected)

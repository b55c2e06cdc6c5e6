"""What a reader can do beside clicking: cases, uploads, keys, looks; and no case is taken for another."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium drives the browser; it is in the extra test")

from conftest import body, image_from, write_case
from helpers_browser import RunningServer, Viewer, open_browser, running_server, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lesionclick.testing import make_plans, write_model

SHAPE = (20, 22, 24)

HOLD_LESIONS = """
const [session] = arguments, plain = window.fetch
window.held = window.come = 0
window.fetch = async (...request) => {
  const answer = await plain(...request)
  if (!String(request[0]).includes(`${session}/lesions`)) return answer
  window.held++
  await new Promise((release) => (window.release = release))
  setTimeout(() => window.come++, 100)
  return answer
}
"""
"""The lesions of a session come when they are released, as from a server that has much to do."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two cases, and a file that is none."""
    folder = tmp_path_factory.mktemp("studies")
    cases = {}
    for seed, name in enumerate("ab"):
        ct, pet = map(image_from, body(SHAPE, seed))
        cases[name] = write_case(folder / name, ct, pet, name=name)
    broken = folder / "broken.zip"  # whether there is a study in it shows when it is opened
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("note.txt", "no image")
    return {**cases, "broken": broken}


@pytest.fixture(scope="module")
def server(studies: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("controls")
    model = write_model(folder / "tiny", make_plans(), (0,))
    dataset = json.loads((model / "dataset.json").read_text())
    (model / "dataset.json").write_text(json.dumps(dataset | {"description": "random weights, not for patients"}))
    arguments = (*studies.values(), "--data", folder / "data", "--model", model, "--backend", "torch")
    with running_server(*arguments) as running:
        yield running


def pressed(viewer: Viewer, title: str) -> str:
    """Which of a group's buttons is chosen."""
    chosen = viewer.browser.find_element(By.CSS_SELECTOR, f"[aria-label='{title}'] [aria-pressed='true']")
    return str(chosen.text)


def totals(viewer: Viewer) -> list[str]:
    """The figures above the table of lesions."""
    return [each.text for each in viewer.browser.find_elements(By.CSS_SELECTOR, "#totals dd")]


def test_controls(server: RunningServer, studies: dict[str, Path], tmp_path: Path) -> None:
    ids = {case["name"]: case["id"] for case in server.api.get("/api/cases").json()}
    with open_browser(tmp_path) as browser:
        viewer = Viewer(browser, server)
        browser.get(server.url)
        wait_for(lambda: len(browser.find_elements(By.CSS_SELECTOR, "#case-list button")) == 3, "the cases are listed")
        assert viewer.text("banner") == "The model “tiny”: random weights, not for patients"
        viewer.press("t")  # there is no case yet that it could mean
        browser.find_element(By.CSS_SELECTOR, "#case-list button").click()
        viewer.wait_until_shown()
        assert viewer.listed_clicks() == []
        fits = "const page = document.documentElement; return [page.scrollWidth, page.scrollHeight]"
        assert browser.execute_script(fits) == [1280, 800]

        # help
        viewer.press("?")
        assert browser.find_element(By.ID, "help").is_displayed()
        viewer.press(Keys.ESCAPE)
        assert not browser.find_element(By.ID, "help").is_displayed()

        # a slider that was moved takes its arrows, and no other key; a key that is held down is one click
        browser.find_element(By.CSS_SELECTOR, "#display input[type='range']").send_keys(Keys.ARROW_RIGHT)
        viewer.press("t")
        for repeated in (True, True):
            key = {"type": "keyDown", "key": "t", "code": "KeyT", "text": "t", "autoRepeat": repeated}
            browser.execute_cdp_cmd("Input.dispatchKeyEvent", key)
        viewer.press("b")
        wait_for(lambda: [label for label, _ in viewer.listed_clicks()] == ["tumor", "background"], "two clicks")
        voxel = viewer.listed_clicks()[0][1]

        # the list: jump, delete by key and by button; undo
        viewer.press(Keys.PAGE_UP, "c")
        wait_for(lambda: (viewer.readout() or ((), 0))[0] == voxel, "the crosshair is at the click")
        viewer.press(Keys.DELETE)
        wait_for(lambda: viewer.listed_clicks() == [("background", voxel)], "the selected click is gone")
        browser.find_element(By.CSS_SELECTOR, "#click-rows .delete").click()
        wait_for(lambda: viewer.listed_clicks() == [], "the other one is gone, too")
        browser.find_element(By.ID, "undo").click()
        wait_for(lambda: viewer.listed_clicks() == [("background", voxel)], "it is back")

        # how images are shown: inverse gray is white where there is no uptake, beside the image as well
        viewer.press("f", "i")
        assert (pressed(viewer, "Images"), pressed(viewer, "PET colors")) == ("PET", "Inverse gray")
        left, top, width, height = viewer.box_of_planes()
        wait_for(lambda: viewer.picture()[top + 40, left + 5].tolist() == [255, 255, 255], "the ground is white")
        viewer.press("f", "w")
        assert (pressed(viewer, "Images"), pressed(viewer, "CT window")) == ("CT", "Lung")
        shown = viewer.picture()
        viewer.press("w")
        changed = (viewer.picture() != shown)[top : top + height, left : left + width]
        assert changed.mean() > 0.05, "bone is shown as lung was"
        viewer.press("f", "i")

        # the projection turns, and stands still again
        mip = "return document.getElementById('mip').toDataURL()"
        before = browser.execute_script(mip)
        viewer.press("r")
        wait_for(lambda: browser.execute_script(mip) != before, "the projection turns")
        assert viewer.of("rotate", "aria-label") == "Stop rotating"
        viewer.press("r", "4")
        wait_for(lambda: viewer.of("reader", "data-layout") == "mip", "the projection is alone")
        assert browser.find_element(By.ID, "status").is_displayed()
        viewer.press(Keys.ESCAPE)

        # nothing of one case is shown in another, whenever it comes
        session = server.api.post(f"/api/cases/{ids['a']}/session").json()["id"]
        browser.execute_script(HOLD_LESIONS, session)
        viewer.press("t")
        wait_for(lambda: browser.execute_script("return window.held > 0"), "lesions are on their way")
        browser.execute_script("location.hash = arguments[0]", f"#case={ids['b']}")
        wait_for(lambda: browser.title.startswith("b ") and viewer.readout() is not None, "the other case is shown")
        assert viewer.listed_clicks() == []
        other = server.api.post(f"/api/cases/{ids['b']}/session").json()["id"]
        wait_for(lambda: viewer.of("status", "data-stage") == "done", "it is computed")
        volumes = [
            f"{server.api.get(f'/api/sessions/{each}/lesions').json()['total']['volume_ml']:.1f} ml"
            for each in (session, other)
        ]
        assert volumes[0] != volumes[1]
        wait_for(lambda: totals(viewer)[0] == volumes[1], "its lesions are listed")
        browser.execute_script("window.release()")
        wait_for(lambda: browser.execute_script("return window.come > 0"), "those of the first case have come")
        assert totals(viewer)[0] == volumes[1]

        # what cannot be opened is said, and everything before it is gone
        browser.execute_script("location.hash = arguments[0]", f"#case={ids['broken.zip']}")
        wait_for(lambda: "could not be opened" in viewer.text("loading"), "the page says what is wrong")
        assert "broken.zip" in viewer.text("loading")
        assert browser.find_element(By.ID, "again").is_displayed()
        assert not any(each.isdigit() for each in totals(viewer)[0])
        assert browser.find_element(By.CSS_SELECTOR, "[data-file='mask.mha']").get_attribute("href") is None

        # an upload, from the start
        browser.execute_script("location.hash = '#cases'")
        wait_for(lambda: browser.find_element(By.ID, "start").is_displayed(), "the start is shown")
        for modality in ("ct", "pet"):
            (image,) = (studies["a"] / "images" / modality).iterdir()
            browser.find_element(By.CSS_SELECTOR, f"#upload [name='{modality}']").send_keys(str(image))
        browser.find_element(By.CSS_SELECTOR, "#upload [name='name']").send_keys("brought along")
        browser.find_element(By.ID, "upload-button").click()
        wait_for(lambda: browser.title.startswith("brought along ") and viewer.readout() is not None, "it is opened")
        assert np.ptp(viewer.picture()[top : top + height, left : left + width]) > 100

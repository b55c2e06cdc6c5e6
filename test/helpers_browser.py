"""A browser for tests: Debian's Chromium, headless and without a graphics card, and the page of a server in it."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cc3d
import httpx
import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ROOT
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

Voxel = tuple[int, int, int]

SAMPLE = ROOT / "test" / "cases" / "psma"

PATIENCE = 600.0
"""Seconds; without a graphics card, and beside other tests, pages are slow."""

SIZE = (1280, 800)

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu-watchdog",
    "--enable-unsafe-swiftshader",
    "--force-device-scale-factor=1",
    "--ignore-gpu-blocklist",
    "--use-angle=swiftshader",
    "--use-gl=angle",
)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Returns once a condition holds; a browser that has no time for questions is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(TimeoutException):
            if condition():
                return
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)


@contextlib.contextmanager
def open_browser(downloads: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with its driver; files are saved in a folder without asking. The test is skipped where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: Debian's packages chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument(f"--window-size={SIZE[0]},{SIZE[1]}")
    for option in OPTIONS:
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    try:
        browser.set_page_load_timeout(PATIENCE)
        browser.set_script_timeout(PATIENCE)
        metrics = {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)  # the window has a frame
        # a picture that never stands still is slow to draw here, and no two screenshots of it are the same
        reduced = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", reduced)
        yield browser
    finally:
        browser.quit()


class RunningServer:
    """`lesionclick serve` in a process of its own, with the page."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-c", "from lesionclick.cli.main import main; main()", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the server did not start"
        self.api = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def session(self) -> dict[str, Any]:
        """The state of its only case's session, which is opened if need be."""
        (case,) = self.api.get("/api/cases").raise_for_status().json()
        state: dict[str, Any] = self.api.post(f"/api/cases/{case['id']}/session").raise_for_status().json()
        return state

    def stop(self) -> None:
        """Ends it."""
        self.api.close()
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def running_server(*arguments: object) -> Iterator[RunningServer]:
    """A server for as long as the block lasts."""
    server = RunningServer(*arguments)
    try:
        yield server
    finally:
        server.stop()


class Viewer:
    """The page as a reader uses it: keys, mouse, and what is to be seen."""

    def __init__(self, browser: webdriver.Chrome, server: RunningServer) -> None:
        self.browser = browser
        self.server = server

    def open(self, voxel: Voxel | None = None) -> None:
        """Opens the server's only case, its planes through a voxel."""
        self.browser.get("about:blank")
        self.browser.get(self.server.url + "/" + ("" if voxel is None else f"#case={self.case()}&voxel={at(voxel)}"))
        self.wait_until_shown()

    def case(self) -> str:
        """The id of the server's only case."""
        return str(self.server.api.get("/api/cases").json()[0]["id"])

    def wait_until_shown(self) -> None:
        """Returns once the images are there."""
        wait_for(lambda: self.readout() is not None, "the images are shown")

    def wait_until_final(self) -> dict[str, Any]:
        """Returns the session's state once its mask is final, and the page shows it."""

        def is_final() -> bool:
            state = self.server.session()
            assert state["progress"]["stage"] != "failed", state["progress"]["error"]
            return bool(state["mask"]["final"] and state["mask"]["revision"] == state["revision"])

        wait_for(is_final, "the mask is final")
        state = self.server.session()
        known = {"data-revision": str(state["revision"]), "data-mask": str(state["mask"]["version"])}
        wait_for(lambda: all(self.of("status", name) == value for name, value in known.items()), "the page knows it")
        drawn = known["data-mask"]
        wait_for(lambda: self.of("status", "data-shown") == drawn, "the page shows it")
        return state

    def of(self, element: str, attribute: str) -> str | None:
        """An attribute of an element by its id."""
        return self.browser.find_element(By.ID, element).get_attribute(attribute)

    def text(self, element: str) -> str:
        """What an element says."""
        return self.browser.find_element(By.ID, element).text

    def readout(self) -> tuple[Voxel, float] | None:
        """The crosshair's voxel and its SUV; None before images are shown."""
        found = re.match(r"voxel (\d+), (\d+), (\d+)\s*SUV (-?[\d.]+)", self.text("readout").replace("\u2212", "-"))
        return ((int(found[1]), int(found[2]), int(found[3])), float(found[4])) if found else None

    def listed_clicks(self) -> list[tuple[str, Voxel]]:
        """Label and voxel of each click in the page's list."""
        script = "return [...document.querySelectorAll('#click-rows .go')].map(row => row.innerText)"
        rows = [
            re.search(r"(Tumor|Background)\s+(\d+), (\d+), (\d+)", row) for row in self.browser.execute_script(script)
        ]
        return [(row[1].lower(), (int(row[2]), int(row[3]), int(row[4]))) for row in rows if row]

    def press(self, *keys: str, held: str = "") -> None:
        """Presses keys one after another while modifiers are held down."""
        actions = ActionChains(self.browser)
        for modifier in held:
            actions.key_down(modifier)
        actions.send_keys(*keys)
        for modifier in held:
            actions.key_up(modifier)
        actions.perform()

    def pixel_of(self, plane: str, voxel: Voxel) -> tuple[float, float]:
        """Where the page says that a voxel of a plane is."""
        x, y, z = voxel
        place = self.browser.execute_script(
            "return lesionclick.pixelOf(arguments[0], arguments[1])", plane, {"x": x, "y": y, "z": z}
        )
        return float(place[0]), float(place[1])

    def click(self, x: float, y: float, right: bool = False) -> None:
        """Clicks at a pixel of the page."""
        button = {"button": "right" if right else "left", "clickCount": 1, "x": round(x), "y": round(y)}
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, **button})

    def picture(self) -> np.ndarray:
        """A screenshot: uint8 of shape (height, width, 3)."""
        for attempt in range(5):
            try:
                shot = self.browser.get_screenshot_as_png()
                return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
            except WebDriverException:  # no answer within the driver's own 10 seconds
                if attempt == 4:
                    raise
        raise AssertionError

    def box_of_planes(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the planes in the page."""
        box = self.browser.find_element(By.ID, "planes").rect
        return int(box["x"]), int(box["y"]), int(box["width"]), int(box["height"])

    def complaints(self) -> list[str]:
        """What went wrong by the browser's console and by the page itself."""
        entries = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        told = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        return told + [each for each in self.text("alerts").splitlines() if each]


def at(voxel: Voxel) -> str:
    """A voxel as the page's address names it."""
    return ",".join(map(str, voxel))


def read_zyx(path: Path) -> np.ndarray:
    """A volume of a file."""
    array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array


def mask_of(server: RunningServer, folder: Path) -> np.ndarray:
    """The mask that a server has for its only case."""
    path = folder / "now.nii.gz"
    path.write_bytes(server.api.get(f"/api/sessions/{server.session()['id']}/mask.nii.gz").raise_for_status().content)
    return read_zyx(path)


def largest_untouched(of_zyx: np.ndarray, other_zyx: np.ndarray, pet_zyx: np.ndarray) -> Voxel | None:
    """The hottest voxel of the largest component of a mask that another mask does not touch."""
    labels = cc3d.connected_components(of_zyx.astype(np.uint8), connectivity=18)
    sizes = np.bincount(labels.ravel())
    sizes[np.unique(labels[other_zyx > 0])] = 0
    sizes[0] = 0
    if not sizes.any():
        return None
    z, y, x = np.unravel_index(np.argmax(np.where(labels == sizes.argmax(), pet_zyx, -1)), labels.shape)
    return int(x), int(y), int(z)

"""The voxel under the mouse is the one that is clicked, however the image lies in the scanner."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium drives the browser; it is in the extra test")

from conftest import body, image_from, write_case
from helpers_browser import RunningServer, Viewer, open_browser, running_server, wait_for
from selenium.webdriver.common.keys import Keys

from lesionclick.testing import make_plans, write_model

SHAPE = (22, 26, 30)  # z, y, x

SPACING = (3.0, 4.0, 5.0)  # x, y, z, mm

HOT = (20, 6, 15)  # x, y, z

# a grid whose axes run to the front, to the head and to the patient's left, and then turned about two axes
TURNED = (
    np.array([[0.966, -0.259, 0], [0.259, 0.966, 0], [0, 0, 1]])
    @ np.array([[1, 0, 0], [0, 0.985, -0.174], [0, 0.174, 0.985]])
    @ np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])
)

DIRECTIONS = {
    "upright": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "turned": TURNED / np.linalg.norm(TURNED, axis=0),
}

PLANES = {"1": ("axial", 0, 1), "2": ("coronal", 0, 2), "3": ("sagittal", 1, 2)}
"""Key, name, and which of the patient's axes (to the left, to the back, to the head) run across and along."""

SCALE = (190, 60)
"""Height and width of what is left to the scale of colors, at the lower right."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=DIRECTIONS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("picking")
    ct, _ = body(SHAPE)
    pet = np.full(SHAPE, 0.5, dtype=np.float32)
    pet[HOT[::-1]] = 7  # yellow; colors are interpolated, so it stays so toward the dark red around it
    direction = DIRECTIONS[request.param]
    images = [image_from(each, SPACING, (-40, 30, 500), direction.ravel().tolist()) for each in (ct, pet)]
    model = write_model(folder / "model", make_plans(spacing=(5, 4, 3)), (0,))
    study = write_case(folder / request.param, *images)
    with running_server(study, "--data", folder / "data", "--model", model, "--backend", "torch") as running:
        yield running


def test_hot_voxel_is_seen_and_clicked(server: RunningServer, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    direction = DIRECTIONS[request.node.callspec.params["server"]]
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    from_middle = direction @ ((np.array(HOT) - middle) * SPACING)  # mm to the left, to the back, to the head
    with open_browser(tmp_path) as browser:
        viewer = Viewer(browser, server)
        viewer.open(HOT)
        assert viewer.readout() == (HOT, 7.0)
        viewer.press("m", "f")  # PET alone, without the mask that random networks give
        for number, (key, (name, across, along)) in enumerate(PLANES.items(), 1):
            viewer.press(key)
            wait_for(lambda: viewer.of("reader", "data-layout") == name, "the plane is alone")  # noqa: B023
            viewer.press(*"+" * (number - 1))  # about the crosshair, which stays where it is
            left, top, width, height = viewer.box_of_planes()
            picture = viewer.picture()[top : top + height, left : left + width].astype(int)
            picture[-SCALE[0] :, -SCALE[1] :] = 0
            # the hot voxel is yellow, around what marks earlier clicks, and nothing else is
            yellow = (picture[..., 0] > 100) & (picture[..., 1] > 60) & (picture[..., 2] < 50)
            assert yellow.any(), f"{name}: the hot voxel is not to be seen"
            y, x = np.argwhere(yellow).mean(axis=0)
            assert np.sign(x - width / 2) == np.sign(from_middle[across]), f"{name}: left and right, or front and back"
            assert np.sign(y - height / 2) == np.sign(from_middle[along] * (1 if along == 1 else -1)), name
            viewer.click(left + x, top + y)
            wait_for(lambda: len(server.session()["clicks"]) >= number, "the click is known")  # noqa: B023
            click = server.session()["clicks"][number - 1]
            assert (click["x"], click["y"], click["z"], click["label"]) == (*HOT, "tumor"), name
        wait_for(lambda: viewer.listed_clicks() == [("tumor", HOT)] * 3, "the clicks are listed")
        assert viewer.complaints() == []
        for _ in range(3):
            viewer.press("z", held=Keys.CONTROL)
        wait_for(lambda: server.session()["clicks"] == [], "the clicks are undone")

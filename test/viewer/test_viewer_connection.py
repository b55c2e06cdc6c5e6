"""A server that goes away and comes back: the page says so in words, and finds everything again."""

from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium drives the browser; it is in the extra test")

from conftest import body, image_from, write_case
from helpers_browser import RunningServer, Viewer, open_browser, wait_for

from lesionclick.testing import make_plans, write_model

pytestmark = pytest.mark.slow


def test_server_ends_and_comes_back(tmp_path: Path) -> None:
    study = write_case(tmp_path / "study", *map(image_from, body((20, 22, 24))))
    model = write_model(tmp_path / "model", make_plans(), (0,))
    arguments = study, "--data", tmp_path / "data", "--model", model, "--backend", "torch"
    with open_browser(tmp_path) as browser:
        server = RunningServer(*arguments)
        viewer = Viewer(browser, server)
        try:
            viewer.open((3, 4, 5))
            viewer.press("t")
            wait_for(lambda: viewer.listed_clicks() == [("tumor", (3, 4, 5))], "the click is listed")
        finally:
            server.stop()
        wait_for(lambda: "does not answer" in viewer.text("status"), "the page says that the server is gone")
        viewer.press("b")
        wait_for(lambda: "Is `lesionclick serve` still running?" in viewer.text("alerts"), "the click is refused")
        assert len(viewer.listed_clicks()) == 1
        again = RunningServer(*arguments, "--port", server.url.rpartition(":")[2])
        try:
            viewer.server = again
            wait_for(lambda: "does not answer" not in viewer.text("status"), "the page has the server again")
            viewer.press("b")
            wait_for(lambda: viewer.listed_clicks()[1:] == [("background", (3, 4, 5))], "the second click is listed")
            state = viewer.wait_until_final()
            assert [click["label"] for click in state["clicks"]] == ["tumor", "background"]
        finally:
            again.stop()

"""What a session goes through: a server that goes away and comes back, a second page, an end."""

from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium drives the browser; it is in the extra test")

from conftest import body, image_from, write_case
from helpers_browser import RunningServer, Viewer, open_browser, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lesionclick.testing import make_plans, write_model

pytestmark = pytest.mark.slow


def test_session_of_two_pages_and_two_servers(tmp_path: Path) -> None:
    study = write_case(tmp_path / "study", *map(image_from, body((20, 22, 24))))
    model = write_model(tmp_path / "model", make_plans(), (0,))
    arguments = study, "--data", tmp_path / "data", "--model", model, "--backend", "torch"
    with open_browser(tmp_path) as browser:
        server = RunningServer(*arguments)
        viewer = Viewer(browser, server)
        try:
            viewer.open((3, 4, 5))
            first = browser.current_window_handle
            viewer.press("t")
            wait_for(lambda: viewer.listed_clicks() == [("tumor", (3, 4, 5))], "the click is listed")

            # a second page shows the same, and the first one what was done in it
            browser.switch_to.new_window("window")
            viewer.open((6, 7, 8))
            wait_for(lambda: viewer.listed_clicks() == [("tumor", (3, 4, 5))], "the click is listed here, too")
            viewer.press("b")
            wait_for(lambda: len(viewer.listed_clicks()) == 2, "a click is made here")
            browser.switch_to.window(first)
            wait_for(lambda: viewer.listed_clicks()[1:] == [("background", (6, 7, 8))], "it is listed there")
            viewer.press("z", held=Keys.CONTROL)
            wait_for(lambda: len(viewer.listed_clicks()) == 1, "it is undone there")
        finally:
            server.stop()

        # the server ends and comes back
        wait_for(lambda: "does not answer" in viewer.text("status"), "the page says that the server is gone")
        viewer.press("b")
        refusal = "The click was not set: the server does not answer. Is `lesionclick serve` still running?"
        wait_for(lambda: refusal in viewer.text("alerts"), "the click is refused")
        assert len(viewer.listed_clicks()) == 1
        again = RunningServer(*arguments, "--port", server.url.rpartition(":")[2])
        try:
            viewer.server = again
            wait_for(lambda: "does not answer" not in viewer.text("status"), "the page has the server again")
            viewer.press("b")
            wait_for(lambda: viewer.listed_clicks()[1:] == [("background", (3, 4, 5))], "the second click is listed")
            state = viewer.wait_until_final()
            assert [click["label"] for click in state["clicks"]] == ["tumor", "background"]

            # the session is removed: the page says so, and begins a new one when it is asked to
            again.api.delete(f"/api/sessions/{state['id']}").raise_for_status()
            wait_for(lambda: browser.find_element(By.ID, "again").is_displayed(), "the page knows that it is over")
            assert viewer.of("status", "data-stage") == "failed"
            browser.find_element(By.ID, "again").click()
            wait_for(lambda: viewer.readout() == ((3, 4, 5), viewer.readout()[1]), "the same place is shown")  # type: ignore[index]
            assert viewer.listed_clicks() == []
            assert viewer.wait_until_final()["id"] != state["id"]
        finally:
            again.stop()

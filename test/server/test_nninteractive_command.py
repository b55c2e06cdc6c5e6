"""`lesionclick serve` with a port for viewers: one server behind both doors, and nothing lost when it is killed."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers_nninteractive import SPACING, show
from helpers_server import load, same, write_study
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

from lesionclick import Case, Click, Session
from lesionclick.server.settings import SESSION_SETTINGS


class Server:
    """The command in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-c", "from lesionclick.cli.main import main; main()", "serve", *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.page = self._process.stdout.readline().strip()
        self.log = []
        for line in self._process.stderr:
            self.log.append(line)
            if "nnInteractive connect to" in line:
                break
        self.address = self.log[-1].split()[-1]

    def end(self) -> int:
        self._process.terminate()
        self._process.communicate(timeout=60)
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)


@pytest.mark.slow
def test_a_viewer_goes_on_after_the_server_was_killed(tmp_path: Path, model_folder: Path) -> None:
    study = write_study(tmp_path / "study")
    options = ("--data", tmp_path / "data", "--model", model_folder, "--port", 0, "--nninteractive-port", 0)
    arguments = (study, *options, "--no-page", "--backend", "torch", "--precision", "float32", "--device", "cpu")
    case = Case.read(study)
    alone = Session(load(model_folder), case, SESSION_SETTINGS)
    clicks = (Click(5, 6, 7, "tumor"), Click(12, 11, 10, "background"))

    server = Server(*arguments)
    try:
        with Client(server.address) as client:
            assert "Not a medical device" in (client.license or "")
            buffer = show(client, case.ct_zyx, SPACING)
            client.add_point_interaction((7, 6, 5), include_interaction=True)
            client.add_point_interaction((10, 11, 12), include_interaction=False)
            assert same(buffer, alone.predict(clicks).mask)
        (listed,) = httpx.get(f"{server.page}/api/cases").json()
        state = httpx.get(f"{server.page}/api/sessions/{listed['session']}").json()
        assert [(each["x"], each["y"], each["z"], each["label"]) for each in state["clicks"]] == [
            (click.x, click.y, click.z, click.label) for click in clicks
        ]
    finally:
        server.kill()

    server = Server(*arguments)
    try:
        with Client(server.address) as client:
            client.set_image(case.pet_zyx[None], {"spacing": SPACING})
            buffer = np.zeros(case.pet_zyx.shape, np.uint8)
            client.set_target_buffer(buffer)
            client._predict()
            assert same(buffer, alone.predict(clicks).mask)
        httpx.get(f"{server.page}/api/cases")
        assert server.end() == 143  # both doors are closed, and nothing waits for ever
    finally:
        server.kill()

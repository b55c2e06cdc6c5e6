"""A real server, killed while it computes: no click that was answered is lost, and the next server goes on."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers_server import wait_until, write_study

ENDED = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


class Server:
    """`lesionclick serve` in a process of its own."""

    def __init__(self, data: Path, model: Path, study: Path) -> None:
        self.arguments = data, model, study
        command = [sys.executable, "-c", "from lesionclick.cli.main import main; main()", "serve", study]
        options = ["--data", data, "--model", model, "--port", "0", "--no-page", "--backend", "torch"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url, "the server did not start"
        self.api = httpx.Client(base_url=url, timeout=60)

    def again(self) -> "Server":
        """Another one with the same data folder."""
        return Server(*self.arguments)

    def session(self) -> str:
        (case,) = self.api.get("/api/cases").json()
        session: str = self.api.post(f"/api/cases/{case['id']}/session").raise_for_status().json()["id"]
        return f"/api/sessions/{session}"


def click_until_killed(server: Server, session: str, generator: random.Random, answered: dict[str, Any]) -> None:
    """Clicks, undoes and redoes as fast as the server answers; keeps what it answered last."""
    while True:
        action = generator.choice(["clicks", "clicks", "clicks", "undo", "redo"])
        voxel = {axis: generator.randrange(20) for axis in "xyz"}
        click = {**voxel, "label": generator.choice(["tumor", "background"])} if action == "clicks" else None
        answered["asked"] = action
        try:
            state = server.api.post(f"{session}/{action}", json=click).raise_for_status().json()
        except (httpx.HTTPError, RuntimeError):
            return
        answered.update(asked=None, state=state)


def kill_and_look(server: Server, session: str, times: int) -> Server:
    """Kills servers at random moments while somebody clicks; the last one runs."""
    generator = random.Random(times)
    for _ in range(times):
        answered: dict[str, Any] = {"state": server.api.get(session).json()}
        reader = threading.Thread(target=click_until_killed, args=(server, session, generator, answered))
        reader.start()
        time.sleep(generator.uniform(0.2, 1.5))
        server.process.kill()
        server.process.wait(60)
        reader.join(60)
        server.api.close()

        server = server.again()
        before, after = answered["state"], server.api.get(session).json()
        if answered["asked"] is None or after["revision"] == before["revision"]:
            for what in ("clicks", "revision", "can_undo", "can_redo"):
                assert after[what] == before[what]
        else:  # it was on the disk, and the server was killed before it could say so
            assert after["revision"] == before["revision"] + 1
            if answered["asked"] == "clicks":
                assert after["clicks"][:-1] == before["clicks"]
    return server


def require_computed(server: Server, session: str) -> None:
    """Waits until the session is computed, though nobody opens it: it was open when the server was killed."""
    with server.api.stream("GET", f"{session}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                state = json.loads(line.removeprefix("data: "))
                assert state["progress"]["error"] is None
                if state["mask"]["final"] and state["mask"]["revision"] == state["revision"]:
                    break
    assert server.api.get(f"{session}/mask.mha").headers["x-mask-revision"] == str(state["revision"])


def go_away_in_the_middle(server: Server, session: str, data: Path) -> None:
    """Closes streams that go on and an upload that has begun; nothing of them stays."""
    for _ in range(5):
        with server.api.stream("GET", f"{session}/events") as stream:
            next(stream.iter_lines())
    url = httpx.URL(str(server.api.base_url))
    kind = "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 9000000"
    part = '--a\r\nContent-Disposition: form-data; name="ct"; filename="ct.nii"\r\n\r\n' + "x" * 3_000_000
    with socket.create_connection((url.host, url.port or 0)) as connection:
        connection.sendall(f"POST /api/cases HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n\r\n{part}".encode())
    assert server.api.get("/api/health").json() == {"status": "ok"}
    wait_until(lambda: not list((data / "temporary").iterdir()))
    assert list((data / "cases").iterdir()) == []


def require_end(server: Server, session: str) -> None:
    """A server ends soon though somebody listens, whose stream ends as any other answer does."""
    with server.api.stream("GET", f"{session}/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        server.process.terminate()
        for _ in lines:  # raises where the stream is cut off
            pass
        _, errors = server.process.communicate(timeout=60)
    assert server.process.returncode in ENDED
    assert "Traceback" not in errors
    assert "Cancel" not in errors


def test_a_killed_server_loses_no_click_and_the_next_one_goes_on(tmp_path: Path, model_folder: Path) -> None:
    data = tmp_path / "data"
    server = Server(data, model_folder, write_study(tmp_path / "study"))
    session = server.session()
    server = kill_and_look(server, session, 2)
    require_computed(server, session)
    go_away_in_the_middle(server, session, data)
    require_end(server, session)


@pytest.mark.slow
def test_a_server_killed_twenty_times_loses_no_click(tmp_path: Path, model_folder: Path) -> None:
    server = Server(tmp_path / "data", model_folder, write_study(tmp_path / "study"))
    session = server.session()
    server = kill_and_look(server, session, 20)
    require_computed(server, session)
    server.process.kill()

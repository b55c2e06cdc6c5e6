"""The server's image, built by build.sh and run as its documentation says, but with nothing else to write to."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from helpers_container import RESTRICTIONS, build, docker, docker_answers, label_of, open_folder

import lesionclick

TAG = "lesionclick-serve-test"
KEY = "a-key-of-tests-of-16-or-more"
ASK = """
import json, sys, urllib.error, urllib.request
method, path, key, body = sys.argv[1:]
headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + key} if key else {})
request = urllib.request.Request("http://127.0.0.1:8000" + path, body.encode() or None, headers, method=method)
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode("utf-8", "replace")]))
"""

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not docker_answers(), reason="docker does not answer"),
]


@pytest.fixture(scope="module")
def image() -> str:
    build("--target", "serve", TAG)
    return TAG


class Server:
    """A container that serves; it has no network, so that it is asked from within."""

    def __init__(self, image: str, data: Path) -> None:
        volumes = ("--volume", f"{ROOT / 'test' / 'cases'}:/cases:ro", "--volume", f"{data}:/data")
        limits = ("--network", "none", "--memory", "8g", "--memory-swap", "8g")
        options = (*RESTRICTIONS, *limits, *volumes, "--env", f"LESIONCLICK_KEY={KEY}")
        self.name = docker("run", "--detach", *options, image, "/cases/psma").stdout.strip()

    def ask(self, method: str, path: str, key: str = KEY, body: str = "") -> tuple[int, str]:
        done = docker("exec", self.name, "python", "-c", ASK, method, path, key, body)
        status, text = json.loads(done.stdout)
        return status, text

    def state(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        status, text = self.ask(method, path, body=body)
        assert status == 200, text
        state: dict[str, Any] = json.loads(text)
        return state

    def wait(self, condition: Callable[[], bool], seconds: float = 900) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(2)

    def wait_for_start(self) -> None:
        self.wait(lambda: "http://0.0.0.0:8000" in self.logs() or not self.is_running())
        assert self.is_running(), self.logs()

    def is_running(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.name).stdout.strip() == "true"

    def logs(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr


@pytest.fixture
def serve(image: str, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    data = open_folder(tmp_path / "data")
    started: list[Server] = []

    def serve() -> Server:
        started.append(Server(image, data))
        started[-1].wait_for_start()
        return started[-1]

    yield serve
    for server in started:
        docker("rm", "--force", server.name, check=False)


def test_a_case_is_opened_and_its_clicks_outlive_the_container(serve: Callable[[], Server]) -> None:
    server = serve()
    assert docker("exec", server.name, "id", "-u").stdout.strip() == "1000"
    assert docker("exec", server.name, "touch", "/opt/app/file", check=False).returncode != 0
    assert server.ask("GET", "/api/health", key="") == (200, '{"status":"ok"}')
    for key in ("", "another-key-of-16"):
        assert server.ask("GET", "/api/cases", key=key)[0] == 401
    assert "<script" in server.ask("GET", "/")[1]
    (case,) = json.loads(server.ask("GET", "/api/cases")[1])
    opened = server.state("POST", f"/api/cases/{case['id']}/session")
    session = f"/api/sessions/{opened['id']}"
    click = json.dumps({"x": 3, "y": 4, "z": 5, "label": "tumor"})
    assert server.state("POST", f"{session}/clicks", click)["revision"] == 1

    def has_mask() -> bool:
        state = server.state("GET", session)
        assert state["progress"]["error"] is None
        return bool(state["mask"]["version"])

    server.wait(has_mask)
    assert "Warning:" not in server.logs()  # of a library about a file system or a user it does not like
    docker("kill", server.name)

    server = serve()
    assert [click["z"] for click in server.state("GET", session)["clicks"]] == [5]


def test_without_a_key_it_does_not_start(image: str) -> None:
    done = docker("run", "--rm", "--network", "none", *RESTRICTIONS, image, check=False)
    assert done.returncode == 2
    assert "expected a key" in done.stderr.splitlines()[-1]


def test_the_image_is_labelled_and_not_root(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip() == "1000:1000"
    assert label_of(image, "org.opencontainers.image.title") == "LesionClick server"
    assert label_of(image, "org.opencontainers.image.version") == lesionclick.__version__
    left = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "ls -A /opt/package /opt/source 2>/dev/null; true")
    assert not left.stdout.strip()

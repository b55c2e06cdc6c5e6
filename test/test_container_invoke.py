"""The image that stays awake: called for several cases by the API method `invoke`, as restricted as on the platform."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ROOT, body, click_file, image_from, write_case
from helpers_container import RESTRICTIONS, build, docker, docker_answers, label_of, open_folder

from lesionclick.testing import make_plans, write_model

TAG = "lesionclick-invoke-test"
LIMITS = ("--network", "none", "--memory", "8g", "--memory-swap", "8g", "--shm-size", "4g", "--user", "12345")
ASK = """
import json, sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:4743" + sys.argv[2], method=sys.argv[1])
try:
    answer = urllib.request.urlopen(request, timeout=600)
except urllib.error.HTTPError as error:
    answer = error
except OSError:
    sys.exit(print("[0, {}]"))
print(json.dumps([answer.status, json.load(answer)]))
"""

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not docker_answers(), reason="docker does not answer"),
]


@pytest.fixture(scope="module")
def image() -> str:
    build("--api", "invoke", TAG)
    return TAG


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny", make_plans(), folds=(0, 1))


class Container:
    """A container that is called from within, since it has no network."""

    def __init__(self, image: str, model: Path, folder: Path) -> None:
        self.input, self.output = open_folder(folder / "input"), open_folder(folder / "output")
        mounts = (f"{self.input}:/input:ro", f"{self.output}:/output", f"{model}:/opt/ml/model:ro")
        volumes = [part for mount in mounts for part in ("--volume", mount)]
        options = (*RESTRICTIONS, *LIMITS, "--tmpfs", "/tmp", *volumes)
        self.name = docker("run", "--detach", *options, image).stdout.strip()

    def ask(self, method: str, path: str) -> tuple[int, dict[str, str]]:
        status, answer = json.loads(docker("exec", self.name, "python", "-c", ASK, method, path).stdout)
        return status, answer

    def give(self, case: Path) -> None:
        """Resets input and output as the platform does between cases."""
        for folder in (self.input, self.output):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(case, self.input, dirs_exist_ok=True)

    def masks(self) -> list[Path]:
        return [path for path in self.output.rglob("*") if path.is_file()]

    def inspect(self, field: str) -> str:
        return docker("inspect", "--format", f"{{{{.State.{field}}}}}", self.name).stdout.strip()


@pytest.fixture
def awake(image: str, model: Path, tmp_path: Path) -> Iterator[Container]:
    container = Container(image, model, tmp_path)
    try:
        wait(lambda: container.ask("GET", "/health")[0] == 200)
        yield container
    finally:
        docker("rm", "--force", container.name, check=False)


def wait(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(1)


def case_of(folder: Path, seed: int, shape: tuple[int, int, int] = (18, 20, 22)) -> Path:
    ct, pet = body(shape, seed)
    return write_case(folder, image_from(ct), image_from(pet), click_file(([3, 4, 5], "tumor")), name=folder.name)


def test_three_cases_in_a_row_of_which_one_is_bad(awake: Container, model: Path, tmp_path: Path) -> None:
    assert label_of(TAG, "org.grand-challenge.api-method") == "invoke"
    first, bad, last = (case_of(tmp_path / name, seed) for seed, name in enumerate(("first", "bad", "last")))
    next((bad / "images" / "pet").iterdir()).unlink()
    for case in (first, last):
        awake.give(case)
        assert awake.ask("POST", "/invoke")[0] == 201
        (mask,) = awake.masks()
        expected = tmp_path / "expected" / case.name
        options = ("--input", case, "--output", expected, "--model", model, "--device", "cpu")
        subprocess.run([sys.executable, ROOT / "process.py", *options], check=True, capture_output=True)
        voxels = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            for path in (mask, expected / mask.relative_to(awake.output))
        )
        np.testing.assert_array_equal(*voxels)
        if case is first:
            awake.give(bad)
            status, answer = awake.ask("POST", "/invoke")
            assert status == 422
            assert "expected exactly one" in answer["detail"]
            assert answer["detail"] in docker("logs", awake.name).stderr
            assert not awake.masks()


def test_it_ends_within_seconds_in_the_middle_of_a_case(awake: Container, tmp_path: Path) -> None:
    awake.give(case_of(tmp_path / "large", 0, (192, 256, 256)))  # takes minutes in tiles of 16 voxels
    before = docker("logs", awake.name).stderr.count("preprocessing")
    calling = subprocess.Popen(
        ["docker", "exec", awake.name, "python", "-c", ASK, "POST", "/invoke"], stdout=subprocess.DEVNULL
    )
    wait(lambda: docker("logs", awake.name).stderr.count("preprocessing") > before)
    docker("stop", "--time", "5", awake.name)  # SIGTERM, and SIGKILL after 5 seconds, which gives 137
    calling.wait(60)
    assert awake.inspect("ExitCode") == "143"
    assert not awake.masks()

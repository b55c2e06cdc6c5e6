"""A process that stays awake: requests and their answers, and what becomes of a case that fails or is cut short."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ROOT, body, click_file, image_from, process, write_case

from lesionclick import Case, Ensemble, Session
from lesionclick.container.invoke import CaseDesk, InvokeServer
from lesionclick.errors import CaseError, LesionClickError, ModelError
from lesionclick.inference import executor
from lesionclick.inference.backend import Network
from lesionclick.inference.executor import Executor

MASK = "images/tumor-lesion-segmentation/case.mha"


def ask(port: int, method: str, path: str, timeout: float = 120) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@contextmanager
def desk_with(process_one: Callable[[], Path]) -> Iterator[int]:
    """A server in this process, whose cases are whatever a function does; gives its port."""
    desk = CaseDesk()
    server = InvokeServer(desk, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert ask(server.server_port, "GET", "/health") == (503, {"status": "reading the model"})
    assert ask(server.server_port, "POST", "/invoke")[0] == 503
    threading.Thread(target=desk.work, args=(process_one,), daemon=True).start()
    while not desk.is_open:
        time.sleep(0.01)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_each_error_has_its_status_and_sentence_and_the_next_case_works(capsys: pytest.CaptureFixture[str]) -> None:
    results: list[Path | Exception] = [
        *(CaseError("ct: is missing"), ModelError("fold: is gone"), RuntimeError("a\nbug"), MemoryError()),
        Path("out/mask.mha"),
    ]

    def process_one() -> Path:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    with desk_with(process_one) as port:
        answers = [ask(port, "POST", "/invoke") for _ in range(5)]
    assert answers == [
        (422, {"detail": "ct: is missing"}),
        (500, {"detail": "fold: is gone"}),
        (500, {"detail": "unexpected error: RuntimeError: a bug"}),
        (500, {"detail": "unexpected error: MemoryError: MemoryError"}),
        (201, {"mask": "out/mask.mha"}),
    ]
    captured = capsys.readouterr()
    assert captured.out == "out/mask.mha\n"
    assert captured.err.startswith("error: ct: is missing\nerror: fold: is gone\nTraceback")


def test_a_case_at_a_time_and_health_meanwhile() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def process_one() -> Path:
        begun.set()
        may_end.wait(60)
        return Path("mask.mha")

    answers: list[tuple[int, dict[str, Any]]] = []
    with desk_with(process_one) as port:
        waiting = threading.Thread(target=lambda: answers.append(ask(port, "POST", "/invoke")))
        waiting.start()
        assert begun.wait(60)
        assert ask(port, "GET", "/health", timeout=10) == (200, {"status": "ok"})
        assert ask(port, "POST", "/invoke")[0] == 409
        may_end.set()
        waiting.join()
        assert answers == [(201, {"mask": "mask.mha"})]
        assert ask(port, "POST", "/invoke")[0] == 201


def test_other_requests_are_refused() -> None:
    with desk_with(lambda: Path("mask.mha")) as port:
        assert ask(port, "GET", "/invoke")[0] == ask(port, "POST", "/health")[0] == 405
        assert ask(port, "GET", "/")[0] == ask(port, "POST", "/ping")[0] == 404


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with (
        desk_with(lambda: Path("mask.mha")) as port,
        pytest.raises(LesionClickError, match=f"^127.0.0.1:{port}: cannot be listened at: "),
    ):
        InvokeServer(CaseDesk(), "127.0.0.1", port)


@pytest.mark.parametrize(("memory", "reads"), [(1 << 40, [0, 1]), (0, [0, 1, 0, 1])])
def test_networks_are_read_once_where_there_is_room_for_all(
    memory: int, reads: list[int], case_folder: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "ALL_NETWORKS_BYTES", 0)
    monkeypatch.setattr(executor, "total_memory", lambda: memory)
    read, done = Executor._read_network, []

    def read_and_note(self: Executor, index: int) -> Network:
        done.append(index)
        return read(self, index)

    monkeypatch.setattr(Executor, "_read_network", read_and_note)
    ensemble = Ensemble.load(model_folder, "cpu", backend="torch")
    ensemble.keep_all_ready()
    for _ in range(2):
        Session(ensemble, Case.read(case_folder), tile_cache_bytes=0).predict()
    assert done == reads


class Awake:
    """process.py that stays awake, and all that it says on stderr."""

    def __init__(self, *options: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "process.py"), *map(str, options)],
            env={**os.environ, "LESIONCLICK_API": "invoke", "LESIONCLICK_PORT": "0", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.wait_for(r"INFO listening on port (\d+)"))
        while ask(self.port, "GET", "/health")[0] != 200:
            time.sleep(0.1)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def wait_for(self, pattern: str, seconds: float = 240) -> str:
        """What the first group of a line holds, once there is such a line."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.lines):
                if found := re.fullmatch(pattern, line):
                    return found[1] if found.groups() else line
            assert self.process.poll() is None, self.lines
            time.sleep(0.02)
        raise AssertionError(self.lines)

    def end(self) -> float:
        """Sends SIGTERM; the seconds until the process has ended, which it must have with 143."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 128 + signal.SIGTERM
        self._reader.join()
        return time.monotonic() - start


def read(path: Path) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array


def test_three_cases_in_a_row_of_which_the_second_is_bad(model_folder: Path, tmp_path: Path) -> None:
    places, out = [], tmp_path / "out"
    for seed in (1, 2):
        ct, pet = (image_from(image) for image in body(seed=seed))
        clicks = click_file(([3, 4, 5 + seed], "tumor"))
        places.append(write_case(tmp_path / f"case{seed}", ct, pet, clicks))
    expected = []
    for number, place in enumerate(places):
        alone = process("--input", place, "--output", tmp_path / f"exec{number}", "--model", model_folder)
        assert alone.returncode == 0, alone.stderr
        expected.append(read(Path(alone.stdout.strip())))
    awake = Awake("--input", tmp_path / "in", "--output", out, "--model", model_folder)
    masks = []
    for place, is_bad in ((places[0], False), (places[0], True), (places[1], False)):
        for folder in (tmp_path / "in", out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place, tmp_path / "in")
        if is_bad:
            (tmp_path / "in" / "lesion-clicks.json").write_text("{}")
            status, content = ask(awake.port, "POST", "/invoke")
            assert status == 422
            assert content["detail"].startswith(f"{tmp_path / 'in' / 'lesion-clicks.json'}: ")
            awake.wait_for(re.escape(f"error: {content['detail']}"))
            assert not out.exists()
        else:
            assert ask(awake.port, "POST", "/invoke") == (201, {"mask": str(out / MASK)})
            masks.append(read(out / MASK))
    assert awake.end() < 5
    for mask, as_expected in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(mask, as_expected)
    assert len([line for line in awake.lines if line.startswith("INFO checking the model")]) == 1
    assert awake.process.stdout is not None
    assert awake.process.stdout.read() == f"{out / MASK}\n" * 2


STUCK = """
import ctypes, signal, sys
from lesionclick.inference.executor import Executor
def compute(self, network, batch):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # so that no signal cuts the sleep short
    print("INFO stuck", file=sys.stderr, flush=True)
    ctypes.CDLL(None).sleep(120)
Executor.compute = compute
"""
"""Networks as a library that computes for minutes: Python cannot answer a signal meanwhile."""


@pytest.mark.parametrize("api", ["exec", "invoke"])
def test_a_case_ends_within_five_seconds_without_output(
    api: str, case_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "stuck").mkdir()
    (tmp_path / "stuck" / "run.py").write_text(
        f"{STUCK}\nimport runpy\nrunpy.run_path({str(ROOT / 'process.py')!r}, run_name='__main__')\n"
    )
    out = tmp_path / "out"
    options = ("--input", case_folder, "--output", out, "--model", model_folder, "--api", api, "--port", 0)
    running = subprocess.Popen(
        [sys.executable, str(tmp_path / "stuck" / "run.py"), *map(str, options)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if found := re.fullmatch(r"INFO listening on port (\d+)\n", line):
            port = int(found[1])

            def ask_until_open(port: int = port) -> None:
                with suppress(OSError):  # in the end nobody answers any more
                    while ask(port, "POST", "/invoke")[0] == 503:
                        time.sleep(0.1)

            threading.Thread(target=ask_until_open, daemon=True).start()
        if line == "INFO stuck\n":
            break
    start = time.monotonic()
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM
    assert time.monotonic() - start < 5
    assert not out.exists()

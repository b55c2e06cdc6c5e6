"""Work on a Ray cluster of three nodes on this machine: workers of any kind, a cohort and an evaluation."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT, body, image_from, write_case
from helpers_case import write_dataset
from helpers_cluster import Cluster, Doubler, add_node, running_cluster
from helpers_cohort import files_of, recipe_of, rows_of

import lesionclick
from lesionclick.cluster import connection
from lesionclick.cluster.connection import Share, require_answer
from lesionclick.cluster.spread import Lost, spread
from lesionclick.cohort.runner import CohortResult, run_cohort
from lesionclick.errors import ClusterError
from lesionclick.evaluation import figures
from lesionclick.evaluation.on_cluster import evaluate_on_cluster
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.runner import evaluate_dataset
from lesionclick.evaluation.segmenters import NetworkSegmenter
from lesionclick.inference.settings import InferenceSettings

pytest.importorskip("ray", reason="needs the extra cluster")

pytestmark = pytest.mark.slow

BOUND_SECONDS = 900
"""For what takes a minute on an idle machine."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Ends a test that waits for ever."""

    def end(*_: object) -> None:
        raise TimeoutError(f"not done in {BOUND_SECONDS} s")

    former = signal.signal(signal.SIGALRM, end)
    signal.alarm(BOUND_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def share(cluster: Cluster) -> Share:
    return Share(cluster.address, cpus=1)


# ---- any work


def test_every_item_comes_once_and_one_that_kills_its_workers_does_so_three_times(
    share: Share, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    found = dict(spread(partial(Doubler, log), [5, 0, 7, 13, 8], share))
    host = socket.gethostname()
    assert found == {
        5: 10,
        7: 14,
        8: 16,
        13: Lost("its worker failed: ValueError: thirteen"),
        0: Lost(f"3 workers died of it, the last one on {host}"),
    }
    assert sorted(log.read_text().split()) == sorted(["5", "7", "8", "13", "0", "0", "0"])
    assert sum(f"a worker on {host} is lost" in message for message in caplog.messages) == 3


def test_worker_that_cannot_do_the_work_is_refused(share: Share, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"^the worker on \S+ cannot be used: model: has no weights$"):
        list(spread(partial(Doubler, tmp_path / "log", True), [1, 2], share))


def test_worker_of_another_version_is_refused(share: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = lesionclick.__version__
    monkeypatch.setattr(lesionclick, "__version__", "99.0")
    with pytest.raises(ClusterError, match=rf"^the worker on \S+ has lesionclick {own}, expected 99.0 as where the"):
        list(spread(partial(Doubler, tmp_path / "log"), [1, 2], share))
    assert not (tmp_path / "log").exists()


def test_worker_that_fits_nowhere_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no machine of the cluster has 64 cores and 0 GPUs for a worker"):
        list(spread(partial(Doubler, tmp_path / "log"), [1], Share(cluster.address, cpus=64)))


@pytest.mark.parametrize("address", ["nowhere", "ray://127.0.0.1:10001", "127.0.0.1:1", "no.such.host.invalid:6379"])
def test_address_where_no_cluster_answers_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=r"expected local, auto or the HOST:PORT that `ray start --head` prints$"):
        require_answer(address)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-server\r\n", b""])
def test_address_where_something_else_answers_is_refused(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(answer)
                client.recv(100)
                time.sleep(1)  # and says nothing more

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(
            ClusterError, match=r"expected local, auto or the HOST:PORT that `ray start --head` prints$"
        ):
            require_answer(f"127.0.0.1:{server.getsockname()[1]}")


# ---- a cohort


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve cases that take a while each; the seventh has no PET."""
    folder = tmp_path_factory.mktemp("cohort") / "cases"
    for number in range(12):
        ct, pet = body((40, 48, 48), number)
        write_case(folder / f"case-{number:02d}", image_from(ct), image_from(pet))
    next((folder / "case-06" / "images" / "pet").iterdir()).unlink()
    return folder


@pytest.fixture(scope="module")
def serial(cases: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process."""
    out = tmp_path_factory.mktemp("serial") / "out"
    result = run_cohort(cases, out, model_folder, partial(recipe_of, model_folder))
    assert (result.done, list(result.failures)) == (11, ["case-06"])
    return out


def wait_for(out: Path, count: int) -> list[Path]:
    """Manifests of finished cases, as soon as there are so many."""
    end = time.monotonic() + BOUND_SECONDS
    while len(found := sorted(out.glob("[!.]*/manifest.json"))) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_cohort_loses_nothing_by_a_killed_worker_and_a_killed_node(
    cluster: Cluster, cases: Path, model_folder: Path, serial: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lesionclick")
    third = add_node(cluster)
    out = tmp_path / "out"
    killed: list[int] = []

    def kill() -> None:
        (first, *_) = wait_for(out, 1)
        worker = json.loads(first.read_text())["record"]["process"]
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)
        wait_for(out, 4)
        cluster.remove_node(third, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    share = Share(cluster.address, cpus=1)
    result = run_cohort(cases, out, model_folder, partial(recipe_of, model_folder), share)
    killer.join()
    assert killed
    assert (result.cases, list(result.failures)) == (12, ["case-06"])
    assert files_of(out) == files_of(serial)
    assert [row["case"] for row in rows_of(out / "failed.csv")] == ["case-06"]
    # the killed worker may have finished a case without having said so
    told = [message.split()[0] for message in caplog.messages if re.search(" is done$| was done already, ", message)]
    assert len(told) == len(set(told)) == 11
    assert result.done >= 9
    assert any("is lost" in message for message in caplog.messages)
    again = run_cohort(cases, out, model_folder, partial(recipe_of, model_folder), share)
    assert again == CohortResult(12, 0, result.failures)


@contextmanager
def started(cases: Path, out: Path, model: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Starts the command; it ends with the block at the latest."""
    program = (  # what a shell starts in the background ignores SIGINT, and so does what that starts
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from lesionclick.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, "cohort", cases, "--out", out]
    command += ["--model", model, "--device", "cpu", "--backend", "torch", "--networks", "all", *options]
    process = subprocess.Popen(
        [*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    try:
        yield process
    finally:
        process.kill()


@pytest.mark.parametrize("on_cluster", [False, True])
def test_cohort_ends_at_ctrl_c_and_a_second_start_goes_on(
    on_cluster: bool, cluster: Cluster, cases: Path, model_folder: Path, serial: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--precision", "float32", *(("--ray", cluster.address, "--cpus-per-worker", "1") if on_cluster else ()))
    with started(cases, out, model_folder, *options) as first:
        wait_for(out, 2)
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does it
        _, before = first.communicate()
    assert first.returncode != 0
    assert not (out / "cases.csv").exists()
    assert not (out / ".unfinished").exists()
    with started(cases, out, model_folder, *options) as second:
        said, after = second.communicate()
    assert second.returncode == 1, after
    counts = re.fullmatch(rf"{out}: 12 cases, (\d+) done now, (\d+) before, 1 failed\n", said)
    assert counts
    done_now, done_before = int(counts[1]), int(counts[2])
    assert done_now + done_before == 11
    assert done_before >= 2
    assert f"12 cases, {done_before} of them are done already" in after
    done = [line.split()[1] for line in (before + after).splitlines() if line.endswith(" is done")]
    assert len(done) == len(set(done))
    assert files_of(out) == files_of(serial)


def test_without_a_cluster_ray_is_not_even_imported(cases: Path, serial: Path, model_folder: Path) -> None:
    program = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from helpers_cohort import recipe_of; from lesionclick.cohort.runner import run_cohort\n"
        f"model = Path({str(model_folder)!r})\n"
        f"run_cohort(Path({str(cases)!r}), Path({str(serial)!r}), model, partial(recipe_of, model))\n"
        "assert 'torch' in sys.modules and 'ray' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test'}"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- an evaluation


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time; test_report.py draws them."""
    for name in ("draw_curves", "draw_worst"):
        monkeypatch.setattr(figures, name, lambda *_: None)


@pytest.mark.usefixtures("no_figures")
def test_evaluation_has_the_tables_of_a_serial_one(
    share: Share, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = write_dataset(tmp_path / "cases")
    (tmp_path / "cases" / "base_fdg_2" / "truth.mha").unlink()
    make = partial(NetworkSegmenter.load, model_folder, "cpu", "torch", "float32", InferenceSettings())
    asked = EvaluationProtocol((0, 1))
    failures = evaluate_dataset(make(), dataset, asked, tmp_path / "serial")
    out = tmp_path / "out"
    assert evaluate_on_cluster(make, dataset, asked, out, share) == failures
    assert list(failures) == ["base_fdg_2"]
    caplog.clear()
    assert evaluate_on_cluster(make, dataset, asked, out, share) == failures  # and goes on with what is left
    found = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "serial", out)
    ]
    assert found[0] == found[1]
    other = partial(NetworkSegmenter.load, model_folder, "cpu", "openvino", "auto", InferenceSettings())
    with pytest.raises(ClusterError, match="the evaluation there was begun with another 'engine'"):
        evaluate_on_cluster(other, dataset, asked, out, share)

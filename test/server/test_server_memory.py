"""Ten sessions at a time, measured in bytes of a process of its own: python test_server_memory.py FOLDER MODEL."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, image_from, write_case
from helpers_server import load, running, wait_until

from lesionclick import Click
from lesionclick.server.progress import Stage
from lesionclick.server.settings import CASE_BYTES
from lesionclick.testing import make_plans, write_model

SHAPE = (32, 64, 64)
VOXELS = int(np.prod(SHAPE))
SUMS = 2
"""Of tiles, each as large as the case, for which a session's cache has room; its clicks ask for more."""

MAX_SESSIONS = 2


def resident() -> int:
    """Bytes that this process has in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(folder: Path, model: Path) -> None:
    """Opens ten cases one after another, and prints after each how much more is in memory than before all of them."""
    studies = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        ct, pet = (generator.uniform(low, high, SHAPE).astype(np.float32) for low, high in ((-900, 900), (0.1, 20)))
        name = f"case-{seed}"
        studies.append(write_case(folder / name, image_from(ct), image_from(pet), None, name=name))
    sizes = {"max_sessions": MAX_SESSIONS, "tile_cache_bytes": 4 * SUMS * VOXELS}
    with running(folder / "data", load(model), *studies, **sizes) as (sessions, cases):  # type: ignore[arg-type]
        before = resident()
        for record in cases.records():
            handle = sessions.open(record.id)
            for x in range(2):
                handle.add_click(Click(x, 6, 7, "tumor"))
                assert handle.wait_for_mask(300) is not None
            handle.start_from(np.ones(SHAPE, np.uint8))
            wait_until(lambda: handle.progress.stage == Stage.done, 300)  # noqa: B023
            print(resident() - before, flush=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much is in memory")
def test_ten_sessions_take_no_more_memory_than_is_said_of_two(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", make_plans(patch=SHAPE, features=(2, 4)))
    # what is freed goes back to the system, and what is there before the first session is not counted to it
    variables = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(ROOT), str(ROOT / "test")])
    done = subprocess.run(
        [sys.executable, __file__, tmp_path, model],
        env={**os.environ, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    taken = [int(line) for line in done.stdout.splitlines()]
    assert len(taken) == 10
    one = CASE_BYTES * VOXELS + 4 * SUMS * VOXELS
    assert taken[1] - taken[0] <= one
    assert max(taken[2:]) - taken[1] < one / 2, f"{[round(size / one, 2) for size in taken]} sessions"


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]))

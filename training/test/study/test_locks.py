import subprocess
import sys
from pathlib import Path

from lesionclick_training.study.locks import locked

HOLD = """
import sys
from pathlib import Path
from lesionclick_training.study.locks import locked
with locked(Path(sys.argv[1]), wait=False) as mine:
    print(mine, flush=True)
    sys.stdin.read(1)
"""


def test_a_lock_is_one_processs_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "True\n"
        with locked(path, wait=False) as mine:
            assert not mine
    finally:
        other.kill()
        other.communicate()
    with locked(path, wait=True) as mine:
        assert mine
    with locked(path, wait=False) as mine:
        assert mine

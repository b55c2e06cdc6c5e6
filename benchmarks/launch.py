"""Launch: runs a command in a process of its own and says how long it took and how much memory.

    python -m benchmarks.launch STDOUT_FILE COMMAND...

`launch` starts this module, and this module the command. A child's peak memory is never below what its parent held
when it started it, so that a small process has to stand between; it imports nothing but the standard library.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

STARTED_VARIABLE = "BENCHMARK_STARTED"
"""When the command was started, on time.monotonic, for what it says of itself."""


@dataclass(frozen=True)
class Launched:
    """What a command did.

    Attributes:
        output: its stdout.
        lines: of its stderr, with the seconds since its start at which they came.
        seconds: until its end.
        memory: peak, GB.
    """

    output: str
    lines: tuple[tuple[float, str], ...]
    seconds: float
    memory: float


def launch(arguments: Sequence[object]) -> Launched:
    """Runs this Python with arguments, in the repository's root; a failure ends the benchmark.

    Raises:
        SystemExit: the command failed; with the last lines of its stderr.
    """
    with tempfile.TemporaryDirectory() as scratch:
        stdout = Path(scratch) / "stdout"
        command = [sys.executable, *map(str, arguments)]
        launcher = [sys.executable, "-m", "benchmarks.launch", str(stdout), *command]
        done = subprocess.run(launcher, check=True, capture_output=True, text=True, cwd=ROOT)
        found = json.loads(done.stdout)
        output = stdout.read_text()
    lines = tuple((float(moment), str(line)) for moment, line in found["lines"])
    if found["status"]:
        raise SystemExit("\n".join(line for _, line in lines[-15:]) + f"\nfailed: {command}")
    return Launched(output, lines, found["seconds"], found["memory"])


def watch(stdout: Path, command: Sequence[str]) -> dict[str, object]:
    """Runs a command and notes when each line of its stderr comes; asks the kernel for its peak memory, in GB."""
    start = time.monotonic()
    os.environ[STARTED_VARIABLE] = str(start)
    with stdout.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = [(time.monotonic() - start, line.rstrip()) for line in process.stderr]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    return {"lines": lines, "seconds": seconds, "memory": usage.ru_maxrss * 1024 / 1e9, "status": status}


if __name__ == "__main__":
    print(json.dumps(watch(Path(sys.argv[1]), sys.argv[2:])))

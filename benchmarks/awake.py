"""Awake: a process.py of its own that stays awake, asked as the platform asks it."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.launch import ROOT


@dataclass(frozen=True)
class Awake:
    """A process that takes cases.

    Attributes:
        port: where it is asked.
        seconds: from its start until it said that it is ready.
        log: the file that has its stderr.
    """

    port: int
    seconds: float
    log: Path

    def process_case(self) -> float:
        """Asks for the case that lies in the input folder; the seconds until the answer. A failure ends the benchmark.

        Raises:
            SystemExit: with the sentence of the answer.
        """
        start = time.perf_counter()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/invoke", method="POST")
        try:
            with urllib.request.urlopen(request) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"failed: {json.loads(error.read())['detail']}") from error
        return time.perf_counter() - start


@contextmanager
def awake(*options: object) -> Iterator[Awake]:
    """Starts process.py with options, and ends it after the block."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "stderr"
        command = [sys.executable, "process.py", *map(str, options), "--api", "invoke", "--port", "0"]
        start = time.perf_counter()
        with log.open("w") as stderr:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            port = 0
            while not (port and _is_ready(port)):
                time.sleep(0.02)
                if process.poll() is not None:
                    raise SystemExit(f"{log.read_text()}\nfailed: {command}")
                said = log.read_text().partition("listening on port ")[2].splitlines(keepends=True)
                port = int(said[0]) if said and said[0].endswith("\n") else 0
            yield Awake(port, time.perf_counter() - start, log)
        finally:
            process.terminate()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

import pytest

from benchmarks.launch import STARTED_VARIABLE, launch


def test_output_lines_and_memory_are_the_commands_own() -> None:
    program = f"""
import os, sys, time
block = b"1" * 300_000_000
print("first", file=sys.stderr)
print("second", file=sys.stderr)
print(time.monotonic() - float(os.environ["{STARTED_VARIABLE}"]))
"""
    launched = launch(["-c", program])
    assert [line for _, line in launched.lines] == ["first", "second"]
    assert all(0 < moment <= launched.seconds for moment, _ in launched.lines)
    assert 0 < float(launched.output) <= launched.seconds
    assert 0.3 < launched.memory < 0.5


def test_failed_process_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="out of luck"):
        launch(["-c", "raise SystemExit('out of luck')"])

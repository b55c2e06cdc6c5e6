import io
import logging
import re
import sys
import threading
import time

import pytest

from lesionclick import log


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SIGN_OF_LIFE_SECONDS", 0.05)


def wait_for(caplog: pytest.LogCaptureFixture, pattern: str) -> None:
    """Waits until a line is there, at most 20 s."""
    end = time.monotonic() + 20
    while not re.search(pattern, caplog.text) and time.monotonic() < end:
        time.sleep(0.01)
    assert re.search(pattern, caplog.text)


def test_a_stage_says_its_seconds_when_it_ends_well(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lesionclick"):
        with log.stage("reading"):
            pass
        with pytest.raises(ValueError, match="no"), log.stage("writing"):
            raise ValueError("no")
    (line,) = caplog.messages
    assert re.fullmatch(r"reading: \d+\.\d s", line)


def test_a_long_stage_says_that_it_is_at_work(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lesionclick"), log.stage("reading"):
        wait_for(caplog, r"reading goes on, \d+ s so far")


def test_progress_says_how_far_it_is_and_the_stage_around_it_is_quiet(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "lesionclick"),
        log.stage("prediction"),
        log.Progress("network", 7, "tiles") as progress,
    ):
        progress.update(2)
        progress.set_total(9)
        caplog.clear()
        wait_for(caplog, r"network: 2 of 9 tiles, \d+ s so far")
        assert "prediction" not in caplog.text


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with log.Progress("network", 4, "tiles") as progress:
        progress.update(4)
        progress.set_total(8)
    assert "network:  50%" in terminal.getvalue()


def test_each_thread_has_its_own_signs_of_life_and_none_comes_after_the_end(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> None:
        with log.stage("reading"):
            ended.wait(20)

    ended = threading.Event()
    with caplog.at_level(logging.INFO, "lesionclick"):
        reader = threading.Thread(target=read)
        with log.stage("writing"):
            reader.start()
            wait_for(caplog, "reading goes on")
            wait_for(caplog, "writing goes on")
        caplog.clear()
        wait_for(caplog, "reading goes on")
        ended.set()
        reader.join()
    assert "writing" not in caplog.text

import io
import logging
import sys
import time

import pytest

from lesionclick import log


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SIGN_OF_LIFE_SECONDS", 0.05)


def wait_for(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Waits until a line is there, at most 20 s."""
    end = time.monotonic() + 20
    while text not in caplog.text and time.monotonic() < end:
        time.sleep(0.01)
    assert text in caplog.text


def test_a_stage_says_its_seconds_when_it_ends_well(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lesionclick"):
        with log.stage("reading"):
            pass
        with pytest.raises(ValueError, match="no"), log.stage("writing"):
            raise ValueError("no")
    assert [record.getMessage() for record in caplog.records] == ["reading: 0.0 s"]


def test_a_long_stage_says_that_it_is_at_work(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lesionclick"), log.stage("reading"):
        wait_for(caplog, "reading: 0 s so far")


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
        wait_for(caplog, "network: 2 of 9 tiles, 0 s so far")
        assert "prediction" not in caplog.text


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with log.Progress("network", 4, "tiles") as progress:
        progress.update(4)
        progress.set_total(8)
    assert "network:  50%" in terminal.getvalue()

"""Viewers that wait for a mask: they get what there is before they give up, and their leases last meanwhile."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers_nninteractive import SPACING, Door, open_door, show
from helpers_server import load, same, wait_until
from nnInteractive.inference.remote import SessionExpiredError
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

from lesionclick.server.nninteractive_leases import LeaseLimits
from lesionclick.server.progress import Progress, Stage


@pytest.fixture
def slow_door(model_folder: Path, tmp_path: Path) -> Iterator[Door]:
    """A server that computes nothing by itself."""
    with open_door(tmp_path, load(model_folder), start=False, wait_seconds=0.2) as door:
        yield door


def test_after_a_while_the_mask_so_far_is_given_and_the_log_says_so(
    slow_door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    mask_zyx = np.zeros(slow_door.case.ct_zyx.shape, np.uint8)
    with Client(slow_door.address) as client:
        buffer = show(client, slow_door.case.ct_zyx, SPACING)
        assert client.add_point_interaction((7, 6, 5), True) is None
        assert not buffer.any()
        assert "the viewer gets nothing yet" in caplog.text

        mask_zyx[2:5, 3, 4:9] = 1
        slow_door.handle.show(mask_zyx, 1, final=False)
        assert client._predict() == [[2, 5], [3, 4], [4, 9]]
        assert same(buffer, mask_zyx)
        assert "the viewer gets the mask so far" in caplog.text

        caplog.clear()
        mask_zyx[4, 3, 4], mask_zyx[10, 3, 5] = 0, 1
        slow_door.handle.show(mask_zyx, 1, final=True)
        assert client._predict() == [[4, 11], [3, 4], [4, 6]]  # no more than what has changed
        assert same(buffer, mask_zyx)
        assert not caplog.records


def test_an_answer_comes_as_soon_as_the_mask_is_there_and_heartbeats_are_answered_before(
    model_folder: Path, tmp_path: Path
) -> None:
    limits = LeaseLimits(idle_seconds=0.3, silent_seconds=0.3)
    with open_door(tmp_path, load(model_folder), start=False, limits=limits) as door, Client(door.address) as client:
        buffer = show(client, door.case.ct_zyx, SPACING)
        waiting = threading.Thread(target=client.add_point_interaction, args=((7, 6, 5), True))
        waiting.start()
        wait_until(lambda: len(door.clicks()) == 1)
        until = time.monotonic() + 1
        while time.monotonic() < until:  # longer than an idle lease lasts
            assert client.heartbeat() > 0
        assert waiting.is_alive()
        door.handle.show(np.ones(buffer.shape, np.uint8), 1, final=True)
        waiting.join(30)
        assert buffer.all()
        time.sleep(0.4)
        with pytest.raises(SessionExpiredError, match="connect again"):
            client.undo()
        assert len(door.clicks()) == 1  # the session goes on


def test_a_computation_that_fails_is_said_so(slow_door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with Client(slow_door.address) as client:
        show(client, slow_door.case.ct_zyx, SPACING)
        slow_door.handle.report(Progress(Stage.failed, "failed", error="the device has no memory left"))
        with pytest.raises(httpx.HTTPStatusError) as refused:
            client._predict()
        assert refused.value.response.json() == {"detail": "the device has no memory left"}
        assert "the device has no memory left" in caplog.text


def test_a_server_that_ends_waits_for_no_mask(model_folder: Path, tmp_path: Path) -> None:
    with open_door(tmp_path, load(model_folder), start=False, wait_seconds=3600) as door:
        client = Client(door.address)
        show(client, door.case.ct_zyx, SPACING)
        ended: list[Exception] = []

        def wait() -> None:
            try:
                client.add_point_interaction((7, 6, 5), True)
            except httpx.HTTPError as error:
                ended.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: len(door.clicks()) == 1)
    waiting.join(30)
    assert not waiting.is_alive()
    wait_until(lambda: not any("AnyIO" in thread.name for thread in threading.enumerate()), 30)

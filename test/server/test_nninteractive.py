"""The nnInteractive protocol, spoken by its real client, over sessions that a tiny model computes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers_nninteractive import LICENSE, SPACING, Door, open_door, sentence, show
from helpers_server import SHAPE, load, same
from nnInteractive.inference.remote import ServerAtCapacityError, SessionExpiredError
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

from lesionclick import Click, Ensemble, Session
from lesionclick.server.nninteractive_frames import pack
from lesionclick.server.nninteractive_leases import LeaseLimits
from lesionclick.server.settings import SESSION_SETTINGS


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.fixture(scope="module")
def door(ensemble: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("door"), ensemble, limits=LeaseLimits(most=2)) as door:
        yield door


@pytest.fixture
def connect(door: Door) -> Iterator[Callable[[], Client]]:
    """Connects a viewer, which is disconnected when the test ends."""
    clients: list[Client] = []

    def connect() -> Client:
        clients.append(Client(door.address))
        return clients[-1]

    door.handle.start_from(None)
    yield connect
    for client in clients:
        client.close()


def to_viewer(array_zyx: np.ndarray) -> np.ndarray:
    """As a viewer whose reader puts x first and turns z over."""
    return array_zyx.transpose(2, 1, 0)[:, :, ::-1]


def test_the_server_says_what_it_is(connect: Callable[[], Client]) -> None:
    client = connect()
    assert client.license == LICENSE
    assert client.supported_interactions == {
        "points": True,
        "scribble": True,
        "bbox2d": False,
        "bbox3d": False,
        "lasso": False,
    }
    assert client.supports_undo
    assert not client.do_autozoom
    assert client.ping()
    assert 0 < client.heartbeat() <= client.lease_status()["idle_timeout_seconds"]
    client.set_do_autozoom(True)


def test_what_a_viewer_ends_with_is_what_a_fresh_session_gives(door: Door, connect: Callable[[], Client]) -> None:
    client = connect()
    buffer = show(client, door.case.pet_zyx, SPACING)  # as 3D Slicer has it
    box = client.add_point_interaction((7, 6, 5), include_interaction=True)
    assert box is not None
    assert door.clicks() == (Click(5, 6, 7, "tumor"),)
    assert same(buffer, door.fresh_mask(Click(5, 6, 7, "tumor")))
    assert buffer[7, 6, 5] == 1

    client.add_point_interaction((10.4, 10.6, 12.0), include_interaction=False)
    clicks = (Click(5, 6, 7, "tumor"), Click(12, 11, 10, "background"))
    assert door.clicks() == clicks
    assert same(buffer, door.fresh_mask(*clicks))

    assert client.undo()
    assert same(buffer, door.fresh_mask(clicks[0]))
    assert client.undo()
    assert not client.undo()
    assert same(buffer, door.fresh_mask())
    assert door.clicks() == ()


def test_a_viewer_with_other_axes_gets_the_mask_as_it_needs_it(door: Door, connect: Callable[[], Client]) -> None:
    client = connect()
    buffer = show(client, to_viewer(door.case.ct_zyx), SPACING[::-1])
    depth = door.case.ct_zyx.shape[0]
    client.add_point_interaction((5, 6, depth - 1 - 7), include_interaction=True)
    assert door.clicks() == (Click(5, 6, 7, "tumor"),)
    expected = to_viewer(door.fresh_mask(Click(5, 6, 7, "tumor")))
    assert same(buffer, np.ascontiguousarray(expected))


def test_the_automatic_mask_comes_by_predict_or_with_the_first_prompt_that_only_was_noted(
    door: Door, connect: Callable[[], Client]
) -> None:
    client = connect()
    buffer = show(client, door.case.ct_zyx, SPACING)
    assert client._predict() is not None
    assert same(buffer, door.fresh_mask())
    assert client._predict() is None  # nothing has changed

    assert client.add_point_interaction((3, 4, 5), include_interaction=False, run_prediction=False) is None
    assert same(buffer, door.fresh_mask())
    client._predict()
    assert same(buffer, door.fresh_mask(Click(5, 4, 3, "background")))


def test_a_scribble_is_a_click_at_each_of_its_voxels_in_one_change(door: Door, connect: Callable[[], Client]) -> None:
    client = connect()
    buffer = show(client, door.case.ct_zyx, SPACING)
    line = np.zeros((1, 3, 4), np.uint8)
    line[0, [0, 1, 2], [0, 1, 1]] = 1
    client.add_scribble_interaction(line, True, interaction_bbox=[[7, 8], [6, 9], [5, 9]])
    drawn = (Click(5, 6, 7, "tumor"), Click(6, 7, 7, "tumor"), Click(6, 8, 7, "tumor"))
    assert door.clicks() == drawn
    assert same(buffer, door.fresh_mask(*drawn))

    whole = np.zeros(buffer.shape, bool)
    whole[2, 3, 4] = True
    client.add_scribble_interaction(whole, False)
    assert door.clicks() == (*drawn, Click(4, 3, 2, "background"))
    assert client.undo()
    assert client.undo()
    assert door.clicks() == ()


def test_the_next_segment_begins_anew_and_the_page_can_undo_that(door: Door, connect: Callable[[], Client]) -> None:
    client = connect()
    buffer = show(client, door.case.ct_zyx, SPACING)
    client.add_point_interaction((7, 6, 5), include_interaction=True)
    client.reset_interactions()
    assert not buffer.any()
    assert door.clicks() == ()
    assert not client.undo()
    client._predict()
    assert same(buffer, door.fresh_mask())
    assert door.handle.undo()
    assert door.clicks() == (Click(5, 6, 7, "tumor"),)


def test_connecting_keeps_the_clicks_of_the_page(door: Door, connect: Callable[[], Client]) -> None:
    first, second = Click(5, 6, 7, "tumor"), Click(12, 11, 10, "background")
    door.handle.add_click(first)
    client = connect()
    buffer = show(client, door.case.ct_zyx, SPACING)  # which resets, as each viewer does before its first prompt
    assert door.clicks() == (first,)
    client.add_point_interaction((10, 11, 12), include_interaction=False)
    assert door.clicks() == (first, second)
    assert same(buffer, door.fresh_mask(first, second))
    assert client.undo()
    assert not client.undo()  # the page's click is not this viewer's to take back
    client.reset_interactions()
    assert door.clicks() == ()


def test_two_viewers_of_one_case_see_the_same_session(door: Door, connect: Callable[[], Client]) -> None:
    first, second = connect(), connect()
    seen_by_first = show(first, door.case.ct_zyx, SPACING)
    seen_by_second = show(second, to_viewer(door.case.pet_zyx), SPACING[::-1])
    first.add_point_interaction((7, 6, 5), include_interaction=True)
    second._predict()
    assert same(to_viewer(seen_by_first), seen_by_second)


def test_boxes_and_lassos_are_refused_with_a_sentence(
    door: Door, connect: Callable[[], Client], caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    buffer = show(client, door.case.ct_zyx, SPACING)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.add_bbox_interaction([[0, 1], [0, 5], [0, 5]], True)
    assert refused.value.response.status_code == 400
    assert sentence(refused.value) == "a box has no counterpart among clicks: place points, or draw a scribble"
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.add_lasso_interaction(np.ones_like(buffer), True)
    assert "a lasso has no counterpart" in sentence(refused.value)
    assert sum("has no counterpart" in record.message for record in caplog.records) == 2


def test_prompts_that_do_not_fit_are_refused_and_change_nothing(door: Door, connect: Callable[[], Client]) -> None:
    client = connect()
    ones = np.ones((3, 3, 3), np.uint8)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        client.add_point_interaction((1, 1, 1), True)  # before there is an image
    buffer = show(client, door.case.ct_zyx, SPACING)
    refusals: list[Callable[[], object]] = [
        lambda: client.add_point_interaction((20, 1, 1), True),
        lambda: client.add_point_interaction((1, 1, -0.6), True),
        lambda: client.add_point_interaction((1, 1), True),
        lambda: client.add_point_interaction((1, 1, float("nan")), True),
        lambda: client.add_scribble_interaction(ones, True),
        lambda: client.add_scribble_interaction(ones, True, interaction_bbox=[[18, 21], [0, 3], [0, 3]]),
        lambda: client.add_scribble_interaction(ones, True, interaction_bbox=[[0, 3], [0, 3], [0, 4]]),
        lambda: client.add_scribble_interaction(np.zeros_like(buffer), True),
        lambda: client.add_scribble_interaction(np.ones_like(buffer), True),
        lambda: client.set_target_buffer(np.zeros((3, 3, 3), np.uint8)),
        lambda: client.set_target_buffer(np.zeros(buffer.shape, np.float32)),
    ]
    for refused in refusals:
        with pytest.raises(httpx.HTTPStatusError) as error:
            refused()
        assert error.value.response.status_code == 400
        assert sentence(error.value)
    assert door.clicks() == ()


def test_a_volume_of_something_else_is_refused_and_logged(
    door: Door, connect: Callable[[], Client], caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    noise = np.random.default_rng(5).normal(size=door.case.ct_zyx.shape)
    for image, spacing in ((noise, SPACING), (door.case.ct_zyx[1:], SPACING), (door.case.ct_zyx, (1.0, 2.0, 3.0))):
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            client.set_image(image[None], {"spacing": spacing})
    assert sum("/set_image is refused (400)" in record.message for record in caplog.records) == 3
    client.set_image(np.stack([door.case.ct_zyx, door.case.pet_zyx]))  # both, as scripts send them


def test_no_more_viewers_than_allowed_and_those_that_have_gone_are_told_so(
    door: Door, connect: Callable[[], Client]
) -> None:
    first, _ = connect(), connect()
    with pytest.raises(ServerAtCapacityError, match="2 viewers are connected"):
        connect()
    token = first._lease_token
    first.close()
    other = connect()
    other._http.headers["X-Lease-Token"] = token
    for gone in (
        other.heartbeat,
        other.undo,
        other.reset_interactions,
        lambda: other.add_bbox_interaction([[0, 1]] * 3, True),
        lambda: other.set_image(door.case.ct_zyx[None]),
        lambda: other.add_scribble_interaction(door.case.ct_zyx, True),
    ):
        with pytest.raises(SessionExpiredError, match="connect again"):
            gone()


def test_an_initial_segmentation_is_what_clicks_change_only_where_they_reach(
    door: Door, connect: Callable[[], Client]
) -> None:
    client = connect()
    buffer = show(client, to_viewer(door.case.ct_zyx), SPACING[::-1])
    client.add_point_interaction((1, 2, 3), include_interaction=True)
    earlier = np.zeros(door.case.ct_zyx.shape, np.uint8)
    earlier[3:9, 4:9, 10:14] = 1
    assert client.add_initial_seg_interaction(np.ascontiguousarray(to_viewer(earlier)) * 3) is None
    assert door.clicks() == ()
    assert client._predict() is not None  # what was 3 is shown as 1
    assert same(buffer, np.ascontiguousarray(to_viewer(earlier)))
    assert not client.undo()

    alone = Session(door.ensemble, door.case, SESSION_SETTINGS)
    alone.history.replace(())
    alone.start_from(earlier)
    client.add_point_interaction((5, 6, SHAPE[0] - 1 - 7), include_interaction=True)
    corrected = alone.predict([Click(5, 6, 7, "tumor")]).mask
    assert not same(corrected, earlier)
    assert same(buffer, np.ascontiguousarray(to_viewer(corrected)))

    with pytest.raises(httpx.HTTPStatusError) as refused:
        client._post_binary("/add_initial_seg_interaction", {}, pack(np.ones((3, 3, 3), np.uint8)))
    assert "the initial segmentation has the shape [3, 3, 3]" in sentence(refused.value)
    client.reset_interactions()
    client._predict()
    assert same(buffer, np.ascontiguousarray(to_viewer(door.fresh_mask())))

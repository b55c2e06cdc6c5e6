"""Who is let in by the nnInteractive door, and requests that no viewer sends."""

import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from fastapi import Request
from helpers_nninteractive import SPACING, Door, open_door, show
from helpers_server import load
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

from lesionclick.server import nninteractive_routes
from lesionclick.server.nninteractive_capabilities import license_text
from lesionclick.server.nninteractive_frames import pack
from lesionclick.server.nninteractive_leases import LeaseLimits
from lesionclick.server.nninteractive_messages import read_body
from lesionclick.server.settings import ModelIdentity

KEY = "sesame"


@pytest.fixture(scope="module")
def door(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("guards")
    with open_door(folder, load(model_folder), start=False, key=KEY, wait_seconds=0.1) as door:
        yield door


@pytest.fixture
def http(door: Door) -> Iterator[httpx.Client]:
    """A client with a lease, but not the viewers' own."""
    with httpx.Client(base_url=door.address, headers={"Authorization": f"Bearer {KEY}"}) as http:
        http.headers["X-Lease-Token"] = http.post("/claim").json()["lease_token"]
        yield http
        http.post("/release")


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    return detail


def test_without_the_key_nobody_comes_in(door: Door) -> None:
    for key, sentence in ((None, "Missing bearer token"), ("wrong", "Invalid bearer token")):
        with pytest.raises(httpx.HTTPStatusError) as error:
            Client(door.address, api_key=key)
        assert refused(error.value.response, 401) == sentence
    assert httpx.get(f"{door.address}/healthz").json() == {"ok": True}
    strange = httpx.post(f"{door.address}/claim", headers=[(b"Authorization", "Bearer ö".encode())])
    assert refused(strange, 401) == "Invalid bearer token"
    with Client(door.address, api_key=KEY) as client:
        assert client.heartbeat() > 0


def test_web_pages_are_refused(http: httpx.Client) -> None:
    refused(http.post("/claim", headers={"Origin": "http://127.0.0.1"}), 403)


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("/set_target_buffer", b"", "the body is not what it should be"),
        ("/set_target_buffer", b"[1]", "the body is not what it should be"),
        ("/set_target_buffer", b'{"shape": [1, 2, "x"], "dtype": "uint8"}', "shape.2: "),
        ("/set_target_buffer", b'{"shape": [1, 2]}', "dtype: "),
        ("/add_point_interaction", b'{"coordinates": [1, 2, 3]}', "include_interaction: "),
        ("/add_point_interaction", b"\xff\xfe", "the body is not what it should be"),
    ],
)
def test_json_that_says_something_else_is_refused(http: httpx.Client, route: str, body: bytes, said: str) -> None:
    assert said in refused(http.post(route, content=body), 400)


@pytest.mark.parametrize("meta", ["nonsense", "[]", '{"include_interaction": "perhaps"}', '{"interaction_bbox": 1}'])
def test_parameters_in_the_header_that_say_something_else_are_refused(http: httpx.Client, meta: str) -> None:
    answer = http.post("/add_scribble_interaction", content=pack(np.ones((1, 1, 1))), headers={"X-Meta": meta})
    assert "X-Meta is not what it should be" in refused(answer, 400)


def test_bodies_that_are_no_arrays_or_too_large_are_refused(
    door: Door, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cut off" in refused(http.post("/set_image", content=b""), 400)
    assert "no packed array" in refused(http.post("/set_image", content=b"PK\3\4" * 100), 400)
    assert "has the shape (3,)" in refused(http.post("/set_image", content=pack(np.ones(3))), 400)
    monkeypatch.setattr(nninteractive_routes, "MAX_ARRAY_BYTES", 10_000)
    bomb = pack(np.zeros((1, 100, 100, 100), np.uint8))
    assert len(bomb) < 1000
    assert "1000000 bytes, expected at most 10000" in refused(http.post("/set_image", content=bomb), 413)
    assert "larger than 10000 bytes" in refused(http.post("/set_image", content=b"x" * 10_001), 413)
    assert "larger than" in refused(http.post("/add_point_interaction", content=b" " * 2_000_000), 413)
    assert http.post("/heartbeat").status_code == 200


def test_no_more_arrays_are_in_memory_than_there_can_be_viewers(
    door: Door, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, most = 0, 0

    async def read_slowly(request: Request, most_bytes: int) -> bytes:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(0.05)
        at_work -= 1
        return await read_body(request, most_bytes)

    monkeypatch.setattr(nninteractive_routes, "read_body", read_slowly)
    headers = {"X-Meta": '{"include_interaction": true}', **http.headers}
    address, options = f"{door.address}/add_scribble_interaction", {"headers": headers, "timeout": 60}
    threads = [threading.Thread(target=httpx.post, args=(address,), kwargs=options) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == LeaseLimits().most


def test_a_target_buffer_of_a_strange_format_is_refused(door: Door) -> None:
    with Client(door.address, api_key=KEY) as client:
        show(client, door.case.ct_zyx, SPACING)
        shape = list(door.case.ct_zyx.shape)
        for name in ("object", "float32", "nonsense", ",", "U8", "(2,)u1"):
            answer = client._http.post("/set_target_buffer", json={"shape": shape, "dtype": name})
            assert "expected integers or bool" in refused(answer, 400)


def test_many_clicks_at_a_time_are_all_kept(door: Door) -> None:
    with Client(door.address, api_key=KEY) as client:
        show(client, door.case.ct_zyx, SPACING)
        threads = [
            threading.Thread(
                target=client.add_point_interaction, args=((1, 2, x), True), kwargs={"run_prediction": False}
            )
            for x in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(click.x for click in door.clicks()) == list(range(20))
        client.reset_interactions()


def test_the_license_says_what_model_this_is_and_that_it_is_no_medical_device() -> None:
    text = license_text(ModelIdentity("resources", "trained on phantoms alone", "0123456789abcdef" * 4, 1))
    assert text.startswith("LesionClick ")
    assert "Model resources, 1 network, SHA-256 0123456789ab. Trained on phantoms alone. Not a medical device" in text
    assert "2 networks" in license_text(ModelIdentity("m", "", "f" * 64, 2))

import io
import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from fastapi.testclient import TestClient
from helpers_server import SHAPE, client, load, same, wait_until, write_study

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.case.clicks import read_clicks
from lesionclick.report.measurements import measure_lesions
from lesionclick.server.names import file_name
from lesionclick.server.settings import SESSION_SETTINGS
from lesionclick.server.store import Store

CLICK = {"x": 5, "y": 6, "z": 7, "label": "tumor"}


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")


def open_first(api: TestClient) -> str:
    case = api.get("/api/cases").json()[0]["id"]
    answer = api.post(f"/api/cases/{case}/session")
    assert answer.status_code == 200
    session: str = answer.json()["id"]
    return f"/api/sessions/{session}"


def finished(api: TestClient, session: str) -> dict[str, Any]:
    state: dict[str, Any] = {}

    def is_done() -> bool:
        state.update(api.get(session).json())
        assert state["progress"]["stage"] != "failed", state
        return bool(state["progress"]["stage"] == "done" and state["mask"]["revision"] == state["revision"])

    wait_until(is_done)
    return state


def image_of(content: bytes, folder: Path, name: str) -> sitk.Image:
    (folder / name).write_bytes(content)
    return sitk.ReadImage(str(folder / name))


def test_a_case_from_the_list_to_the_corrected_mask(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    case = Case.read(study)
    with client(tmp_path / "data", ensemble, study) as api:
        assert api.get("/api/health").json() == {"status": "ok"}
        model = api.get("/api/model").json()
        assert model["warning"] == "random weights, not for patients"
        assert model["max_upload_bytes"] == 2 << 30
        (listed,) = api.get("/api/cases").json()
        assert listed == {"id": listed["id"], "name": "study", "session": None}
        detail = api.get(f"/api/cases/{listed['id']}").json()
        assert detail["shape_xyz"] == list(SHAPE[::-1])
        assert detail["spacing_xyz_mm"] == pytest.approx(case.geometry.spacing)

        session = open_first(api)
        state = finished(api, session)
        assert state["clicks"] == []
        assert (state["can_undo"], state["can_redo"], state["revision"]) == (False, False, 0)
        state = api.post(f"{session}/clicks", json=CLICK).json()
        assert state["clicks"] == [{"id": 1, **CLICK}]
        assert state["revision"] == 1
        state = finished(api, session)

        expected = Session(ensemble, case, SESSION_SETTINGS).predict([Click(5, 6, 7, "tumor")]).mask
        for name in ("mask.nii.gz", "mask.mha"):
            answer = api.get(f"{session}/{name}?version={state['mask']['version']}")
            assert answer.headers["x-mask-version"] == str(state["mask"]["version"])
            assert answer.headers["x-mask-final"] == "true"
            assert answer.headers["content-disposition"] == f'attachment; filename="study-{name}"'
            image = image_of(answer.content, tmp_path, name)
            assert same(sitk.GetArrayFromImage(image), expected)
            assert image.GetOrigin() == pytest.approx(case.geometry.origin)
            assert image.GetSpacing() == pytest.approx(case.geometry.spacing)

        (tmp_path / "clicks.json").write_bytes(api.get(f"{session}/clicks.json").content)
        assert read_clicks(tmp_path / "clicks.json", SHAPE) == (Click(5, 6, 7, "tumor"),)

        measured = measure_lesions(expected, case.pet_zyx, case.geometry)
        lesions = api.get(f"{session}/lesions").json()
        assert lesions["mask"] == state["mask"]
        assert lesions["total"]["count"] == len(lesions["lesions"]) == len(measured.lesions)
        assert lesions["total"]["volume_ml"] == pytest.approx(measured.total_volume_ml)
        for row, lesion in zip(lesions["lesions"], measured.lesions, strict=True):
            assert row["suv_max"] == pytest.approx(lesion.suv_max)
            assert case.pet_zyx[row["z"], row["y"], row["x"]] == pytest.approx(lesion.suv_max)
            assert measured.numbers_zyx[row["z"], row["y"], row["x"]] == lesion.number
        lines = api.get(f"{session}/lesions.csv").text.splitlines()
        assert len(lines) == 1 + len(measured.lesions)


def test_downloads_are_kept_under_names_that_every_file_system_takes() -> None:
    assert file_name("patient 3/left", "mask.mha") == "patient_3_left-mask.mha"
    assert file_name('a"\r\nX-Evil: 1', "mask.mha") == "a_X-Evil_1-mask.mha"
    assert file_name("../..", "mask.mha") == "case-mask.mha"
    assert len(file_name("x" * 500, "mask.mha")) < 80


def test_a_session_is_taken_home(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with client(tmp_path / "data", ensemble, study) as api:
        session = open_first(api)
        for x in range(3):
            api.post(f"{session}/clicks", json={**CLICK, "x": x})
        api.delete(f"{session}/clicks/1")
        api.post(f"{session}/undo")
        finished(api, session)
        content = api.get(f"{session}/session.zip").content
        mask = image_of(api.get(f"{session}/mask.mha").content, tmp_path, "mask.mha")
        assert not list((tmp_path / "data" / "temporary").iterdir())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "home")
    restored = Session.restore(tmp_path / "home", ensemble)
    assert [click.x for click in restored.clicks] == [0, 1, 2]
    assert same(restored.predict().mask, sitk.GetArrayFromImage(mask))
    assert restored.redo()
    assert [click.x for click in restored.clicks] == [1, 2]
    assert not restored.can_redo
    for _ in range(4):
        assert restored.undo()
    assert not restored.undo()


def test_clicks_are_undone_redone_removed_and_cleared(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with client(tmp_path / "data", ensemble, study, start=False) as api:
        session = open_first(api)
        for x in range(3):
            api.post(f"{session}/clicks", json={**CLICK, "x": x})
        state = api.delete(f"{session}/clicks/2").json()
        assert [click["id"] for click in state["clicks"]] == [1, 3]
        state = api.post(f"{session}/undo").json()
        assert [click["id"] for click in state["clicks"]] == [1, 2, 3]
        assert state["can_redo"]
        assert api.post(f"{session}/clear").json()["clicks"] == []
        state = api.post(f"{session}/undo").json()
        assert len(state["clicks"]) == 3
        assert api.post(f"{session}/redo").json()["clicks"] == []
        revision = api.post(f"{session}/redo").json()["revision"]
        assert api.post(f"{session}/clear").json()["revision"] == revision  # nothing was there to change
        assert api.get(session).json()["revision"] == revision
        assert api.get("/api/cases").json()[0]["session"] == session.rpartition("/")[2]

        assert api.delete(session).status_code == 204
        assert api.get(session).status_code == 404
        assert api.get("/api/cases").json()[0]["session"] is None
        assert open_first(api) != session


def test_images_for_the_page_are_sent_once(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    case = Case.read(study)
    with client(tmp_path / "data", ensemble, study, start=False) as api:
        address = f"/api/cases/{api.get('/api/cases').json()[0]['id']}"
        for kind, expected_zyx, pixel in (
            ("ct", np.round(case.ct_zyx).astype(np.int16), sitk.sitkInt16),
            ("pet", case.pet_zyx, sitk.sitkFloat32),
        ):
            answer = api.get(f"{address}/{kind}.nii.gz")
            image = image_of(answer.content, tmp_path, f"{kind}.nii.gz")
            assert image.GetPixelID() == pixel
            assert same(sitk.GetArrayFromImage(image), expected_zyx)
            again = api.get(f"{address}/{kind}.nii.gz", headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304


def test_events_tell_the_state_at_once_and_whenever_it_changes(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    """The test client gives a stream as a whole, so it is read until the session is removed."""
    with client(tmp_path / "data", ensemble, study) as api:
        session = open_first(api)
        finished(api, session)

        def change() -> None:
            api.post(f"{session}/clicks", json=CLICK)
            finished(api, session)
            api.delete(session)

        thread = threading.Timer(0.5, change)
        thread.start()
        answer = api.get(f"{session}/events")
        thread.join()
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [block.splitlines() for block in answer.text.split("\n\n") if block.startswith("event: state")]
        states = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
        assert states[0]["revision"] == 0
        assert {state["revision"] for state in states} == {0, 1}
        assert any(state["mask"] == {**state["mask"], "final": True, "revision": 1} for state in states)
        assert api.get("/api/sessions/none/events").status_code == 404


def test_a_page_that_connects_again_opens_its_session(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    data = tmp_path / "data"
    with client(data, ensemble, study) as api:
        session = open_first(api)
        finished(api, session)
    store = Store(data / "lesionclick.sqlite")
    store.set_open(session.rpartition("/")[2], False)
    store.close()
    with client(data, ensemble, study) as api:
        assert api.get(session).json()["progress"]["stage"] == "waiting"
        thread = threading.Timer(0.5, lambda: (finished(api, session), api.delete(session)))
        thread.start()
        assert '"stage":"done"' in api.get(f"{session}/events").text.replace(" ", "")
        thread.join()


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "sentence"),
    [
        ("POST", "{session}/clicks", {**CLICK, "x": 24}, 422, "the click has x = 24, outside the image (0 to 23)"),
        ("POST", "{session}/clicks", {**CLICK, "z": -1}, 422, "the click has z = -1, outside the image (0 to 19)"),
        ("POST", "{session}/clicks", {**CLICK, "y": 1.5}, 422, "y: Input should be a valid integer, not 1.5"),
        ("POST", "{session}/clicks", {**CLICK, "y": 10**30}, 422, "the click has y = 1000"),
        ("POST", "{session}/clicks", {**CLICK, "label": "nose"}, 422, "label: Input should be 'tumor' or 'background'"),
        ("POST", "{session}/clicks", {"x": 1}, 422, "y: Field required"),
        ("POST", "{session}/clicks", [], 422, "the request"),
        ("DELETE", "{session}/clicks/77", None, 404, "there is no click 77 in this session"),
        ("DELETE", "{session}/clicks/one", None, 422, "click: Input should be a valid integer"),
        ("GET", "{session}/mask.mha", None, 404, "there is no mask yet"),
        ("GET", "{session}/lesions", None, 404, "there is no mask yet"),
        ("GET", "/api/sessions/zz", None, 404, "there is no session 'zz'"),
        ("POST", "/api/sessions/zz/clicks", CLICK, 404, "there is no session 'zz'"),
        ("GET", "/api/cases/..%2F..%2Fetc", None, 404, "there is"),
        ("GET", "/api/cases/zz/ct.nii.gz", None, 404, "there is no case 'zz'"),
        ("POST", "/api/cases/zz/session", None, 404, "there is no case 'zz'"),
        ("DELETE", "/api/cases/{case}", None, 422, "this case was not uploaded"),
        ("GET", "/api/nothing", None, 404, "there is nothing at this address"),
        ("PUT", "/api/cases", None, 405, "this address does not take such requests"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, ensemble: Ensemble, study: Path, method: str, path: str, content: Any, status: int, sentence: str
) -> None:
    with client(tmp_path / "data", ensemble, study, start=False) as api:
        session = open_first(api)
        case = api.get("/api/cases").json()[0]["id"]
        answer = api.request(method, path.format(session=session, case=case), json=content)
        assert answer.status_code == status
        assert answer.json().keys() == {"detail"}
        assert answer.json()["detail"].startswith(sentence)
        assert api.get(session).json()["revision"] == 0


def test_what_is_no_json_is_said(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with client(tmp_path / "data", ensemble, study, start=False) as api:
        session = open_first(api)
        for content, status in ((b"{", 422), (b"\xff\xfe", 422), (b"[" * 100_000, 422), (b" " * (1 << 21), 413)):
            answer = api.post(f"{session}/clicks", content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code in (status, 400), answer.text
            assert isinstance(answer.json()["detail"], str)


def test_thirty_clicks_a_second_from_two_tabs_are_all_kept(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with client(tmp_path / "data", ensemble, study) as api:
        session = open_first(api)
        answers: list[int] = []

        def tab(x: int) -> None:
            for y in range(15):
                answers.append(api.post(f"{session}/clicks", json={**CLICK, "x": x, "y": y}).status_code)

        tabs = [threading.Thread(target=tab, args=(x,)) for x in (1, 2)]
        for thread in tabs:
            thread.start()
        for thread in tabs:
            thread.join()
        assert answers == [200] * 30
        state = finished(api, session)
        assert state["revision"] == 30
        assert {(click["x"], click["y"]) for click in state["clicks"]} == {(x, y) for x in (1, 2) for y in range(15)}
        clicks = [Click(each["x"], each["y"], each["z"], each["label"]) for each in state["clicks"]]
        expected = Session(ensemble, Case.read(study), SESSION_SETTINGS).predict(clicks).mask
        mask = image_of(api.get(f"{session}/mask.mha").content, tmp_path, "mask.mha")
        assert same(sitk.GetArrayFromImage(mask), expected)


def test_the_api_is_described_without_the_network(tmp_path: Path, ensemble: Ensemble) -> None:
    with client(tmp_path / "data", ensemble, start=False) as api:
        page = api.get("/docs").text
        assert "https://" not in page
        paths = api.get("/openapi.json").json()["paths"]
        assert {"/api/cases", "/api/sessions/{session}/events", "/api/sessions/{session}/lesions"} <= paths.keys()
        assert "no page" in api.get("/").text

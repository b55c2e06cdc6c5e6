import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers_server import write_study
from typer.testing import CliRunner

from lesionclick.cli.main import app
from lesionclick.server import running
from lesionclick.server.app import create_app
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.store import Store

Refused = Callable[..., str]


def options(data: Path, model: Path) -> list[object]:
    return ["--data", data, "--model", model, "--port", 0, "--no-page"]


def test_what_keeps_a_server_from_starting_is_said(
    tmp_path: Path, model_folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LESIONCLICK_KEY", raising=False)
    data, study = tmp_path / "data", write_study(tmp_path / "study")
    common = options(data, model_folder)
    assert "expected a key" in refused("serve", study, *common, "--host", "0.0.0.0")
    assert not data.exists()
    assert "at least 16" in refused("serve", study, *common, "--key", "short")
    assert refused("serve", tmp_path / "nothing", *common).endswith("expected the folder or zip of a study")
    assert "model" in refused("serve", study, *options(data, tmp_path / "no-model"))
    assert "cannot be listened on" in refused("serve", study, *common, "--host", "192.0.2.1", "--key", "k" * 16)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("serve", study, *common, "--port", port).startswith(f"127.0.0.1:{port}: cannot be listened on")
    store = Store(data / "lesionclick.sqlite")
    assert "another server is using it" in refused("serve", study, *common)
    store.close()
    (tmp_path / "file").write_text("no folder")
    assert "is neither a folder nor a zip" in refused("serve", study, tmp_path / "file", *common)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"no image of a patient" * 100)
    assert "photos: holds neither DICOM nor a CT and a PET" in refused("serve", tmp_path / "photos", *common)
    assert "cannot be used as data folder" in refused("serve", study, *options(tmp_path / "file", model_folder))


def test_cases_come_from_the_command_line_and_keep_their_ids(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of several cases is offered as these; what was offered before and is not now is kept, and not shown."""
    first, second = (write_study(tmp_path / "cases" / name, seed) for seed, name in enumerate(("first", "second")))
    shown: list[list[tuple[str, str]]] = []
    monkeypatch.setattr(running, "serve", lambda *_: None)

    def noting(sessions: object, cases: CaseLibrary, *arguments: object) -> object:
        shown.append([(record.name, record.id) for record in cases.records()])
        return create_app(sessions, cases, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "create_app", noting)
    for studies in ([tmp_path / "cases"], [second], [second, first], []):
        done = CliRunner().invoke(app, ["serve", *map(str, [*studies, *options(tmp_path / "data", model_folder)])])
        assert done.exception is None, done.output
    everything = shown[0]
    assert [name for name, _ in everything] == ["first", "second"]
    assert shown[1:] == [everything[1:], everything, []]


def test_without_an_option_clicks_are_kept_where_the_user_has_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert running.default_data().name == "lesionclick"

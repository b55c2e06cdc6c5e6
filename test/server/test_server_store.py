import sqlite3
from pathlib import Path

import pytest

from lesionclick.case.clicks import Click
from lesionclick.server.problems import ServerError, UnknownError
from lesionclick.server.records import SessionRecord
from lesionclick.server.store import Store

A, B, C = Click(1, 2, 3, "tumor"), Click(4, 5, 6, "background"), Click(7, 8, 9, "tumor")


def clicks_of(record: SessionRecord) -> list[Click]:
    return [each.click for each in record.clicks]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "lesionclick.sqlite"


def test_clicks_and_their_history_outlive_the_store(database: Path) -> None:
    store = Store(database)
    session = store.open_session(store.add_case("first", source=Path("/somewhere")).id)
    store.add_clicks(session.id, [A])
    store.add_clicks(session.id, [B, C])
    kept = store.undo(session.id)
    store.close()

    store = Store(database)
    assert store.session(session.id) == kept
    assert clicks_of(kept) == [A]
    assert (kept.can_undo, kept.can_redo, kept.revision) == (True, True, 3)
    assert clicks_of(store.redo(session.id)) == [A, B, C]
    assert store.add_case("other name", source=Path("/somewhere")).session_id == session.id


def test_every_change_can_be_undone_and_a_new_one_drops_what_was(database: Path) -> None:
    store = Store(database)
    session = store.open_session(store.add_case("case", start_clicks=[A]).id)
    assert clicks_of(session) == [A]
    assert not session.can_undo
    assert store.undo(session.id) == session

    record = store.add_clicks(session.id, [A, B])  # a click that is there already is another one
    assert [each.id for each in record.clicks] == [1, 2, 3]
    record = store.remove_clicks(session.id, [1])
    assert clicks_of(record) == [A, B]
    record = store.remove_clicks(session.id, [2, 3])
    assert clicks_of(record) == []
    assert clicks_of(store.undo(session.id)) == [A, B]
    assert clicks_of(store.undo(session.id)) == [A, A, B]
    record = store.add_clicks(session.id, [C])
    assert [each.id for each in record.clicks] == [1, 2, 3, 4]
    assert not record.can_redo
    assert store.redo(session.id) == record
    assert clicks_of(store.undo(session.id)) == [A, A, B]
    assert [each.id for each in store.add_clicks(session.id, [B]).clicks] == [1, 2, 3, 5]  # numbers are not used again


def test_what_is_not_there_is_said_and_changes_nothing(database: Path) -> None:
    store = Store(database)
    session = store.open_session(store.add_case("case").id)
    record = store.add_clicks(session.id, [A])
    with pytest.raises(UnknownError, match="no click 9"):
        store.remove_clicks(session.id, [1, 9])
    assert store.session(session.id) == record
    assert store.add_clicks(session.id, []) == record
    for call in (store.session, store.undo):
        with pytest.raises(UnknownError, match="no session 'zz'"):
            call("zz")
    with pytest.raises(UnknownError, match="no case"):
        store.open_session("zz")
    store.remove_session(session.id)
    with pytest.raises(UnknownError):
        store.session(session.id)
    assert store.cases()[0].session_id is None


def test_a_database_has_one_server(database: Path) -> None:
    first = Store(database)
    with pytest.raises(ServerError, match="another server is using it"):
        Store(database)
    first.close()
    Store(database).close()


def test_what_is_no_database_of_this_program_is_refused(database: Path) -> None:
    database.write_bytes(b"no database at all, but a text" * 100)
    with pytest.raises(ServerError, match=r"lesionclick\.sqlite: is damaged, or no database"):
        Store(database)
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ServerError, match="version 99, expected 1"):
        Store(database)

"""Store of cases, sessions and clicks with their history, in SQLite: what a call has returned from is on the disk.

A session's history is a list of changes, numbered from 0, and its place in that list: the clicks that count are those
which the changes up to the place have added and not removed. Undo and redo move the place; a new change drops the
changes behind it. Change 0 adds what the session began with and cannot be undone. A starting mask is a change as well:
the last one up to the place counts.
"""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from lesionclick.case.clicks import Click
from lesionclick.server.changes import replay
from lesionclick.server.database import Database
from lesionclick.server.names import new_id, quoted
from lesionclick.server.problems import UnknownError
from lesionclick.server.records import CaseRecord, SessionRecord, StoredClick


class Store:
    """The database of a data folder, for any number of threads.

    Every method that changes something has it on the disk when it returns, or nothing of it.
    """

    def __init__(self, path: Path) -> None:
        """Opens the database, see `Database`."""
        self._database = Database(path)

    def close(self) -> None:
        """Closes the database; calls that come later fail."""
        self._database.close()

    # cases

    def add_case(
        self, name: str, *, source: Path | None = None, start_clicks: Iterable[Click] = (), case_id: str | None = None
    ) -> CaseRecord:
        """Adds a case, or finds the one that was added with that source before, which keeps its id and session."""
        place = None if source is None else str(source)
        with self._database.transaction():
            found = []
            if place is not None:
                found = self._database.rows("SELECT id FROM cases WHERE source = ?", (place,))
            if found:
                return self.case(found[0][0])
            case_id = case_id or new_id()
            clicks = json.dumps([[click.x, click.y, click.z, click.label] for click in start_clicks])
            self._database.execute(
                "INSERT INTO cases VALUES (?, ?, ?, ?, NULL, ?)", (case_id, name, place, clicks, time.time())
            )
            return self.case(case_id)

    def case(self, case_id: str) -> CaseRecord:
        """A case by its id.

        Raises:
            UnknownError: there is none.
        """
        for record in self._cases("WHERE cases.id = ?", (case_id,)):
            return record
        raise UnknownError(f"there is no case {quoted(case_id)}")

    def cases(self) -> list[CaseRecord]:
        """All cases in the order in which they were added."""
        return self._cases("ORDER BY cases.added, cases.id", ())

    def _cases(self, condition: str, values: Sequence[object]) -> list[CaseRecord]:
        rows = self._database.rows(
            "SELECT cases.id, name, source, start_clicks, digest, sessions.id FROM cases "
            f"LEFT JOIN sessions ON sessions.case_id = cases.id {condition}",
            values,
        )
        return [
            CaseRecord(
                case_id,
                name,
                None if source is None else Path(source),
                tuple(Click(*each) for each in json.loads(clicks)),
                digest,
                session_id,
            )
            for case_id, name, source, clicks, digest, session_id in rows
        ]

    def set_digest(self, case_id: str, digest: str) -> None:
        """Notes what a case's images were when they were read."""
        with self._database.transaction():
            self._database.execute("UPDATE cases SET digest = ? WHERE id = ?", (digest, case_id))

    def remove_case(self, case_id: str) -> None:
        """Forgets a case, and its session with it."""
        with self._database.transaction():
            self._database.execute("DELETE FROM cases WHERE id = ?", (case_id,))

    # sessions

    def open_session(self, case_id: str) -> SessionRecord:
        """The session of a case, new where it had none.

        Raises:
            UnknownError: there is no such case.
        """
        with self._database.transaction():
            case = self.case(case_id)
            if case.session_id is not None:
                return self.session(case.session_id)
            session_id = new_id()
            self._database.execute(
                "INSERT INTO sessions VALUES (?, ?, 0, 0, 1, 0, ?, NULL, NULL)", (session_id, case_id, time.time())
            )
            self._add_clicks(session_id, 0, case.start_clicks)
            return self.session(session_id)

    def session(self, session_id: str) -> SessionRecord:
        """A session by its id.

        Raises:
            UnknownError: there is none.
        """
        with self._database.transaction():
            found = self._database.rows(
                "SELECT case_id, place, revision, mask_revision, mask_maker FROM sessions WHERE id = ?", (session_id,)
            )
            if not found:
                raise UnknownError(f"there is no session {quoted(session_id)}")
            case_id, place, revision, mask_revision, mask_maker = found[0]
            # a click is there where the last of its changes up to the place has added it
            rows = self._database.rows(
                "SELECT id, x, y, z, label FROM clicks JOIN ("
                " SELECT click_id, SUM(CASE adds WHEN 1 THEN 1 ELSE -1 END) AS there FROM changes"
                " WHERE session_id = ? AND number <= ? GROUP BY click_id"
                ") ON click_id = id WHERE session_id = ? AND there > 0 ORDER BY id",
                (session_id, place, session_id),
            )
            last = self._last_change(session_id)
            starts = self._database.rows(
                "SELECT name FROM starting_masks WHERE session_id = ? AND number <= ? ORDER BY number DESC LIMIT 1",
                (session_id, place),
            )
        start = starts[0][0] if starts else None
        clicks = tuple(StoredClick(number, Click(x, y, z, label)) for number, x, y, z, label in rows)
        return SessionRecord(
            session_id, case_id, revision, clicks, place > 0, place < last, mask_revision, mask_maker, start
        )

    def history(self, session_id: str) -> tuple[list[tuple[Click, ...]], int]:
        """The clicks before and after each change, and which of these states counts; the nearest ones, see `replay`."""
        with self._database.transaction():
            place, last = self._place(session_id), self._last_change(session_id)
            rows = self._database.rows(
                "SELECT number, click_id, adds, x, y, z, label FROM changes JOIN clicks"
                " ON clicks.session_id = changes.session_id AND id = click_id"
                " WHERE changes.session_id = ? ORDER BY number, click_id",
                (session_id,),
            )
        return replay(((number, each, adds, Click(*click)) for number, each, adds, *click in rows), place, last)

    def starting_masks(self) -> dict[str, set[str]]:
        """All sessions, each with the names of the masks to start from in its history."""
        with self._database.transaction():
            names: dict[str, set[str]] = {row[0]: set() for row in self._database.rows("SELECT id FROM sessions")}
            rows = self._database.rows("SELECT session_id, name FROM starting_masks WHERE name IS NOT NULL")
        for session_id, name in rows:
            names[session_id].add(name)
        return names

    def remove_session(self, session_id: str) -> None:
        """Forgets a session, its clicks and their history."""
        with self._database.transaction():
            self._database.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def set_open(self, session_id: str, is_open: bool) -> None:
        """Notes whether a session is in memory."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE sessions SET is_open = ?, used = ? WHERE id = ?", (is_open, time.time(), session_id)
            )

    def open_sessions(self) -> list[str]:
        """Ids of the sessions that are in memory, or were when the server before this one ended; last used first."""
        return [row[0] for row in self._database.rows("SELECT id FROM sessions WHERE is_open ORDER BY used DESC", ())]

    def set_mask(self, session_id: str, revision: int, maker: str) -> None:
        """Notes of what revision the mask on disk is, and what made it."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE sessions SET mask_revision = ?, mask_maker = ? WHERE id = ?", (revision, maker, session_id)
            )

    # clicks

    def add_clicks(self, session_id: str, clicks: Sequence[Click]) -> SessionRecord:
        """Adds clicks in one change; see `session` for errors. Without any, nothing changes."""
        if not clicks:
            return self.session(session_id)
        with self._database.transaction():
            number = self._begin_change(session_id)
            self._add_clicks(session_id, number, clicks)
            return self._end_change(session_id, number)

    def remove_clicks(self, session_id: str, click_ids: Sequence[int]) -> SessionRecord:
        """Removes clicks that count now in one change; without any, nothing changes.

        Raises:
            UnknownError: there is no such session, or a click is none of those that count now.
        """
        with self._database.transaction():
            record = self.session(session_id)
            if not click_ids:
                return record
            there = {each.id for each in record.clicks}
            number = self._begin_change(session_id)
            for click_id in click_ids:
                if click_id not in there:
                    raise UnknownError(f"there is no click {click_id} in this session")
                self._database.execute("INSERT INTO changes VALUES (?, ?, ?, 0)", (session_id, number, click_id))
            return self._end_change(session_id, number)

    def start_from(self, session_id: str, name: str | None) -> SessionRecord:
        """Removes all clicks and makes the mask of this name the one to start from, in one change.

        With None there is no mask to start from; where there was none and no clicks, nothing changes. See `session` for
        errors.
        """
        with self._database.transaction():
            record = self.session(session_id)
            if name is None and record.starting_mask is None and not record.clicks:
                return record
            number = self._begin_change(session_id)
            self._database.execute_many(
                "INSERT INTO changes VALUES (?, ?, ?, 0)", [(session_id, number, each.id) for each in record.clicks]
            )
            self._database.execute("INSERT INTO starting_masks VALUES (?, ?, ?)", (session_id, number, name))
            return self._end_change(session_id, number)

    def undo(self, session_id: str) -> SessionRecord:
        """Goes back one change; changes nothing where there is none."""
        return self._move(session_id, -1)

    def redo(self, session_id: str) -> SessionRecord:
        """Makes the change again that was undone last; changes nothing where there is none."""
        return self._move(session_id, 1)

    def _move(self, session_id: str, step: int) -> SessionRecord:
        with self._database.transaction():
            record = self.session(session_id)
            if not (record.can_undo if step < 0 else record.can_redo):
                return record
            return self._end_change(session_id, self._place(session_id) + step)

    def _begin_change(self, session_id: str) -> int:
        """Drops the changes that were undone; the number of the one to come."""
        self.session(session_id)
        place = self._place(session_id)
        for table in ("changes", "starting_masks"):
            self._database.execute(f"DELETE FROM {table} WHERE session_id = ? AND number > ?", (session_id, place))
        self._database.execute(
            "DELETE FROM clicks WHERE session_id = ? AND id NOT IN (SELECT click_id FROM changes WHERE session_id = ?)",
            (session_id, session_id),
        )
        return place + 1

    def _end_change(self, session_id: str, place: int) -> SessionRecord:
        self._database.execute(
            "UPDATE sessions SET place = ?, revision = revision + 1, used = ? WHERE id = ?",
            (place, time.time(), session_id),
        )
        return self.session(session_id)

    def _add_clicks(self, session_id: str, number: int, clicks: Iterable[Click]) -> None:
        first = self._database.rows("SELECT next_click FROM sessions WHERE id = ?", (session_id,))[0][0]
        rows = [(session_id, first + index, each) for index, each in enumerate(clicks)]
        self._database.execute_many(
            "INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?)",
            [(session, click_id, each.x, each.y, each.z, each.label) for session, click_id, each in rows],
        )
        self._database.execute_many(
            "INSERT INTO changes VALUES (?, ?, ?, 1)", [(session, number, click_id) for session, click_id, _ in rows]
        )
        self._database.execute("UPDATE sessions SET next_click = ? WHERE id = ?", (first + len(rows), session_id))

    def _place(self, session_id: str) -> int:
        place: int = self._database.rows("SELECT place FROM sessions WHERE id = ?", (session_id,))[0][0]
        return place

    def _last_change(self, session_id: str) -> int:
        last: int = self._database.rows(
            "SELECT COALESCE(MAX(number), 0) FROM (SELECT session_id, number FROM changes"
            " UNION ALL SELECT session_id, number FROM starting_masks) WHERE session_id = ?",
            (session_id,),
        )[0][0]
        return last

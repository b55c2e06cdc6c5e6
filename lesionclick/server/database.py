"""Database of a data folder: SQLite, locked while it is open; what is committed outlives a kill and a power cut."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lesionclick.server.problems import NoRoomError, ServerError

VERSION = 1
"""Of the tables; a database of another version is refused."""

_TABLES = """
CREATE TABLE cases (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT UNIQUE, start_clicks TEXT NOT NULL, digest TEXT,
    added REAL NOT NULL
);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, case_id TEXT NOT NULL UNIQUE REFERENCES cases (id) ON DELETE CASCADE,
    place INTEGER NOT NULL, revision INTEGER NOT NULL, next_click INTEGER NOT NULL,
    is_open INTEGER NOT NULL, used REAL NOT NULL, mask_revision INTEGER, mask_maker TEXT
);
CREATE TABLE clicks (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, id INTEGER NOT NULL,
    x INTEGER NOT NULL, y INTEGER NOT NULL, z INTEGER NOT NULL, label TEXT NOT NULL,
    PRIMARY KEY (session_id, id)
);
CREATE TABLE changes (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    click_id INTEGER NOT NULL, adds INTEGER NOT NULL,
    PRIMARY KEY (session_id, number, click_id)
);
CREATE TABLE starting_masks (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, number INTEGER NOT NULL, name TEXT,
    PRIMARY KEY (session_id, number)
);
"""


class Database:
    """A connection that threads share, one transaction at a time."""

    def __init__(self, path: Path) -> None:
        """Opens the database, which is made where there is none.

        Raises:
            ServerError: it is in use by another server, damaged, or of another version.
        """
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
            # the write-ahead log is on the disk before a commit returns; exclusive: two servers never share a folder
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            with self.transaction():
                version = self.rows("PRAGMA user_version")[0][0]
                if version == 0:
                    for statement in _TABLES.split(";"):
                        self.execute(statement)
                    self.execute(f"PRAGMA user_version = {VERSION}")
        except (sqlite3.OperationalError, NoRoomError) as error:
            reason = "another server is using it" if "locked" in str(error) else str(error)
            raise ServerError(f"{path}: the database cannot be opened: {reason}") from error
        except sqlite3.DatabaseError as error:
            raise ServerError(f"{path}: is damaged, or no database of this program: {error}") from error
        if version not in (0, VERSION):
            self.close()
            raise ServerError(f"{path}: has tables of version {version}, expected {VERSION}: take another data folder")

    def close(self) -> None:
        """Closes the database; calls that come later fail."""
        with self._lock:
            self._connection.close()

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def execute(self, statement: str, values: Sequence[object] = ()) -> None:
        """Makes a statement, within a transaction."""
        self._connection.execute(statement, values)

    def execute_many(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        """Makes a statement with each of these values, within a transaction."""
        self._connection.executemany(statement, values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block are on the disk when it ends, or none is; a block within it belongs to it.

        Raises:
            NoRoomError: the disk is full or cannot be written.
        """
        with self._lock:
            if self._is_within():
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise NoRoomError(f"nothing was changed, the database cannot be written: {error}") from error
            finally:
                if self._is_within():
                    self._connection.execute("ROLLBACK")

    def _is_within(self) -> bool:
        return self._connection.in_transaction

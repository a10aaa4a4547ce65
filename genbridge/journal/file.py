"""An SQLite file, or memory, as the store of a journal."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genbridge.errors import JournalError
from genbridge.journal.store import Store

BUSY = 10.0
"""Seconds to wait for another process's transaction."""
_PAUSE = 0.01
"""Seconds between two tries at what SQLite does not wait for by itself."""
_PRIMARY = 0xFF
"""The part of an SQLite error code that says what it is; the rest says more exactly which."""
_OPENING = threading.Lock()
"""Held while a file is made and opened: to close one lets go of all locks that this process has on it, SQLite's too."""


def _open_anew() -> None:
    """Give a forked process a lock of its own, as nobody there lets go of one that was held."""
    global _OPENING  # noqa: PLW0603 (there is one for all files of a process)
    _OPENING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_anew)


class FileStore(Store[sqlite3.Connection]):
    """The file at `path`, or memory when it is `None`. `prepare` is given each new connection before it is used.

    As memory is never waited for, it does without the thread unless told otherwise.
    """

    failures = (sqlite3.Error,)
    of_the_values = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)

    def __init__(
        self,
        path: Path | None,
        prepare: Callable[[sqlite3.Connection], None],
        *,
        inline: bool | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inline=path is None if inline is None else inline, sleep=sleep)
        self.path = path and path.absolute()
        self._prepare = prepare
        self._inode = 0

    def connect(self) -> sqlite3.Connection:
        """Open or create the file."""
        with _OPENING:
            if self.path is not None:
                self._inode = _make_private(self.path.resolve())
            db = sqlite3.connect(self.path or ":memory:", isolation_level=None, timeout=BUSY, check_same_thread=False)
        db.row_factory = sqlite3.Row
        try:
            self._write_ahead(db)
            db.execute("pragma synchronous = full")
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _write_ahead(self, db: sqlite3.Connection) -> None:
        """Turn the write-ahead log on, which SQLite does not wait for where another process is at it too."""
        deadline = time.monotonic() + BUSY
        while True:
            try:
                db.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                self._sleep(_PAUSE)
            else:
                return

    def close(self, db: sqlite3.Connection) -> None:
        """Close the file."""
        db.close()

    def begin(self, db: sqlite3.Connection) -> None:
        """Begin a transaction, once no other process has one that writes."""
        db.execute("begin immediate")

    def execute(self, db: sqlite3.Connection, statement: str) -> None:
        """Run a statement without values."""
        db.execute(statement)

    def written(self, db: sqlite3.Connection) -> int:
        """Return how many rows were written on a connection so far."""
        return db.total_changes

    def undo(self, db: sqlite3.Connection) -> None:
        """Undo the transaction under way, if there is one."""
        if db.in_transaction:
            db.execute("rollback")

    def check_there(self) -> None:
        """Raise `JournalError` when the file was removed or replaced, so that nobody would find what is written to it."""
        if self.path is None:
            return
        try:
            inode = os.stat(self.path).st_ino  # noqa: PTH116 (asked at every submit, and cheaper)
        except OSError:
            inode = None
        if inode != self._inode:
            raise JournalError(f"the journal {str(self.path)!r} was removed or replaced while in use; nothing was sent")

    def error(self, what: str, error: Exception) -> JournalError:
        """Return the error that says what (a participle) could not be done."""
        where = "in memory" if self.path is None else repr(str(self.path))
        return JournalError(
            f"the journal {where} cannot be {what} ({error}); make the file usable, or name another under [journal] path"
        )


def _make_private(path: Path) -> int:
    """Create the file, and the folders that are missing, for this user only; return its inode.

    One that is there is closed to others, and not opened here. SQLite gives new side files the same mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    status = path.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(FileNotFoundError):
                each.chmod(0o600)
    return status.st_ino

"""The journal in one SQLite file, which several processes may share."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from genbridge.errors import JournalError
from genbridge.journal.drivers import FileDrivers
from genbridge.journal.file import FileStore
from genbridge.journal.schema import VERSION, bring_up_to_date, version
from genbridge.journal.sql import SqlJournal

_log = logging.getLogger(__name__)

_MANY = 200_000
"""How many jobs it takes a few seconds to bring up to date."""


class SqliteJournal(SqlJournal):
    """A journal in the file at `path`, or in memory only when it is `None`.

    `now` tells the wall-clock time and `monotonic` one that cannot jump, both in seconds. `inline` does without a thread, which is
    the default in memory.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        inline: bool | None = None,
    ) -> None:
        self.path = path
        super().__init__(FileStore(path, self._prepare, inline=inline), FileDrivers(now, monotonic), now)

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("begin exclusive")
        number = version(db)
        if number > VERSION:
            raise JournalError(
                f"the journal {str(self.path)!r} was written by a newer genbridge (its version is {number}, this one reads "
                f"{VERSION}); upgrade genbridge, or name another file under [journal] path"
            )
        if number == 0 and db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise JournalError(f"{str(self.path)!r} is a database of something else; name another file under [journal] path")
        self._tell_if_slow(db, number)
        bring_up_to_date(db)
        self._drivers.beat(db)
        db.execute("commit")

    def _tell_if_slow(self, db: sqlite3.Connection, number: int) -> None:
        jobs = db.execute("select max(rowid) from jobs").fetchone()[0] if 0 < number < VERSION else None
        if jobs is not None and jobs >= _MANY:
            _log.warning(
                "the journal %r of %d jobs is brought up to date for this release; it takes a moment", str(self.path), jobs
            )

"""A PostgreSQL database as the store of a journal: each piece of work is done once, also when the connection is lost meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, count, repeat
from typing import ClassVar

import psycopg

from genbridge.databases import DatabaseUrl
from genbridge.errors import JournalError
from genbridge.journal.database import Rows
from genbridge.journal.postgres.connection import Connection, Lost, options
from genbridge.journal.postgres.drivers import SharedDrivers
from genbridge.journal.store import HalfDone, Outcome, Store, Work

_log = logging.getLogger(__name__)

_PATIENCE = 120.0
"""Seconds for which a database that has gone is waited for."""
_MOMENT = 5.0
"""The same when there is nothing to be written any more that is paid for."""
_PAUSES = (0.1, 0.2, 0.5, 1.0)
"""Seconds before each try to reach it again; the last for all that follow."""
_AGAIN = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
    # A server that has become a standby leaves its sessions open.
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
)
"""What is over when the same is done once more, on another connection."""
_ENTER = "select enter(?, ?, ?)"
_TOOK_PLACE = "select took_place(?, ?, ?, ?)"


class DatabaseStore(Store[Connection]):
    """The tables at `url`. `drivers` has the name of this process's, and `now` is another clock than the database's, for tests.

    `prepare` is given each new connection, and `end` one whose transaction is about to be committed. Every transaction that writes
    is a sign of life, and has a number that is written with it: by that it is known after a connection was lost whether it was
    committed.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error, Lost)
    of_the_values: ClassVar[tuple[type[Exception], ...]] = (
        psycopg.IntegrityError,
        psycopg.DataError,
        psycopg.ProgrammingError,
        psycopg.errors.ProgramLimitExceeded,  # as of an index
    )
    longer: ClassVar[float] = 0.02

    def __init__(
        self,
        url: DatabaseUrl,
        drivers: SharedDrivers,
        prepare: Callable[[Connection], None],
        end: Callable[[Connection], None],
        *,
        now: Callable[[], float] | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        super().__init__(inline=False)
        self._url = url
        self._drivers = drivers
        self._prepare = prepare
        self._end = end
        self._told = now
        self._patience = patience
        self._numbers = count(1)
        self._number = 0
        self.has_written = False
        self._entered: Rows | None = None
        self._time = 0.0
        self._away = False
        self._closing = threading.Event()

    def now(self) -> float:
        """Return the time of the transaction under way, in seconds."""
        if self._entered is not None:
            self._time, self._entered = self._entered.fetchone()[0], None
        return self._time

    def hurry(self) -> None:
        """Wait for a database that has gone for a moment only."""
        self._patience = min(self._patience, _MOMENT)

    async def aclose(self) -> None:
        """Disconnect, once what was asked is done; a database that has gone is not waited for any more."""
        self._closing.set()
        await super().aclose()

    def connect(self) -> Connection:
        """Connect, and see that the tables are there."""
        db = self._connection()
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _connection(self) -> Connection:
        try:
            return Connection(lambda: psycopg.connect(**options(self._url, autocommit=True)))
        except psycopg.Error as error:
            failure = self.error("opened", error)
        # Outside of `except`: the driver's error holds all that it was to connect with.
        raise failure

    def close(self, db: Connection) -> None:
        """Disconnect."""
        db.close()

    def begin(self, db: Connection) -> None:
        """Begin a transaction, which waits for those of all other processes, and is a sign of life."""
        db.wanted.clear()
        db.execute("begin")
        self._number = next(self._numbers)
        self._enter(db, self._number)
        self.has_written = True

    def _enter(self, db: Connection, number: int) -> None:
        self._entered = db.execute(_ENTER, (self._drivers.name, number, self._told and self._told()))

    def execute(self, db: Connection, statement: str) -> None:
        """Run a statement without values, to its end."""
        db.execute(statement)
        db.settle()

    def written(self, db: Connection) -> int:
        """Return a number that grows with whatever is written on a connection."""
        return db.written

    def error(self, what: str, error: Exception) -> JournalError:
        """Return the error that says what (a participle) could not be done."""
        words = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        said = " ".join(self._url.struck_from(words or str(error)).split())
        if trouble := self._url.trouble(said):
            return JournalError(trouble)
        return JournalError(f"the journal {str(self._url)!r} cannot be {what} ({said}); look at the database and at its URL")

    def committed(self, db: Connection, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch in one transaction; when the database goes meanwhile, wait for it, and do what was not done."""
        began = time.monotonic()
        done: list[Outcome] | None = None
        lost: Exception
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                if db.lost:
                    self._reach(db)
                if done and self._took_place(db):
                    return done
                done = None
                return self._tried(db, batch)
            except _InDoubt as doubt:
                done, lost = doubt.outcomes, doubt.error
            except Lost as error:
                lost = error
            if self._closing.is_set() or time.monotonic() + pause > began + self._patience:
                return [Outcome(work, failure=self.error("reached", lost)) for work in batch]
            self._closing.wait(pause)
        raise AssertionError  # the pauses do not end

    def _reach(self, db: Connection) -> None:
        """Connect anew; raises `Lost` when that is not possible now. An outage is told once, and so is its end."""
        if not self._away:
            self._away = True
            _log.warning("the journal %r cannot be reached; what is to be written is kept until it can", str(self._url))
        db.again()
        self._away = False
        _log.warning("the journal %r can be reached again", str(self._url))

    def _tried(self, db: Connection, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch; raises `Lost` where the same may work once more."""
        try:
            return self.in_one_go(db, batch)
        except Lost:
            raise
        except psycopg.Error as error:
            over_soon = db.lost or isinstance(error, _AGAIN)
            self.undo(db)
            if over_soon:
                raise Lost(str(error)) from error
            return [Outcome(work, failure=self.error("written", error)) for work in batch]

    def in_one_go(self, db: Connection, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch; what only looks needs no transaction, as each statement sees what was committed before it."""
        if all(work.looks for work in batch):
            self._enter(db, 0)
            return [self._outcome(work, partial(self._value, db, work)) for work in batch]
        with db.going_ahead():
            return super().in_one_go(db, batch)

    def _together(self, db: Connection, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch, all of which is asked for before any answer is looked at."""
        asked = [self._run(db, work, lambda db, work: work.run(db)) for work in batch]
        db.settle()
        return [self._read(db, outcome) for outcome in asked]

    def _read(self, db: Connection, asked: Outcome) -> Outcome:
        """Return what has come of some work, once all that it has asked for is done."""
        read = asked.work.read
        if asked.failure is not None or read is None:
            return asked
        outcome = self._outcome(asked.work, partial(read, db, asked.value))
        if outcome.failure is not None:
            raise HalfDone
        return outcome

    def undo(self, db: Connection) -> None:
        """Leave the transaction under way with its connection, on which what was asked ahead may have been left half done."""
        db.again()

    def _apart(self, db: Connection, batch: Sequence[Work]) -> list[Outcome]:
        """Do each of a batch in a savepoint of its own, and wait for each answer."""
        db.ahead = False
        return super()._apart(db, batch)

    def commit(self, db: Connection, outcomes: Sequence[Outcome]) -> None:
        """Commit what has these outcomes; raises `_InDoubt` when the database or the way there goes before the answer."""
        self._end(db)
        db.execute("select add_up()")
        try:
            self.execute(db, "commit")
        except (Lost, psycopg.OperationalError) as error:
            db.close()
            raise _InDoubt(list(outcomes), error) from error

    def _took_place(self, db: Connection) -> bool:
        """Whether the last transaction was committed, as else it never will be; raises `Lost` to ask again."""
        try:
            row = db.execute(_TOOK_PLACE, (self._drivers.name, self._number, next(self._numbers), self._told and self._told()))
            return bool(row.fetchone()[0])
        except psycopg.Error as error:
            db.close()  # it may stand in line
            raise Lost(str(error)) from error


class _InDoubt(Exception):  # noqa: N818 (as `Lost`)
    """The connection was lost while a transaction was being committed."""

    def __init__(self, outcomes: list[Outcome], error: Exception) -> None:
        super().__init__(str(error))
        self.outcomes = outcomes
        self.error = error

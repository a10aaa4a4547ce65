"""A SQLite file, and the one thread that owns the connection to it.

All that is asked while the thread is busy goes into one transaction, so that many writes cost one `fsync`; a caller hears of its
write after the commit, and an event loop is woken once for all of its callers.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import attrs

from genbridge.errors import GenbridgeError, JournalError

T = TypeVar("T")

BUSY = 10.0
"""Seconds to wait for another process's transaction."""
_BATCH = 512
"""How much is done in one transaction at the most, so that whoever was first does not wait for long."""
_CLOSELY = 0.01
"""Seconds after a transaction within which another write is one of many."""
_MOMENT = 0.002
"""Seconds for which what belongs into one transaction is gathered then: a submit takes longer, and each has its `fsync`."""
_PAUSE = 0.01
"""Seconds between two tries at what SQLite does not wait for by itself."""
_PRIMARY = 0xFF
"""The part of an SQLite error code that says what it is; the rest says more exactly which."""
_OF_THE_VALUES = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
"""Errors that are of what was to be written, and not of the file: they fail nobody else's work."""
_OPENING = threading.Lock()
"""Held while a file is made and opened: to close one lets go of all locks that this process has on it, SQLite's too."""


def _open_anew() -> None:
    """Give a forked process a lock of its own, as nobody there lets go of one that was held."""
    global _OPENING  # noqa: PLW0603 (there is one for all files of a process)
    _OPENING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_anew)


@attrs.frozen(eq=False)
class _Work:
    """One thing to do on the connection, and who waits for it: a task of an event loop, or a thread."""

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None = None


@attrs.frozen(eq=False)
class _Outcome:
    """What came of some work: a value, or why there is none."""

    work: _Work
    value: Any = None
    failure: BaseException | None = None
    torn: bool = False
    """Whether a statement of it has failed, which may have written some of what it was to write."""

    def tell(self) -> None:
        """Tell whoever waits, unless they have given up."""
        if self.work.future.done():
            return
        if self.failure is None:
            self.work.future.set_result(self.value)
        else:
            self.work.future.set_exception(self.failure)


class _HalfDone(Exception):  # noqa: N818 (it is a finding, and never leaves the module)
    """Some work has failed after it had written."""


class Store:
    """The file at `path`, or memory when it is `None`. `prepare` is given each new connection before it is used.

    `inline` does without the thread, at once and in the caller's: as memory is never waited for, that is its default there. `sleep`
    waits for some seconds.
    """

    def __init__(
        self,
        path: Path | None,
        prepare: Callable[[sqlite3.Connection], None],
        *,
        inline: bool | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path and path.absolute()
        self._prepare = prepare
        self._sleep = sleep
        self._inline = path is None if inline is None else inline
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._inode = 0
        self._written = 0.0
        self._pid = os.getpid()

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._thread is not None or self._db is not None

    async def open(self) -> None:
        """Open or create the file; raises `JournalError` when it cannot be used."""
        if self._inline:
            self._db = self._connected()
            return
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="genbridge-journal", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(opened)
        except JournalError:
            self._thread = None
            raise

    async def aclose(self) -> None:
        """Close the file, once what was asked is done."""
        with self._lock:
            db, self._db = self._db, None
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if db is not None:
            db.close()
        if thread is not None:
            await asyncio.to_thread(thread.join)

    async def do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run something on the connection, and return what it returns once it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._ask(_Work(run, future, loop))
        return await future

    def do_now(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Do the same, and block until it is done."""
        future: Future[T] = Future()
        self._ask(_Work(run, future))
        return future.result()

    def _ask(self, work: _Work) -> None:
        if self._pid != os.getpid():
            raise JournalError("the client was opened by another process; open one in each")
        with self._lock:
            if self._db is not None:
                outcomes = self._committed(self._db, [work])
            elif self._thread is not None:
                self._queue.put(work)
                return
            else:
                raise JournalError("the journal is not open; use `async with Client() as client`")
        outcomes[0].tell()

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

    def _serve(self, opened: Future[None]) -> None:
        try:
            db = self._connected()
        except JournalError as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while batch := self._batch():
            _tell_all(self._committed(db, batch))
            self._written = time.monotonic()
        db.close()

    def _batch(self) -> list[_Work]:
        """Wait for work and return what there is; where one write follows another closely, what comes in a moment goes with it."""
        work = self._queue.get()
        if time.monotonic() - self._written < _CLOSELY:
            self._sleep(_MOMENT)
        batch: list[_Work] = []
        while work is not None:
            batch.append(work)
            if len(batch) == _BATCH or self._queue.empty():
                return batch
            work = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _committed(self, db: sqlite3.Connection, batch: Sequence[_Work]) -> list[_Outcome]:
        """Do a batch in one transaction; what raises is undone alone."""
        try:
            try:
                return self._in_one_go(db, batch, self._run)
            except _HalfDone:
                db.execute("rollback")
                return self._in_one_go(db, batch, self._run_apart)
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("rollback")
            return [_Outcome(work, failure=self._error("written", error)) for work in batch]

    def _in_one_go(
        self, db: sqlite3.Connection, batch: Sequence[_Work], run: Callable[[sqlite3.Connection, _Work], _Outcome]
    ) -> list[_Outcome]:
        db.execute("begin immediate")
        outcomes = [run(db, work) for work in batch]
        db.execute("commit")
        return outcomes

    def _run(self, db: sqlite3.Connection, work: _Work) -> _Outcome:
        """Do one thing; raises `_HalfDone` when there is something to undo, which is rare enough to cost nobody a savepoint."""
        written = db.total_changes
        outcome = self._outcome(db, work)
        if outcome.torn or (outcome.failure is not None and db.total_changes != written):
            raise _HalfDone
        return outcome

    def _run_apart(self, db: sqlite3.Connection, work: _Work) -> _Outcome:
        """Do one thing in a savepoint of its own."""
        db.execute("savepoint work")
        outcome = self._outcome(db, work)
        if outcome.failure is not None:
            db.execute("rollback to work")
        db.execute("release work")
        return outcome

    def _outcome(self, db: sqlite3.Connection, work: _Work) -> _Outcome:
        try:
            return _Outcome(work, work.run(db))
        except _OF_THE_VALUES as error:
            return _Outcome(work, failure=self._error("written", error), torn=True)
        except sqlite3.Error:
            raise
        except GenbridgeError as error:
            return _Outcome(work, failure=error)
        except Exception as error:  # noqa: BLE001 (a row that cannot be read must not end the thread)
            return _Outcome(work, failure=self._error("read", error))

    def _connected(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except JournalError:
            raise
        except Exception as error:
            raise self._error("opened", error) from error

    def _connect(self) -> sqlite3.Connection:
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

    def _error(self, what: str, error: Exception) -> JournalError:
        where = "in memory" if self.path is None else repr(str(self.path))
        return JournalError(
            f"the journal {where} cannot be {what} ({error}); make the file usable, or name another under [journal] path"
        )


def _tell_all(outcomes: Sequence[_Outcome]) -> None:
    """Tell everybody who waits; a loop that was closed meanwhile has nobody who does."""
    for loop in {outcome.work.loop for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.work.loop is loop]
        if loop is None:
            _tell(mine)
        else:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, mine)


def _tell(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()


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

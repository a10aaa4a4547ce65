"""A database, and the one thread that owns the connection to it.

All that is asked while the thread is busy goes into one transaction, so that many writes cost one `fsync`; a caller hears of its
write after the commit, and an event loop is woken once for all of its callers.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, ClassVar, Generic, TypeVar

import attrs

from genbridge.errors import GenbridgeError, JournalError

T = TypeVar("T")
A = TypeVar("A")
D = TypeVar("D")

_BATCH = 512
"""How much is done in one transaction at the most, so that whoever was first does not wait for long."""
_CLOSELY = 0.01
"""Seconds after a transaction within which another write is one of many."""
_MOMENT = 0.002
"""Seconds for which what belongs into one transaction is gathered then: a submit takes longer, and each has its `fsync`."""


@attrs.frozen(eq=False)
class Work:
    """One thing to do on the connection, and who waits for it: a task of an event loop, or a thread."""

    run: Callable[[Any], Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None = None
    looks: bool = False
    """Whether it only reads."""
    read: Callable[[Any, Any], Any] | None = None
    """What makes its value of what `run` has returned, once what others ask for may have been done too."""


@attrs.frozen(eq=False)
class Outcome:
    """What came of some work: a value, or why there is none."""

    work: Work
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


class HalfDone(Exception):  # noqa: N818 (it is a finding, and never leaves the stores)
    """Some work has failed after it had written."""


class Store(ABC, Generic[D]):
    """A database of the kind `D`.

    `inline` does without the thread, at once and in the caller's. `sleep` waits for some seconds.
    """

    failures: ClassVar[tuple[type[Exception], ...]]
    """What the connection raises."""
    of_the_values: ClassVar[tuple[type[Exception], ...]]
    """Those that are of what was to be written, and not of the database: they fail nobody else's work."""
    longer: ClassVar[float] = _MOMENT
    """Seconds for which what belongs into one transaction is gathered after one of several writes."""

    def __init__(self, *, inline: bool, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._inline = inline
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: D | None = None
        self._lock = threading.Lock()
        self._written = 0.0
        self._several = False
        self._pid = os.getpid()

    # What each kind does in its own way.

    @abstractmethod
    def connect(self) -> D:
        """Return a connection that is ready for use."""

    @abstractmethod
    def close(self, db: D) -> None:
        """Close a connection."""

    @abstractmethod
    def begin(self, db: D) -> None:
        """Begin a transaction that no other process's can come between."""

    @abstractmethod
    def execute(self, db: D, statement: str) -> None:
        """Run a statement without values."""

    @abstractmethod
    def written(self, db: D) -> int:
        """Return a number that grows with whatever is written on a connection."""

    @abstractmethod
    def undo(self, db: D) -> None:
        """Undo the transaction under way, if there is one."""

    @abstractmethod
    def error(self, what: str, error: Exception) -> JournalError:
        """Return the error that says what (a participle) could not be done."""

    def check_there(self) -> None:
        """Raise `JournalError` when nobody would find what is written."""

    # What is asked of it.

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._thread is not None or self._db is not None

    async def open(self) -> None:
        """Connect; raises `JournalError` when it cannot be used."""
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
        """Disconnect, once what was asked is done."""
        with self._lock:
            db, self._db = self._db, None
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if db is not None:
            self.close(db)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    async def do(self, run: Callable[[D], T]) -> T:
        """Run something on the connection, and return what it returns once it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._ask(Work(run, future, loop))
        return await future

    async def do_ahead(self, ask: Callable[[D], A], read: Callable[[D, A], T]) -> T:
        """Do the same in two parts: `ask`, and what `read` makes of its answers.

        Where answers take their time, what others ask for comes between the two: `ask` writes nothing that `read` has to check.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._ask(Work(ask, future, loop, read=read))
        return await future

    async def look(self, run: Callable[[D], T]) -> T:
        """Run something that only reads, and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._ask(Work(run, future, loop, looks=True))
        return await future

    def look_now(self, run: Callable[[D], T]) -> T:
        """Do the same, and block until it is done."""
        future: Future[T] = Future()
        self._ask(Work(run, future, looks=True))
        return future.result()

    def _ask(self, work: Work) -> None:
        if self._pid != os.getpid():
            raise JournalError("the client was opened by another process; open one in each")
        with self._lock:
            if self._db is not None:
                outcomes = self.committed(self._db, [work])
            elif self._thread is not None:
                self._queue.put(work)
                return
            else:
                raise JournalError("the journal is not open; use `async with Client() as client`")
        outcomes[0].tell()

    def _serve(self, opened: Future[None]) -> None:
        try:
            db = self._connected()
        except JournalError as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while batch := self._gathered():
            _tell_all(self.committed(db, batch))
            self._written = time.monotonic()
            self._several = len(batch) > 1
        self.close(db)

    def _gathered(self) -> list[Work]:
        """Wait for work and return what there is; where one write follows another closely, what comes in a moment goes with it."""
        work = self._queue.get()
        if time.monotonic() - self._written < _CLOSELY:
            self._sleep(self.longer if self._several else _MOMENT)
        batch: list[Work] = []
        while work is not None:
            batch.append(work)
            if len(batch) == _BATCH or self._queue.empty():
                return batch
            work = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _connected(self) -> D:
        try:
            return self.connect()
        except JournalError:
            raise
        except Exception as error:
            raise self.error("opened", error) from error

    # A transaction.

    def committed(self, db: D, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch in one transaction; what raises is undone alone."""
        try:
            return self.in_one_go(db, batch)
        except self.failures as error:
            self.undo(db)
            return [Outcome(work, failure=self.error("written", error)) for work in batch]

    def in_one_go(self, db: D, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch, and again with each work apart when one of them has left something to undo."""
        with suppress(HalfDone, *self.of_the_values):
            return self._in_transaction(db, batch, self._together)
        self.undo(db)
        return self._in_transaction(db, batch, self._apart)

    def _in_transaction(self, db: D, batch: Sequence[Work], run: Callable[[D, Sequence[Work]], list[Outcome]]) -> list[Outcome]:
        self.begin(db)
        outcomes = run(db, batch)
        self.commit(db, outcomes)
        return outcomes

    def commit(self, db: D, outcomes: Sequence[Outcome]) -> None:  # noqa: ARG002 (a store may have use for them)
        """Commit what has these outcomes."""
        self.execute(db, "commit")

    def _together(self, db: D, batch: Sequence[Work]) -> list[Outcome]:
        """Do a batch; raises `HalfDone` when there is something to undo, which is rare enough to cost nobody a savepoint."""
        return [self._run(db, work, self._value) for work in batch]

    def _run(self, db: D, work: Work, step: Callable[[D, Work], Any]) -> Outcome:
        written = self.written(db)
        outcome = self._outcome(work, partial(step, db, work))
        if outcome.torn or (outcome.failure is not None and self.written(db) != written):
            raise HalfDone
        return outcome

    def _apart(self, db: D, batch: Sequence[Work]) -> list[Outcome]:
        """Do each of a batch in a savepoint of its own."""
        return [self._saved(db, work) for work in batch]

    def _saved(self, db: D, work: Work) -> Outcome:
        self.execute(db, "savepoint work")
        outcome = self._outcome(work, partial(self._value, db, work))
        if outcome.failure is not None:
            self.execute(db, "rollback to work")
        self.execute(db, "release work")
        return outcome

    def _value(self, db: D, work: Work) -> Any:
        """Do one thing to its end."""
        value = work.run(db)
        return value if work.read is None else work.read(db, value)

    def _outcome(self, work: Work, step: Callable[[], Any]) -> Outcome:
        """Return what has come of a step of some work."""
        try:
            return Outcome(work, step())
        except self.of_the_values as error:
            return Outcome(work, failure=self.error("written", error), torn=True)
        except self.failures:
            raise
        except GenbridgeError as error:
            return Outcome(work, failure=error)
        except Exception as error:  # noqa: BLE001 (a row that cannot be read must not end the thread)
            return Outcome(work, failure=self.error("read", error))


def _tell_all(outcomes: Sequence[Outcome]) -> None:
    """Tell everybody who waits; a loop that was closed meanwhile has nobody who does."""
    for loop in {outcome.work.loop for outcome in outcomes}:
        mine = [outcome for outcome in outcomes if outcome.work.loop is loop]
        if loop is None:
            _tell(mine)
        else:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, mine)


def _tell(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()

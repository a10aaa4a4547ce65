"""The journal in one SQLite file, which several processes may share.

One thread owns the connection. All that is asked while it is busy goes into one transaction, so that many writes cost one
`fsync`; a caller hears of its write after the commit. Leases are as alive as the process that took them: a
driver says so every few seconds, and one on this machine whose process has gone is known to be dead at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from uuid import uuid4

import attrs

from genbridge.catalogue import Limits
from genbridge.errors import BudgetError, GenbridgeError, JournalError
from genbridge.journal import Attempt, Caps, Lease
from genbridge.journal.records import COLUMNS, dump, load
from genbridge.limits import Wait, next_start
from genbridge.types import Job, JobStatus, Quote

_log = logging.getLogger(__name__)

T = TypeVar("T")

VERSION = 1
"""The version of the schema, kept in `user_version`."""

_SCHEMA = """
create table jobs (
  id text primary key, key text not null unique, attempt text,
  backend text not null, provider text not null, model text not null, provider_model text not null, media text not null,
  status text not null, provider_id text,
  created real not null, submitted real, finished real, progress real,
  owner text, epoch integer not null,
  unit text not null, reserved real, charged real, held integer not null,
  request text not null, quote text not null, cost text, failure text, result text
) strict;
create index jobs_created on jobs (created, id);
create index jobs_backend on jobs (backend, created) where held;
create index jobs_unfinished on jobs (backend, status) where finished is null;
create table submits (backend text not null, at real not null) strict;
create index submits_backend on submits (backend, at);
create table pauses (backend text primary key, until real not null) strict;
create table drivers (owner text primary key, beat real not null) strict;
"""

_DEAD_AFTER = 30.0
"""Seconds without a sign of life after which a driver's jobs may be taken over."""
_BUSY = 10.0
"""Seconds to wait for another process's transaction."""
_RUNNING = (
    "select count(*) from jobs where backend = ? and finished is null "
    "and (status in ('submitting', 'queued', 'running') or (status = 'unknown' and created > ?))"
)
_DOUBT_LASTS = 1800.0
"""Seconds for which a job that may have been accepted counts as one that the service works on."""
_BATCH = 512
_DAY = 86400.0


@attrs.frozen
class _Work:
    """One thing to do on the connection, and who waits for it."""

    run: Callable[[sqlite3.Connection], Any]
    future: Future[Any]


class SqliteJournal:
    """A journal in the file at `path`, or in memory only when it is `None`.

    `inline` does without the thread, at once and in the caller's: as memory is never waited for, that is its default there.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time, inline: bool | None = None) -> None:
        self.path = path
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}"
        self._now = now
        self._inline = path is None if inline is None else inline
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._inode = 0

    async def open(self) -> None:
        """Open or create the file; raises `JournalError` when it cannot be used."""
        if self._inline:
            self._db = self._connected()
            return
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="genbridge-journal", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def aclose(self) -> None:
        """Let go of all leases and close the file."""
        if self._thread is None and self._db is None:
            return
        try:
            await self._do(lambda db: db.execute("delete from drivers where owner = ?", (self.owner,)))
        except JournalError as error:
            _log.warning("%s", error)
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def add(self, job: Job, caps: Caps) -> Lease:
        """Record a new job with its reservation and take its lease."""
        row = {**dump(job), "owner": self.owner, "epoch": 1, "held": 1}
        insert = f"insert into jobs ({', '.join(row)}) values ({', '.join('?' * len(row))})"  # noqa: S608 (our own names)

        def work(db: sqlite3.Connection) -> Lease:
            self._check_caps(db, job, caps)
            db.execute(insert, tuple(row.values()))
            return Lease(job.id, 1)

        return await self._do(work)

    def _check_caps(self, db: sqlite3.Connection, job: Job, caps: Caps) -> None:
        exceeds(job.backend, job.quote, caps)
        if caps.per_day is None and caps.jobs_per_day is None:
            return
        today = self._now() // _DAY * _DAY
        spent, count = db.execute(
            "select total(coalesce(charged, reserved)), count(*) from jobs where backend = ? and held and created >= ?",
            (job.backend, today),
        ).fetchone()
        exceeds_day(job.backend, job.quote, caps, spent=spent, count=count)

    async def acquire(self, job_id: str) -> Lease | None:
        """Take an unfinished job that no living driver has."""
        take = (
            "update jobs set owner = ?, epoch = epoch + 1 where id = ? and finished is null "
            "and free(owner) returning epoch, attempt"
        )

        def work(db: sqlite3.Connection) -> Lease | None:
            row = db.execute(take, (self.owner, job_id)).fetchone()
            return None if row is None else Lease(job_id, row["epoch"], row["attempt"] and Attempt(job_id, row["attempt"]))

        return await self._do(work)

    async def beat(self) -> None:
        """Say that this process's driver is alive."""
        await self._do(self._beat)

    def _beat(self, db: sqlite3.Connection) -> None:
        now = self._now()
        db.execute("insert into drivers values (?, ?) on conflict do update set beat = excluded.beat", (self.owner, now))
        db.execute("delete from drivers where beat < ?", (now - _DAY,))

    async def begin_submit(self, lease: Lease, limits: Limits) -> Attempt | Wait | None:
        """Record that the POST is about to be sent, unless a limit asks to wait; `None` when the lease is lost."""
        token = uuid4().hex

        def work(db: sqlite3.Connection) -> Attempt | Wait | None:
            self._check_there()
            row = db.execute(
                "select backend from jobs where id = ? and epoch = ? and status = 'pending'", (lease.job_id, lease.epoch)
            ).fetchone()
            if row is None:
                return None
            if wait := self._wait(db, row[0], limits):
                return wait
            db.execute("update jobs set status = 'submitting', attempt = ? where id = ?", (token, lease.job_id))
            db.execute("insert into submits values (?, ?)", (row[0], self._now()))
            return Attempt(lease.job_id, token)

        return await self._do(work)

    def _check_there(self) -> None:
        """Raise `JournalError` when the file was removed or replaced, so that nobody would find what is written to it."""
        if self.path is not None and (not self.path.exists() or self.path.stat().st_ino != self._inode):
            raise JournalError(f"the journal {str(self.path)!r} was removed or replaced while in use; nothing was sent")

    def _wait(self, db: sqlite3.Connection, backend: str, limits: Limits) -> Wait | None:
        now = self._now()
        pause = db.execute("select until from pauses where backend = ? and until > ?", (backend, now)).fetchone()
        if pause:
            return Wait(pause[0] - now, "the service asked for a pause")
        db.execute("delete from submits where backend = ? and at <= ?", (backend, now - limits.per))
        # A clock that was set back leaves times in the future: count them as of now.
        db.execute("update submits set at = ? where backend = ? and at > ?", (now, backend, now))
        recent = [at for (at,) in db.execute("select at from submits where backend = ? order by at", (backend,))]
        running = db.execute(_RUNNING, (backend, now - _DOUBT_LASTS)).fetchone()[0]
        return next_start(recent, running, limits, now)

    async def pause(self, backend: str, seconds: float) -> None:
        """Let nobody submit to a backend for that long."""
        until = self._now() + seconds
        later = "insert into pauses values (?, ?) on conflict do update set until = max(until, excluded.until)"
        await self._do(lambda db: db.execute(later, (backend, until)))

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        """Record the service's id; `False` when the attempt is no longer the job's."""
        where = "id = :id and attempt = :attempt and status in ('submitting', 'unknown')"
        return await self._write(job, where, {"attempt": attempt.token})

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; the job may be submitted again."""
        back = "update jobs set status = 'pending' where id = ? and attempt = ? and status = 'submitting'"
        await self._do(lambda db: db.execute(back, (attempt.job_id, attempt.token)))

    async def unknown(self, lease: Lease, job: Job) -> None:
        """Record that the POST may have been accepted, and why nobody knows."""
        mark = "update jobs set status = 'unknown', failure = ? where id = ? and epoch = ? and status in ('submitting', 'unknown')"
        await self._do(lambda db: db.execute(mark, (dump(job)["failure"], lease.job_id, lease.epoch)))

    async def release(self, lease: Lease) -> None:
        """Let an unfinished job go, so that any process may take it."""
        free = "update jobs set owner = null where id = ? and epoch = ?"
        await self._do(lambda db: db.execute(free, (lease.job_id, lease.epoch)))

    async def update(self, lease: Lease, job: Job) -> bool:
        """Record how far a running job is, or how it ended; `False` when the lease is lost."""
        return await self._write(job, "id = :id and epoch = :epoch and finished is null", {"epoch": lease.epoch})

    async def _write(self, job: Job, where: str, extra: dict[str, Any]) -> bool:
        row = dump(job)
        held = not (job.finished_at and job.cost and job.cost.amount == 0)
        names = ("status", "provider_id", "submitted", "finished", "progress", "charged", "cost", "failure", "result")
        sets = ", ".join(f"{name} = :{name}" for name in names)
        statement = f"update jobs set {sets}, held = :held where {where}"  # noqa: S608 (our own names)
        values = {**row, **extra, "held": held}
        return await self._do(lambda db: db.execute(statement, values).rowcount == 1)

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record."""
        return await self._do(lambda db: _first(_select(db, "id = ?", (job_id,))))

    def peek(self, job_id: str) -> Job | None:
        """Return the record of a job, by its id or an unambiguous beginning of it; blocks for a moment."""

        def work(db: sqlite3.Connection) -> Job | None:
            found = _select(db, "id >= ? and id < ? order by id limit 2", (job_id, job_id + "\U0010ffff"))
            return found[0] if len(found) == 1 or (found and found[0].id == job_id) else None

        return self._ask(work).result()

    async def page(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        before: tuple[float, str] | None = None,
        limit: int,
    ) -> Sequence[Job]:
        """Return jobs, newest first, that come after the one with that creation time and id."""
        conditions = {"status = ?": (status,), "backend = ?": (backend,), "(created, id) < (?, ?)": before or (None,)}
        used = {text: values for text, values in conditions.items() if values != (None,)}
        where = " and ".join([*used, "finished is null" if unfinished else "true"])
        values = [value for group in used.values() for value in group]
        return await self._do(lambda db: _readable(db, f"{where} order by created desc, id desc limit ?", (*values, limit)))

    async def unfinished(self) -> Sequence[Job]:
        """Return the unfinished jobs that no living driver has, oldest first."""
        return await self._do(lambda db: _readable(db, "finished is null and free(owner) order by created, id", ()))

    # The thread that owns the connection.

    async def _do(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.wrap_future(self._ask(run))

    def _ask(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        work = _Work(run, Future())
        if self._db is not None:
            with self._lock:
                self._commit(self._db, [work])
        elif self._thread is not None:
            self._queue.put(work)
        else:
            raise JournalError("the journal is not open; use `async with Client() as client`")
        return work.future

    def _serve(self, opened: Future[None]) -> None:
        try:
            db = self._connected()
        except JournalError as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while batch := self._batch():
            self._commit(db, batch)
        db.close()

    def _connected(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except JournalError:
            raise
        except Exception as error:
            raise self._error("opened", error) from error

    def _batch(self) -> list[_Work]:
        work = self._queue.get()
        batch: list[_Work] = []
        while work is not None:
            batch.append(work)
            if len(batch) == _BATCH or self._queue.empty():
                return batch
            work = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _commit(self, db: sqlite3.Connection, batch: Sequence[_Work]) -> None:
        """Do a batch in one transaction; what raises is undone alone."""
        outcomes: list[tuple[_Work, Any, BaseException | None]] = []
        try:
            db.execute("begin immediate")
            outcomes = [self._run(db, work) for work in batch]
            db.execute("commit")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("rollback")
            outcomes = [(work, None, self._error("written", error)) for work in batch]
        for work, value, failure in outcomes:
            _deliver(work.future, value, failure)

    def _run(self, db: sqlite3.Connection, work: _Work) -> tuple[_Work, Any, BaseException | None]:
        db.execute("savepoint work")
        try:
            value, failure = work.run(db), None
        except GenbridgeError as error:
            db.execute("rollback to work")
            value, failure = None, error
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 (a row that cannot be read must not end the thread)
            db.execute("rollback to work")
            value, failure = None, self._error("read", error)
        db.execute("release work")
        return work, value, failure

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None:
            self._inode = _make_private(self.path)
        db = sqlite3.connect(self.path or ":memory:", isolation_level=None, timeout=_BUSY, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.create_function("free", 1, lambda owner: owner in {None, self.owner} or not self._alive(db, owner))
        try:
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")
            self._migrate(db)
            db.execute("begin immediate")
            self._beat(db)
            db.execute("commit")
        except BaseException:
            db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        db.execute("begin exclusive")
        version = db.execute("pragma user_version").fetchone()[0]
        if version > VERSION:
            raise JournalError(
                f"the journal {str(self.path)!r} was written by a newer genbridge (its version is {version}, this one reads "
                f"{VERSION}); upgrade genbridge, or name another file under [journal] path"
            )
        if version == 0 and db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise JournalError(f"{str(self.path)!r} is a database of something else; name another file under [journal] path")
        if version == 0:
            _create(db)
        db.execute("commit")

    def _alive(self, db: sqlite3.Connection, owner: str) -> bool:
        row = db.execute("select beat from drivers where owner = ?", (owner,)).fetchone()
        if row is None or self._now() - row[0] > _DEAD_AFTER:
            return False
        host, pid, _ = owner.rsplit(":", 2)
        return host != socket.gethostname() or _runs(int(pid))

    def _error(self, what: str, error: Exception) -> JournalError:
        where = "in memory" if self.path is None else repr(str(self.path))
        return JournalError(
            f"the journal {where} cannot be {what} ({error}); make the file usable, or name another under [journal] path"
        )


def exceeds(backend: str, quote: Quote, caps: Caps) -> None:
    """Raise `BudgetError` when one job costs more than it may."""
    if quote.amount is None and (caps.per_job is not None or caps.per_day is not None):
        raise BudgetError(
            f"the price on backend {backend!r} is not known ({quote.basis}), so a cap on {quote.unit} cannot be kept; nothing was "
            "sent. Choose a model with a known price, or lift the cap",
            quote=quote,
        )
    if caps.per_job is not None and (quote.amount or 0) > caps.per_job:
        raise BudgetError(f"it would cost {quote}, the most for one job is {caps.per_job:g}; nothing was sent", quote=quote)


def exceeds_day(backend: str, quote: Quote, caps: Caps, *, spent: float, count: int) -> None:
    """Raise `BudgetError` when a backend's jobs of today would cost more, or be more, than they may."""
    if caps.per_day is not None and spent + (quote.amount or 0) > caps.per_day:
        raise BudgetError(
            f"it would cost {quote}; backend {backend!r} has spent or reserved {spent:g} today (UTC), the most is "
            f"{caps.per_day:g}; nothing was sent",
            quote=quote,
        )
    if caps.jobs_per_day is not None and count >= caps.jobs_per_day:
        raise BudgetError(
            f"backend {backend!r} has had {count} jobs today (UTC), the most is {caps.jobs_per_day}; nothing was sent", quote=quote
        )


def _select(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Job]:
    return [load(dict(row)) for row in _rows(db, where, values)]


def _readable(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Job]:
    """Return the jobs of rows that can be read; a damaged one must not hide the others, and is named in the log."""
    jobs = []
    for row in _rows(db, where, values):
        try:
            jobs.append(load(dict(row)))
        except Exception as error:  # noqa: BLE001 (whatever a damaged row raises)
            _log.error("the record of job %s (the service's id: %s) cannot be read: %s", row["id"], row["provider_id"], error)
    return jobs


def _rows(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[sqlite3.Row]:
    return db.execute(f"select {', '.join(COLUMNS)} from jobs where {where}", values).fetchall()  # noqa: S608 (our own words)


def _first(jobs: Sequence[Job]) -> Job | None:
    return jobs[0] if jobs else None


def _create(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)
    db.execute(f"pragma user_version = {VERSION}")


def _deliver(future: Future[Any], value: Any, failure: BaseException | None) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)


def _make_private(path: Path) -> int:
    """Create the file, and the folders that are missing, for this user only; return its inode.

    SQLite gives its side files the same mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

"""The journal in one SQLite file, which several processes may share."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs

from genbridge.budgets import Budget, Usage, Used, check
from genbridge.durations import Key, Learned, Lesson, learn
from genbridge.errors import JournalError
from genbridge.journal import NOT_SENT, Attempt, Lease, Paused
from genbridge.journal.drivers import Drivers
from genbridge.journal.records import COLUMNS, dump, load
from genbridge.journal.schema import VERSION, bring_up_to_date, version
from genbridge.journal.store import Store
from genbridge.limits import Rule, Wait, next_start
from genbridge.tries import given_id
from genbridge.types import Job, JobStatus, Media, Spent

_log = logging.getLogger(__name__)

_RUNNING = (
    "select count(*) from jobs where backend = ? and finished is null "
    "and (status in ('submitting', 'queued', 'running') or (status = 'unknown' and doubted > ?))"
)
_FORSAKEN = (
    "select count(*) from jobs where backend = ? and finished is null "
    "and status in ('submitting', 'queued', 'running') and coalesce(submitted, created) <= ? and forsaken(owner)"
)
_DOUBT_LASTS = 1800.0
"""Seconds for which a job that may have been accepted, or that nobody follows, counts as one that the service works on."""
_ANSWER_LASTS = 120.0
"""Seconds after which a submit that was never answered is taken to have reached the service."""
_DAY = 86400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()

_KEY = "provider = ? and model = ? and media = ? and variant = ? and phase = ?"
_LEARNED = f"select count, mean, squares, odd, odd_mean from durations where {_KEY}"  # noqa: S608 (our own words)
_DURATIONS = "select provider, model, media, variant, phase, count, mean, squares, odd, odd_mean from durations"
_LEARN = "insert or replace into durations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_NAMED = "select id from jobs where id >= ? and id < ? order by created, id"
_USED = "select total(coalesce(charged, reserved)), count(*) from jobs where backend = ? and held and created >= ? and id != ?"
_SPENT = """
select backend, provider, model, media, unit, cast(created / 86400 as integer) as day, count(*) as jobs,
  total(charged) as charged,
  total(case when json_extract(cost, '$.certainty') is not null then charged end) as estimated,
  total(case when held and charged is null and finished is null then reserved end) as reserved,
  count(case when held and coalesce(charged, reserved) is null then 1 end) as unpriced
from jobs where created >= ? group by backend, provider, model, media, unit, day order by day, backend, model, media
"""


class SqliteJournal:
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
        self._now = now
        self._drivers = Drivers(now, monotonic)
        self._store = Store(path, self._prepare, inline=inline)

    @property
    def owner(self) -> str:
        """What this process's driver is called in the rows of its jobs."""
        return self._drivers.name

    async def open(self) -> None:
        """Open or create the file; raises `JournalError` when it cannot be used."""
        await self._store.open()

    async def aclose(self) -> None:
        """Let go of all leases and close the file."""
        if not self._store.is_open:
            return
        try:
            await self._store.do(self._drivers.leave)
        except JournalError as error:
            _log.warning("%s", error)
        await self._store.aclose()

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.create_function("forsaken", 1, lambda owner: owner != self._drivers.name and self._drivers.free(db, owner))
        db.create_function("free", 1, lambda owner: self._drivers.free(db, owner))
        db.execute("begin exclusive")
        number = version(db)
        if number > VERSION:
            raise JournalError(
                f"the journal {str(self.path)!r} was written by a newer genbridge (its version is {number}, this one reads "
                f"{VERSION}); upgrade genbridge, or name another file under [journal] path"
            )
        if number == 0 and db.execute("select count(*) from sqlite_master").fetchone()[0]:
            raise JournalError(f"{str(self.path)!r} is a database of something else; name another file under [journal] path")
        bring_up_to_date(db)
        self._drivers.beat(db)
        db.execute("commit")

    # Jobs and their drivers.

    async def add(self, job: Job, budget: Budget) -> Lease | None:
        """Record a new job with its reservation and take its lease; `None` when one of that id is on record."""
        row = {**dump(job), "owner": self._drivers.name, "epoch": 1, "held": 1}
        places = ", ".join("?" * len(row))
        insert = f"insert into jobs ({', '.join(row)}) values ({places}) on conflict do nothing"  # noqa: S608 (our own names)

        def work(db: sqlite3.Connection) -> Lease | None:
            if db.execute("select 1 from jobs where id = ?", (job.id,)).fetchone():
                return None
            self._check_budget(db, job, budget)
            return Lease(job.id, 1) if db.execute(insert, tuple(row.values())).rowcount else None

        return await self._store.do(work)

    def _check_budget(self, db: sqlite3.Connection, job: Job, budget: Budget) -> None:
        usage = self._usage(db, job.backend, but=job.id) if budget.looks_back else Usage()
        check(job.backend, job.quote, budget, usage)

    def _usage(self, db: sqlite3.Connection, backend: str, *, but: str = "") -> Usage:
        today, ever = (db.execute(_USED, (backend, since, but)).fetchone() for since in (self._now() // _DAY * _DAY, 0.0))
        return Usage(today=Used(amount=today[0], jobs=today[1]), ever=Used(amount=ever[0], jobs=ever[1]))

    async def usage(self, backend: str) -> Usage:
        """Return what counts against a backend's caps."""
        return await self._store.do(lambda db: self._usage(db, backend))

    async def acquire(self, job_id: str) -> Lease | None:
        """Take an unfinished job that no living driver has."""
        take = (
            "update jobs set owner = ?, epoch = epoch + 1 where id = ? and finished is null "
            "and free(owner) returning epoch, attempt"
        )

        def work(db: sqlite3.Connection) -> Lease | None:
            row = db.execute(take, (self._drivers.name, job_id)).fetchone()
            return None if row is None else Lease(job_id, row["epoch"], row["attempt"] and Attempt(job_id, row["attempt"]))

        return await self._store.do(work)

    async def beat(self) -> None:
        """Say that this process's driver is alive."""
        await self._store.do(self._drivers.beat)

    async def release(self, lease: Lease) -> None:
        """Let an unfinished job go, so that any process may take it."""
        free = "update jobs set owner = null where id = ? and epoch = ?"
        await self._store.do(lambda db: db.execute(free, (lease.job_id, lease.epoch)))

    # The submit.

    async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Attempt | Wait | None:
        """Record that the POST is about to be sent, unless a limit asks to wait; `None` when the lease is lost.

        Raises `BudgetError` when it would exceed a cap, as one may have been lowered since the job was recorded.
        """
        token = uuid4().hex

        def work(db: sqlite3.Connection) -> Attempt | Wait | None:
            self._store.check_there()
            job = _first(_select(db, "id = ? and epoch = ? and status = 'pending'", (lease.job_id, lease.epoch)))
            if job is None:
                return None
            self._check_budget(db, job, budget)
            if wait := self._wait(db, job.backend, rules):
                return wait
            db.execute("update jobs set status = 'submitting', attempt = ? where id = ?", (token, lease.job_id))
            db.execute(
                "insert into submits (backend, media, model, at, job) values (?, ?, ?, ?, ?)",
                (job.backend, job.media, job.model, self._now(), job.id),
            )
            return Attempt(lease.job_id, token)

        return await self._store.do(work)

    def _wait(self, db: sqlite3.Connection, backend: str, rules: Sequence[Rule]) -> Wait | None:
        now = self._now()
        if seconds := self._paused(db, Paused.SUBMITS, now).get(backend):
            return Wait(seconds, "the service asked for a pause")
        longest = max((rule.limits.per for rule in rules), default=0.0)
        db.execute("delete from submits where backend = ? and at <= ?", (backend, now - longest - _ANSWER_LASTS))
        # A clock that was set back leaves times in the future: count them as of now.
        db.execute("update submits set at = ? where backend = ? and at > ?", (now, backend, now))
        db.execute("update jobs set doubted = ? where backend = ? and status = 'unknown' and doubted > ?", (now, backend, now))
        waits = [wait for rule in rules if (wait := self._wait_for(db, backend, rule, now))]
        return max(waits, key=lambda wait: wait.seconds, default=None)

    def _wait_for(self, db: sqlite3.Connection, backend: str, rule: Rule, now: float) -> Wait | None:
        """Return how long one rule asks to wait.

        A submit counts from its answer, as nobody knows when between its intent and its answer it arrived.
        """
        which = {"media": rule.media, "model": rule.model}
        given = {name: value for name, value in which.items() if value is not None}
        match = "".join(f" and {name} = ?" for name in given)
        arrived = "case when job is null then at else min(?, at + ?) end"
        times = f"select {arrived} as arrived from submits where backend = ?{match} order by arrived"  # noqa: S608 (our own names)
        rows = db.execute(times, (now, _ANSWER_LASTS, backend, *given.values()))
        recent = [at for (at,) in rows if at > now - rule.limits.per]
        counted = (backend, now - _DOUBT_LASTS, *given.values())
        running = db.execute(_RUNNING + match, counted).fetchone()[0]
        if rule.limits.concurrent is not None and running >= rule.limits.concurrent:
            running -= db.execute(_FORSAKEN + match, counted).fetchone()[0]
        return next_start(recent, running, rule, now)

    def _answered(self, db: sqlite3.Connection, job_id: str) -> None:
        db.execute("update submits set at = ?, job = null where job = ?", (self._now(), job_id))

    async def pause(self, backend: str, seconds: float, what: Paused) -> None:
        """Let nobody submit to a backend, or poll it, for that long."""
        later = "insert or replace into pauses (backend, what, at, seconds) values (?, ?, ?, ?)"

        def work(db: sqlite3.Connection) -> None:
            now = self._now()
            if seconds > self._paused(db, what, now).get(backend, 0.0):
                db.execute(later, (backend, what, now, seconds))

        await self._store.do(work)

    async def pauses(self, what: Paused) -> Mapping[str, float]:
        """Return for how many seconds more each backend is to be left alone."""
        return await self._store.do(lambda db: self._paused(db, what, self._now()))

    def _paused(self, db: sqlite3.Connection, what: Paused, now: float) -> dict[str, float]:
        # A clock that was set back must not make a pause longer than it was.
        db.execute("update pauses set at = ? where at > ?", (now, now))
        rows = db.execute("select backend, at + seconds - ? from pauses where what = ? and at + seconds > ?", (now, what, now))
        return dict(tuple(row) for row in rows)

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        """Record the service's id; `False` when the attempt is no longer the job's."""
        where = (
            "id = :id and attempt = :attempt and (status in ('submitting', 'unknown') or by_hand "
            "or (status = 'failed' and json_extract(failure, '$.code') = :not_sent))"
        )
        return await self._write(job, where, {"attempt": attempt.token, "not_sent": NOT_SENT})

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; the job may be submitted again."""
        back = "update jobs set status = 'pending' where id = ? and attempt = ? and status = 'submitting'"

        def work(db: sqlite3.Connection) -> None:
            self._answered(db, attempt.job_id)
            db.execute(back, (attempt.job_id, attempt.token))

        await self._store.do(work)

    async def unknown(self, lease: Lease, job: Job) -> None:
        """Record that the POST may have been accepted, and why nobody knows."""
        mark = (
            "update jobs set status = 'unknown', failure = ?, doubted = coalesce(doubted, ?) "
            "where id = ? and epoch = ? and status in ('submitting', 'unknown')"
        )

        def work(db: sqlite3.Connection) -> None:
            self._answered(db, lease.job_id)
            db.execute(mark, (dump(job)["failure"], self._now(), lease.job_id, lease.epoch))

        await self._store.do(work)

    # Afterwards.

    async def update(self, lease: Lease, job: Job, lessons: Sequence[Lesson] = ()) -> bool:
        """Record how far a running job is, or how it ended and what that teaches; `False` when the lease is lost."""
        return await self._write(job, "id = :id and epoch = :epoch and finished is null", {"epoch": lease.epoch}, lessons)

    async def _write(self, job: Job, where: str, extra: dict[str, Any], lessons: Sequence[Lesson] = ()) -> bool:
        row = dump(job)
        held = not (job.finished_at and job.cost and job.cost.amount == 0)
        names = ("status", "provider_id", "submitted", "finished", "progress", "charged", "cost", "failure", "result")
        sets = ", ".join(f"{name} = :{name}" for name in names)
        statement = f"update jobs set {sets}, held = :held where {where}"  # noqa: S608 (our own names)
        values = {**row, **extra, "held": held}

        def work(db: sqlite3.Connection) -> bool:
            self._answered(db, job.id)
            written = db.execute(statement, values).rowcount == 1
            for lesson in lessons if written else ():
                _learn(db, lesson)
            return written

        return await self._store.do(work)

    async def refresh(self, job: Job) -> None:
        """Record a finished job's result anew, as when the service gave fresh links to the same files."""
        again = "update jobs set result = ? where id = ? and status = 'succeeded'"
        await self._store.do(lambda db: db.execute(again, (dump(job)["result"], job.id)))

    async def saved(self, job_id: str) -> None:
        """Record that a job's files are where they were wanted."""
        await self._store.do(lambda db: db.execute("update jobs set save_to = null where id = ?", (job_id,)))

    # Looking at it.

    async def settle(self, lease: Lease, job: Job) -> bool:
        """Record what a person says of a job in doubt; `False` when the lease is lost."""
        settled = await self.update(lease, job)
        if settled:
            await self._store.do(lambda db: db.execute("update jobs set by_hand = 1 where id = ?", (job.id,)))
        return settled

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record."""
        return await self._store.do(lambda db: _first(_select(db, "id = ?", (job_id,))))

    def peek(self, job_id: str) -> Job | None:
        """Return the record of a job, by its id or an unambiguous beginning of it; blocks for a moment.

        Of the tries of one job the last is returned, unless another is named whole.
        """

        def work(db: sqlite3.Connection) -> Job | None:
            found = db.execute(_NAMED, (job_id, job_id + "\U0010ffff")).fetchall()
            ids = [row["id"] for row in found]
            alike = {given_id(each) for each in ids}
            wanted = job_id if job_id in ids else ids[-1] if len(alike) == 1 else None
            return None if wanted is None else _first(_select(db, "id = ?", (wanted,)))

        return self._store.ask(work).result()

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
        return await self._store.do(lambda db: _readable(db, f"{where} order by created desc, id desc limit ?", (*values, limit)))

    async def unfinished(self) -> Sequence[Job]:
        """Return the unfinished jobs that no living driver has, oldest first."""
        return await self._store.do(lambda db: _readable(db, "finished is null and free(owner) order by created, id", ()))

    async def unsaved(self) -> Sequence[Job]:
        """Return the jobs that succeeded, whose files are not yet where they were wanted, and that no other living driver has."""
        where = "save_to is not null and status = 'succeeded' and free(owner) order by created, id"
        return await self._store.do(lambda db: _readable(db, where, ()))

    async def holder(self, backend: str, provider_id: str) -> Job | None:
        """Return the job on record that a service's id belongs to."""
        where = "backend = ? and provider_id = ? limit 1"
        return await self._store.do(lambda db: _first(_select(db, where, (backend, provider_id))))

    async def learned(self, key: Key) -> Learned | None:
        """Return what was learned of how long such jobs take, in seconds of the service's time."""
        return await self._store.do(lambda db: _learned(db, key))

    async def durations(self) -> Mapping[Key, Learned]:
        """Return all that was learned of how long jobs take."""
        return await self._store.do(_durations)

    async def spent(self, since: float) -> Sequence[Spent]:
        """Return what jobs created since a time (seconds) have cost, by day, backend and model."""
        return await self._store.do(lambda db: [_spent(row) for row in db.execute(_SPENT, (since,))])


def _durations(db: sqlite3.Connection) -> dict[Key, Learned]:
    rows = {Key(*row[:5]): Learned(*row[5:]) for row in db.execute(_DURATIONS)}
    return {key: learned for key, learned in rows.items() if learned.sound}


def _learned(db: sqlite3.Connection, key: Key) -> Learned | None:
    row = db.execute(_LEARNED, attrs.astuple(key)).fetchone()
    return Learned(*row) if row is not None and Learned(*row).sound else None


def _learn(db: sqlite3.Connection, lesson: Lesson) -> None:
    """Keep what a job teaches; that it cannot be learned must not keep its end from being recorded."""
    try:
        learned = attrs.astuple(learn(_learned(db, lesson.key), lesson.least, lesson.most))
    except (ArithmeticError, ValueError) as error:
        _log.warning("nothing is learned of how long %s takes: %s", lesson.key.model, error)
        return
    if all(map(isfinite, learned)):
        db.execute(_LEARN, (*attrs.astuple(lesson.key), *learned))


def _spent(row: sqlite3.Row) -> Spent:
    fields = {name: row[name] for name in row.keys() if name not in {"day", "media"}}  # noqa: SIM118 (a row iterates over values)
    return Spent(day=_EPOCH + timedelta(days=row["day"]), media=Media(row["media"]), **fields)


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

"""The journal in SQL, in words that SQLite and PostgreSQL both have.

What differs is the store's: how transactions are made, and who is told when a driver still lives.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from genbridge.budgets import Budget, Usage, check
from genbridge.durations import Key, Learned, Lesson
from genbridge.errors import JournalError
from genbridge.journal import NOT_SENT, Attempt, Lease, Paused, totals
from genbridge.journal.database import Database, Drivers, Rows
from genbridge.journal.lessons import durations, learned, take_in
from genbridge.journal.pace import Pace
from genbridge.journal.records import CHANGES, COLUMNS, dump, dump_changes, load, load_quote
from genbridge.journal.store import Store
from genbridge.limits import Rule, Wait
from genbridge.tries import given_id
from genbridge.types import Job, JobStatus, Spent

_log = logging.getLogger(__name__)

_NO_CAPS = Budget()
_NAMED = "select id, created from jobs where id >= ? and id < ? order by id"
_SELECT = f"select {', '.join(COLUMNS)} from jobs where "  # noqa: S608 (our own names)
# Where a statement fails its whole transaction is undone; `or fail` saves SQLite from preparing to undo the statement alone.
_KNOWN = "select 1 from jobs where id = ?"
_ADD = (
    f"insert or fail into jobs ({', '.join(COLUMNS)}, owner, attempt, intended, epoch, held) "  # noqa: S608 (our own names)
    f"values (:{', :'.join(COLUMNS)}, :owner, :attempt, :intended, 1, 1) on conflict do nothing"
)
_UNFINISHED = "select owner from jobs where id = ? and finished is null"
_ACQUIRE = "update jobs set owner = ?, epoch = epoch + 1 where id = ? returning epoch, attempt"
_TAKE = (
    "update jobs set owner = ?, epoch = epoch + 1 where id = ? and finished is null and (owner is null or owner = ?) "  # noqa: S608
    f"returning epoch, attempt, {', '.join(COLUMNS)}"
)
"""That, for a job that is nobody's yet or ours."""
_PENDING = "select backend, media, model, quote from jobs where id = ? and epoch = ? and owner = ? and status = 'pending'"
_INTEND = "update or fail jobs set status = 'submitting', attempt = ?, intended = ? where id = ?"
_INTEND_AT_ONCE = (
    f"{_INTEND} and epoch = ? and owner = ? and status = 'pending' and not exists ("  # noqa: S608 (our own words)
    "select 1 from pauses where pauses.backend = jobs.backend and what = ? and at + seconds > ?) returning backend, media, model"
)
"""That, where no limit and no pause has a say."""
_CHANGED = f"{', '.join(f'{name} = :{name}' for name in CHANGES)}, held = :held"
_GO_ON = f"update or fail jobs set {_CHANGED} where id = :id and "  # noqa: S608 (our own names)
_SUBMITTED = (
    f"{_GO_ON} attempt = :attempt and (status in ('submitting', 'unknown') or by_hand = 1 "
    "or (status = 'failed' and json_extract(failure, '$.code') = :not_sent))"
)
_UPDATE = f"{_GO_ON} epoch = :epoch and finished is null"
_SETTLE = (
    f"update or fail jobs set {_CHANGED}, by_hand = 1 where id = :id and epoch = :epoch and finished is null and not exists ("  # noqa: S608 (our own names)
    "select 1 from jobs as other where other.backend = :backend and other.provider_id = :provider_id and other.id != :id)"
)
_REOPEN = (
    "update or fail jobs set status = :status, finished = null, progress = :progress, charged = :charged, cost = :cost, "
    "guessed = :guessed, failure = null, held = 1, owner = :owner, epoch = epoch + 1 "
    "where id = :id and status = 'expired' returning epoch"
)
_TAKE_BACK = (
    "update jobs set status = 'pending', failure = null, doubted = null "
    "where id = ? and attempt = ? and status in ('submitting', 'unknown')"
)
_DOUBT = (
    "update jobs set status = 'unknown', failure = ?, doubted = coalesce(doubted, ?) "
    "where id = ? and epoch = ? and status in ('submitting', 'unknown')"
)
_UNSAVED = "save_to is not null and status = 'succeeded'"


class SqlJournal:
    """A journal in the tables of a store.

    `now` tells the wall-clock time in seconds, and is asked within the store's transactions; `drivers` knows who is alive.
    """

    def __init__(self, store: Store[Any], drivers: Drivers, now: Callable[[], float]) -> None:
        self._store = store
        self._drivers = drivers
        self._now = now
        self._pace = Pace(now, drivers)

    @property
    def owner(self) -> str:
        """What this process's driver is called in the rows of its jobs."""
        return self._drivers.name

    async def open(self) -> None:
        """Make the store ready; raises `JournalError` when it cannot be used."""
        await self._store.open()

    async def aclose(self) -> None:
        """Let go of all leases and close the store."""
        if not self._store.is_open:
            return
        try:
            await self._store.do(self._drivers.leave)
        except JournalError as error:
            _log.warning("%s", error)
        await self._store.aclose()

    # Jobs and their drivers.

    async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
        """Record a new job with its reservation and take its lease; `None` when one of that id is on record.

        With `rules` the intent to submit it is recorded too, unless a limit asks to wait.
        """

        def work(db: Database) -> Lease | None:
            if not self.fits(db, job, budget):
                return None
            if rules is None or self._wait(db, job.backend, job.media, job.model, rules):
                return Lease(job.id, 1) if self.recorded(db, job, owner=self.owner).rowcount else None
            token = _token()
            begun = {"status": JobStatus.SUBMITTING.value, "attempt": token, "intended": self._now()}
            if not self.recorded(db, job, owner=self.owner, **begun).rowcount:
                return None
            self._pace.began(db, job.id, job.backend, job.media, job.model)
            return Lease(job.id, 1, Attempt(job.id, token))

        return await self._store.do(work)

    def fits(self, db: Database, job: Job, budget: Budget) -> bool:
        """Whether a new job may be recorded, within a transaction, and not whether one of its id is; raises `BudgetError`."""
        if budget != _NO_CAPS:
            if db.execute(_KNOWN, (job.id,)).fetchone():
                return False
            check(job.backend, job.quote, budget, self._usage(db, job.backend, budget))
        return True

    def recorded(self, db: Database, job: Job, **state: Any) -> Rows:
        """Record a new job, within a transaction, unless one of its id is on record; `state` is what its row has beside the job."""
        return db.execute(_ADD, {**dump(job), "owner": None, "attempt": None, "intended": None, **state})

    def _wait(self, db: Database, backend: str, media: str, model: str, rules: Sequence[Rule]) -> Wait | None:
        """Return how long a submit has to wait; raises `JournalError` when nobody would find the record of it."""
        self._store.check_there()
        return self._pace.wait(db, backend, media, model, rules)

    def _usage(self, db: Database, backend: str, budget: Budget, *, but: str = "") -> Usage:
        """Return what counts against a backend's caps, as far as they look back."""
        return totals.usage(db, backend, self._now(), but=but) if budget.looks_back else Usage()

    async def usage(self, backend: str) -> Usage:
        """Return what counts against a backend's caps."""
        return await self._store.look(lambda db: totals.usage(db, backend, self._now()))

    async def acquire(self, job_id: str) -> Lease | None:
        """Take an unfinished job that no living driver has."""
        return await self._store.do(lambda db: self._acquired(db, job_id))

    async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
        """Take a job in the same way, and return its record as it stands then, taken or not."""

        def read(db: Database, rows: Rows) -> tuple[Lease | None, Job | None]:
            row = rows.fetchone()
            if row is None:  # it has ended, or is another driver's
                return self._acquired(db, job_id), _first(_select(db, "id = ?", (job_id,)))
            return _lease(job_id, row), load(dict(row))

        return await self._store.do_ahead(lambda db: db.execute(_TAKE, (self.owner, job_id, self.owner)), read)

    def _acquired(self, db: Database, job_id: str) -> Lease | None:
        owned = db.execute(_UNFINISHED, (job_id,)).fetchone()
        if owned is None or not self._drivers.free(db, owned["owner"]):
            return None
        return _lease(job_id, db.execute(_ACQUIRE, (self.owner, job_id)).fetchone())

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
        attempt = Attempt(lease.job_id, _token())
        considered = partial(self._considered, lease=lease, attempt=attempt, rules=rules, budget=budget)
        if rules or budget != _NO_CAPS:
            return await self._store.do(considered)

        def read(db: Database, rows: Rows) -> Attempt | Wait | None:
            row = rows.fetchone()
            if row is None:
                return considered(db)
            self._pace.forget(db, *row)
            self._pace.began(db, lease.job_id, *row)
            return attempt

        return await self._store.do_ahead(partial(self._at_once, lease=lease, attempt=attempt), read)

    def _at_once(self, db: Database, lease: Lease, attempt: Attempt) -> Rows:
        self._store.check_there()
        now = self._now()
        return db.execute(_INTEND_AT_ONCE, (attempt.token, now, lease.job_id, lease.epoch, self.owner, Paused.SUBMITS, now))

    def _considered(
        self, db: Database, lease: Lease, attempt: Attempt, rules: Sequence[Rule], budget: Budget
    ) -> Attempt | Wait | None:
        row = db.execute(_PENDING, (lease.job_id, lease.epoch, self.owner)).fetchone()
        if row is None:
            return None
        backend, media, model, quote = row
        if budget != _NO_CAPS:
            check(backend, load_quote(quote), budget, self._usage(db, backend, budget, but=lease.job_id))
        if wait := self._wait(db, backend, media, model, rules):
            return wait
        db.execute(_INTEND, (attempt.token, self._now(), lease.job_id))
        self._pace.began(db, lease.job_id, backend, media, model)
        return attempt

    async def pause(self, backend: str, seconds: float, what: Paused) -> None:
        """Let nobody submit to a backend, or poll it, for that long."""
        await self._store.do(lambda db: self._pace.pause(db, backend, seconds, what))

    async def pauses(self, what: Paused) -> Mapping[str, float]:
        """Return for how many seconds more each backend is to be left alone."""
        return await self._store.do(lambda db: self._pace.paused(db, what))

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        """Record the service's id; `False` when the attempt is no longer the job's."""
        return await self._write(job, _SUBMITTED, {"attempt": attempt.token, "not_sent": NOT_SENT})

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; the job may be submitted again, also where somebody has doubted it meanwhile."""
        await self._store.do(partial(self.taken_back, attempt=attempt))

    def taken_back(self, db: Database, attempt: Attempt) -> None:
        """Do what `refused` does, within a transaction."""
        self._pace.answered(db, attempt.job_id)
        db.execute(_TAKE_BACK, (attempt.job_id, attempt.token))

    async def unknown(self, lease: Lease, job: Job) -> None:
        """Record that the POST may have been accepted, and why nobody knows."""
        failure = dump_changes(job)["failure"]

        def work(db: Database) -> None:
            self._pace.answered(db, lease.job_id)
            db.execute(_DOUBT, (failure, self._now(), lease.job_id, lease.epoch))

        await self._store.do(work)

    # Afterwards.

    async def update(self, lease: Lease, job: Job, lessons: Sequence[Lesson] = ()) -> bool:
        """Record how far a running job is, or how it ended and what that teaches; `False` when the lease is lost."""
        answered = job.provider_id is not None  # its id was recorded with that
        return await self._write(job, _UPDATE, {"epoch": lease.epoch}, lessons, answered=answered)

    async def _write(
        self, job: Job, statement: str, which: dict[str, Any], lessons: Sequence[Lesson] = (), *, answered: bool = False
    ) -> bool:
        # One that was made for nothing is a job all the same.
        released = job.finished_at and job.status is not JobStatus.SUCCEEDED and job.cost and job.cost.amount == 0
        values = {**dump_changes(job), "held": int(not released), "id": job.id, **which}

        def work(db: Database) -> Rows:
            if not answered:
                self._pace.answered(db, job.id)
            return db.execute(statement, values)

        def read(db: Database, rows: Rows) -> bool:
            for lesson in lessons if rows.rowcount == 1 else ():
                take_in(db, lesson)
            return rows.rowcount == 1

        return await self._store.do_ahead(work, read)

    async def reopen(self, job: Job) -> Lease | None:
        """Record that a job that had expired goes on, and take its lease; `None` when it is not expired any more."""
        values = {**dump_changes(job), "id": job.id, "owner": self._drivers.name}

        def work(db: Database) -> Lease | None:
            row = db.execute(_REOPEN, values).fetchone()
            return None if row is None else Lease(job.id, row["epoch"])

        return await self._store.do(work)

    async def refresh(self, job: Job) -> None:
        """Record a finished job's result anew, as when the service gave fresh links to the same files."""
        again = "update jobs set result = ? where id = ? and status = 'succeeded'"
        await self._store.do(lambda db: db.execute(again, (dump_changes(job)["result"], job.id)))

    async def saved(self, job_id: str) -> None:
        """Record that a job's files are where they were wanted."""
        await self._store.do(lambda db: db.execute("update jobs set save_to = null where id = ?", (job_id,)))

    async def settle(self, lease: Lease, job: Job) -> bool:
        """Record what a person says of a job in doubt; `False` when the lease is lost or another job has the service's id."""
        return await self._write(job, _SETTLE, {"epoch": lease.epoch, "backend": job.backend})

    # Looking at it.

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record."""
        return await self._store.look(lambda db: _first(_select(db, "id = ?", (job_id,))))

    def peek(self, job_id: str) -> Job | None:
        """Return the record of a job, by its id or an unambiguous beginning of it; blocks for a moment.

        Of the tries of one job the last is returned, unless another is named whole.
        """

        def work(db: Database) -> Job | None:
            wanted = _named(db, job_id)
            return None if wanted is None else _first(_select(db, "id = ?", (wanted,)))

        return self._store.look_now(work)

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
        few = unfinished or (status is not None and not status.terminal)
        state = f"status = ? and finished is {'null' if few else 'not null'}"
        conditions = {state: status, "backend = ?": backend}
        used = {text: value for text, value in conditions.items() if value is not None}
        texts = [*used, *["(created, id) < (?, ?)"] * bool(before), *["finished is null"] * unfinished]
        # Those that are unfinished are found by their own index, and then put in order.
        where = f"{' and '.join(texts) or 'true'} order by {'+' * few}created desc, id desc"
        return await self._store.look(lambda db: _readable(db, where, (*used.values(), *(before or ())), limit=limit))

    async def unfinished(self) -> Sequence[Job]:
        """Return the unfinished jobs that no living driver has, oldest first."""
        return await self._store.look(lambda db: self._free(db, "finished is null"))

    async def unsaved(self) -> Sequence[Job]:
        """Return the jobs that succeeded, whose files are not yet where they were wanted, and that no other living driver has."""
        return await self._store.look(lambda db: self._free(db, _UNSAVED, self._workers(db)))

    def _workers(self, _: Database) -> Collection[str]:
        """Return the drivers that save no files."""
        return ()

    def _free(self, db: Database, where: str, idle: Collection[str] = ()) -> list[Job]:
        """Return the jobs that this process may take, oldest first, among them those of `idle` drivers.

        It is asked of each driver once, however many are its jobs.
        """
        owners = [owner for (owner,) in db.execute(f"select distinct owner from jobs where {where}")]  # noqa: S608 (our own words)
        taken = [owner for owner in owners if owner not in idle and not self._drivers.free(db, owner)]
        free = f"coalesce(owner, '') not in ({', '.join('?' * len(taken))})" if taken else "true"
        return _readable(db, f"{where} and {free} order by +created, id", taken)

    async def holder(self, backend: str, provider_id: str) -> Job | None:
        """Return the job on record that a service's id belongs to."""
        where = "backend = ? and provider_id = ? limit 1"
        return await self._store.look(lambda db: _first(_select(db, where, (backend, provider_id))))

    async def learned(self, key: Key) -> Learned | None:
        """Return what was learned of how long such jobs take, in seconds of the service's time."""
        return await self._store.look(lambda db: learned(db, key))

    async def durations(self) -> Mapping[Key, Learned]:
        """Return all that was learned of how long jobs take."""
        return await self._store.look(durations)

    async def spent(self, since: float) -> Sequence[Spent]:
        """Return what jobs created since a time (seconds) have cost, by day, backend and model."""
        return await self._store.look(lambda db: totals.spent(db, since))


def _lease(job_id: str, row: Any) -> Lease:
    return Lease(job_id, row["epoch"], row["attempt"] and Attempt(job_id, row["attempt"]))


def _token() -> str:
    return os.urandom(16).hex()


def _named(db: Database, beginning: str) -> str | None:
    """Return the id on record that somebody means by a beginning, looking no further than at the first two that are unlike."""
    found: dict[str, float] = {}
    for job_id, created in db.execute(_NAMED, (beginning, beginning + "\U0010ffff")):
        if job_id == beginning:
            return beginning
        found[job_id] = created
        if given_id(job_id) != given_id(next(iter(found))):
            return None
    return max(found, key=lambda job_id: (found[job_id], job_id), default=None)


def _select(db: Database, where: str, values: Sequence[Any]) -> list[Job]:
    return [load(dict(row)) for row in _rows(db, where, values)]


def _readable(db: Database, where: str, values: Sequence[Any], *, limit: int | None = None) -> list[Job]:
    """Return the jobs of rows that can be read, so many at the most; a damaged one must not hide others, nor take their place."""
    return list(islice(_loaded(_rows(db, where, values)), limit))


def _loaded(rows: Iterable[Any]) -> Iterator[Job]:
    """Yield the jobs of rows; one that cannot be read is named in the log."""
    for row in rows:
        try:
            yield load(dict(row))
        except Exception as error:  # noqa: BLE001 (whatever a damaged row raises)
            _log.error("the record of job %s (the service's id: %s) cannot be read: %s", row["id"], row["provider_id"], error)


def _rows(db: Database, where: str, values: Sequence[Any]) -> Rows:
    return db.execute(_SELECT + where, values)


def _first(jobs: Sequence[Job]) -> Job | None:
    return jobs[0] if jobs else None

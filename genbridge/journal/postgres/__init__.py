"""The journal in a PostgreSQL database, which processes on many machines share."""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

import attrs

from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.engine import Engine, Ticket
from genbridge.errors import JournalError
from genbridge.hookspecs import hookimpl
from genbridge.journal import DEAD_AFTER, Attempt, Attention, Counts, Heard, Lease, Report
from genbridge.journal.database import Database, Rows
from genbridge.journal.postgres.connection import Connection, Row
from genbridge.journal.postgres.drivers import SharedDrivers
from genbridge.journal.postgres.listening import Listener
from genbridge.journal.postgres.schema import VERSION, newer, version
from genbridge.journal.postgres.store import DatabaseStore
from genbridge.journal.records import COLUMNS, load
from genbridge.journal.sql import SqlJournal
from genbridge.types import Job, JobStatus

_log = logging.getLogger(__name__)

_APART = 0.02
"""Seconds between two readings of jobs, as each way to the database costs as much as many jobs."""
_SELDOM = 6
"""In how many sweeps the jobs that wait are looked at once."""
_THESE = f"select {', '.join(COLUMNS)} from jobs where id = any(?)"  # noqa: S608 (our own names)
_LET_GO = "update jobs set owner = null where id = ? and epoch = ? and finished is null returning id, backend"
_LEFT = "update jobs set owner = null where owner = ? and finished is null and status != 'unknown' returning id, backend"
_WANTED = "select id, backend, owner from jobs where id = any(?) and finished is null"
_DEAD = "owner is not null and not exists (select 1 from drivers where drivers.owner = jobs.owner and beat >= moment() - {after})"
_ORPHANS = f"select id, backend from jobs where finished is null and {_DEAD.format(after=DEAD_AFTER)}"  # noqa: S608 (our own words)
_WAITING = "select id, backend from jobs where finished is null and owner is null and status != 'unknown'"
"""A job in doubt that nobody has was looked up already."""
_LEFT_ALONE = f"{_WAITING} and id = ?"
_UNDRIVEN = (
    f"select count(*) from jobs where finished is null and ({_DEAD.format(after=DEAD_AFTER)} "  # noqa: S608 (our own words)
    "or owner is null and status not in ('pending', 'unknown') or owner = any(?))"
)
_DUE = (
    "insert into sweeps as s values (?, moment()) on conflict (what) do update set at = excluded.at "
    "where s.at <= excluded.at - ? or s.at > excluded.at returning at"
)
_ASK = "update jobs set cancel_asked = moment(), cancel_answer = null where id = ? and finished is null"
_ASKED = "select 1 from jobs where id = ? and finished is null and cancel_asked is not null and cancel_answer is null"
_OBJECT = "update jobs set cancel_answer = ? where id = ? and cancel_asked is not null"
_ANSWER = "select cancel_answer from jobs where id = ?"
_REPORT = "insert into reports values (?, moment(), ?) on conflict (owner) do update set at = excluded.at, report = excluded.report"
_FORGET = "delete from reports where at < moment() - 86400"
_REPORTS = (
    "select owner, moment() - at, report, exists (select 1 from drivers where drivers.owner = reports.owner) from reports "
    "where at > moment() - 86400 order by owner"
)
_WORKERS = "select owner from reports"
_COUNTS = "select status, count(*) from jobs where finished is null group by status"
_OLDEST = "select moment() - min(created) from jobs where finished is null and status = 'pending'"


@hookimpl
def make_journal(url: DatabaseUrl, now: Callable[[], float] | None, engine: Engine | None) -> PostgresJournal:
    """Return the journal at a URL."""
    return PostgresJournal(url, now=now, engine=engine)


class PostgresJournal(SqlJournal):
    """A journal in the database at `url`, whose tables `genbridge db upgrade` makes.

    `engine` gives tickets for jobs that workers are to drive; without one, whoever submits a job drives it. `now` tells another
    time than the database does, for tests; `patience` is for how many seconds a database that has gone is waited for.
    """

    store_class: ClassVar[type[DatabaseStore]] = DatabaseStore

    def __init__(
        self,
        url: DatabaseUrl,
        *,
        engine: Engine | None = None,
        now: Callable[[], float] | None = None,
        patience: float = 120.0,
    ) -> None:
        self.url = url
        self._engine = engine
        self._listeners: list[Listener] = []
        self._ids: list[str] = []
        self._read_at = -_APART
        self._reading: asyncio.Task[dict[str, Row]] | None = None
        self._drivers: SharedDrivers = SharedDrivers()
        self._tables = self.store_class(url, self._drivers, self._prepare, self._end, now=now, patience=patience)
        super().__init__(self._tables, self._drivers, self._tables.now)

    @property
    def gives_tickets(self) -> bool:
        """Whether jobs are for workers to drive."""
        return self._engine is not None

    def _prepare(self, db: Connection) -> None:
        """See that the tables are there, and those of this release."""
        number = version(db.raw)
        if number > VERSION:
            raise newer(self.url, number)
        if number < VERSION:
            state = "is of an older release" if number else "has no tables yet"
            upgrade = f"genbridge db upgrade --db {shlex.quote(self.url.named)}"
            raise JournalError(f"the journal {str(self.url)!r} {state}; run: {upgrade}{self.url.retyped}")

    def hurry(self) -> None:
        """Wait for a database that has gone for a moment only."""
        self._tables.hurry()

    async def aclose(self) -> None:
        """Let go of all leases, with a ticket for each unfinished job, and disconnect; who only looked leaves nothing to let go."""
        self.hurry()
        for listener in self._listeners:
            await listener.aclose()
        if not self._tables.has_written:
            await self._store.aclose()
            return
        if self._engine is not None and self._store.is_open:
            try:
                await self._store.do(self._leave)
            except JournalError as error:
                _log.warning("%s", error)
        await super().aclose()

    def _leave(self, db: Connection) -> None:
        db.execute("delete from reports where owner = ?", (self.owner,))
        self._give(db, db.execute(_LEFT, (self.owner,)).fetchall())

    # Looking at it.

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record. Those that are asked for at the same moment, as when many have changed, are read together."""
        if self._reading is None or self._reading.done():
            self._ids, self._reading = [], asyncio.ensure_future(self._read())
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever waits hears of it
        self._ids.append(job_id)
        row = (await asyncio.shield(self._reading)).get(job_id)
        try:
            return None if row is None else load(dict(row))
        except Exception as error:
            raise self._store.error("read", error) from error

    async def _read(self) -> dict[str, Row]:
        """Return the rows of the jobs that are asked for until this has begun, a while after the last time."""
        time = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._read_at + _APART - time()))
        ids, self._reading, self._read_at = self._ids, None, time()
        return await self._store.look(lambda db: {row["id"]: row for row in db.execute(_THESE, (ids,))})

    # Tickets.

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        """Record a new job with its reservation and a ticket; `False` when a job of that id is on record."""

        def work(db: Connection) -> Rows | None:
            return self.recorded(db, job) if self.fits(db, job, budget) else None

        def read(db: Connection, rows: Rows | None) -> bool:
            return rows is not None and rows.rowcount == 1 and self._give(db, [(job.id, job.backend)]) == 1

        return await self._store.do_ahead(work, read)

    async def hand_over(self, leases: Sequence[Lease]) -> None:
        """Let unfinished jobs go, each with a ticket."""

        def work(db: Connection) -> None:
            asked = [db.execute(_LET_GO, (lease.job_id, lease.epoch)) for lease in leases]
            self._give(db, [row for rows in asked for row in rows])

        await self._store.do(work)

    async def call_for(self, job_ids: Sequence[str]) -> None:
        """Give a ticket to each of these unfinished jobs that has none and that no living driver has."""

        def work(db: Connection) -> None:
            rows = db.execute(_WANTED, (list(job_ids),)).fetchall()
            free = {owner: self._drivers.free(db, owner) for owner in {row["owner"] for row in rows} - {self.owner}}
            self._give_lacking(db, [(job_id, backend) for job_id, backend, owner in rows if free.get(owner)])

        await self._store.do(work)

    async def sweep(self, every: float = 0.0) -> int:
        """Give out again the tickets of dead workers, and one to each job that lacks a driver and a ticket.

        That is done once in `every` seconds, whichever worker does it; the jobs that have only waited until now are many and their
        tickets seldom lost, so these are looked at less often.
        """

        def work(db: Connection) -> int:
            if self._engine is None or not self._due(db, "orphans", every):
                return 0
            self._engine.give_again(db.raw)
            self._drivers.bury(db)
            given = self._give_lacking(db, db.execute(_ORPHANS).fetchall())
            if self._due(db, "waiting", _SELDOM * every):
                given += self._give_lacking(db, db.execute(_WAITING).fetchall())
            return given

        return await self._store.do(work)

    def _due(self, db: Connection, what: str, every: float) -> bool:
        return db.execute(_DUE, (what, every)).fetchone() is not None

    def _give_lacking(self, db: Connection, rows: Sequence[tuple[str, str]]) -> int:
        """Give tickets to those of the jobs that have none; return how many."""
        if self._engine is None or not rows:
            return 0
        held = self._engine.ticketed(db.raw, [job_id for job_id, _ in rows])
        return self._give(db, [(job_id, backend) for job_id, backend in rows if job_id not in held])

    def _give(self, db: Connection, rows: Sequence[tuple[str, str]]) -> int:
        """Have tickets given as the transaction ends; return how many."""
        db.wanted += [Ticket(job_id, backend) for job_id, backend in rows]
        return len(rows)

    def _end(self, db: Connection) -> None:
        """Give all tickets of a transaction at once, one to a job that several have asked for."""
        if self._engine is not None and db.wanted:
            self._engine.give(db.raw, list(dict.fromkeys(db.wanted)))

    def _workers(self, db: Database) -> Collection[str]:
        """Return the drivers that save no files: whoever handed a job in does that."""
        return {owner for (owner,) in db.execute(_WORKERS)}

    async def attention(self, job_id: str) -> Attention:
        """Return who sees to a job that has not ended."""

        def work(db: Connection) -> Attention:
            row = db.execute(_WANTED, ([job_id],)).fetchone()
            if row is None:
                return Attention.NONE
            if not self._drivers.free(db, row[2]):
                return Attention.DRIVEN
            given_soon = row[2] not in {None, self.owner}  # by the sweep, as its driver is dead
            ticketed = given_soon or (self._engine is not None and self._engine.ticketed(db.raw, [job_id]))
            return Attention.TICKETED if ticketed else Attention.NONE

        return await self._store.look(work)

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; where another had doubted that and let the job go, it gets a ticket."""

        def work(db: Connection) -> None:
            self.taken_back(db, attempt)
            self._give_lacking(db, db.execute(_LEFT_ALONE, (attempt.job_id,)).fetchall())

        await self._store.do(work)

    # Cancels, which reach whoever has the job.

    async def ask_cancel(self, job_id: str) -> bool:
        """Ask whichever worker has a job to cancel it; `False` when it has ended."""
        return await self._store.do(lambda db: db.execute(_ASK, (job_id,)).rowcount == 1)

    async def cancel_asked(self, job_id: str) -> bool:
        """Whether somebody has asked to cancel a job and was not answered yet."""
        return await self._store.look(lambda db: db.execute(_ASKED, (job_id,)).fetchone() is not None)

    async def answer_cancel(self, job_id: str, objection: str) -> None:
        """Say why a job cannot be cancelled."""
        await self._store.do(lambda db: db.execute(_OBJECT, (objection, job_id)))

    async def cancel_answer(self, job_id: str) -> str | None:
        """Return what was answered to the last who asked to cancel a job, if anything was."""
        return await self._store.look(lambda db: (db.execute(_ANSWER, (job_id,)).fetchone() or (None,))[0])

    def listen(self, told: Callable[[str], None], what: Heard) -> None:
        """Have `told` called on this event loop with the ids of jobs as things happen to them, until the journal is closed."""
        self._listeners.append(Listener(self.url, what, told))

    # How things stand.

    async def report(self, report: Report) -> None:
        """Record how this worker is doing."""
        text = json.dumps(attrs.asdict(report, filter=attrs.filters.exclude("owner", "silent", "gone")))

        def work(db: Connection) -> None:
            db.execute(_FORGET)
            db.execute(_REPORT, (self.owner, text))

        await self._store.do(work)

    async def reports(self) -> Sequence[Report]:
        """Return the last reports of the workers, those of dead ones among them for a day."""
        rows = await self._store.look(lambda db: db.execute(_REPORTS).fetchall())
        return [_read(owner, silent, text, gone=not known or self._drivers.gone(owner)) for owner, silent, text, known in rows]

    async def counts(self) -> Counts:
        """Return how many jobs there are in each state, and what had better be looked at."""

        def work(db: Connection) -> Counts:
            known = set(JobStatus)  # a damaged row must not hide the others
            jobs = {JobStatus(status): int(number) for status, number in db.execute(_COUNTS) if status in known}
            oldest = db.execute(_OLDEST).fetchone()[0]
            (undriven,) = db.execute(_UNDRIVEN, (self._drivers.dead(db),)).fetchone()
            return Counts(jobs=jobs, oldest_waiting=oldest, undriven=undriven)

        return await self._store.look(work)


def _read(owner: str, silent: float, text: str, *, gone: bool) -> Report:
    fields = json.loads(text)
    return Report(owner=owner, silent=silent, gone=gone, **{**fields, "backends": tuple(fields["backends"])})

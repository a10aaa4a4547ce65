"""The journal in a PostgreSQL database, which processes on many machines share."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs

from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.engine import Engine, Ticket
from genbridge.errors import JournalError
from genbridge.journal import Counts, Heard, Lease, Report
from genbridge.journal.postgres.connection import Connection
from genbridge.journal.postgres.drivers import SharedDrivers
from genbridge.journal.postgres.listening import Listener
from genbridge.journal.postgres.schema import VERSION, newer, version
from genbridge.journal.postgres.store import DatabaseStore
from genbridge.journal.sql import SqlJournal
from genbridge.types import Job, JobStatus

_log = logging.getLogger(__name__)

_LET_GO = "update jobs set owner = null where id = ? and epoch = ? and finished is null returning id, backend"
_LEFT = "update jobs set owner = null where owner = ? and finished is null and status != 'unknown' returning id, backend"
_WANTED = "select id, backend, owner from jobs where id = any(?) and finished is null"
_SWEPT = "select id, backend, owner from jobs where finished is null and (owner is not null or status != 'unknown')"
"""A job in doubt that nobody has was looked up already."""
_ASK = "update jobs set cancel_asked = moment(), cancel_answer = null where id = ? and finished is null"
_ASKED = "select 1 from jobs where id = ? and finished is null and cancel_asked is not null and cancel_answer is null"
_OBJECT = "update jobs set cancel_answer = ? where id = ? and cancel_asked is not null"
_ANSWER = "select cancel_answer from jobs where id = ?"
_REPORT = "insert into reports values (?, moment(), ?) on conflict (owner) do update set at = excluded.at, report = excluded.report"
_FORGET = "delete from reports where at < moment() - 86400"
_REPORTS = "select owner, moment() - at, report from reports where at > moment() - 86400 order by owner"
_COUNTS = "select status, count(*) from jobs where finished is null group by status"
_OLDEST = "select moment() - min(created) from jobs where finished is null and status = 'pending'"


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
        drivers = SharedDrivers()
        self._tables = self.store_class(url, drivers, self._prepare, now=now, patience=patience)
        super().__init__(self._tables, drivers, self._tables.now)

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
            raise JournalError(f"the journal {str(self.url)!r} {state}; run: {upgrade}")

    async def aclose(self) -> None:
        """Let go of all leases, with a ticket for each unfinished job, and disconnect."""
        for listener in self._listeners:
            await listener.aclose()
        if self._engine is not None and self._store.is_open:
            try:
                await self._store.do(self._leave)
            except JournalError as error:
                _log.warning("%s", error)
        await super().aclose()

    def _leave(self, db: Connection) -> None:
        self._give(db, db.execute(_LEFT, (self.owner,)).fetchall())

    # Tickets.

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        """Record a new job with its reservation and a ticket; `False` when a job of that id is on record."""

        def work(db: Connection) -> bool:
            if self.added(db, job, budget, owner=None) is None:
                return False
            self._give(db, [(job.id, job.backend)])
            return True

        return await self._store.do(work)

    async def hand_over(self, leases: Sequence[Lease]) -> None:
        """Let unfinished jobs go, each with a ticket."""

        def work(db: Connection) -> None:
            freed = [row for lease in leases for row in db.execute(_LET_GO, (lease.job_id, lease.epoch)).fetchall()]
            self._give(db, freed)

        await self._store.do(work)

    async def call_for(self, job_ids: Sequence[str]) -> None:
        """Give a ticket to each of these unfinished jobs that has none and that no living driver has."""
        await self._store.do(lambda db: self._call(db, db.execute(_WANTED, (list(job_ids),)).fetchall()))

    async def sweep(self) -> int:
        """Give out again the tickets of dead workers, and one to each job that lacks a driver and a ticket."""

        def work(db: Connection) -> int:
            if self._engine is not None:
                self._engine.give_again(db.raw)
            return self._call(db, db.execute(_SWEPT).fetchall())

        return await self._store.do(work)

    def _call(self, db: Connection, rows: Sequence[tuple[str, str, str | None]]) -> int:
        """Give tickets to those of the jobs that need one; return how many."""
        free = {owner: self._drivers.free(db, owner) for owner in {row[2] for row in rows} - {self.owner}}
        wanted = [(job_id, backend) for job_id, backend, owner in rows if free.get(owner)]
        if self._engine is None or not wanted:
            return 0
        held = self._engine.ticketed(db.raw, [job_id for job_id, _ in wanted])
        return self._give(db, [pair for pair in wanted if pair[0] not in held])

    def _give(self, db: Connection, rows: Sequence[tuple[str, str]]) -> int:
        if self._engine is not None and rows:
            self._engine.give(db.raw, [Ticket(job_id, backend) for job_id, backend in rows])
        return len(rows)

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
        text = json.dumps(attrs.asdict(report, filter=attrs.filters.exclude("owner", "silent")))

        def work(db: Connection) -> None:
            db.execute(_FORGET)
            db.execute(_REPORT, (self.owner, text))

        await self._store.do(work)

    async def reports(self) -> Sequence[Report]:
        """Return the last reports of the workers, those of dead ones among them for a day."""
        rows = await self._store.look(lambda db: db.execute(_REPORTS).fetchall())
        return [_read(owner, silent, text) for owner, silent, text in rows]

    async def counts(self) -> Counts:
        """Return how many jobs there are in each state, and what had better be looked at."""

        def work(db: Connection) -> Counts:
            jobs = {JobStatus(status): int(number) for status, number in db.execute(_COUNTS)}
            oldest = db.execute(_OLDEST).fetchone()[0]
            owners = [row[2] for row in db.execute(_SWEPT)]
            free = {owner for owner in set(owners) - {self.owner} if self._drivers.free(db, owner)}
            return Counts(jobs=jobs, oldest_waiting=oldest, undriven=sum(owner in free for owner in owners))

        return await self._store.look(work)


def _read(owner: str, silent: float, text: str) -> Report:
    fields = json.loads(text)
    return Report(owner=owner, silent=silent, **{**fields, "backends": tuple(fields["backends"])})

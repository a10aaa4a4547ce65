"""A journal that a client and a worker share, in one process: a SQLite file, with a board for tickets and what is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from studio import InlineJournal, Service, Studio, a_config

from genbridge import Client, Config, Job
from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.engine import Engine, Tally, Ticket
from genbridge.errors import JournalError
from genbridge.journal import Attention, Counts, Heard, Lease, Report, SharedJournal
from genbridge.journal.postgres import PostgresJournal
from genbridge.tickets import Procrastinate
from genbridge.worker import Worker

_TELLING = """
create temp trigger told after update on jobs when (old.status, ifnull(old.provider_id, ''), ifnull(old.progress, -1))
  is not (new.status, ifnull(new.provider_id, ''), ifnull(new.progress, -1)) begin select tell(new.id); end
"""
_WANTED = "select owner from jobs where id = ? and finished is null"
_LET_GO = "update jobs set owner = null where id = ? and epoch = ? and finished is null"


@attrs.define
class Board:
    """What PostgreSQL and the engine do for a journal that is shared."""

    waiting: list[str] = attrs.field(factory=list)
    in_hand: set[str] = attrs.field(factory=set)
    asked: dict[str, str | None] = attrs.field(factory=dict)
    reports: list[Report] = attrs.field(factory=list)
    silent: bool = False
    """Whether nobody is told of anything."""
    given: asyncio.Event = attrs.field(factory=asyncio.Event)
    listeners: list[tuple[Heard, Callable[[str], None]]] = attrs.field(factory=list)

    def give(self, job_id: str) -> None:
        """Give a ticket."""
        self.waiting.append(job_id)
        self.given.set()

    def tell(self, what: Heard, job_id: str) -> None:
        """Tell all who listen, once what is under way is done."""
        for heard, told in self.listeners:
            if heard is what and not self.silent:
                asyncio.get_running_loop().call_soon(told, job_id)


class BoardJournal(InlineJournal):
    """The face of the journal for one client or worker."""

    def __init__(self, path: Path, board: Board, **settings: Any) -> None:
        super().__init__(path, **settings)
        self.board = board
        self.away = False
        self.looks: list[str] = []

    def _prepare(self, db: sqlite3.Connection) -> None:
        super()._prepare(db)
        db.create_function("tell", 1, lambda job_id: self.board.tell(Heard.CHANGES, job_id))
        db.execute(_TELLING)

    def hurry(self) -> None:
        pass

    def _workers(self, _: Any) -> set[str]:
        return {report.owner for report in self.board.reports}

    def _check_there(self) -> None:
        if self.away:
            raise JournalError("the journal cannot be reached")

    async def get(self, job_id: str) -> Job | None:
        self._check_there()
        self.looks.append(job_id)
        return await super().get(job_id)

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        self._check_there()
        added = await self._store.do(lambda db: self.fits(db, job, budget) and self.recorded(db, job).rowcount == 1)
        if added:
            self.board.give(job.id)
        return added

    async def hand_over(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if await self._store.do(partial(_let_go, lease=lease)):
                self.board.give(lease.job_id)

    async def attention(self, job_id: str) -> Attention:
        if await self._store.look(partial(self._driven, job_id)):
            return Attention.DRIVEN
        return Attention.TICKETED if job_id in self.board.waiting or job_id in self.board.in_hand else Attention.NONE

    def _driven(self, job_id: str, db: sqlite3.Connection) -> bool:
        row = db.execute(_WANTED, (job_id,)).fetchone()
        return row is not None and not self._drivers.free(db, row["owner"])

    async def call_for(self, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            job = await super().get(job_id)
            if job is not None and job.finished_at is None and await self.attention(job_id) is Attention.NONE:
                self.board.give(job_id)

    async def sweep(self, every: float = 0.0) -> int:
        return 0

    async def ask_cancel(self, job_id: str) -> bool:
        job = await super().get(job_id)
        if job is None or job.finished_at is not None:
            return False
        self.board.asked[job_id] = None
        self.board.tell(Heard.CANCELS, job_id)
        return True

    async def cancel_asked(self, job_id: str) -> bool:
        return self.board.asked.get(job_id, "") is None

    async def answer_cancel(self, job_id: str, objection: str) -> None:
        self.board.asked[job_id] = objection
        self.board.tell(Heard.CHANGES, job_id)

    async def cancel_answer(self, job_id: str) -> str | None:
        return self.board.asked.get(job_id)

    def listen(self, told: Callable[[str], None], what: Heard) -> None:
        self.board.listeners.append((what, told))

    async def report(self, report: Report) -> None:
        self.board.reports.append(attrs.evolve(report, owner=self.owner))

    async def reports(self) -> Sequence[Report]:
        return list({report.owner: report for report in self.board.reports}.values())

    async def counts(self) -> Counts:
        return Counts(jobs={})


def _let_go(db: sqlite3.Connection, lease: Lease) -> bool:
    return db.execute(_LET_GO, (lease.job_id, lease.epoch)).rowcount == 1


@attrs.define
class Hall:
    """One journal that clients and workers share, and the service that the workers ask."""

    path: Path
    service: Service
    studio: Studio = attrs.field(factory=Studio)
    board: Board = attrs.field(factory=Board)

    def journal(self) -> SharedJournal:
        """Return another face of the journal."""
        return BoardJournal(self.path, self.board, now=lambda: self.service.clock.now().timestamp())

    def engine(self) -> Engine:
        """Return what gives tickets to a worker."""
        return BoardEngine(self.board)

    def client(self, journal: SharedJournal | str | None = None, config: Config | None = None, **settings: Any) -> Client:
        """Return a client of the journal that is not open yet; it has no key."""
        return Client(
            config or a_config(api_key=None),
            journal=journal or self.journal(),
            providers={self.studio.provider.name: self.studio},
            clock=self.service.clock,
            transport=self.service,  # type: ignore[arg-type]
            **settings,
        )

    @asynccontextmanager
    async def worker(self, config: Config | None = None) -> AsyncIterator[Client]:
        """Have a worker at work until the block is left."""
        journal, stop = self.journal(), asyncio.Event()
        async with self.client(journal, config or a_config(), engine="in-process") as client:
            worker = Worker(client, self.engine(), journal, concurrency=10, clock=self.service.clock)
            work = asyncio.create_task(worker.run(stop))
            try:
                yield client
            finally:
                stop.set()
                await self.service.clock.run(work)


class DatabaseHall(Hall):
    """The same over a PostgreSQL database, at `url`, with the engine that genbridge has itself."""

    url: str = ""

    def journal(self) -> SharedJournal:
        return PostgresJournal(DatabaseUrl.parse(self.url), engine=self.engine())

    def engine(self) -> Engine:
        return Procrastinate(DatabaseUrl.parse(self.url))


@attrs.define
class BoardEngine:
    """Has the tickets on a board driven, in their order."""

    board: Board
    drives: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)

    async def run(
        self,
        drive: Callable[[str], Awaitable[None]],
        *,
        backends: Sequence[str] | None,
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        stopped = asyncio.create_task(stop.wait())
        while not stop.is_set():
            while self.board.waiting:
                self._begin(self.board.waiting.pop(0), drive)
            self.board.given.clear()
            given = asyncio.create_task(self.board.given.wait())
            await asyncio.wait({given, stopped}, return_when=asyncio.FIRST_COMPLETED)
            given.cancel()
        for task in self.drives.values():
            task.cancel()
        await asyncio.gather(*self.drives.values(), return_exceptions=True)

    def _begin(self, job_id: str, drive: Callable[[str], Awaitable[None]]) -> None:
        self.board.in_hand.add(job_id)
        self.drives[job_id] = task = asyncio.ensure_future(drive(job_id))
        task.add_done_callback(lambda _: self.board.in_hand.discard(job_id))

    async def tally(self) -> Tally:
        return Tally(len(self.board.waiting), len(self.drives))

    def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
        raise NotImplementedError

    def give_again(self, connection: Any) -> None:
        raise NotImplementedError

    def ticketed(self, connection: Any, job_ids: Sequence[str]) -> set[str]:
        raise NotImplementedError

"""A journal that a client and a worker share, in one process: a SQLite file, with a board for tickets and what is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from studio import InlineJournal, Service, Studio, a_config

from genbridge import Client, Config, GenbridgeError, Job, JobStatus
from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.engine import Ticket
from genbridge.errors import JournalError
from genbridge.journal import Attention, Counts, Heard, Lease, Report, SharedJournal
from genbridge.journal.postgres import PostgresJournal

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
    reports: dict[str, Report] = attrs.field(factory=dict)
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

    def _workers(self, _: Any) -> set[str]:
        return set(self.board.reports)

    def _check_there(self) -> None:
        if self.away:
            raise JournalError("the journal cannot be reached")

    async def get(self, job_id: str) -> Job | None:
        self._check_there()
        self.looks.append(job_id)
        return await super().get(job_id)

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        self._check_there()
        added = await self._store.do(lambda db: self.added(db, job, budget, owner=None))
        if added is not None:
            self.board.give(job.id)
        return added is not None

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

    async def sweep(self) -> int:
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
        self.board.reports[self.owner] = report

    async def reports(self) -> Sequence[Report]:
        return list(self.board.reports.values())

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

    def client(self, journal: SharedJournal | None = None, config: Config | None = None, **settings: Any) -> Client:
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
        """Run a worker."""
        async with self.client(config=config or a_config(), engine="in-process") as client:
            hand = _Hand(client, self.board)
            tasks = [asyncio.create_task(work) for work in (hand.drive_all(), hand.cancel_all())]
            report = Report(host="here", pid=1, version="0", concurrency=10)
            await hand.journal.report(report)
            try:
                yield client
            finally:
                await hand.journal.report(attrs.evolve(report, draining=True))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


class DatabaseHall(Hall):
    """The same over a PostgreSQL database, at `url`."""

    url: str = ""

    def journal(self) -> SharedJournal:
        loop = asyncio.get_running_loop()
        now = lambda: self.service.clock.now().timestamp()  # noqa: E731
        return PostgresJournal(DatabaseUrl.parse(self.url), engine=_Tickets(self.board, loop), now=now)


@attrs.define
class _Tickets:
    """An engine that puts its tickets on the board, from whichever thread."""

    board: Board
    loop: asyncio.AbstractEventLoop

    def give(self, _: Any, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            self.loop.call_soon_threadsafe(self.board.give, ticket.job_id)

    def give_again(self, _: Any) -> None:
        pass

    def ticketed(self, _: Any, job_ids: Sequence[str]) -> set[str]:
        return set(job_ids) & {*self.board.waiting, *self.board.in_hand}

    async def run(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nobody works here")


class _Hand:
    """What a worker does with tickets and with wishes to cancel."""

    def __init__(self, client: Client, board: Board) -> None:
        self._client = client
        self._board = board
        self._wishes: asyncio.Queue[str] = asyncio.Queue()
        assert isinstance(client._record, SharedJournal)
        self.journal = client._record
        self.journal.listen(self._wishes.put_nowait, Heard.CANCELS)

    async def drive_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                while self._board.waiting:
                    job_id = self._board.waiting.pop(0)
                    self._board.in_hand.add(job_id)
                    _ = group.create_task(self._drive(job_id))
                self._board.given.clear()
                await self._board.given.wait()

    async def _drive(self, job_id: str) -> None:
        try:
            job = await self._found(job_id)
            if not job.status.terminal:
                await (await self._client._driver.attach(job)).ended.wait()
        finally:
            self._board.in_hand.discard(job_id)

    async def _found(self, job_id: str) -> Job:
        """Return a job of which the ticket may be here before its record is committed."""
        while (job := await self.journal.get(job_id)) is None:  # noqa: ASYNC110 (a commit sets no event)
            await asyncio.sleep(0)
        return job

    async def cancel_all(self) -> None:
        while True:
            await self._cancel(await self._wishes.get())

    async def _cancel(self, job_id: str) -> None:
        journal = self.journal
        job = await journal.get(job_id)
        if job is None or await journal.attention(job_id) is Attention.DRIVEN or not await journal.cancel_asked(job_id):
            return
        try:
            job = await self._client._driver.cancel(job)
        except GenbridgeError as error:
            await journal.answer_cancel(job_id, str(error))
        else:
            if job.status is not JobStatus.CANCELLED:
                await journal.answer_cancel(job_id, "")

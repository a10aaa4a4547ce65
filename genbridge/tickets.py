"""Tickets by Procrastinate: PostgreSQL hands each to one living worker.

Procrastinate's rows say nothing that is not in the journal as well. So a ticket that is lost, or handed out twice, costs a look at
the journal and no more, and whatever a worker was doing goes on when Procrastinate loses its database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.worker import Worker
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from genbridge.databases import DatabaseUrl
from genbridge.engine import Tally, Ticket
from genbridge.errors import JournalError
from genbridge.hookspecs import hookimpl
from genbridge.journal.postgres.connection import options

_log = logging.getLogger(__name__)

_TASK = "genbridge.drive"
_HEARTBEAT = 5.0
_DEAD_AFTER = 30.0
"""Seconds without a heartbeat after which a worker's tickets are given out again."""
_LOOK = 1.0
"""Seconds between two looks for tickets, as Procrastinate forgets a word that comes while it looks."""
_NEVER = 86400.0
_CONNECTIONS = 3
"""One to take tickets, the others to give them back; it listens on another."""
_PATIENCE = 5.0
"""Seconds to wait for a connection."""
_PAUSES = (0.5, 1.0, 2.0, 5.0)
"""Waits, in seconds, before Procrastinate's worker is started again; the last one for ever."""
_STEADY = 30.0
"""Seconds that it has run for when its end is no longer a part of the last outage."""
_LONGEST_QUEUE = 40
"""The bytes of a queue's name that leave room for Procrastinate's own part of the channel's, which has 63."""
_NAME = "genbridge tickets"

_FORSAKEN = (
    "delete from procrastinate_jobs where status = 'doing' and task_name = %(task)s and (worker_id is null or worker_id in ("
    "select id from procrastinate_workers where last_heartbeat < now() - make_interval(secs => %(dead)s))) "
    "returning args ->> 'job_id', queue_name"
)
_TICKETED = (
    "select args ->> 'job_id' from procrastinate_jobs where task_name = %(task)s and args ->> 'job_id' = any(%(ids)s) and ("
    "status = 'todo' or status = 'doing' and worker_id in ("
    "select id from procrastinate_workers where last_heartbeat >= now() - make_interval(secs => %(dead)s)))"
)
_OWN_LAST = "delete from procrastinate_jobs where status = 'doing' and worker_id = any(%s)"
_COUNT = (
    "select count(*) filter (where status = 'todo'), count(*) filter (where status = 'doing') from procrastinate_jobs "
    "where task_name = %s"
)


class Procrastinate:
    """An engine whose tickets are in the database at `url`, in the same schema as the journal.

    `patience` is for how many seconds a connection is waited for, and `pauses` those before each try to be a worker again.
    """

    def __init__(self, url: DatabaseUrl, *, patience: float = _PATIENCE, pauses: Sequence[float] = _PAUSES) -> None:
        self._url = url
        self._patience = patience
        self._pauses = pauses
        self._away = False
        self._manager = JobManager(SyncPsycopgConnector())

    def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
        """Add tickets, in one statement."""
        self._give(connection, [(ticket.job_id, _queue(ticket.backend)) for ticket in tickets])

    def _give(self, connection: Any, tickets: Sequence[tuple[str, str]]) -> None:
        jobs = [
            Job(task_name=_TASK, task_kwargs={"job_id": job_id}, queue=queue, lock=None, queueing_lock=None)
            for job_id, queue in tickets
        ]
        if jobs:
            with _database_errors():
                self._manager.batch_defer_jobs(jobs, connection=connection)

    def give_again(self, connection: Any) -> None:
        """Give new tickets in place of those of workers that are dead, which then have none to give back."""
        with connection.cursor(row_factory=tuple_row) as cursor:
            forsaken = cursor.execute(_FORSAKEN, {"task": _TASK, "dead": _DEAD_AFTER}).fetchall()
        self._give(connection, forsaken)

    def ticketed(self, connection: Any, job_ids: Sequence[str]) -> set[str]:
        """Return those of the jobs for which a ticket waits, or is in a living worker's hands."""
        with connection.cursor(row_factory=tuple_row) as cursor:
            rows = cursor.execute(_TICKETED, {"task": _TASK, "ids": list(job_ids), "dead": _DEAD_AFTER})
            return {job_id for (job_id,) in rows}

    async def tally(self) -> Tally:
        """Count the tickets; raises `JournalError` when the database cannot be asked."""
        try:
            async with await psycopg.AsyncConnection.connect(**options(self._url)) as connection:
                cursor = await connection.cursor(row_factory=tuple_row).execute(_COUNT, (_TASK,))
                (row,) = await cursor.fetchall()
        except psycopg.Error as error:
            reason = self._reason(error)
        else:
            return Tally(*row)
        raise JournalError(f"the tickets in {str(self._url)!r} cannot be counted ({reason}); look at the database and at its URL")

    def _reason(self, error: Exception) -> str:
        """Return what the database said, without its password."""
        return self._url.struck_from(" ".join(str(error.__cause__ or error).split()))

    async def run(
        self,
        drive: Callable[[str], Awaitable[None]],
        *,
        backends: Sequence[str] | None,
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        """Have tickets' jobs driven until `stop` is set, through every outage of the database.

        Each backend that is named has `concurrency` places of its own, so that jobs that wait for one keep no other's from theirs.
        """
        _hush()
        lines: list[Sequence[str] | None] = [None] if backends is None else [[_queue(backend)] for backend in backends]
        async with asyncio.TaskGroup() as group:
            for queues in lines:
                group.create_task(self._work_line(drive, queues, concurrency, stop))

    async def _work_line(
        self, drive: Callable[[str], Awaitable[None]], queues: Sequence[str] | None, concurrency: int, stop: asyncio.Event
    ) -> None:
        """Do the same for the jobs in some queues."""
        hands = _Hands(drive, concurrency)
        try:
            await self._work_again(hands, queues, concurrency, stop)
        finally:
            await hands.drop()

    async def _work_again(self, hands: _Hands, queues: Sequence[str] | None, concurrency: int, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            reason = await self._worked(hands, queues, concurrency, stop)
            if stop.is_set():
                return
            failures = 0 if time.monotonic() - began > _STEADY else failures
            if not self._away:
                self._away = True
                _log.warning("no tickets are taken until the database answers again, what is driven here goes on: %s", reason)
            pause = self._pauses[min(failures, len(self._pauses) - 1)]
            failures += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _worked(self, hands: _Hands, queues: Sequence[str] | None, concurrency: int, stop: asyncio.Event) -> str:
        """Be one of Procrastinate's workers for as long as that lasts, and return why it has ended."""
        try:
            async with _pool(self._url, self._patience) as pool:
                await pool.open(wait=True, timeout=self._patience)
                await hands.give_up_last(pool)
                self._say_if_back()
                await hands.work(await _worker(pool, hands, queues, concurrency), stop)
        except (psycopg.Error, ConnectorException) as error:
            return self._reason(error)
        return "its connections have failed"

    def _say_if_back(self) -> None:
        if self._away:
            self._away = False
            _log.warning("tickets are taken again")


@hookimpl
def make_engine(url: DatabaseUrl) -> Procrastinate:
    """Return the engine for the jobs in the journal at a URL."""
    return Procrastinate(url)


class _Worker(Worker):
    """Procrastinate's worker, which stops when it cannot give signs of life."""

    async def _periodic_deferrer(self) -> None:
        """Stay, with nothing to do: where the first of its side tasks has ended, Procrastinate looks after none of them."""
        await asyncio.Event().wait()


class _Hands:
    """The tickets that this process has, and the drives for them, which outlive one worker of Procrastinate's."""

    def __init__(self, drive: Callable[[str], Awaitable[None]], concurrency: int) -> None:
        self._drive = drive
        self._places = asyncio.Semaphore(concurrency)
        self._driven: dict[str, asyncio.Task[None]] = {}
        self._last: list[int] = []
        self._worker: Worker | None = None
        self._returned: Callable[[asyncio.Task[Any]], None] | None = None

    async def work(self, worker: Worker, stop: asyncio.Event) -> None:
        """Run a worker until it ends, or is to."""
        self._worker = worker
        self._returned = partial(_given_back, worker)
        stopping = asyncio.create_task(_stop(worker, stop))
        try:
            await worker.run()  # type: ignore[no-untyped-call]
        finally:
            stopping.cancel()

    async def take(self, job_id: str) -> None:
        """Have a ticket's job driven; whoever gives up waiting for that does not end it."""
        self._note()
        task = self._driven.get(job_id)
        if task is None:
            task = self._driven[job_id] = asyncio.create_task(self._driven_by_us(job_id))
        # As `asyncio.shield`, which takes a kilobyte for each of thousands of jobs.
        ended = asyncio.get_running_loop().create_future()
        task.add_done_callback(partial(_tell, ended))
        await ended

    async def _driven_by_us(self, job_id: str) -> None:
        try:
            async with self._places:
                await self._drive(job_id)
        except Exception:  # noqa: BLE001 (Procrastinate would print it, and go on as if nothing were)
            _log.exception("job %s: a bug in genbridge; its ticket is given back", job_id)
        finally:
            del self._driven[job_id]

    def _note(self) -> None:
        """Look after the task of Procrastinate's that this ticket is in, and after the worker that has it."""
        worker, returned, task = self._worker, self._returned, asyncio.current_task()
        assert worker is not None  # noqa: S101
        assert returned is not None  # noqa: S101
        assert task is not None  # noqa: S101
        if worker.worker_id is not None and worker.worker_id not in self._last:
            self._last.append(worker.worker_id)
        task.add_done_callback(returned)

    async def give_up_last(self, pool: AsyncConnectionPool) -> None:
        """Give up the tickets of earlier workers of this process: what they are for is driven on, or is the sweeper's."""
        async with pool.connection() as connection:
            await connection.execute(_OWN_LAST, (self._last,))
        self._last.clear()

    async def drop(self) -> None:
        """Wait for no drive any more."""
        tasks = list(self._driven.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._driven.clear()


def _tell(waiter: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    """Have whoever waits for a task go on, or end with it."""
    if waiter.done():
        return
    if task.cancelled():
        waiter.cancel()
    else:
        waiter.set_result(None)


def _given_back(worker: Worker, task: asyncio.Task[Any]) -> None:
    """Stop a worker that cannot give a ticket back, as nobody else would be given it while the worker lives."""
    error = None if task.cancelled() else task.exception()
    if error is not None and isinstance(error.__cause__, psycopg.OperationalError):
        worker.stop()  # type: ignore[no-untyped-call]


async def _stop(worker: Worker, stop: asyncio.Event) -> None:
    await stop.wait()
    worker.stop()  # type: ignore[no-untyped-call]


async def _worker(pool: AsyncConnectionPool, hands: _Hands, queues: Sequence[str] | None, concurrency: int) -> Worker:
    connector = PsycopgConnector()
    await connector.open_async(pool)
    app = App(connector=connector)
    app.task(name=_TASK)(hands.take)
    return _Worker(
        app,
        queues=queues,
        concurrency=concurrency,
        delete_jobs="always",
        install_signal_handlers=False,
        update_heartbeat_interval=_HEARTBEAT,
        stalled_worker_timeout=_DEAD_AFTER,
        fetch_job_polling_interval=_LOOK,
        abort_job_polling_interval=_NEVER,
        shutdown_graceful_timeout=0.0,
    )


def _pool(url: DatabaseUrl, patience: float) -> AsyncConnectionPool:
    """Return connections, none opened yet, on which each of Procrastinate's statements is a transaction of its own."""
    settings = options(url, application_name=_NAME)
    # A ticket is no truth: one whose last state is lost with the server is looked at once more.
    settings["options"] += " -c synchronous_commit=off"
    return AsyncConnectionPool(
        kwargs=settings, configure=_commit_each, min_size=1, max_size=_CONNECTIONS, timeout=patience, open=False, name=_NAME
    )


async def _commit_each(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


def _queue(backend: str) -> str:
    """Return the name of a backend's queue: its own, or where that is too long for a channel's, one made of it."""
    if len(backend.encode()) <= _LONGEST_QUEUE:
        return backend
    return f"~{sha256(backend.encode()).hexdigest()[: _LONGEST_QUEUE - 1]}"


@contextmanager
def _database_errors() -> Iterator[None]:
    """Raise what the driver raised, which says to the journal whether to try again, and not what Procrastinate makes of it."""
    try:
        yield
    except ConnectorException as error:
        raise (error.__cause__ or error) from None


def _hush() -> None:
    """Keep what Procrastinate and psycopg log of each failure from being printed where nobody has set logging up."""
    for name in ("procrastinate", "psycopg"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())

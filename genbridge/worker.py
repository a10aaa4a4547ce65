"""A worker: drives the jobs that other processes hand in, for as long as it is not told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

import attrs

from genbridge import __version__
from genbridge.client import Client
from genbridge.engine import Engine
from genbridge.errors import JournalError
from genbridge.health import Health
from genbridge.journal import Report, SharedJournal
from genbridge.scheduler import Scheduler
from genbridge.timing import Clock, SystemClock
from genbridge.types import Job

_log = logging.getLogger(__name__)

_SWEEP = 5.0
"""Seconds between two looks for jobs and tickets that nobody has."""
_SWEPT = 0.9 * _SWEEP
"""Seconds since another worker's look in which there is no need for one; a tenth less, as no two workers tick alike."""
_REPORT = 5.0
"""Seconds between two reports of how this worker is doing."""
_LOOK = 5.0
"""Seconds between two looks at how all jobs stand, where somebody asks for that."""


class Worker:
    """Drives what `engine` gives it tickets for, so many jobs at once, of all `backends` or those that are named.

    `client` is open, on `journal`, and drives its jobs itself. `ended` is told of each job that has ended here.
    """

    def __init__(
        self,
        client: Client,
        engine: Engine,
        journal: SharedJournal,
        *,
        backends: Sequence[str] | None = None,
        concurrency: int = 2000,
        ended: Callable[[Job], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._scheduler = _scheduler(client)
        self._clock = clock or SystemClock()
        self._engine = engine
        self._journal = journal
        self._backends = backends
        self._concurrency = concurrency
        self._told = ended
        self._ended = 0
        self._draining = False
        self._started = self._clock.now().timestamp()
        self._health = Health(concurrency=concurrency)
        self._looked: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Drive jobs until `stop` is set; then take and send nothing more, and let go of all jobs.

        It returns once what came of every POST under way is on record. Others go on with the jobs at once.
        """
        self._scheduler.serve(self._journal)
        await self._report()
        await self._tried(self._sweep)  # one that is killed soon would never come to it
        beside = [asyncio.create_task(self._each(_REPORT, self._report)), asyncio.create_task(self._each(_SWEEP, self._sweep))]
        taking = asyncio.create_task(
            self._engine.run(self._drive, backends=self._backends, concurrency=self._concurrency, stop=stop)
        )
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._draining = True
            beside.append(asyncio.create_task(self._tried(self._report)))  # not awaited, as the journal may be away
            await self._drain()
            await taking
        finally:
            for task in (*beside, taking, stopping):
                task.cancel()
            await asyncio.gather(*beside, taking, stopping, return_exceptions=True)

    def hurry(self) -> None:
        """Wait for the answers to POSTs under way, and for a journal that has gone, for a few seconds only when stopping."""
        self._scheduler.hurry()
        self._journal.hurry()

    async def _drain(self) -> None:
        _log.info("no more jobs are taken; %d are let go of", self._scheduler.driving)
        await self._scheduler.drain()

    async def _drive(self, job_id: str) -> None:
        job = await self._scheduler.drive(job_id)
        if job is None or not job.status.terminal:
            return
        self._ended += 1
        if self._told is not None:
            self._told(job)

    async def _each(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await self._tried(step)

    async def _tried(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except JournalError as error:
            _log.info("%s", error)
        except Exception:  # noqa: BLE001 (what is done from time to time must not end by it)
            _log.exception("a bug in genbridge")

    async def _sweep(self) -> None:
        """Have jobs and tickets that nobody has given out again, unless it is this process that was away."""
        if not self._scheduler.pulse.is_steady:
            return
        if count := await self._journal.sweep(_SWEPT):
            _log.info("%d jobs that nobody had are given out again", count)

    # How it is doing.

    async def _report(self) -> None:
        serving = tuple(name for name in self._backends or () if not self._scheduler.is_barred(name))
        await self._journal.report(
            Report(
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                backends=serving,
                concurrency=self._concurrency,
                driving=self._scheduler.driving,
                ended=self._ended,
                draining=self._draining or (bool(self._backends) and not serving),
                started=self._started,
            )
        )

    async def look(self) -> None:
        """Look from time to time how all jobs stand, for whoever asks for `health`."""
        while True:
            await self._tried(self._look_once)
            await self._clock.sleep(_LOOK)

    async def _look_once(self) -> None:
        began = self._clock.monotonic()
        counts, reports, tally = await self._journal.counts(), await self._journal.reports(), await self._engine.tally()
        self._health = Health(concurrency=self._concurrency, counts=counts, reports=tuple(reports), tally=tally)
        self._looked = began

    @property
    def health(self) -> Health:
        """How this worker is doing, and how all jobs stood when it last looked."""
        return attrs.evolve(
            self._health,
            driving=self._scheduler.driving,
            ended=self._ended,
            draining=self._draining,
            silence=self._scheduler.pulse.silence,
            age=None if self._looked is None else self._clock.monotonic() - self._looked,
        )


def _scheduler(client: Client) -> Scheduler:
    scheduler = client._driver  # noqa: SLF001 (a worker is a client that is called from outside)
    if not isinstance(scheduler, Scheduler):
        raise TypeError("the client of a worker drives jobs itself: open it with engine='in-process'")
    return scheduler

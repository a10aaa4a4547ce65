"""How a worker is doing, and how all jobs stand, in Prometheus' text form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from genbridge.engine import Tally
from genbridge.errors import ConfigError
from genbridge.journal import Counts, Report
from genbridge.pulse import LATE
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from aiohttp import web

TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of the text."""
_UNFINISHED = tuple(status for status in JobStatus if not status.terminal)


@attrs.frozen(kw_only=True)
class Health:
    """How a worker is doing; `silence` is the seconds since its last sign of life reached the journal.

    What concerns all jobs is `None` until the journal was looked at, and `age` is how many seconds ago that was.
    """

    concurrency: int
    driving: int = 0
    ended: int = 0
    draining: bool = False
    silence: float = 0.0
    counts: Counts | None = None
    reports: Sequence[Report] | None = None
    tally: Tally | None = None
    age: float | None = None

    @property
    def is_well(self) -> bool:
        """Whether it reaches the journal, and takes jobs."""
        return self.silence <= LATE and not self.draining


def exposition(health: Health) -> str:
    """Return everything that is known, a metric after the other."""
    return "".join(f"{line}\n" for line in (*_worker(health), *_jobs(health)))


def _worker(health: Health) -> Iterator[str]:
    yield from _metric("worker_up", "gauge", "Whether this worker reaches the journal and takes jobs.", int(health.is_well))
    yield from _metric("worker_driving", "gauge", "Jobs that this worker drives now.", health.driving)
    yield from _metric("worker_concurrency", "gauge", "Jobs that this worker drives at the most.", health.concurrency)
    yield from _metric("worker_ended_total", "counter", "Jobs that have ended at this worker.", health.ended)
    silence = "Seconds since the last sign of life of this worker that reached the journal."
    yield from _metric("worker_silence_seconds", "gauge", silence, round(health.silence, 3))


def _jobs(health: Health) -> Iterator[str]:
    if health.counts is not None:
        jobs = {f'status="{status}"': health.counts.jobs.get(status, 0) for status in _UNFINISHED}
        yield from _metrics("jobs", "gauge", "Unfinished jobs on record.", jobs)
        oldest = "Seconds that the oldest job has waited to be sent."
        yield from _metric("oldest_waiting_seconds", "gauge", oldest, round(health.counts.oldest_waiting or 0.0, 3))
        undriven = "Unfinished jobs that no living process drives, those that wait for a person left out."
        yield from _metric("jobs_undriven", "gauge", undriven, health.counts.undriven)
    if health.reports is not None:
        yield from _metric("workers", "gauge", "Workers that are alive.", sum(report.alive for report in health.reports))
    if health.tally is not None:
        tickets = {'state="waiting"': health.tally.waiting, 'state="held"': health.tally.held}
        yield from _metrics("tickets", "gauge", "Tickets that wait for a worker, or that a worker holds.", tickets)
    if health.age is not None:
        looked = "Seconds since the journal was looked at for all jobs, workers and tickets."
        yield from _metric("snapshot_age_seconds", "gauge", looked, round(health.age, 3))


def _metric(name: str, kind: str, help_text: str, value: float) -> Iterator[str]:
    return _metrics(name, kind, help_text, {"": value})


def _metrics(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP genbridge_{name} {help_text}"
    yield f"# TYPE genbridge_{name} {kind}"
    for labels, value in values.items():
        yield f"genbridge_{name}{'{' + labels + '}' if labels else ''} {value}"


@asynccontextmanager
async def served(health: Callable[[], Health], host: str, port: int) -> AsyncIterator[int]:
    """Serve `/metrics`, and `/health` for who asks only whether the worker is well; yield the port. Raises `ConfigError`."""
    from aiohttp import web  # noqa: PLC0415 (only where it is asked for)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(health()).encode(), headers={"Content-Type": TYPE})

    async def well(_: web.Request) -> web.Response:
        now = health()
        return web.Response(text="ok\n" if now.is_well else _trouble(now), status=200 if now.is_well else 503)

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/health", well)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, host, port)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    from aiohttp import web  # noqa: PLC0415 (as in `served`)

    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigError(f"metrics cannot be served on {host}:{port}: {error.strerror}; choose another port") from None
    return int(runner.addresses[0][1])


def _trouble(health: Health) -> str:
    return "draining\n" if health.draining else f"the journal was not reached for {health.silence:.0f} s\n"

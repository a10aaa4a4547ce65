"""`genbridge worker`: drive the jobs that other processes hand in."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import click

from genbridge.cli.commands import Commands, Home
from genbridge.cli.console import log_to_stderr, remark, say, warn
from genbridge.cli.db import database, schema
from genbridge.cli.session import Session, database_option, pass_session, shared
from genbridge.cli.table import short_cost
from genbridge.cli.times import utc_now
from genbridge.errors import ConfigError
from genbridge.types import Job

if TYPE_CHECKING:
    from genbridge.config import Config
    from genbridge.databases import DatabaseUrl
    from genbridge.engine import Engine
    from genbridge.journal import SharedJournal
    from genbridge.worker import Worker

_LOOPBACK = "127.0.0.1"


_HOMES = {"status": Home("workers", "Show the workers, and how many jobs are in each state.")}


@click.group(cls=Commands, homes=_HOMES, invoke_without_command=True)
@database_option
@click.option("-b", "--backend", "names", multiple=True, metavar="BACKEND", help="Only jobs of it; may be given again.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=2000, show_default=True, help="The most jobs of each backend at once."
)
@click.option("--metrics", "port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve /metrics and /health there.")
@click.option("--metrics-host", "host", default=_LOOPBACK, show_default=True, metavar="HOST", help="The address to serve them on.")
@click.option("--log-jobs", is_flag=True, help="Print a line for each job that has ended.")
@click.option("--migrate", is_flag=True, help="Make the tables first, or bring them up to date, as `genbridge db upgrade` does.")
@shared
@pass_session
@click.pass_context
def worker(
    context: click.Context,
    session: Session,
    *,
    names: Sequence[str],
    concurrency: int,
    port: int | None,
    host: str,
    log_jobs: bool,
    migrate: bool,
) -> None:
    """Drive the jobs that are handed in on a database, until SIGTERM or Ctrl-C.

    They are those of every backend that is configured here and has its key, or of the backends that are named. When it is told to
    stop it sends nothing more, hands its jobs to other workers within seconds, and exits with 0 once what came of every request
    that was being sent is on record, which may take 95 s. A second SIGTERM or Ctrl-C shortens that to 5 s.
    """
    if context.invoked_subcommand is not None:
        return
    if session.sandbox:
        raise click.UsageError("a worker needs services that all workers reach; name the sandbox's addresses in the configuration")
    told = None
    if log_jobs:
        told = _print_job
        log_to_stderr(session.verbosity, timed=True)
    asyncio.run(_serve(session, names, concurrency=concurrency, served=(host, port), told=told, migrate=migrate))


async def _serve(
    session: Session,
    names: Sequence[str],
    *,
    concurrency: int,
    served: tuple[str, int | None],
    told: Callable[[Job], None] | None,
    migrate: bool,
) -> None:
    from genbridge.client import Client  # noqa: PLC0415 (loaded when it is used, as the rest)
    from genbridge.config import IN_PROCESS, load  # noqa: PLC0415
    from genbridge.plugins import installed  # noqa: PLC0415
    from genbridge.worker import Worker  # noqa: PLC0415

    url = database(session)
    config = load(session.config, providers=installed.providers())
    backends = _backends(config, names)
    if migrate:
        for step in await asyncio.to_thread(schema().upgrade, url):
            remark(f"done: {step}")
    engine, journal = _record(config, url)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(config, journal=journal, engine=IN_PROCESS))
        worker = Worker(client, engine, journal, backends=backends, concurrency=concurrency, ended=told)
        await _serve_metrics(stack, worker, *served)
        remark(f"driving jobs of {', '.join(backends)} on {url}, up to {concurrency} of each at once")
        await worker.run(_stopped(worker))
    _handle_signals(signal.SIG_IGN)  # one that comes now would end by force what has ended well
    remark("stopped; other workers go on with its jobs")


def _backends(config: Config, names: Sequence[str]) -> list[str]:
    """Return the backends whose jobs are driven, and say which are not; raises `ConfigError` for one that cannot be."""
    from genbridge.config import missing_keys  # noqa: PLC0415 (loaded when it is used)

    if names:
        chosen = [backend for name in dict.fromkeys(names) for backend in config.candidates(name).backends]
        for backend in chosen:
            backend.require_key()
        return [backend.name for backend in chosen]
    problems = missing_keys(config)
    for problem in problems:
        warn(f"{problem}; its jobs are left to other workers")
    ready = [name for name, backend in config.backends.items() if backend.api_key is not None]
    if not ready:
        raise ConfigError("no backend that is configured here has a key, so there is nothing to drive", problems=problems)
    return ready


def _record(config: Config, url: DatabaseUrl) -> tuple[Engine, SharedJournal]:
    """Return what gives the tickets, and the journal that has them given."""
    from genbridge import seams  # noqa: PLC0415 (loaded when it is used)
    from genbridge.config import IN_PROCESS, PROCRASTINATE  # noqa: PLC0415

    name = config.journal.engine_of(shared=True)
    if name == IN_PROCESS:
        raise ConfigError(
            f'a worker is for jobs that are handed in: write engine = "{PROCRASTINATE}" under [journal], or leave it out'
        )
    engine = seams.installed.engine(name, url)
    return engine, seams.installed.journal(url, engine=engine)


async def _serve_metrics(stack: AsyncExitStack, worker: Worker, host: str, port: int | None) -> None:
    if port is None:
        return
    from genbridge.health import served  # noqa: PLC0415 (only where it is asked for)

    port = await stack.enter_async_context(served(lambda: worker.health, host, port))
    looking = asyncio.create_task(worker.look())
    stack.callback(looking.cancel)
    remark(f"metrics are at http://{host}:{port}/metrics")


def _stopped(worker: Worker) -> asyncio.Event:
    """Return what is set when this process is told to stop; when it is told again, it waits for less."""
    stop = asyncio.Event()

    def told() -> None:
        if stop.is_set():
            worker.hurry()
        stop.set()

    loop = asyncio.get_running_loop()
    # The loop's own handlers would go with it, before the process has ended.
    _handle_signals(lambda *_: loop.call_soon_threadsafe(told))
    return stop


def _handle_signals(handler: Callable[..., object] | signal.Handlers) -> None:
    """Have what tells a process to stop handled; outside of the main thread nobody can."""
    for each in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):
            signal.signal(each, handler)


def _print_job(job: Job) -> None:
    took = (job.finished_at - job.created_at).total_seconds() if job.finished_at else 0.0
    reason = f" ({' '.join(job.failure.message.split())})" if job.failure else ""
    say(
        f"{utc_now():%Y-%m-%dT%H:%M:%SZ} {job.id} {job.backend} {job.model} {job.status} {took:.1f}s {short_cost(job.cost)}{reason}"
    )

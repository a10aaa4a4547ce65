"""`genbridge jobs`: look at what is on record, and go on with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from genbridge.cli.console import is_dynamic, remark, say, stdout
from genbridge.cli.exits import Exit
from genbridge.cli.follow import Outcome, follow_all, report
from genbridge.cli.generate import timeout_option
from genbridge.cli.output import job_form, print_json
from genbridge.cli.progress import board, job_label, utc_now
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table, short, short_cost
from genbridge.errors import JobError, JournalError
from genbridge.types import Job, JobStatus

if TYPE_CHECKING:
    from genbridge.client import Client, Handle

T = TypeVar("T")

_HEADER = ("ID", "AGE", "STATUS", "MODEL", "BACKEND", "COST", "PROMPT")
_SHORT_ID = 8
"""How much of an id a terminal shows; the beginning of one is enough to name a job."""


@click.group()
@shared
def jobs() -> None:
    """See, collect, cancel and resume jobs that are on record."""


def _output_option(text: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    return click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help=text)


def _nowhere(_job: Job) -> None:
    """Save no files."""


@jobs.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]), help="Only those that stand there.")
@click.option("-b", "--backend", metavar="BACKEND", help="Only those of a backend.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most to show.")
@with_json
@shared
@pass_session
def list_jobs(session: Session, *, status: str | None, backend: str | None, limit: int) -> None:
    """List jobs, the newest first."""

    async def work(client: Client) -> list[Job]:
        wanted = None if status is None else JobStatus(status)
        return [job async for job in client.jobs(status=wanted, backend=backend, limit=limit)]

    found = session.run(work)
    if session.json:
        print_json({"jobs": [job_form(job) for job in found]})
    elif found:
        ids = brief([job.id for job in found]) if is_dynamic(stdout()) else [job.id for job in found]
        print_table(_HEADER, [(job_id, *_row(job)) for job_id, job in zip(ids, found, strict=True)], cut="PROMPT")
    else:
        remark("no such job is on record" if status or backend else "no job is on record")


def brief(ids: Sequence[str]) -> list[str]:
    """Return the beginning of each id, or all of it where another begins the same, as those of several tries do."""
    count = Counter(job_id[:_SHORT_ID] for job_id in ids)
    return [job_id if count[job_id[:_SHORT_ID]] > 1 else job_id[:_SHORT_ID] for job_id in ids]


def _row(job: Job) -> tuple[str, ...]:
    cost = short_cost(job.cost or job.quote)
    return (age(job.created_at, utc_now()), job.status, job.model, job.backend, cost, short(job.request.prompt))


def age(time: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int((now - time).total_seconds()))
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    return next((f"{seconds // length}{name}" for length, name in units if seconds >= length), f"{seconds}s")


def _when(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def find(session: Session, client: Client, job_id: str) -> Handle:
    """Return a job on record; the advice of the error, where there is none, reaches the record that was looked in."""
    try:
        return client.handle(job_id)
    except JournalError as error:
        raise JournalError(error.message.replace("genbridge jobs list", session.command("jobs", "list"))) from None


@jobs.command()
@click.argument("job_id", metavar="ID")
@with_json
@shared
@pass_session
def show(session: Session, *, job_id: str) -> None:
    """Show everything that is on record of one job; asks no service."""

    async def work(client: Client) -> Job:
        return find(session, client, job_id).job

    job = session.run(work)
    if session.json:
        print_json({"jobs": [job_form(job)]})
        return
    print_table(None, [(name, value) for name, value in _facts(job) if value])
    if job.status is JobStatus.UNKNOWN:
        remark("the service may have accepted it and may bill it; nothing is sent again by itself")
    elif not job.status.terminal:
        remark(f"collect it with: {session.command('jobs', 'wait', job.id)}")


def _facts(job: Job) -> list[tuple[str, str]]:
    made = job.result.assets if job.result else ()
    return [
        ("id", job.id),
        ("status", job.status),
        ("medium", job.media),
        ("model", f"{job.model} ({job.provider_model})" if job.provider_model != job.model else job.model),
        ("backend", f"{job.backend} ({job.provider})" if job.provider != job.backend else job.backend),
        ("provider's id", job.provider_id or ""),
        ("prompt", job.request.prompt),
        ("created", _when(job.created_at)),
        ("finished", _when(job.finished_at) if job.finished_at else ""),
        ("quote", str(job.quote)),
        ("cost", str(job.cost or "")),
        ("failure", job.failure.message if job.failure else ""),
        ("files go to", str(job.save_to or "")),
        *((f"{asset.role} {asset.media}", asset.url) for asset in made),
    ]


@jobs.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@_output_option("The folder for the files, instead of the one that they were wanted in, or the current one; made if missing.")
@click.option("--no-download", is_flag=True, help="Wait, but save no files.")
@timeout_option
@with_json
@shared
@pass_session
@click.pass_context
def wait(
    context: click.Context,
    session: Session,
    *,
    job_ids: Sequence[str],
    output: Path | None,
    no_download: bool,
    timeout: float | None,
) -> None:
    """Wait for jobs, save their files, and print where they are."""

    def directory(job: Job) -> Path | None:
        return None if no_download else output or job.save_to or Path()

    async def work(client: Client) -> Exit:
        handles = [find(session, client, job_id) for job_id in job_ids]
        return await _follow(session, client, handles, directory=directory, timeout=timeout)

    context.exit(session.run(work))


async def _follow(
    session: Session, client: Client, handles: Sequence[Handle], *, directory: Callable[[Job], Path | None], timeout: float | None
) -> Exit:
    return report(session, await _outcomes(session, client, handles, directory=directory, timeout=timeout))


async def _outcomes(
    session: Session, client: Client, handles: Sequence[Handle], *, directory: Callable[[Job], Path | None], timeout: float | None
) -> list[Outcome]:
    unique = list({handle.id: handle for handle in handles}.values())
    with board(quiet=session.json) as shown:
        return await follow_all(session, client, unique, shown, directory=directory, timeout=timeout)


@jobs.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@timeout_option
@with_json
@shared
@pass_session
@click.pass_context
def watch(context: click.Context, session: Session, *, job_ids: Sequence[str], timeout: float | None) -> None:
    """Watch jobs to their end, or all that are unfinished; saves no files."""

    async def work(client: Client) -> Exit:
        handles = [find(session, client, job_id) for job_id in job_ids] if job_ids else await _unfinished(client)
        if not handles:
            remark("no unfinished job is on record")
        return await _follow(session, client, handles, directory=_nowhere, timeout=timeout)

    context.exit(session.run(work))


async def _unfinished(client: Client) -> list[Handle]:
    found = [job async for job in client.jobs(unfinished=True)]
    return [client.handle(job) for job in reversed(found)]


@jobs.command()
@click.argument("job_id", metavar="ID")
@with_json
@shared
@pass_session
def cancel(session: Session, *, job_id: str) -> None:
    """Ask the service to stop a job, where it can."""

    async def work(client: Client) -> Job:
        handle = find(session, client, job_id)
        if not handle.job.status.terminal:
            await handle.cancel()
        return _stopped(handle.job)

    job = session.run(work)
    if session.json:
        print_json({"jobs": [job_form(job)]})
    else:
        say(f"{job_label(job)}, job {job.id}: {job.status}")


def _stopped(job: Job) -> Job:
    """Return a job that was stopped; raises `JobError` when it ended by itself, as that is not what was asked for."""
    if job.status.terminal and job.status is not JobStatus.CANCELLED:
        raise JobError(f"job {job.id} has already ended ({job.status}); nothing was cancelled", job=job)
    return job


@jobs.command()
@_output_option("Save all files in this folder, instead of each where it was wanted.")
@timeout_option
@with_json
@shared
@pass_session
@click.pass_context
def resume(context: click.Context, session: Session, *, output: Path | None, timeout: float | None) -> None:
    """Drive every unfinished job on record to its end, and save files that are not yet where they were wanted."""

    async def work(client: Client) -> Exit:
        handles = await client.resume(wait=False)
        outcomes = await _outcomes(session, client, handles, directory=lambda job: output or job.save_to, timeout=timeout)
        code = report(session, outcomes)
        remark(_collected(outcomes) if outcomes else "no unfinished job is on record, and no file is to be saved")
        return code

    context.exit(session.run(work))


def _collected(outcomes: Sequence[Outcome]) -> str:
    """Return how many jobs ended how, and how many files were saved, in words."""
    states = Counter(outcome.job.status.value for outcome in outcomes if outcome.job is not None)
    files = sum(len(outcome.paths) for outcome in outcomes)
    jobs = f"{len(outcomes)} job{'' if len(outcomes) == 1 else 's'}"
    return (
        f"{jobs}: {', '.join(f'{count} {state}' for state, count in states.items())}; {files} file{'' if files == 1 else 's'} saved"
    )

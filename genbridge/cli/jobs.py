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
from genbridge.cli.money import totals
from genbridge.cli.output import job_form, print_json
from genbridge.cli.progress import board, utc_now
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table, short, short_cost
from genbridge.errors import GenbridgeError, JobError
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
        return [job async for job in client.jobs(status=wanted, backend=backend, limit=limit + 1)]

    more = session.run(work)
    found = more[:limit]
    if len(more) > limit:
        remark(f"the newest {limit} of more; -n shows more")
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


@jobs.command()
@click.argument("job_id", metavar="ID")
@with_json
@shared
@pass_session
def show(session: Session, *, job_id: str) -> None:
    """Show everything that is on record of one job; asks no service."""

    async def work(client: Client) -> Job:
        return client.handle(job_id).job

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
    """Wait for jobs, save their files, and print where they are; sends nothing."""

    def directory(job: Job) -> Path | None:
        return None if no_download else output or job.save_to or Path()

    async def work(client: Client) -> Exit:
        handles = [client.handle(job_id, send=False) for job_id in job_ids]
        return report(session, await _outcomes(session, client, handles, directory=directory, timeout=timeout))

    context.exit(session.run(work))


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
    """Watch jobs to their end, or all that are unfinished; sends nothing and saves no files."""

    async def work(client: Client) -> Exit:
        named = [client.handle(job_id, send=False) for job_id in job_ids]
        handles = named or await _under_way(session, client)
        if not handles:
            remark("no job to watch is on record")
        return report(session, await _outcomes(session, client, handles, directory=_nowhere, timeout=timeout))

    context.exit(session.run(work))


async def _under_way(session: Session, client: Client) -> list[Handle]:
    """Return the unfinished jobs, oldest first; those that were never sent are left out, and it is said how many they are."""
    unsent = {job.id for job in await client.unsent()}
    if unsent:
        remark(_left_out(session, len(unsent)))
    found = [job async for job in client.jobs(unfinished=True) if job.id not in unsent]
    return [client.handle(job, send=False) for job in reversed(found)]


def _left_out(session: Session, count: int) -> str:
    subject, are, them = ("1 job was", "is", "it") if count == 1 else (f"{count} jobs were", "are", "them")
    send, drop = session.command("jobs", "resume"), session.command("jobs", "cancel", "--unsent")
    return f"{subject} never sent and {are} left out: `{send}` sends {them}, `{drop}` drops {them}"


@jobs.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--unsent", is_flag=True, help="All that were never sent, instead of some by their ids; nothing was paid.")
@with_json
@shared
@pass_session
@click.pass_context
def cancel(context: click.Context, session: Session, *, job_ids: Sequence[str], unsent: bool) -> None:
    """Drop jobs that were never sent, and ask the service to stop others, where it can."""
    if unsent == bool(job_ids):
        raise click.UsageError("give either the IDs of jobs or --unsent")

    async def work(client: Client) -> Exit:
        named = [client.handle(job_id) for job_id in job_ids]
        handles = [client.handle(job) for job in await client.unsent()] if unsent else named
        outcomes = [await _stop(handle) for handle in {handle.id: handle for handle in handles}.values()]
        code = _report_stopped(session, outcomes)
        if unsent:
            remark(_dropped(outcomes))
        return code

    context.exit(session.run(work))


async def _stop(handle: Handle) -> Outcome:
    """Stop a job; that it had ended by itself is an error, as it is not what was asked for."""
    error: GenbridgeError | None = None
    try:
        if not handle.job.status.terminal:
            await handle.cancel()
    except GenbridgeError as caught:
        error = caught
    job = handle.job
    if error is None and job.status is not JobStatus.CANCELLED and job.status.terminal:
        error = JobError(f"job {job.id} has already ended ({job.status}); nothing was cancelled", job=job)
    return Outcome(job=job, request=job.request, backend=job.backend, error=error)


def _report_stopped(session: Session, outcomes: Sequence[Outcome]) -> Exit:
    for outcome in outcomes:
        if outcome.error is None and outcome.job is not None and not session.json:
            say(f"{outcome.label}: {outcome.job.status}")
    return report(session, outcomes)


def _dropped(outcomes: Sequence[Outcome]) -> str:
    count = sum(outcome.error is None for outcome in outcomes)
    if not outcomes:
        return "no job on record was never sent"
    subject, are = ("1 job that was", "is") if count == 1 else (f"{count} jobs that were", "are")
    return f"{subject} never sent {are} dropped; nothing was paid"


@jobs.command()
@_output_option("Save all files in this folder, instead of each where it was wanted.")
@click.option("--no-send", is_flag=True, help="Leave jobs that were never sent as they are.")
@timeout_option
@with_json
@shared
@pass_session
@click.pass_context
def resume(context: click.Context, session: Session, *, output: Path | None, no_send: bool, timeout: float | None) -> None:
    """Drive every unfinished job on record to its end, and save files that are not yet where they were wanted.

    Jobs that were never sent are sent.
    """

    async def work(client: Client) -> Exit:
        handles = await (_without_sending(session, client) if no_send else _with_sending(client))
        outcomes = await _outcomes(session, client, handles, directory=lambda job: output or job.save_to, timeout=timeout)
        code = report(session, outcomes)
        remark(_collected(outcomes) if outcomes else "no unfinished job is on record, and no file is to be saved")
        return code

    context.exit(session.run(work))


async def _with_sending(client: Client) -> list[Handle]:
    if unsent := await client.unsent():
        were, are = ("1 job was", "is") if len(unsent) == 1 else (f"{len(unsent)} jobs were", "are")
        price = ", ".join(map(str, totals((job.backend, job.quote) for job in unsent)))
        remark(f"{were} never sent and {are} sent now, {price}")
    return await client.resume(wait=False)


async def _without_sending(session: Session, client: Client) -> list[Handle]:
    if unsent := await client.unsent():
        remark(_left_out(session, len(unsent)))
    return await client.resume(wait=False, send=False)


def _collected(outcomes: Sequence[Outcome]) -> str:
    """Return how many jobs ended how, and how many files were saved, in words."""
    states = Counter(outcome.job.status.value for outcome in outcomes if outcome.job is not None)
    files = sum(len(outcome.paths) for outcome in outcomes)
    jobs = f"{len(outcomes)} job{'' if len(outcomes) == 1 else 's'}"
    return (
        f"{jobs}: {', '.join(f'{count} {state}' for state, count in states.items())}; {files} file{'' if files == 1 else 's'} saved"
    )

"""`genbridge jobs wait`, `watch` and `resume`: go on with what is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from genbridge.cli.console import remark
from genbridge.cli.exits import Exit
from genbridge.cli.follow import Outcome, follow_all, report
from genbridge.cli.generate import timeout_option
from genbridge.cli.money import totals
from genbridge.cli.progress import board
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.types import Job, JobStatus

if TYPE_CHECKING:
    from genbridge.client import Client, Handle

T = TypeVar("T")

_FEW = 5
"""How many jobs a line of advice names."""


def _output_option(text: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    return click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help=text)


def _nowhere(_job: Job) -> None:
    """Save no files."""


@click.command()
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


@click.command()
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
    """Return the unfinished jobs, oldest first; those that nobody sends are left out, and it is said how many they are."""
    # Where there are workers, such jobs only wait for their turn.
    unsent = set() if session.workers else {job.id for job in await client.unsent()}
    if unsent:
        remark(_left_out(session, len(unsent)))
    found = [job async for job in client.jobs(unfinished=True) if job.id not in unsent]
    return [client.handle(job, send=False) for job in reversed(found)]


def _left_out(session: Session, count: int) -> str:
    subject, are, them = ("1 job was", "is", "it") if count == 1 else (f"{count} jobs were", "are", "them")
    send, drop = session.command("jobs", "resume"), session.command("jobs", "cancel", "--unsent")
    return f"{subject} never sent and {are} left out: `{send}` sends {them}, `{drop}` drops {them}"


@click.command()
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
        handles = await (_without_sending(session, client) if no_send else _with_sending(session, client))
        outcomes = await _outcomes(session, client, handles, directory=lambda job: output or job.save_to, timeout=timeout)
        code = report(session, outcomes)
        remark(_collected(outcomes) if outcomes else "no unfinished job is on record, and no file is to be saved")
        if unsaved := _unsaved(outcomes):
            save = session.command("jobs", "wait", *(unsaved if len(unsaved) <= _FEW else ["ID..."]))
            remark(f"no folder was named for the files of {len(unsaved)}; save them with: {save}")
        return code

    context.exit(session.run(work))


async def _with_sending(session: Session, client: Client) -> list[Handle]:
    if unsent := [] if session.workers else await client.unsent():
        were, are = ("1 job was", "is") if len(unsent) == 1 else (f"{len(unsent)} jobs were", "are")
        price = ", ".join(map(str, totals((job.backend, job.quote) for job in unsent)))
        remark(f"{were} never sent and {are} sent now, {price}")
    return await client.resume(wait=False)


async def _without_sending(session: Session, client: Client) -> list[Handle]:
    if unsent := [] if session.workers else await client.unsent():
        remark(_left_out(session, len(unsent)))
    return await client.resume(wait=False, send=False)


def _unsaved(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the ids of the jobs that have files, none of which were wanted anywhere."""
    done = [outcome.job for outcome in outcomes if outcome.job is not None and outcome.error is None and not outcome.paths]
    return [job.id for job in done if job.status is JobStatus.SUCCEEDED]


def _collected(outcomes: Sequence[Outcome]) -> str:
    """Return how many jobs ended how, and how many files were saved, in words."""
    states = Counter(outcome.job.status.value for outcome in outcomes if outcome.job is not None)
    files = sum(len(outcome.paths) for outcome in outcomes)
    jobs = f"{len(outcomes)} job{'' if len(outcomes) == 1 else 's'}"
    return (
        f"{jobs}: {', '.join(f'{count} {state}' for state, count in states.items())}; {files} file{'' if files == 1 else 's'} saved"
    )

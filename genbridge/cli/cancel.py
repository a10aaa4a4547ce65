"""`genbridge jobs cancel`: drop jobs that were never sent, and stop others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from genbridge.cli.console import remark, say
from genbridge.cli.exits import Exit
from genbridge.cli.follow import Outcome, report
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.errors import GenbridgeError, JobError
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from genbridge.client import Client, Handle


@click.command()
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

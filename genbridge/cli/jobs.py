"""`genbridge jobs`: look at what is on record, and go on with it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from genbridge.cli.commands import Commands, Home
from genbridge.cli.console import is_dynamic, remark
from genbridge.cli.known import check_known, configured
from genbridge.cli.output import job_form, print_json
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table, short, short_cost
from genbridge.cli.times import age, utc_now
from genbridge.errors import ConfigError
from genbridge.types import Job, JobStatus

if TYPE_CHECKING:
    from genbridge.ledger import Ledger

_HEADER = ("ID", "AGE", "STATUS", "MODEL", "BACKEND", "COST", "PROMPT")
_SHORT_ID = 8
"""How much of an id a terminal shows; the beginning of one is enough to name a job."""


_HOMES = {
    "wait": Home("collect", "Wait for jobs, save their files, and print where they are; sends nothing."),
    "watch": Home("collect", "Watch jobs to their end, or all that are unfinished; sends nothing and saves no files."),
    "resume": Home(
        "collect", "Drive every unfinished job on record to its end, and save files that are not yet where they were wanted."
    ),
    "cancel": Home("cancel", "Drop jobs that were never sent, and ask the service to stop others, where it can."),
    "reconcile": Home("reconcile", "Settle jobs that may have been accepted and may be billed, one after the other."),
}


@click.group(cls=Commands, homes=_HOMES)
@shared
def jobs() -> None:
    """See, collect, cancel and resume jobs that are on record."""


@jobs.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]), help="Only those that stand there.")
@click.option("-b", "--backend", metavar="BACKEND", help="Only those of a backend.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most to show.")
@with_json
@shared
@pass_session
def list_jobs(session: Session, *, status: str | None, backend: str | None, limit: int) -> None:
    """List jobs, the newest first."""

    async def work(ledger: Ledger) -> list[Job]:
        wanted = None if status is None else JobStatus(status)
        found = [job async for job in ledger.jobs(status=wanted, backend=backend, limit=limit + 1)]
        if backend is not None and not found:
            await _check_known(session, ledger, backend)
        return found

    more = session.look(work)
    found = more[:limit]
    if len(more) > limit:
        remark(f"the newest {limit} of more; -n shows more")
    if session.json:
        print_json({"jobs": [job_form(job) for job in found]})
    elif found:
        ids = brief([job.id for job in found]) if is_dynamic(sys.stdout) else [job.id for job in found]
        print_table(_HEADER, [(job_id, *_row(job)) for job_id, job in zip(ids, found, strict=True)], cut="PROMPT", spare=("COST",))
    else:
        remark("no such job is on record" if status or backend else "no job is on record")


async def _check_known(session: Session, ledger: Ledger, name: str) -> None:
    """Raise `ConfigError` for a backend that neither is configured nor has a job on record."""
    recorded = await ledger.backends()
    if name in recorded:
        return
    try:
        names = configured(session)
    except ConfigError:  # what is on record can be seen whatever is wrong there
        return
    check_known(name, [*names, *recorded])


def brief(ids: Sequence[str]) -> list[str]:
    """Return the beginning of each id, or all of it where another begins the same, as those of several tries do."""
    count = Counter(job_id[:_SHORT_ID] for job_id in ids)
    return [job_id if count[job_id[:_SHORT_ID]] > 1 else job_id[:_SHORT_ID] for job_id in ids]


def _row(job: Job) -> tuple[str, ...]:
    cost = short_cost(job.cost or job.quote)
    return (age(job.created_at, utc_now()), job.status, job.model, job.backend, cost, short(job.request.prompt))


def _when(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


@jobs.command()
@click.argument("job_id", metavar="ID")
@with_json
@shared
@pass_session
def show(session: Session, *, job_id: str) -> None:
    """Show everything that is on record of one job; asks no service."""

    async def work(ledger: Ledger) -> Job:
        return ledger.job(job_id)

    job = session.look(work)
    if session.json:
        print_json({"jobs": [job_form(job)]})
        return
    print_table(None, [(name, value) for name, value in _facts(job) if value])
    if job.status is JobStatus.UNKNOWN:
        remark("the service may have accepted it and may bill it; nothing is sent again by itself")
        remark(f"say what became of it with: {session.command('jobs', 'reconcile', job.id)}")
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

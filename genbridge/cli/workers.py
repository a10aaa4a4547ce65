"""`genbridge worker status`: how the workers are doing, and how all jobs stand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from genbridge.cli.console import remark, say
from genbridge.cli.db import database
from genbridge.cli.exits import Exit
from genbridge.cli.output import print_json, workers_form
from genbridge.cli.session import Session, database_option, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.cli.times import age, span, utc_now
from genbridge.pulse import LATE
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from genbridge.databases import DatabaseUrl
    from genbridge.engine import Tally
    from genbridge.journal import Counts, Report

_HEADER = ("WORKER", "STATE", "HEARD OF", "DRIVING", "ENDED", "STARTED", "BACKENDS")
_UNFINISHED = tuple(status for status in JobStatus if not status.terminal)


@click.command()
@database_option
@with_json
@shared
@pass_session
@click.pass_context
def status(context: click.Context, session: Session) -> None:
    """Show the workers, and how many jobs are in each state.

    The exit code is 5 where jobs are in doubt, else 1 where no worker is alive and takes jobs, else 0.
    """
    reports, counts, tally = asyncio.run(_looked_at(session, database(session)))
    if session.json:
        print_json(workers_form(reports, counts, tally))
    else:
        _show(reports, counts, tally)
        _advise(session, reports, counts)
    context.exit(_code(reports, counts))


async def _looked_at(session: Session, url: DatabaseUrl) -> tuple[Sequence[Report], Counts, Tally]:
    from genbridge import seams  # noqa: PLC0415 (loaded when it is used, as the rest)
    from genbridge.config import load_journal  # noqa: PLC0415

    engine = seams.installed.engine(load_journal(session.config).engine_of(shared=True), url)
    journal = seams.installed.journal(url)
    await journal.open()
    try:
        return await journal.reports(), await journal.counts(), await engine.tally()
    finally:
        await journal.aclose()


def _show(reports: Sequence[Report], counts: Counts, tally: Tally) -> None:
    if reports:
        print_table(_HEADER, [_row(report) for report in reports], wrap=("BACKENDS",))
    jobs = ", ".join(f"{counts.jobs.get(status, 0)} {status}" for status in _UNFINISHED)
    oldest = "" if counts.oldest_waiting is None else f"; the oldest has waited {span(counts.oldest_waiting)} to be sent"
    say(f"jobs: {jobs}{oldest}")
    say(f"without a driver: {counts.undriven}; tickets: {tally.waiting} waiting, {tally.held} held")


def _row(report: Report) -> Sequence[str]:
    started = age(datetime.fromtimestamp(report.started, UTC), utc_now())
    driving = f"{report.driving} of {report.concurrency}" if report.alive else "-"
    return (
        f"{report.host}:{report.pid}",
        _state(report),
        f"{span(report.silent)} ago",
        driving,
        str(report.ended),
        f"{started} ago",
        ", ".join(report.backends),
    )


def _state(report: Report) -> str:
    if not report.alive:
        return "dead"
    if report.silent > LATE:
        return "silent"
    return "draining" if report.draining else "alive"


def _advise(session: Session, reports: Sequence[Report], counts: Counts) -> None:
    if not _served(reports):
        remark(f"no worker takes jobs; start one with: {session.command('worker')}{session.retyped}")
    if doubtful := counts.jobs.get(JobStatus.UNKNOWN, 0):
        remark(f"{doubtful} in doubt: {session.command('jobs', 'reconcile')}{session.retyped}")


def _code(reports: Sequence[Report], counts: Counts) -> Exit:
    if counts.jobs.get(JobStatus.UNKNOWN, 0):
        return Exit.UNKNOWN
    return Exit.OK if _served(reports) else Exit.FAILED


def _served(reports: Sequence[Report]) -> bool:
    """Whether there is a worker that takes jobs."""
    return any(report.alive and not report.draining for report in reports)

"""The durable record of jobs: the only truth about what was paid for.

Writes come in this order: the job and its reservation, the intent to submit with an attempt token (committed before the POST), the
service's id, the end. Every driver of a job holds a `Lease`, and every write of a driver names it: one that was stopped
and comes back late changes nothing, except that a late answer with the right attempt token heals an `UNKNOWN` job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genbridge.catalogue import Limits
    from genbridge.limits import Wait
    from genbridge.types import Job, JobStatus


@attrs.frozen(kw_only=True)
class Caps:
    """What may be spent: credits by one job, credits and jobs by a backend in one day (UTC). `None` is no cap."""

    per_job: float | None = None
    per_day: float | None = None
    jobs_per_day: int | None = None


@attrs.frozen
class Attempt:
    """One recorded intent to submit; `token` identifies it."""

    job_id: str
    token: str


@attrs.frozen
class Lease:
    """The right to drive a job; `epoch` grows with every new driver. `attempt` is the last recorded one to submit it, if any."""

    job_id: str
    epoch: int
    attempt: Attempt | None = None


class Journal(Protocol):
    """What a store of jobs does. Every method raises `JournalError` when the store cannot do it."""

    async def open(self) -> None:
        """Make the store ready; nothing is sent before that has worked."""

    async def aclose(self) -> None:
        """Let go of all leases and close the store."""

    async def add(self, job: Job, caps: Caps) -> Lease:
        """Record a new job with its reservation and take its lease; raises `BudgetError` when a cap would be exceeded."""

    async def acquire(self, job_id: str) -> Lease | None:
        """Take an unfinished job that no other living driver has."""

    async def beat(self) -> None:
        """Say that this process's driver is alive."""

    async def begin_submit(self, lease: Lease, limits: Limits) -> Attempt | Wait | None:
        """Record that the POST is about to be sent, unless a limit asks to wait; `None` when the lease is lost."""

    async def pause(self, backend: str, seconds: float) -> None:
        """Let nobody submit to a backend for that long."""

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        """Record the service's id. Heals `UNKNOWN`; `False` when the attempt is no longer the job's."""

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; the job may be submitted again."""

    async def unknown(self, lease: Lease, job: Job) -> None:
        """Record that the POST may have been accepted, and why nobody knows."""

    async def release(self, lease: Lease) -> None:
        """Let an unfinished job go, so that any process may take it."""

    async def update(self, lease: Lease, job: Job) -> bool:
        """Record how far a running job is, or how it ended; `False` when the lease is lost."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record."""

    def peek(self, job_id: str) -> Job | None:
        """Return the record of a job, by its id or an unambiguous beginning of it; blocks for a moment."""

    async def page(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        before: tuple[float, str] | None = None,
        limit: int,
    ) -> Sequence[Job]:
        """Return jobs, newest first, that come after the one with that creation time and id."""

    async def unfinished(self) -> Sequence[Job]:
        """Return the unfinished jobs that no other living driver has, oldest first."""


def open_journal(path: Path | None, *, now: Callable[[], float] = time.time) -> Journal:
    """Return the journal in a file, or one in memory only for `None`. `now` tells the wall-clock time in seconds."""
    from genbridge.journal.sqlite import SqliteJournal  # noqa: PLC0415 (sqlite3 is loaded when it is used)

    return SqliteJournal(path, now=now)

"""The durable record of jobs: the only truth about what was paid for.

Writes come in this order: the job and its reservation, the intent to submit with an attempt token (committed before the POST), the
service's id, the end. Every driver of a job holds a `Lease`, and every write of a driver names it: one that was stopped
and comes back late changes nothing, except that a late answer with the right attempt token heals an `UNKNOWN` job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

from genbridge.budgets import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genbridge.budgets import Usage
    from genbridge.durations import Key, Learned, Lesson
    from genbridge.limits import Rule, Wait
    from genbridge.types import Job, JobStatus, Spent


NOT_SENT = "not_sent"
"""The code of the failure of a job that was never accepted, as far as anybody can tell; a late answer heals it."""


class Paused(StrEnum):
    """What a service asked to be left alone with."""

    SUBMITS = "submits"
    POLLS = "polls"


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

    async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
        """Record a new job with its reservation and take its lease.

        With `rules` the POST is about to be sent: unless a limit asks to wait, that is recorded with it, and the lease has the
        attempt. Returns `None` when a job of that id is on record; raises `BudgetError` when a cap would be exceeded.
        """

    async def usage(self, backend: str) -> Usage:
        """Return what counts against a backend's caps."""

    async def acquire(self, job_id: str) -> Lease | None:
        """Take an unfinished job that no other living driver has."""

    async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
        """Take a job in the same way, and return its record as it stands then, taken or not."""

    async def beat(self) -> None:
        """Say that this process's driver is alive."""

    async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Attempt | Wait | None:
        """Record that the POST is about to be sent, unless a limit asks to wait; `None` when the lease is lost.

        Raises `BudgetError` when it would exceed a cap, as one may have been lowered since the job was recorded.
        """

    async def pause(self, backend: str, seconds: float, what: Paused) -> None:
        """Let nobody submit to a backend, or poll it, for that long."""

    async def pauses(self, what: Paused) -> Mapping[str, float]:
        """Return for how many seconds more each backend is to be left alone."""

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        """Record the service's id. Heals `UNKNOWN` and `NOT_SENT`; `False` when the attempt is no longer the job's."""

    async def refused(self, attempt: Attempt) -> None:
        """Record that nothing was started; the job may be submitted again."""

    async def unknown(self, lease: Lease, job: Job) -> None:
        """Record that the POST may have been accepted, and why nobody knows."""

    async def release(self, lease: Lease) -> None:
        """Let an unfinished job go, so that any process may take it."""

    async def update(self, lease: Lease, job: Job, lessons: Sequence[Lesson] = ()) -> bool:
        """Record how far a running job is, or how it ended and what that teaches; `False` when the lease is lost."""

    async def reopen(self, job: Job) -> Lease | None:
        """Record that a job that had expired goes on, and take its lease; `None` when it is not expired any more."""

    async def refresh(self, job: Job) -> None:
        """Record a finished job's result anew, as when the service gave fresh links to the same files."""

    async def saved(self, job_id: str) -> None:
        """Record that a job's files are where they were wanted."""

    async def settle(self, lease: Lease, job: Job) -> bool:
        """Record what a person says of a job in doubt, which a late answer with the right attempt still puts right.

        Returns `False` when the lease is lost, or when another job on record has the service's id that it says.
        """

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
        """Return jobs, newest first, that come after the one with that creation time and id.

        They are `limit` where there are as many, not counting those whose record is damaged.
        """

    async def unfinished(self) -> Sequence[Job]:
        """Return the unfinished jobs that no other living driver has, oldest first."""

    async def unsaved(self) -> Sequence[Job]:
        """Return the jobs that succeeded, whose files are not yet where they were wanted, and that no other living driver has."""

    async def holder(self, backend: str, provider_id: str) -> Job | None:
        """Return the job on record that a service's id belongs to."""

    async def learned(self, key: Key) -> Learned | None:
        """Return what was learned of how long such jobs take, in seconds of the service's time."""

    async def durations(self) -> Mapping[Key, Learned]:
        """Return all that was learned of how long jobs take."""

    async def spent(self, since: float) -> Sequence[Spent]:
        """Return what jobs created since a time (seconds) have cost, by day, backend and model."""


def open_journal(path: Path | None, *, now: Callable[[], float] = time.time) -> Journal:
    """Return the journal in a file, or one in memory only for `None`. `now` tells the wall-clock time in seconds."""
    from genbridge.journal.sqlite import SqliteJournal  # noqa: PLC0415 (sqlite3 is loaded when it is used)

    return SqliteJournal(path, now=now)

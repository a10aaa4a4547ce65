"""The durable record of jobs: the only truth about what was paid for.

Writes come in this order: the job and its reservation, the intent to submit with an attempt token (committed before the POST), the
service's id, the end. Every driver of a job holds a `Lease`, and every write of a driver names it: one that was stopped
and comes back late changes nothing, except that a late answer with the right attempt token heals an `UNKNOWN` job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.errors import JournalError
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genbridge.budgets import Usage
    from genbridge.durations import Key, Learned, Lesson
    from genbridge.engine import Engine
    from genbridge.limits import Rule, Wait
    from genbridge.types import Job, Spent


NOT_SENT = "not_sent"
"""The code of the failure of a job that was never accepted, as far as anybody can tell; a late answer heals it."""


DEAD_AFTER = 30.0
"""Seconds without a sign of life after which a driver's jobs may be taken over."""


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
        """Record that nothing was started; the job may be submitted again. Heals `UNKNOWN`, as a late answer does."""

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


@runtime_checkable
class SharedJournal(Journal, Protocol):
    """A store that workers on several machines share: it gives tickets for jobs, and tells of what others change."""

    @property
    def owner(self) -> str:
        """What this process's driver is called."""

    def hurry(self) -> None:
        """Wait for a store that has gone for a moment only, as nobody waits for long any more."""

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        """Record a new job with its reservation and a ticket for a worker; `False` when a job of that id is on record.

        Raises `BudgetError` when a cap would be exceeded.
        """

    async def hand_over(self, leases: Sequence[Lease]) -> None:
        """Let unfinished jobs go, each with a ticket for whichever worker takes it."""

    async def call_for(self, job_ids: Sequence[str]) -> None:
        """Give a ticket to each of these unfinished jobs that has none and that no living driver has."""

    async def sweep(self, every: float = 0.0) -> int:
        """Give out again the tickets of dead workers, and one to each job that lacks a driver and a ticket.

        Nothing is done where somebody has in the last `every` seconds. Those in doubt that nobody looks into any more are left to a
        person. Returns how many jobs got one.
        """

    async def attention(self, job_id: str) -> Attention:
        """Return who sees to a job that has not ended."""

    async def ask_cancel(self, job_id: str) -> bool:
        """Ask whichever worker has a job to cancel it; `False` when it has ended."""

    async def cancel_asked(self, job_id: str) -> bool:
        """Whether somebody has asked to cancel a job and was not answered yet."""

    async def answer_cancel(self, job_id: str, objection: str) -> None:
        """Say why a job cannot be cancelled."""

    async def cancel_answer(self, job_id: str) -> str | None:
        """Return what was answered to the last who asked to cancel a job, if anything was."""

    def listen(self, told: Callable[[str], None], what: Heard) -> None:
        """Have `told` called on this event loop with the ids of jobs as things happen to them, until the journal is closed.

        An empty id says that something may have been missed.
        """

    async def report(self, report: Report) -> None:
        """Record how this worker is doing."""

    async def reports(self) -> Sequence[Report]:
        """Return the last reports of the workers, those of dead ones among them for a day."""

    async def counts(self) -> Counts:
        """Return how many jobs there are in each state, and what had better be looked at."""


class Attention(StrEnum):
    """Who sees to a job: a living driver has it, or a ticket for it is out or soon will be, or nobody."""

    DRIVEN = "driven"
    TICKETED = "ticketed"
    NONE = "none"


class Heard(StrEnum):
    """What can be listened to: changes of jobs, or that somebody asks to cancel one."""

    CHANGES = "changes"
    CANCELS = "cancels"


@attrs.frozen(kw_only=True)
class Report:
    """How a worker is doing. The journal says how many seconds ago it was last heard of, and whether it is known to be gone."""

    owner: str = ""
    host: str
    pid: int
    version: str
    backends: tuple[str, ...] = ()
    """Those that it drives; none for all."""
    concurrency: int
    driving: int = 0
    ended: int = 0
    draining: bool = False
    started: float = 0.0
    silent: float = 0.0
    gone: bool = False

    @property
    def alive(self) -> bool:
        """Whether it was heard of lately enough, and is not known to be gone."""
        return self.silent <= DEAD_AFTER and not self.gone

    def serves(self, backend: str) -> bool:
        """Whether it is alive and takes jobs of a backend."""
        return self.alive and not self.draining and (not self.backends or backend in self.backends)


@attrs.frozen(kw_only=True)
class Counts:
    """How many unfinished jobs are in each state; the age in seconds of the oldest that waits; jobs with no living driver."""

    jobs: Mapping[JobStatus, int]
    oldest_waiting: float | None = None
    undriven: int = 0


def need_drivers() -> None:
    """Raise `JournalError` unless what reaches databases is installed."""
    trouble = ""
    try:
        for name in ("psycopg", "procrastinate"):
            import_module(name)
    except ImportError as error:
        trouble = str(error)
    if trouble:
        raise JournalError(f'a journal in a database needs more packages ({trouble}): pip install "genbridge[distributed]"')


def open_journal(
    place: Path | DatabaseUrl | None, *, now: Callable[[], float] | None = None, engine: Engine | None = None
) -> Journal:
    """Return the journal in a file, in a database, or in memory only for `None`.

    `now` tells the wall-clock time in seconds; a database has a clock of its own. `engine` gives tickets for the jobs in a database
    to workers; without one, whoever submits a job drives it.
    """
    if isinstance(place, DatabaseUrl):
        from genbridge.seams import installed  # noqa: PLC0415 (only where there is a database)

        return installed.journal(place, engine=engine)
    from genbridge.journal.sqlite import SqliteJournal  # noqa: PLC0415 (sqlite3 is loaded when it is used)

    return SqliteJournal(place, now=now or time.time)

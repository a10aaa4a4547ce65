"""One job in this process, and what follows from what is seen of it: pure but for telling those who wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

import attrs

from genbridge.durations import Key, key_of
from genbridge.errors import (
    GenbridgeError,
    JobCancelledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    SubmitUnknownError,
)
from genbridge.polling import Seen
from genbridge.timing import Clock, Signal
from genbridge.types import AssetRole, Certainty, Cost, Job, JobStatus, Result, Snapshot

if TYPE_CHECKING:
    from genbridge.backends import Account
    from genbridge.budgets import Budget
    from genbridge.journal import Lease


_log = logging.getLogger(__name__)

Listener = Callable[[Snapshot], None]

LIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
"""What a job is that the service works on."""
PASSED = Signal(is_set=True)
"""The one set signal that all jobs share once their own was set: never cleared, and nobody waits for it."""
_EXPIRED = "waiting for it again asks once more, in case another account's key, a wrong address or an outage had it say so"


@attrs.define(eq=False)
class Drive:
    """One job in this process: its record, the last that was seen of it, and who waits."""

    job: Job
    account: Account
    budget: Budget
    """What may be spent: the backend's caps, and the caller's own for one job."""
    lease: Lease | None = None
    snapshot: Snapshot = attrs.field()
    error: GenbridgeError | None = None
    started: float = 0.0
    posted: float = 0.0
    intended: float = 0.0
    """When the record of the intent to submit was begun, by the machine's clock."""
    recorded: float = 0.0
    turn: int = -1
    """Its valid place in the heap; older places are skipped."""
    key: Key = attrs.field()
    """What the job's duration is kept by."""
    witnessed: bool = False
    """Whether this process has followed it from its submit on."""
    seen: Seen = attrs.field(factory=Seen)
    due: float = 0.0
    """When the next poll is due, in seconds since `started`."""
    until: float = inf
    """When somebody gives up waiting."""
    misses: int = 0
    missing_since: float | None = None
    expected: float | None = None
    hint: float | None = None
    notes: frozenset[str] = frozenset()
    queues: tuple[asyncio.Queue[Snapshot], ...] = ()
    listeners: tuple[Listener, ...] = ()
    accepted: Signal = attrs.field(factory=Signal)
    """Set when the service has accepted it, or nothing of it was sent."""
    ended: Signal = attrs.field(factory=Signal)
    on_record: bool = False
    """Whether a job of its id was on record already, so that nothing was sent."""
    taking: asyncio.Future[None] | None = None
    """The look at the record with which driving a job on record begins."""
    answered: Signal = PASSED
    """Set but for the time from the record of an intent to submit to that of what came of it."""
    send: bool = True
    """Whether it is sent when it was not yet; else it is only watched."""
    alone: bool = False
    """Whether no other such POST to its backend may be under way beside its own."""
    stop: Signal = attrs.field(factory=Signal)
    """Set when a job that is still waiting to be sent is cancelled."""

    @key.default
    def _key(self) -> Key:
        return key_of(self.job)

    @snapshot.default
    def _first(self) -> Snapshot:
        return snapshot_of(self.job)

    def follow(self, listen: Listener) -> None:
        """Tell somebody what is known now, and everything that is seen from now on."""
        if listen not in self.listeners:
            self.listeners += (listen,)
            self._tell_one(listen)

    def publish(self, snapshot: Snapshot) -> None:
        """Let everybody who follows the job know, unless nothing has changed."""
        if snapshot != self.snapshot:
            self._tell(snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for queue in self.queues:
            queue.put_nowait(snapshot)
        for listen in self.listeners:
            self._tell_one(listen)

    def _tell_one(self, listen: Listener) -> None:
        """Tell one listener; what it raises must not stop a job that may be paid for."""
        try:
            listen(self.snapshot)
        except Exception:  # noqa: BLE001 (whatever it raises)
            self.listeners = tuple(other for other in self.listeners if other is not listen)
            _log.exception("job %s: whoever observes it has failed, and is told no more", self.job.id)

    def answer(self) -> None:
        """Note that what came of the POST is on record."""
        self.answered.set()
        self.answered = PASSED

    def accept(self) -> None:
        """Note that the service has the job, or that nothing was sent."""
        self.accepted.set()
        self.accepted = PASSED

    async def until_accepted(self, clock: Clock, seconds: float | None) -> None:
        """Wait until the service has the job, for so many seconds or without end; raises what went wrong."""
        if seconds is None:
            await self.accepted.wait()
        elif not await self.accepted.wait_for(clock, seconds):
            raise self._overtime(seconds)
        if self.error is not None and self.job.status is not JobStatus.CANCELLED and self.job.provider_id is None:
            raise self.error

    async def until_ended(self, clock: Clock, seconds: float) -> None:
        """Wait until the job has ended, for so many seconds; raises `JobTimeoutError`."""
        if not await self.ended.wait_for(clock, seconds):
            raise self._overtime(seconds)

    def _overtime(self, seconds: float) -> JobTimeoutError:
        note = f" ({self.snapshot.note})" if self.snapshot.note else ""
        return JobTimeoutError(
            f"job {self.job.id} on backend {self.job.backend!r} is {self.job.status} after {seconds:g} s{note}; it goes on: "
            "wait again, or collect it later by its id",
            job=self.job,
        )

    def end(self, error: GenbridgeError | None) -> None:
        """Nothing more will happen here; `error` is for those who wait for the result."""
        self.error = error
        self.answer()
        self.accept()
        self.ended.set()
        self._tell(attrs.evolve(self.snapshot, status=self.job.status))


def snapshot_of(job: Job) -> Snapshot:
    """Return what the record says of a job."""
    return Snapshot(
        status=job.status,
        provider_id=job.provider_id,
        assets=job.result.assets if job.result else (),
        failure=job.failure,
        cost=job.cost,
        progress=job.progress,
    )


def outcome(job: Job) -> JobError | None:
    """Return the error that an ended job's result is, or `None` for one that succeeded."""
    where = f"job {job.id} on backend {job.backend!r}"
    reason = job.failure.message if job.failure else "no reason was given"
    match job.status:
        case JobStatus.FAILED:
            return JobFailedError(f"{where} failed: {reason}", job=job)
        case JobStatus.CANCELLED:
            return JobCancelledError(f"{where} was cancelled", job=job)
        case JobStatus.EXPIRED:
            return JobExpiredError(f"{where} is no longer known to the service; {_EXPIRED}", job=job)
        case JobStatus.UNKNOWN:
            return in_doubt(job)
    return None


def in_doubt(job: Job) -> SubmitUnknownError:
    """Return the error that says what is known of a submit whose outcome nobody knows."""
    reason = job.failure.message if job.failure else "the request is still under way"
    return SubmitUnknownError(
        f"job {job.id} on backend {job.backend!r} may have been accepted and may be billed ({reason}); it is on record and is not "
        "sent again. `genbridge jobs resume`, in a few minutes, asks the service where it can; else look at the service's own "
        "site, and say what you found with `genbridge jobs reconcile`",
        job=job,
    )


def mishap(job: Job, error: Exception) -> GenbridgeError:
    """Return the error that says that a bug of ours has ended the wait for a job."""
    return GenbridgeError(
        f"job {job.id}: a bug in genbridge ({type(error).__name__}); the job is on record: pick it up by its id, "
        "and please report the traceback that is in the log"
    )


def sober(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot that makes sense: not done without a file, and never a state that is the journal's own."""
    if snapshot.status in LIVE:
        return snapshot
    if snapshot.status is JobStatus.SUCCEEDED and not any(asset.role is AssetRole.OUTPUT for asset in snapshot.assets):
        return attrs.evolve(
            snapshot, status=JobStatus.RUNNING, note=snapshot.note or "the service says done, but names no file yet"
        )
    if snapshot.status in {JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.UNKNOWN}:
        return attrs.evolve(snapshot, status=JobStatus.QUEUED)
    return snapshot


def nothing(job: Job, basis: str) -> Cost:
    """Return the cost of a job that costs nothing, and why."""
    return Cost(amount=0, unit=job.quote.unit, basis=basis)


def withdrawn(job: Job, now: datetime) -> Job:
    """Return a job as it ends that is cancelled before it was sent."""
    return attrs.evolve(job, status=JobStatus.CANCELLED, finished_at=now, cost=nothing(job, "it was never sent"))


def settled(job: Job, snapshot: Snapshot) -> Cost:
    """Return what an ended job cost, as far as it is known."""
    charged = snapshot.cost or job.cost
    if snapshot.status is not JobStatus.SUCCEEDED and snapshot.refunded:
        return nothing(job, f"refunded {charged or job.quote}")
    if charged is not None:
        return charged
    quote = job.quote
    if snapshot.status is JobStatus.SUCCEEDED:
        return Cost(amount=quote.amount, unit=quote.unit, certainty=quote.certainty, basis=quote.basis)
    certainty = Certainty.UNKNOWN if quote.amount is None else Certainty.ESTIMATED
    basis = "as quoted; the service does not say whether such a job is billed"
    return Cost(amount=quote.amount, unit=quote.unit, certainty=certainty, basis=basis)


def reopened(job: Job, snapshot: Snapshot) -> Job:
    """Return a job that had expired as it goes on, now that the service knows it; what was only presumed of its cost is dropped."""
    presumed = settled(attrs.evolve(job, cost=None), Snapshot(status=job.status))
    status = snapshot.status if snapshot.status in LIVE else JobStatus.RUNNING
    cost = None if job.cost == presumed else job.cost
    return attrs.evolve(job, status=status, finished_at=None, failure=None, cost=cost, progress=snapshot.progress)


def result_of(job: Job, snapshot: Snapshot, cost: Cost) -> Result:
    """Return what a job that succeeded has produced."""
    return Result(
        job_id=job.id,
        backend=job.backend,
        provider=job.provider,
        model=job.model,
        request=job.request,
        assets=snapshot.assets,
        cost=cost,
        created_at=job.created_at,
        finished_at=job.finished_at or job.created_at,
        aspect_ratio=snapshot.aspect_ratio,
    )


def never_started(job: Job) -> bool:
    """Whether a job has ended without anything having been started by it, so that sending it anew pays nothing twice."""
    failed = job.status in {JobStatus.FAILED, JobStatus.CANCELLED}
    return failed and job.provider_id is None and job.cost is not None and job.cost.amount == 0

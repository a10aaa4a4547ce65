"""Whatever may become of the jobs in a journal, a step at a time."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from genbridge import Cost, Failure, Job, JobStatus
from genbridge.budgets import Budget
from genbridge.journal import NOT_SENT, Attempt, Lease
from genbridge.journal.sql import SqlJournal

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)


class Walk:
    """One journal, and what its jobs are known to be."""

    def __init__(self, journal: SqlJournal) -> None:
        self.journal = journal
        self.jobs: dict[str, Job] = {}
        self.leases: dict[str, Lease] = {}
        self.attempts: dict[str, Attempt] = {}

    async def add(self, job: Job) -> None:
        """Record a job."""
        lease = await self.journal.add(job, Budget())
        assert lease is not None
        self.jobs[job.id], self.leases[job.id] = job, lease
        self.attempts[job.id] = Attempt(job.id, "none yet")

    async def step(self, job_id: str, name: str, cost: Cost) -> None:
        """Let something happen to a job, as far as its state on record allows it."""
        job, lease, attempt = self.jobs[job_id], self.leases[job_id], self.attempts[job_id]
        ended = attrs.evolve(job, finished_at=NOON, cost=cost)
        free = attrs.evolve(ended, cost=Cost(amount=0))
        match name:
            case "begin":
                begun = await self.journal.begin_submit(lease, [])
                self.attempts[job_id] = begun if isinstance(begun, Attempt) else attempt
            case "unknown":
                await self.journal.unknown(lease, attrs.evolve(job, failure=Failure(message="lost")))
            case "accepted":
                charged = cost if cost.amount else None
                await self.journal.submitted(attempt, attrs.evolve(job, status=JobStatus.QUEUED, provider_id="p", cost=charged))
            case "progress":
                await self.journal.update(lease, attrs.evolve(job, status=JobStatus.RUNNING, progress=0.5))
            case "done":
                await self.journal.update(lease, attrs.evolve(ended, status=JobStatus.SUCCEEDED))
            case "refunded":
                await self.journal.update(lease, attrs.evolve(free, status=JobStatus.CANCELLED))
            case "not_sent":
                failure = Failure(message="it was looked for", code=NOT_SENT)
                await self.journal.settle(lease, attrs.evolve(free, status=JobStatus.FAILED, failure=failure))
            case "adopted":
                await self.journal.settle(lease, attrs.evolve(job, status=JobStatus.QUEUED, provider_id="found"))
            case _:
                await self.journal._store.do(lambda db: db.execute("delete from jobs where id = ?", (job_id,)))

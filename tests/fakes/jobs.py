"""Jobs as a journal's tests record them, and the clock that they set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from genbridge import Asset, Cost, Job, JobStatus, Media, Quote, Reference, Result, VideoRequest
from genbridge.budgets import Budget
from genbridge.journal import Attempt, Journal, Lease

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUEST = VideoRequest(
    "a fox",
    model="seedance-2.0",
    duration=5,
    references=[
        Reference(Path("fox.png"), role="first_frame"),
        Reference("https://example.com/a.mp4", role="extend", duration=2.5),
    ],
    options={"tier": "pro", "nested": {"a": [1, None, True]}},
)


class WallClock:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        self.seconds = NOON.timestamp()

    def __call__(self) -> float:
        return self.seconds


def a_job(number: int = 1, **changes: Any) -> Job:
    """Return a job that has not been sent."""
    job = Job(
        id=f"job-{number}",
        key=f"key-{number}",
        backend="studio",
        provider="meigen",
        model="seedance-2.0",
        provider_model="seedance-2-0",
        request=REQUEST,
        status=JobStatus.PENDING,
        quote=Quote(amount=100.0, model="seedance-2.0"),
        created_at=NOON + timedelta(seconds=number),
    )
    return attrs.evolve(job, **changes)


def ended(job: Job, **changes: Any) -> Job:
    """Return a job that has succeeded."""
    cost = Cost(amount=90.0)
    asset = Asset(url="https://files.example/a.mp4", media=Media.VIDEO, duration=5.0)
    result = Result(
        job_id=job.id,
        backend=job.backend,
        provider=job.provider,
        model=job.model,
        request=job.request,
        assets=(asset,),
        cost=cost,
        created_at=job.created_at,
        finished_at=NOON,
    )
    done = attrs.evolve(job, status=JobStatus.SUCCEEDED, provider_id="p1", finished_at=NOON, cost=cost, result=result)
    return attrs.evolve(done, **changes)


async def begun(journal: Journal, job: Job) -> tuple[Lease, Attempt]:
    """Record a job and the intent to submit it."""
    lease = await journal.add(job, Budget())
    assert lease is not None
    attempt = await journal.begin_submit(lease, [])
    assert isinstance(attempt, Attempt)
    return lease, attempt

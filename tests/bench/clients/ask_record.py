"""A bare POST on a connection of its own, and the writes of genbridge's journal that put it and its end on record.

Of the end no result and no cost are recorded, as there is none that was read.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from ask_aiohttp import Calls
from attrs import evolve

from genbridge import VideoRequest, __version__
from genbridge.budgets import Budget
from genbridge.journal import Lease, open_journal
from genbridge.types import Job, JobStatus, Quote

VERSION = __version__
_REQUEST = VideoRequest("a fox", model="seedance-2.0")


class Way:
    """Nothing is checked, mapped, limited or followed."""

    def __init__(self, port: int, _word: str, _interval: float | None, folder: Path) -> None:
        self._calls = Calls(port, "fresh")
        self._journal = open_journal(folder / "jobs.db")

    async def open(self) -> None:
        """Open the journal."""
        await self._journal.open()

    async def submit(self) -> tuple[Lease, Job]:
        """Record a job with the intent to send it, send it, and record what the service calls it."""
        job = Job(
            id=uuid4().hex,
            key=str(uuid4()),
            backend="main",
            provider="imini",
            model="seedance-2.0",
            provider_model="doubao/seedance-2.0",
            request=_REQUEST,
            status=JobStatus.PENDING,
            quote=Quote(amount=None),
            created_at=datetime.now(UTC),
        )
        lease = await self._journal.add(job, Budget(), ())
        if lease is None or lease.attempt is None:
            raise RuntimeError("the intent is not on record")
        accepted = evolve(job, status=JobStatus.QUEUED, provider_id=await self._calls.submit())
        if not await self._journal.submitted(lease.attempt, accepted):
            raise RuntimeError("the service's id is not on record")
        return lease, accepted

    async def complete(self) -> None:
        """Do that, ask for the job until it is done, and record its end."""
        lease, job = await self.submit()
        while not await self._calls.poll(str(job.provider_id)):
            await asyncio.sleep(0)
        if not await self._journal.update(lease, evolve(job, status=JobStatus.SUCCEEDED, finished_at=datetime.now(UTC))):
            raise RuntimeError("the end is not on record")

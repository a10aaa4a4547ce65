"""A job in doubt, settled by a person who has looked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping

import attrs

from genbridge.backends import Account
from genbridge.drives import Drive, nothing, outcome
from genbridge.errors import GenbridgeError, JobError, JournalError, NotFoundError, Problem, RequestError
from genbridge.journal import NOT_SENT, Journal, Lease
from genbridge.timing import Clock
from genbridge.types import Failure, Job, JobStatus


class Doubts:
    """Records what a person found out about a submit. `drives` are the jobs of this process; one that is settled leaves them."""

    def __init__(
        self, journal: Journal, account: Callable[[str, str], Account], clock: Clock, drives: MutableMapping[str, Drive]
    ) -> None:
        self._journal = journal
        self._account = account
        self._clock = clock
        self._drives = drives

    async def not_sent(self, job: Job) -> Job:
        """Record that a submit in doubt never arrived, as somebody says who has looked, and release what it reserves."""
        lease, job = await self._doubtful(job)
        failure = Failure(message="it was looked for at the service and not found; it can be submitted again", code=NOT_SENT)
        cost = nothing(job, "it was never accepted")
        job = attrs.evolve(job, status=JobStatus.FAILED, finished_at=self._clock.now(), cost=cost, failure=failure)
        await self._settle(lease, job)
        return job

    async def adopt(self, job: Job, provider_id: str) -> tuple[Lease, Job]:
        """Record the service's id of a job in doubt, as somebody found it there, once the service says that it knows it.

        Returns the job as it goes on, and the lease that it was taken with.
        """
        if not provider_id.strip():
            problem = Problem("provider_id", f"{provider_id!r} is no id; give the one that the service shows")
            raise RequestError(f"job {job.id} cannot be attached", problems=[problem])
        await self._check_holder(job, provider_id)
        lease, job = await self._doubtful(job)
        found = attrs.evolve(job, status=JobStatus.QUEUED, provider_id=provider_id, submitted_at=job.created_at, failure=None)
        try:
            await self._account(job.backend, job.provider).poll(found)
        except GenbridgeError as error:
            await self._journal.release(lease)
            if not isinstance(error, NotFoundError):
                raise
            where = f"backend {job.backend!r} has no job of this id; look again, nothing was changed"
            raise RequestError(f"job {job.id} cannot be attached", problems=[Problem("provider_id", where)]) from None
        await self._settle(lease, found)
        return lease, found

    async def _doubtful(self, job: Job) -> tuple[Lease, Job]:
        """Take a job that is in doubt; raises `JobError` when it is not, and `JournalError` when it is being driven."""
        drive = self._drives.get(job.id)
        if drive is not None and drive.taking is not None:
            await asyncio.shield(drive.taking)
        job = await self._journal.get(job.id) or job
        if job.status not in {JobStatus.UNKNOWN, JobStatus.SUBMITTING}:
            raise JobError(f"job {job.id} is not in doubt: it is {job.status}; nothing was changed", job=job)
        lease = None if drive is not None and not drive.answered.is_set() else await self._journal.acquire(job.id)
        if lease is None:
            raise _busy(job)
        return lease, job

    async def _check_holder(self, job: Job, provider_id: str) -> None:
        """Raise `RequestError` when another job on record has a service's id."""
        holder = await self._journal.holder(job.backend, provider_id)
        if holder is not None:
            where = f"job {holder.id} on record has this id on backend {job.backend!r}; look for another"
            raise RequestError(f"job {job.id} cannot be attached", problems=[Problem("provider_id", where)])

    async def _settle(self, lease: Lease, job: Job) -> None:
        """Record what a person says of a job in doubt, and let whoever still looks into it go."""
        if not await self._journal.settle(lease, job):
            await self._journal.release(lease)
            if job.provider_id is not None:
                await self._check_holder(job, job.provider_id)
            raise _busy(job)
        if drive := self._drives.pop(job.id, None):
            drive.end(
                outcome(job) or JobError(f"job {job.id} was given the service's id {job.provider_id!r}; wait for it again", job=job)
            )


def _busy(job: Job) -> JournalError:
    return JournalError(f"job {job.id} is being driven; nothing was changed. Wait until that has ended, or stop it")

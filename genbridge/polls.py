"""What is seen of a job that the service has, until its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from math import inf

import attrs

from genbridge.agenda import Agenda
from genbridge.drives import LIVE, Drive, reopened, result_of, settled, snapshot_of, sober
from genbridge.durations import Key
from genbridge.errors import GenbridgeError, JournalError, NotFoundError, RateLimitError, ServiceError
from genbridge.experience import Experience
from genbridge.journal import Journal, Lease, Paused
from genbridge.timing import Clock
from genbridge.types import Failure, Job, JobStatus, Snapshot
from genbridge.writer import Writer

_log = logging.getLogger(__name__)

_LONGEST_QUIET = 900.0
"""The most seconds until the next poll, whatever the service asks for."""
_PROGRESS = 30.0
"""Seconds between two records of a job's progress."""


class Polls:
    """Asks how jobs are doing, records what changes, and ends them by `end`; one that another process took over goes to `lose`."""

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        agenda: Agenda,
        clock: Clock,
        *,
        end: Callable[[Drive], None],
        lose: Callable[[Drive], None],
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._agenda = agenda
        self._clock = clock
        self._end = end
        self.lose = lose
        self.experience = Experience(journal, clock)
        self._quiet: dict[str, float] = {}

    async def ask(self, drive: Drive) -> None:
        """Poll a job whose time has come."""
        until = self._quiet.get(drive.job.backend)
        if until is not None and (quiet := until - self._clock.monotonic()) > 0:
            drive.publish(attrs.evolve(drive.snapshot, note=f"left alone for {quiet:.0f} s, as the service asked"))
            self._agenda.put(drive, quiet + self._clock.chance() * drive.account.poll_policy.interval)
            return
        try:
            snapshot = await drive.account.poll(drive.job)
        except GenbridgeError as error:
            if not drive.ended.is_set():
                await self._missed(drive, error)
            return
        if not drive.ended.is_set():  # as by a cancel meanwhile
            drive.misses, drive.missing_since = 0, None
            await self.observe(drive, snapshot)

    async def _missed(self, drive: Drive, error: GenbridgeError) -> None:
        """Take a failed poll as a missed one, unless the service keeps saying that it has no such job."""
        drive.misses += 1
        drive.seen.miss()
        drive.hint = error.retry_after if isinstance(error, ServiceError) else None
        if isinstance(error, RateLimitError) and error.retry_after:
            seconds = min(error.retry_after, _LONGEST_QUIET)
            self._keep_quiet(drive.job.backend, seconds)
            with suppress(JournalError):
                await self._journal.pause(drive.job.backend, seconds, Paused.POLLS)
        level = logging.WARNING if drive.misses in {1, 5} or drive.misses % 50 == 0 else logging.DEBUG
        _log.log(level, "job %s could not be polled (%d in a row): %s", drive.job.id, drive.misses, error)
        now = self._clock.monotonic()
        if not isinstance(error, NotFoundError):
            drive.missing_since = None
        elif drive.missing_since is None:
            drive.missing_since = now
        elif now - max(drive.missing_since, drive.started) >= drive.account.poll_policy.grace:
            await self.finish(drive, Snapshot(status=JobStatus.EXPIRED, failure=Failure(message=error.message)))
            return
        drive.publish(attrs.evolve(drive.snapshot, note=str(error)))
        self._schedule_poll(drive)

    # "Too many", said to a poll.

    async def hear_of_pauses(self) -> None:
        """Leave alone what another process was asked to leave alone."""
        with suppress(JournalError):
            for backend, seconds in (await self._journal.pauses(Paused.POLLS)).items():
                self._keep_quiet(backend, seconds)

    def _keep_quiet(self, backend: str, seconds: float) -> None:
        self._quiet[backend] = max(self._quiet.get(backend, 0.0), self._clock.monotonic() + seconds)

    # What was seen.

    async def observe(self, drive: Drive, snapshot: Snapshot) -> None:
        """Take in what the service says of a job."""
        snapshot = sober(snapshot)
        if snapshot.note and snapshot.note not in drive.notes:
            drive.notes |= {snapshot.note}
            _log.warning("job %s on backend %r: %s", drive.job.id, drive.job.backend, snapshot.note)
        if snapshot.status.terminal:
            await self.finish(drive, snapshot)
            return
        changed = snapshot.status is not drive.job.status
        cost = snapshot.cost or drive.job.cost
        if changed or snapshot.progress != drive.job.progress or cost != drive.job.cost:
            drive.job = attrs.evolve(drive.job, status=snapshot.status, progress=snapshot.progress, cost=cost)
        drive.publish(snapshot if snapshot.cost == cost else attrs.evolve(snapshot, cost=cost))
        drive.hint = snapshot.poll_after
        drive.expected = snapshot.expected or drive.expected
        key = self._noted(drive, snapshot)
        if key is not None and not self.experience.is_fresh(key):
            await self.experience.recall(key)
        if changed or drive.job.progress is not None:
            await self._record_progress(drive, changed=changed)
        if drive.lease is not None:
            self._schedule_poll(drive)

    def _noted(self, drive: Drive, snapshot: Snapshot) -> Key | None:
        """Note what an answer says of when the job will be done; return the key of what is to be read for it, if any."""
        if not drive.due:
            return drive.key
        elapsed = self._clock.monotonic() - drive.started
        drive.seen.note(elapsed, snapshot.progress, queued=snapshot.status is JobStatus.QUEUED)
        return None if drive.seen.began is None else drive.key.running

    async def _record_progress(self, drive: Drive, *, changed: bool) -> None:
        now = self._clock.monotonic()
        moved = drive.job.progress is not None and now - drive.recorded >= _PROGRESS
        if drive.lease is None or not (changed or moved):
            return
        drive.recorded = now
        if await self._writer.write(self._journal.update, drive.lease, drive.job) is False:
            self.lose(drive)

    def _schedule_poll(self, drive: Drive) -> None:
        now = self._clock.monotonic()
        policy = drive.account.poll_policy
        delay = policy.delay(
            elapsed=now - drive.started,
            seen=drive.seen,
            learned=None if policy.fixed else self.experience.learned(drive) or self.experience.guessed(drive),
            running=None if policy.fixed else self.experience.running(drive),
            hint=None if drive.hint is None else min(drive.hint, _LONGEST_QUIET),
            misses=drive.misses,
            left=drive.until - now,
            chance=self._clock.chance(),
        )
        drive.due = now - drive.started + delay
        self._agenda.put(drive, delay)

    def wanted_within(self, drive: Drive, seconds: float) -> None:
        """Ask once more before somebody gives up waiting, in so many seconds."""
        now = self._clock.monotonic()
        drive.until = min(drive.until if drive.until > now else inf, now + seconds)
        if drive.lease is None or drive.job.status not in LIVE or drive.misses or drive.hint:
            return
        sooner = drive.account.poll_policy.sooner(elapsed=now - drive.started, seen=drive.seen, due=drive.due, left=seconds)
        if sooner is not None:
            drive.due = now - drive.started + sooner
            self._agenda.put(drive, sooner)

    # The end.

    async def finish(self, drive: Drive, snapshot: Snapshot) -> None:
        """Record the end of a job, with what it made and what it cost."""
        now = self._clock.now()
        cost = settled(drive.job, snapshot)
        job = attrs.evolve(
            drive.job, status=snapshot.status, finished_at=now, cost=cost, failure=snapshot.failure, progress=snapshot.progress
        )
        if snapshot.status is JobStatus.SUCCEEDED:
            job = attrs.evolve(job, result=result_of(job, snapshot, cost), failure=None)
        drive.job = job
        drive.snapshot = attrs.evolve(snapshot, cost=cost)
        if drive.lease is not None:
            await self._record_end(drive, drive.lease, job)
        self._end(drive)

    async def _record_end(self, drive: Drive, lease: Lease, job: Job) -> None:
        """Record the end of a job, with what it teaches of how long such jobs take."""
        lessons = self.experience.lessons(drive) if job.status is JobStatus.SUCCEEDED else ()
        if await self._writer.write(self._journal.update, lease, job, lessons) is False:
            drive.lease = await self._reclaimed(job)
            return
        for lesson in lessons:
            self.experience.take(lesson)

    async def _reclaimed(self, job: Job) -> Lease | None:
        """Record an end that the lost lease could not, unless somebody drives the job now; that it never arrived is no such end.

        Returns the lease that it was recorded by.
        """
        if job.provider_id is None:
            return None
        with suppress(JournalError):
            lease = await self._journal.acquire(job.id)
            if lease is not None and await self._journal.update(lease, job):
                return lease
        _log.warning("job %s was taken over by another process, which records its end", job.id)
        return None


async def ask_again(journal: Journal, drive: Drive) -> None:
    """Poll a job that has expired once more, and take it where the service knows it after all."""
    try:
        snapshot = sober(await drive.account.poll(drive.job))
    except GenbridgeError as error:
        _log.info("job %s has expired, and was asked for again in vain: %s", drive.job.id, error)
        return
    if snapshot.status is JobStatus.EXPIRED:
        return
    _log.warning("job %s had expired, and the service knows it all the same", drive.job.id)
    job = reopened(drive.job, snapshot)
    drive.lease = await journal.reopen(job)
    drive.job = await journal.get(job.id) or job
    drive.misses, drive.missing_since = 0, None
    drive.publish(snapshot_of(drive.job))

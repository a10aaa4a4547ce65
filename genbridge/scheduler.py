"""Drives every job: one loop, a heap of times at which to ask, and the path of a submit.

The order of writes is the promise: intent and attempt token are committed before the POST, the service's id before the first poll.
A submit whose outcome nobody knows is looked up where the service can, and never sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

import attrs

from genbridge.backends import Account
from genbridge.budgets import Budget
from genbridge.drives import Drive, in_doubt, nothing, outcome, result_of, settled, snapshot_of, sober
from genbridge.errors import (
    BackendError,
    CancelUnsupportedError,
    GenbridgeError,
    JobError,
    JobTimeoutError,
    JournalError,
    NotFoundError,
    Problem,
    RateLimitError,
    RequestError,
    ServiceError,
)
from genbridge.journal import NOT_SENT, Attempt, Journal, Lease, Paused
from genbridge.limits import Wait
from genbridge.timing import Clock, wait_for
from genbridge.types import Failure, Job, JobStatus, Snapshot, Verdict

_log = logging.getLogger(__name__)

T = TypeVar("T")

_BEAT = 5.0
_WATCH = 1.0
"""Seconds between two looks at a job that another process drives."""
_PROGRESS = 30.0
"""Seconds between two records of a job's progress."""
_RETRY_PAUSES = (0.5, 1.0, 2.0)
"""Waits, in seconds, before a submit that was certainly not sent is tried again."""
_RATE_PAUSE = 5.0
_LOOK_UPS = (0.0, 2.0, 8.0, 30.0, 85.0)
"""Waits, in seconds, before each look-up of an ambiguous submit."""
_QUICK_LOOK_UPS = 3
"""How many look-ups a caller of `submit` waits for; the rest are for whoever picks the job up later."""
_PROOF_AGE = 120.0
"""Seconds since the POST, or since it was found on record, after which "no such job" is believed.

A look-up made sooner may have overtaken the POST. They are counted by a clock that cannot jump, so a process that did not see the
POST itself counts from when it took the job.
"""
_JOURNAL_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0)
_CLOSING = 95.0
"""Seconds that closing waits for the answer to a POST under way: as long as the transport does."""
_HURRIED = 5.0
"""The same when the program is interrupted or fails."""
Listener = Callable[[Snapshot], None] | None
_LIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class Scheduler:
    """Submits and polls all jobs of one client."""

    def __init__(self, journal: Journal, account: Callable[[str, str], Account], clock: Clock) -> None:
        self._journal = journal
        self._account = account
        self._clock = clock
        self._drives: dict[str, Drive] = {}
        self._heap: list[tuple[float, int, Drive]] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}
        self._quiet: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = _CLOSING
        self._closed = False
        self._unsaved: list[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = []

    def start(self) -> None:
        """Begin to drive."""
        self._spawn(self._run())
        self._spawn(self._beat())

    def hurry(self) -> None:
        """Wait for the answer to a POST under way for a few seconds only when closing."""
        self._closing = _HURRIED

    async def aclose(self) -> None:
        """Stop driving, once what was answered to a POST under way is recorded. Jobs go on at their services, and on record."""
        self._closed = True
        try:
            await self._await_answers()
        finally:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            for drive in list(self._drives.values()):
                drive.end(JournalError(f"the client was closed; job {drive.job.id} is on record: pick it up by its id"))
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._save_unsaved()

    async def _await_answers(self) -> None:
        deadline = self._clock.monotonic() + self._closing
        while under_way := [drive for drive in self._drives.values() if not drive.answered.is_set()]:
            for drive in under_way:
                await self._await_answer(drive, deadline)

    async def _await_answer(self, drive: Drive, deadline: float) -> None:
        """Wait until what came of a POST is on record; when it takes too long, that is recorded."""
        if await wait_for(self._clock, drive.answered, deadline - self._clock.monotonic()):
            return
        drive.answered.set()
        if drive.lease is not None:
            failure = Failure(message="the program stopped waiting for the answer")
            await self._record(self._journal.unknown, drive.lease, attrs.evolve(drive.job, failure=failure))

    # What the client asks for.

    async def submit(self, job: Job, account: Account, budget: Budget, *, patience: float, listen: Listener) -> Drive | None:
        """Record a job, submit it and return when the service has accepted it; raises what went wrong.

        Returns `None` when a job of that id is on record already. `listen` is told of everything that is seen of the job. Whoever
        gives up waiting does not stop the job.
        """
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            drive = self._drives[job.id] = Drive(job=job, account=account, listeners=[listen] if listen else [])
            self._spawn(self._guard(drive, self._begin, drive, budget, patience))
        await drive.accepted.wait()
        if drive.on_record:
            return None
        if drive.error is not None and drive.job.status is not JobStatus.CANCELLED and drive.job.provider_id is None:
            raise drive.error
        return drive

    async def attach(self, job: Job) -> Drive:
        """Drive a job on record to its end, or watch it while another process does."""
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            drive = self._drives[job.id] = Drive(job=job, account=self._account(job.backend, job.provider))
            drive.taking = self._task(self._take_first(drive))
        if drive.taking is not None:
            await asyncio.shield(drive.taking)
        return drive

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the client is closed; open another to go on with its jobs")

    async def _take_first(self, drive: Drive) -> None:
        try:
            await self._take(drive)
        except BaseException:
            self._drives.pop(drive.job.id, None)
            raise

    async def cancel(self, drive: Drive) -> None:
        """Stop a job; raises `CancelUnsupportedError` where the service has no way to."""
        if drive.job.status.terminal:
            return
        if drive.job.status is JobStatus.PENDING and drive.lease is None:
            raise CancelUnsupportedError(f"job {drive.job.id} is about to be sent by another process; stop that one", job=drive.job)
        if drive.job.status is JobStatus.PENDING:
            drive.stop.set()
            await drive.ended.wait()
            return
        if drive.job.provider_id is None:
            raise in_doubt(drive.job)
        if not drive.account.plugin.supports("cancel"):
            raise CancelUnsupportedError(
                f"{drive.account.provider.title or drive.account.provider.name} has no way to cancel; job {drive.job.id} goes on "
                "and will be billed",
                job=drive.job,
            )
        await self._observe(drive, await drive.account.cancel(drive.job))

    # Taking a job over.

    async def _take(self, drive: Drive) -> None:
        if drive.job.status.terminal:
            self._end(drive)
            return
        drive.lease = await self._journal.acquire(drive.job.id)
        drive.job = await self._journal.get(drive.job.id) or drive.job
        drive.started = self._clock.monotonic() - self._age(drive.job)
        drive.posted = self._clock.monotonic()
        if drive.job.status.terminal:
            self._end(drive)
        elif drive.lease is None:
            self._schedule(drive, _WATCH)
        elif drive.job.status in _LIVE:
            drive.accepted.set()
            self._schedule(drive, self._clock.chance())
        elif drive.job.status is JobStatus.PENDING:
            self._spawn(self._guard(drive, self._submit, drive, drive.account.config.patience))
        else:
            self._spawn(self._guard(drive, partial(self._resolve, patient=True), drive))

    def _age(self, job: Job) -> float:
        since = job.submitted_at or job.created_at
        return max(0.0, (self._clock.now() - since).total_seconds())

    async def _watch(self, drive: Drive) -> None:
        """Follow what another process records of a job, and take it over when that process has gone."""
        known = drive.job
        try:
            await self._take(drive)
        except JournalError as error:
            _log.warning("job %s cannot be looked up now: %s", drive.job.id, error)
            self._schedule(drive, _WATCH)
        if drive.lease is None and drive.job != known:
            drive.publish(snapshot_of(drive.job))

    # The submit.

    async def _begin(self, drive: Drive, budget: Budget, patience: float) -> None:
        drive.lease = await self._journal.add(drive.job, budget)
        if drive.lease is not None:
            await self._submit(drive, patience)
            return
        drive.on_record = True
        self._drives.pop(drive.job.id, None)
        drive.end(None)

    async def _submit(self, drive: Drive, patience: float) -> None:
        """Send a job, again as long as it was certainly not accepted and `patience` (seconds) lasts."""
        account, job = drive.account, drive.job
        request = await account.upload(job.request, job.provider_model)
        for tries in count():
            attempt = await self._admit(drive)
            if attempt is None:
                return
            try:
                snapshot = await account.submit(job, request)
            except GenbridgeError as error:
                if isinstance(error, BackendError) and error.verdict is Verdict.UNKNOWN:
                    await self._doubt(drive, attempt, error)
                    return
                await self._record(self._journal.refused, attempt)
                drive.answered.set()
                pause = _pause(error, tries)
                if pause is None or pause > patience:
                    raise
                patience -= pause
                await self._hold(drive, error, pause)
            else:
                await self._accept(drive, attempt, snapshot)
                return

    async def _admit(self, drive: Drive) -> Attempt | None:
        """Wait until the limits allow a submit and record the intent; `None` when the job was stopped or taken over meanwhile."""
        if drive.lease is None:
            return None
        async with self._turns.setdefault((drive.job.backend, drive.job.model), asyncio.Lock()):
            while not drive.stop.is_set():
                if self._closed:
                    return None
                answer = await self._begin_submit(drive, drive.lease)
                if not isinstance(answer, Wait):
                    self._began(drive, answer)
                    return answer
                drive.publish(Snapshot(status=JobStatus.PENDING, note=f"waiting {answer.seconds:.0f} s: {answer.reason}"))
                await wait_for(self._clock, drive.stop, answer.seconds)
        await self._finish(drive, Snapshot(status=JobStatus.CANCELLED, cost=nothing(drive.job, "it was never sent")))
        return None

    async def _begin_submit(self, drive: Drive, lease: Lease) -> Attempt | Wait | None:
        """Record the intent; from here on closing waits until what came of it is on record."""
        drive.answered.clear()
        answer: Attempt | Wait | None = None
        try:
            answer = await self._journal.begin_submit(lease, drive.account.rules(drive.job))
        finally:
            if not isinstance(answer, Attempt):
                drive.answered.set()
        return answer

    def _began(self, drive: Drive, attempt: Attempt | None) -> None:
        if attempt is None:
            self._lose(drive)
            return
        drive.posted = self._clock.monotonic()
        drive.job = attrs.evolve(drive.job, status=JobStatus.SUBMITTING)
        drive.publish(Snapshot(status=JobStatus.SUBMITTING))

    async def _hold(self, drive: Drive, error: GenbridgeError, pause: float) -> None:
        """Wait before a submit is tried again; a service that said "too many" is left alone by everybody."""
        _log.info("job %s: %s; trying again in %.1f s", drive.job.id, error, pause)
        drive.job = attrs.evolve(drive.job, status=JobStatus.PENDING)
        drive.publish(Snapshot(status=JobStatus.PENDING, note=f"waiting {pause:.0f} s: {error}"))
        if isinstance(error, RateLimitError):
            await self._record(self._journal.pause, drive.job.backend, pause, Paused.SUBMITS)
        await wait_for(self._clock, drive.stop, pause)

    async def _accept(self, drive: Drive, attempt: Attempt, snapshot: Snapshot) -> None:
        """Record the service's id, then begin to poll."""
        now = self._clock.now()
        status = snapshot.status if snapshot.status in _LIVE else JobStatus.RUNNING
        job = attrs.evolve(
            drive.job, status=status, provider_id=snapshot.provider_id, submitted_at=now, cost=snapshot.cost, failure=None
        )
        drive.job = job
        drive.started = drive.recorded = self._clock.monotonic()
        if await self._record(self._journal.submitted, attempt, job) is False:
            _log.warning("job %s was resolved by somebody else; the service's id of this submit is %s", job.id, job.provider_id)
        drive.answered.set()
        drive.accepted.set()
        await self._observe(drive, snapshot)

    # A submit in doubt.

    async def _doubt(self, drive: Drive, attempt: Attempt, error: BackendError) -> None:
        _log.warning("job %s may have been accepted: %s", drive.job.id, error)
        drive.job = attrs.evolve(drive.job, status=JobStatus.UNKNOWN, failure=Failure(message=error.message))
        drive.lease = attrs.evolve(drive.lease, attempt=attempt) if drive.lease else None
        drive.publish(snapshot_of(drive.job))
        await self._resolve(drive, patient=False)

    async def _resolve(self, drive: Drive, *, patient: bool) -> None:
        """Find out what became of an ambiguous submit, by the service's own look-up and by nothing else."""
        lease = drive.lease
        if lease is None:
            return
        if drive.job.status is not JobStatus.UNKNOWN:
            failure = Failure(message="the program ended while the request was under way")
            drive.job = attrs.evolve(drive.job, status=JobStatus.UNKNOWN, failure=failure)
        await self._record(self._journal.unknown, lease, drive.job)
        drive.answered.set()
        if lease.attempt is None or not await self._looked_up(drive, lease.attempt, patient=patient):
            await self._record(self._journal.release, lease)
            self._end(drive)

    async def _looked_up(self, drive: Drive, attempt: Attempt, *, patient: bool) -> bool:
        """Ask the service what became of a submit, where it can be asked; return whether that settled it.

        That it knows of none is asked again, and believed in the end only when `patient`.
        """
        if not drive.account.plugin.supports("recover"):
            return False
        absent = False
        for number, pause in enumerate(_LOOK_UPS):
            if number >= _QUICK_LOOK_UPS and not (patient and absent):
                break
            await self._clock.sleep(pause)
            try:
                snapshot = await drive.account.recover(drive.job)
            except NotFoundError as error:
                _log.info("job %s could not be looked up: %s", drive.job.id, error)
                return False
            except GenbridgeError as error:
                _log.info("job %s could not be looked up: %s", drive.job.id, error)
                continue
            absent = snapshot is None
            if snapshot is not None and snapshot.provider_id is not None:
                await self._accept(drive, attempt, snapshot)
                return True
        if absent and self._clock.monotonic() - drive.posted >= _PROOF_AGE:
            await self._absent(drive)
            return True
        return False

    async def _absent(self, drive: Drive) -> None:
        failure = Failure(message="the service has no such job: the submit never arrived; it can be submitted again", code=NOT_SENT)
        snapshot = Snapshot(status=JobStatus.FAILED, failure=failure, cost=nothing(drive.job, "it was never accepted"))
        await self._finish(drive, snapshot)

    # A job in doubt, settled by a person who has looked.

    async def not_sent(self, job: Job) -> Job:
        """Record that a submit in doubt never arrived, as somebody says who has looked, and release what it reserves."""
        lease, job = await self._doubtful(job)
        failure = Failure(message="it was looked for at the service and not found; it can be submitted again", code=NOT_SENT)
        cost = nothing(job, "it was never accepted")
        job = attrs.evolve(job, status=JobStatus.FAILED, finished_at=self._clock.now(), cost=cost, failure=failure)
        await self._settle(lease, job)
        return job

    async def adopt(self, job: Job, provider_id: str) -> Job:
        """Record the service's id of a job in doubt, as somebody found it there, so that it is polled."""
        holder = await self._journal.holder(job.backend, provider_id)
        if holder is not None:
            where = f"job {holder.id} on record has this id on backend {job.backend!r}; look for another"
            raise RequestError(f"job {job.id} cannot be attached", problems=[Problem("provider_id", where)])
        lease, job = await self._doubtful(job)
        job = attrs.evolve(job, status=JobStatus.QUEUED, provider_id=provider_id, submitted_at=job.created_at, failure=None)
        await self._settle(lease, job)
        return job

    async def _doubtful(self, job: Job) -> tuple[Lease, Job]:
        """Take a job that is in doubt; raises `JobError` when it is not, and `JournalError` when it is being driven."""
        self._check_open()
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

    async def _settle(self, lease: Lease, job: Job) -> None:
        """Record what a person says of a job in doubt, and let whoever still looks into it go."""
        if not await self._journal.update(lease, job):
            raise _busy(job)
        if drive := self._drives.pop(job.id, None):
            drive.end(in_doubt(job))

    # The loop.

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if not self._heap:
                await self._wake.wait()
            elif (wait := self._heap[0][0] - self._clock.monotonic()) > 0:
                await wait_for(self._clock, self._wake, wait)
            else:
                _, turn, drive = heappop(self._heap)
                if turn == drive.turn and not drive.ended.is_set():
                    self._spawn(self._guard(drive, self._check, drive))

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(_BEAT)
            try:
                await self._journal.beat()
            except JournalError as error:
                _log.warning("%s", error)
            else:
                await self._save_unsaved()
                await self._hear_of_pauses()

    async def _hear_of_pauses(self) -> None:
        """Leave alone what another process was asked to leave alone."""
        with suppress(JournalError):
            for backend, seconds in (await self._journal.pauses(Paused.POLLS)).items():
                self._keep_quiet(backend, seconds)

    def _keep_quiet(self, backend: str, seconds: float) -> None:
        self._quiet[backend] = max(self._quiet.get(backend, 0.0), self._clock.monotonic() + seconds)

    def _schedule(self, drive: Drive, delay: float) -> None:
        drive.turn = next(self._order)
        heappush(self._heap, (self._clock.monotonic() + delay, drive.turn, drive))
        self._wake.set()

    async def _check(self, drive: Drive) -> None:
        """Look at a job whose time has come."""
        if drive.lease is None:
            await self._watch(drive)
            return
        if (quiet := self._quiet.get(drive.job.backend, 0.0) - self._clock.monotonic()) > 0:
            self._schedule(drive, quiet + self._clock.chance() * drive.account.poll_policy.interval)
            return
        try:
            snapshot = await drive.account.poll(drive.job)
        except GenbridgeError as error:
            await self._missed(drive, error)
        else:
            drive.misses, drive.missing_since = 0, None
            await self._observe(drive, snapshot)

    async def _missed(self, drive: Drive, error: GenbridgeError) -> None:
        """Take a failed poll as a missed one, unless the service keeps saying that it has no such job."""
        drive.misses += 1
        drive.hint = error.retry_after if isinstance(error, ServiceError) else None
        if isinstance(error, RateLimitError) and error.retry_after:
            self._keep_quiet(drive.job.backend, error.retry_after)
            with suppress(JournalError):
                await self._journal.pause(drive.job.backend, error.retry_after, Paused.POLLS)
        level = logging.WARNING if drive.misses in {1, 5} or drive.misses % 50 == 0 else logging.DEBUG
        _log.log(level, "job %s could not be polled (%d in a row): %s", drive.job.id, drive.misses, error)
        now = self._clock.monotonic()
        if not isinstance(error, NotFoundError):
            drive.missing_since = None
        elif drive.missing_since is None:
            drive.missing_since = now
        elif now - max(drive.missing_since, drive.started) >= drive.account.poll_policy.grace:
            await self._finish(drive, Snapshot(status=JobStatus.EXPIRED, failure=Failure(message=error.message)))
            return
        drive.publish(attrs.evolve(drive.snapshot, note=str(error)))
        self._schedule_poll(drive)

    async def _observe(self, drive: Drive, snapshot: Snapshot) -> None:
        """Take in what the service says of a job."""
        snapshot = sober(snapshot)
        if snapshot.note and snapshot.note not in drive.notes:
            drive.notes.add(snapshot.note)
            _log.warning("job %s on backend %r: %s", drive.job.id, drive.job.backend, snapshot.note)
        if snapshot.status.terminal:
            await self._finish(drive, snapshot)
            return
        changed = snapshot.status is not drive.job.status
        drive.job = attrs.evolve(
            drive.job, status=snapshot.status, progress=snapshot.progress, cost=snapshot.cost or drive.job.cost
        )
        drive.publish(attrs.evolve(snapshot, cost=drive.job.cost))
        drive.hint = snapshot.poll_after
        drive.expected = snapshot.expected or drive.expected
        await self._record_progress(drive, changed=changed)
        if drive.lease is not None:
            self._schedule_poll(drive)

    async def _record_progress(self, drive: Drive, *, changed: bool) -> None:
        now = self._clock.monotonic()
        moved = drive.job.progress is not None and now - drive.recorded >= _PROGRESS
        if drive.lease is None or not (changed or moved):
            return
        drive.recorded = now
        if await self._record(self._journal.update, drive.lease, drive.job) is False:
            self._lose(drive)

    def _schedule_poll(self, drive: Drive) -> None:
        delay = drive.account.poll_policy.delay(
            elapsed=self._clock.monotonic() - drive.started,
            expected=self.expected(drive),
            hint=drive.hint,
            misses=drive.misses,
            chance=self._clock.chance(),
        )
        self._schedule(drive, delay)

    def expected(self, drive: Drive) -> float | None:
        """Return how long the job usually takes, in seconds, as far as anybody says."""
        return drive.expected or drive.account.usual(drive.job.provider_model)

    async def wait(self, drive: Drive, seconds: float | None) -> None:
        """Wait until a job has ended, for some seconds or as long as such a job may take; raises `JobTimeoutError`."""
        if seconds is None:
            seconds = drive.account.poll_policy.deadline(drive.job.media)
        if await wait_for(self._clock, drive.ended, seconds):
            return
        note = f" ({drive.snapshot.note})" if drive.snapshot.note else ""
        raise JobTimeoutError(
            f"job {drive.job.id} on backend {drive.job.backend!r} is {drive.job.status} after {seconds:g} s{note}; it goes on: "
            "wait again, or collect it later by its id",
            job=drive.job,
        )

    # The end.

    async def _finish(self, drive: Drive, snapshot: Snapshot) -> None:
        now = self._clock.now()
        cost = settled(drive.job, snapshot)
        job = attrs.evolve(
            drive.job, status=snapshot.status, finished_at=now, cost=cost, failure=snapshot.failure, progress=snapshot.progress
        )
        if snapshot.status is JobStatus.SUCCEEDED:
            job = attrs.evolve(job, result=result_of(job, snapshot, cost), failure=None)
        drive.job = job
        drive.snapshot = attrs.evolve(snapshot, cost=cost)
        if drive.lease is not None and await self._record(self._journal.update, drive.lease, job) is False:
            await self._reclaim(job)
        self._end(drive)

    def _end(self, drive: Drive) -> None:
        self._drives.pop(drive.job.id, None)
        drive.end(outcome(drive.job))

    async def _reclaim(self, job: Job) -> None:
        """Record an end that the lost lease could not, unless somebody drives the job now."""
        recorded = False
        with suppress(JournalError):
            lease = await self._journal.acquire(job.id)
            recorded = lease is not None and await self._journal.update(lease, job)
        if not recorded:
            _log.warning("job %s was taken over by another process, which records its end", job.id)

    def _lose(self, drive: Drive) -> None:
        """Another process drives the job now: watch it."""
        _log.warning("job %s was taken over by another process", drive.job.id)
        drive.lease = None
        self._schedule(drive, _WATCH)

    # Tasks and writes.

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        _ = self._task(work)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits hears of it

    async def _guard(self, drive: Drive, step: Callable[..., Awaitable[None]], *values: Any) -> None:
        """Run a step of a job; what goes wrong ends the wait for it, and a job that was not sent."""
        try:
            await step(*values)
        except GenbridgeError as error:
            await self._give_up(drive, error)
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it)
            _log.exception("job %s: a bug in genbridge", drive.job.id)
            self._drives.pop(drive.job.id, None)
            drive.end(GenbridgeError(f"job {drive.job.id}: a bug in genbridge ({type(error).__name__}); the job is on record"))

    async def _give_up(self, drive: Drive, error: GenbridgeError) -> None:
        self._drives.pop(drive.job.id, None)
        if drive.job.provider_id is None and drive.job.status in {JobStatus.PENDING, JobStatus.SUBMITTING} and drive.lease:
            code = error.code if isinstance(error, ServiceError) else None
            drive.job = attrs.evolve(
                drive.job,
                status=JobStatus.FAILED,
                finished_at=self._clock.now(),
                cost=nothing(drive.job, "nothing was started"),
                failure=Failure(message=str(error), code=code),
            )
            self._unsaved.append((self._journal.update, (drive.lease, drive.job)))
            await self._save_unsaved()
        if isinstance(error, BackendError):
            error.job = drive.job
        drive.end(error)

    async def _record(self, write: Callable[..., Awaitable[T]], *values: Any) -> T | None:
        """Write to the journal, again for a while when it cannot be written.

        When it stays so, the job is driven on without a record, as it is paid for, and the log says what would have been written.
        """
        for pause in _JOURNAL_PAUSES:
            try:
                return await write(*values)
            except JournalError as error:
                for job in (value for value in values if isinstance(value, Job)):
                    _log.error("job %s is %s under the service's id %r, but %s", job.id, job.status, job.provider_id, error)
                await self._clock.sleep(pause)
        self._unsaved.append((write, values))
        return None

    async def _save_unsaved(self) -> None:
        """Write what could not be written before."""
        unsaved, self._unsaved = self._unsaved, []
        for write, values in unsaved:
            try:
                await write(*values)
            except JournalError as error:
                _log.error("%s", error)
                self._unsaved.append((write, values))


def _busy(job: Job) -> JournalError:
    return JournalError(f"job {job.id} is being driven; nothing was changed. Wait until that has ended, or stop it")


def _pause(error: GenbridgeError, tries: int) -> float | None:
    """Return the seconds after which a submit that was not accepted may be tried again, or `None` when that has no use."""
    if isinstance(error, RateLimitError):
        return error.retry_after if error.retry_after is not None else _RATE_PAUSE * 2**tries
    if isinstance(error, BackendError) and error.verdict is Verdict.NOT_SENT and tries < len(_RETRY_PAUSES):
        return _RETRY_PAUSES[tries]
    return None

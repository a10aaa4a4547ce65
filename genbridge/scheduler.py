"""Drives every job of one client: the only loop.

A job on record is taken by its state: submitted when it was never sent, looked up when its submit is in doubt, polled when the
service has it, and watched when another process drives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from genbridge.agenda import Agenda
from genbridge.backends import Account
from genbridge.budgets import Budget
from genbridge.cancels import Cancels
from genbridge.doubts import Doubts
from genbridge.drives import LIVE, Drive, Listener, in_doubt, mishap, nothing, outcome, snapshot_of, withdrawn
from genbridge.durations import Usual
from genbridge.errors import (
    AuthenticationError,
    BackendError,
    CancelUnsupportedError,
    ConfigError,
    GenbridgeError,
    JobError,
    JournalError,
)
from genbridge.journal import DEAD_AFTER, Attention, Journal, Lease, Report, SharedJournal
from genbridge.limits import Limiter
from genbridge.polls import Polls, ask_again
from genbridge.pulse import Pulse
from genbridge.refusals import failure_of
from genbridge.submits import Submits
from genbridge.tasks import Crew, Tasks
from genbridge.timing import Clock, Signal
from genbridge.types import Failure, Job, JobStatus
from genbridge.writer import Writer

_log = logging.getLogger(__name__)

_BEAT = 5.0
"""Seconds between two signs of life."""
_WATCH = 1.0
"""Seconds between two looks at a job that another process drives."""
_UNABLE = 30.0
"""Seconds for which a call is kept that cannot be answered here, so that it does not come back at once."""
_BARRED = 60.0
"""Seconds for which jobs of a backend whose key was refused here are left to other workers."""
_KEPT = 5.0
"""Seconds for which such a job is kept, so that it does not come back at once."""
_FIRST_EPOCH = 2
"""The epoch of the first who drives a job that was handed in; only after that may a cancel have been asked for in vain."""
_HANDING_OVER = 10.0
"""Seconds that letting go of jobs may take; where the journal is not reached, others take them over later."""
_CLOSING = 95.0
"""Seconds that closing waits for the answer to a POST under way: as long as the transport does by default."""
_HURRIED = 5.0
"""The same when the program is interrupted or fails."""
_MARGIN = 5.0
"""Seconds that closing waits longer than a configured `submit_timeout`."""


class Scheduler:
    """Submits and polls all jobs of one client, or those that a worker is called for.

    Where there is a `limiter` it decides when a submit may start, and not the journal.
    """

    def __init__(
        self, journal: Journal, account: Callable[[str, str], Account], clock: Clock, *, limiter: Limiter | None = None
    ) -> None:
        self._journal = journal
        self._account = account
        self._clock = clock
        self._drives: dict[str, Drive] = {}
        self._agenda = Agenda(clock)
        self._writer = Writer(clock)
        self.pulse = Pulse()
        self._polls = Polls(journal, self._writer, self._agenda, clock, end=self._end, lose=self._lose)
        self._submits = Submits(journal, self._writer, self._polls, clock, end=self._end, pulse=self.pulse, limiter=limiter)
        self._doubts = Doubts(journal, account, clock, self._drives)
        self._tasks = Tasks()
        self._crew = Crew(self._tasks, self._attend)
        self._calls: dict[str, asyncio.Task[Drive | None]] = {}
        self._shared: SharedJournal | None = None
        self._barred: dict[str, float] = {}
        self._cancels: Cancels | None = None
        self._hurried = False
        self._closed = False

    def start(self) -> None:
        """Begin to drive."""
        _ = self._tasks.start(self._run())
        _ = self._tasks.start(self._beat())

    def hurry(self) -> None:
        """Wait for the answer to a POST under way for a few seconds only when closing."""
        self._hurried = True

    async def aclose(self) -> None:
        """Stop driving, once what was answered to a POST under way is recorded. Jobs go on at their services, and on record."""
        self._closed = True
        self._submits.stop()
        try:
            await self._await_answers()
        finally:
            self._tasks.cancel()
            for drive in list(self._drives.values()):
                drive.end(JournalError(f"the client was closed; job {drive.job.id} is on record: pick it up by its id"))
            await self._tasks.ended()
            await self._writer.catch_up()

    async def _await_answers(self) -> None:
        began = self._clock.monotonic()
        while under_way := [drive for drive in self._drives.values() if not drive.answered.is_set()]:
            for drive in under_way:
                await self._await_answer(drive, began + self._patience(drive))

    def _patience(self, drive: Drive) -> float:
        return _HURRIED if self._hurried else max(_CLOSING, (drive.account.config.submit_timeout or 0.0) + _MARGIN)

    async def _await_answer(self, drive: Drive, deadline: float) -> None:
        """Wait until what came of a POST is on record; when it takes too long, that is recorded."""
        if await drive.answered.wait_for(self._clock, deadline - self._clock.monotonic()):
            return
        drive.answer()
        if drive.lease is not None:
            failure = Failure(message="the program stopped waiting for the answer")
            await self._writer.write(self._journal.unknown, drive.lease, attrs.evolve(drive.job, failure=failure))

    # What the client asks for.

    async def submit(
        self,
        job: Job,
        account: Account,
        budget: Budget,
        *,
        patience: float,
        alone: bool,
        listen: Listener | None,
        timeout: float | None = None,
    ) -> Drive | None:
        """Record a job, submit it and return when the service has accepted it; raises what went wrong.

        Returns `None` when a job of that id is on record already. A submit that was certainly not accepted is tried again for
        `patience` seconds. `alone` waits until no other such POST to the backend is without its answer. `listen` is told of
        everything that is seen of the job. `timeout` is for how many seconds acceptance is waited for. Whoever gives up waiting
        does not stop the job.
        """
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            drive = self._drives[job.id] = Drive(
                job=job, account=account, budget=budget, alone=alone, listeners=(listen,) if listen else ()
            )
            _ = self._tasks.start(self._guard(drive, self._submits.begin, drive, patience))
        elif listen is not None:
            drive.follow(listen)
        await self.accepted(drive, timeout)
        return None if drive.on_record else drive

    async def accepted(self, drive: Drive, timeout: float | None = None) -> None:
        """Wait until the service has accepted a job, for so many seconds or without end; raises what went wrong."""
        await drive.until_accepted(self._clock, timeout)

    async def attach(self, job: Job, *, send: bool = True) -> Drive:
        """Drive a job on record to its end, or watch it while another process does; `send` says whether also one never sent."""
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            account = self._account(job.backend, job.provider)
            # Many that were never sent may be on record, and another kill must not leave more than one of them in doubt.
            drive = self._drives[job.id] = Drive(
                job=job, account=account, budget=account.config.budget, alone=not account.plugin.supports("recover"), send=send
            )
            drive.taking = self._tasks.start(self._take_first(drive))
        drive.send = drive.send or send
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
            self._forget(drive)
            raise

    async def cancel(self, job: Job) -> Job:
        """Stop a job and return its record; raises `CancelUnsupportedError` where the service has no way to."""
        self._check_open()
        if withdrawn := await self._withdrawn(job):
            return withdrawn
        drive = await self.attach(job)
        if not drive.job.status.terminal:
            await self._stop(drive)
        return drive.job

    async def _withdrawn(self, job: Job) -> Job | None:
        """Cancel a job that waits to be sent and that nobody drives, without beginning to; return its record when that was it."""
        if job.id in self._drives:
            return None
        lease = await self._journal.acquire(job.id)
        job = await self._journal.get(job.id) or job
        if lease is None or job.status is not JobStatus.PENDING:
            return None
        job = withdrawn(job, self._clock.now())
        return job if await self._journal.update(lease, job) else None

    async def _stop(self, drive: Drive) -> None:
        if drive.job.status is JobStatus.PENDING and drive.lease is None:
            raise CancelUnsupportedError(f"job {drive.job.id} is about to be sent by another process; stop that one", job=drive.job)
        if drive.job.status is JobStatus.PENDING:
            drive.stop.set()
            if drive.answered.is_set():
                await self._submits.cancelled(drive)
            await drive.ended.wait()
            return
        if self._serves:  # whoever asked is elsewhere, and waits for as long as it likes
            await drive.answered.wait()
        if drive.job.status.terminal:
            return
        if drive.job.provider_id is None:
            raise in_doubt(drive.job)
        if not drive.account.plugin.supports("cancel"):
            raise CancelUnsupportedError(
                f"{drive.account.provider.title or drive.account.provider.name} has no way to cancel; job {drive.job.id} goes on "
                "and will be billed",
                job=drive.job,
            )
        await self._polls.observe(drive, await drive.account.cancel(drive.job))

    def expected(self, drive: Drive) -> float | None:
        """Return how long the job usually takes, in seconds, as far as anybody says."""
        return self._polls.experience.expected(drive)

    def usual(self, drive: Drive) -> Usual | None:
        """Return between what times such jobs usually take, once it was learned."""
        return self._polls.experience.usual(drive)

    async def wait(self, drive: Drive, seconds: float | None) -> None:
        """Wait until a job has ended, for some seconds or as long as such a job may take; raises `JobTimeoutError`."""
        if seconds is None:
            seconds = drive.account.poll_policy.deadline(drive.job.media)
        self._polls.wanted_within(drive, seconds)
        await drive.until_ended(self._clock, seconds)

    # What a worker is called for.

    def serve(self, journal: SharedJournal) -> None:
        """Drive from now on what this process is called for, and carry out cancels that others ask for.

        A job that another process takes over is left to it, and one in doubt is looked up patiently, as nobody waits here.
        """
        self._shared = journal
        self._cancels = Cancels(journal, self._writer, self._tasks, self._drives, self._stop)
        self._cancels.listen()
        self._submits.patient = True

    @property
    def driving(self) -> int:
        """How many jobs are driven here."""
        return len(self._drives)

    @property
    def _serves(self) -> bool:
        return self._shared is not None

    async def drive(self, job_id: str) -> Job | None:
        """Drive a job on record until it has ended, or is driven here no more; return its record as it is then.

        Returns `None` at once for one that is not there, has ended, or is driven by another process, and while draining; after a
        while for one that cannot be driven here; and in the end where another process has taken the job over. Whoever gives up
        waiting does not stop the job.
        """
        drive = await self._driven(job_id)
        if drive is None:
            return None
        await drive.ended.wait()
        return None if drive.lease is None else drive.job

    async def _driven(self, job_id: str) -> Drive | None:
        try:
            return self._drives.get(job_id) or await asyncio.shield(self._called(job_id))
        except JournalError as error:
            _log.info("job %s cannot be taken now: %s", job_id, error)
        except GenbridgeError as error:
            _log.warning("job %s cannot be driven here: %s", job_id, error)
            await self._clock.sleep(_UNABLE)
        return None

    def _called(self, job_id: str) -> asyncio.Task[Drive | None]:
        """Return the task of taking a job, which is not cut short: else it could be nobody's, and ours on record."""
        if job_id not in self._calls:
            self._calls[job_id] = task = self._tasks.start(self._answer_call(job_id))
            task.add_done_callback(lambda _: self._calls.pop(job_id, None))
        return self._calls[job_id]

    async def _answer_call(self, job_id: str) -> Drive | None:
        """Take a job that is nobody's, and begin to drive it."""
        if self._cancels is None or self._closed:
            return None
        self._cancels.expect(job_id)
        try:
            lease, job = await self._journal.take(job_id)
        except JournalError:
            await self._writer.write_now_or_later(self._give_back, job_id)
            raise
        finally:
            heard = self._cancels.heard(job_id)
        if lease is None or job is None or self._closed:  # whoever closes lets go of whatever is ours
            return None
        if self._shared is not None and self.is_barred(job.backend):
            await self._clock.sleep(_KEPT)
            await self._writer.write_now_or_later(self._shared.hand_over, [lease])
            return None
        try:
            drive = self._drives[job_id] = self._made(job, lease)
            if heard or lease.epoch > _FIRST_EPOCH or job.status is not JobStatus.PENDING:
                await self._cancels.look(drive)
            if not drive.ended.is_set():
                await self._begin(drive)
        except BaseException:
            self._drives.pop(job_id, None)
            await self._writer.write_now_or_later(self._journal.release, lease)
            raise
        return drive

    async def _give_back(self, job_id: str) -> None:
        """Let go of a job that may be ours on record without being driven here: while we live nobody else would take it."""
        if self._shared is None or job_id in self._drives:
            return
        lease = await self._journal.acquire(job_id)
        if lease is not None:
            await self._shared.hand_over([lease])

    def _made(self, job: Job, lease: Lease) -> Drive:
        account = self._account(job.backend, job.provider)
        return Drive(job=job, account=account, budget=account.config.budget, lease=lease)

    async def drain(self) -> None:
        """Take no other job, begin no other POST, and let go of every job; where a POST is under way, once its answer is on record.

        Each is called for at once, so that another worker goes on with it.
        """
        self._closed = True
        self._submits.stop()
        await self._hand_over()
        await self._await_answers()
        await self._hand_over()

    async def _hand_over(self) -> None:
        """Let go of the jobs without a POST under way; where the journal is not reached, others take them over in their time."""
        idle = [drive for drive in self._drives.values() if drive.answered.is_set()]
        leases = [drive.lease for drive in idle if drive.lease is not None]
        for drive in idle:
            self._forget(drive)
            drive.end(JournalError(f"job {drive.job.id} was left to another worker"))
        if not leases or self._shared is None:
            return
        done = Signal()
        task = self._tasks.start(self._shared.hand_over(leases))
        task.add_done_callback(lambda _: done.set())
        if not await done.wait_for(self._clock, _HANDING_OVER) or task.exception() is not None:
            _log.warning(
                "%d jobs could not be handed over; other workers take them over when this one has been silent", len(leases)
            )

    # Taking a job over.

    async def _take(self, drive: Drive) -> None:
        if drive.job.status.terminal and drive.job.status is not JobStatus.EXPIRED:
            self._end(drive)
            return
        drive.lease, job = await self._journal.take(drive.job.id)
        drive.job = job or drive.job
        if drive.job.status is JobStatus.EXPIRED:
            await ask_again(self._journal, drive)
        await self._begin(drive)

    async def _begin(self, drive: Drive) -> None:
        """Go on with a job from where it is on record."""
        drive.started = self._clock.monotonic() - self._age(drive.job)
        drive.posted = self._clock.monotonic()
        drive.witnessed = False
        if drive.job.status.terminal:
            self._end(drive)
        elif drive.lease is None:
            self._agenda.put(drive, _WATCH)
        elif drive.job.status in LIVE:
            drive.accept()
            self._agenda.put(drive, self._clock.chance())
        elif drive.job.status is JobStatus.PENDING and not drive.send:
            await self._leave(drive, drive.lease)
        elif drive.job.status is JobStatus.PENDING:
            await self._check_key(drive, drive.lease)
            _ = self._tasks.start(self._guard(drive, self._submits.submit, drive, drive.account.config.patience))
        else:
            _ = self._tasks.start(self._guard(drive, partial(self._submits.resolve, patient=True), drive))

    async def _leave(self, drive: Drive, lease: Lease) -> None:
        """Let a job go that waits to be sent, as it is only watched here."""
        await self._journal.release(lease)
        self._forget(drive)
        drive.end(
            JobError(
                f"job {drive.job.id} was never sent and is not waited for: `genbridge jobs resume` sends it, "
                f"`genbridge jobs cancel {drive.job.id}` drops it",
                job=drive.job,
            )
        )

    async def _check_key(self, drive: Drive, lease: Lease) -> None:
        """Leave a job that waits to be sent as it is where its backend has no key; raises `ConfigError`."""
        try:
            drive.account.config.require_key()
        except ConfigError:
            await self._journal.release(lease)
            drive.lease = None
            raise

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
            self._agenda.put(drive, _WATCH)
        if drive.lease is None and drive.job != known:
            drive.publish(snapshot_of(drive.job))

    # A job in doubt, settled by a person who has looked.

    async def not_sent(self, job: Job) -> Job:
        """Record that a submit in doubt never arrived, as somebody says who has looked, and release what it reserves."""
        self._check_open()
        return await self._doubts.not_sent(job)

    async def adopt(self, job: Job, provider_id: str) -> Job:
        """Record the service's id of a job in doubt, as somebody found it there, once the service says that it knows it."""
        self._check_open()
        _, found = await self._doubts.adopt(job, provider_id)
        return found

    # The loop, and what it starts.

    async def _run(self) -> None:
        while True:
            self._crew.give(await self._agenda.next())

    def _attend(self, drive: Drive) -> Awaitable[None]:
        """Look after a job whose time has come."""
        return self._guard(drive, self._watch if drive.lease is None else self._polls.ask, drive)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(_BEAT)
            try:
                await self._beat_once()
            except JournalError as error:
                _log.warning("%s", error)
            except Exception:  # noqa: BLE001 (without signs of life others take every job over)
                _log.exception("a bug in genbridge")

    async def _beat_once(self) -> None:
        began = self.pulse.begin()
        await self._journal.beat()
        away = self.pulse.note(began)
        if away > DEAD_AFTER:
            await self._leave_to_others()
        await self._writer.catch_up()
        await self._polls.hear_of_pauses()

    async def _leave_to_others(self) -> None:
        """Drive no more what other workers have taken over while this process was away: with nothing to write it would go on."""
        idle = [drive for drive in self._drives.values() if drive.answered.is_set()]
        await asyncio.gather(*map(self._leave_if_driven, idle if self._serves else ()))

    async def _leave_if_driven(self, drive: Drive) -> None:
        with suppress(JournalError):
            driven = self._shared is not None and await self._shared.attention(drive.job.id) is Attention.DRIVEN
            if driven and not drive.ended.is_set():
                self._lose(drive)

    async def _guard(self, drive: Drive, step: Callable[..., Awaitable[None]], *values: Any) -> None:
        """Run a step of a job; what goes wrong ends the wait for it, and a job that was not sent."""
        try:
            await step(*values)
        except GenbridgeError as error:
            await self._give_up(drive, error)
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it)
            _log.exception("job %s: a bug in genbridge", drive.job.id)
            await self._let_go(drive)
            drive.end(mishap(drive.job, error))

    async def _let_go(self, drive: Drive) -> None:
        """Drive a job no more; where others wait for it, another may try."""
        self._forget(drive)
        if self._serves and drive.lease is not None:
            await self._writer.write_now_or_later(self._journal.release, drive.lease)

    async def _left_to_others(self, drive: Drive) -> bool:
        """Leave a job whose backend refuses this worker's key, and those that follow, to other workers, if there are any."""
        backend, lease = drive.job.backend, drive.lease
        if self._shared is None or lease is None:
            return False
        mine, reports = self._shared.owner, await self._reports(self._shared)
        if not any(report.owner != mine and report.serves(backend) for report in reports):
            return False
        _log.error("backend %r refuses this worker's key: its jobs are left to others; start it anew with the right key", backend)
        self._barred[backend] = self._clock.monotonic() + _BARRED
        self._forget(drive)
        drive.lease = None
        await self._writer.write_now_or_later(self._shared.hand_over, [lease])
        return True

    async def _reports(self, shared: SharedJournal) -> Sequence[Report]:
        """Return how the workers are doing; nothing while the journal is not reached, as then nobody can be relied on."""
        try:
            return await shared.reports()
        except JournalError:
            return ()

    def is_barred(self, backend: str) -> bool:
        """Whether a backend has refused this worker's key, and its jobs are left to others for now."""
        return self._barred.get(backend, 0.0) > self._clock.monotonic()

    async def _give_up(self, drive: Drive, error: GenbridgeError) -> None:
        if self._serves and isinstance(error, JournalError):
            _log.warning("job %s is let go of for now: %s", drive.job.id, error)
            await self._let_go(drive)
            drive.end(error)
            return
        if isinstance(error, AuthenticationError) and await self._left_to_others(drive):
            drive.end(error)
            return
        self._forget(drive)
        if drive.job.provider_id is None and drive.job.status in {JobStatus.PENDING, JobStatus.SUBMITTING} and drive.lease:
            drive.job = attrs.evolve(
                drive.job,
                status=JobStatus.FAILED,
                finished_at=self._clock.now(),
                cost=nothing(drive.job, "nothing was started"),
                failure=failure_of(error),
            )
            await self._writer.write_now_or_later(self._journal.update, drive.lease, drive.job)
        if isinstance(error, BackendError):
            error.job = drive.job
        drive.end(error)

    def _lose(self, drive: Drive) -> None:
        """Another process drives the job now: watch it, or leave it to that one."""
        _log.warning("job %s was taken over by another process", drive.job.id)
        drive.lease = None
        if self._serves:
            self._forget(drive)
            drive.end(JournalError(f"job {drive.job.id} was taken over by another process"))
        else:
            self._agenda.put(drive, _WATCH)

    def _forget(self, drive: Drive) -> None:
        """Drive a job no more, unless it has been taken up anew since."""
        if self._drives.get(drive.job.id) is drive:
            del self._drives[drive.job.id]

    def _end(self, drive: Drive) -> None:
        self._forget(drive)
        drive.end(outcome(drive.job))

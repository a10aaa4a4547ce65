"""The path of a submit: wait for its turn, record the intent, make the call, record what came of it.

The order of writes is the promise: intent and attempt token are committed before the POST, the service's id before the first poll.
A submit whose outcome nobody knows is looked up where the service can, and never sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeVar

import attrs

from genbridge.backends import has_files
from genbridge.drives import LIVE, Drive, nothing, snapshot_of
from genbridge.errors import BackendError, GenbridgeError, JournalError, NotFoundError, RateLimitError, TransportError
from genbridge.journal import NOT_SENT, Attempt, Journal, Lease, Paused
from genbridge.limits import Limiter, Rule, Wait
from genbridge.polls import Polls
from genbridge.pulse import Pulse
from genbridge.timing import Clock, Signal, uptime
from genbridge.types import Failure, JobStatus, Request, Snapshot, Verdict
from genbridge.writer import Writer

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PLACES = 100
"""How many POSTs are under way at once: each has a connection, and whatever ends the process leaves no more than these in doubt."""
_RETRY_PAUSES = (0.5, 1.0, 2.0)
"""Waits, in seconds, before a submit that was certainly not sent is tried again."""
_INTENT_LASTS = 8.0
"""Seconds after the record of an intent within which its POST is begun, or not at all.

With the 16 that the transport may take for the connection it leaves before anybody else may take the job over, 25 s after the
intent at the earliest.
"""
_RATE_PAUSE = 5.0
"""Seconds before the second try where a service says "too many" and not for how long; each later wait is twice the last."""
_LEAST_PAUSE = 1.0
"""Seconds for which a service that says "too many" is left alone, also when it asks for less."""
_SILENT_PAUSE = 1.0
"""Seconds between two looks whether the journal is reached again."""
_MOST_DOUBTS = 3
"""How many submits in a row may be left in doubt before a backend is left alone."""
_DOUBTFUL_PAUSES = (60.0, 120.0, 240.0, 480.0, 900.0)
"""Seconds for which it is then; the last for all that follow."""
_LOOK_UPS = (0.0, 2.0, 8.0, 30.0, 85.0)
"""Waits, in seconds, before each look-up of an ambiguous submit."""
_QUICK_LOOK_UPS = 3
"""How many look-ups a caller of `submit` waits for; the rest are for whoever picks the job up later."""
_PROOF_AGE = 120.0
"""Seconds since the POST, or since it was found on record, after which "no such job" is believed.

A look-up made sooner may have overtaken the POST. They are counted by a clock that cannot jump, so a process that did not see the
POST itself counts from when it took the job.
"""


class Submits:
    """Submits jobs and finds out what became of those in doubt. A job that leaves this path unaccepted is ended by `end`.

    Where there is a `limiter` it decides when a submit may start, and not the journal. Set `patient` where nobody waits for what
    becomes of a submit in doubt.
    """

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        polls: Polls,
        clock: Clock,
        *,
        end: Callable[[Drive], None],
        pulse: Pulse,
        limiter: Limiter | None = None,
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._polls = polls
        self._clock = clock
        self._end = end
        self._pulse = pulse
        self._limiter = limiter
        self.patient = False
        self._doubts: Counter[str] = Counter()
        """How many submits in a row have been left in doubt, by backend."""
        self._wary: dict[str, float] = {}
        """Until when a backend is left alone for that."""
        self._lines: dict[tuple[str, str], asyncio.Semaphore] = {}
        self._places = asyncio.Semaphore(_PLACES)
        self._posting: dict[str, Drive] = {}
        self._stopped = False

    def stop(self) -> None:
        """Begin no other POST."""
        self._stopped = True

    async def begin(self, drive: Drive, patience: float) -> None:
        """Record a job, and where nothing has to come before its POST the intent with it, and submit it; unless it is on record."""
        lease = await self._add(drive)
        if lease is None:
            drive.on_record = True
            self._end(drive)
            return
        drive.lease = Lease(lease.job_id, lease.epoch)
        if lease.attempt is not None:
            self._began(drive, lease.attempt)
        await self.submit(drive, patience, lease.attempt)

    async def _add(self, drive: Drive) -> Lease | None:
        if self._comes_later(drive):
            return await self._journal.add(drive.job, drive.budget)
        rules, lease = self._rules(drive), None
        await self._places.acquire()
        try:
            lease = await self._intend(drive, self._journal.add(drive.job, drive.budget, rules))
        finally:
            if lease is None or lease.attempt is None:
                self._places.release()
                drive.answer()
        return lease

    def _comes_later(self, drive: Drive) -> bool:
        """Whether something has to come between the record of a job and its POST."""
        waits = drive.alone or self._places.locked() or self._line(drive).locked() or self._pulse.is_late
        return waits or self._stopped or self._limiter is not None or has_files(drive.job.request)

    def _rules(self, drive: Drive) -> Sequence[Rule]:
        """Return the rules that the journal is to see to."""
        return drive.account.rules(drive.job) if self._limiter is None else ()

    async def submit(self, drive: Drive, patience: float, attempt: Attempt | None = None) -> None:
        """Send a job, again as long as it was certainly not accepted and `patience` (seconds) lasts.

        `attempt` is its intent, where it is on record already.
        """
        request = await drive.account.upload(drive.job.request, drive.job.provider_model)
        for tries in count():
            attempt = attempt or await self._admit(drive, again=tries > 0)
            if attempt is None:
                return
            try:
                error = await self._post(drive, attempt, request)
            finally:
                self._places.release()
            if error is None:
                return
            pause = _pause(error, tries)
            if pause is None or pause > patience:
                raise error
            patience -= pause
            attempt = None
            await self._hold(drive, error, pause)

    async def _post(self, drive: Drive, attempt: Attempt, request: Request) -> GenbridgeError | None:
        """Make the call and record what came of it; return why it was certainly not accepted, if it was not."""
        if drive.stop.is_set():
            await self._not_sent(drive, attempt)
            await self.cancelled(drive)
            return None
        try:
            snapshot = await drive.account.submit(drive.job, request, check=partial(self._check_fresh, drive))
        except GenbridgeError as error:
            if isinstance(error, BackendError) and error.verdict is Verdict.UNKNOWN:
                await self._doubt(drive, attempt, error)
                return None
            await self._not_sent(drive, attempt)
            return error
        await self._accept(drive, attempt, snapshot)
        return None

    def _check_fresh(self, drive: Drive) -> None:
        """Raise `TransportError` when so much time has passed that another process may have taken the job over, or soon may.

        It may have found by then that the service has no such job. As with the signs of life, it is the machine's time that counts.
        """
        if uptime() - drive.intended > _INTENT_LASTS or self._pulse.is_late:
            where = f"job {drive.job.id} on backend {drive.job.backend!r}"
            raise TransportError(f"{where} was not sent: this process was stopped before it could be", verdict=Verdict.NOT_SENT)

    async def _not_sent(self, drive: Drive, attempt: Attempt) -> None:
        await self._writer.write(self._journal.refused, attempt)
        drive.answer()

    async def cancelled(self, drive: Drive) -> None:
        """Record that a job was not sent, as it was cancelled before it could be."""
        if not drive.ended.is_set():
            await self._polls.finish(drive, Snapshot(status=JobStatus.CANCELLED, cost=nothing(drive.job, "it was never sent")))

    async def _admit(self, drive: Drive, *, again: bool) -> Attempt | None:
        """Wait until the limits allow a submit and record the intent; `None` when the job was stopped or taken over meanwhile.

        Where nobody waits yet many ask at once, and share a transaction. Those who have to wait stand in line, and who was not
        accepted does so too: after a pause that a service has asked for, all of them would come back at the same moment.
        """
        line = self._line(drive)
        if not (again or drive.alone or line.locked()):
            answer = await self._ask(drive)
            if not isinstance(answer, Wait):
                return answer
        async with line:
            return await self._stand(drive)

    def _line(self, drive: Drive) -> asyncio.Semaphore:
        """Return the line of those who wait for the same limits."""
        return self._lines.setdefault((drive.job.backend, drive.job.model), asyncio.Semaphore(1))

    async def _stand(self, drive: Drive) -> Attempt | None:
        """Wait as the first in line."""
        while True:
            answer = await self._ask(drive)
            if not isinstance(answer, Wait):
                return answer
            drive.publish(Snapshot(status=JobStatus.PENDING, note=f"waiting {answer.seconds:.0f} s: {answer.reason}"))
            await drive.stop.wait_for(self._clock, answer.seconds)

    async def _ask(self, drive: Drive) -> Attempt | Wait | None:
        """Record the intent if the limits allow it now; else return how long to wait, or `None` when nothing is to be sent."""
        answer: Attempt | Wait | None = None
        await self._places.acquire()
        try:
            if drive.alone:
                await self._others_answered(drive)
            wait = await self._held_up(drive)
            # Only now, as the job may have been cancelled or let go of while it waited for somebody else.
            if drive.stop.is_set():
                await self.cancelled(drive)
            elif drive.lease is not None and not self._stopped:
                answer = wait or await self._begin_submit(drive, drive.lease)
        finally:
            if not isinstance(answer, Attempt):
                self._places.release()
        return answer

    async def _held_up(self, drive: Drive) -> Wait | None:
        """Return how long to wait for something else than the journal's limits."""
        if self._pulse.is_late:
            return Wait(_SILENT_PAUSE, f"the journal was not reached for {self._pulse.silence:.0f} s")
        if self._limiter is None or self._stopped or drive.stop.is_set():
            return None
        return await self._limiter.reserve(drive.job.backend, drive.job.model, drive.account.rules(drive.job))

    async def _begin_submit(self, drive: Drive, lease: Lease) -> Attempt | Wait | None:
        answer = await self._intend(drive, self._journal.begin_submit(lease, self._rules(drive), drive.budget))
        if not isinstance(answer, Attempt):
            drive.answer()
        if not isinstance(answer, Wait):
            self._began(drive, answer)
        return answer

    async def _others_answered(self, drive: Drive) -> None:
        """Wait until what came of the last POST that was to be alone is on record; then it is this one's turn."""
        while (other := self._posting.get(drive.job.backend)) and not other.answered.is_set():
            await other.answered.wait()
        self._posting[drive.job.backend] = drive

    async def _intend(self, drive: Drive, write: Awaitable[T]) -> T:
        """Record an intent; from here on closing waits until what came of it is on record."""
        drive.answered = Signal()
        drive.intended = uptime()
        try:
            return await write
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                await self._withdraw(drive.job.id)
            drive.answer()
            raise

    async def _withdraw(self, job_id: str) -> None:
        """Take an intent back that may be on record all the same, as nobody acts on it any more."""
        with suppress(JournalError):
            lease = await self._journal.acquire(job_id)
            if lease is not None and lease.attempt is not None:
                await self._journal.refused(lease.attempt)

    def _began(self, drive: Drive, attempt: Attempt | None) -> None:
        if attempt is None:
            self._polls.lose(drive)
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
            await self._writer.write(self._journal.pause, drive.job.backend, pause, Paused.SUBMITS)
        await drive.stop.wait_for(self._clock, pause)

    async def _accept(self, drive: Drive, attempt: Attempt, snapshot: Snapshot) -> None:
        """Record the service's id, then begin to poll."""
        now = self._clock.now()
        status = snapshot.status if snapshot.status in LIVE else JobStatus.RUNNING
        job = attrs.evolve(
            drive.job, status=status, provider_id=snapshot.provider_id, submitted_at=now, cost=snapshot.cost, failure=None
        )
        drive.witnessed = drive.job.status is JobStatus.SUBMITTING
        drive.job = job
        self._doubts.pop(job.backend, None)
        drive.started = drive.recorded = self._clock.monotonic()
        if await self._writer.write(self._journal.submitted, attempt, job) is False:
            _log.warning("job %s was resolved by somebody else; the service's id of this submit is %s", job.id, job.provider_id)
        drive.answer()
        drive.accept()
        await self._polls.observe(drive, snapshot)

    # In doubt.

    async def _doubt(self, drive: Drive, attempt: Attempt, error: BackendError) -> None:
        _log.warning("job %s may have been accepted: %s", drive.job.id, error)
        drive.job = attrs.evolve(drive.job, status=JobStatus.UNKNOWN, failure=Failure(message=error.message))
        drive.lease = attrs.evolve(drive.lease, attempt=attempt) if drive.lease else None
        drive.publish(snapshot_of(drive.job))
        await self._beware(drive.job.backend)
        await self.resolve(drive, patient=self.patient)

    async def _beware(self, backend: str) -> None:
        """Leave a service alone that has left several submits in a row in doubt, where nobody else stops to send it more."""
        if self._clock.monotonic() < self._wary.get(backend, 0.0):  # it was under way when the last pause began
            return
        self._doubts[backend] += 1
        count = self._doubts[backend]
        if self.patient and count >= _MOST_DOUBTS:
            pause = _DOUBTFUL_PAUSES[min(count - _MOST_DOUBTS, len(_DOUBTFUL_PAUSES) - 1)]
            _log.warning("backend %r left %d submits in a row in doubt: nothing is sent to it for %g s", backend, count, pause)
            self._wary[backend] = self._clock.monotonic() + pause
            await self._writer.write(self._journal.pause, backend, pause, Paused.SUBMITS)

    async def resolve(self, drive: Drive, *, patient: bool) -> None:
        """Find out what became of an ambiguous submit, by the service's own look-up and by nothing else."""
        lease = drive.lease
        if lease is None:
            return
        if drive.job.status is not JobStatus.UNKNOWN:
            failure = Failure(message="the process that sent the request ended while it was under way")
            drive.job = attrs.evolve(drive.job, status=JobStatus.UNKNOWN, failure=failure)
        await self._writer.write(self._journal.unknown, lease, drive.job)
        drive.answer()
        settled = lease.attempt is not None and await self._looked_up(drive, lease.attempt, patient=patient)
        if not settled and not drive.ended.is_set():  # somebody may have looked meanwhile, and said what came of it
            await self._writer.write(self._journal.release, lease)
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
        if absent and not drive.ended.is_set() and self._clock.monotonic() - drive.posted >= _PROOF_AGE:
            await self._absent(drive)
            return True
        return False

    async def _absent(self, drive: Drive) -> None:
        failure = Failure(message="the service has no such job: the submit never arrived; it can be submitted again", code=NOT_SENT)
        snapshot = Snapshot(status=JobStatus.FAILED, failure=failure, cost=nothing(drive.job, "it was never accepted"))
        await self._polls.finish(drive, snapshot)


def _pause(error: GenbridgeError, tries: int) -> float | None:
    """Return the seconds after which a submit that was not accepted may be tried again, or `None` when that has no use."""
    if isinstance(error, RateLimitError):
        return _RATE_PAUSE * 2**tries if error.retry_after is None else max(error.retry_after, _LEAST_PAUSE)
    if isinstance(error, BackendError) and error.verdict is Verdict.NOT_SENT and tries < len(_RETRY_PAUSES):
        return _RETRY_PAUSES[tries]
    return None

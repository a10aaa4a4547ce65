"""Follows the jobs of one client that workers drive: nothing is sent from here, so no key is needed.

What a worker records is heard of at once where the journal tells, and looked for every few seconds all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import attrs

from genbridge.agenda import Agenda
from genbridge.backends import Account
from genbridge.budgets import Budget
from genbridge.doubts import Doubts
from genbridge.drives import Drive, Listener, in_doubt, mishap, outcome, snapshot_of, withdrawn
from genbridge.durations import Usual
from genbridge.errors import CancelUnsupportedError, ConfigError, GenbridgeError, JobTimeoutError, JournalError
from genbridge.experience import Experience
from genbridge.journal import Attention, Heard, Report, SharedJournal
from genbridge.polls import ask_again
from genbridge.refusals import refusal
from genbridge.tasks import Tasks
from genbridge.timing import Clock, Signal
from genbridge.types import Job, JobStatus

_log = logging.getLogger(__name__)

_LOOK = 15.0
"""Seconds between two looks at a job of which nothing was heard."""
_FIRST_LOOK = 5.0
"""Seconds until the first look; a job that still waits then may have no worker."""
_DOUBTFUL_LOOK = 2.0
"""Seconds between two looks at a job in doubt, as nobody tells when the last who looked into it has given up."""
_ANSWER = 60.0
"""Seconds for which an answer to who asks for a cancel is waited for."""
_CLOSING = 10.0
"""Seconds that closing waits until a job that is being handed in is on record."""


class Watcher:
    """Hands the jobs of one client to workers, and follows them."""

    def __init__(self, journal: SharedJournal, account: Callable[[str, str], Account], clock: Clock) -> None:
        self._journal = journal
        self._account = account
        self._clock = clock
        self._drives: dict[str, Drive] = {}
        self._agenda = Agenda(clock)
        self._experience = Experience(journal, clock)
        self._doubts = Doubts(journal, account, clock, self._drives)
        self._workers = _Workers(journal, clock)
        self._looked: dict[str, Signal] = {}
        self._tasks = Tasks()
        self._hurried = False
        self._closed = False

    def start(self) -> None:
        """Begin to follow."""
        self._journal.listen(self._told, Heard.CHANGES)
        _ = self._tasks.start(self._run())

    def hurry(self) -> None:
        """Do not wait for what is being handed in when closing, and for a journal that has gone for a moment only."""
        self._hurried = True
        self._journal.hurry()

    async def aclose(self) -> None:
        """Stop following, once the jobs that are being handed in are on record. Workers go on with all of them."""
        self._closed = True
        try:
            await self._await_hand_ins()
        finally:
            self._tasks.cancel()
            for drive in list(self._drives.values()):
                drive.end(_closed(drive))
            await self._tasks.ended()

    async def _await_hand_ins(self) -> None:
        deadline = self._clock.monotonic() + (0.0 if self._hurried else _CLOSING)
        for drive in list(self._drives.values()):
            await drive.answered.wait_for(self._clock, deadline - self._clock.monotonic())

    # What the client asks for.

    async def submit(
        self,
        job: Job,
        account: Account,
        budget: Budget,
        *,
        patience: float,  # noqa: ARG002 (how long one that is refused is tried again is for the worker's configuration to say)
        alone: bool,  # noqa: ARG002 (a worker sends many at once, also where no service can be asked)
        listen: Listener | None,
        timeout: float | None = None,
    ) -> Drive | None:
        """Record a job for a worker to submit, and return when the service has accepted it; raises what went wrong.

        Returns `None` when a job of that id is on record already. `listen` is told of everything that is recorded of the job.
        `timeout` is for how many seconds acceptance is waited for once the job is on record. Whoever gives up waiting does not stop
        the job.
        """
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            drive = self._drives[job.id] = Drive(job=job, account=account, budget=budget, listeners=(listen,) if listen else ())
            drive.answered = Signal()
            _ = self._tasks.start(self._guard(drive, self._hand_in))
        elif listen is not None:
            drive.follow(listen)
        await self.accepted(drive, timeout)
        return None if drive.on_record else drive

    async def _hand_in(self, drive: Drive) -> None:
        try:
            drive.on_record = not await self._journal.hand_in(drive.job, drive.budget)
        except JournalError as error:
            raise JournalError(
                f"{error.message}; job {drive.job.id} may be on record all the same: look for it by its id"
            ) from error
        if drive.on_record:
            self._end(drive, None)
            return
        drive.answer()
        drive.started = self._clock.monotonic()
        self._agenda.put(drive, _FIRST_LOOK)

    async def accepted(self, drive: Drive, timeout: float | None = None) -> None:
        """Wait until the service has accepted a job, for so many seconds or without end; raises what went wrong."""
        await drive.answered.wait()
        await drive.until_accepted(self._clock, timeout)

    async def attach(self, job: Job, *, send: bool = True) -> Drive:
        """Follow a job on record, and call for a worker where it has none; `send` says whether also for one never sent."""
        self._check_open()
        drive = self._drives.get(job.id)
        if drive is None:
            account = self._account(job.backend, job.provider)
            drive = self._drives[job.id] = Drive(job=job, account=account, budget=account.config.budget, send=send)
            drive.taking = self._tasks.start(self._take_first(drive))
        else:
            drive.send = drive.send or send
            await self._call_for(drive)
        if drive.taking is not None:
            await asyncio.shield(drive.taking)
        return drive

    async def _take_first(self, drive: Drive) -> None:
        try:
            await self._take(drive)
        except BaseException:
            self._forget(drive)
            drive.ended.set()  # so that it is not looked at any more
            raise

    async def _take(self, drive: Drive) -> None:
        """Begin to follow a job on record."""
        if drive.job.status is JobStatus.EXPIRED:
            await self._ask_again(drive)
        elif not drive.job.status.terminal:
            drive.job = await self._journal.get(drive.job.id) or drive.job
        if drive.job.status.terminal:
            self._end(drive, outcome(drive.job))
            return
        await self._call_for(drive)
        drive.started = self._clock.monotonic()
        self._agenda.put(drive, _FIRST_LOOK)
        await self._take_in(drive, drive.job)

    async def _call_for(self, drive: Drive) -> None:
        """Call for a worker, but not for a job that is not to be sent, nor where no worker can ask what became of a submit."""
        match drive.job.status:
            case JobStatus.PENDING:
                wanted = drive.send
            case JobStatus.UNKNOWN:
                wanted = drive.account.plugin.supports("recover")
            case _:
                wanted = True
        if wanted:
            await self._journal.call_for([drive.job.id])

    async def _ask_again(self, drive: Drive) -> None:
        """Ask the service for a job that has expired once more, where this process has a key, and leave it to a worker then."""
        await ask_again(self._journal, drive)
        if drive.lease is not None:
            await self._journal.hand_over([drive.lease])
            drive.lease = None

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the client is closed; open another to go on with its jobs")

    def expected(self, drive: Drive) -> float | None:
        """Return how long the job usually takes, in seconds, as far as anybody says."""
        return self._experience.expected(drive)

    def usual(self, drive: Drive) -> Usual | None:
        """Return between what times such jobs usually take, once it was learned."""
        return self._experience.usual(drive)

    async def wait(self, drive: Drive, seconds: float | None) -> None:
        """Wait until a job has ended, for some seconds or as long as such a job may take; raises `JobTimeoutError`."""
        await drive.until_ended(self._clock, drive.account.poll_policy.deadline(drive.job.media) if seconds is None else seconds)

    # A cancel, which whoever has the job carries out.

    async def cancel(self, job: Job) -> Job:
        """Stop a job and return its record; raises `CancelUnsupportedError` where the service has no way to.

        Raises `JobTimeoutError` where no worker answers; it is on record that the job is to be cancelled all the same.
        """
        self._check_open()
        job = await self._journal.get(job.id) or job
        if job.status is JobStatus.PENDING and (ended := await self._withdrawn(job)):
            return ended
        if await self._is_left(job):  # a wish on record would cancel it once somebody has found it
            raise in_doubt(job)
        if not await self._journal.ask_cancel(job.id):
            return await self._journal.get(job.id) or job
        drive = await self.attach(job)
        await self._until_cancelled(drive)
        return drive.job

    async def _withdrawn(self, job: Job) -> Job | None:
        """Cancel a job that waits to be sent and that nobody has; return its record when that was it."""
        lease = await self._journal.acquire(job.id)
        if lease is None:
            return None
        job = await self._journal.get(job.id) or job
        if job.status is not JobStatus.PENDING:
            await self._journal.hand_over([lease])
            return None
        job = withdrawn(job, self._clock.now())
        if not await self._journal.update(lease, job):
            return None
        if drive := self._drives.get(job.id):
            await self._take_in(drive, job)
        return job

    async def _until_cancelled(self, drive: Drive) -> None:
        """Wait until a job has ended, or it is said why it cannot be cancelled."""
        deadline = self._clock.monotonic() + _ANSWER
        while not drive.ended.is_set():
            looked = self._looked.setdefault(drive.job.id, Signal())
            answer = await self._journal.cancel_answer(drive.job.id)
            if answer is not None:
                _check_answer(answer, drive.job)
                return
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise _unanswered(drive)
            await looked.wait_for(self._clock, left)
        if drive.job.status is JobStatus.UNKNOWN:
            raise in_doubt(drive.job)

    # A job in doubt, settled by a person who has looked.

    async def not_sent(self, job: Job) -> Job:
        """Record that a submit in doubt never arrived, as somebody says who has looked, and release what it reserves."""
        self._check_open()
        return await self._doubts.not_sent(job)

    async def adopt(self, job: Job, provider_id: str) -> Job:
        """Record the service's id of a job in doubt, as somebody found it there, and leave it to a worker.

        The service is asked whether it knows that id, which takes a key here.
        """
        self._check_open()
        try:
            lease, found = await self._doubts.adopt(job, provider_id)
        except ConfigError as error:
            error.message += "; or do this where the key is, as with a worker's configuration"
            raise
        await self._journal.hand_over([lease])
        return found

    # What is heard and looked for.

    def _told(self, job_id: str) -> None:
        """Have a job looked at of which something is on record; all of them when nobody knows of which."""
        told = [self._drives.get(job_id)] if job_id else list(self._drives.values())
        for drive in told:
            if drive is not None:
                self._agenda.put(drive, 0.0)

    async def _run(self) -> None:
        while True:
            drive = await self._agenda.next()
            # Before the look, so that what is told meanwhile brings the next one forward.
            self._agenda.put(drive, _DOUBTFUL_LOOK if drive.job.status is JobStatus.UNKNOWN else _LOOK)
            _ = self._tasks.start(self._guard(drive, self._look))

    async def _look(self, drive: Drive) -> None:
        """Take in what is on record of a job."""
        await drive.answered.wait()
        try:
            job = await self._journal.get(drive.job.id)
            if job is not None:
                await self._take_in(drive, job)
        except JournalError as error:
            _log.warning("job %s cannot be looked up now: %s", drive.job.id, error)
            return
        if job is None:
            self._end(drive, JournalError(f"job {drive.job.id} is not on record any more"))
        self._tell_looked(drive.job.id)

    async def _take_in(self, drive: Drive, job: Job) -> None:
        changed = job.status is not drive.job.status
        if drive.ended.is_set():
            return
        drive.job = job
        if job.status.terminal or await self._is_left(job):
            self._end(drive, refusal(job) or outcome(job))
            return
        if changed and job.status is JobStatus.UNKNOWN:
            self._agenda.put(drive, _DOUBTFUL_LOOK)
        if job.provider_id is not None:
            await self._experience.recall(drive.key)
            drive.accept()
        note = await self._note(drive)
        if not drive.ended.is_set():  # a later look may have been faster
            drive.publish(attrs.evolve(snapshot_of(drive.job), note=note))

    async def _is_left(self, job: Job) -> bool:
        """Whether a job is in doubt, and nobody looks, or is about to look, into what became of it."""
        if job.status is not JobStatus.UNKNOWN or await self._journal.attention(job.id) is not Attention.NONE:
            return False
        return await self._journal.get(job.id) == job  # whoever had it may have found it meanwhile

    async def _note(self, drive: Drive) -> str | None:
        """Return why a job waits that has waited for some seconds, where no worker is there for it."""
        waited = self._clock.monotonic() - drive.started
        if waited < _FIRST_LOOK / 2 or await self._workers.serve(drive.job.backend):
            return None
        if await self._journal.attention(drive.job.id) is Attention.DRIVEN:
            return None
        return self._workers.missing(drive.job.backend)

    # The end.

    async def _guard(self, drive: Drive, step: Callable[[Drive], Awaitable[None]]) -> None:
        """Run a step of following a job; what goes wrong ends the wait for it."""
        try:
            await step(drive)
        except GenbridgeError as error:
            self._end(drive, error)
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it)
            _log.exception("job %s: a bug in genbridge", drive.job.id)
            self._end(drive, mishap(drive.job, error))

    def _end(self, drive: Drive, error: GenbridgeError | None) -> None:
        self._forget(drive)
        if not drive.ended.is_set():  # as by a look that was overtaken
            drive.end(error)
        self._tell_looked(drive.job.id)

    def _forget(self, drive: Drive) -> None:
        """Follow a job no more, unless it has been taken up anew since."""
        if self._drives.get(drive.job.id) is drive:
            del self._drives[drive.job.id]

    def _tell_looked(self, job_id: str) -> None:
        if looked := self._looked.pop(job_id, None):
            looked.set()


class _Workers:
    """Which workers are alive, by their own reports."""

    def __init__(self, journal: SharedJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._reports: tuple[Report, ...] = ()
        self._until = 0.0
        self._missed: set[str] = set()
        self._lock = asyncio.Lock()

    async def serve(self, backend: str) -> bool:
        """Whether one is alive that drives jobs of a backend."""
        async with self._lock:
            if self._clock.monotonic() >= self._until:
                self._reports = tuple(await self._journal.reports())
                self._until = self._clock.monotonic() + _FIRST_LOOK
        return any(report.serves(backend) for report in self._reports)

    def missing(self, backend: str) -> str:
        """Return what to do so that there is one, and log it once."""
        advice = f"no worker is running for backend {backend!r}; start one with `genbridge worker`"
        if backend not in self._missed:
            self._missed.add(backend)
            _log.warning("%s; jobs wait until then", advice)
        return advice


def _check_answer(answer: str, job: Job) -> None:
    """Raise what a worker says against a cancel; nothing where it has asked the service."""
    if answer and job.status is JobStatus.UNKNOWN:
        raise in_doubt(job)
    if answer:
        raise CancelUnsupportedError(answer, job=job)


def _unanswered(drive: Drive) -> JobTimeoutError:
    note = f" ({drive.snapshot.note})" if drive.snapshot.note else ""
    return JobTimeoutError(
        f"no worker has answered within {_ANSWER:g} s{note}; the wish to cancel job {drive.job.id} is on record, and whichever "
        "worker has it, or takes it next, carries it out",
        job=drive.job,
    )


def _closed(drive: Drive) -> JournalError:
    if drive.answered.is_set():
        return JournalError(f"the client was closed; job {drive.job.id} is on record: pick it up by its id")
    return JournalError(f"the client was closed before job {drive.job.id} was known to be on record; look for it by its id")

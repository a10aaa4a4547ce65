"""What this process knows of how long jobs take: read from the journal when it is needed, and for some time not again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf

from genbridge.drives import Drive
from genbridge.durations import Key, Learned, Lesson, Usual, forecast, learn, usual
from genbridge.errors import JournalError
from genbridge.journal import Journal
from genbridge.timing import Clock

_FRESH = 60.0
"""Seconds after which it is read again, as other processes learn too."""
_LATE = 0.25
"""By what share of its time a poll may be late for the job to teach something."""
_WIDE = 120.0
"""The most seconds from one poll to the next between which a job may have ended and teach something."""
_VAGUE = 0.25
"""The largest share of its run that may be open of when a job began, for that to teach how long jobs run."""
_OFF = 0.1
"""By what share the two clocks may differ: more is a machine that slept, or a clock that was set."""


class Experience:
    """Durations by what they are kept by, in seconds of the service's time."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._known: dict[Key, Learned | None] = {}
        self._read: dict[Key, float] = {}
        self._lock = asyncio.Lock()

    async def recall(self, key: Key) -> None:
        """Read what is on record under a key, unless that was done lately."""
        if self.is_fresh(key):
            return
        async with self._lock:
            if self.is_fresh(key):
                return
            with suppress(JournalError):
                self._known[key] = await self._journal.learned(key)
            self._read[key] = self._clock.monotonic()

    def is_fresh(self, key: Key) -> bool:
        """Whether what is on record under a key was read lately."""
        read = self._read.get(key)
        return read is not None and self._clock.monotonic() - read < _FRESH

    def of(self, key: Key) -> Learned | None:
        """Return what is known."""
        return self._known.get(key)

    def take(self, lesson: Lesson) -> None:
        """Learn here what the journal has learned."""
        with suppress(ArithmeticError, ValueError):
            self._known[lesson.key] = learn(self.of(lesson.key), lesson.least, lesson.most)

    def lessons(self, drive: Drive) -> Sequence[Lesson]:
        """Return what a job that is done teaches; nothing when it may have been done for long before anybody asked."""
        elapsed, seen, pace = self._clock.monotonic() - drive.started, drive.seen, drive.account.pace
        if not self._is_telling(drive, elapsed):
            return ()
        whole = Lesson(drive.key, seen.at * pace, elapsed * pace)
        if seen.began is None or seen.began - seen.queued > _VAGUE * (elapsed - seen.began):
            return (whole,)
        return (whole, Lesson(drive.key.running, (seen.at - seen.began) * pace, (elapsed - seen.queued) * pace))

    def _is_telling(self, drive: Drive, elapsed: float) -> bool:
        slack = drive.account.poll_policy.interval
        if not drive.witnessed or not drive.due or drive.seen.missed or not drive.account.config.poll.learn:
            return False
        if elapsed - drive.seen.at > _WIDE:
            return False
        asleep = abs((self._clock.now() - (drive.job.submitted_at or drive.job.created_at)).total_seconds() - elapsed)
        return elapsed - drive.due <= max(slack, _LATE * drive.due) and asleep <= max(slack, _OFF * elapsed)

    # Of one job, in seconds of ours.

    def learned(self, drive: Drive) -> Learned | None:
        """Return what was learned of how long such jobs take."""
        learned = self.of(drive.key)
        return None if learned is None else learned.at_pace(drive.account.pace)

    def running(self, drive: Drive) -> Learned | None:
        """Return for how long the service works on such jobs, where it was seen when it began with this one."""
        learned = None if drive.seen.began is None else self.of(drive.key.running)
        return learned.at_pace(drive.account.pace) if learned is not None and learned.telling else None

    def guessed(self, drive: Drive) -> Learned | None:
        """Return what the service or its plugin says, for as long as nothing was learned."""
        said = self._said(drive)
        return Learned.guess(said) if said is not None and 0 < said < inf else None

    def _said(self, drive: Drive) -> float | None:
        return drive.expected / drive.account.pace if drive.expected else drive.account.usual(drive.job.provider_model)

    def expected(self, drive: Drive) -> float | None:
        """Return how long the job usually takes, in seconds, by what was learned or as far as anybody says."""
        learned = self.learned(drive)
        return forecast(learned).median if learned is not None and learned.telling else self._said(drive)

    def usual(self, drive: Drive) -> Usual | None:
        """Return between what times such jobs usually take, once it was learned."""
        return usual(self.learned(drive))

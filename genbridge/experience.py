"""What this process knows of how long jobs take: read from the journal when it is needed, and for some time not again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from genbridge.drives import Drive
from genbridge.durations import Key, Learned, Lesson, learn
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
        if self._is_fresh(key):
            return
        async with self._lock:
            if self._is_fresh(key):
                return
            with suppress(JournalError):
                self._known[key] = await self._journal.learned(key)
            self._read[key] = self._clock.monotonic()

    def _is_fresh(self, key: Key) -> bool:
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

"""Whether this process's signs of life reach the journal, by the machine's own clock: others go by them, and take its jobs over."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from genbridge.timing import uptime

LATE = 18.0
"""Seconds without a sign of life after which nothing is sent: six tenths of those after which others may take a job over."""
_GAP = 15.0
"""Seconds between two signs of life that are a gap."""
_STEADY = 30.0
"""Seconds after a gap until the signs are steady: the others' may have had the same gap, and those who live have told by then."""


class Pulse:
    """Signs of life of this process. `machine` tells seconds that never go back."""

    def __init__(self, machine: Callable[[], float] = uptime) -> None:
        self._machine = machine
        self._last = machine()
        self._gap = -inf

    def begin(self) -> float:
        """Return the time at which a sign of life is begun."""
        return self._machine()

    def note(self, began: float) -> float:
        """Take in that a sign of life that was begun then has reached the journal; return the seconds since the one before."""
        now, before = self._machine(), self._last
        if now - before > _GAP:
            self._gap = now
        self._last = began
        return now - before

    @property
    def silence(self) -> float:
        """The seconds since the last sign of life was begun that reached the journal."""
        return self._machine() - self._last

    @property
    def is_late(self) -> bool:
        """Whether others may soon think that this process is dead."""
        return self.silence > LATE

    @property
    def is_steady(self) -> bool:
        """Whether there was no gap lately, so that whoever is silent on record is silent, and the journal was to be reached."""
        return self.silence <= _GAP and self._machine() - self._gap > _STEADY

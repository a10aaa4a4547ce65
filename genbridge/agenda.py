"""Which job to look at next, and when: one heap for all of them."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from genbridge.drives import Drive
from genbridge.timing import Clock, Signal

_SLACK = 0.01
"""Seconds that are slept at least, so that jobs whose times are close together cost one wake-up."""


class Agenda:
    """Jobs by the time at which to look at them; each has one place, the last that it was given.

    The heap holds numbers alone, which Python's garbage collector then need not go through again and again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int]] = []
        self._drives: dict[int, Drive] = {}
        self._order = count()
        self._wake = Signal()

    def put(self, drive: Drive, delay: float) -> None:
        """Have a job looked at in so many seconds."""
        self._drives.pop(drive.turn, None)
        drive.turn = next(self._order)
        self._drives[drive.turn] = drive
        heappush(self._heap, (self._clock.monotonic() + delay, drive.turn))
        if self._heap[0][1] == drive.turn:
            self._wake.set()

    async def next(self) -> Drive:
        """Wait until the time of a job has come, and return it."""
        while True:
            if not self._heap:
                await self._sooner().wait()
            elif (wait := self._heap[0][0] - self._clock.monotonic()) > _SLACK:
                await self._sooner().wait_for(self._clock, wait)
            elif wait > 0:
                await self._clock.sleep(_SLACK)
            else:
                drive = self._drives.pop(heappop(self._heap)[1], None)
                if drive is not None and not drive.ended.is_set():
                    return drive

    def _sooner(self) -> Signal:
        """Return what is set when a job is put before all others."""
        self._wake = Signal()
        return self._wake

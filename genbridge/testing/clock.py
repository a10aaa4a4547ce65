"""A clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

import attrs

T = TypeVar("T")

_ROUNDS = 100
"""How often everything that is ready may run before the clock jumps."""


@attrs.define
class FakeClock:
    """A clock whose waits take no time: give it to `Client(clock=…)`, and wait with `run`.

    `advance` is how time passes. `jump` and `set` are what an administrator, a time server or a suspended machine does: they move
    the wall clock alone, and whoever waits goes on waiting.

    `luck` is what every draw of a random number gives, so that jitter is known. Before it jumps, the clock lets everything run that
    is ready; `quiet` is for how many seconds of real time it then waits for threads and sockets, where there are any.
    """

    started: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    elapsed: float = 0.0
    luck: float = 0.0
    quiet: float = 0.0
    _ahead: timedelta = attrs.field(factory=timedelta, init=False)
    _order: count[int] = attrs.field(factory=count, init=False)
    _sleepers: list[tuple[float, int, asyncio.Future[None]]] = attrs.field(factory=list, init=False)

    def monotonic(self) -> float:
        """Return the seconds since the clock was made."""
        return self.elapsed

    def now(self) -> datetime:
        """Return the wall-clock time."""
        return self.started + timedelta(seconds=self.elapsed) + self._ahead

    def chance(self) -> float:
        """Return `luck`."""
        return self.luck

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved that far."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self.elapsed + max(0.0, seconds), next(self._order), woken))
        await woken

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, back when `seconds` is negative; forward is also what a suspend looks like afterwards."""
        self._ahead += timedelta(seconds=seconds)

    def set(self, now: datetime) -> None:
        """Set the wall clock alone."""
        self._ahead += now - self.now()

    def advance(self, seconds: float) -> None:
        """Move both clocks and wake who has waited long enough."""
        self.elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self.elapsed:
            _, _, woken = heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def run(self, work: Awaitable[T]) -> T:
        """Wait for something, moving the clock to the next waiter whenever all else is quiet."""
        task = asyncio.ensure_future(work)
        while not await self._settled(task):
            self._jump()
        return task.result()

    async def _settled(self, task: asyncio.Future[T]) -> bool:
        """Let everything run that is ready, and return whether that has ended a task."""
        for _ in range(_ROUNDS):
            if task.done():
                return True
            await asyncio.sleep(0)
        return bool((await asyncio.wait({task}, timeout=self.quiet))[0])

    def _jump(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heappop(self._sleepers)
        if self._sleepers:
            self.advance(max(0.0, self._sleepers[0][0] - self.elapsed))

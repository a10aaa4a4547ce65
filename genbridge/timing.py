"""Time, passed in: so that a test can wait fifteen minutes in a millisecond."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time and waits. Deadlines are monotonic; records are wall-clock time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def chance(self) -> float:
        """Return a random number in [0, 1), for jitter."""


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return random.random()  # noqa: S311 (jitter is no secret)


def uptime() -> float:
    """Return seconds since the machine was started, those that it slept through among them where it can tell.

    Other machines wait meanwhile, and take jobs over.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Signal:
    """What an `asyncio.Event` is, at little cost: thousands of jobs have several each, on which mostly nobody waits."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._is_set = True
        for waiter in self._waiters:
            _wake(waiter)

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self._is_set:
            await self._woken(asyncio.get_running_loop().create_future())

    async def wait_for(self, clock: Clock, seconds: float) -> bool:
        """Wait until it is set, but no longer than some seconds; return whether it is."""
        if self._is_set:
            return True
        waiter = asyncio.get_running_loop().create_future()
        sleeping = asyncio.ensure_future(clock.sleep(seconds))
        sleeping.add_done_callback(lambda _: _wake(waiter))
        try:
            await self._woken(waiter)
        finally:
            sleeping.cancel()
        return self._is_set

    async def _woken(self, waiter: asyncio.Future[None]) -> None:
        self._waiters += (waiter,)
        try:
            await waiter
        finally:
            self._waiters = tuple(other for other in self._waiters if other is not waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)

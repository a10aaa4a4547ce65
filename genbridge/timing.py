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


async def wait_for(clock: Clock, event: asyncio.Event, seconds: float) -> bool:
    """Wait until an event is set, but no longer than some seconds; return whether it is."""
    if event.is_set():
        return True
    happening = asyncio.ensure_future(event.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({happening, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happening.cancel()
        sleeping.cancel()
    return event.is_set()

"""When calls are given up: one timer for all of them, as a timer for each is a good part of what a poll costs."""

from __future__ import annotations

import asyncio


class Deadlines:
    """Ends `async with asyncio.timeout(None)` blocks in their time."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Timeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Have a block end in so many seconds."""
        end = self._ends[limit] = asyncio.get_running_loop().time() + seconds
        if self._timer is None or end < self._timer.when():
            self._look_at(end)

    def clear(self, limit: asyncio.Timeout) -> None:
        """Let a block take as long as it likes from now on."""
        self._ends.pop(limit, None)

    def close(self) -> None:
        """Let all of them."""
        self._ends.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        """End the blocks whose time has come, and look again when that of the next has."""
        now, self._timer = asyncio.get_running_loop().time(), None
        for limit in [limit for limit, end in self._ends.items() if end <= now]:
            limit.reschedule(self._ends.pop(limit))
        if self._ends:
            self._look_at(min(self._ends.values()))

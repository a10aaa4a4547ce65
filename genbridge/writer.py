"""Writes to the journal that must not be lost, as what they say is paid for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from genbridge.errors import JournalError
from genbridge.timing import Clock
from genbridge.types import Job

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Waits, in seconds, before a write that failed is tried again."""


class Writer:
    """Tries a write again, and keeps one that stays impossible until the journal can be written.

    All of them may be made twice, as nobody knows whether one was made whose maker was stopped.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = deque()
        self._catching_up = asyncio.Lock()

    async def write(self, write: Callable[..., Awaitable[T]], *values: Any) -> T | None:
        """Make a write, again for a while when it cannot be made; one whose maker is stopped meanwhile is kept.

        When it stays so, the job is driven on without a record, as it is paid for, and the log says what would have been written.
        """
        try:
            return await self._tried(write, values)
        except asyncio.CancelledError:
            self._kept.append((write, values))
            raise

    async def _tried(self, write: Callable[..., Awaitable[T]], values: tuple[Any, ...]) -> T | None:
        for pause in _PAUSES:
            try:
                return await write(*values)
            except JournalError as error:
                for job in (value for value in values if isinstance(value, Job)):
                    _log.error("job %s is %s under the service's id %r, but %s", job.id, job.status, job.provider_id, error)
                await self._clock.sleep(pause)
        self._kept.append((write, values))
        return None

    async def write_now_or_later(self, write: Callable[..., Awaitable[Any]], *values: Any) -> None:
        """Make a write, or keep it without waiting."""
        self._kept.append((write, values))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Make the writes that were kept; each is kept until it is made."""
        async with self._catching_up:
            for _ in range(len(self._kept)):
                write, values = self._kept[0]
                try:
                    await write(*values)
                except JournalError as error:
                    _log.error("%s", error)
                    self._kept.rotate(-1)
                else:
                    self._kept.popleft()

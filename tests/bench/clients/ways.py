"""How many jobs are followed with a client that can do no more than submit one and ask for one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Protocol

_TICK = 0.01
_ID = "job-{:08}"
_OFFSET = 90_000_000
"""Where the ids begin of jobs that were never submitted, which go on for ever."""


class Calls(Protocol):
    """A client's two calls."""

    async def submit(self) -> str:
        """Submit a job and return its id."""

    async def poll(self, job: str) -> bool:
        """Ask for a job, and return whether it is done."""

    async def aclose(self) -> None:
        """Close the connections."""


class Tasks:
    """A task for each job, which sleeps between two polls: what people write."""

    def __init__(self, calls: Calls, interval: float) -> None:
        self._calls = calls
        self._interval = interval
        self.submit = calls.submit
        self.aclose = calls.aclose

    async def begin(self, count: int) -> Sequence[str]:
        """Return jobs that go on for ever."""
        return [_ID.format(_OFFSET + number) for number in range(count)]

    async def complete(self) -> None:
        """Submit a job and follow it to its end, the first time at once."""
        job = await self._calls.submit()
        while not await self._calls.poll(job):
            await asyncio.sleep(self._interval)

    async def notice(self) -> None:
        """Submit a job and follow it to its end, the first time after one interval."""
        job = await self._calls.submit()
        await self._follow(job, self._interval)

    async def _follow(self, job: str, first: float) -> None:
        await asyncio.sleep(first)
        while not await self._calls.poll(job):
            await asyncio.sleep(self._interval)

    async def follow(self, jobs: Sequence[str]) -> None:
        """Follow jobs to their end, from different moments on."""
        await asyncio.gather(*(self._follow(job, random.random() * self._interval) for job in jobs))


class Heap(Tasks):
    """One heap of when to ask for which job, looked at a hundred times a second, and no task for one that waits.

    Of several such loops that were tried, this was the cheapest.
    """

    async def follow(self, jobs: Sequence[str]) -> None:
        """Follow jobs to their end, from different moments on."""
        loop = asyncio.get_running_loop()
        heap = [(loop.time() + random.random() * self._interval, job) for job in jobs]
        heapify(heap)
        asked: set[asyncio.Task[None]] = set()
        while heap or asked:
            while heap and heap[0][0] <= loop.time():
                task = loop.create_task(self._ask(heappop(heap)[1], heap))
                asked.add(task)
                task.add_done_callback(asked.discard)
            await asyncio.sleep(_TICK)

    async def _ask(self, job: str, heap: list[tuple[float, str]]) -> None:
        if not await self._calls.poll(job):
            heappush(heap, (asyncio.get_running_loop().time() + self._interval, job))

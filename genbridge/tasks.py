"""What runs beside whoever began it, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Tasks:
    """Tasks that are kept until they are done; whoever waits for what they do hears of their errors."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    def cancel(self) -> None:
        """Have all of them end."""
        for task in self._running:
            task.cancel()

    async def ended(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*self._running, return_exceptions=True)


class Crew(Generic[T]):
    """Does something with one thing after the other, each in a task that did the same before where there is one: they cost less.

    No more than `most_idle` tasks wait for more to do; others end.
    """

    def __init__(self, tasks: Tasks, work: Callable[[T], Awaitable[None]], *, most_idle: int = 100) -> None:
        self._tasks = tasks
        self._work = work
        self._most_idle = most_idle
        self._idle: list[asyncio.Future[T]] = []

    def give(self, thing: T) -> None:
        """Begin with another thing."""
        while self._idle:
            called = self._idle.pop()
            if not called.done():  # as that of a task that was cancelled is
                called.set_result(thing)
                return
        _ = self._tasks.start(self._go_on(thing))

    async def _go_on(self, thing: T) -> None:
        this = asyncio.current_task()
        while True:
            await self._work(thing)
            del thing  # it may be large, and the next a long time away
            if len(self._idle) >= self._most_idle or (this is not None and this.cancelling()):
                return
            called = asyncio.get_running_loop().create_future()
            self._idle.append(called)
            thing = await called

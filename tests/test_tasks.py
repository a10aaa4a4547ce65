"""Who begins something need not wait for it, and a task is used again."""

from __future__ import annotations

import asyncio

import pytest

from genbridge import tasks
from genbridge.tasks import Crew, Tasks


class Work:
    """Notes which task did what, once it may."""

    def __init__(self) -> None:
        self.by: dict[str, asyncio.Task[None] | None] = {}
        self.may = asyncio.Event()

    async def do(self, thing: str) -> None:
        """Do one thing."""
        self.by[thing] = asyncio.current_task()
        await self.may.wait()


async def turns(count: int = 5) -> None:
    """Let others go on for a while."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_task_that_is_done_does_the_next() -> None:
    """And there are as many as there are things at once."""
    work, running = Work(), Tasks()
    crew = Crew(running, work.do)
    for thing in ("a", "b"):
        crew.give(thing)
    await turns()
    assert work.by["a"] is not work.by["b"]
    work.may.set()
    await turns()
    crew.give("c")
    await turns()
    assert work.by["c"] in {work.by["a"], work.by["b"]}
    running.cancel()
    await running.ended()


async def test_no_more_than_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others end."""
    monkeypatch.setattr(tasks, "_MOST_IDLE", 2)
    work, running = Work(), Tasks()
    crew = Crew(running, work.do)
    for thing in "abcd":
        crew.give(thing)
    work.may.set()
    await turns()
    assert 2 == sum(task is not None and task.done() for task in work.by.values())
    running.cancel()
    await running.ended()
    assert all(task is not None and task.done() for task in work.by.values())

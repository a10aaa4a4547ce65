"""Who begins something need not wait for it, and a task is used again."""

from __future__ import annotations

import asyncio
import gc
import weakref

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


async def test_no_more_than_some_are_kept() -> None:
    """The others end."""
    work, running = Work(), Tasks()
    crew = Crew(running, work.do, most_idle=2)
    for thing in "abcd":
        crew.give(thing)
    work.may.set()
    await turns()
    assert 2 == sum(task is not None and task.done() for task in work.by.values())
    running.cancel()
    await running.ended()
    assert all(task is not None and task.done() for task in work.by.values())


async def test_one_that_was_cancelled_is_given_nothing() -> None:
    """Another task begins instead."""
    work, running = Work(), Tasks()
    work.may.set()
    crew = Crew(running, work.do)
    crew.give("a")
    await turns()
    first = work.by["a"]
    assert first is not None
    first.cancel()
    crew.give("b")
    await turns()
    assert (True, False) == (first.cancelled(), work.by["b"] is first)
    running.cancel()
    await running.ended()


async def test_what_is_done_is_not_kept() -> None:
    """By a task that waits for more."""
    done, running = list[int](), Tasks()

    async def note(thing: set[int]) -> None:
        done.extend(thing)

    crew: Crew[set[int]] = Crew(running, note)
    thing = {1}
    kept = weakref.ref(thing)
    crew.give(thing)
    del thing
    await turns()
    gc.collect()
    assert ([1], None) == (done, kept())
    running.cancel()
    await running.ended()


async def test_a_cancel_that_is_swallowed_ends_the_task_after_its_work() -> None:
    """Else whoever waits for its end waits for ever."""
    running = Tasks()

    async def deaf(_: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return

    Crew(running, deaf).give("a")
    await turns()
    running.cancel()
    async with asyncio.timeout(10):
        await running.ended()

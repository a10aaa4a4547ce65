"""Calls are given up in their time, by one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from genbridge.deadlines import Deadlines


async def held(deadlines: Deadlines, seconds: float, name: str, ended: list[str]) -> None:
    """Wait for ever, and note that the wait was ended as it took too long."""
    deadlines.begin(seconds)
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        if not deadlines.end():
            raise
    ended.append(name)


async def test_each_ends_in_its_time() -> None:
    """Whichever was begun first; one of them is over at once."""
    deadlines, ended = Deadlines(), list[str]()
    waits = {"second": 0.02, "third": 0.04, "first": 0.01, "at once": 0.0}
    async with asyncio.timeout(10):
        await asyncio.gather(*(held(deadlines, seconds, name, ended) for name, seconds in waits.items()))
    assert ["at once", "first", "second", "third"] == ended


async def test_what_is_done_is_not_cancelled() -> None:
    """Though its time comes while another's does."""
    deadlines, ended = Deadlines(), list[str]()
    deadlines.begin(0.0)
    assert not deadlines.end()
    async with asyncio.timeout(10):
        await asyncio.create_task(held(deadlines, 0.01, "another", ended))
    assert ["another"] == ended


async def test_somebody_elses_cancel_comes_first() -> None:
    """Also when the time has come before it, or after."""
    for first in (True, False):
        deadlines = Deadlines()
        task = asyncio.create_task(held(deadlines, 0.0, "never", []))
        await asyncio.sleep(0)
        if first:
            task.cancel()
        deadlines._look()
        if not first:
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_task_that_was_too_late_is_not_cancelled_any_more() -> None:
    """So that what it does next is not taken for having been."""
    deadlines, ended = Deadlines(), list[str]()

    async def late() -> int:
        await held(deadlines, 0.0, "late", ended)
        return asyncio.current_task().cancelling()  # type: ignore[union-attr]  # it is a task

    async with asyncio.timeout(10):
        assert 0 == await asyncio.create_task(late())
    assert ["late"] == ended


async def test_what_is_done_after_a_cancel_has_its_time_too() -> None:
    """As what tidies up is not to wait for ever either."""
    ended: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await held(Deadlines(), 0.01, "tidied", ended)

    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
    assert (["tidied"], True) == (ended, task.cancelled())


async def test_there_is_one_timer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one only where one is to end before the others."""
    loop, made = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda when, *rest, **named: made.append(when) or call_at(when, *rest, **named))
    deadlines = Deadlines()
    tasks = [asyncio.create_task(held(deadlines, seconds, "never", [])) for seconds in (50.0, 60.0, 70.0, 40.0, 45.0)]
    await asyncio.sleep(0)
    assert 2 == len(made)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

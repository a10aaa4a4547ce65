"""Blocks end in their time, with one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from genbridge.deadlines import Deadlines

FOREVER = 3600.0


async def held(deadlines: Deadlines, seconds: float, name: str, ended: list[str]) -> None:
    """Wait for ever, and note that the wait was ended."""
    try:
        async with asyncio.timeout(None) as limit:
            deadlines.set(limit, seconds)
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        ended.append(name)


async def test_each_ends_in_its_time() -> None:
    """Whichever was begun first; one of them is over at once."""
    deadlines, ended = Deadlines(), list[str]()
    waits = {"second": 0.02, "third": 0.04, "first": 0.01, "at once": 0.0}
    async with asyncio.timeout(10):
        await asyncio.gather(*(held(deadlines, seconds, name, ended) for name, seconds in waits.items()))
    assert ["at once", "first", "second", "third"] == ended


async def test_one_that_is_cleared_does_not_end() -> None:
    """Though its time comes while another's does."""
    deadlines, ended = Deadlines(), list[str]()
    async with asyncio.timeout(10), asyncio.timeout(None) as limit:
        deadlines.set(limit, 0.0)
        deadlines.clear(limit)
        await held(deadlines, 0.01, "another", ended)
    assert (False, ["another"]) == (limit.expired(), ended)


async def test_a_cancel_is_no_timeout() -> None:
    """Whoever cancels hears of it as of any other."""
    deadlines = Deadlines()
    task = asyncio.create_task(held(deadlines, FOREVER, "never", []))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_there_is_one_timer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one only where it is to end before the others."""
    loop, made = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda when, *rest, **named: made.append(when) or call_at(when, *rest, **named))
    deadlines = Deadlines()
    for seconds in (50.0, 60.0, 70.0, 40.0, 45.0):
        deadlines.set(asyncio.timeout(None), seconds)
    deadlines.close()
    assert 2 == len(made)

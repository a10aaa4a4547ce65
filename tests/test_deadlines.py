"""Blocks end in their time, with one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from genbridge.deadlines import Deadlines

FOREVER = 3600.0


async def held(deadlines: Deadlines, seconds: float, name: str, ended: list[str]) -> None:
    """Wait for ever, and note that the wait was ended as it took too long."""
    deadlines.begin(seconds)
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        if not deadlines.done():
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
    assert not deadlines.done()
    async with asyncio.timeout(10):
        await asyncio.create_task(held(deadlines, 0.01, "another", ended))
    assert ["another"] == ended


async def test_somebody_elses_cancel_comes_first() -> None:
    """Also when the time comes at the same moment."""
    deadlines = Deadlines()
    for seconds in (0.0, FOREVER):
        task = asyncio.create_task(held(deadlines, seconds, "never", []))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


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
    deadlines.close()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_nobody_is_cancelled_after_the_end() -> None:
    """When those who use it are closed."""
    deadlines, ended = Deadlines(), list[str]()
    kept = asyncio.create_task(held(deadlines, 0.0, "kept", ended))
    await asyncio.sleep(0)
    deadlines.close()
    await asyncio.create_task(held(Deadlines(), 0.01, "another", ended))
    assert (["another"], False) == (ended, kept.done())
    kept.cancel()
    await asyncio.wait([kept])

"""Time that is passed in."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from genbridge.testing.clock import FakeClock
from genbridge.timing import Clock, Signal, SystemClock, uptime


async def test_the_clock_of_this_machine_tells_its_time() -> None:
    """Wall-clock time in UTC, and seconds that never go back."""
    clock: Clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert before <= clock.monotonic()
    assert UTC is clock.now().tzinfo
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_time_since_the_machine_was_started_goes_on_while_it_sleeps() -> None:
    """So it is never less than what does not."""
    least = time.monotonic()
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    assert least + slept - 0.1 <= uptime() <= time.monotonic() + slept + 0.1


def test_the_chances_of_this_machine_are_fractions() -> None:
    """Not all the same, so that clients that failed together do not come back together."""
    chances = [SystemClock().chance() for _ in range(100)]
    assert all(0 <= chance < 1 for chance in chances)
    assert len(set(chances)) > 1


async def test_an_event_that_has_happened_is_not_waited_for() -> None:
    """Even where the time is up at once."""
    event = Signal()
    event.set()
    clock = FakeClock()
    assert await event.wait_for(clock, 0.0)
    assert 0.0 == clock.elapsed


async def test_an_event_ends_the_wait_for_it() -> None:
    """The time that was left is not waited out."""
    event, clock = Signal(), FakeClock()

    async def happen() -> None:
        await clock.sleep(3.0)
        event.set()

    happening = asyncio.ensure_future(happen())
    assert await clock.run(event.wait_for(clock, 600.0))
    await happening
    assert 3.0 == clock.elapsed


async def test_time_ends_the_wait_for_an_event() -> None:
    """And says that it has not happened."""
    clock = FakeClock()
    assert not await clock.run(Signal().wait_for(clock, 15.0))
    assert 15.0 == clock.elapsed


async def test_a_wait_leaves_nothing_behind() -> None:
    """Neither when it ends nor when it is cancelled."""
    clock, others = FakeClock(), asyncio.all_tasks()
    await clock.run(Signal().wait_for(clock, 15.0))
    waiting = asyncio.ensure_future(Signal().wait_for(clock, 15.0))
    await asyncio.sleep(0)
    assert 2 == len(asyncio.all_tasks() - others)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert waiting.cancelled()
    assert others == asyncio.all_tasks()


async def test_a_signal_wakes_all_who_wait_for_it() -> None:
    """And whoever comes afterwards does not wait."""
    signal = Signal()
    waiting = [asyncio.ensure_future(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert (False, [False] * 3) == (signal.is_set(), [each.done() for each in waiting])
    signal.set()
    await asyncio.gather(*waiting, signal.wait())
    assert signal.is_set()

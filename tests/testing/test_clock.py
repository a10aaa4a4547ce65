"""A clock whose waits take no time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from genbridge.testing.clock import FakeClock
from genbridge.timing import Clock


async def sleep_and_tell(clock: FakeClock, seconds: float, told: list[tuple[float, float]]) -> None:
    """Sleep, then note how long it was to be and what the time is."""
    await clock.sleep(seconds)
    told.append((seconds, clock.monotonic()))


def test_time_stands_still_until_it_is_moved() -> None:
    """Both kinds of it move together."""
    clock = FakeClock()
    assert (0.0, datetime(2026, 1, 1, 12, tzinfo=UTC)) == (clock.monotonic(), clock.now())
    clock.advance(90.0)
    assert (90.0, datetime(2026, 1, 1, 12, 1, 30, tzinfo=UTC)) == (clock.monotonic(), clock.now())


@pytest.mark.parametrize("seconds", [-3600.0, 86400.0])
def test_the_wall_clock_jumps_alone(seconds: float) -> None:
    """Back or forward; time goes on from there."""
    clock = FakeClock()
    clock.advance(10.0)
    clock.jump(seconds)
    assert (10.0, datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC) + timedelta(seconds=seconds)) == (clock.monotonic(), clock.now())
    clock.advance(5.0)
    assert (15.0, datetime(2026, 1, 1, 12, 0, 15, tzinfo=UTC) + timedelta(seconds=seconds)) == (clock.monotonic(), clock.now())


def test_the_wall_clock_is_set_alone() -> None:
    """Whatever it showed before."""
    clock, right = FakeClock(), datetime(2026, 7, 1, tzinfo=UTC)
    clock.jump(-1e6)
    clock.advance(10.0)
    clock.set(right)
    assert (10.0, right) == (clock.monotonic(), clock.now())


async def test_whoever_waits_does_not_notice_a_jump_of_the_wall_clock() -> None:
    """Waits are counted by the clock that cannot jump."""
    clock, told = FakeClock(), list[tuple[float, float]]()
    waiting = asyncio.ensure_future(sleep_and_tell(clock, 5.0, told))
    await asyncio.sleep(0)
    clock.jump(86400.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.jump(-2 * 86400.0)
    await clock.run(waiting)
    assert [(5.0, 5.0)] == told


def test_every_chance_is_the_one_that_was_set() -> None:
    """So that jitter is known."""
    clock: Clock = FakeClock(luck=0.25)
    assert [0.25, 0.25] == [clock.chance(), clock.chance()]


async def test_whoever_has_waited_long_enough_is_woken() -> None:
    """And nobody else, in the order of their times."""
    clock, told = FakeClock(), list[tuple[float, float]]()
    tasks = [asyncio.ensure_future(sleep_and_tell(clock, seconds, told)) for seconds in (5.0, 1.0, 3.0)]
    await asyncio.sleep(0)
    clock.advance(3.0)
    await asyncio.wait(tasks[1:])
    assert [(1.0, 3.0), (3.0, 3.0)] == told
    assert not tasks[0].done()
    clock.advance(2.0)
    await tasks[0]
    assert (5.0, 5.0) == told[-1]


async def test_hours_are_waited_in_no_time() -> None:
    """Each wait to its own end, one after the other."""
    clock, told = FakeClock(), list[tuple[float, float]]()
    began = time.monotonic()
    await clock.run(asyncio.gather(*(sleep_and_tell(clock, hours * 3600.0, told) for hours in (3, 1, 2))))
    assert [(3600.0, 3600.0), (7200.0, 7200.0), (10800.0, 10800.0)] == told
    assert time.monotonic() - began < 5.0


async def test_those_who_wait_for_the_same_time_are_woken_in_turn() -> None:
    """So that a test comes out the same each time."""
    clock, order = FakeClock(), list[int]()

    async def wait(number: int) -> None:
        await clock.sleep(1.0)
        order.append(number)

    await clock.run(asyncio.gather(*(wait(number) for number in range(10))))
    assert list(range(10)) == order


@pytest.mark.parametrize("seconds", [0.0, -5.0])
async def test_a_wait_of_no_time_does_not_move_the_clock(seconds: float) -> None:
    """Let alone back."""
    clock = FakeClock()
    await clock.run(clock.sleep(seconds))
    assert 0.0 == clock.elapsed


async def test_whoever_has_given_up_does_not_move_the_clock() -> None:
    """The jump goes to the next who still waits; moving the clock past the other does no harm."""
    clock = FakeClock()
    first, second = (asyncio.ensure_future(clock.sleep(seconds)) for seconds in (1.0, 4.0))
    await asyncio.sleep(0)
    first.cancel()
    await clock.run(second)
    assert 4.0 == clock.elapsed
    third = asyncio.ensure_future(clock.sleep(1.0))
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.wait({third})
    clock.advance(2.0)
    assert 6.0 == clock.elapsed


async def test_the_clock_does_not_move_while_work_goes_on() -> None:
    """What is ready runs first, and may take a few steps."""
    clock = FakeClock()
    watchdog = asyncio.ensure_future(clock.sleep(60.0))

    async def work() -> str:
        for _ in range(90):
            await asyncio.sleep(0)
        return "done"

    assert "done" == await clock.run(work())
    assert (0.0, False) == (clock.elapsed, watchdog.done())
    watchdog.cancel()


async def test_what_happens_in_a_thread_is_waited_for() -> None:
    """As long as `quiet` says, though somebody sleeps meanwhile."""
    clock = FakeClock(quiet=30.0)
    watchdog = asyncio.ensure_future(clock.sleep(60.0))
    assert "done" == await clock.run(asyncio.to_thread("done".strip))
    assert (0.0, False) == (clock.elapsed, watchdog.done())
    watchdog.cancel()


async def test_what_nobody_sleeps_for_is_waited_for() -> None:
    """There is nothing to jump to; here it is the loop's own timer that ends it."""
    clock, event = FakeClock(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await clock.run(event.wait())
    assert 0.0 == clock.elapsed


async def test_an_error_comes_out_as_it_is() -> None:
    """With the time at which it was raised."""
    clock = FakeClock()

    async def fail() -> None:
        await clock.sleep(7.0)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await clock.run(fail())
    assert 7.0 == clock.elapsed

"""What a client learns of how long jobs take, and what it does with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from studio import REQUEST, InlineJournal, Service, a_config, a_service, accepted, done, opened, running, said

from genbridge import Call, Client, JobFailedError, JobTimeoutError, JournalError, Reply
from genbridge.config import PollConfig
from genbridge.durations import Key, forecast
from genbridge.testing.clock import FakeClock

KEY = Key("studio", "clip-1", "video", "- 5")
TOOK = 90.0


@attrs.define
class Kitchen:
    """A service whose jobs are done a certain time after their submit."""

    clock: FakeClock = attrs.field(factory=lambda: FakeClock(luck=0.9))
    took: float = TOOK
    begun: float = 0.0
    end: Reply = attrs.field(factory=done)
    missed: range = range(0)
    """The seconds after the submit in which it answers no poll."""

    def service(self) -> Service:
        return a_service(submits=[self.begin], polls=[self.look], clock=self.clock)

    def begin(self, _: Call) -> Reply:
        self.begun = self.clock.elapsed
        return accepted()

    def look(self, _: Call) -> Reply:
        if int(self.clock.elapsed - self.begun) in self.missed:
            return said(500)
        return self.end if self.clock.elapsed >= self.begun + self.took else running()


async def made(client: Client, service: Service, jobs: int = 1) -> list[float]:
    """Make some jobs, one after the other, and return when the last was polled, in seconds since its submit."""
    began = 0.0
    for _ in range(jobs):
        began = service.clock.elapsed
        await service.clock.run(client.generate(REQUEST))
    return [at - began for at in service.poll_times if at > began]


async def learned(client: Client) -> list[Key]:
    """Return of what the journal of a client knows durations."""
    assert client._journal is not None
    return list(await client._journal.durations())


async def test_jobs_are_asked_for_when_those_before_them_were_done() -> None:
    """What they took is on record, and a handle says it."""
    service = Kitchen().service()
    async with opened(service) as client:
        first, last = await made(client, service), await made(client, service, 12)
        handle = await service.clock.run(client.submit(REQUEST))
        assert [KEY] == await learned(client)
        assert handle.expected == pytest.approx(TOOK, rel=0.05)
        assert handle.usual is not None
        assert handle.usual.low < TOOK < handle.usual.high < handle.usual.late
        (takes,) = (await client.usual()).values()
        assert handle.usual == takes
    assert 20 < len(first)
    assert 12 > len(last)
    assert 60 < last[0] < TOOK


async def test_how_long_a_job_runs_is_learned_where_it_was_seen_to_begin() -> None:
    """Without the time for which it was queued."""

    @attrs.define
    class Queue(Kitchen):
        def look(self, call: Call) -> Reply:
            return accepted() if self.clock.elapsed < self.begun + 40.0 else super().look(call)

    service = Queue().service()
    async with opened(service) as client:
        await made(client, service, 3)
        assert client._journal is not None
        known = await client._journal.durations()
    assert {KEY, KEY.running} == set(known)
    assert pytest.approx(50.0, rel=0.1) == forecast(known[KEY.running]).median
    assert pytest.approx(90.0, rel=0.1) == forecast(known[KEY]).median


async def test_another_process_knows_what_one_has_learned(tmp_path: Path) -> None:
    """From the journal, with its first job."""
    service = Kitchen().service()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await made(client, service, 12)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        polled = await made(client, service)
    assert 60 < polled[0] < TOOK


async def test_a_process_that_runs_hears_of_what_another_learns(tmp_path: Path) -> None:
    """Within a minute or so, with its next job."""
    service = Kitchen().service()
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as other:
        before = await made(one, service)
        await made(other, service, 12)
        after = await made(one, service)
    assert before[0] < 10
    assert 60 < after[0] < TOOK


@pytest.mark.parametrize(
    "kitchen",
    [Kitchen(end=Reply.of({"status": "failed"})), Kitchen(missed=range(80, 90)), Kitchen(took=0.0)],
    ids=["it failed", "the poll before its end was missed", "it was done at once"],
)
async def test_a_job_that_tells_nothing_of_how_long_such_jobs_take_is_not_learned(kitchen: Kitchen) -> None:
    """Nothing is on record then."""
    service = kitchen.service()
    service.submits[0] = kitchen.begin if kitchen.took else done()
    async with opened(service, config=a_config(poll=PollConfig(interval=2.0))) as client:
        with suppress(JobFailedError):
            await made(client, service)
        assert [] == await learned(client)


async def test_with_learn_off_nothing_is_learned() -> None:
    """And the interval is fixed."""
    service = Kitchen().service()
    async with opened(service, config=a_config(poll=PollConfig(learn=False))) as client:
        polled = await made(client, service, 5)
        assert [] == await learned(client)
    assert [2.0 * number for number in range(1, 46)] == pytest.approx(polled)


async def test_a_job_that_was_picked_up_is_not_learned(tmp_path: Path) -> None:
    """It may have been done for hours when this process first asked."""
    service = Kitchen().service()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.submit(REQUEST))
    service.clock.advance(7200.0)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.resume())
        assert [] == await learned(client)


async def test_a_job_in_which_the_machine_slept_is_not_learned() -> None:
    """The time that is counted stood still meanwhile."""
    service = Kitchen().service()
    async with opened(service) as client:
        handle = await service.clock.run(client.submit(REQUEST))
        service.clock.jump(3600.0)
        await service.clock.run(handle.result())
        assert [] == await learned(client)


@pytest.mark.parametrize("stalled", [110.0, 3600.0])
async def test_a_job_whose_poll_came_late_is_not_learned(stalled: float) -> None:
    """As when the program did something else for long."""
    service = Kitchen().service()
    async with opened(service) as client:
        handle = await service.clock.run(client.submit(REQUEST))
        while not service.poll_times:
            await service.clock.run(asyncio.sleep(0))
            service.clock.advance(1.0)
        service.clock.advance(stalled)
        await service.clock.run(handle.result())
        assert [] == await learned(client)


async def test_a_journal_that_cannot_be_read_leaves_the_schedule_to_the_interval() -> None:
    """What was learned is no condition for anything."""

    class Forgetful(InlineJournal):
        async def learned(self, key: Key) -> Any:
            raise JournalError("the journal cannot be read")

    service = Kitchen().service()
    async with opened(service, journal=Forgetful(None)) as client:
        assert 10 > (await made(client, service))[0]


async def test_a_job_is_polled_once_more_before_somebody_gives_up_waiting() -> None:
    """Though what was learned says that it cannot be done yet."""
    service = Kitchen().service()
    async with opened(service) as client:
        await made(client, service, 12)
        handle = await service.clock.run(client.submit(REQUEST))
        began = service.clock.elapsed
        with pytest.raises(JobTimeoutError):
            await service.clock.run(handle.result(timeout=40.0))
    assert [pytest.approx(39.0)] == [at - began for at in service.poll_times if at > began]

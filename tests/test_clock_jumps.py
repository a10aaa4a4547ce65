"""A wall clock that jumps, or a machine that sleeps, loses nothing, sends nothing twice and ends nothing early."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from children import die_with
from studio import (
    LOST,
    REQUEST,
    InlineJournal,
    KeyedStudio,
    Service,
    Studio,
    a_config,
    a_service,
    accepted,
    done,
    opened,
    pending,
    refused_once,
    running,
    said,
)

from genbridge import (
    Asset,
    BudgetError,
    Call,
    Client,
    Cost,
    ImageRequest,
    Job,
    JobStatus,
    JobTimeoutError,
    Limits,
    Media,
    Quote,
    Reply,
    Result,
    SubmitUnknownError,
    draw_png,
)
from genbridge.budgets import Budget
from genbridge.downloads import download
from genbridge.journal import Paused
from genbridge.testing.clock import FakeClock

HOUR, DAY = 3600.0, 86400.0
JUMPS = {"back an hour": -HOUR, "forward a day": DAY, "back a day": -DAY}
PAUSE = 60.0
"""What a service asks for, in seconds; the most that a jump may add to a wait."""

jumps = pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)


def a_journal(path: Path | None, clock: FakeClock) -> InlineJournal:
    """Return a journal that goes by a clock's two times."""
    return InlineJournal(path, now=lambda: clock.now().timestamp(), monotonic=clock.monotonic)


@asynccontextmanager
async def client_of(service: Service, path: Path | None = None, **more: Any) -> AsyncIterator[Client]:
    """Open a client whose journal goes by the service's clock too."""
    async with opened(service, journal=a_journal(path, service.clock), **more) as client:
        yield client


def then_jump(clock: FakeClock, jump: float, answer: Reply) -> Callable[[Call], Reply]:
    """Return an answer that comes while the clock is set."""

    def reply(_: Call) -> Reply:
        clock.jump(jump)
        return answer

    return reply


# One job, with a jump at each of its stages.


@attrs.define
class Trial:
    """How a job went: what was sent, how it ended, and how many seconds that took."""

    posts: int
    polls: int
    status: JobStatus
    seconds: float


async def tried(service: Service, work: Awaitable[Any], client: Client) -> Trial:
    """Run something to its end and say how it went."""
    await service.clock.run(work)
    jobs = [job async for job in client.jobs()]
    assert 1 == len(jobs)
    return Trial(posts=len(service.posts), polls=len(service.poll_times), status=jobs[0].status, seconds=service.clock.elapsed)


async def jump_before_the_submit(jump: float) -> Trial:
    """Set the clock when the client is open already."""
    service = a_service(polls=[running(), done()])
    async with client_of(service) as client:
        service.clock.jump(jump)
        return await tried(service, client.generate(REQUEST), client)


async def jump_before_the_answer(jump: float) -> Trial:
    """Set it when the intent is on record and the service's id is not."""
    service = a_service(polls=[running(), done()])
    service.submits[0] = then_jump(service.clock, jump, accepted())
    async with client_of(service) as client:
        return await tried(service, client.generate(REQUEST), client)


async def jump_while_it_is_polled(jump: float) -> Trial:
    """Set it between two polls, of which there are many."""
    service = a_service(polls=[*[running(progress=number / 10) for number in range(10)], done()])
    service.polls[4] = then_jump(service.clock, jump, running(progress=0.4))
    async with client_of(service) as client:
        return await tried(service, client.generate(REQUEST), client)


async def jump_in_a_pause(jump: float) -> Trial:
    """Set it when half of the minute is over that the service asked for."""
    service = a_service(submits=[said(429, retry_after=f"{PAUSE:.0f}"), accepted()])
    async with client_of(service) as client:
        work = asyncio.ensure_future(client.generate(REQUEST))
        await refused_once(service, client)
        service.clock.advance(PAUSE / 2)
        service.clock.jump(jump)
        return await tried(service, work, client)


async def jump_in_a_pause_of_polls(jump: float) -> Trial:
    """Set it while the service wants no questions for a minute."""
    service = a_service(polls=[said(429, retry_after=f"{PAUSE:.0f}"), done()])
    service.polls[0] = then_jump(service.clock, jump, said(429, retry_after=f"{PAUSE:.0f}"))
    async with client_of(service) as client:
        return await tried(service, client.generate(REQUEST), client)


async def jump_while_it_is_looked_up(jump: float) -> Trial:
    """Set it when the answer was lost; the service finds the job at the second look-up."""
    service = a_service(submits=[LOST], look_ups=[said(503), done()])
    service.look_ups[0] = then_jump(service.clock, jump, said(503))
    async with client_of(service, studio=KeyedStudio()) as client:
        return await tried(service, client.generate(REQUEST), client)


STAGES = {
    "before the submit": jump_before_the_submit,
    "before the answer": jump_before_the_answer,
    "while it is polled": jump_while_it_is_polled,
    "in a pause": jump_in_a_pause,
    "in a pause of polls": jump_in_a_pause_of_polls,
    "while it is looked up": jump_while_it_is_looked_up,
}


@jumps
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
async def test_a_jump_changes_nothing_about_a_job(stage: Callable[[float], Awaitable[Trial]], jump: float) -> None:
    """It is sent and asked for as often, and ends the same; a pause that the journal keeps may begin anew, once."""
    calm = await stage(0.0)
    jumped = await stage(jump)
    assert JobStatus.SUCCEEDED is calm.status
    assert attrs.evolve(calm, seconds=0.0) == attrs.evolve(jumped, seconds=0.0)
    assert calm.seconds <= jumped.seconds <= calm.seconds + PAUSE


@pytest.mark.parametrize("seed", range(10))
async def test_a_clock_that_jumps_at_every_call_loses_nothing_and_sends_nothing_twice(seed: int) -> None:
    """Several jobs at once, with a limit and a refusal among them; each in the time that its waits may take."""
    dice, clock = random.Random(seed), FakeClock()
    numbers = count(1)

    def jumping(answer: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
        def reply(call: Call) -> Reply:
            clock.jump(dice.choice((-DAY, -HOUR, 0.0, HOUR, DAY)))
            return answer(call)

        return reply

    refusal = jumping(lambda _: said(429, retry_after="5"))
    taken = jumping(lambda _: accepted(id=f"p{next(numbers)}"))
    polls = [jumping(lambda call: running(id=call.url.rpartition("/")[2]))] * 20
    last = jumping(lambda call: done(id=call.url.rpartition("/")[2]))
    service = a_service(submits=[taken, refusal, taken], polls=[*polls, last], clock=clock)
    async with client_of(service, studio=Studio(limits=Limits(submits=2, per=PAUSE))) as client:
        results = await clock.run(asyncio.gather(*(client.generate(REQUEST) for _ in range(6))))
        jobs = [job async for job in client.jobs()]
    assert 6 == len({result.job_id for result in results})
    assert {JobStatus.SUCCEEDED} == {job.status for job in jobs}
    assert {f"p{number}" for number in range(1, 7)} == {job.provider_id for job in jobs}
    assert 7 == len(service.posts)
    assert clock.monotonic() <= 8 * PAUSE


@jumps
async def test_a_wait_for_a_result_is_not_cut_short(jump: float) -> None:
    """Nor drawn out: it lasts as many seconds as it says."""
    service = a_service(polls=[running()])
    async with client_of(service) as client:
        handle = await service.clock.run(client.submit(REQUEST))
        began = service.clock.monotonic()
        waiting = asyncio.ensure_future(handle.result(timeout=500.0))
        await asyncio.sleep(0)
        service.clock.jump(jump)
        with pytest.raises(JobTimeoutError):
            await service.clock.run(waiting)
        assert pytest.approx(500.0) == service.clock.monotonic() - began
        assert JobStatus.QUEUED is not handle.job.status
        assert not handle.job.status.terminal


@jumps
async def test_a_job_that_the_service_does_not_know_for_a_moment_is_not_given_up(jump: float) -> None:
    """It has half a minute for that, by the clock that cannot jump."""
    service = a_service(polls=[running(), said(404), said(404), said(404), done()])
    service.polls[2] = then_jump(service.clock, jump, said(404))
    async with client_of(service) as client:
        result = await service.clock.run(client.generate(REQUEST))
    assert 1 == len(result.assets)


@jumps
async def test_a_job_taken_up_after_a_jump_is_not_given_up_at_the_first_unknown(jump: float, tmp_path: Path) -> None:
    """However old it seems to be."""
    service, path = a_service(polls=[running()]), tmp_path / "jobs.db"
    async with client_of(service, path) as client:
        await service.clock.run(client.submit(REQUEST))
    service.clock.jump(jump)
    service.polls[0] = said(404)
    service.polls.extend([said(404), done()])
    async with client_of(service, path) as client:
        (handle,) = await service.clock.run(client.resume())
        assert JobStatus.SUCCEEDED is handle.job.status
    assert 1 == len(service.posts)


# Limits and caps.


@jumps
async def test_a_submit_that_waits_for_a_limit_goes_out_in_time(jump: float) -> None:
    """A window that is a minute long is not an hour long because the clock was set back."""
    service = a_service()
    async with client_of(service, studio=Studio(limits=Limits(submits=1, per=PAUSE))) as client:
        await service.clock.run(client.generate(REQUEST))
        first = service.clock.monotonic()
        work = asyncio.ensure_future(client.generate(REQUEST))
        await pending(client)
        service.clock.jump(jump)
        await service.clock.run(work)
        assert service.clock.monotonic() - first <= 2 * PAUSE + 10.0
    assert 2 == len(service.posts)


@jumps
async def test_submits_before_a_jump_hold_up_those_after_it_no_longer_than_the_window(jump: float, tmp_path: Path) -> None:
    """Also when another process made them."""
    service, path, studio = a_service(), tmp_path / "jobs.db", Studio(limits=Limits(submits=2, per=PAUSE))
    async with client_of(service, path, studio=studio) as client:
        for _ in range(2):
            await service.clock.run(client.generate(REQUEST))
    service.clock.jump(jump)
    began = service.clock.monotonic()
    async with client_of(service, path, studio=studio) as client:
        await service.clock.run(client.submit(REQUEST))
        assert service.clock.monotonic() - began <= PAUSE + 1e-6
    assert 3 == len(service.posts)


@jumps
async def test_a_pause_is_not_longer_after_a_jump(jump: float, tmp_path: Path) -> None:
    """For whoever comes later, nor for whoever waits already."""
    clock = FakeClock()
    journal = a_journal(tmp_path / "jobs.db", clock)
    await journal.open()
    await journal.pause("main", PAUSE, Paused.SUBMITS)
    clock.jump(jump)
    assert (await journal.pauses(Paused.SUBMITS)).get("main", 0.0) <= PAUSE
    clock.advance(PAUSE)
    assert {} == await journal.pauses(Paused.SUBMITS)
    await journal.aclose()


@jumps
async def test_a_job_in_doubt_counts_as_running_for_no_longer_after_a_jump(jump: float) -> None:
    """Half an hour, during which it may take up the place of another."""
    service = a_service(submits=[LOST, accepted()])
    async with client_of(service, config=a_config(max_concurrent=1)) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
        service.clock.jump(jump)
        await service.clock.run(client.submit(REQUEST))
        assert service.clock.monotonic() <= 1800.0 + PAUSE
    assert 2 == len(service.posts)


@jumps
async def test_a_cap_per_day_is_kept_across_a_jump(jump: float) -> None:
    """A day that seems to have begun has its own cap; one that seems to begin again has none left, nor has the right one later."""
    service = a_service()
    async with client_of(service, config=a_config(budget=Budget(per_day=100.0))) as client:
        for _ in range(2):
            await service.clock.run(client.generate(REQUEST))
        service.clock.jump(jump)
        if jump > 0:
            await service.clock.run(client.generate(REQUEST))
        else:
            with pytest.raises(BudgetError):
                await service.clock.run(client.generate(REQUEST))
        service.clock.jump(-jump)
        with pytest.raises(BudgetError):
            await service.clock.run(client.generate(REQUEST))
    assert (3 if jump > 0 else 2) == len(service.posts)


async def test_a_date_to_wait_for_is_measured_by_the_service_s_own_clock() -> None:
    """`Retry-After` as a date, with ours an hour behind."""
    service = a_service()
    theirs = datetime(2026, 1, 1, 13, tzinfo=UTC)
    dates = {
        "retry_after": format_datetime(theirs + timedelta(seconds=30), usegmt=True),
        "date": format_datetime(theirs, usegmt=True),
    }
    refusal = attrs.evolve(said(429, **dates), received=service.clock.now().timestamp())
    service.submits.appendleft(refusal)
    async with client_of(service) as client:
        await service.clock.run(client.submit(REQUEST))
        assert 30.0 <= service.clock.monotonic() <= 31.0
    assert 2 == len(service.posts)


# Submits in doubt.


async def left_submitting(service: Service, path: Path) -> None:
    """Leave a job whose POST was under way when its process ended."""
    journal = a_journal(path, service.clock)
    await journal.open()
    job = a_job(service.clock.now())
    lease = await journal.add(job, Budget())
    assert lease is not None
    await journal.begin_submit(lease, [])
    await journal.aclose()


def a_job(created: datetime) -> Job:
    """Return a job that was not sent yet."""
    return Job(
        id="j1",
        key="k1",
        backend="main",
        provider="studio",
        model="clip",
        provider_model="clip-1",
        request=REQUEST,
        status=JobStatus.PENDING,
        quote=Quote(amount=50.0),
        created_at=created,
    )


@jumps
async def test_that_the_service_knows_of_no_job_is_not_believed_early(jump: float, tmp_path: Path) -> None:
    """Two minutes after it was taken up, by the clock that cannot jump, however long ago it seems to have been sent."""
    service, path = a_service(look_ups=[said(404), said(404), said(404)]), tmp_path / "jobs.db"
    await left_submitting(service, path)
    service.clock.jump(jump)
    service.look_ups[1] = then_jump(service.clock, DAY, said(404))
    async with client_of(service, path, studio=KeyedStudio()) as client:
        began = service.clock.monotonic()
        (handle,) = await service.clock.run(client.resume())
        assert (JobStatus.FAILED, "not_sent") == (handle.job.status, handle.job.failure and handle.job.failure.code)
        assert service.clock.monotonic() - began >= 120.0
    assert not service.posts


@jumps
async def test_a_job_that_turns_up_late_is_found_all_the_same(jump: float, tmp_path: Path) -> None:
    """At the last look-up, with a jump at the first."""
    service, path = a_service(look_ups=[said(404), said(404), said(404), said(404), accepted()]), tmp_path / "jobs.db"
    service.look_ups[0] = then_jump(service.clock, jump, said(404))
    await left_submitting(service, path)
    async with client_of(service, path, studio=KeyedStudio()) as client:
        (handle,) = await service.clock.run(client.resume())
        assert JobStatus.SUCCEEDED is handle.job.status
    assert not service.posts


@jumps
async def test_a_job_in_doubt_stays_so_where_nobody_can_be_asked(jump: float, tmp_path: Path) -> None:
    """Whatever the time is, it is not sent again and not taken for expired."""
    service, path = a_service(submits=[LOST]), tmp_path / "jobs.db"
    async with client_of(service, path) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    service.clock.jump(jump)
    async with client_of(service, path) as client:
        (handle,) = await service.clock.run(client.resume())
        assert JobStatus.UNKNOWN is handle.job.status
    assert 1 == len(service.posts)


# Several processes.


@jumps
@pytest.mark.parametrize("stage", ["waits", "runs"])
async def test_no_living_driver_loses_its_job_by_a_jump(stage: str, jump: float, tmp_path: Path) -> None:
    """Though the other gives its sign of life first after the jump, and asks what there is to take over all the time."""
    clock, path = FakeClock(), tmp_path / "jobs.db"
    mine, other = a_service(polls=[*[running()] * 8, done()], clock=clock), a_service(clock=clock)
    async with client_of(mine, path, studio=Studio(limits=Limits(submits=1, per=40.0))) as client:
        works = [asyncio.ensure_future(client.generate(REQUEST)) for _ in range(2 if stage == "waits" else 1)]
        await clock.run(clock.sleep(3.0))
        async with client_of(other, path) as rival:
            await clock.run(clock.sleep(3.0))
            clock.jump(jump)
            taken = []
            while not all(work.done() for work in works):
                taken += await rival.resume(wait=False)
                await clock.run(clock.sleep(1.0))
        assert [JobStatus.SUCCEEDED] * len(works) == [job.status async for job in client.jobs()]
    assert ([], []) == (taken, other.calls)
    assert len(works) == len(mine.posts)


async def _newest(client: Client) -> Job:
    async for job in client.jobs(limit=1):
        return job
    raise AssertionError("there is no job")


@jumps
async def test_a_driver_that_had_nothing_to_do_when_the_clock_jumped_keeps_what_it_begins(jump: float, tmp_path: Path) -> None:
    """The other has given a sign of life since then, and it has not."""
    clock, path = FakeClock(), tmp_path / "jobs.db"
    mine, other = a_service(polls=[*[running()] * 8, done()], clock=clock), a_service(clock=clock)
    async with client_of(mine, path) as client:
        await clock.run(clock.sleep(3.0))
        async with client_of(other, path) as rival:
            await clock.run(clock.sleep(3.0))
            clock.jump(jump)
            await clock.run(clock.sleep(2.5))
            work = asyncio.ensure_future(client.generate(REQUEST))
            await posted(mine)
            assert [] == await rival.resume(wait=False)
            await clock.run(work)
    assert (1, []) == (len(mine.posts), other.calls)


@pytest.mark.parametrize("counted", [False, True], ids=["its time is not counted", "its time is counted"])
async def test_a_suspended_machine_goes_on_with_what_it_did(counted: bool, tmp_path: Path) -> None:
    """Two processes sleep for eight hours: one POST, and one of the two drives the job to its end."""
    clock, path = FakeClock(), tmp_path / "jobs.db"
    mine, other = a_service(polls=[running(), running(), done()], clock=clock), a_service(clock=clock)
    async with client_of(mine, path) as client, client_of(other, path) as rival:
        handle = await clock.run(client.submit(REQUEST))
        (clock.advance if counted else clock.jump)(8 * HOUR)
        await clock.run(rival.resume())
        result = await clock.run(handle.result())
        assert (1, JobStatus.SUCCEEDED) == (len(result.assets), (await _newest(client)).status)
    assert (1, 0) == (len(mine.posts), len(other.posts))


@pytest.mark.parametrize("counted", [False, True], ids=["its time is not counted", "its time is counted"])
async def test_a_post_that_was_under_way_when_the_machine_slept_is_not_sent_again(counted: bool, tmp_path: Path) -> None:
    """The other process may wake first; the answer that comes late is taken all the same."""
    clock, path = FakeClock(), tmp_path / "jobs.db"
    mine, other = a_service(clock=clock), a_service(clock=clock)
    answered = asyncio.Event()
    late = LateService(mine, answered)
    async with client_of(late, path) as client, client_of(other, path) as rival:  # type: ignore[arg-type]
        work = asyncio.ensure_future(client.generate(REQUEST))
        await posted(mine)
        (clock.advance if counted else clock.jump)(8 * HOUR)
        await clock.run(rival.resume())
        answered.set()
        result = await clock.run(work)
        assert (1, JobStatus.SUCCEEDED) == (len(result.assets), (await _newest(client)).status)
    assert (1, 0) == (len(mine.posts), len(other.posts))


async def posted(service: Service) -> None:
    """Return when a submit has reached a service."""
    for _ in range(10_000):
        if service.posts:
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing was sent")


@attrs.define
class LateService:
    """A service whose answers to submits come when they are let go."""

    service: Service
    answered: asyncio.Event

    @property
    def clock(self) -> FakeClock:
        return self.service.clock

    async def send(self, call: Call, origin: Any) -> Reply:
        reply = await self.service.send(call, origin)
        if call.method == "POST":
            await self.answered.wait()
        return reply

    async def aclose(self) -> None:
        pass


@jumps
async def test_a_job_is_taken_up_in_the_next_life_whatever_the_clock_says_then(jump: float, tmp_path: Path) -> None:
    """The process before was closed; it is polled, and not sent again."""
    service, path = a_service(polls=[running()]), tmp_path / "jobs.db"
    async with client_of(service, path) as client:
        await service.clock.run(client.submit(REQUEST))
    service.clock.jump(jump)
    service.polls[0] = done()
    async with client_of(service, path) as client:
        (handle,) = await service.clock.run(client.resume())
        assert JobStatus.SUCCEEDED is handle.job.status
        assert [handle.id] == [job.id async for job in client.jobs()]
    assert 1 == len(service.posts)


@jumps
async def test_a_killed_process_s_job_is_free_at_once_whatever_the_clock_says(jump: float, tmp_path: Path) -> None:
    """That it has gone is known from its number, not from the time."""
    path = tmp_path / "jobs.db"
    process = multiprocessing.get_context("spawn").Process(target=die_with, args=(a_job(datetime.now(UTC)), str(path)))
    process.start()
    process.join()
    clock = FakeClock(started=datetime.now(UTC))
    clock.jump(jump)
    journal = InlineJournal(path, now=lambda: clock.now().timestamp(), monotonic=time.monotonic)
    await journal.open()
    assert ["j1"] == [job.id for job in await journal.unfinished()]
    assert await journal.acquire("j1") is not None
    await journal.aclose()


@jumps
@pytest.mark.parametrize("name", ["another-boot:4026531836:77:1234:aaaaaaaaaaaa", "another-host:77:aaaaaaaaaaaa"])
async def test_a_job_from_before_a_restart_of_the_machine_is_free_within_half_a_minute(
    name: str, jump: float, tmp_path: Path
) -> None:
    """Though the clock has no battery and begins in the past; the same for one that the first release drove."""
    clock, path = FakeClock(), tmp_path / "jobs.db"
    service = a_service(clock=clock)
    await left_pending(service, path, name)
    clock.jump(jump)
    clock.advance(31.0)
    async with client_of(service, path) as client:
        assert ["j1"] == [handle.id for handle in await clock.run(client.resume())]
    assert 1 == len(service.posts)


async def left_pending(service: Service, path: Path, name: str) -> None:
    """Leave a job that a driver of that name has, which gave a sign of life just now."""
    journal = a_journal(path, service.clock)
    await journal.open()
    await journal.add(a_job(service.clock.now()), Budget())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update jobs set owner = ?", (name,))
        db.execute("update drivers set owner = ?", (name,))
    await journal.aclose()


# Files.


@pytest.mark.parametrize("ago", [timedelta(hours=1), timedelta(days=400)])
async def test_a_file_that_seems_to_have_expired_is_fetched_all_the_same(ago: timedelta, tmp_path: Path) -> None:
    """Whether it has is the service's to say, not the clock's."""
    picture = draw_png("still there", 64, 64)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=picture, content_type="image/png")

    app = web.Application()
    app.router.add_get("/file", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/file"
    asset = Asset(url=url, media=Media.IMAGE, expires_at=datetime.now(UTC) - ago)
    try:
        (path,) = await download(a_result(asset), tmp_path)
    finally:
        await runner.cleanup()
    assert picture == path.read_bytes()


def a_result(asset: Asset) -> Result:
    """Return the result of a job that was made in what is now the future."""
    later = datetime.now(UTC) + timedelta(days=1)
    return Result(
        job_id="j1",
        backend="main",
        provider="studio",
        model="still",
        request=ImageRequest("still there"),
        assets=(asset,),
        cost=Cost(amount=1),
        created_at=later,
        finished_at=later - timedelta(hours=2),
    )

"""A worker drives what it is called for, lets go of it without a gap, and sends nothing that another may send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from board import BoardEngine, BoardJournal, Hall
from studio import LOST, REQUEST, KeyedStudio, Service, a_config, a_service, accepted, done, opened, running, said

from genbridge import (
    AuthenticationError,
    BackendConfig,
    Call,
    CancelUnsupportedError,
    Client,
    Config,
    Handle,
    Job,
    JobCancelledError,
    JobStatus,
    JournalError,
    Reply,
    SubmitUnknownError,
)
from genbridge.engine import Tally
from genbridge.journal import Attempt, Attention, Counts, Heard, Lease, Report
from genbridge.limits import Rule, Wait
from genbridge.timing import Signal
from genbridge.transport import Origin
from genbridge.worker import Worker


@attrs.define
class Shop:
    """A worker at work."""

    worker: Worker
    client: Client
    journal: BoardJournal
    engine: BoardEngine
    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    ended: list[Job] = attrs.field(factory=list)

    @property
    def scheduler(self) -> Any:
        return self.worker._scheduler


@asynccontextmanager
async def working(hall: Hall, *, config: Config | None = None, journal: BoardJournal | None = None) -> AsyncIterator[Shop]:
    """Have a worker at work until the block is left."""
    journal = journal or hall.journal()
    async with hall.client(journal=journal, config=config or a_config(), engine="in-process") as client:
        ended: list[Job] = []
        engine = BoardEngine(hall.board)
        worker = Worker(client, engine, journal, concurrency=10, ended=ended.append, clock=hall.service.clock)
        shop = Shop(worker=worker, client=client, journal=journal, engine=engine, ended=ended)
        task = asyncio.create_task(worker.run(shop.stop))
        try:
            yield shop
        finally:
            shop.stop.set()
            await hall.service.clock.run(task)


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    """Return a journal that is shared, and a service that makes everything."""
    return Hall(tmp_path / "jobs.db", a_service(polls=[running(), done()]))


async def handed_in(hall: Hall, client: Client) -> Handle:
    """Hand a job in, and return its handle once the service has it."""
    return await hall.service.clock.run(client.submit(REQUEST))


async def left(client: Client, job_id: str = "left") -> Job:
    """Hand a job in, and return its record without waiting for anybody who drives it."""
    task = asyncio.create_task(client.submit(REQUEST, id=job_id))
    for _ in range(10_000):
        if job := await client._record.get(job_id):
            task.cancel()
            return job
        await asyncio.sleep(0)
    raise AssertionError("the job was not handed in")


async def settle() -> None:
    """Let everything run that is ready, but no time pass."""
    for _ in range(200):
        await asyncio.sleep(0)


# Driving.


async def test_a_job_that_is_handed_in_is_driven_to_its_end(hall: Hall) -> None:
    """The client, which has no key, hears of the result, and the worker is told what has ended."""
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        result = await hall.service.clock.run(handle.result())
        await settle()
        assert [handle.id] == [job.id for job in shop.ended]
    assert ["https://files.example/1.mp4"] == [asset.url for asset in result]
    assert 1 == len(hall.service.posts)


@pytest.mark.parametrize("job_id", ["nothing", "ended"])
async def test_a_call_for_what_is_not_there_or_has_ended_is_answered_at_once(hall: Hall, job_id: str) -> None:
    """Nobody is asked anything."""
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        await hall.service.clock.run(handle.result())
        calls = len(hall.service.calls)
        assert None is await shop.scheduler.drive(handle.id if job_id == "ended" else job_id)
    assert calls == len(hall.service.calls)


async def test_a_call_for_what_another_worker_drives_is_answered_at_once(hall: Hall) -> None:
    """A ticket that is given out twice costs a look."""
    async with working(hall), hall.client() as client:
        handle = await handed_in(hall, client)
        async with working(hall) as other:
            assert None is await other.scheduler.drive(handle.id)
            assert 0 == other.scheduler.driving


async def test_whoever_gives_up_waiting_does_not_stop_the_job(hall: Hall) -> None:
    """Who calls again waits for the same."""
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        shop.engine.drives[handle.id].cancel()
        await settle()
        job = await hall.service.clock.run(shop.scheduler.drive(handle.id))
    assert JobStatus.SUCCEEDED is job.status
    assert 1 == len(hall.service.posts)


class Slow(BoardJournal):
    """A journal that takes its time to have a job taken."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.asked, self.answered = asyncio.Event(), asyncio.Event()

    async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
        taken = await super().take(job_id)
        self.asked.set()
        await self.answered.wait()
        return taken


async def test_a_job_that_is_being_taken_when_nobody_waits_any_more_is_driven(hall: Hall) -> None:
    """It is this process's on record, and nobody else would drive it."""
    journal = Slow(hall.path, hall.board)
    async with hall.client() as client, working(hall, journal=journal) as shop:
        job = await left(client)
        await journal.asked.wait()
        shop.engine.drives[job.id].cancel()
        await settle()
        journal.answered.set()
        await settle()
        assert 1 == shop.scheduler.driving


async def test_a_job_that_is_being_taken_as_the_worker_is_told_to_stop_is_not_driven(hall: Hall) -> None:
    """Closing lets go of it."""
    journal = Slow(hall.path, hall.board)
    async with hall.client() as client:
        async with working(hall, journal=journal) as shop:
            job = await left(client)
            await journal.asked.wait()
            shop.stop.set()
            await settle()
            journal.answered.set()
            await settle()
            assert 0 == shop.scheduler.driving
        assert JobStatus.PENDING is (await client._record.get(job.id) or job).status
        assert Attention.DRIVEN is not await client._record.attention(job.id)
    assert [] == hall.service.posts


async def test_two_calls_at_once_take_a_job_once(hall: Hall) -> None:
    """Both wait until it has ended."""
    async with hall.client() as client:
        job = await left(client)
    hall.board.waiting.clear()
    async with working(hall) as shop:
        both = asyncio.gather(shop.scheduler.drive(job.id), shop.scheduler.drive(job.id))
        first, second = await hall.service.clock.run(both)
    assert (JobStatus.SUCCEEDED, first) == (first.status, second)
    assert 1 == len(hall.service.posts)


async def test_a_job_of_a_backend_that_is_not_configured_is_left_and_does_not_come_back_at_once(hall: Hall) -> None:
    """Another worker may take it."""
    elsewhere = Config(backends={"spare": BackendConfig(name="spare", provider="studio")})
    async with hall.client() as client:
        job = await left(client)
        async with working(hall, config=elsewhere) as shop:
            began = hall.service.clock.elapsed
            hall.board.waiting.clear()
            assert None is await hall.service.clock.run(shop.scheduler.drive(job.id))
            assert 30.0 <= hall.service.clock.elapsed - began
            async with working(hall) as other:
                ended = await hall.service.clock.run(other.scheduler.drive(job.id))
    assert JobStatus.SUCCEEDED is ended.status


async def test_a_job_that_was_taken_over_is_left_to_who_has_it(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """It is not watched: the ticket is given back."""
    hall.service.polls.appendleft(running(progress=0.5))
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        await shop.journal._store.do(lambda db: db.execute("update jobs set epoch = epoch + 1, owner = 'another'"))
        hall.service.clock.advance(100)
        await settle()
        assert 0 == shop.scheduler.driving
        assert shop.engine.drives[handle.id].done()
        assert [] == shop.ended
    assert "was taken over by another process" in caplog.text


async def test_a_journal_that_cannot_be_written_fails_no_job_that_was_not_sent(hall: Hall) -> None:
    """It is let go of, and sent by whoever takes it next."""

    class Away(BoardJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Any = None) -> Attempt | Wait | None:
            raise JournalError("the journal is away")

    async with hall.client() as client:
        job = await left(client)
        async with working(hall, journal=Away(hall.path, hall.board)) as shop:
            await settle()
            assert [] == shop.ended
            assert Attention.DRIVEN is not await client._record.attention(job.id)
        assert JobStatus.PENDING is (await client._record.get(job.id) or job).status
        async with working(hall) as other:
            ended = await hall.service.clock.run(other.scheduler.drive(job.id))
    assert JobStatus.SUCCEEDED is ended.status


async def test_a_job_that_may_have_been_taken_all_the_same_is_let_go_of(hall: Hall) -> None:
    """Its owner lives, so that nobody else would take it, and the sweep passes it over."""

    class Lossy(BoardJournal):
        lost = False

        async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
            found = await super().take(job_id)
            if not self.lost:
                self.lost = True
                raise JournalError("the journal was not reached for the answer")
            return found

    async with hall.client() as client:
        job = await left(client)
        async with working(hall, journal=Lossy(hall.path, hall.board)):
            await settle()
            ended = await hall.service.clock.run(client.handle(job).result())
    assert job.id == ended.job_id


async def test_a_bug_leaves_the_job_to_whoever_takes_it_next(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, and the job, which may be paid for, is nobody's for no longer than until the next sweep."""

    class Buggy(BoardJournal):
        async def update(self, lease: Lease, job: Job, lessons: Sequence[Any] = ()) -> bool:
            raise KeyError("a bug")

    async with hall.client() as client:
        job = await left(client)
        async with working(hall, journal=Buggy(hall.path, hall.board)) as shop:
            await hall.service.clock.run(shop.scheduler.drive(job.id))
            assert 0 == shop.scheduler.driving
            async with working(hall) as other:
                ended = await hall.service.clock.run(other.scheduler.drive(job.id))
    assert JobStatus.SUCCEEDED is ended.status
    assert "a bug in genbridge" in caplog.text


async def test_a_doubtful_submit_is_looked_up_until_its_absence_is_believed(hall: Hall) -> None:
    """Nobody waits for a worker, so it takes the two minutes that this takes."""
    hall.studio = KeyedStudio()
    hall.service.submits.appendleft(LOST)
    hall.service.look_ups.append(said(404))
    async with hall.client() as client:
        job = await left(client)
        async with working(hall) as shop:
            await hall.service.clock.run(shop.scheduler.drive(job.id))
        known = await client._record.get(job.id)
    assert (JobStatus.FAILED, "not_sent") == (known and known.status, known and known.failure and known.failure.code)


async def test_a_job_that_one_workers_key_is_refused_for_is_left_to_another(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """It is sent and ends as if nothing had been; where there is no other worker, it has failed."""
    hall.service.submits.extendleft([said(401), said(401)])
    async with hall.client() as client:
        async with working(hall):
            with pytest.raises(AuthenticationError):
                await handed_in(hall, client)
        async with working(hall) as one, working(hall) as other:
            handle = await handed_in(hall, client)
            await hall.service.clock.run(handle.result())
            await settle()
            assert [["main"]] == [list(shop.scheduler._barred) for shop in (one, other) if shop.scheduler._barred]
            assert 1 == len(one.ended + other.ended)
    assert 3 == len(hall.service.posts)
    assert "its jobs are left to others; start it anew with the right key" in caplog.text


async def test_a_refused_key_ends_the_job_also_where_nobody_can_be_asked_for_other_workers(hall: Hall) -> None:
    """Else it would be held, and neither sent nor failed."""

    class Mute(BoardJournal):
        async def reports(self) -> Sequence[Report]:
            raise JournalError("it cannot be reached")

    hall.service.submits.appendleft(said(401))
    async with hall.client() as client, working(hall, journal=Mute(hall.path, hall.board)):
        with pytest.raises(AuthenticationError):
            await hall.service.clock.run(client.submit(REQUEST, timeout=60.0))


async def test_a_service_that_leaves_three_submits_in_doubt_is_left_alone(hall: Hall) -> None:
    """Nobody stands by who could stop a thousand more; the next is sent a minute later, and when it is accepted all is well."""
    hall.service.submits.extendleft([LOST] * 3)
    async with working(hall), hall.client() as client:
        for number in range(3):
            with pytest.raises(SubmitUnknownError):
                await hall.service.clock.run(client.submit(REQUEST, id=f"job-{number}"))
        last = hall.service.times[-1]
        await handed_in(hall, client)
        fourth = hall.service.times[-1]
        await handed_in(hall, client)
    assert 60.0 <= fourth - last < 62.0
    assert hall.service.times[-1] - fourth < 60.0


async def test_however_many_submits_are_in_doubt_a_service_is_asked_again_in_a_quarter_of_an_hour(hall: Hall) -> None:
    """As many may be under way when it stops to answer."""
    hall.service.submits.appendleft(LOST)
    async with working(hall) as shop, hall.client() as client:
        shop.scheduler._submits._doubts["main"] = 2000
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST))
        last = hall.service.times[-1]
        await handed_in(hall, client)
    assert 900.0 <= hall.service.times[-1] - last < 902.0


async def test_a_limiter_of_somebodys_is_asked_before_each_submit(hall: Hall) -> None:
    """The journal is given no rules then."""
    asked: list[tuple[str, str, int]] = []
    given: list[Sequence[Rule]] = []

    class Slow:
        async def reserve(self, backend: str, model: str, rules: Sequence[Rule]) -> Wait | None:
            asked.append((backend, model, len(rules)))
            early = 7.0 - hall.service.clock.elapsed
            return Wait(early, "it is early") if early > 0 else None

    class Listening(BoardJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Any = None) -> Attempt | Wait | None:
            given.append(rules)
            return await super().begin_submit(lease, rules, budget)

    async with hall.client() as client, working(hall, journal=Listening(hall.path, hall.board)) as shop:
        shop.scheduler._submits._limiter = Slow()
        job = (await handed_in(hall, client)).job
    assert {("main", "clip", len(shop.scheduler._account("main", "studio").rules(job)))} == set(asked)
    assert [()] == given
    assert 7.0 == hall.service.times[0]


async def test_a_client_asks_the_limiter_before_it_records_that_it_is_about_to_send(hall: Hall) -> None:
    """So that the intent is no older than the turn that was waited for."""

    class Slow:
        async def reserve(self, backend: str, model: str, rules: Sequence[Rule]) -> Wait | None:
            early = 7.0 - hall.service.clock.elapsed
            return Wait(early, "it is early") if early > 0 else None

    async with opened(hall.service) as client:
        client._driver._submits._limiter = Slow()  # type: ignore[union-attr]
        await hall.service.clock.run(client.submit(REQUEST))
    assert [7.0] == hall.service.times[:1]


async def test_a_job_that_was_handed_over_while_a_limiter_was_asked_is_not_sent(hall: Hall) -> None:
    """Its lease is good until another takes it, but nobody here would wait for the answer."""
    asked, answered = asyncio.Event(), asyncio.Event()

    class Slow:
        async def reserve(self, backend: str, model: str, rules: Sequence[Rule]) -> Wait | None:
            asked.set()
            await answered.wait()
            return None

    async with hall.client() as client, working(hall) as shop:
        shop.scheduler._submits._limiter = Slow()
        job = await left(client)
        await asked.wait()
        await hall.service.clock.run(shop.scheduler.drain())
        answered.set()
        await settle()
        known = await client._record.get(job.id)
    assert JobStatus.PENDING is (known and known.status)
    assert [] == hall.service.posts


# Signs of life.


async def test_a_client_whose_signs_of_life_are_late_sends_nothing_either(hall: Hall) -> None:
    """It waits until the journal is reached again."""
    async with opened(hall.service) as client:
        client._driver.pulse._last -= 18.1  # type: ignore[union-attr]
        await hall.service.clock.run(client.submit(REQUEST))
    assert 5.0 <= hall.service.times[0]


async def test_a_worker_whose_signs_of_life_are_late_sends_nothing(hall: Hall) -> None:
    """Others may take the job over; it is sent once the journal is reached again."""
    async with working(hall) as shop, hall.client() as client:
        shop.scheduler.pulse._last -= 18.1
        task = asyncio.create_task(client.submit(REQUEST))
        await settle()
        assert [] == hall.service.posts
        await hall.service.clock.run(task)
    assert 5.0 <= hall.service.times[0]


async def test_a_worker_that_falls_silent_before_its_post_does_not_send_it(hall: Hall) -> None:
    """The look is the last thing before the request leaves."""

    class Stopped(BoardJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Any = None) -> Attempt | Wait | None:
            answer = await super().begin_submit(lease, rules, budget)
            if not hall.service.clock.elapsed:
                shop.scheduler.pulse._last -= 18.1
            return answer

    async with working(hall, journal=Stopped(hall.path, hall.board)) as shop, hall.client() as client:
        await handed_in(hall, client)
    assert 5.0 <= hall.service.times[0]
    assert 1 == len(hall.service.posts)


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the sweeps: for each, the seconds since another worker's in which there is no need for one."""
    counted: list[float] = []

    async def sweep(self: BoardJournal, every: float = 0.0) -> int:
        counted.append(every)
        return 0

    monkeypatch.setattr(BoardJournal, "sweep", sweep)
    return counted


async def test_a_worker_sweeps_every_five_seconds(hall: Hall, sweeps: list[float]) -> None:
    """And at once, as it may not live for that long; but not when another has just done so."""
    async with working(hall):
        await settle()
        assert 1 == len(sweeps)
        for _ in range(4):
            hall.service.clock.advance(5)
            await settle()
    assert [4.5] * 5 == sweeps


async def test_a_bug_in_a_sweep_does_not_end_the_next(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else nobody would hear that a worker does half of its work only."""
    counted: list[float] = []

    async def sweep(self: BoardJournal, every: float = 0.0) -> int:
        counted.append(every)
        raise KeyError("a bug")

    monkeypatch.setattr(BoardJournal, "sweep", sweep)
    async with working(hall):
        await settle()
        hall.service.clock.advance(5)
        await settle()
    assert 2 == len(counted)
    assert "a bug in genbridge" in caplog.text


async def test_a_worker_that_was_away_does_not_sweep_before_the_others_had_time_to_come_back(
    hall: Hall, sweeps: list[float]
) -> None:
    """Else whoever is back first after an outage would take the jobs of the living."""
    machine = 1000.0
    async with working(hall) as shop:
        await settle()
        pulse = shop.scheduler.pulse
        pulse._machine, pulse._last = (lambda: machine), machine - 60.0
        sweeps.clear()
        seen = []
        for _ in range(8):
            machine += 5
            hall.service.clock.advance(5)
            await settle()
            seen.append(len(sweeps))
    assert [0, 0, 0, 0, 0, 0, 0] == seen[:7]
    assert 1 == seen[7]


async def test_a_worker_that_was_stopped_leaves_to_others_what_they_have_taken_over(hall: Hall) -> None:
    """Though it has nothing to write, by which it would hear of that; what nobody took it drives on."""
    hall.service.polls.extendleft([running()] * 20)
    async with working(hall) as shop, hall.client() as client:
        first, second = await handed_in(hall, client), await handed_in(hall, client)
        async with working(hall) as other:
            await shop.journal._store.do(lambda db: db.execute("update jobs set owner = null where id = ?", (first.id,)))
            taken = asyncio.create_task(other.scheduler.drive(first.id))
            await settle()
            shop.scheduler.pulse._last -= 31.0
            hall.service.clock.advance(5)
            await settle()
            assert ({second.id}, {first.id}) == (set(shop.scheduler._drives), set(other.scheduler._drives))
            await hall.service.clock.run(taken)


# Letting go.


async def test_draining_hands_over_what_runs_and_what_waits_and_sends_nothing(hall: Hall) -> None:
    """Another worker goes on with both at once; each is sent once."""
    hall.service.submits.extend([said(429, retry_after="30"), accepted(id="p2")])
    hall.service.polls.extendleft([running()] * 20)
    async with hall.client() as client:
        async with working(hall) as shop:
            handle = await handed_in(hall, client)
            other = await left(client)
            await settle()
            assert 2 == shop.scheduler.driving
            shop.stop.set()
            await settle()
            assert {handle.id, other.id} == set(hall.board.waiting)
            hall.service.clock.advance(60)
            await settle()
            assert 2 == len(hall.service.posts)
        async with working(hall) as second:
            await hall.service.clock.run(handle.result())
            await hall.service.clock.run(client.handle(other.id).result())
            assert {handle.id, other.id} == {job.id for job in second.ended}
    assert 3 == len(hall.service.posts)


async def test_draining_waits_for_the_answer_to_a_post_and_hands_the_job_over_then(hall: Hall) -> None:
    """It is on record, so that the next worker polls it."""
    answer = asyncio.Event()

    @attrs.define
    class Slow(Service):
        async def send(self, call: Call, origin: Origin) -> Reply:
            reply = await super().send(call, origin)
            if call.method == "POST":
                await answer.wait()
            return reply

    hall.service = Slow(submits=hall.service.submits, polls=hall.service.polls)
    async with hall.client() as client:
        job = await left(client)
        async with working(hall) as shop:
            await settle()
            shop.stop.set()
            await settle()
            assert [] == hall.board.waiting
            answer.set()
        known = await client._record.get(job.id)
    assert [job.id] == hall.board.waiting
    assert (JobStatus.QUEUED, "p1") == (known and known.status, known and known.provider_id)


async def test_a_worker_that_drains_takes_no_call(hall: Hall) -> None:
    """The job is as it was."""
    async with hall.client() as client:
        async with working(hall) as shop:
            shop.stop.set()
            await settle()
            job = await left(client)
            assert None is await shop.scheduler.drive(job.id)
        assert JobStatus.PENDING is (await client._record.get(job.id) or job).status


async def test_a_journal_that_is_away_holds_draining_up_for_seconds_only(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """Others take the jobs over once this worker has been silent."""

    class Away(BoardJournal):
        async def hand_over(self, leases: Sequence[Lease]) -> None:
            await asyncio.Event().wait()

    async with hall.client() as client, working(hall, journal=Away(hall.path, hall.board)) as shop:
        await handed_in(hall, client)
        began = hall.service.clock.elapsed
        await hall.service.clock.run(shop.scheduler.drain())
        assert 10.0 >= hall.service.clock.elapsed - began
    assert "1 jobs could not be handed over" in caplog.text


async def test_a_journal_that_is_away_does_not_hold_the_end_up_by_a_report(hall: Hall) -> None:
    """That the worker drains is of use only as long as it does."""

    class Away(BoardJournal):
        async def report(self, report: Report) -> None:
            if report.draining:
                await back.wait()

    back = asyncio.Event()
    async with working(hall, journal=Away(hall.path, hall.board)) as shop:
        await settle()
        shop.stop.set()
        await settle()
        working_on = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        back.set()
    assert "Worker.run" not in working_on


# Cancels.


async def test_a_cancel_reaches_the_worker_that_has_the_job(hall: Hall) -> None:
    """The service is asked, and the job ends."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running(status="cancelled"))
    async with working(hall), hall.client() as client:
        handle = await handed_in(hall, client)
        await hall.service.clock.run(handle.cancel())
        with pytest.raises(JobCancelledError):
            await hall.service.clock.run(handle.result())
    assert JobStatus.CANCELLED is handle.job.status
    assert {handle.id: None} == hall.board.asked


async def test_a_cancel_waits_for_the_answer_to_the_submit(hall: Hall) -> None:
    """It is no job in doubt, and what is accepted then is cancelled."""
    hall.studio = KeyedStudio()
    hall.service.polls.extendleft([running()] * 50)
    hall.service.deletes.append(running(status="cancelled"))
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        drive = shop.scheduler._drives[handle.id]
        accepted_job = drive.job
        drive.job, drive.answered = attrs.evolve(accepted_job, status=JobStatus.SUBMITTING, provider_id=None), Signal()
        cancelling = asyncio.create_task(handle.cancel())
        await settle()
        drive.job = accepted_job
        drive.answer()
        await hall.service.clock.run(cancelling)
        assert JobStatus.CANCELLED is handle.job.status


async def test_a_cancel_that_is_heard_of_twice_is_carried_out_once(hall: Hall) -> None:
    """As when the line was cut just after it was told."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running(status="cancelled"))
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        hall.board.asked[handle.id] = None
        for job_id in (handle.id, handle.id, ""):
            hall.board.tell(Heard.CANCELS, job_id)
        await settle()
        assert 1 == len(shop.ended)
    assert 1 == [call.method for call in hall.service.calls].count("DELETE")


async def test_a_cancel_that_is_heard_of_while_the_job_is_being_taken_is_carried_out(hall: Hall) -> None:
    """Before it is sent."""
    journal = Slow(hall.path, hall.board)
    async with hall.client() as client, working(hall, journal=journal) as shop:
        job = await left(client)
        await journal.asked.wait()
        assert await journal.ask_cancel(job.id)
        await settle()
        journal.answered.set()
        await settle()
        assert [JobStatus.CANCELLED] == [job.status for job in shop.ended]
    assert [] == hall.service.posts


async def test_what_speaks_against_a_cancel_is_told(hall: Hall) -> None:
    """In the same words as where the job is driven by who asks."""
    async with working(hall), hall.client() as client:
        handle = await handed_in(hall, client)
        with pytest.raises(CancelUnsupportedError, match="has no way to cancel"):
            await hall.service.clock.run(handle.cancel())


async def test_a_cancel_that_the_service_takes_its_time_with_is_answered(hall: Hall) -> None:
    """Nothing speaks against it, and the job goes on until it has stopped."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running())
    async with working(hall), hall.client() as client:
        handle = await handed_in(hall, client)
        await hall.service.clock.run(handle.cancel())
        await hall.service.clock.run(handle.result())
    assert {handle.id: ""} == hall.board.asked


async def test_a_bug_while_cancelling_is_answered_too(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked hears that the job goes on."""
    hall.studio = KeyedStudio()

    def bug(call: Any) -> Any:
        raise KeyError("a bug")

    hall.service.deletes.append(bug)
    async with working(hall), hall.client() as client:
        handle = await handed_in(hall, client)
        with pytest.raises(CancelUnsupportedError, match="a bug in genbridge"):
            await hall.service.clock.run(handle.cancel())
        await hall.service.clock.run(handle.result())


@pytest.mark.parametrize("sent", [False, True])
async def test_a_job_that_is_taken_over_with_a_cancel_asked_is_cancelled_first(hall: Hall, sent: bool) -> None:
    """One that was not sent never is, and one that runs is stopped before it is polled."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running(status="cancelled"))
    hall.service.submits.appendleft(accepted() if sent else said(429, retry_after="30"))
    async with hall.client() as client:
        job = await left(client)
        async with working(hall) as shop:
            await settle()
            assert 1 == shop.scheduler.driving
        hall.board.silent = True
        hall.board.asked[job.id] = None
        calls = len(hall.service.calls)
        async with working(hall) as second:
            ended = await hall.service.clock.run(second.scheduler.drive(job.id)) or await client._record.get(job.id)
    assert JobStatus.CANCELLED is ended.status
    assert ["DELETE"] * sent == [call.method for call in hall.service.calls[calls:]]


async def test_cancels_that_may_have_been_missed_are_looked_for(hall: Hall) -> None:
    """As when the line to the database was cut for a moment."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running(status="cancelled"))
    async with working(hall) as shop, hall.client() as client:
        handle = await handed_in(hall, client)
        hall.board.asked[handle.id] = None
        hall.board.tell(Heard.CANCELS, "")
        await settle()
        assert [JobStatus.CANCELLED] == [job.status for job in shop.ended]


async def test_a_cancel_that_is_missed_while_a_job_is_being_taken_is_looked_for(hall: Hall) -> None:
    """As when the line to the database comes back just then."""

    class Slow(BoardJournal):
        async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
            found = await super().take(job_id)
            self.board.asked[job_id] = None
            self.board.tell(Heard.CANCELS, "")
            await settle()
            return found

    async with hall.client() as client:
        job = await left(client)
        async with working(hall, journal=Slow(hall.path, hall.board)) as shop:
            await hall.service.clock.run(shop.scheduler.drive(job.id))
        known = await client._record.get(job.id)
    assert JobStatus.CANCELLED is (known and known.status)
    assert [] == hall.service.posts


async def test_a_cancel_that_is_asked_for_during_a_look_is_seen(hall: Hall) -> None:
    """What the look finds may be older than what was heard."""
    hall.studio = KeyedStudio()
    hall.service.deletes.append(running(status="cancelled"))

    class Slow(BoardJournal):
        async def cancel_asked(self, job_id: str) -> bool:
            found = await super().cancel_asked(job_id)
            if not found:
                self.board.asked[job_id] = None
                self.board.tell(Heard.CANCELS, job_id)
                await settle()
            return found

    async with working(hall, journal=Slow(hall.path, hall.board)) as shop, hall.client() as client:
        await handed_in(hall, client)
        hall.board.tell(Heard.CANCELS, "")
        await settle()
        await settle()
        assert [JobStatus.CANCELLED] == [job.status for job in shop.ended]


async def test_a_cancel_of_a_job_that_is_let_go_of_is_left_to_whoever_takes_it(hall: Hall) -> None:
    """An answer would say that it is done, and the next worker would send the job."""
    given_up = asyncio.Event()

    class Away(BoardJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Any = None) -> Attempt | Wait | None:
            await given_up.wait()
            raise JournalError("the journal is away")

    async with hall.client() as client:
        job = await left(client)
        async with working(hall, journal=Away(hall.path, hall.board)):
            await settle()
            cancelling = asyncio.create_task(client.handle(job).cancel())
            await settle()
            given_up.set()
            await settle()
        assert {job.id: None} == hall.board.asked
        async with working(hall) as other:
            await hall.service.clock.run(other.scheduler.drive(job.id))
            await hall.service.clock.run(cancelling)
        known = await client._record.get(job.id)
    assert JobStatus.CANCELLED is (known and known.status)
    assert [] == hall.service.posts


# How it is doing.


async def test_a_worker_reports_how_it_is_doing(hall: Hall) -> None:
    """At once, every five seconds, and that it drains."""
    reports: list[Report] = []

    class Listening(BoardJournal):
        async def report(self, report: Report) -> None:
            reports.append(report)

    async with working(hall, journal=Listening(hall.path, hall.board)) as shop, hall.client() as client:
        await settle()
        handle = await handed_in(hall, client)
        await hall.service.clock.run(handle.result())
        await settle()
        hall.service.clock.advance(5)
        await settle()
        shop.stop.set()
        await settle()
    first, *_, later, last = reports
    assert (10, 0, 0, False) == (first.concurrency, first.driving, first.ended, first.draining)
    assert (0, 1, False) == (later.driving, later.ended, later.draining)
    assert last.draining


async def test_a_worker_says_how_everything_stands(hall: Hall) -> None:
    """As it was when it last looked, and by itself as it is now."""
    async with working(hall) as shop, hall.client() as client:
        looking = asyncio.create_task(shop.worker.look())
        await handed_in(hall, client)
        health = shop.worker.health
        looking.cancel()
    assert (1, 0, True) == (health.driving, health.ended, health.is_well)
    assert [True] == [report.alive for report in health.reports or ()]
    assert Tally(0, 0) == health.tally


async def test_what_a_worker_says_of_everything_has_an_age(hall: Hall) -> None:
    """It looks each five seconds; while the journal is away what it saw last grows old, and that can be seen."""

    class Away(BoardJournal):
        async def counts(self) -> Counts:
            self._check_there()
            return await super().counts()

    journal = Away(hall.path, hall.board)
    async with working(hall, journal=journal) as shop:
        assert None is shop.worker.health.age
        looking = asyncio.create_task(shop.worker.look())
        ages = []
        for away in (False, False, True):
            await settle()
            hall.service.clock.advance(4)
            ages.append(shop.worker.health.age)
            hall.service.clock.advance(1)
            journal.away = away
        await settle()
        ages.append(shop.worker.health.age)
        journal.away = False
        looking.cancel()
    assert [4.0, 4.0, 4.0, 5.0] == ages


async def test_an_engine_that_fails_ends_the_worker_and_its_jobs_are_handed_over(hall: Hall) -> None:
    """It is a bug, and whoever supervises the process starts it again."""

    class Broken(BoardEngine):
        async def run(self, drive: Callable[[str], Awaitable[None]], **_: Any) -> None:
            self.drives["job"] = asyncio.ensure_future(drive(self.board.waiting.pop()))
            await settle()
            raise KeyError("a bug")

    async with hall.client() as client:
        job = await left(client)
        journal = hall.journal()
        async with hall.client(journal=journal, config=a_config(), engine="in-process") as driver:
            worker = Worker(driver, Broken(hall.board), journal, clock=hall.service.clock)
            with pytest.raises(KeyError):
                await hall.service.clock.run(worker.run(asyncio.Event()))
    assert [job.id] == hall.board.waiting

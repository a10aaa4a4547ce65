"""A client of a journal that machines share hands its jobs to workers, sends nothing itself, and hears what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from board import BoardJournal, DatabaseHall, Hall
from studio import KEY, LOST, REFUSED_CONNECTION, REQUEST, KeyedStudio, Studio, a_config, a_service, accepted, done, running, said

from genbridge import (
    Backend,
    BackendConfig,
    BudgetError,
    Call,
    CancelUnsupportedError,
    Client,
    Config,
    Exchange,
    File,
    GenbridgeError,
    InsufficientCreditsError,
    Job,
    JobCancelledError,
    JobExpiredError,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    JournalError,
    Media,
    RateLimitError,
    Reference,
    ReferenceRole,
    RequestError,
    Route,
    Snapshot,
    SubmitUnknownError,
    TransportError,
    Verdict,
    VideoRequest,
    hookimpl,
)
from genbridge.budgets import Budget
from genbridge.catalogue import ReferenceRule
from genbridge.config import PollConfig, Secret
from genbridge.durations import Key, Learned, learn
from genbridge.journal import Attention, Lease, Report
from genbridge.testing.clock import FakeClock

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Uploads(Studio):
    """A provider that takes local files."""

    def __init__(self) -> None:
        super().__init__()
        video, still = self.provider.models
        rule = ReferenceRule(role=ReferenceRole.ASSET, kind=Media.IMAGE)
        video = attrs.evolve(video, capabilities=attrs.evolve(video.capabilities, references=(rule,)))
        self.provider = attrs.evolve(self.provider, models=(video, still))

    @hookimpl
    def upload(self, backend: Backend, file: File) -> Exchange[str]:
        """Give a file an address."""
        yield Call.get("/uploads")
        return "https://files.example/fox.png"


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    """Return a journal to share, and a service that accepts and makes everything."""
    return Hall(tmp_path / "jobs.db", a_service())


@pytest.fixture
def database_hall(database: str, tmp_path: Path) -> Hall:
    """Return the same over a PostgreSQL database."""
    service = a_service(clock=FakeClock(quiet=0.25))
    hall = DatabaseHall(tmp_path, service)
    hall.url = database
    return hall


async def _until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    for _ in range(10_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


async def _recorded(client: Client) -> Job:
    """Return the job `wish`, once it is on record."""
    for _ in range(10_000):
        if job := await client._record.get("wish"):
            return job
        await asyncio.sleep(0)
    raise AssertionError("no job is on record")


async def test_a_job_is_sent_by_the_worker_and_its_result_is_had_by_the_client_which_has_no_key(hall: Hall) -> None:
    """One POST, with the worker's key."""
    async with hall.worker(), hall.client() as client:
        result = await hall.service.clock.run(client.generate(REQUEST))
    assert ["https://files.example/1.mp4"] == [asset.url for asset in result]
    assert (1, {KEY}) == (len(hall.service.posts), {key.removeprefix("Bearer ") for key in hall.service.keys})


async def test_a_submit_returns_when_the_service_has_accepted_the_job(hall: Hall) -> None:
    """The handle has the service's id then, and what such a job usually takes."""
    hall.service.polls.appendleft(running())
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        assert ("p1", 20.0) == (handle.job.provider_id, handle.expected)
        assert not handle.job.status.terminal
        assert handle.usual is None


async def test_who_waits_for_so_long_only_has_a_job_that_goes_on(hall: Hall) -> None:
    """It is on record, and the first worker that comes takes it."""
    async with hall.client() as client:
        with pytest.raises(JobTimeoutError, match="pending after 3 s") as caught:
            await hall.service.clock.run(client.submit(REQUEST, timeout=3.0))
        async with hall.worker():
            await hall.service.clock.run(client.handle(caught.value.job).result())
    assert 1 == len(hall.service.posts)


async def test_jobs_that_a_worker_holds_back_can_be_followed_and_dropped(hall: Hall) -> None:
    """Though it has them, they were not sent: they are unfinished jobs of this client like any other."""
    config = a_config(max_concurrent=1)
    hall.service.polls.extendleft([running()] * 20)
    async with hall.worker(config), hall.client() as client:
        first = await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(JobTimeoutError) as caught:
            await hall.service.clock.run(client.submit(REQUEST, timeout=9.0))
        assert [caught.value.job.id] == [job.id for job in await client.unsent()]
        followed = await client.resume(wait=False)
        assert {first.id, caught.value.job.id} == {handle.id for handle in followed}
        await hall.service.clock.run(client.handle(caught.value.job).cancel())
        assert [] == await client.unsent()
    assert 1 == len(hall.service.posts)


async def test_events_come_as_the_worker_records_them(hall: Hall) -> None:
    """Nobody waits for the slow look."""
    hall.service.polls.extendleft([running(progress=0.5), running(progress=0.5)])
    async with hall.worker(), hall.client() as client:
        seen: list[Snapshot] = []
        handle = await hall.service.clock.run(client.submit(REQUEST, observe=seen.append))
        events = await hall.service.clock.run(_events(client, handle.id))
    assert [JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED] == _in_order(events)
    assert _in_order(events) == _in_order(seen)


async def _events(client: Client, job_id: str) -> list[Snapshot]:
    return [snapshot async for snapshot in client.handle(job_id).events()]


def _in_order(snapshots: list[Snapshot]) -> list[JobStatus]:
    return list(dict.fromkeys(snapshot.status for snapshot in snapshots))


async def test_each_change_that_is_told_costs_one_look(hall: Hall) -> None:
    """The intent, the acceptance, the run and its end; none comes from the clock, and none is of another client's job."""
    hall.service.polls.extendleft([running()] * 5)
    async with hall.worker(), hall.client() as client, hall.client():
        journal = client._record
        assert isinstance(journal, BoardJournal)
        await hall.service.clock.run(client.generate(REQUEST))
    assert 4 >= len(journal.looks)


async def test_what_nobody_tells_is_found_all_the_same(hall: Hall) -> None:
    """A slow look stands behind what is told."""
    hall.board.silent = True
    hall.service.polls.appendleft(running())
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        assert 5.0 == hall.service.clock.elapsed
        await hall.service.clock.run(handle.result())
    assert JobStatus.SUCCEEDED is handle.job.status
    assert 0 == hall.service.clock.elapsed % 5


async def test_when_something_may_have_been_missed_all_jobs_are_looked_at(hall: Hall) -> None:
    """An empty id says so, as after a connection was lost."""
    hall.board.silent = True
    async with hall.worker(), hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST))
        await _until(lambda: bool(hall.service.posts))
        for _, told in list(hall.board.listeners):
            told("")
        await asyncio.wait_for(submit, 10)
    assert 0.0 == hall.service.clock.elapsed


@pytest.mark.parametrize(
    ("answer", "kind", "verdict"),
    [
        (said(402), InsufficientCreditsError, Verdict.REFUSED),
        (REFUSED_CONNECTION, TransportError, Verdict.NOT_SENT),
        (said(429, retry_after="7"), RateLimitError, Verdict.REFUSED),
    ],
)
async def test_a_refused_submit_raises_what_it_raised_in_the_worker(
    answer: Callable[..., None], kind: type[TransportError], verdict: Verdict, hall: Hall
) -> None:
    """The class, the sentence and the verdict; the job is on record, and cost nothing."""
    hall.service.submits.clear()
    hall.service.submits.append(answer)
    config = a_config(patience=0.0)
    async with hall.worker(config), hall.client() as client:
        with pytest.raises(kind, match="backend 'main': ") as caught:
            await hall.service.clock.run(client.submit(REQUEST))
        job = await anext(client.jobs())
    assert verdict is caught.value.verdict
    assert (JobStatus.FAILED, 0) == (job.status, job.cost and job.cost.amount)
    assert caught.value.job == job


async def test_who_comes_later_is_told_that_the_job_has_failed(hall: Hall) -> None:
    """As of any job on record that did not succeed."""
    hall.service.submits[0] = said(402)
    async with hall.worker(), hall.client() as client:
        with pytest.raises(InsufficientCreditsError):
            await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        with pytest.raises(JobFailedError, match="it said 402"):
            await client.handle("wish").result()


async def test_a_route_goes_on_to_its_next_backend_when_a_worker_was_refused(tmp_path: Path) -> None:
    """And to no other when nobody knows."""
    backends = {name: BackendConfig(name=name, provider="studio", api_key=Secret(KEY)) for name in ("first", "second")}
    config = Config(backends=backends, routes={"both": Route(name="both", backends=("first", "second"))}, default="both")
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[said(402), accepted(), LOST]))
    async with hall.worker(config), hall.client(config=config) as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        assert "second" == handle.job.backend
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST))
    assert 3 == len(hall.service.posts)


# In doubt.


async def test_a_submit_in_doubt_is_told_and_may_be_settled_at_once(tmp_path: Path) -> None:
    """The worker has let it go by then, so that a person may say what became of it."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST]))
    async with hall.worker(), hall.client() as client:
        with pytest.raises(SubmitUnknownError, match="may have been accepted") as caught:
            await hall.service.clock.run(client.submit(REQUEST))
        job = await client.handle(caught.value.job.id).not_sent()
    assert (JobStatus.FAILED, 0) == (job.status, job.cost and job.cost.amount)
    assert 1 == len(hall.service.posts)


async def test_a_job_that_the_worker_looks_up_is_not_said_to_be_in_doubt(tmp_path: Path) -> None:
    """Its submit returns when the look-up has found it."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST], look_ups=[said(500), running(id="p7")]), KeyedStudio())
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
    assert "p7" == handle.job.provider_id


async def test_a_job_that_no_look_up_finds_is_in_doubt_when_the_worker_gives_up(tmp_path: Path) -> None:
    """Ten seconds of look-ups, and a moment until that is seen."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST], look_ups=[said(500)]), KeyedStudio())
    async with hall.worker(), hall.client() as client:
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST))
    assert 10.0 <= hall.service.clock.elapsed <= 12.0


async def test_resume_has_a_worker_look_into_a_job_in_doubt(tmp_path: Path) -> None:
    """It goes on under the id that is found, and is waited for."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST], look_ups=[said(500)]), KeyedStudio())
    async with hall.worker(), hall.client() as client:
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST))
        hall.service.look_ups[0] = running(id="p7")
        (handle,) = await hall.service.clock.run(client.resume())
    assert (JobStatus.SUCCEEDED, "p7") == (handle.job.status, handle.job.provider_id)


async def test_a_job_in_doubt_that_cannot_be_looked_up_needs_no_worker_to_say_so(tmp_path: Path) -> None:
    """Whoever waits for it is told at once what to do."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST]))
    async with hall.client() as client:
        async with hall.worker():
            with pytest.raises(SubmitUnknownError):
                await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        with pytest.raises(SubmitUnknownError, match="jobs reconcile"):
            await client.handle("wish").result()
        assert [] == hall.board.waiting


async def test_a_job_that_was_found_by_hand_is_left_to_a_worker(tmp_path: Path) -> None:
    """To ask the service whether it knows the id takes a key; the rest is the worker's."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST]))
    async with hall.worker(), hall.client() as client, hall.client(config=a_config()) as keyed:
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        with pytest.raises(GenbridgeError, match=r"no API key: .*; or do this where the key is, as with a worker's configuration"):
            await client.handle("wish").adopt("p1")
        handle = keyed.handle("wish")
        await handle.adopt("p1")
        result = await hall.service.clock.run(handle.result())
    assert "wish" == result.job_id
    assert hall.service.poll_times[1:]


class Found(BoardJournal):
    """A journal in which a worker finds a job, and lets go of it, between two looks at it."""

    async def attention(self, job_id: str) -> Attention:
        await self._store.do(lambda db: db.execute("update jobs set status = 'queued', provider_id = 'p1', submitted = created"))
        return Attention.NONE


async def test_a_job_that_is_found_between_two_looks_is_not_in_doubt(hall: Hall) -> None:
    """What was read before is believed only while it stands."""
    journal = Found(hall.path, hall.board, now=lambda: hall.service.clock.now().timestamp())
    async with hall.client(journal) as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        await journal._store.do(lambda db: db.execute("update jobs set status = 'unknown'"))
        handle = await hall.service.clock.run(submit)
    assert "p1" == handle.job.provider_id


# Where no worker is.


async def test_a_job_that_waits_says_that_no_worker_is_running(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """In its note and once in the log; it is sent when there is one."""
    seen: list[Snapshot] = []
    async with hall.client() as client:
        submits = [asyncio.ensure_future(client.submit(REQUEST, observe=seen.append)) for _ in range(2)]
        await hall.service.clock.run(_until(lambda: any(snapshot.note for snapshot in seen)))
        assert 5.0 == hall.service.clock.elapsed
        async with hall.worker():
            await hall.service.clock.run(asyncio.gather(*submits))
    assert "no worker is running for backend 'main'; start one with `genbridge worker`" in {snapshot.note for snapshot in seen}
    assert seen[-1].note is None
    assert 1 == sum("no worker is running" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("changes", "serves"),
    [
        ({}, True),
        ({"silent": 31.0}, False),
        ({"draining": True}, False),
        ({"backends": ("other",)}, False),
        ({"backends": ("other", "main")}, True),
    ],
)
async def test_a_worker_counts_that_is_alive_and_drives_the_backend(changes: dict[str, Any], serves: bool, hall: Hall) -> None:
    """One that was silent for long, or that takes no more jobs, is none."""
    hall.board.reports.append(Report(owner="there", host="there", pid=7, version="0", concurrency=1, **changes))
    async with hall.client() as client:
        with pytest.raises(JobTimeoutError) as caught:
            await hall.service.clock.run(_wait_in_vain(client))
    assert serves is ("no worker is running" not in str(caught.value))


async def _wait_in_vain(client: Client) -> None:
    submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
    await _recorded(client)
    try:
        await client.handle("wish").result(timeout=10)
    finally:
        submit.cancel()


async def test_a_job_that_a_client_drives_itself_needs_no_worker(hall: Hall) -> None:
    """Several may share the journal without any worker."""
    hall.service.polls.extendleft([running()] * 20)
    config = a_config(poll=PollConfig(interval=2.0))
    async with hall.client(config=config, engine="in-process") as driver, hall.client() as client:
        handle = await hall.service.clock.run(driver.submit(REQUEST))
        with pytest.raises(JobTimeoutError) as caught:
            await hall.service.clock.run(client.handle(handle.id).result(timeout=20))
        assert "no worker" not in str(caught.value)
        result = await hall.service.clock.run(client.handle(handle.id).result())
    assert handle.id == result.job_id
    assert 1 == len(hall.service.posts)


async def test_a_job_whose_worker_has_gone_is_taken_by_the_next(hall: Hall) -> None:
    """Who waits for it calls for one, and nothing is sent twice."""
    hall.service.polls.extendleft([running()] * 3)
    async with hall.client() as client:
        async with hall.worker():
            handle = await hall.service.clock.run(client.submit(REQUEST))
        hall.board.waiting.clear()
        async with hall.worker():
            assert [handle.id] == [each.id for each in await hall.service.clock.run(client.resume())]
    assert JobStatus.SUCCEEDED is handle.job.status
    assert 1 == len(hall.service.posts)


async def test_a_job_that_is_not_to_be_sent_is_only_followed(hall: Hall) -> None:
    """No worker is called for it."""
    async with hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        submit.cancel()
        hall.board.waiting.clear()
    async with hall.client() as client:
        with pytest.raises(JobTimeoutError):
            await hall.service.clock.run(client.handle("wish", send=False).result(timeout=30))
        assert [] == hall.board.waiting
        with pytest.raises(JobTimeoutError):
            await hall.service.clock.run(client.handle("wish").result(timeout=30))
    assert [] != hall.board.waiting


class Taught(BoardJournal):
    """A journal that knows how long jobs take."""

    async def learned(self, key: Key) -> Learned | None:
        learned: Learned | None = None
        for seconds in range(60, 80):
            learned = learn(learned, seconds, seconds + 1)
        return learned


async def test_what_was_learned_of_such_jobs_is_known_once_one_is_accepted(hall: Hall) -> None:
    """As a client knows it that asks the service itself."""
    hall.service.polls.appendleft(running())
    journal = Taught(hall.path, hall.board, now=lambda: hall.service.clock.now().timestamp())
    async with hall.worker(), hall.client(journal) as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        assert handle.usual is not None
        assert 60 <= (handle.expected or 0) <= 80


async def test_a_wait_that_is_over_says_how_far_the_job_is(hall: Hall) -> None:
    """It goes on."""
    hall.service.polls.appendleft(running())
    hall.service.polls.extendleft([running()] * 5)
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(JobTimeoutError, match=r"is (queued|running) after 3 s"):
            await hall.service.clock.run(handle.result(timeout=3))
        await hall.service.clock.run(handle.result())


async def test_a_journal_that_is_away_for_a_while_ends_no_wait(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """The job is looked at when it is back."""
    journal = hall.journal()
    assert isinstance(journal, BoardJournal)
    async with hall.worker(), hall.client(journal) as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        journal.away = True
        wait = asyncio.ensure_future(handle.result())
        await hall.service.clock.run(_until(lambda: any("cannot be looked up" in text for text in caplog.messages)))
        journal.away = False
        await hall.service.clock.run(wait)
    assert JobStatus.SUCCEEDED is handle.job.status


# Cancels.


async def test_a_job_that_nobody_has_is_cancelled_here(hall: Hall) -> None:
    """It never was sent, and whoever waits hears of it."""
    async with hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        handle = client.handle("wish")
        await handle.cancel()
        await hall.service.clock.run(submit)
        with pytest.raises(JobCancelledError):
            await submit.result().result()
        job = await anext(client.jobs())
    assert (JobStatus.CANCELLED, JobStatus.CANCELLED, 0) == (job.status, handle.job.status, job.cost and job.cost.amount)
    assert [] == hall.service.calls


async def test_a_cancel_reaches_the_worker_that_has_the_job(tmp_path: Path) -> None:
    """The service is asked with the worker's key."""
    service = a_service(polls=[running()], deletes=[running(status="cancelled", refunded=True)])
    hall = Hall(tmp_path / "jobs.db", service, KeyedStudio())
    async with hall.worker(), hall.client() as client:
        handle = await service.clock.run(client.submit(REQUEST))
        await service.clock.run(handle.cancel())
        with pytest.raises(JobCancelledError):
            await handle.result()
    assert ["DELETE"] == [call.method for call in service.calls if call.method == "DELETE"]


async def test_a_cancel_that_takes_its_time_is_no_error(tmp_path: Path) -> None:
    """The service was asked; the job's end is whatever comes of it."""
    service = a_service(polls=[running()], deletes=[running()])
    hall = Hall(tmp_path / "jobs.db", service, KeyedStudio())
    async with hall.worker(), hall.client() as client:
        handle = await service.clock.run(client.submit(REQUEST))
        await service.clock.run(handle.cancel())
        assert not handle.job.status.terminal


async def test_what_speaks_against_a_cancel_comes_back(hall: Hall) -> None:
    """In the worker's words."""
    hall.service.polls.appendleft(running())
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(CancelUnsupportedError, match=r"no way to cancel.*will be billed"):
            await hall.service.clock.run(handle.cancel())


async def test_a_cancel_that_nobody_answers_stays_on_record(hall: Hall) -> None:
    """After a minute the caller is told so, and why nobody does."""
    hall.service.polls.appendleft(running())
    async with hall.client() as client:
        async with hall.worker():
            job_id = (await hall.service.clock.run(client.submit(REQUEST))).id
        began = hall.service.clock.elapsed
        with pytest.raises(JobTimeoutError, match=r"60 s \(no worker is running.*on record"):
            await hall.service.clock.run(client.handle(job_id).cancel())
    assert 60.0 == hall.service.clock.elapsed - began
    assert {job_id: None} == hall.board.asked


async def test_a_job_that_has_ended_is_not_cancelled(hall: Hall) -> None:
    """That is no error, as with a job of this process."""
    async with hall.worker(), hall.client() as client:
        result = await hall.service.clock.run(client.generate(REQUEST))
        handle = client.handle(result.job_id)
        await handle.cancel()
    assert JobStatus.SUCCEEDED is handle.job.status
    assert {} == hall.board.asked


async def test_a_job_in_doubt_cannot_be_cancelled(tmp_path: Path) -> None:
    """The error says what is known of it; no wish stays on record that would cancel it once it was found."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST]))
    async with hall.worker(), hall.client() as client:
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.handle("wish").cancel())
    assert {} == hall.board.asked


async def test_a_cancel_of_a_job_that_is_being_looked_up_says_that_it_is_in_doubt(tmp_path: Path) -> None:
    """The worker cannot cancel what may not be there."""
    hall = Hall(tmp_path / "jobs.db", a_service(submits=[LOST], look_ups=[said(500)]), KeyedStudio())
    async with hall.worker(), hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await hall.service.clock.run(_until(lambda: any("/requests/" in call.url for call in hall.service.calls)))
        with pytest.raises(SubmitUnknownError):
            await client.handle("wish").cancel()
        submit.cancel()


async def test_a_job_that_another_client_cancels_ends_for_who_waits(hall: Hall) -> None:
    """They hear of it as of any other change."""
    async with hall.client() as client, hall.client() as other:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        await other.handle("wish").cancel()
        with pytest.raises(JobCancelledError):
            await (await asyncio.wait_for(submit, 10)).result()
    assert 0.0 == hall.service.clock.elapsed


class Overtaken(BoardJournal):
    """A journal in which a worker has sent a job between two looks at it."""

    async def acquire(self, job_id: str) -> Lease | None:
        await self._store.do(lambda db: db.execute("update jobs set status = 'queued', provider_id = 'p1', submitted = created"))
        return await super().acquire(job_id)


async def test_a_job_that_was_sent_meanwhile_is_given_back_and_cancelled_by_a_worker(hall: Hall) -> None:
    """What was taken to be cancelled here is left to whoever can ask the service."""
    hall.service.polls.appendleft(running())
    journal = Overtaken(hall.path, hall.board, now=lambda: hall.service.clock.now().timestamp())
    async with hall.client(journal) as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        hall.board.waiting.clear()
        with pytest.raises(JobTimeoutError):
            await hall.service.clock.run(client.handle("wish").cancel())
        await submit
        assert [(None,)] == await journal._store.look(lambda db: [tuple(row) for row in db.execute("select owner from jobs")])
    assert (["wish"], {"wish": None}) == (hall.board.waiting, hall.board.asked)


# One id, many submits.


async def test_an_id_is_paid_for_once_however_many_clients_submit_it(hall: Hall) -> None:
    """Two at once, from two clients and twice from one; all have the one job."""
    async with hall.worker(), hall.client() as first, hall.client() as second:
        submits = [client.submit(REQUEST, id="wish") for client in (first, first, second)]
        handles = await hall.service.clock.run(asyncio.gather(*submits))
        await hall.service.clock.run(asyncio.gather(*(handle.result() for handle in handles)))
    assert ["wish"] * 3 == [handle.id for handle in handles]
    assert 1 == len(hall.service.posts)


async def test_an_id_of_another_request_is_refused(hall: Hall) -> None:
    """Nothing is sent."""
    async with hall.worker(), hall.client() as client:
        await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        with pytest.raises(RequestError, match="another request"):
            await client.submit(VideoRequest("a hen", duration=5), id="wish")


async def test_a_job_on_record_that_was_never_sent_is_waited_for_until_it_is(hall: Hall) -> None:
    """Whoever submits its id again returns when the service has accepted it."""
    async with hall.client() as client:
        given_up = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        given_up.cancel()
    async with hall.client() as client, hall.worker():
        handle = await hall.service.clock.run(client.submit(REQUEST, id="wish"))
    assert "p1" == handle.job.provider_id


async def test_a_batch_runs_over_workers(hall: Hall) -> None:
    """Each is made once, and a second run pays for nothing."""
    requests = [VideoRequest(f"fox {number}", duration=5) for number in range(5)]
    numbers = iter(range(100))
    hall.service.submits.clear()
    hall.service.submits.append(lambda _: accepted(id=f"p{next(numbers)}"))
    async with hall.worker(), hall.client() as client:
        outcomes = await hall.service.clock.run(client.generate_many(requests, name="foxes"))
        again = await hall.service.clock.run(client.generate_many(requests, name="foxes"))
    assert [None] * 5 == [outcome.error for outcome in outcomes]
    assert [outcome.result for outcome in outcomes] == [outcome.result for outcome in again]
    assert 5 == len(hall.service.posts)


async def test_a_cap_holds_before_anything_is_handed_in(hall: Hall) -> None:
    """The client's own caps are checked here, over all that is on record."""
    config = a_config(api_key=None, budget=Budget(per_day=50))
    async with hall.worker(), hall.client(config=config) as client:
        await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(BudgetError):
            await hall.service.clock.run(client.submit(REQUEST))
        assert 1 == len([job async for job in client.jobs()])


# The rest.


async def test_a_local_file_is_named_by_its_whole_path_and_read_by_the_worker(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the worker has not got is an error that says who reads it; the same request again is the same."""
    hall.studio = Uploads()
    (tmp_path / "fox.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    request = VideoRequest("a fox", duration=5, references=[Reference(Path("fox.png"))])
    async with hall.client() as client:
        submit = asyncio.ensure_future(client.submit(request, id="wish"))
        job = await _recorded(client)
        (tmp_path / "fox.png").unlink()
        async with hall.worker():
            with pytest.raises(RequestError, match=r"fox.png' cannot be read.*by the worker"):
                await hall.service.clock.run(submit)
    assert tmp_path / "fox.png" == job.request.references[0].source


async def test_a_job_that_had_expired_goes_on_where_who_waits_has_a_key(hall: Hall) -> None:
    """The service is asked once more here, and the job is left to a worker then."""
    hall.service.polls.extendleft([said(404)] * 30)
    async with hall.worker(), hall.client(config=a_config()) as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(JobExpiredError):
            await hall.service.clock.run(handle.result())
        hall.service.polls.clear()
        hall.service.polls.extend([running(), done()])
        result = await hall.service.clock.run(handle.result())
    assert handle.id == result.job_id


async def test_who_waits_when_the_client_is_closed_is_told_where_the_job_is(hall: Hall) -> None:
    """It is on record, and the workers go on with it."""
    async with hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        job = await _recorded(client)
    with pytest.raises(JournalError, match="job wish is on record"):
        await submit
    with pytest.raises(JournalError, match="the client is closed"):
        await client._driver.attach(job)


class Slow(BoardJournal):
    """A journal that takes no job in."""

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        await asyncio.Event().wait()
        return await super().hand_in(job, budget)


@pytest.mark.parametrize(("error", "seconds"), [(None, 10.0), (KeyboardInterrupt(), 0.0)])
async def test_closing_waits_a_moment_for_a_job_that_is_being_handed_in(
    error: BaseException | None, seconds: float, hall: Hall
) -> None:
    """But not where the program was interrupted; whoever submitted it hears that nobody knows whether it is on record."""
    client = hall.client(Slow(hall.path, hall.board, now=lambda: hall.service.clock.now().timestamp()))
    await client.__aenter__()
    submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
    await _until(lambda: bool(client._driver._drives))
    for _, told in hall.board.listeners:
        told("")  # nothing is on record of it yet, which is nothing to go by
    for _ in range(100):
        await asyncio.sleep(0)
    await hall.service.clock.run(client.__aexit__(error and type(error), error, None))
    with pytest.raises(JournalError, match="before job wish was known to be on record"):
        await submit
    assert seconds == hall.service.clock.elapsed


class Lossy(BoardJournal):
    """A journal that is not reached any more for its answer."""

    async def hand_in(self, job: Job, budget: Budget) -> bool:
        await super().hand_in(job, budget)
        raise JournalError("the journal cannot be reached")


async def test_a_job_of_which_nobody_knows_whether_it_was_handed_in_is_named(hall: Hall) -> None:
    """A worker may send it, so that to hand it in once more as another could pay twice."""
    async with hall.client(Lossy(hall.path, hall.board)) as client:
        with pytest.raises(JournalError, match="job wish may be on record all the same: look for it by its id"):
            await client.submit(REQUEST, id="wish")
        assert await client._record.get("wish")


async def test_a_job_that_is_removed_from_the_record_is_waited_for_no_more(hall: Hall) -> None:
    """As a person may do."""
    journal = hall.journal()
    assert isinstance(journal, BoardJournal)
    async with hall.client(journal) as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish"))
        await _recorded(client)
        await journal._store.do(lambda db: db.execute("delete from jobs"))
        with pytest.raises(JournalError, match="job wish is not on record any more"):
            await hall.service.clock.run(submit)


class Broken(BoardJournal):
    """A journal that trips over reports."""

    async def reports(self) -> Sequence[Report]:
        raise TypeError("odd")


async def test_a_bug_is_told_to_whoever_waits(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback in the log."""
    async with hall.client(Broken(hall.path, hall.board, now=lambda: hall.service.clock.now().timestamp())) as client:
        with pytest.raises(GenbridgeError, match=r"a bug in genbridge \(TypeError\)"):
            await hall.service.clock.run(client.submit(REQUEST))
    assert "odd" in caplog.text


async def test_all_who_submit_one_id_are_told_what_is_seen_of_it(hall: Hall) -> None:
    """Also those who come while it is being handed in."""
    first: list[Snapshot] = []
    second: list[Snapshot] = []
    async with hall.worker(), hall.client() as client:
        submits = [client.submit(REQUEST, id="wish", observe=seen.append) for seen in (first, second)]
        handles = await hall.service.clock.run(asyncio.gather(*submits))
        await hall.service.clock.run(handles[0].result())
    assert JobStatus.SUCCEEDED is first[-1].status is second[-1].status


async def test_files_that_were_wanted_are_for_a_client_to_save(hall: Hall, tmp_path: Path) -> None:
    """Whoever resumes finds the job, also while the worker lives that has driven it, as a worker saves none."""
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST, save_to=tmp_path / "out"))
        await hall.service.clock.run(handle.result())
        (resumed,) = await client.resume(wait=False)
    assert (handle.id, tmp_path / "out") == (resumed.id, resumed.job.save_to)


async def test_with_the_engine_in_process_a_client_drives_its_own_jobs(hall: Hall) -> None:
    """No ticket is given, and a key is needed."""
    async with hall.client(config=a_config(), engine="in-process") as client:
        await hall.service.clock.run(client.generate(REQUEST))
    assert (1, []) == (len(hall.service.posts), hall.board.waiting)


# Over PostgreSQL.


async def test_in_postgresql_a_job_is_handed_in_driven_and_heard_of(database_hall: Hall) -> None:
    """Its changes are told by the database: the slow look is not waited for."""
    hall = database_hall
    hall.service.polls.extendleft([running(progress=0.5)] * 2)
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        await hall.service.clock.run(handle.result())
        events = await _events(client, handle.id)
    assert [JobStatus.SUCCEEDED] == _in_order(events)
    assert 1 == len(hall.service.posts)


async def test_in_postgresql_a_submit_in_doubt_is_settled_and_left_to_a_worker(database_hall: Hall) -> None:
    """It is in doubt once nobody looks into it, and goes on under the id that was found."""
    hall = database_hall
    hall.service.submits[0] = LOST
    async with hall.worker(), hall.client(config=a_config()) as client:
        with pytest.raises(SubmitUnknownError):
            await hall.service.clock.run(client.submit(REQUEST, id="wish"))
        handle = client.handle("wish")
        await handle.adopt("p1")
        result = await hall.service.clock.run(handle.result())
    assert "wish" == result.job_id


async def test_in_postgresql_a_cancel_reaches_the_worker_and_its_answer_the_client(database_hall: Hall) -> None:
    """Also where the service has no way to."""
    hall = database_hall
    hall.service.polls.appendleft(running())
    hall.service.polls.extendleft([running()] * 50)
    async with hall.worker(), hall.client() as client:
        handle = await hall.service.clock.run(client.submit(REQUEST))
        with pytest.raises(CancelUnsupportedError):
            await hall.service.clock.run(handle.cancel())


async def test_in_postgresql_a_job_that_nobody_has_says_why_it_waits_and_is_cancelled(database_hall: Hall) -> None:
    """No worker has ever been there."""
    hall = database_hall
    noted = asyncio.Event()

    def see(snapshot: Snapshot) -> None:
        if snapshot.note and "no worker is running" in snapshot.note:
            noted.set()

    async with hall.client() as client:
        submit = asyncio.ensure_future(client.submit(REQUEST, id="wish", observe=see))
        await hall.service.clock.run(noted.wait())
        await client.handle("wish").cancel()
        with pytest.raises(JobCancelledError):
            await (await hall.service.clock.run(submit)).result()


async def test_the_url_of_a_database_is_enough_to_hand_jobs_to_workers(database_hall: Hall, database: str) -> None:
    """Whatever the configuration says of the journal, which is nothing here."""
    hall = database_hall
    async with hall.worker(), hall.client(database) as client:
        assert client.watches
        await hall.service.clock.run(client.generate(REQUEST))
    assert 1 == len(hall.service.posts)


async def test_in_postgresql_a_client_may_drive_its_own_jobs(database_hall: Hall, database: str) -> None:
    """There is no ticket for them then, and another client follows them."""
    hall = database_hall
    async with hall.client(database, a_config(), engine="in-process") as driver, hall.client(database) as client:
        handle = await hall.service.clock.run(driver.submit(REQUEST))
        result = await hall.service.clock.run(client.handle(handle.id).result())
    assert handle.id == result.job_id
    assert 1 == len(hall.service.posts)

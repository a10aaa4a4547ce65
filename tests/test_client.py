"""The client chooses backends, keeps to budgets, picks jobs up again, and has a blocking face that is the same code."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from studio import (
    KEY,
    LOST,
    REFUSED_CONNECTION,
    REQUEST,
    InlineJournal,
    KeyedStudio,
    Service,
    Studio,
    a_config,
    a_service,
    accepted,
    done,
    left_unsent,
    opened,
    refused_once,
    running,
    said,
)

import genbridge
from genbridge import (
    BlockingClient,
    BudgetError,
    Client,
    ConfigError,
    DownloadError,
    GenbridgeError,
    Handle,
    ImageRequest,
    JobStatus,
    JobTimeoutError,
    JournalError,
    PluginError,
    Reply,
    RequestError,
    ServiceError,
    Snapshot,
    SubmitUnknownError,
    VideoRequest,
)
from genbridge.config import BackendConfig, Budget, Config, JournalConfig, Route, Secret

# Picking jobs up again.


async def test_a_job_is_collected_by_another_process(tmp_path: Path) -> None:
    """A new client on the same journal attaches the job by its id, or a beginning of it, and gets the result."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        job_id = (await client.submit(REQUEST)).id
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handle = client.handle(job_id[:8])
        result = await service.clock.run(handle.result())
    assert (job_id, 1) == (result.job_id, len(service.posts))


async def test_an_ended_job_has_its_result_on_record(tmp_path: Path) -> None:
    """Nothing is asked of the service again."""
    service = a_service()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        result = await service.clock.run(client.generate(REQUEST))
    calls = len(service.calls)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert result == await client.handle(result.job_id).result()
    assert calls == len(service.calls)


async def test_resume_drives_every_unfinished_job_to_its_end(tmp_path: Path) -> None:
    """Running ones are polled again, from the stored id."""
    service = a_service(polls=[running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        for _ in range(3):
            await client.submit(REQUEST)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handles = await service.clock.run(client.resume())
        assert {JobStatus.SUCCEEDED} == {handle.job.status for handle in handles}
        assert [] == await client.resume()
    assert 3 == len(service.posts)


async def test_a_job_that_was_never_sent_is_sent_by_resume(tmp_path: Path) -> None:
    """Its intent is on record and certainly nothing left, so it is submitted, once."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        waiting = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
    waiting.cancel()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        (handle,) = await service.clock.run(client.resume())
    assert JobStatus.SUCCEEDED is handle.job.status
    assert 2 == len(service.posts)


async def test_a_job_that_was_never_sent_may_be_left_so(tmp_path: Path) -> None:
    """The others are resumed all the same."""
    service = a_service(submits=[accepted(), said(429, retry_after="60")], polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        sent = await client.submit(REQUEST)
        waiting = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
    waiting.cancel()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert [sent.id] == [handle.id for handle in await service.clock.run(client.resume(send=False))]
        assert 1 == len(await client.unsent())
    assert 2 == len(service.posts)


async def test_a_job_whose_process_died_in_its_post_is_unknown(tmp_path: Path) -> None:
    """The intent was recorded, so nobody sends it again."""
    service = a_service()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await client.submit(REQUEST)
    _as_if_killed(tmp_path / "jobs.db")
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        (handle,) = await service.clock.run(client.resume())
        with pytest.raises(SubmitUnknownError, match="the process that sent the request ended"):
            await handle.result()
    assert 1 == len(service.posts)


async def test_a_job_whose_process_died_in_its_post_is_looked_up(tmp_path: Path) -> None:
    """Where the service can be asked by the key, the job goes on."""
    service = a_service(look_ups=[running(id="p1")])
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        await client.submit(REQUEST)
    _as_if_killed(tmp_path / "jobs.db")
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        (handle,) = await service.clock.run(client.resume())
    assert (JobStatus.SUCCEEDED, "p1") == (handle.job.status, handle.job.provider_id)
    assert 1 == len(service.posts)


def _as_if_killed(path: Path) -> None:
    """Leave the record as a process does that is killed while its POST is under way."""
    with sqlite3.connect(path) as db:
        db.execute("update jobs set status = 'submitting', provider_id = null, submitted = null")
    db.close()


async def test_jobs_of_a_backend_that_is_gone_are_named_after_the_others_were_resumed(tmp_path: Path) -> None:
    """The error says which backend to add, and the other jobs have ended."""
    service = a_service(polls=[done()])
    both = _two_backends()
    async with opened(service, config=both, journal=tmp_path / "jobs.db") as client:
        await client.submit(REQUEST, backend="first")
        await client.submit(REQUEST, backend="second")
    one = attrs.evolve(both, backends={"second": both.backends["second"]}, routes={}, default=None)
    async with opened(service, config=one, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(ConfigError, match="backend 'first'"):
            await service.clock.run(client.resume())
        ended = [job.backend async for job in client.jobs(status=JobStatus.SUCCEEDED)]
    assert ["second"] == ended


async def _one_at_each(service: Service, path: Path) -> None:
    """Leave a running job of a backend whose package is broken later, of one that is gone later, and of one that stays."""
    backends = {name: BackendConfig(name=name, provider=name, api_key=Secret(KEY)) for name in ("broken", "gone", "studio")}
    providers = {name: Studio(name) for name in backends}
    async with _client_of(service, path, Config(backends=backends), providers) as client:
        for name in backends:
            await client.submit(REQUEST, backend=name, id=name)


def _client_of(service: Service, path: Path, config: Config, providers: dict[str, object]) -> Client:
    journal = InlineJournal(path, now=lambda: service.clock.now().timestamp())
    return Client(config, journal=journal, providers=providers, clock=service.clock, transport=service)  # type: ignore[arg-type]


def _what_is_left(service: Service, path: Path) -> Client:
    backends = {name: BackendConfig(name=name, provider=name, api_key=Secret(KEY)) for name in ("broken", "studio")}
    return _client_of(service, path, Config(backends=backends), {"broken": object(), "studio": Studio()})


async def test_jobs_that_cannot_be_driven_keep_no_other_from_its_end(tmp_path: Path) -> None:
    """Whatever is wrong with them; it is told when the others have ended."""
    service = a_service(polls=[running(), done()])
    await _one_at_each(service, tmp_path / "jobs.db")
    async with _what_is_left(service, tmp_path / "jobs.db") as client:
        with pytest.raises(GenbridgeError, match=r"'broken'.*; there are jobs of backend 'gone'"):
            await service.clock.run(client.resume())
        assert ["studio"] == [job.id async for job in client.jobs(status=JobStatus.SUCCEEDED)]


async def test_a_job_that_cannot_be_driven_says_so_when_it_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is waited for, all handles are returned, and each has its own error; the log has it too."""
    service = a_service(polls=[running(), done()])
    await _one_at_each(service, tmp_path / "jobs.db")
    async with _what_is_left(service, tmp_path / "jobs.db") as client:
        broken, gone, studio = await client.resume(wait=False)
        with pytest.raises(PluginError):
            await broken.result()
        with pytest.raises(ConfigError, match="backend 'gone'"):
            await gone.result()
        assert "studio" == (await service.clock.run(studio.result())).job_id
    assert any("job gone is not resumed" in record.getMessage() for record in caplog.records)


async def test_a_job_that_another_client_drives_is_watched_and_not_polled(tmp_path: Path) -> None:
    """Both see the end; one of them asks."""
    service = a_service(polls=[running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as driver, opened(service, journal=tmp_path / "jobs.db") as other:
        handle = await driver.submit(REQUEST)
        watched = other.handle(handle.id)
        results = await service.clock.run(asyncio.gather(handle.result(), watched.result()))
        assert [] == await other.resume()
    assert results[0] == results[1]
    assert 3 == len(service.poll_times)


async def test_a_watched_job_is_taken_over_when_its_driver_goes(tmp_path: Path) -> None:
    """The other client goes on where the first one stopped."""
    service = a_service(polls=[running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as other:
        async with opened(service, journal=tmp_path / "jobs.db") as driver:
            job_id = (await driver.submit(REQUEST)).id
            watched = other.handle(job_id)
            with pytest.raises(JobTimeoutError):
                await service.clock.run(watched.result(timeout=1.5))
        result = await service.clock.run(watched.result())
    assert job_id == result.job_id


async def test_a_job_that_is_not_on_record_is_named() -> None:
    """The sentence says how to see those that are."""
    async with opened(a_service()) as client:
        with pytest.raises(JournalError, match="no job 'nope' is on record"):
            client.handle("nope")


async def test_jobs_come_newest_first_and_as_many_as_asked() -> None:
    """Over the pages of the journal."""
    service = a_service(polls=[running()])
    async with opened(service) as client:
        ids = []
        for _ in range(5):
            ids.append((await client.submit(REQUEST)).id)
            service.clock.advance(0.001)
        assert ids[::-1][:3] == [job.id async for job in client.jobs(limit=3)]
        assert ids[::-1] == [job.id async for job in client.jobs(backend="main")]
        assert [] == [job.id async for job in client.jobs(status=JobStatus.FAILED)]
        assert [] == [job.id async for job in client.jobs(limit=0)]


async def test_a_job_that_was_listed_is_followed_by_its_record() -> None:
    """The unfinished ones are listed without the others, and each record leads to its handle."""
    service = a_service(submits=[accepted(), accepted(id="p2")])
    async with opened(service) as client:
        await service.clock.run(client.generate(REQUEST))
        assert [] == [job async for job in client.jobs(unfinished=True)]
        waiting = await client.submit(REQUEST)
        (job,) = [job async for job in client.jobs(unfinished=True)]
        assert waiting.id == job.id == client.handle(job).id
        assert job.id == (await service.clock.run(client.handle(job).result())).job_id


# Routes.


def _two_backends(**second: Any) -> Config:
    first = BackendConfig(name="first", provider="studio", api_key=Secret(KEY))
    other = attrs.evolve(first, name="second", **second)
    routes = {name: Route(name=name, backends=("first", "second"), prefer=name) for name in ("order", "cheapest")}  # type: ignore[arg-type]
    return Config(backends={"first": first, "second": other}, routes=routes, default="order")


@pytest.mark.parametrize("answer", [said(400), said(402), said(429, retry_after="60"), REFUSED_CONNECTION])
async def test_the_next_backend_is_taken_when_nothing_was_started(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """After a refusal or a request that never left, at once and without waiting for the first; the log says why."""
    service = a_service(submits=[answer, accepted()])
    async with opened(service, config=_two_backends()) as client:
        handle = await service.clock.run(client.submit(REQUEST))
    assert "second" == handle.job.backend
    assert any("backend 'second' is asked" in record.getMessage() for record in caplog.records)
    assert [0.0, 0.0] == [at for call, at in service.sent if call.method == "POST"]


@pytest.mark.parametrize("answer", [LOST, said(500), said(503)])
async def test_no_other_backend_is_taken_while_the_first_may_have_the_job(answer: Any) -> None:
    """An unknown outcome is told, not paid for twice."""
    service = a_service(submits=[answer, accepted()])
    async with opened(service, config=_two_backends()) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    assert 1 == len(service.posts)


async def test_the_last_backends_error_is_told_when_all_refuse() -> None:
    """And both attempts are on record."""
    service = a_service(submits=[said(402)])
    async with opened(service, config=_two_backends()) as client:
        with pytest.raises(ServiceError, match="backend 'second'"):
            await client.submit(REQUEST)
        assert {"second", "first"} == {job.backend async for job in client.jobs(status=JobStatus.FAILED)}


@asynccontextmanager
async def _of_two_providers(service: Service, config: Config, **studios: Studio) -> AsyncIterator[Client]:
    client = Client(config, journal=None, providers=studios, clock=service.clock, transport=service)  # type: ignore[arg-type]
    async with client:
        yield client


def _two_providers(**changes: Any) -> Config:
    names = ("studio", "atelier")
    backends = {name: BackendConfig(name=name, provider=name, api_key=Secret(KEY), **changes.get(name, {})) for name in names}
    routes = {prefer: Route(name=prefer, backends=names, prefer=prefer) for prefer in ("order", "cheapest")}  # type: ignore[arg-type]
    return Config(backends=backends, routes=routes, default="order")


async def test_a_backend_that_cannot_do_the_request_is_passed_over() -> None:
    """Nothing is dropped to make it fit."""
    async with _of_two_providers(a_service(), _two_providers(), studio=Studio(longest=5), atelier=Studio("atelier")) as client:
        assert "atelier" == (await client.submit(VideoRequest("a fox", duration=10))).job.backend


async def test_a_request_that_no_backend_can_do_is_an_error_of_the_first() -> None:
    """With every problem it has there."""
    studios = {"studio": Studio(longest=5), "atelier": Studio("atelier")}
    async with _of_two_providers(a_service(), _two_providers(), **studios) as client:
        with pytest.raises(RequestError, match="backend 'studio'") as caught:
            await client.quote(VideoRequest("", duration=99))
    assert ["prompt", "duration"] == [problem.field for problem in caught.value.problems]


async def test_the_cheapest_backend_is_taken_by_what_its_credits_cost() -> None:
    """Ten dear credits are dearer than a hundred cheap ones."""
    config = _two_providers(studio={"credit_price": 1.0}, atelier={"credit_price": 0.01})
    studios = {"studio": Studio(price=2), "atelier": Studio("atelier", price=20)}
    async with _of_two_providers(a_service(), config, **studios) as client:
        assert "atelier" == (await client.submit(REQUEST, backend="cheapest")).job.backend
        assert "studio" == (await client.submit(REQUEST, backend="order")).job.backend


# Budgets.


async def test_a_job_dearer_than_it_may_be_is_not_sent() -> None:
    """The lower of the caller's cap and the configuration's holds."""
    service = a_service()
    async with opened(service, config=a_config(budget=Budget(per_job=45))) as client:
        with pytest.raises(BudgetError, match="most for one job is 45"):
            await client.submit(REQUEST)
        with pytest.raises(BudgetError, match="most for one job is 30"):
            await client.submit(attrs.evolve(REQUEST, duration=4), max_cost=30)
        await client.submit(attrs.evolve(REQUEST, duration=4))
    assert 1 == len(service.posts)


async def test_a_job_that_was_never_sent_is_held_to_what_it_may_cost_too(tmp_path: Path) -> None:
    """It is sent by the call that names its id, so that call's cap and the configuration's of now hold; it stays on record."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await left_unsent(client.submit(REQUEST, id="wish"), service, client)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(BudgetError, match="it would cost 50 credits, the most for one job is 49; nothing was sent"):
            await client.submit(REQUEST, id="wish", max_cost=49)
    async with opened(service, journal=tmp_path / "jobs.db", config=a_config(budget=Budget(per_job=48))) as client:
        with pytest.raises(BudgetError, match="the most for one job is 48"):
            await client.submit(REQUEST, id="wish", max_cost=49)
        assert ["wish"] == [job.id for job in await client.unsent()]
    assert 1 == len(service.posts)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handle = await service.clock.run(client.submit(REQUEST, id="wish", max_cost=50))
        assert "p1" == handle.job.provider_id
        await service.clock.run(handle.result())
    assert 2 == len(service.posts)


@pytest.mark.parametrize("cap", [float("nan"), -1, "12", True])
async def test_a_cap_that_is_no_number_is_an_error(cap: Any) -> None:
    """And not no cap."""
    service = a_service()
    async with opened(service) as client:
        with pytest.raises(RequestError, match=r"max_cost: .* is (not a number|less than 0)$"):
            await client.submit(REQUEST, max_cost=cap)
    assert [] == service.calls


async def test_a_days_budget_is_kept_over_clients_and_unknown_jobs_count(tmp_path: Path) -> None:
    """What may have been billed stays reserved."""
    config = a_config(budget=Budget(per_day=60))
    service = a_service(submits=[LOST])
    async with opened(service, config=config, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    async with opened(service, config=config, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(BudgetError, match="spent or reserved 50 today"):
            await client.submit(REQUEST)
    assert 1 == len(service.posts)


# Quotes and models.


async def test_a_quote_sends_nothing_and_needs_no_key() -> None:
    """It is arithmetic."""
    service = a_service()
    async with opened(service, config=a_config(api_key=None)) as client:
        quote = await client.quote(REQUEST)
    assert (50.0, "credits", "clip") == (quote.amount, quote.unit, quote.model)
    assert [] == service.calls


async def test_models_are_what_the_backend_offers() -> None:
    """Also without a live list."""
    async with opened(a_service()) as client:
        assert ["clip", "still"] == [model.id for model in await client.models()]


async def test_everything_wrong_with_a_request_is_one_error() -> None:
    """Fields of the wrong type are problems like any other."""
    bad: Any = VideoRequest(7, duration="long", seed=1, references="x", options=[])  # type: ignore[arg-type]
    async with opened(a_service()) as client:
        with pytest.raises(RequestError) as caught:
            await client.submit(bad)
    assert ["prompt", "duration", "seed", "references", "options"] == [problem.field for problem in caught.value.problems]


async def test_a_value_that_is_no_request_is_an_error_too() -> None:
    """Not an AttributeError."""
    async with opened(a_service()) as client:
        with pytest.raises(RequestError, match="ImageRequest or a VideoRequest"):
            await client.submit("a fox")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, "job1", 5])
async def test_what_is_no_result_cannot_be_saved(given: Any, tmp_path: Path) -> None:
    """And the message says what to give."""
    words = f"{given!r} is no result; give what `generate` or a handle's `result` returned"
    async with opened(a_service()) as client:
        with pytest.raises(RequestError) as caught:
            await client.download(given, tmp_path)
    assert words == str(caught.value)
    with pytest.raises(RequestError) as caught:
        genbridge.save(given, tmp_path)
    assert words == str(caught.value)


async def test_what_is_no_folder_is_an_error_before_anything_is_sent() -> None:
    """Also one that cannot be put on record, though files could be saved there."""
    wrong: list[Any] = [5, "a\0b", "out\udcff"]
    service = a_service()
    async with opened(service) as client:
        for given in wrong:
            with pytest.raises(RequestError, match=r"is no folder|is not UTF-8"):
                await client.submit(REQUEST, save_to=given)
        assert [] == [job async for job in client.jobs()]
        result = await service.clock.run(client.generate(REQUEST))
        for given in wrong[:2]:
            with pytest.raises(RequestError, match="is no folder"):
                await client.download(result, given)
            with pytest.raises(RequestError, match="is no folder"):
                genbridge.save(result, given)
    assert 1 == len(service.posts)


# Opening and closing.


async def test_a_client_that_is_not_open_says_so() -> None:
    """The sentence says how to open it."""
    with pytest.raises(JournalError, match="async with Client"):
        await Client(Config()).submit(REQUEST)


async def test_a_journal_that_cannot_be_opened_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """And the client is closed again."""
    (tmp_path / "jobs.db").write_bytes(b"no database" * 100)
    service = a_service()
    client = Client(a_config(), journal=tmp_path / "jobs.db", providers={"studio": Studio()}, transport=service)  # type: ignore[arg-type]
    with pytest.raises(JournalError, match=r"jobs\.db"):
        async with client:
            pass
    assert [] == service.calls


async def test_the_journal_is_where_the_configuration_says(tmp_path: Path) -> None:
    """A path in the configuration is used when the caller names none."""
    config = attrs.evolve(a_config(), journal=JournalConfig(path=tmp_path / "deep" / "jobs.db"))
    async with Client(config, providers={"studio": Studio()}):
        pass
    assert (tmp_path / "deep" / "jobs.db").exists()


async def test_closing_waits_for_the_answer_to_a_post_under_way(tmp_path: Path) -> None:
    """The id is on record afterwards."""
    arrived, answer = asyncio.Event(), asyncio.Event()

    class Slow(Service):
        async def send(self, call: Any, origin: Any) -> Any:
            if call.method == "POST":
                arrived.set()
                await answer.wait()
            return await super().send(call, origin)

    service = Slow(submits=[accepted()], polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        submit = asyncio.create_task(client.submit(REQUEST))
        await arrived.wait()
        asyncio.get_running_loop().call_soon(answer.set)
    submit.cancel()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert ["p1"] == [job.provider_id async for job in client.jobs()]


async def test_closing_after_an_error_does_not_wait_long_for_an_answer(tmp_path: Path) -> None:
    """The job is then on record as unknown."""
    arrived = asyncio.Event()

    class Stalled(Service):
        async def send(self, call: Any, origin: Any) -> Any:
            arrived.set()
            await asyncio.Event().wait()

    service = Stalled(submits=[accepted()])

    async def interrupted() -> None:
        async with opened(service, journal=tmp_path / "jobs.db") as client:
            submit = asyncio.create_task(client.submit(REQUEST))
            await arrived.wait()
            submit.cancel()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await service.clock.run(interrupted())
    assert 5.0 == service.clock.elapsed
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        (job,) = [job async for job in client.jobs()]
    assert (JobStatus.UNKNOWN, "the program stopped waiting for the answer") == (job.status, job.failure and job.failure.message)


async def test_a_backend_of_a_route_without_a_key_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """The log says which and why."""
    config = _two_backends()
    config = attrs.evolve(config, backends={**config.backends, "first": attrs.evolve(config.backends["first"], api_key=None)})
    async with opened(a_service(), config=config) as client:
        assert "second" == (await client.submit(REQUEST)).job.backend
    assert any("'first' is passed over" in record.getMessage() for record in caplog.records)


async def test_the_answer_to_a_submit_is_waited_for_as_long_as_configured() -> None:
    """And to a poll as long as ever."""
    service = a_service()
    async with opened(service, config=a_config(submit_timeout=7.0)) as client:
        await service.clock.run(client.generate(REQUEST))
    assert [7.0, None] == [call.timeout for call in service.calls]


async def test_a_broken_package_is_left_out_of_the_sandbox(caplog: pytest.LogCaptureFixture) -> None:
    """The others are there, and the log names the broken one."""
    async with Client.sandbox(providers={"broken": object()}) as client:
        assert {"imini", "meigen", "sseedance"} == set(client.config.backends)
    assert any("broken" in record.getMessage() for record in caplog.records)


# The three services, end to end, over loopback.


@pytest.mark.parametrize("backend", ["meigen", "imini"])
async def test_the_same_video_request_runs_on_either_service(backend: str, tmp_path: Path) -> None:
    """Only the backend's name differs."""
    async with Client.sandbox(speed=1000) as client:
        result = await client.generate(VideoRequest("a fox", model="seedance-2.0", duration=4, resolution="480p"), backend=backend)
        paths = await client.download(result, tmp_path)
    assert b"ftyp" == paths[0].read_bytes()[4:8]


@pytest.mark.parametrize("backend", ["meigen", "imini", "sseedance"])
async def test_the_same_image_request_runs_on_all_three_services(backend: str, tmp_path: Path) -> None:
    """Only the backend's name differs."""
    async with Client.sandbox(speed=1000) as client:
        result = await client.generate(ImageRequest("a fox", model="gpt-image-2"), backend=backend)
        paths = await client.download(result, tmp_path)
    assert b"\x89PNG" == paths[0].read_bytes()[:4]


async def test_the_sandbox_leaves_no_jobs_where_workers_would_pay_for_them() -> None:
    """They drive whatever is left in a database, and know its backends by the same names."""
    with pytest.raises(ConfigError, match="workers of postgresql://somewhere/jobs might send its jobs"):
        await Client.sandbox(journal="postgresql://somewhere/jobs").__aenter__()


async def test_the_sandbox_picks_whichever_service_can() -> None:
    """Without a backend's name, a video goes where videos are made."""
    async with Client.sandbox(speed=1000) as client:
        handle = await client.submit(ImageRequest("a fox", model="gpt-image-1.5"))
        assert handle.job.backend in {"meigen", "sseedance"}
        await handle.result()


async def test_a_result_of_the_sandbox_can_be_continued() -> None:
    """An address of this machine is a public one to a service on this machine."""
    async with Client.sandbox(speed=1000) as client:
        first = await client.generate(VideoRequest("a fox", duration=4, resolution="480p"), backend="meigen")
        reference = genbridge.Reference(first.assets[0].url, role="extend", duration=4)  # type: ignore[arg-type]
        request = VideoRequest("continue: it jumps", duration=5, resolution="480p", references=[reference])
        assert 72 == (await client.quote(request, backend="meigen")).amount
        await client.generate(request, backend="meigen")


# The blocking face.


def test_a_script_generates_and_saves(tmp_path: Path) -> None:
    """The blocking client does what the asynchronous one does."""
    with BlockingClient(Client.sandbox(speed=1000)) as client:
        request = ImageRequest("a hat")
        assert client.quote(request, backend="meigen").amount == 5
        handle = client.submit(request, backend="meigen")
        statuses = [snapshot.status for snapshot in handle.events()]
        result = handle.result(timeout=60)
        assert handle.id == client.handle(handle.id).id == next(client.jobs()).id
        assert (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED) == (statuses[-1], handle.job.status)
        assert handle.expected is not None
        assert [] == client.resume()
        assert client.models("meigen")
        assert client.download(result, tmp_path) == genbridge.save(result, tmp_path)
        handle.cancel()
        assert "sandbox" == client.config.default
    assert 2 == len(list(tmp_path.iterdir()))


async def test_the_blocking_face_works_inside_a_running_loop(tmp_path: Path) -> None:
    """As in a notebook."""
    with BlockingClient(Client.sandbox(speed=1000)) as client:
        assert client.generate(ImageRequest("a hat"), backend="meigen").assets


def test_errors_come_through_the_blocking_face(tmp_path: Path) -> None:
    """And a client that cannot be opened leaves no thread."""
    with pytest.raises(ConfigError, match="no backend is configured"), BlockingClient(journal=None) as client:
        client.generate(ImageRequest("a hat"))
    with pytest.raises(ConfigError, match=r"none\.toml"):
        genbridge.generate(ImageRequest("a hat"), config=tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="IMINI_API_KEY"):
        genbridge.generate(ImageRequest("a hat"), backend="imini")


def test_a_closed_blocking_client_says_so() -> None:
    """And closing again is nothing."""
    client = BlockingClient(Client.sandbox(speed=1000))
    with client:
        pass
    client.close()
    with pytest.raises(JournalError, match="closed"):
        client.generate(ImageRequest("a hat"))


# An id of one's own, and files that are wanted somewhere.


async def test_an_id_is_submitted_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    """By one process at once, one after the other, and by another process."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        first, second = await asyncio.gather(*(client.submit(REQUEST, id="order-17") for _ in range(2)))
        third = await client.submit(REQUEST, id="order-17")
        assert ["order-17"] * 3 == [handle.id for handle in (first, second, third)]
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        result = await service.clock.run((await client.submit(REQUEST, id="order-17")).result())
    assert ("order-17", 1) == (result.job_id, len(service.posts))


async def test_everybody_who_submits_one_id_at_once_is_told_what_is_seen_of_it() -> None:
    """Not only the first, who has it sent."""
    service = a_service()
    told: list[list[Snapshot]] = [[], []]
    async with opened(service) as client:
        await asyncio.gather(*(client.submit(REQUEST, id="order-17", observe=seen.append) for seen in told))
        ends = [seen[-1].status for seen in told]
    assert [JobStatus.QUEUED] * 2 == ends


async def test_an_id_stands_for_one_request_also_at_one_moment() -> None:
    """Whoever comes second with another hears that the id is taken."""
    service = a_service(polls=[running()])
    async with opened(service) as client:
        other = VideoRequest("a hare", duration=5)
        work = (client.submit(request, id="order-17") for request in (REQUEST, other))
        first, second = await asyncio.gather(*work, return_exceptions=True)
    assert isinstance(first, Handle)
    assert isinstance(second, RequestError)
    assert 1 == len(service.posts)


async def test_an_id_that_was_refused_goes_on_to_the_next_backend_and_may_be_sent_anew() -> None:
    """Each try has a record of its own."""
    service = a_service(submits=[said(402), said(402), accepted()])
    config = Config(
        backends={name: BackendConfig(name=name, provider="studio", api_key=Secret(KEY)) for name in ("one", "two")},
        routes={"both": Route(name="both", backends=("one", "two"))},
        default="both",
    )
    async with opened(service, config=config) as client:
        with pytest.raises(ServiceError):
            await client.submit(REQUEST, id="order-17")
        handle = await client.submit(REQUEST, id="order-17")
        found = [(job.id, job.backend, job.status) async for job in client.jobs()]
    assert handle.id == "order-17+3"
    assert [("one", JobStatus.FAILED), ("two", JobStatus.FAILED)] == [(name, status) for _, name, status in found[1:][::-1]]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "../a", "ü", 5])
async def test_an_id_has_letters_and_digits(given: Any) -> None:
    """As it may become part of a file's name."""
    async with opened(a_service()) as client:
        with pytest.raises(RequestError, match="cannot be an id"):
            await client.submit(REQUEST, id=given)


HERE = a_config(base_url="http://127.0.0.1:9")
"""A service on this machine, whose links may lead to this machine."""


class Shelf:
    """A server of files: one link is no longer valid, another is."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_get("/fresh.mp4", self._answer)
        self.server = TestServer(app)
        self.asked = 0

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(body=b"\x00\x00\x00\x18ftypisom" + bytes(64), content_type="video/mp4")

    def done(self, name: str) -> Reply:
        """Return the answer to a poll that names a file here."""
        return done(urls=[str(self.server.make_url(name))])


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    """Return a running server of files."""
    shelf = Shelf()
    async with shelf.server:
        yield shelf


async def test_files_that_were_wanted_are_saved_by_resume(tmp_path: Path, shelf: Shelf) -> None:
    """Also those of a job that has ended, whose process went away before it had saved them."""
    service = a_service(polls=[shelf.done("/fresh.mp4")])
    out = tmp_path / "out"
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        handle = await client.submit(REQUEST, save_to=out)
        await service.clock.run(handle.result())
        assert out == handle.job.save_to
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        (handle,) = await client.resume()
        assert {".mp4", ".json"} == {path.suffix for path in out.iterdir()}
        assert [] == await client.resume()
        assert client.handle(handle.id).job.save_to is None
    assert (1, 1) == (len(service.posts), shelf.asked)


class Stall:
    """A server of files that hands none out before `opened` is set; `busy` is set when sixteen are waited for."""

    def __init__(self) -> None:
        self.waiting = 0
        self.busy, self.opened = asyncio.Event(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/{name}.mp4", self._answer)
        self.server = TestServer(app)

    async def _answer(self, _: web.Request) -> web.Response:
        self.waiting += 1
        if self.waiting == 16:
            self.busy.set()
        await self.opened.wait()
        return web.Response(body=b"\x00\x00\x00\x18ftypisom" + bytes(64), content_type="video/mp4")


async def test_files_of_sixteen_jobs_are_saved_at_the_same_time_and_of_no_more(tmp_path: Path, shelf: Shelf) -> None:
    """The next ones do not even make their folder before the files of another job are there."""
    stall = Stall()
    service = a_service(polls=[shelf.done("/fresh.mp4")])
    out = tmp_path / "out"
    async with stall.server, opened(service, config=HERE) as client, opened(service, config=HERE) as other:
        result = await service.clock.run(client.generate(REQUEST))
        assets = (attrs.evolve(result.assets[0], url=str(stall.server.make_url("/a.mp4"))),)
        results = [attrs.evolve(result, job_id=f"job{number}", assets=assets) for number in range(20)]
        saving = asyncio.gather(*(client.download(each, out / each.job_id) for each in results))
        await stall.busy.wait()
        await other.download(result, tmp_path)  # by the end of which those begun before have come as far as they can
        begun = stall.waiting, len([*out.iterdir()])
        stall.opened.set()
        assert 20 == len(await saving)
    assert (16, 16) == begun


async def test_files_that_cannot_be_saved_stay_wanted(tmp_path: Path, caplog: pytest.LogCaptureFixture, shelf: Shelf) -> None:
    """The job is done all the same, and the log says what to mend."""
    service = a_service(polls=[shelf.done("/gone.mp4")])
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        await service.clock.run((await client.submit(REQUEST, save_to=tmp_path / "out")).result())
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        (handle,) = await client.resume()
        assert JobStatus.SUCCEEDED is handle.job.status
        assert [handle.id] == [each.id for each in await client.resume()]
    assert any("its files are not saved" in record.getMessage() for record in caplog.records)


async def test_a_link_that_is_no_longer_valid_is_asked_for_anew(tmp_path: Path, shelf: Shelf) -> None:
    """And the fresh one goes on record."""
    service = a_service(polls=[shelf.done("/gone.mp4"), shelf.done("/fresh.mp4")])
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        result = await service.clock.run(client.generate(REQUEST))
        paths = await client.download(result, tmp_path / "out")
        assert [".mp4"] == [path.suffix for path in paths]
        kept = await client.handle(result.job_id).result()
    assert kept.assets[0].url.endswith("/fresh.mp4")


@pytest.mark.parametrize("polls", [[said(404)], [said(500)], [running()]])
async def test_a_link_that_the_service_cannot_renew_is_a_download_error(tmp_path: Path, polls: list[Reply], shelf: Shelf) -> None:
    """Whatever it says instead."""
    service = a_service(polls=[shelf.done("/gone.mp4"), *polls])
    async with opened(service, config=HERE, journal=tmp_path / "jobs.db") as client:
        result = await service.clock.run(client.generate(REQUEST))
        with pytest.raises(DownloadError, match="no longer valid") as caught:
            await service.clock.run(client.download(result, tmp_path / "out"))
    assert caught.value.expired


async def test_a_service_elsewhere_may_not_send_a_download_to_this_machine(tmp_path: Path, shelf: Shelf) -> None:
    """Nor may one that is not configured any more."""
    service = a_service(polls=[shelf.done("/fresh.mp4")])
    async with opened(service) as client:
        result = await service.clock.run(client.generate(REQUEST))
        for each in (result, attrs.evolve(result, backend="gone")):
            with pytest.raises(DownloadError, match="it leads to this machine"):
                await client.download(each, tmp_path / "out")
    assert 0 == shelf.asked


async def test_an_observer_that_fails_stops_no_job(caplog: pytest.LogCaptureFixture) -> None:
    """It is told no more, and the log says why: the job may be paid for."""
    service, told = a_service(), []

    def observe(snapshot: Snapshot) -> None:
        told.append(snapshot)
        raise BrokenPipeError

    async with opened(service) as client:
        handle = await client.submit(REQUEST, observe=observe)
        assert 1 == len((await service.clock.run(handle.result())).assets)
    assert (1, 1) == (len(told), len(service.posts))
    assert any("whoever observes it has failed" in record.getMessage() for record in caplog.records)


async def test_what_a_job_waits_for_is_told_to_whoever_observes() -> None:
    """Before it is accepted."""
    service = a_service(submits=[said(429, retry_after="9"), accepted()])
    notes: list[str | None] = []
    async with opened(service) as client:
        await service.clock.run(client.submit(REQUEST, observe=lambda snapshot: notes.append(snapshot.note)))
    assert ["waiting 9 s"] == [note.partition(":")[0] for note in notes if note]


def test_a_blocking_handle_settles_a_doubt() -> None:
    """In either way."""
    service = a_service(submits=[LOST], polls=[done()])
    client = Client(a_config(), journal=None, providers={"studio": Studio()}, transport=service)  # type: ignore[arg-type]
    with BlockingClient(client) as blocking:
        for number in range(2):
            with pytest.raises(SubmitUnknownError):
                blocking.submit(REQUEST, id=f"order-{number}")
        assert JobStatus.FAILED is blocking.handle("order-0").not_sent().status
        handle = blocking.handle("order-1")
        handle.adopt("p1")
        assert 1 == len(handle.result().assets)


# Secrets.


async def test_a_service_that_repeats_the_key_is_not_quoted_on_it(tmp_path: Path) -> None:
    """Not in an error, not in the journal."""
    told = Reply.of({"id": "p1", "status": "running", "note": f"key {KEY} is odd"}, headers={"x-odd": KEY})
    service = a_service(submits=[told], polls=[told, done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handle = await client.submit(REQUEST)
        assert "key *** is odd" == (await anext(handle.events())).note
        await service.clock.run(handle.result())
    assert not [data for data in _contents(tmp_path) if KEY.encode() in data]


async def test_the_key_is_nowhere_but_in_the_header(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the log, an error, a repr, the journal or any file."""
    caplog.set_level(logging.DEBUG)
    service = a_service(submits=[accepted(), LOST, said(401), said(500)], polls=[said(401), LOST, done()])
    told: list[str] = []
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        for _ in range(4):
            try:
                handle = await service.clock.run(client.submit(REQUEST))
                result = await service.clock.run(handle.result())
                told += [repr(handle), repr(handle.job), repr(result), result._repr_html_()]
            except GenbridgeError as error:
                told += traceback.format_exception(error)
        told += [repr(client), repr(client.config), repr(client._accounts["main"].backend)]
    told += [record.getMessage() + repr(record.args) for record in caplog.records]
    files = _contents(tmp_path)
    assert {f"Bearer {KEY}"} == set(service.keys)
    assert not [text for text in told if KEY in text]
    assert files
    assert not [data for data in files if KEY.encode() in data]


def _contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]

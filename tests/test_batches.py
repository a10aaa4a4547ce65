"""Many requests as one: checked before the first is sent, and each paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio import (
    KEY,
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
    left_unsent,
    opened,
    running,
    said,
)

import genbridge
from genbridge import (
    Backend,
    BackendConfig,
    BlockingClient,
    BlockingHandle,
    BudgetError,
    Call,
    Certainty,
    Client,
    Config,
    Handle,
    ImageRequest,
    InsufficientCreditsError,
    JobFailedError,
    JobStatus,
    Model,
    Price,
    Quote,
    Reply,
    RequestError,
    Route,
    Secret,
    Snapshot,
    SubmitUnknownError,
    TransportError,
    Verdict,
    VideoRequest,
    hookimpl,
)
from genbridge.batches import Batch, Entry, stable_ids
from genbridge.budgets import Budget
from genbridge.transport import Origin

THREE = [VideoRequest(f"a fox {number}", duration=5) for number in range(3)]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Return a client of a service that makes everything."""
    async with opened(a_service()) as client:
        yield client


async def test_nothing_is_sent_before_the_batch_is_run() -> None:
    """It is checked and priced: one sum for each unit."""
    service = a_service()
    async with opened(service) as client:
        batch = await client.batch(THREE)
    assert [50.0, 50.0, 50.0] == [entry.quote and entry.quote.amount for entry in batch.entries]
    assert (Quote(amount=150.0, certainty=Certainty.EXACT, basis="3 jobs", backend="main"),) == batch.totals
    assert [] == service.calls


async def test_every_mistake_of_every_request_is_told_at_once(client: Client) -> None:
    """With the request's place; nothing is sent."""
    requests = [REQUEST, VideoRequest("", duration=99), VideoRequest("a fox", model="clib", duration=5)]
    with pytest.raises(RequestError, match="the batch has 3 mistakes; nothing was sent") as caught:
        await client.batch(requests)
    assert ["requests[1].prompt", "requests[1].duration", "requests[2].model"] == sorted(
        (problem.field for problem in caught.value.problems), key=lambda field: (field[:11], field != "requests[1].prompt")
    )


async def test_what_is_no_request_is_a_mistake_too(client: Client) -> None:
    """Like any other."""
    wrong: list[Any] = ["a fox", VideoRequest("a fox", options={"a": {1, 2}})]
    with pytest.raises(RequestError) as caught:
        await client.batch([REQUEST, *wrong])
    assert ["requests[1]", "requests[2].options.a"] == [problem.field for problem in caught.value.problems]


async def test_each_outcome_is_that_of_its_request(client: Client) -> None:
    """In the order of the requests."""
    outcomes = await client._clock.run(client.generate_many(THREE))  # type: ignore[attr-defined]
    assert THREE == [outcome.result and outcome.result.request for outcome in outcomes]
    assert [0, 1, 2] == [outcome.entry.index for outcome in outcomes]
    assert {JobStatus.SUCCEEDED} == {outcome.job and outcome.job.status for outcome in outcomes}


async def test_the_same_batch_run_again_pays_for_nothing_again(tmp_path: Path) -> None:
    """Its jobs are on record; a request that was added is sent."""
    service = a_service()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        first = await service.clock.run(client.generate_many(THREE, name="foxes"))
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        more = [THREE[2], REQUEST, *THREE[:2]]
        batch = await client.batch(more, name="foxes")
        assert [False, True, False, False] == [entry.job is None for entry in batch.entries]
        assert (50.0,) == tuple(total.amount for total in batch.totals)
        second = await service.clock.run(batch.run())
    assert 4 == len(service.posts)
    assert [first[2].result, first[0].result, first[1].result] == [second[0].result, second[2].result, second[3].result]


async def test_another_name_makes_everything_anew() -> None:
    """As two pictures of one prompt may be wanted."""
    service = a_service()
    async with opened(service) as client:
        await service.clock.run(client.generate_many(THREE, name="foxes"))
        await service.clock.run(client.generate_many(THREE, name="more foxes"))
    assert 6 == len(service.posts)


async def test_equal_requests_are_made_as_often_as_they_stand_there() -> None:
    """The first is another than the second."""
    service = a_service()
    async with opened(service) as client:
        await service.clock.run(client.generate_many([REQUEST, REQUEST]))
        await service.clock.run(client.generate_many([REQUEST, REQUEST, REQUEST]))
    assert 3 == len(service.posts)


async def test_an_id_of_ones_own_says_what_is_the_same() -> None:
    """Wherever it stands; with another request under it, nothing is sent."""
    service = a_service()
    async with opened(service) as client:
        await service.clock.run(client.generate_many(THREE, ids=["a", "b", None]))
        await service.clock.run(client.generate_many([THREE[1], THREE[0]], ids=["b", "a"]))
        with pytest.raises(RequestError, match=r"requests\[0\].id: job \w+ on record has this id and another request"):
            await client.batch([THREE[1]], ids=["a"])
    assert 3 == len(service.posts)


async def test_an_id_stands_for_one_request_of_a_batch(client: Client) -> None:
    """Given twice, it is a mistake; and there is one for each request or none at all."""
    with pytest.raises(RequestError, match=r"requests\[2\].id: another request of the batch has it too"):
        await client.batch(THREE, ids=["a", "b", "a"])
    with pytest.raises(RequestError, match="there are 3 requests, 1 ids and 3 backends"):
        await client.batch(THREE, ids=["a"])


async def test_what_was_refused_is_sent_anew_and_what_failed_only_when_asked() -> None:
    """A refusal pays nothing; a failure may have."""
    service = a_service(submits=[said(400), accepted(), accepted()], polls=[Reply.of({"id": "p1", "status": "failed"})])
    async with opened(service) as client:
        refused, failed = await service.clock.run(client.generate_many(THREE[:2]))
        assert ("ServiceError", "JobFailedError") == (type(refused.error).__mro__[1].__name__, type(failed.error).__name__)
        batch = await client.batch(THREE[:2])
        assert [True, False] == [entry.job is None for entry in batch.entries]
        service.polls.clear()
        service.polls.append(done())
        again = await service.clock.run(batch.run())
        assert 3 == len(service.posts)
        assert isinstance(again[1].error, JobFailedError)
        last = await service.clock.run(client.generate_many(THREE[:2], retry_failed=True))
    assert 4 == len(service.posts)
    assert [None, None] == [outcome.error for outcome in last]
    assert [f"{batch.entries[0].id}+2", f"{batch.entries[1].id}+2"] == [outcome.job and outcome.job.id for outcome in last]


async def test_what_is_in_doubt_is_never_sent_again() -> None:
    """However often the batch is run, and also when what failed is to be sent again."""
    service = a_service(submits=[LOST, accepted()])
    async with opened(service) as client:
        for retry_failed in (False, True):
            (outcome,) = await service.clock.run(client.generate_many([REQUEST], retry_failed=retry_failed))
            assert isinstance(outcome.error, SubmitUnknownError)
            assert outcome.job is not None
            assert outcome.job.status is JobStatus.UNKNOWN
    assert 1 == len(service.posts)


async def test_a_batch_stops_sending_to_a_service_that_leaves_everything_in_doubt() -> None:
    """After three in a row; the rest is not sent, and goes when the batch is run again."""
    service = a_service(submits=[accepted(), LOST, accepted(), LOST, LOST, LOST, accepted()])
    requests = [VideoRequest(f"a fox {number}", duration=5) for number in range(10)]
    async with opened(service) as client:
        outcomes = await service.clock.run(client.generate_many(requests))
        assert 6 == len(service.posts)
        unsent = [outcome for outcome in outcomes if isinstance(outcome.error, TransportError)]
        assert [(None, Verdict.NOT_SENT)] * 4 == [(outcome.job, outcome.error.verdict) for outcome in unsent if outcome.error]
        assert 4 == sum(isinstance(outcome.error, SubmitUnknownError) for outcome in outcomes)
        again = await service.clock.run(client.generate_many(requests))
    assert 10 == len(service.posts)
    assert 4 == sum(outcome.error is not None for outcome in again)


async def test_a_batch_stops_sending_what_was_recorded_and_never_sent_too(tmp_path: Path) -> None:
    """After three in a row in doubt; the rest stays on record as it was, to be sent when the batch is run again."""
    requests = [VideoRequest(f"a fox {number}", duration=5) for number in range(6)]
    service = a_service(submits=[said(429, retry_after="60"), LOST])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        batch = await client.batch(requests)
        work = asyncio.gather(*(client.submit(each.request, id=each.id) for each in batch.entries), return_exceptions=True)
        while len(await client.unsent()) < len(requests):  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0)
    await work
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        batch = await client.batch(requests)
        assert [JobStatus.PENDING] * 6 == [entry.job and entry.job.status for entry in batch.entries]
        outcomes = await service.clock.run(batch.run())
        assert 3 == sum(isinstance(outcome.error, SubmitUnknownError) for outcome in outcomes)
        assert 3 == sum(isinstance(outcome.error, TransportError) for outcome in outcomes)
        assert 3 == len(await client.unsent())
    assert 1 + 3 == len(service.posts)


async def test_what_was_said_never_to_have_been_sent_is_sent_anew() -> None:
    """Somebody has looked at the service."""
    service = a_service(submits=[LOST, accepted()])
    async with opened(service) as client:
        (outcome,) = await service.clock.run(client.generate_many([REQUEST]))
        assert outcome.job is not None
        await client.handle(outcome.job.id).not_sent()
        (again,) = await service.clock.run(client.generate_many([REQUEST]))
    assert again.error is None
    assert 2 == len(service.posts)


async def test_one_that_fails_stops_no_other() -> None:
    """Its error is in its outcome."""
    service = a_service(submits=[accepted(), said(402), accepted()])
    async with opened(service) as client:
        outcomes = await service.clock.run(client.generate_many(THREE))
    assert [True, False, True] == [outcome.error is None for outcome in outcomes]
    assert outcomes[1].job is not None
    assert outcomes[1].job.status is JobStatus.FAILED


@pytest.mark.parametrize(
    ("terms", "budget", "words"),
    [
        ({"max_total": 149}, Budget(), r"on backend 'main' it would cost 150 credits \(3 jobs\), the most for the batch is 149"),
        (
            {"max_cost": 49},
            Budget(),
            r"3 of the batch cost more than one job may; nothing was sent\n  requests\[0\]: it would cost 50",
        ),
        ({}, Budget(per_job=49), r"requests\[2\]: it would cost 50 credits, the most for one job is 49"),
        ({}, Budget(per_day=149), r"has room for 2 of the 3 jobs under its caps \(used: 0 of 149 credits today"),
        ({}, Budget(total=149), r"has room for 2 of the 3 jobs under its caps \(used: 0 of 149 credits in all"),
        ({}, Budget(jobs_per_day=2), r"has room for 2 of the 3 jobs under its caps \(used: 0 of 2 jobs today"),
        ({}, Budget(jobs=2), r"has room for 2 of the 3 jobs under its caps \(used: 0 of 2 jobs in all"),
    ],
)
async def test_a_batch_that_is_too_dear_as_a_whole_sends_nothing(terms: dict[str, Any], budget: Budget, words: str) -> None:
    """No job of it is recorded either."""
    service = a_service()
    async with opened(service, config=a_config(budget=budget)) as client:
        with pytest.raises(BudgetError, match=words):
            await client.batch(THREE, **terms)
        assert [] == [job async for job in client.jobs()]
    assert [] == service.calls


async def test_what_was_recorded_and_never_sent_is_part_of_what_a_batch_costs(tmp_path: Path) -> None:
    """As running it sends that too: it is in the total, and held to the caller's caps; for those of the account it counts once."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await left_unsent(client.generate_many(THREE[:1]), service, client)
    async with opened(service, config=a_config(budget=Budget(total=100)), journal=tmp_path / "jobs.db") as client:
        for terms in ({"max_total": 99}, {"max_cost": 49}):
            with pytest.raises(BudgetError, match="nothing was sent"):
                await client.batch(THREE[:2], **terms)
        batch = await client.batch(THREE[:2], max_total=100)
        assert ("<Batch of 2: 2 to send>", [100.0]) == (repr(batch), [total.amount for total in batch.totals])
        assert 1 == len(service.posts)
        assert [None, None] == [outcome.error for outcome in await service.clock.run(batch.run())]
    assert 3 == len(service.posts)


async def test_what_was_never_sent_to_a_backend_that_is_gone_stops_no_batch(tmp_path: Path) -> None:
    """Its outcome says which is missing."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    spare = {"spare": attrs.evolve(a_config().backends["main"], name="spare")}
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await left_unsent(client.generate_many(THREE[:1]), service, client)
    async with opened(service, config=Config(backends=spare), journal=tmp_path / "jobs.db") as client:
        first, second = await service.clock.run(client.generate_many(THREE[:2]))
    assert isinstance(first.error, genbridge.ConfigError)
    assert second.error is None


async def test_fractions_that_add_up_to_what_may_be_spent_are_spent() -> None:
    """Three tenths of a credit are no more than 0.3, though they are in binary."""
    service = a_service()
    async with opened(service, studio=Studio(price=0.1)) as client:
        requests = [VideoRequest("a fox", duration=3), *(VideoRequest(f"a hat {number}", duration=1) for number in range(3))]
        batch = await client.batch(requests, max_cost=0.3, max_total=0.6)
        outcomes = await service.clock.run(batch.run())
        assert [None] * 4 == [outcome.error for outcome in outcomes]
        with pytest.raises(BudgetError, match=r"it would cost 0.6 credits .*, the most for the batch is 0.59"):
            await client.batch(requests, name="again", max_total=0.59)
    assert 4 == len(service.posts)


async def test_a_total_with_an_unknown_price_is_unknown() -> None:
    """And keeps to no cap."""
    async with opened(a_service()) as client:
        batch = await client.batch([ImageRequest("a hat"), REQUEST])
        assert ((None, "2 jobs, 1 without a price"),) == tuple((total.amount, total.basis) for total in batch.totals)
        with pytest.raises(BudgetError, match="it would cost unknown cost"):
            await client.batch([ImageRequest("a hat"), REQUEST], max_total=1000)


async def test_no_backend_of_a_route_is_asked_that_is_dearer_than_what_was_agreed_to() -> None:
    """What somebody saw was the price of the first."""
    service = a_service(submits=[said(402)])
    config = Config(
        backends={
            "cheap": BackendConfig(name="cheap", provider="studio", api_key=Secret(KEY)),
            "dear": BackendConfig(name="dear", provider="dear", api_key=Secret(KEY)),
        },
        routes={"both": Route(name="both", backends=("cheap", "dear"))},
    )
    providers = {"studio": Studio(), "dear": Studio("dear", price=11.0)}
    client = Client(config, journal=InlineJournal(None), providers=providers, clock=service.clock, transport=service)  # type: ignore[arg-type]
    async with client:
        (outcome,) = await service.clock.run(client.generate_many([REQUEST], backend="both"))
        assert isinstance(outcome.error, InsufficientCreditsError)
        with pytest.raises(InsufficientCreditsError):
            await service.clock.run(client.submit(REQUEST, backend="both"))
    assert 3 == len(service.posts)


class Rising(Studio):
    """A service whose live prices are a fifth of those that its plugin knows, which count again when the list is old."""

    def __init__(self) -> None:
        super().__init__()
        self.provider = attrs.evolve(self.provider, catalogue_ttl=60.0)

    @hookimpl
    def models(self, backend: Backend) -> Call:
        return Call.get("/models")

    @hookimpl
    def catalogue(self, backend: Backend, reply: Reply) -> tuple[Model, ...]:
        return tuple(attrs.evolve(model, prices=(Price(amount=2.0, per="second"),)) for model in self.provider.models)


async def test_a_price_that_rises_before_the_batch_is_run_is_not_paid() -> None:
    """Nobody agreed to it; made anew, the batch has the new price."""
    service = a_service()
    async with opened(service, studio=Rising()) as client:
        await client.models()
        batch = await client.batch(THREE, max_total=30)
        assert [30.0] == [total.amount for total in batch.totals]
        service.clock.advance(61)
        outcomes = await service.clock.run(batch.run())
        words = "it would cost 50 credits, and not the 10 that was agreed to; nothing was sent. Ask for the price anew"
        assert [words] * 3 == [isinstance(outcome.error, BudgetError) and str(outcome.error) for outcome in outcomes]
        assert [] == service.posts
        assert [None] * 3 == [outcome.error for outcome in await service.clock.run(client.generate_many(THREE))]


async def test_what_another_process_recorded_dearer_meanwhile_is_not_sent_either(tmp_path: Path) -> None:
    """Under the same id: it is on record and was never sent, and running the batch would send it."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client, opened(service, journal=tmp_path / "jobs.db") as other:
        batch = await client.batch([REQUEST])
        cheap = attrs.evolve(batch.entries[0], quote=Quote(amount=49.0, backend="main"))
        await left_unsent(other.generate_many([REQUEST]), service, other)
        (outcome,) = await service.clock.run(Batch(client, [cheap], max_cost=None, retry_failed=False).run())
    assert isinstance(outcome.error, BudgetError)
    assert 1 == len(service.posts)


@pytest.mark.parametrize("dropped", [False, True])
async def test_what_was_recorded_and_never_sent_is_not_paid_for_at_a_price_that_has_risen(dropped: bool, tmp_path: Path) -> None:
    """It is sent at its quote on record, and not at all where somebody drops it meanwhile and it would be made anew for more."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, studio=Rising(), journal=tmp_path / "jobs.db") as client:
        await client.models()
        await left_unsent(client.generate_many([REQUEST]), service, client)
    async with opened(service, studio=Rising(), journal=tmp_path / "jobs.db") as client:
        assert 50.0 == (await client.quote(REQUEST)).amount
        batch = await client.batch([REQUEST], max_total=10)
        assert [10.0] == [total.amount for total in batch.totals]
        if dropped:
            await client.handle(batch.entries[0].id).cancel()
        (outcome,) = await service.clock.run(batch.run())
    if dropped:
        assert isinstance(outcome.error, BudgetError)
        assert "it would cost 50 credits, and not the 10 that was agreed to" in str(outcome.error)
    else:
        assert (None, 10.0) == (outcome.error, outcome.job and outcome.job.quote.amount)
    assert (1 if dropped else 2) == len(service.posts)


async def test_a_batch_into_a_folder_that_cannot_be_put_on_record_sends_nothing() -> None:
    """It is one mistake, and none of each job."""
    service = a_service()
    async with opened(service) as client:
        with pytest.raises(RequestError, match="cannot be put on record; nothing was sent"):
            await client.generate_many(THREE, directory="out\udcff")
        assert [] == [job async for job in client.jobs()]
    assert [] == service.calls


@pytest.mark.parametrize("most", [float("nan"), -1, "6", True])
async def test_the_most_for_a_batch_is_a_number(client: Client, most: Any) -> None:
    """Nothing that no sum exceeds."""
    with pytest.raises(RequestError, match="max_total"):
        await client.batch([REQUEST], max_total=most)


async def test_credits_of_two_services_are_never_added_together() -> None:
    """Each has a sum of its own, and the most for the batch holds for each."""
    backends = {name: BackendConfig(name=name, provider="studio", api_key=Secret(KEY)) for name in ("one", "two")}
    async with opened(a_service(), config=Config(backends=backends)) as client:
        batch = await client.batch(THREE, backend=["one", "two", "one"], max_total=100)
        assert [("one", 100.0), ("two", 50.0)] == [(total.backend, total.amount) for total in batch.totals]
        with pytest.raises(BudgetError, match="on backend 'one' it would cost 100 credits"):
            await client.batch(THREE, backend=["one", "two", "one"], max_total=99)


async def test_whoever_observes_hears_of_every_state_of_every_job() -> None:
    """From the intent to the end, and what a job waits for."""
    service = a_service(submits=[said(429, retry_after="7"), accepted()], polls=[*[running()] * 4, done()])
    seen: list[tuple[int, Snapshot]] = []

    def observe(entry: Entry, snapshot: Snapshot) -> None:
        seen.append((entry.index, snapshot))

    async with opened(service) as client:
        batch = await client.batch(THREE[:2])
        await service.clock.run(batch.run(observe=observe))
    for index in (0, 1):
        states = [snapshot.status for place, snapshot in seen if place == index]
        assert JobStatus.SUCCEEDED is states[-1]
        assert {JobStatus.SUBMITTING, JobStatus.RUNNING} <= set(states)
    assert any("waiting 7 s" in (snapshot.note or "") for _, snapshot in seen)


async def test_a_job_on_record_is_observed_too(tmp_path: Path) -> None:
    """What is known of it is told at once."""
    service = a_service()
    seen: list[JobStatus] = []
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.generate_many([REQUEST]))
        batch = await client.batch([REQUEST])
        await service.clock.run(batch.run(observe=lambda _, snapshot: seen.append(snapshot.status)))
    assert [JobStatus.SUCCEEDED] == seen


async def test_a_batch_may_go_to_several_backends(tmp_path: Path) -> None:
    """One for each request, or one for all."""
    with pytest.raises(genbridge.ConfigError, match="no backend or route 'spare'"):
        async with opened(a_service()) as client:
            await client.batch(THREE[:2], backend=["main", "spare"])


async def test_two_processes_that_run_one_batch_pay_for_it_once(tmp_path: Path) -> None:
    """Each job is driven by one of them, and both have the results."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as other:
        both = asyncio.gather(one.generate_many(THREE), other.generate_many(THREE))
        for outcomes in await service.clock.run(both):
            assert [None] * 3 == [outcome.error for outcome in outcomes]
    assert 3 == len(service.posts)


async def test_two_processes_that_submit_one_id_at_the_same_moment_pay_once(tmp_path: Path) -> None:
    """Whatever of the other's steps falls between two of one's own."""
    service = a_service(polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as other:
        for number in range(20):
            work = asyncio.gather(*(client.submit(REQUEST, id=f"order-{number}") for client in (one, other)))
            assert {f"order-{number}"} == {handle.id for handle in await service.clock.run(work)}
    assert 20 == len(service.posts)


@attrs.define
class Slow(Service):
    """A service whose answers to submits take many turns of the loop, and which counts how many are without one."""

    under_way: int = 0
    most: int = 0

    async def send(self, call: Call, origin: Origin) -> Reply:
        self.under_way += call.method == "POST"
        self.most = max(self.most, self.under_way)
        for _ in range(80):
            await asyncio.sleep(0)
        self.under_way -= call.method == "POST"
        return await super().send(call, origin)


@pytest.mark.parametrize(("studio", "at_once"), [(Studio(), 1), (KeyedStudio(), 3)])
async def test_a_batch_has_one_post_under_way_where_nobody_can_be_asked_what_became_of_it(studio: Studio, at_once: int) -> None:
    """So that a kill leaves one in doubt at the most."""
    service = Slow(submits=[accepted()], polls=[done()])
    async with opened(service, studio=studio) as client:
        await service.clock.run(client.generate_many(THREE))
    assert (at_once, 3) == (service.most, len(service.posts))


async def test_a_key_made_of_an_id_is_the_same_without_the_record() -> None:
    """So a service that honours keys makes nothing twice, even where the journal was lost."""
    keys = []
    for _ in range(2):
        service = a_service()
        async with opened(service, studio=KeyedStudio()) as client:
            await service.clock.run(client.generate_many([REQUEST], name="foxes"))
        keys += [call.json and call.json["key"] for call in service.posts]
    assert keys[0] == keys[1]


def test_the_blocking_client_makes_many_too() -> None:
    """And says what was spent."""
    service = a_service()
    client = Client(a_config(), journal=None, providers={"studio": Studio()}, transport=service)  # type: ignore[arg-type]
    with BlockingClient(client) as blocking:
        batch = blocking.batch([REQUEST], max_total=50)
        blocking.check_caps(batch.totals)
        assert ("<Blocking <Batch of 1: 1 to send>>", 50.0) == (repr(batch), batch.totals[0].amount)
        (outcome,) = batch.run()
        (again,) = blocking.generate_many([REQUEST])
        (spent,) = blocking.spend()
        assert (1, []) == (blocking.usage("main").today.jobs, blocking.unsent())
    assert (outcome.error, batch.entries[0]) == (None, outcome.entry)
    assert outcome.result == again.result
    assert (1, 50.0) == (spent.jobs, spent.charged)


@pytest.mark.parametrize(("kind", "blocking"), [(Client, BlockingClient), (Handle, BlockingHandle)])
def test_the_blocking_face_offers_what_the_other_does(kind: type, blocking: type) -> None:
    """Every public method and property, but for how it is opened and closed."""
    own = {"aclose", "sandbox", "close"}
    assert {name for name in dir(kind) if name[0] != "_"} - own == {name for name in dir(blocking) if name[0] != "_"} - own


@given(st.permutations(range(5)), st.text(max_size=5))
def test_an_id_does_not_depend_on_where_a_request_stands(order: list[int], name: str) -> None:
    """All are different, and the same in any order."""
    requests = [VideoRequest("a fox"), VideoRequest("a fox", duration=5), ImageRequest("a fox"), VideoRequest("A fox"), REQUEST]
    ids = list(stable_ids(name, requests, [None] * 5))
    assert 5 == len(set(ids))
    assert [ids[place] for place in order] == list(stable_ids(name, [requests[place] for place in order], [None] * 5))


@pytest.mark.parametrize("again", ["run", "resume"])
async def test_what_was_recorded_and_never_sent_is_sent_one_after_the_other_too(again: str, tmp_path: Path) -> None:
    """So that killing a batch for the second time leaves one more in doubt, and not all that the first kill left unsent."""
    service = Slow(submits=[accepted()], polls=[done()])
    async with opened(service, config=a_config(submits_per_minute=1), journal=tmp_path / "jobs.db") as client:
        batch = asyncio.gather(
            *(client.submit(each.request, id=each.id) for each in (await client.batch(THREE)).entries), return_exceptions=True
        )
        while not service.posts:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0)
    await batch
    service.most = 0
    async with opened(service, config=a_config(submits_per_minute=100), journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.generate_many(THREE) if again == "run" else client.resume())
    assert (1, 3) == (service.most, len(service.posts))


async def test_jobs_that_could_be_in_doubt_are_posted_one_at_a_time() -> None:
    """Whatever ends the process leaves one in doubt at the most, also where they are for several models."""
    under_way: list[int] = [0]

    class Counting(Service):
        async def send(self, call: Call, origin: Origin) -> Reply:
            under_way.append(under_way[-1] + (call.method == "POST"))
            for _ in range(50):
                await asyncio.sleep(0)
            under_way.append(under_way[-1] - (call.method == "POST"))
            return await super().send(call, origin)

    service = Counting(submits=[accepted()], polls=[done()])
    async with opened(service) as client:
        batch = await client.batch([REQUEST, ImageRequest("a hat")])
        await service.clock.run(batch.run())
    assert (2, 1) == (len(service.posts), max(under_way))

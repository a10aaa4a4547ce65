"""The scheduler submits once, follows what was paid for to its end, and says what it does not know."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from studio import (
    KEY,
    LOST,
    REFUSED_CONNECTION,
    REQUEST,
    Answer,
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
    pending,
    refused_once,
    running,
    said,
)

from genbridge import (
    Backend,
    BackendConfig,
    BudgetError,
    Call,
    CancelUnsupportedError,
    Client,
    Config,
    ConfigError,
    Cost,
    File,
    GenbridgeError,
    Handle,
    ImageRequest,
    Job,
    JobCancelledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobStatus,
    JobTimeoutError,
    JournalError,
    Limits,
    RateLimitError,
    Reference,
    ReferenceRole,
    ReferenceRule,
    Reply,
    RequestError,
    Secret,
    ServiceError,
    SubmitUnknownError,
    TransportError,
    Verdict,
    hookimpl,
)
from genbridge.budgets import Budget, Used
from genbridge.config import PollConfig
from genbridge.durations import Lesson
from genbridge.journal import Attempt, Lease
from genbridge.limits import Rule
from genbridge.transport import Origin

# The submit.


async def test_a_result_comes_from_one_submit() -> None:
    """The ordinary path: one POST with the provider's model and the job's own key, then polls until it is done."""
    service = a_service(polls=[running(), done(cost=48)])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        result = await service.clock.run(handle.result())
    assert ["https://files.example/1.mp4"] == [asset.url for asset in result]
    assert [{"prompt": "a fox in the snow", "model": "clip-1", "key": handle.job.key}] == [call.json for call in service.posts]
    assert Cost(amount=48) == result.cost
    assert ("main", "studio", "clip") == (result.backend, result.provider, result.model)


async def test_the_intent_is_on_record_before_the_post_and_the_id_before_the_first_poll(tmp_path: Path) -> None:
    """Whoever looks into the journal at those moments finds what is needed to recover."""
    seen: list[tuple[JobStatus, str | None]] = []

    def look(reply: Reply) -> Callable[[Call], Reply]:
        def answer(_: Call) -> Reply:
            job = client._record.peek("")
            assert job is not None
            seen.append((job.status, job.provider_id))
            return reply

        return answer

    service = a_service(submits=[look(accepted())], polls=[look(done())])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.generate(REQUEST))
    assert [(JobStatus.SUBMITTING, None), (JobStatus.QUEUED, "p1")] == seen


async def test_a_submit_that_never_left_is_tried_again() -> None:
    """A refused connection costs nothing, so it is tried again after a moment, with the same key."""
    service = a_service(submits=[REFUSED_CONNECTION, REFUSED_CONNECTION, accepted()])
    async with opened(service) as client:
        await service.clock.run(client.generate(REQUEST))
    assert 3 == len(service.posts)
    assert 1 == len({call.json["key"] for call in service.posts})
    assert [0.0, 0.5, 1.5] == service.times[:3]


async def test_a_service_that_cannot_be_reached_is_an_error_and_costs_nothing() -> None:
    """After a few tries the job is on record as failed, free of charge, and its reservation is gone."""
    service = a_service(submits=[REFUSED_CONNECTION])
    config = a_config(budget=Budget(per_day=50))
    async with opened(service, config=config) as client:
        with pytest.raises(TransportError, match="backend 'main': no connection") as caught:
            await service.clock.run(client.submit(REQUEST))
        job = await anext(client.jobs())
        service.submits = deque([accepted()])
        await service.clock.run(client.generate(REQUEST))
    assert Verdict.NOT_SENT is caught.value.verdict
    assert (JobStatus.FAILED, 0) == (job.status, job.cost and job.cost.amount)


async def test_too_many_requests_waits_as_long_as_the_service_says() -> None:
    """The same job is sent again after `Retry-After`, and until then no other of that backend is."""
    service = a_service(submits=[said(429, retry_after="40"), accepted()])
    async with opened(service) as client:
        first = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
        await service.clock.run(asyncio.gather(first, client.submit(REQUEST)))
    assert [0.0, 40.0, 40.0] == [at for call, at in service.sent if call.method == "POST"]


async def test_too_many_requests_for_ever_is_an_error_after_the_patience() -> None:
    """A submit does not wait for ever."""
    service = a_service(submits=[said(429, retry_after="50")])
    async with opened(service) as client:
        with pytest.raises(RateLimitError) as caught:
            await service.clock.run(client.submit(REQUEST))
    assert 50 == caught.value.retry_after
    assert [0.0, 50.0, 100.0] == service.times


@pytest.mark.parametrize("answer", [said(400), said(401), said(402), said(403), said(404), said(422)])
async def test_a_refusal_is_told_and_not_repeated(answer: Reply) -> None:
    """One POST, the service's own error, and a job on record that cost nothing."""
    service = a_service(submits=[answer])
    async with opened(service) as client:
        with pytest.raises(ServiceError, match="backend 'main'") as caught:
            await client.submit(REQUEST)
        job = await anext(client.jobs())
    assert Verdict.REFUSED is caught.value.verdict
    assert 1 == len(service.posts)
    assert (JobStatus.FAILED, 0) == (job.status, job.cost and job.cost.amount)


GARBAGE = Reply(status=200, headers={"content-type": "text/html"}, body=b"<html>")
IN_DOUBT = [LOST, said(500), said(503), said(504), said(408), said(409), GARBAGE, Reply(status=200), Reply.of({"status": "queued"})]


@pytest.mark.parametrize("answer", IN_DOUBT)
async def test_a_submit_that_may_have_been_accepted_is_never_sent_again(answer: Answer, tmp_path: Path) -> None:
    """Lost, stalled, 5xx or garbage: one POST, and the job is on record as unknown, also for the next process."""
    service = a_service(submits=[answer])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(SubmitUnknownError, match="may have been accepted") as caught:
            await service.clock.run(client.submit(REQUEST))
        assert [caught.value.job.id] == [job.id async for job in client.jobs(status=JobStatus.UNKNOWN)]
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        (handle,) = await service.clock.run(client.resume())
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(handle.result())
    assert 1 == len(service.posts)


async def test_an_unknown_submit_is_found_by_the_services_own_look_up() -> None:
    """The job goes on under the id that the look-up gives, and nothing is sent twice."""
    service = a_service(submits=[LOST], look_ups=[said(500), running(id="p7")])
    async with opened(service, studio=KeyedStudio()) as client:
        handle = await service.clock.run(client.submit(REQUEST))
        await service.clock.run(handle.result())
    assert "p7" == handle.job.provider_id
    assert 1 == len(service.posts)


async def test_absence_is_counted_from_the_post_and_not_from_the_job() -> None:
    """A job that waited long to be sent is no older than its POST."""
    service = a_service(submits=[said(429, retry_after="119"), LOST], look_ups=[said(404)])
    async with opened(service, studio=KeyedStudio()) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))


async def test_an_endpoint_that_is_not_there_proves_nothing_and_is_asked_once() -> None:
    """The caller hears at once that nobody knows."""

    class Old(KeyedStudio):
        @hookimpl
        def recover(self, backend: Backend, job: Job) -> Call:
            return Call.get(f"/requests/{job.key}")

    service = a_service(submits=[LOST], look_ups=[said(404)])
    async with opened(service, studio=Old()) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    assert 2 == len(service.calls)


async def test_a_job_that_appears_while_absence_is_being_proved_is_followed(tmp_path: Path) -> None:
    """The service was slow to know it."""
    service = a_service(submits=[LOST], look_ups=[said(404)] * 7 + [running(id="p1")])
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        (handle,) = await service.clock.run(client.resume())
    assert (JobStatus.SUCCEEDED, "p1") == (handle.job.status, handle.job.provider_id)


async def test_a_look_up_that_finds_nothing_is_not_believed_at_once(tmp_path: Path) -> None:
    """The POST may still be under way inside the service: unknown now, and proved absent after two minutes of asking."""
    service = a_service(submits=[LOST], look_ups=[said(404)])
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    service.clock.started += timedelta(days=1)
    resumed = service.clock.elapsed
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        (handle,) = await service.clock.run(client.resume())
    assert service.clock.elapsed - resumed >= 120
    async with opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client:
        handle = client.handle(handle.id)
        with pytest.raises(JobFailedError, match="never arrived"):
            await service.clock.run(handle.result())
    assert ("not_sent", 0) == (handle.job.failure and handle.job.failure.code, handle.job.cost and handle.job.cost.amount)


async def test_a_service_that_fails_the_job_at_once_is_heard() -> None:
    """An answer to the submit may already be the end."""
    service = a_service(submits=[Reply.of({"id": "p1", "status": "failed", "refunded": True, "cost": 50})])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobFailedError, match="too dark"):
            await handle.result()
    assert 0 == (handle.job.cost and handle.job.cost.amount)


async def test_giving_up_the_wait_for_a_submit_does_not_lose_the_job(tmp_path: Path) -> None:
    """The POST goes on, and its answer is recorded."""
    arrived = asyncio.Event()
    go_on = asyncio.Event()

    class Slow(Service):
        async def send(self, call: Call, origin: Origin) -> Reply:
            if call.method == "POST":
                arrived.set()
                await go_on.wait()
            return await super().send(call, origin)

    service = Slow(submits=[accepted()], polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        submit = asyncio.create_task(client.submit(REQUEST))
        await arrived.wait()
        submit.cancel()
        go_on.set()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert ["p1"] == [job.provider_id async for job in client.jobs()]


async def test_a_key_that_is_missing_is_named_before_anything_is_recorded() -> None:
    """The sentence says which variable to set."""
    service = a_service()
    async with opened(service, config=a_config(api_key=None, key_source="env STUDIO_KEY")) as client:
        with pytest.raises(ConfigError, match="STUDIO_KEY"):
            await client.submit(REQUEST)
        assert [] == [job async for job in client.jobs()]
    assert [] == service.calls


# Polls.


async def test_a_failed_poll_is_a_missed_poll() -> None:
    """Whatever goes wrong with one poll, the job is paid for and is followed."""
    faults: list[Any] = [LOST, said(500), said(401), GARBAGE, Reply.of([]), said(404), REFUSED_CONNECTION]
    service = a_service(polls=[*faults, done()])
    async with opened(service) as client:
        result = await service.clock.run(client.generate(REQUEST))
    assert 1 == len(result.assets)


async def test_a_services_hint_is_obeyed_each_time_on_success_and_on_error() -> None:
    """`Retry-After` and `poll_after` are the least wait until the next poll."""
    polls = [running(poll_after=17), said(429, retry_after="33"), said(503, retry_after="11"), running(), done()]
    service = a_service(polls=polls)
    async with opened(service, config=a_config(poll=PollConfig(interval=2.0))) as client:
        await service.clock.run(client.generate(REQUEST))
    assert [2.0, 19.0, 52.0, 63.0, 65.0] == service.poll_times


async def test_a_job_the_service_does_not_know_yet_is_given_grace() -> None:
    """A 404 right after the submit is a missed poll: it is asked again, each time after twice as long."""
    service = a_service(polls=[said(404), said(404), done()])
    async with opened(service, config=a_config(poll=PollConfig(interval=2.0))) as client:
        await service.clock.run(client.generate(REQUEST))
    assert [2.0, 6.0, 14.0] == service.poll_times


async def test_a_job_the_service_keeps_not_knowing_has_expired() -> None:
    """A lasting 404 ends the job, as expired, at its quoted price."""
    service = a_service(polls=[running(), said(404)])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobExpiredError):
            await service.clock.run(handle.result())
    assert 50 == (handle.job.cost and handle.job.cost.amount)
    assert service.poll_times[-1] - service.poll_times[1] >= 30


async def _expired(service: Service, path: Path) -> None:
    """Leave a job that the service did not know for long enough, and knows again."""
    service.polls = deque([running(), said(404)])
    async with opened(service, journal=path) as client:
        with pytest.raises(JobExpiredError, match="waiting for it again asks once more"):
            await service.clock.run((await client.submit(REQUEST, id="fox")).result())


async def test_a_job_that_has_expired_is_asked_about_once_more_and_goes_on_where_it_is_known(tmp_path: Path) -> None:
    """Another account, a wrong address or an outage had it expire; it costs what it costs, and not what was presumed."""
    service = a_service()
    await _expired(service, tmp_path / "jobs.db")
    service.polls = deque([running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert Used(amount=50.0, jobs=1) == (await client.usage("main")).ever
        handle = client.handle("fox")
        assert {JobStatus.RUNNING, JobStatus.SUCCEEDED} == set(await service.clock.run(_states(handle)))
        assert 1 == len((await handle.result()).assets)
        assert (50.0, "10 credits per second × 5") == (handle.job.cost and (handle.job.cost.amount, handle.job.cost.basis))
        assert Used(amount=50.0, jobs=1) == (await client.usage("main")).ever
    assert 1 == len(service.posts)


async def _states(handle: Handle) -> list[JobStatus]:
    return [snapshot.status async for snapshot in handle.events()]


@pytest.mark.parametrize("answer", [said(404), said(503), Reply.of({"id": "p1", "status": "expired"})])
async def test_a_job_that_has_expired_stays_so_unless_the_service_knows_it(answer: Reply, tmp_path: Path) -> None:
    """It is asked about once each time that somebody waits for it, by the same handle too, and never by resume."""
    service = a_service()
    await _expired(service, tmp_path / "jobs.db")
    service.polls = deque([answer])
    polled = len(service.poll_times)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert [] == await service.clock.run(client.resume())
        handle = client.handle("fox")
        before = handle.job
        for _ in range(2):
            with pytest.raises(JobExpiredError):
                await service.clock.run(handle.result())
        assert before == client.handle("fox").job
        service.polls = deque([done()])
        await service.clock.run(handle.result())
    assert 4 == len(service.poll_times) - polled


async def test_what_was_charged_before_a_job_expired_stays_its_cost(tmp_path: Path) -> None:
    """The service said so."""
    service = a_service(submits=[accepted(cost=40)])
    await _expired(service, tmp_path / "jobs.db")
    service.polls = deque([running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handle = client.handle("fox")
        await service.clock.run(handle.result())
    assert 40 == (handle.job.cost and handle.job.cost.amount)


async def test_a_watched_job_that_expires_for_its_driver_goes_on_here(tmp_path: Path) -> None:
    """The driver has another account's key: whoever has the right one takes the job from it, though it lives."""
    service = OneAccount(submits=[accepted()], polls=[running(), running(), done()])
    other = a_config(api_key=Secret("another-account-key-000000"))
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await client.submit(REQUEST, id="fox")
    async with opened(service, config=other, journal=tmp_path / "jobs.db") as wrong:
        await wrong.handle("fox")._attach()
        async with opened(service, journal=tmp_path / "jobs.db") as client:
            assert 1 == len((await service.clock.run(client.handle("fox").result())).assets)
    assert 1 == len(service.posts)


class OneAccount(Service):
    """A service that knows no job of its one account by another's key."""

    async def send(self, call: Call, origin: Origin) -> Reply:
        return said(404) if KEY not in origin.headers["authorization"] else await super().send(call, origin)


async def test_two_that_find_an_expired_job_known_again_drive_it_once(tmp_path: Path) -> None:
    """One takes it, the other watches."""
    service = a_service()
    await _expired(service, tmp_path / "jobs.db")
    service.polls = deque([running(), running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as two:
        polled = len(service.poll_times)
        results = await service.clock.run(asyncio.gather(one.handle("fox").result(), two.handle("fox").result()))
    assert results[0].assets == results[1].assets
    assert 4 == len(service.poll_times) - polled


async def test_done_without_a_file_keeps_polling() -> None:
    """The URL may come a moment later."""
    service = a_service(polls=[Reply.of({"id": "p1", "status": "succeeded"}), done()])
    async with opened(service) as client:
        result = await service.clock.run(client.generate(REQUEST))
    assert 1 == len(result.assets)


async def test_a_remark_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An undocumented status word does not fill the log."""
    service = a_service(polls=[running(note="unknown status 'brewing'")] * 3 + [done()])
    async with opened(service) as client:
        await service.clock.run(client.generate(REQUEST))
    assert 1 == sum("brewing" in record.getMessage() for record in caplog.records)


async def test_a_timeout_ends_the_wait_and_not_the_job() -> None:
    """The next wait gets the result."""
    service = a_service(polls=[running()] * 30 + [done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobTimeoutError, match=f"job {handle.id} .* goes on") as caught:
            await service.clock.run(handle.result(timeout=10))
        assert isinstance(caught.value, TimeoutError)
        assert 1 == len((await service.clock.run(handle.result())).assets)


async def test_a_wait_without_a_timeout_ends_when_the_policy_says() -> None:
    """No endless waits."""
    service = a_service(polls=[running()])
    async with opened(service, config=a_config(poll=PollConfig(interval=20.0, timeout=100.0))) as client:
        with pytest.raises(JobTimeoutError, match="after 100 s"):
            await service.clock.run(client.generate(REQUEST))


async def test_events_are_every_observation_in_order() -> None:
    """From what is known now to the end."""
    service = a_service(polls=[running(progress=0.5), done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)

        async def follow() -> list[tuple[str, float | None]]:
            return [(str(snapshot.status), snapshot.progress) async for snapshot in handle.events()]

        seen = await service.clock.run(follow())
        again = await service.clock.run(follow())
    assert [("queued", None), ("running", 0.5), ("succeeded", None)] == seen
    assert [("succeeded", None)] == again


async def test_an_observation_that_says_nothing_new_is_no_event() -> None:
    """A job that runs for long is one line, not one a poll."""
    service = a_service(polls=[running()] * 9 + [done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)

        async def follow() -> list[str]:
            return [str(snapshot.status) async for snapshot in handle.events()]

        assert ["queued", "running", "succeeded"] == await service.clock.run(follow())


async def test_a_failure_keeps_the_services_words_and_a_refund_is_recorded() -> None:
    """The error says why, and the job cost nothing."""
    service = a_service(submits=[accepted(cost=50)], polls=[Reply.of({"status": "failed", "refunded": True})])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobFailedError, match="too dark") as caught:
            await service.clock.run(handle.result())
    assert Cost(amount=0, basis="refunded 50 credits") == caught.value.job.cost


async def test_a_failure_whose_refund_nobody_mentions_counts_as_quoted() -> None:
    """Better to count too much than too little."""
    service = a_service(polls=[Reply.of({"status": "failed"})])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobFailedError):
            await service.clock.run(handle.result())
    assert "about 50 credits" == str(handle.job.cost)


async def test_a_bug_in_a_plugin_while_polling_loses_nothing() -> None:
    """It is a missed poll, and named in the log."""

    class Buggy(Studio):
        bugs = 2

        @hookimpl
        def poll(self, backend: Backend, job: Job) -> Call:
            self.bugs -= 1
            if self.bugs >= 0:
                raise KeyError("oops")
            return super().poll(backend, job)

    service = a_service()
    async with opened(service, studio=Buggy()) as client:
        assert 1 == len((await service.clock.run(client.generate(REQUEST))).assets)


# Cancelling.


async def test_a_service_without_cancel_says_that_the_job_goes_on() -> None:
    """The error says that it will be billed, and the job is still followed."""
    service = a_service(polls=[running(), done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(CancelUnsupportedError, match="goes on and will be billed"):
            await handle.cancel()
        await service.clock.run(handle.result())
        await handle.cancel()


async def test_a_cancelled_job_ends_as_cancelled() -> None:
    """The service is asked, and its answer is recorded."""
    service = a_service(polls=[running()], deletes=[Reply.of({"status": "cancelled", "refunded": True})])
    async with opened(service, studio=KeyedStudio()) as client:
        handle = await client.submit(REQUEST)
        await handle.cancel()
        with pytest.raises(JobCancelledError):
            await handle.result()
    assert (JobStatus.CANCELLED, 0) == (handle.job.status, handle.job.cost and handle.job.cost.amount)


async def test_a_cancel_that_the_service_takes_its_time_with_goes_on_polling() -> None:
    """The job ends when the service says so, and is polled at one pace only."""
    service = a_service(polls=[running(), Reply.of({"status": "cancelled"})], deletes=[running()])
    async with opened(service, studio=KeyedStudio(), config=a_config(poll=PollConfig(interval=2.0))) as client:
        handle = await client.submit(REQUEST)
        await handle.cancel()
        with pytest.raises(JobCancelledError):
            await service.clock.run(handle.result())
    assert [2.0, 4.0] == [at for call, at in service.sent if call.method == "GET"]


async def test_a_poll_under_way_says_nothing_of_a_job_that_was_cancelled_meanwhile() -> None:
    """Its answer is older than the cancel's."""
    answered = asyncio.Event()

    class Late(Service):
        async def send(self, call: Call, origin: Origin) -> Reply:
            reply = await super().send(call, origin)
            if call.method == "GET":
                await answered.wait()
            return reply

    service = Late(submits=[accepted()], polls=[running()], deletes=[Reply.of({"id": "p1", "status": "cancelled"})])
    async with opened(service, studio=KeyedStudio()) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobTimeoutError):
            await service.clock.run(handle.result(timeout=30))
        assert 1 == len(service.poll_times)
        await handle.cancel()
        answered.set()
        await service.clock.run(service.clock.sleep(1))
        assert JobStatus.CANCELLED is handle.job.status


async def test_a_job_that_waits_to_be_sent_can_be_cancelled() -> None:
    """Nothing is sent, and it costs nothing."""
    service = a_service(polls=[running()])
    studio = Studio(limits=Limits(submits=1, per=60))
    async with opened(service, studio=studio) as client:
        await client.submit(REQUEST)
        second = asyncio.create_task(client.submit(REQUEST))
        job = await pending(client)
        await service.clock.run(client.handle(job.id).cancel())
        handle = await second
    assert JobStatus.CANCELLED is handle.job.status
    assert 1 == len(service.posts)


# When the record fails, or is somebody else's.


class BrokenJournal(InlineJournal):
    """A journal some of whose methods stop working."""

    broken: frozenset[str] = frozenset()

    async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
        self._may("add")
        return await super().add(job, budget, None if "begin_submit" in self.broken else rules)

    async def submitted(self, attempt: Attempt, job: Job) -> bool:
        self._may("submitted")
        return await super().submitted(attempt, job)

    async def update(self, lease: Lease, job: Job, lessons: Sequence[Lesson] = ()) -> bool:
        self._may("update")
        return await super().update(lease, job, lessons)

    async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
        self._may("begin_submit")
        return await super().begin_submit(lease, rules, budget)

    async def unknown(self, lease: Lease, job: Job) -> None:
        self._may("unknown")
        await super().unknown(lease, job)

    async def take(self, job_id: str) -> tuple[Lease | None, Job | None]:
        self._may("take")
        return await super().take(job_id)

    async def beat(self) -> None:
        self._may("beat")
        await super().beat()

    def _may(self, method: str) -> None:
        if method in self.broken:
            raise JournalError("the disk is full")


async def test_a_job_whose_id_cannot_be_recorded_is_driven_on(caplog: pytest.LogCaptureFixture) -> None:
    """It is paid for: its result is had, and the log has the service's id."""
    service = a_service(polls=[running(), done()])
    journal = BrokenJournal(None)
    journal.broken = frozenset({"submitted", "update", "beat"})
    async with opened(service, journal=journal) as client:
        result = await service.clock.run(client.generate(REQUEST))
    assert 1 == len(result.assets)
    assert any("'p1'" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("broken", [frozenset({"add"}), frozenset({"begin_submit"})])
async def test_nothing_is_sent_when_the_intent_cannot_be_recorded(broken: frozenset[str]) -> None:
    """The journal comes before the POST, whether the intent goes into it with the job or after it."""
    service = a_service()
    journal = BrokenJournal(None)
    journal.broken = broken | {"update"}
    async with opened(service, journal=journal) as client:
        with pytest.raises(JournalError, match="disk is full"):
            await client.submit(REQUEST)
    assert [] == service.calls


async def test_a_wait_outlives_a_journal_that_cannot_be_read_for_a_while(tmp_path: Path) -> None:
    """The watched job is looked up again."""
    service = a_service(polls=[running()] * 3 + [done()])
    journal = BrokenJournal(tmp_path / "jobs.db", now=lambda: service.clock.now().timestamp())
    async with opened(service, journal=tmp_path / "jobs.db") as driver, opened(service, journal=journal) as other:
        handle = await driver.submit(REQUEST)
        watched = other.handle(handle.id)
        with pytest.raises(JobTimeoutError):
            await service.clock.run(watched.result(timeout=1.5))
        journal.broken = frozenset({"take"})
        with pytest.raises(JobTimeoutError):
            await service.clock.run(watched.result(timeout=3))
        journal.broken = frozenset()
        assert 1 == len((await service.clock.run(watched.result())).assets)


async def test_a_job_is_not_driven_by_what_was_on_record_before_it_was_taken(tmp_path: Path) -> None:
    """Its submit has been answered since: whoever could take it and not read it asks again, and polls by the service's id."""
    service = Slow(submits=[accepted()], polls=[running(), done()])
    journal = BrokenJournal(tmp_path / "jobs.db", now=lambda: service.clock.now().timestamp())
    async with opened(service, journal=journal) as other:
        async with opened(service, journal=tmp_path / "jobs.db") as driver:
            submit = asyncio.create_task(driver.submit(REQUEST))
            await service.arrived.wait()
            (job,) = [job async for job in other.jobs()]
            with pytest.raises(JobTimeoutError):
                await service.clock.run(other.handle(job).result(timeout=0.5))
            service.may_answer.set()
            await submit
        journal.broken = frozenset({"take"})
        with pytest.raises(JobTimeoutError):
            await service.clock.run(other.handle(job).result(timeout=3))
        journal.broken = frozenset()
        await service.clock.run(other.handle(job).result())
    assert {"/jobs/p1"} == {call.url for call in service.calls if call.method == "GET"}


async def test_a_job_that_is_only_watched_is_not_sent_when_its_driver_goes(tmp_path: Path) -> None:
    """It was stopped so that nothing more is paid; the job stays as it was, for whoever sends it."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as other:
        async with opened(service, journal=tmp_path / "jobs.db") as driver:
            submit = asyncio.create_task(driver.submit(REQUEST))
            job = await pending(driver)
            await refused_once(service, driver)
            watch = asyncio.create_task(other.handle(job, send=False).result())
            submit.cancel()
        with pytest.raises(JobError, match=f"job {job.id} was never sent and is not waited for: `genbridge jobs resume` sends it"):
            await service.clock.run(watch)
        assert [job.id] == [each.id for each in await other.unsent()]
        assert 1 == len(service.posts)
        await service.clock.run(other.handle(job.id).result())
    assert 2 == len(service.posts)


async def test_who_only_watches_a_job_does_not_keep_another_from_sending_it(tmp_path: Path) -> None:
    """Though both follow it in one process."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        submit = asyncio.create_task(client.submit(REQUEST, id="fox"))
        await refused_once(service, client)
    submit.cancel()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        watch = asyncio.ensure_future(client.handle("fox", send=False).result())
        handle = await service.clock.run(client.submit(REQUEST, id="fox"))
        assert "p1" == handle.job.provider_id
        assert 1 == len((await service.clock.run(watch)).assets)
    assert 2 == len(service.posts)


async def test_a_driver_that_lost_its_job_watches_it(tmp_path: Path) -> None:
    """A process that was stopped and comes back late writes nothing, and still hears of the end."""
    service = a_service(polls=[running(), running(progress=0.5), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as late, opened(service, journal=tmp_path / "jobs.db") as other:
        handle = await late.submit(REQUEST)
        _as_if_stopped(tmp_path / "jobs.db")
        taken = other.handle(handle.id)
        results = await service.clock.run(asyncio.gather(taken.result(), handle.result()))
    assert results[0].assets == results[1].assets


def _as_if_stopped(path: Path) -> None:
    """Let the driver seem dead, as one is that was stopped for a minute."""
    with sqlite3.connect(path) as db:
        db.execute("update jobs set owner = null")
    db.close()


async def test_progress_is_recorded_at_most_every_half_minute(tmp_path: Path) -> None:
    """Polls are not journalled."""
    written: list[float | None] = []

    class Watched(InlineJournal):
        async def update(self, lease: Lease, job: Job, lessons: Sequence[Lesson] = ()) -> bool:
            written.append(job.progress)
            return await super().update(lease, job, lessons)

    service = a_service(polls=[running(progress=number / 50) for number in range(50)] + [done()])
    async with opened(service, journal=Watched(None), config=a_config(poll=PollConfig(interval=2.0))) as client:
        await service.clock.run(client.generate(REQUEST))
    assert [0.0, 0.3, 0.6, 0.9, None] == [value if value is None else round(value, 1) for value in written]


async def test_a_bug_in_genbridge_is_told_and_leaves_the_job_on_record() -> None:
    """Nobody waits for ever."""
    service = a_service()

    class Buggy(InlineJournal):
        async def submitted(self, attempt: Attempt, job: Job) -> bool:
            raise ZeroDivisionError

    async with opened(service, journal=Buggy(None)) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(GenbridgeError, match="a bug in genbridge"):
            await handle.result()
        assert [JobStatus.SUBMITTING] == [job.status async for job in client.jobs()]


async def test_a_job_in_doubt_cannot_be_cancelled() -> None:
    """There is no id to cancel."""
    service = a_service(submits=[LOST])
    async with opened(service) as client:
        with pytest.raises(SubmitUnknownError) as caught:
            await service.clock.run(client.submit(REQUEST))
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.handle(caught.value.job.id).cancel())


async def test_a_job_that_another_process_is_about_to_send_cannot_be_cancelled_here(tmp_path: Path) -> None:
    """The error says who can."""
    service = a_service(submits=[said(429, retry_after="60")])
    async with opened(service, journal=tmp_path / "jobs.db") as client, opened(service, journal=tmp_path / "jobs.db") as other:
        submit = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
        job = await pending(other)
        with pytest.raises(CancelUnsupportedError, match="another process"):
            await other.handle(job.id).cancel()
    submit.cancel()


# Closing, and giving up.


class Slow(Service):
    """A service that answers a submit only when it is let."""

    def __init__(self, **scripts: Any) -> None:
        super().__init__(**scripts)
        self.arrived = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def send(self, call: Call, origin: Origin) -> Reply:
        if call.method == "POST":
            self.arrived.set()
            await self.may_answer.wait()
        return await super().send(call, origin)


async def test_closing_records_every_answer_and_starts_no_post(tmp_path: Path) -> None:
    """With many submits under way, each that was sent is on record with its id, and the others were not sent."""
    service = Slow(submits=[accepted()], polls=[running()])
    studio = Studio(limits=Limits(submits=3, per=60))
    async with opened(service, journal=tmp_path / "jobs.db", studio=studio) as client:
        submits = [asyncio.create_task(client.submit(REQUEST)) for _ in range(10)]
        await service.arrived.wait()
        asyncio.get_running_loop().call_later(0.01, service.may_answer.set)
    ended = await asyncio.gather(*submits, return_exceptions=True)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        jobs = [job async for job in client.jobs()]
    sent = [job for job in jobs if job.provider_id == "p1"]
    assert len(service.posts) == len(sent)
    assert {JobStatus.PENDING} == {job.status for job in jobs if job not in sent}
    assert {JournalError} == {type(end) for end in ended if isinstance(end, Exception)}


async def test_closing_waits_until_an_answered_submit_is_on_record() -> None:
    """A journal that is busy at that moment does not lose the id."""
    service = a_service(polls=[running()])
    recorded = asyncio.Event()

    class Busy(InlineJournal):
        async def submitted(self, attempt: Attempt, job: Job) -> bool:
            recorded.set()
            await asyncio.sleep(0.01)
            return await super().submitted(attempt, job)

    async with opened(service, journal=Busy(None)) as client:
        submit = asyncio.create_task(client.submit(REQUEST))
        await recorded.wait()
    assert "p1" == (await submit).job.provider_id


async def test_closing_in_a_hurry_keeps_an_id_that_could_not_be_recorded_yet(tmp_path: Path) -> None:
    """The file was locked for longer than Ctrl-C waits, and is free by the last write."""
    service = a_service(polls=[running()])
    journal = BrokenJournal(tmp_path / "jobs.db", now=lambda: service.clock.now().timestamp())
    journal.broken = frozenset({"submitted", "unknown"})
    async with opened(service, journal=journal) as client:
        submit = asyncio.create_task(client.submit(REQUEST))
        for _ in range(100):
            await asyncio.sleep(0)
        assert 1 == len(service.posts)
        client._driver.hurry()
        closing = asyncio.create_task(client.aclose())
        await service.clock.run(service.clock.sleep(8))
        journal.broken = frozenset()
        await service.clock.run(closing)
    assert "p1" == (await submit).job.provider_id
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert ["p1"] == [job.provider_id async for job in client.jobs()]


async def test_closing_waits_as_long_for_an_answer_as_is_configured(tmp_path: Path) -> None:
    """An answer that takes 150 s is recorded where the backend is given 300."""
    service = Slow(submits=[accepted()], polls=[running()])
    config = a_config(submit_timeout=300.0)
    async with opened(service, config=config, journal=tmp_path / "jobs.db") as client:
        submit = asyncio.create_task(client.submit(REQUEST))
        await service.arrived.wait()
        closing = asyncio.create_task(client.aclose())
        for _ in range(15):
            await asyncio.sleep(0)
            service.clock.advance(10)
        service.may_answer.set()
        await closing
    assert "p1" == (await submit).job.provider_id


async def test_giving_up_a_submit_at_any_moment_leaves_no_job_behind_that_was_not_sent() -> None:
    """The job goes on without its caller, whenever that was cancelled."""
    for steps in range(25):
        service = a_service(polls=[running()])
        async with opened(service) as client:
            submit = asyncio.create_task(client.submit(REQUEST))
            for _ in range(steps):
                await asyncio.sleep(0)
            submit.cancel()
            for _ in range(100):
                await asyncio.sleep(0)
            jobs = [job.provider_id async for job in client.jobs()]
        assert ["p1"] * len(service.posts) == jobs


async def test_giving_up_a_wait_at_any_moment_does_not_spoil_the_next(tmp_path: Path) -> None:
    """The job of another process's record is attached all the same."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        job_id = (await client.submit(REQUEST)).id
    for steps in range(12):
        service.polls = deque([running(), done()])
        async with opened(service, journal=tmp_path / "jobs.db") as client:
            handle = client.handle(job_id)
            wait = asyncio.create_task(handle.result())
            for _ in range(steps):
                await asyncio.sleep(0)
            wait.cancel()
            assert 1 == len((await service.clock.run(handle.result())).assets)


async def test_whoever_waits_when_the_client_is_closed_is_told() -> None:
    """Nobody waits for ever; the job is on record."""
    service = a_service(polls=[running()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        wait = asyncio.create_task(handle.result())
        follow = asyncio.create_task(_last(handle))
        await asyncio.sleep(0)
    with pytest.raises(JournalError, match="the client was closed"):
        await wait
    assert JobStatus.QUEUED is await follow
    with pytest.raises(JournalError, match="closed"):
        await handle.result()
    with pytest.raises(JournalError):
        await client.submit(REQUEST)


async def _last(handle: Handle) -> JobStatus:
    return [snapshot.status async for snapshot in handle.events()][-1]


async def test_a_job_in_doubt_is_free_for_another_process(tmp_path: Path) -> None:
    """Its error advises to resume, which works while the first client lives."""
    service = a_service(submits=[LOST], look_ups=[said(500), said(500), said(500), running(id="p1")])
    async with (
        opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as client,
        opened(service, journal=tmp_path / "jobs.db", studio=KeyedStudio()) as other,
    ):
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
        (handle,) = await service.clock.run(other.resume())
    assert JobStatus.SUCCEEDED is handle.job.status


async def test_what_a_process_left_under_way_says_that_it_was_that_process(tmp_path: Path) -> None:
    """Whoever reads it may be another one, whose own program has not ended."""
    service = a_service(submits=[LOST])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        with pytest.raises(SubmitUnknownError):
            await service.clock.run(client.submit(REQUEST))
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        db.execute("update jobs set status = 'submitting', failure = null")
    db.close()
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await service.clock.run(client.resume(wait=False))
        failure = (await anext(client.jobs())).failure
    assert "the process that sent the request ended while it was under way" == (failure and failure.message)


async def test_what_could_not_be_written_is_written_when_it_can_be() -> None:
    """A disk that was full for a while loses no id."""
    service = a_service(polls=[running()] * 40 + [done()])
    journal = BrokenJournal(None)
    journal.broken = frozenset({"submitted"})
    async with opened(service, journal=journal) as client:
        handle = await service.clock.run(client.submit(REQUEST))
        assert JobStatus.SUBMITTING is (await anext(client.jobs())).status
        journal.broken = frozenset()
        await service.clock.run(service.clock.sleep(6))
        assert "p1" == (await anext(client.jobs())).provider_id
    assert "p1" == handle.job.provider_id


async def test_a_known_end_is_recorded_though_the_lease_was_lost(tmp_path: Path) -> None:
    """When nobody drives the job, whoever knows its end writes it."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        handle = await client.submit(REQUEST)
        with sqlite3.connect(tmp_path / "jobs.db") as db:
            db.execute("update jobs set epoch = 9, owner = null")
        db.close()
        await service.clock.run(handle.result())
        assert JobStatus.SUCCEEDED is (await anext(client.jobs())).status


async def test_closing_that_is_itself_given_up_leaves_nobody_waiting() -> None:
    """Whoever cancels it in the middle of a stalled submit gets the waiters told, and no task is left."""
    service = Slow(submits=[accepted()], polls=[running()])
    client = Client(a_config(), journal=InlineJournal(None), providers={"studio": Studio()}, clock=service.clock, transport=service)  # type: ignore[arg-type]
    await client.__aenter__()
    submit = asyncio.create_task(client.submit(REQUEST))
    await service.arrived.wait()
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(JournalError, match="the client was closed"):
        await submit
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_an_attach_that_failed_can_be_made_again(tmp_path: Path) -> None:
    """A journal that is busy for a moment does not leave a job that nobody drives."""
    service = a_service(polls=[running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        job_id = (await client.submit(REQUEST)).id
    journal = BrokenJournal(tmp_path / "jobs.db", now=lambda: service.clock.now().timestamp())
    async with opened(service, journal=journal) as client:
        journal.broken = frozenset({"take"})
        with pytest.raises(JournalError, match="disk is full"):
            await client.handle(job_id).result()
        journal.broken = frozenset()
        assert 1 == len((await service.clock.run(client.handle(job_id).result())).assets)


async def test_a_driver_that_finds_itself_replaced_goes_on_watching(tmp_path: Path) -> None:
    """Its progress is refused by the journal, so it stops polling and hears the end from the record."""
    service = a_service(submits=[accepted()], polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as late, opened(service, journal=tmp_path / "jobs.db") as other:
        handle = await late.submit(REQUEST)
        with sqlite3.connect(tmp_path / "jobs.db") as db:
            db.execute("update jobs set epoch = 9, owner = ?", (other._record.owner,))  # type: ignore[attr-defined]
        db.close()
        with pytest.raises(JobTimeoutError):
            await service.clock.run(handle.result(timeout=20))
        polled = len(service.poll_times)
        service.polls = deque([done()])
        results = await service.clock.run(asyncio.gather(other.handle(handle.id).result(), handle.result()))
    assert 1 == polled
    assert results[0].assets == results[1].assets


# A doubt that a person settles.


async def in_doubt(client: Client, service: Service) -> Handle:
    """Return a job whose submit may have been accepted."""
    with pytest.raises(SubmitUnknownError) as caught:
        await service.clock.run(client.submit(REQUEST))
    return client.handle(caught.value.job.id)


async def test_a_job_that_was_looked_for_in_vain_is_let_go() -> None:
    """It reserves nothing any more, and is not asked about."""
    service = a_service(submits=[LOST])
    async with opened(service, config=a_config(budget=Budget(total=50))) as client:
        handle = await in_doubt(client, service)
        with pytest.raises(BudgetError):
            await client.submit(REQUEST)
        job = await handle.not_sent()
        assert (JobStatus.FAILED, 0, "not_sent") == (job.status, job.cost and job.cost.amount, job.failure and job.failure.code)
        with pytest.raises(JobFailedError, match="it was looked for at the service and not found"):
            await handle.result()
        service.submits = deque([accepted()])
        await client.submit(REQUEST)
    assert 2 == len(service.posts)


async def test_a_job_that_was_found_at_the_service_is_followed() -> None:
    """Under the id that it has there."""
    service = a_service(submits=[LOST], polls=[running(), done()])
    async with opened(service) as client:
        handle = await in_doubt(client, service)
        await handle.adopt("p9")
        await service.clock.run(handle.result())
        assert (JobStatus.SUCCEEDED, "p9", None) == (handle.job.status, handle.job.provider_id, handle.job.failure)
    assert "/jobs/p9" == service.calls[-1].url
    assert 1 == len(service.posts)


async def test_an_id_that_the_service_does_not_know_is_not_taken() -> None:
    """A slip of the pen would lose the job; nor is one taken that the service cannot be asked about."""
    service = a_service(submits=[LOST], polls=[said(404), said(500), running(), done()])
    async with opened(service) as client:
        handle = await in_doubt(client, service)
        with pytest.raises(RequestError, match="backend 'main' has no job of this id; look again, nothing was changed"):
            await handle.adopt("p8")
        with pytest.raises(ServiceError):
            await handle.adopt("p9")
        assert JobStatus.UNKNOWN is client.handle(handle.id).job.status
        await handle.adopt("p9")
        assert 1 == len((await service.clock.run(handle.result())).assets)


async def test_a_job_that_was_never_sent_is_cancelled_without_being_sent(tmp_path: Path) -> None:
    """Though nothing holds it up any more."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        waiting = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
    waiting.cancel()
    service.clock.advance(3600)
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        (job,) = await client.unsent()
        handle = client.handle(job)
        await handle.cancel()
        assert (JobStatus.CANCELLED, 0) == (handle.job.status, handle.job.cost and handle.job.cost.amount)
        assert [] == await client.unsent()
    assert 1 == len(service.posts)


async def test_a_cap_that_was_lowered_holds_for_jobs_on_record_too(tmp_path: Path) -> None:
    """What has not been sent is not sent, and reserves nothing any more."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        waiting = asyncio.create_task(client.submit(REQUEST))
        await refused_once(service, client)
    waiting.cancel()
    config = a_config(budget=Budget(total=49))
    async with opened(service, config=config, journal=tmp_path / "jobs.db") as client:
        (handle,) = await service.clock.run(client.resume())
        assert JobStatus.FAILED is handle.job.status
        assert 0 == (await client.usage("main")).ever.amount
    assert 1 == len(service.posts)


async def test_a_job_that_waits_to_be_sent_is_left_as_it_is_where_its_backend_has_no_key(tmp_path: Path) -> None:
    """Another process, or this one tomorrow, has the key and sends it."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        await left_unsent(client.submit(REQUEST, id="wish"), service, client)
    async with opened(service, config=a_config(api_key=None), journal=tmp_path / "jobs.db") as keyless:
        with pytest.raises(ConfigError, match="backend 'main' has no API key"):
            await service.clock.run(keyless.resume())
        assert ["wish"] == [job.id for job in await keyless.unsent()]
        async with opened(service, journal=tmp_path / "jobs.db") as client:
            (handle,) = await service.clock.run(client.resume())
            assert JobStatus.SUCCEEDED is handle.job.status
    assert 2 == len(service.posts)


async def test_a_job_that_waits_for_a_process_that_goes_is_left_as_it_is_without_a_key(tmp_path: Path) -> None:
    """Whoever watches it is told why it does not go on."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    async with opened(service, config=a_config(api_key=None), journal=tmp_path / "jobs.db") as keyless:
        async with opened(service, journal=tmp_path / "jobs.db") as client:
            task = asyncio.create_task(client.submit(REQUEST, id="wish"))
            await refused_once(service, client)
            watched = keyless.handle("wish")
            await watched._attach()
            task.cancel()
        with pytest.raises(ConfigError, match="backend 'main' has no API key"):
            await service.clock.run(watched.result())
        assert ["wish"] == [job.id for job in await keyless.unsent()]


@pytest.mark.parametrize("provider_id", ["", "  "])
async def test_an_id_that_is_none_is_not_taken(provider_id: str) -> None:
    """Nothing is asked and nothing changed."""
    service = a_service(submits=[LOST])
    async with opened(service) as client:
        handle = await in_doubt(client, service)
        with pytest.raises(RequestError, match="is no id; give the one that the service shows"):
            await handle.adopt(provider_id)
    assert 1 == len(service.calls)


async def test_one_id_of_the_services_belongs_to_one_job() -> None:
    """Somebody has mistaken one for another."""
    service = a_service(submits=[LOST, accepted()], polls=[running()])
    async with opened(service) as client:
        handle = await in_doubt(client, service)
        other = await client.submit(REQUEST)
        with pytest.raises(RequestError, match=f"job {other.id} on record has this id on backend 'main'"):
            await handle.adopt("p1")
        assert JobStatus.UNKNOWN is client.handle(handle.id).job.status


async def test_one_id_of_the_services_is_given_to_one_job_at_one_moment(tmp_path: Path) -> None:
    """The other stays in doubt, and may be given another id."""
    service = a_service(submits=[LOST], polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as client, opened(service, journal=tmp_path / "jobs.db") as other:
        one, two = await in_doubt(client, service), await in_doubt(other, service)
        given, refused = await service.clock.run(asyncio.gather(one.adopt("p1"), two.adopt("p1"), return_exceptions=True))
        assert (None, RequestError) == (given, type(refused))
        assert f"job {one.id} on record has this id on backend 'main'" in str(refused)
        assert JobStatus.UNKNOWN is client.handle(two.id).job.status
        await client.handle(two.id).adopt("p2")


@pytest.mark.parametrize("settle", [Handle.not_sent, lambda handle: handle.adopt("p9")])
async def test_only_a_doubt_can_be_settled(settle: Callable[[Handle], Awaitable[object]]) -> None:
    """The record of any other job is the service's word."""
    service = a_service(polls=[running(), done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        with pytest.raises(JobError, match="is not in doubt: it is queued; nothing was changed"):
            await settle(handle)
        assert 1 == len((await service.clock.run(client.handle(handle.id).result())).assets)


async def test_a_doubt_that_another_process_looks_into_is_left_to_it(tmp_path: Path) -> None:
    """It may have the answer in a moment."""
    service = Slow(submits=[accepted()], polls=[running()])
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as other:
        submit = asyncio.create_task(one.submit(REQUEST))
        await service.arrived.wait()
        (job,) = [job async for job in other.jobs()]
        for client in (one, other):
            with pytest.raises(JournalError, match="is being driven; nothing was changed"):
                await client.handle(job).not_sent()
        service.may_answer.set()
        await submit


async def test_a_doubt_settled_while_it_is_looked_into_is_settled() -> None:
    """Whoever waited for the look-up hears that nobody knows; the record says what the person said."""
    service = a_service(submits=[LOST], look_ups=[said(404)])
    async with opened(service, studio=KeyedStudio()) as client:
        handle = await in_doubt(client, service)
        looking = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        job = await client.handle(handle.id).not_sent()
        with pytest.raises((SubmitUnknownError, JobFailedError)):
            await service.clock.run(looking)
        assert job == client.handle(handle.id).job


@pytest.mark.parametrize("uptime", [0.0, 5000.0])
async def test_a_job_that_was_found_while_it_is_looked_up_is_not_believed_absent(uptime: float) -> None:
    """The look-up that goes on says that there is none; whoever waits for the job meanwhile is still told how it ends."""
    service = a_service(submits=[LOST], polls=[running(), running(), done()], look_ups=[said(404)])
    service.clock.elapsed = uptime
    async with opened(service, studio=KeyedStudio()) as client:
        submit = asyncio.create_task(client.submit(REQUEST, id="wish"))
        for _ in range(200):
            await asyncio.sleep(0)
        await client.handle("wish").adopt("p1")
        result = await service.clock.run(client.handle("wish").result())
        await service.clock.run(asyncio.sleep(0))
        with pytest.raises(JobError, match="was given the service's id 'p1'"):
            await submit
        job = client.handle("wish").job
    assert (JobStatus.SUCCEEDED, "p1", result) == (job.status, job.provider_id, job.result)


async def test_a_job_that_was_found_is_not_believed_absent_after_a_resume_either(tmp_path: Path) -> None:
    """There the look-up is a patient one, which believes the service in the end."""
    service = a_service(submits=[LOST], polls=[running()], look_ups=[said(404)])
    async with opened(service, studio=KeyedStudio(), journal=tmp_path / "jobs.db") as client:
        handle = await in_doubt(client, service)
    async with opened(service, studio=KeyedStudio(), journal=tmp_path / "jobs.db") as client:
        looking = asyncio.create_task(client.handle(handle.id).result())
        for _ in range(200):
            await asyncio.sleep(0)
        await client.handle(handle.id).adopt("p1")
        await service.clock.run(asyncio.gather(looking, service.clock.sleep(200), return_exceptions=True))
        job = client.handle(handle.id).job
    assert (JobStatus.QUEUED, "p1") == (job.status, job.provider_id)


# "Too many", said to a poll.


async def test_too_many_polls_leave_all_polls_of_the_backend_waiting(tmp_path: Path) -> None:
    """Those of another process too; submits go on."""
    service = a_service(polls=[said(429, retry_after="50"), running(), running(), done()])
    async with opened(service, journal=tmp_path / "jobs.db") as one, opened(service, journal=tmp_path / "jobs.db") as other:
        first, second = await one.submit(REQUEST), await other.submit(REQUEST)
        await service.clock.run(asyncio.gather(first.result(), second.result()))
    first_poll, *later = service.poll_times
    early = [time for time in later if round(time - first_poll, 6) < 50]
    assert len(early) <= 1, "only what was on its way before the other process heard of the pause"
    assert 2 == len(service.posts)


@pytest.mark.parametrize("retry_after", ["0", "-5", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_service_that_asks_for_no_pause_is_not_asked_without_one(retry_after: str) -> None:
    """A second lies between two tries, and patience comes to its end."""
    service = a_service(submits=[said(429, retry_after=retry_after)])
    async with opened(service, config=a_config(patience=10.0)) as client:
        with pytest.raises(RateLimitError):
            await service.clock.run(client.submit(REQUEST))
    gaps = [late - early for early, late in pairwise(service.times)]
    assert min(gaps) >= 1.0
    assert 2 <= len(service.posts) <= 11


async def test_a_pause_of_years_ends_after_a_quarter_of_an_hour() -> None:
    """It is said meanwhile, and the job comes to its end."""
    service = a_service(polls=[said(429, retry_after="315360000"), said(429, retry_after="315360000"), done()])
    async with opened(service) as client:
        handle = await client.submit(REQUEST)
        notes: list[str] = []

        async def listen() -> None:
            notes.extend([snapshot.note async for snapshot in handle.events() if snapshot.note])

        listening = asyncio.create_task(listen())
        await service.clock.run(handle.result(timeout=4000))
        await listening
    assert any("it said 429" in note for note in notes)
    assert service.clock.elapsed <= 2 * 900 + 60


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_process_that_was_stopped_before_its_post_does_not_send_it(at_once: bool) -> None:
    """Somebody else may have found that it never arrived; it is sent again, by whoever still has the job."""
    service = a_service()

    class Stopped(InlineJournal):
        stops = 1

        async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
            lease = await super().add(job, budget, rules if at_once else None)
            if at_once:
                self.stop()
            return lease

        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
            answer = await super().begin_submit(lease, rules, budget)
            self.stop()
            return answer

        def stop(self) -> None:
            if self.stops:
                self.stops -= 1
                (drive,) = client._driver._drives.values()
                drive.intended -= 9.0

    async with opened(service, journal=Stopped(None)) as client:
        await service.clock.run(client.generate(REQUEST))
        assert service.times[0] > 0
    assert 1 == len(service.posts)


async def test_a_storm_of_refusals_on_one_backend_slows_only_it() -> None:
    """Another is submitted to meanwhile."""
    service = a_service(submits=[said(429, retry_after="60"), accepted()])
    backends = {name: BackendConfig(name=name, provider="studio", api_key=Secret(KEY)) for name in ("busy", "calm")}
    async with opened(service, config=Config(backends=backends)) as client:
        busy = asyncio.create_task(client.submit(REQUEST, backend="busy"))
        await refused_once(service, client)
        started = service.clock.elapsed
        await client.submit(REQUEST, backend="calm")
        assert started == service.clock.elapsed
        await service.clock.run(busy)
        assert service.clock.elapsed >= started + 60


async def test_a_model_at_its_limit_does_not_hold_up_another() -> None:
    """They wait in lines of their own."""
    service = a_service(polls=[running()])
    config = a_config(limits={"clip": Limits(concurrent=1)})
    async with opened(service, config=config) as client:
        await client.submit(REQUEST)
        held = asyncio.create_task(client.submit(REQUEST))
        assert "clip" == (await pending(client)).model
        await client.submit(ImageRequest("a hat"))
        held.cancel()
    assert 2 == len(service.posts)


async def test_intents_of_jobs_that_are_submitted_together_go_into_the_journal_together() -> None:
    """One does not wait until that of another is on record, so that many can share a transaction."""
    service = a_service(polls=[running()])
    both = asyncio.Barrier(2)

    class Meeting(InlineJournal):
        async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
            return await super().add(job, budget)

        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
            await both.wait()
            return await super().begin_submit(lease, rules, budget)

    async with asyncio.timeout(10), opened(service, journal=Meeting(None)) as client:
        await asyncio.gather(client.submit(REQUEST), client.submit(REQUEST))
    assert 2 == len(service.posts)


async def test_closing_in_a_hurry_leaves_no_intent_behind_that_nobody_acts_on(tmp_path: Path) -> None:
    """The record of it was slower than closing waits: nothing was sent, so the job is not in doubt."""
    service = a_service()

    class Slow(InlineJournal):
        async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
            lease = await super().add(job, budget, rules)
            await service.clock.sleep(7.0)
            return lease

    closing = AsyncExitStack()
    client = await closing.enter_async_context(opened(service, journal=Slow(tmp_path / "jobs.db")))
    submit = asyncio.create_task(client.submit(REQUEST))
    for _ in range(200):
        await asyncio.sleep(0)
    client._driver.hurry()
    await service.clock.run(closing.aclose())
    with pytest.raises(JournalError, match="was closed"):
        await submit
    async with opened(service, journal=tmp_path / "jobs.db") as client:
        assert JobStatus.PENDING is (await pending(client)).status
    assert [] == service.posts


async def test_a_job_whose_files_are_uploaded_first_is_not_in_doubt_meanwhile(tmp_path: Path) -> None:
    """The intent to submit it comes after the upload."""
    seen: list[JobStatus] = []

    class Uploading(Studio):
        def __init__(self) -> None:
            super().__init__()
            clip, *others = self.provider.models
            rule = ReferenceRule(role=ReferenceRole.STYLE)
            able = attrs.evolve(clip, capabilities=attrs.evolve(clip.capabilities, references=(rule,)))
            self.provider = attrs.evolve(self.provider, models=(able, *others))

        @hookimpl
        def upload(self, file: File) -> str:
            seen.append(client._record.peek("wish").status)  # type: ignore[union-attr]
            return "https://files.example/a.png"

    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    service = a_service(polls=[running()])
    async with opened(service, studio=Uploading()) as client:
        reference = Reference(picture, role=ReferenceRole.STYLE)
        await client.submit(attrs.evolve(REQUEST, references=(reference,)), id="wish")
    assert [JobStatus.PENDING] == seen


async def test_a_job_that_is_sent_at_once_is_recorded_with_the_intent_to() -> None:
    """One write is enough, which is one wait less before the POST."""
    service = a_service(polls=[running()])

    class NoIntents(InlineJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
            raise AssertionError("the intent is recorded for itself")

    async with opened(service, journal=NoIntents(None)) as client:
        await client.submit(REQUEST)
    assert 1 == len(service.posts)


async def test_jobs_that_wait_for_a_limit_are_sent_in_their_order() -> None:
    """One that comes later stands behind them, also when the limit allows another again at that moment."""
    service = a_service(polls=[running()])
    config = a_config(submits_per_minute=1)
    texts = ["the first", "the second", "the third", "the fourth"]
    async with opened(service, config=config) as client:
        tasks = [asyncio.create_task(client.submit(attrs.evolve(REQUEST, prompt=text))) for text in texts[:3]]
        await service.clock.run(tasks[0])
        for _ in range(200):
            await asyncio.sleep(0)
        service.clock.elapsed += 60.5  # the limit allows another, and the first in line has not come to it
        tasks.append(asyncio.create_task(client.submit(attrs.evolve(REQUEST, prompt=texts[3]))))
        await service.clock.run(asyncio.gather(*tasks))
    assert texts == [call.json["prompt"] for call in service.posts]


async def test_a_job_that_stands_in_line_is_cancelled_at_once() -> None:
    """Its turn is not waited for, and it is not sent when that comes."""
    service = a_service(polls=[running()])
    async with opened(service, config=a_config(submits_per_minute=1)) as client:
        submits = [asyncio.create_task(client.submit(REQUEST, id=f"wish-{number}")) for number in range(4)]
        for _ in range(200):
            await asyncio.sleep(0)
        await client.handle("wish-3").cancel()
        assert (0.0, JobStatus.CANCELLED) == (service.clock.elapsed, client.handle("wish-3").job.status)
        await service.clock.run(asyncio.gather(*submits, return_exceptions=True))
    assert 3 == len(service.posts)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_job_that_is_cancelled_while_its_intent_is_recorded_is_not_sent(at_once: bool) -> None:
    """The intent is taken back."""
    service = a_service()
    recording, may_go_on = asyncio.Event(), asyncio.Event()

    class Slow(InlineJournal):
        async def add(self, job: Job, budget: Budget, rules: Sequence[Rule] | None = None) -> Lease | None:
            lease = await super().add(job, budget, rules if at_once else None)
            return await self.wait(lease) if at_once else lease

        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
            return await self.wait(await super().begin_submit(lease, rules, budget))

        async def wait(self, answer: Any) -> Any:
            recording.set()
            await may_go_on.wait()
            return answer

    async with opened(service, journal=Slow(None)) as client:
        submit = asyncio.create_task(client.submit(REQUEST, id="wish"))
        await recording.wait()
        drive = client._driver._drives["wish"]
        drive.stop.set()  # as `cancel` does once it has the lease
        may_go_on.set()
        handle = await submit
        assert (JobStatus.CANCELLED, []) == (handle.job.status, service.posts)


async def test_so_many_posts_are_under_way_at_once() -> None:
    """The others are on record and not in doubt, whatever ends the process; then it is their turn."""
    may_answer = asyncio.Event()

    class Slow(Service):
        async def send(self, call: Call, origin: Origin) -> Reply:
            if call.method == "POST" and not may_answer.is_set():
                waiting.append(call)
                await may_answer.wait()
            return await super().send(call, origin)

    waiting: list[Call] = []
    service = Slow(submits=[accepted()], polls=[running()])
    async with opened(service) as client:
        submits = [asyncio.create_task(client.submit(REQUEST)) for _ in range(130)]
        for _ in range(500):
            await asyncio.sleep(0)
        found = [job.status async for job in client.jobs(limit=200)]
        under_way = len(waiting)
        may_answer.set()
        await service.clock.run(asyncio.gather(*submits))
    assert (100, 100, 30) == (under_way, found.count(JobStatus.SUBMITTING), found.count(JobStatus.PENDING))
    assert 130 == len(service.posts)


async def test_jobs_that_were_refused_come_back_one_after_the_other() -> None:
    """After a pause all are awake at the same moment; the first that is refused again is to keep the others from being sent."""
    asking: list[int] = [0]

    class Counting(InlineJournal):
        async def begin_submit(self, lease: Lease, rules: Sequence[Rule], budget: Budget = Budget()) -> Any:
            asking.append(asking[-1] + 1)
            await asyncio.sleep(0)
            asking.append(asking[-1] - 1)
            return await super().begin_submit(lease, rules, budget)

    service = a_service(submits=[*[REFUSED_CONNECTION] * 10, accepted()], polls=[running()])
    async with opened(service, journal=Counting(None)) as client:
        await service.clock.run(asyncio.gather(*(client.submit(REQUEST) for _ in range(10))))
    assert (20, 1) == (len(service.posts), max(asking))

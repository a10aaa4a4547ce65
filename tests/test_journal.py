"""The journal keeps what was paid for, and lets one driver at a time write it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from jobs import NOON, WallClock, a_job, begun, ended
from places import Another, DatabasePlaces, FilePlaces, Places

from genbridge import (
    Asset,
    BudgetError,
    Certainty,
    Cost,
    Failure,
    ImageRequest,
    JobStatus,
    JournalError,
    Limits,
    Media,
    Quote,
)
from genbridge.budgets import Budget, Usage, Used
from genbridge.databases import DatabaseUrl
from genbridge.durations import Key, Learned, Lesson, learn
from genbridge.journal import Attempt, Lease, Paused
from genbridge.journal.sql import SqlJournal
from genbridge.limits import Rule, Wait


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest) -> Places:
    """Return a place for journals, in each of the databases that keep them."""
    if request.param == "sqlite":
        return FilePlaces(request.getfixturevalue("tmp_path") / "state" / "jobs.db")
    return DatabasePlaces(DatabaseUrl.parse(request.getfixturevalue("database")))


@pytest.fixture
def clock() -> WallClock:
    """Return the wall clock of the journals."""
    return WallClock()


@pytest.fixture
async def another(places: Places, clock: WallClock) -> AsyncIterator[Another]:
    """Return what opens a journal at the place, as another process would, some seconds later by every clock but the test's own."""
    opened: list[SqlJournal] = []

    async def open_another(*, later: float = 0.0) -> SqlJournal:
        opened.append(places.journal(clock, later))
        await opened[-1].open()
        return opened[-1]

    yield open_another
    for journal in opened:
        await journal.aclose()


@pytest.fixture
async def journal(another: Another) -> SqlJournal:
    """Return an open journal."""
    return await another()


async def test_a_job_comes_back_as_it_was_recorded(journal: SqlJournal) -> None:
    """Every field of a request survives, local paths and nested options included."""
    await journal.add(a_job(), Budget())
    assert a_job() == await journal.get("job-1")


async def test_an_image_request_comes_back_as_an_image_request(journal: SqlJournal) -> None:
    """The kind of request is kept."""
    job = a_job(request=ImageRequest("a hat", count=2, size="1024x1024"))
    await journal.add(job, Budget())
    assert job == await journal.get("job-1")


async def test_a_job_that_is_not_there_is_none(journal: SqlJournal) -> None:
    """An unknown id is no error of the journal."""
    assert await journal.get("nothing") is None
    assert journal.peek("nothing") is None


async def test_the_end_is_recorded_with_result_and_cost(journal: SqlJournal) -> None:
    """What came out, and what it cost, can be read again."""
    lease, attempt = await begun(journal, a_job())
    assert await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    assert await journal.update(lease, ended(a_job()))
    assert ended(a_job()) == attrs.evolve(await journal.get("job-1"), submitted_at=None)


async def test_the_intent_is_on_record_before_anything_is_sent(journal: SqlJournal) -> None:
    """After `begin_submit` the job is SUBMITTING, for whoever looks."""
    await begun(journal, a_job())
    job = await journal.get("job-1")
    assert job is not None
    assert job.status is JobStatus.SUBMITTING


async def test_the_intent_can_be_recorded_with_the_job(journal: SqlJournal) -> None:
    """It is SUBMITTING at once, and its attempt is one as any: a late answer heals it."""
    lease = await journal.add(a_job(), Budget(), [])
    assert lease is not None
    assert lease.attempt is not None
    job = await journal.get("job-1")
    assert job is not None
    assert job.status is JobStatus.SUBMITTING
    await journal.unknown(lease, job)
    assert await journal.submitted(lease.attempt, a_job(status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    assert "p1" == (await journal.get("job-1")).provider_id


async def test_an_intent_that_has_to_wait_is_not_recorded_with_the_job(journal: SqlJournal) -> None:
    """The job is, and the one before it counts for the limit; one that is on record already counts once."""
    limits = [Rule(limits=Limits(submits=2))]
    for number in (1, 2):
        lease = await journal.add(a_job(number), Budget(), limits)
        assert lease is not None
        assert lease.attempt is not None
        assert await journal.add(a_job(number), Budget(), limits) is None
    third = await journal.add(a_job(3), Budget(), limits)
    assert Lease("job-3", 1) == third
    assert JobStatus.PENDING is (await journal.get("job-3")).status
    assert Wait(60.0, "at most 2 submits in 60 s") == await journal.begin_submit(third, limits)


async def test_a_job_is_submitted_only_once(journal: SqlJournal) -> None:
    """A second `begin_submit` of a job under way gets nothing."""
    lease, _ = await begun(journal, a_job())
    assert await journal.begin_submit(lease, []) is None


async def test_a_refused_job_may_be_submitted_again(journal: SqlJournal) -> None:
    """A refusal takes the job back to PENDING."""
    lease, attempt = await begun(journal, a_job())
    await journal.refused(attempt)
    assert isinstance(await journal.begin_submit(lease, []), Attempt)


async def test_a_late_refusal_heals_an_unknown_job(journal: SqlJournal) -> None:
    """Who was to send it knows that it has not, whoever doubted that meanwhile; another attempt's refusal says nothing."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job(failure=Failure(message="the program ended")))
    await journal.refused(Attempt("job-1", "another"))
    unknown = await journal.get("job-1")
    assert unknown is not None
    assert JobStatus.UNKNOWN is unknown.status
    await journal.refused(attempt)
    assert a_job() == await journal.get("job-1")
    assert isinstance(await journal.begin_submit(lease, []), Attempt)


async def test_a_late_answer_heals_an_unknown_job(journal: SqlJournal) -> None:
    """The right attempt token records the service's id although the job was given up as unknown."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job(failure=Failure(message="no answer")))
    healed = a_job(status=JobStatus.RUNNING, provider_id="p1")
    assert await journal.submitted(attempt, healed)
    assert healed == await journal.get("job-1")


async def test_an_unknown_job_says_why(journal: SqlJournal) -> None:
    """The reason is on record."""
    lease, _ = await begun(journal, a_job())
    await journal.unknown(lease, a_job(failure=Failure(message="no answer")))
    job = await journal.get("job-1")
    assert job is not None
    assert (JobStatus.UNKNOWN, Failure(message="no answer")) == (job.status, job.failure)


async def test_a_wrong_attempt_token_changes_nothing(journal: SqlJournal) -> None:
    """An answer to another attempt is not taken."""
    await begun(journal, a_job())
    assert not await journal.submitted(Attempt("job-1", "other"), a_job(status=JobStatus.RUNNING, provider_id="p9"))


async def test_an_ended_job_is_not_changed_any_more(journal: SqlJournal) -> None:
    """The end is written once."""
    lease, attempt = await begun(journal, a_job())
    await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    await journal.update(lease, ended(a_job()))
    assert not await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON))


async def test_a_living_drivers_job_cannot_be_taken(journal: SqlJournal, another: Another) -> None:
    """One driver at a time."""
    await journal.add(a_job(), Budget())
    other = await another()
    assert await other.acquire("job-1") is None
    assert await other.unfinished() == []


async def test_a_silent_drivers_job_is_taken_over_and_the_old_lease_writes_nothing(journal: SqlJournal, another: Another) -> None:
    """After half a minute without a sign of life the epoch grows, and the late driver is fenced off."""
    old = await journal.add(a_job(), Budget())
    other = await another(later=31)
    new = await other.acquire("job-1")
    assert new == Lease("job-1", 2)
    assert not await journal.update(old, a_job(status=JobStatus.RUNNING))
    assert await journal.begin_submit(old, []) is None


async def test_a_driver_whose_process_has_gone_is_dead_at_once(journal: SqlJournal, another: Another) -> None:
    """Nobody waits half a minute for a process of this machine that does not run."""
    journal._drivers.name = journal.owner.replace(f":{os.getpid()}:", ":999999999:")
    await journal.beat()
    await journal.add(a_job(), Budget())
    other = await another()
    assert [a_job()] == await other.unfinished()
    assert await other.acquire("job-1") is not None


async def test_a_job_is_taken_with_its_record(journal: SqlJournal, another: Another) -> None:
    """As it stands then; the record is had also where another drives the job, and of an unknown one there is nothing."""
    lease = await journal.add(a_job(), Budget())
    other = await another()
    assert (None, a_job()) == await other.take("job-1")
    assert lease is not None
    await journal.release(lease)
    assert (Lease("job-1", 2), a_job()) == await other.take("job-1")
    assert (None, None) == await other.take("nothing")


async def test_closing_lets_the_jobs_go(journal: SqlJournal, another: Another) -> None:
    """What a closed client left unfinished can be taken at once, with its attempt."""
    _, attempt = await begun(journal, a_job())
    await journal.aclose()
    other = await another()
    lease = await other.acquire("job-1")
    assert lease is not None
    assert attempt == lease.attempt


async def test_jobs_are_listed_newest_first_in_pages(journal: SqlJournal) -> None:
    """A page goes on where the last one ended."""
    for number in range(5):
        await journal.add(a_job(number), Budget())
    first = await journal.page(status=None, backend=None, before=None, limit=3)
    last = first[-1]
    rest = await journal.page(status=None, backend="studio", before=(last.created_at.timestamp(), last.id), limit=3)
    assert [job.id for job in [*first, *rest]] == ["job-4", "job-3", "job-2", "job-1", "job-0"]


async def test_jobs_are_listed_by_status_and_backend(journal: SqlJournal) -> None:
    """Filters hold."""
    await journal.add(a_job(1), Budget())
    await begun(journal, a_job(2))
    found = await journal.page(status=JobStatus.SUBMITTING, backend=None, before=None, limit=9)
    assert [job.id for job in found] == ["job-2"]
    assert await journal.page(backend="other", limit=9) == []


async def test_only_unfinished_jobs_are_listed_where_that_is_asked(journal: SqlJournal) -> None:
    """Whatever their status is; those that have ended are left out."""
    await journal.add(a_job(1), Budget())
    await begun(journal, a_job(2))
    _, attempt = await begun(journal, a_job(3))
    await journal.submitted(attempt, ended(a_job(3)))
    assert ["job-2", "job-1"] == [job.id for job in await journal.page(unfinished=True, limit=9)]
    assert ["job-3"] == [job.id for job in await journal.page(status=JobStatus.SUCCEEDED, limit=9)]
    assert [] == await journal.page(status=JobStatus.SUCCEEDED, unfinished=True, limit=9)


async def test_a_job_is_found_by_an_unambiguous_beginning_of_its_id(journal: SqlJournal) -> None:
    """A beginning that two jobs share finds neither, a whole id always finds its job."""
    for number in (1, 10, 2):
        await journal.add(a_job(number), Budget())
    assert journal.peek("job-2") == a_job(2)
    assert journal.peek("job-10") == a_job(10)
    assert journal.peek("job-1") == a_job(1)
    assert journal.peek("job-") is None


async def test_of_the_tries_of_one_job_the_last_is_found(journal: SqlJournal) -> None:
    """By the beginning that they share; each by its own id."""
    for number, name in enumerate(("order-17", "order-17+2", "order-17+10", "order-18")):
        await journal.add(a_job(number, id=name), Budget())
    found = {
        name: job and job.id for name in ("order-17", "order-17+", "order-17+2", "order-1") if (job := journal.peek(name)) or True
    }
    assert {"order-17": "order-17", "order-17+": "order-17+10", "order-17+2": "order-17+2", "order-1": None} == found


async def test_a_job_dearer_than_its_cap_is_not_recorded(journal: SqlJournal) -> None:
    """The quote goes with the error."""
    with pytest.raises(BudgetError, match="most for one job is 99") as caught:
        await journal.add(a_job(), Budget(per_job=99))
    assert a_job().quote == caught.value.quote
    assert await journal.get("job-1") is None


async def test_a_cap_on_credits_refuses_a_price_nobody_knows(journal: SqlJournal) -> None:
    """What cannot be counted cannot be capped."""
    with pytest.raises(BudgetError, match="is not known"):
        await journal.add(a_job(quote=Quote(amount=None)), Budget(per_day=1000))


async def test_the_days_cap_counts_reservations_and_what_was_charged(journal: SqlJournal) -> None:
    """Three hundred credits take two jobs of a hundred, one of which cost ninety, and no more than one other."""
    caps = Budget(per_day=300)
    await journal.add(a_job(1), caps)
    lease, attempt = await begun(journal, a_job(2))
    await journal.submitted(attempt, a_job(2, status=JobStatus.RUNNING, provider_id="p"))
    await journal.update(lease, ended(a_job(2)))
    await journal.add(a_job(3), caps)
    with pytest.raises(BudgetError, match="spent or reserved 290 today"):
        await journal.add(a_job(4), caps)


async def test_a_refused_jobs_reservation_is_released(journal: SqlJournal) -> None:
    """A job that cost nothing does not count."""
    caps = Budget(per_day=100, jobs_per_day=1)
    lease = await journal.add(a_job(1), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.add(a_job(2), caps)
    await journal.update(lease, a_job(1, status=JobStatus.FAILED, finished_at=NOON, cost=Cost(amount=0)))
    await journal.add(a_job(2), caps)


async def test_a_job_that_was_made_for_nothing_counts_as_a_job(journal: SqlJournal) -> None:
    """The caps in jobs are for what is made, and not for what is paid."""
    lease, attempt = await begun(journal, a_job(1))
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1"))
    await journal.update(lease, ended(a_job(1), cost=Cost(amount=0)))
    assert Used(amount=0.0, jobs=1) == (await journal.usage("studio")).ever
    with pytest.raises(BudgetError, match="has had 1 jobs, the most is 1"):
        await journal.add(a_job(2), Budget(jobs=1))


async def test_the_days_cap_on_jobs_counts_them(journal: SqlJournal) -> None:
    """One a day is one a day, and the next day is another."""
    await journal.add(a_job(1), Budget(jobs_per_day=1))
    with pytest.raises(BudgetError, match="has had 1 jobs today"):
        await journal.add(a_job(2), Budget(jobs_per_day=1))


async def test_yesterdays_jobs_do_not_count(journal: SqlJournal, clock: WallClock) -> None:
    """The day begins at midnight, UTC."""
    caps = Budget(per_day=100)
    await journal.add(a_job(1), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.add(a_job(2), caps)
    clock.seconds += 86400
    await journal.add(a_job(2, created_at=NOON + timedelta(days=1)), caps)


async def test_submits_wait_for_the_limit_over_all_jobs_of_a_backend(journal: SqlJournal, clock: WallClock) -> None:
    """Never more than the limit in any window."""
    limits = [Rule(limits=Limits(submits=2, per=60))]
    leases = [await journal.add(a_job(number), Budget()) for number in range(3)]
    for lease in leases[:2]:
        attempt = await journal.begin_submit(lease, limits)
        assert isinstance(attempt, Attempt)
        await journal.refused(attempt)
        clock.seconds += 10
    clock.seconds -= 10
    assert Wait(50.0, "at most 2 submits in 60 s") == await journal.begin_submit(leases[2], limits)
    clock.seconds += 50
    assert isinstance(await journal.begin_submit(leases[2], limits), Attempt)


async def test_a_limit_on_jobs_at_once_counts_what_the_service_works_on(journal: SqlJournal) -> None:
    """A job that ended makes room."""
    limits = [Rule(limits=Limits(concurrent=1))]
    lease, attempt = await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    assert isinstance(await journal.begin_submit(second, limits), Wait)
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p"))
    await journal.update(lease, ended(a_job(1)))
    assert isinstance(await journal.begin_submit(second, limits), Attempt)


async def test_a_pause_holds_every_submit_of_a_backend(journal: SqlJournal, clock: WallClock) -> None:
    """A later, shorter pause does not shorten it, and another backend is not held."""
    await journal.pause("studio", 30, Paused.SUBMITS)
    await journal.pause("studio", 5, Paused.SUBMITS)
    lease = await journal.add(a_job(1), Budget())
    other = await journal.add(a_job(2, backend="spare"), Budget())
    assert Wait(30.0, "the service asked for a pause") == await journal.begin_submit(lease, [])
    assert isinstance(await journal.begin_submit(other, []), Attempt)
    clock.seconds += 30
    assert isinstance(await journal.begin_submit(lease, []), Attempt)


async def test_whoever_asks_while_it_is_being_closed_is_told(journal: SqlJournal) -> None:
    """Nobody waits for an answer that nobody gives any more."""
    closing = asyncio.create_task(journal._store.aclose())
    await asyncio.sleep(0)
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")
    with pytest.raises(JournalError, match="not open"):
        journal.peek("job-1")
    await closing


async def test_a_row_that_cannot_be_read_is_a_journal_error(journal: SqlJournal) -> None:
    """A damaged document is named, not a traceback of the reader."""
    await journal.add(a_job(), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set request = '{}'"))
    with pytest.raises(JournalError, match="cannot be read"):
        await journal.get("job-1")


async def test_a_damaged_row_does_not_hide_the_others(journal: SqlJournal, caplog: pytest.LogCaptureFixture) -> None:
    """Lists leave it out, and the log names it with the service's id."""
    for number in (1, 2):
        await journal.add(a_job(number), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set status = 'weird', provider_id = 'p7' where id = 'job-1'"))
    assert [a_job(2)] == await journal.unfinished()
    assert [a_job(2)] == await journal.page(status=None, backend=None, before=None, limit=9)
    assert any("job-1" in record.getMessage() and "p7" in record.getMessage() for record in caplog.records)


async def test_a_damaged_row_does_not_shorten_a_page(journal: SqlJournal) -> None:
    """A page that is short is the last, and what comes after it would never be seen."""
    for number in range(4):
        await journal.add(a_job(number), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set quote = '{' where id = 'job-2'"))
    assert ["job-3", "job-1"] == [job.id for job in await journal.page(limit=2)]


async def test_a_clock_set_back_does_not_stop_submits_for_long(journal: SqlJournal, clock: WallClock) -> None:
    """Times in the future count as of now."""
    limits = [Rule(limits=Limits(submits=1, per=60))]
    leases = [await journal.add(a_job(number), Budget()) for number in range(2)]
    attempt = await journal.begin_submit(leases[0], limits)
    assert isinstance(attempt, Attempt)
    await journal.refused(attempt)
    clock.seconds -= 3600
    assert Wait(60.0, "at most 1 submits in 60 s") == await journal.begin_submit(leases[1], limits)
    clock.seconds += 60
    assert isinstance(await journal.begin_submit(leases[1], limits), Attempt)


async def test_a_job_in_doubt_counts_as_running_for_half_an_hour(journal: SqlJournal, clock: WallClock) -> None:
    """Then it no longer holds up the others."""
    lease, _ = await begun(journal, a_job(1))
    await journal.unknown(lease, a_job(1))
    second = await journal.add(a_job(2), Budget())
    assert isinstance(await journal.begin_submit(second, [Rule(limits=Limits(concurrent=1))]), Wait)
    clock.seconds += 1802
    assert isinstance(await journal.begin_submit(second, [Rule(limits=Limits(concurrent=1))]), Attempt)


async def test_a_job_let_go_can_be_taken_and_its_old_lease_is_worth_nothing(journal: SqlJournal) -> None:
    """By whoever comes first."""
    lease = await journal.add(a_job(), Budget())
    await journal.release(lease)
    assert await journal.acquire("job-1") == Lease("job-1", 2)
    assert not await journal.update(lease, a_job(status=JobStatus.RUNNING))


async def test_closing_a_journal_that_cannot_be_written_closes_it(journal: SqlJournal, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and the thread ends."""
    await journal._store.do(lambda db: db.execute("drop table drivers"))
    await journal.aclose()
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")
    assert any("cannot be written" in record.getMessage() for record in caplog.records)


async def test_a_job_is_recorded_once(journal: SqlJournal) -> None:
    """Whoever comes second with its id gets no lease, and changes nothing."""
    await journal.add(a_job(), Budget())
    assert await journal.add(a_job(quote=Quote(amount=5.0)), Budget(jobs=1)) is None
    assert a_job() == await journal.get("job-1")


async def test_a_job_counts_for_the_day_on_which_it_is_sent(journal: SqlJournal, clock: WallClock) -> None:
    """And until then for that on which it was recorded, so that no day has more submits than its cap."""
    caps = Budget(jobs_per_day=1)
    waiting = await journal.add(a_job(1), caps)
    assert waiting is not None
    clock.seconds += 86400
    assert Usage(ever=Used(amount=100.0, jobs=1)) == await journal.usage("studio")
    assert isinstance(await journal.begin_submit(waiting, [], caps), Attempt)
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).today
    later = a_job(2, created_at=NOON + timedelta(days=1))
    with pytest.raises(BudgetError, match="has had 1 jobs today"):
        await journal.add(later, caps)


async def test_what_was_recorded_yesterday_is_not_sent_above_the_cap_of_today(journal: SqlJournal, clock: WallClock) -> None:
    """The day may be full by then."""
    caps = Budget(per_day=100)
    waiting = await journal.add(a_job(1), caps)
    assert waiting is not None
    clock.seconds += 86400
    await journal.add(a_job(2, created_at=NOON + timedelta(days=1)), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.begin_submit(waiting, [], caps)


async def test_caps_for_ever_count_all_days(journal: SqlJournal) -> None:
    """Beside those of a day."""
    await journal.add(a_job(1, created_at=NOON - timedelta(days=9)), Budget())
    assert Usage(ever=Used(amount=100.0, jobs=1)) == await journal.usage("studio")
    assert await journal.add(a_job(2), Budget(per_day=100, jobs_per_day=1)) is not None
    for budget in (Budget(total=299), Budget(jobs=2)):
        with pytest.raises(BudgetError):
            await journal.add(a_job(3), budget)


async def test_a_submit_counts_from_its_answer(journal: SqlJournal, clock: WallClock) -> None:
    """Nobody knows when before that it arrived, so a window at the service never has more than is allowed."""
    rules = [Rule(limits=Limits(submits=1, per=60))]
    first = await journal.add(a_job(1), Budget())
    second = await journal.add(a_job(2), Budget())
    attempt = await journal.begin_submit(first, rules)
    assert isinstance(attempt, Attempt)
    clock.seconds += 80
    assert Wait(60.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1"))
    clock.seconds += 59
    assert Wait(1.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    clock.seconds += 1
    assert isinstance(await journal.begin_submit(second, rules), Attempt)


async def test_a_submit_that_nobody_answers_does_not_count_for_ever(journal: SqlJournal, clock: WallClock) -> None:
    """After two minutes it has arrived or never will."""
    rules = [Rule(limits=Limits(submits=1, per=60))]
    await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    clock.seconds += 179
    assert Wait(1.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    clock.seconds += 1
    assert isinstance(await journal.begin_submit(second, rules), Attempt)


@pytest.mark.parametrize(
    ("rule", "subject"),
    [
        (Rule(limits=Limits(submits=1), media=Media.VIDEO), " of videos"),
        (Rule(limits=Limits(submits=1), model="seedance-2.0"), " of seedance-2.0"),
        (Rule(limits=Limits(concurrent=1), media=Media.VIDEO), " of videos"),
        (Rule(limits=Limits(concurrent=1), model="seedance-2.0"), " of seedance-2.0"),
    ],
)
async def test_a_limit_of_a_medium_or_a_model_holds_only_its_own(journal: SqlJournal, rule: Rule, subject: str) -> None:
    """Another of the same backend goes on."""
    await begun(journal, a_job(1))
    same = await journal.add(a_job(2), Budget())
    other = await journal.add(a_job(3, request=ImageRequest("a hat"), model="nano-banana-2"), Budget())
    wait = await journal.begin_submit(same, [rule])
    assert isinstance(wait, Wait)
    assert subject in wait.reason
    narrow = attrs.evolve(rule, media=rule.media and Media.IMAGE, model=rule.model and "nano-banana-2")
    assert isinstance(await journal.begin_submit(other, [narrow]), Attempt)


@pytest.mark.parametrize("other", [{"request": ImageRequest("a hat")}, {"model": "veo-3.1"}])
async def test_a_limit_looks_back_as_far_as_it_says_whatever_else_is_submitted(
    journal: SqlJournal, clock: WallClock, other: dict[str, Any]
) -> None:
    """A job that has a shorter limit, or none, takes nothing from the history of another's."""
    rules = [Rule(limits=Limits(submits=1, per=3600), media=Media.VIDEO, model="seedance-2.0")]
    await begun(journal, a_job(1))
    clock.seconds += 600
    await begun(journal, a_job(2, **other))
    third = await journal.add(a_job(3), Budget())
    assert third is not None
    assert isinstance(await journal.begin_submit(third, rules), Wait)
    clock.seconds += 3120
    assert isinstance(await journal.begin_submit(third, rules), Attempt)


async def test_submits_that_no_limit_counts_any_more_are_forgotten(journal: SqlJournal, clock: WallClock) -> None:
    """So that the record of them does not grow for ever, also of those that an earlier release recorded without their model."""
    await journal._store.do(lambda db: db.execute("insert into submits (backend, at) values ('studio', ?)", (clock.seconds,)))
    for number in range(1, 4):
        await begun(journal, a_job(number))
        clock.seconds += 121
    assert 1 == await journal._store.do(lambda db: db.execute("select count(*) from submits").fetchone()[0])


async def test_of_several_limits_the_longest_wait_is_told(journal: SqlJournal) -> None:
    """So that nobody looks again too soon."""
    await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    rules = [Rule(limits=Limits(concurrent=1)), Rule(limits=Limits(submits=1, per=30))]
    assert Wait(30.0, "at most 1 submits in 30 s") == await journal.begin_submit(second, rules)


async def test_a_pause_is_not_made_longer_by_a_clock_that_is_set_back(journal: SqlJournal, clock: WallClock) -> None:
    """Half a minute stays half a minute."""
    await journal.pause("studio", 30, Paused.POLLS)
    clock.seconds -= 3600
    assert {"studio": 30.0} == await journal.pauses(Paused.POLLS)
    clock.seconds += 31
    assert {} == await journal.pauses(Paused.POLLS)
    assert {} == await journal.pauses(Paused.SUBMITS)


async def test_a_late_answer_heals_a_job_that_was_said_never_to_have_been_sent(journal: SqlJournal) -> None:
    """The service knows better, and the reservation is held again."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job())
    failure = Failure(message="not found", code="not_sent")
    cost = Cost(amount=0.0)
    assert await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON, failure=failure, cost=cost))
    assert Usage() == await journal.usage("studio")
    accepted = a_job(status=JobStatus.QUEUED, provider_id="p1", submitted_at=NOON)
    assert await journal.submitted(attempt, accepted)
    assert accepted == await journal.get("job-1")
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).ever


async def test_a_late_answer_does_not_heal_a_job_that_failed(journal: SqlJournal) -> None:
    """Its end is the service's own word."""
    lease, attempt = await begun(journal, a_job())
    failure = Failure(message="too dark", code="moderated")
    await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON, failure=failure))
    assert not await journal.submitted(attempt, a_job(status=JobStatus.QUEUED, provider_id="p1"))


async def test_a_job_is_found_by_the_services_id(journal: SqlJournal) -> None:
    """On its own backend only."""
    _, attempt = await begun(journal, a_job())
    await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    found = await journal.holder("studio", "p1")
    assert found is not None
    assert found.id == "job-1"
    assert await journal.holder("spare", "p1") is None


async def test_files_that_are_wanted_somewhere_are_on_record_until_they_are_there(journal: SqlJournal, tmp_path: Path) -> None:
    """Once the job has succeeded."""
    lease = await journal.add(a_job(1, save_to=tmp_path), Budget())
    await journal.add(a_job(2), Budget())
    assert lease is not None
    assert [] == await journal.unsaved()
    await journal.update(lease, ended(a_job(1, save_to=tmp_path)))
    assert [tmp_path] == [job.save_to for job in await journal.unsaved()]
    await journal.saved("job-1")
    assert [] == await journal.unsaved()


async def test_a_job_that_had_expired_is_taken_once_and_its_old_lease_is_worth_nothing(journal: SqlJournal) -> None:
    """What it reserves is held, whatever had been presumed of its cost."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    expired = a_job(status=JobStatus.EXPIRED, provider_id="p1", finished_at=NOON, cost=Cost(amount=0.0))
    await journal.update(lease, expired)
    assert Usage() == await journal.usage("studio")
    again = attrs.evolve(expired, status=JobStatus.RUNNING, finished_at=None, cost=None)
    assert Lease("job-1", 2) == await journal.reopen(again)
    assert await journal.reopen(again) is None
    assert not await journal.update(lease, expired)
    assert again == await journal.get("job-1")
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).ever


async def test_fresh_links_go_into_the_record_of_a_job_that_succeeded(journal: SqlJournal) -> None:
    """And nothing else of it changes."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    await journal.update(lease, ended(a_job()))
    before = await journal.get("job-1")
    assert before is not None
    assert before.result is not None
    asset = Asset(url="https://files.example/fresh.mp4", media=Media.VIDEO)
    fresh = attrs.evolve(before, result=attrs.evolve(before.result, assets=(asset,)))
    await journal.refresh(fresh)
    assert fresh == await journal.get("job-1")


async def test_what_was_spent_is_summed_by_day_backend_and_model(journal: SqlJournal) -> None:
    """What is known, what is estimated, what is held, and what nobody knows the price of."""
    for number, cost in ((1, Cost(amount=90.0)), (2, Cost(amount=50.0, certainty=Certainty.ESTIMATED)), (3, Cost(amount=0.0))):
        lease = await journal.add(a_job(number), Budget())
        assert lease is not None
        status = JobStatus.FAILED if cost.amount == 0 else JobStatus.SUCCEEDED
        await journal.update(lease, ended(a_job(number), status=status, cost=cost))
    await journal.add(a_job(4), Budget())
    await journal.add(a_job(5, quote=Quote(amount=None)), Budget())
    await journal.add(a_job(6, backend="spare", created_at=NOON - timedelta(days=2)), Budget())
    spare, studio = await journal.spent(0.0)
    assert ("spare", 1, 0.0, 100.0, NOON.date() - timedelta(days=2)) == (
        spare.backend,
        spare.jobs,
        spare.charged,
        spare.reserved,
        spare.day,
    )
    assert ("studio", "seedance-2.0", Media.VIDEO, "credits") == (studio.backend, studio.model, studio.media, studio.unit)
    assert (5, 140.0, 50.0, 100.0, 1) == (studio.jobs, studio.charged, studio.estimated, studio.reserved, studio.unpriced)
    assert [studio] == await journal.spent(NOON.timestamp())


async def test_a_late_answer_goes_before_what_a_person_found(journal: SqlJournal) -> None:
    """They took another job for it."""
    lease, attempt = await begun(journal, a_job())
    assert await journal.settle(lease, a_job(status=JobStatus.QUEUED, provider_id="another", submitted_at=NOON))
    own = a_job(status=JobStatus.QUEUED, provider_id="p1", submitted_at=NOON)
    assert await journal.submitted(attempt, own)
    assert own == await journal.get("job-1")
    assert not await journal.settle(attrs.evolve(lease, epoch=7), own)


async def test_a_job_that_nobody_follows_holds_its_place_for_half_an_hour(
    journal: SqlJournal, another: Another, clock: WallClock
) -> None:
    """One that somebody follows holds it for as long as it runs."""
    rules = [Rule(limits=Limits(concurrent=1))]
    other = await another()
    _, attempt = await begun(journal, a_job(1))
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    second = await other.add(a_job(2), Budget())
    assert second is not None
    clock.seconds += 1801
    await journal.beat()
    assert isinstance(await other.begin_submit(second, rules), Wait)
    await journal.aclose()
    clock.seconds -= 10
    assert isinstance(await other.begin_submit(second, rules), Wait)
    clock.seconds += 10
    assert isinstance(await other.begin_submit(second, rules), Attempt)


async def test_half_an_hour_of_waiting_takes_nothing_from_a_jobs_place(
    journal: SqlJournal, another: Another, clock: WallClock
) -> None:
    """One whose process dies in its POST may run at the service from then on, however long it had waited to be sent."""
    rules = [Rule(limits=Limits(concurrent=1))]
    waiting = await journal.add(a_job(1), Budget())
    assert waiting is not None
    clock.seconds += 1900
    assert isinstance(await journal.begin_submit(waiting, rules), Attempt)
    await journal.aclose()
    other = await another()
    second = await other.add(a_job(2), Budget())
    assert second is not None
    clock.seconds += 1799
    assert isinstance(await other.begin_submit(second, rules), Wait)
    clock.seconds += 1
    assert isinstance(await other.begin_submit(second, rules), Attempt)


async def test_a_journal_is_used_by_the_process_that_opened_it(journal: SqlJournal) -> None:
    """Another, forked off, would wait for a thread that it does not have."""
    journal._store._pid += 1
    with pytest.raises(JournalError, match="was opened by another process; open one in each"):
        await journal.get("job-1")
    journal._store._pid -= 1


# How long jobs take.

KEY = Key("meigen", "seedance-2-0", "video", "- 5")


async def test_what_a_job_teaches_is_kept_with_its_end(journal: SqlJournal) -> None:
    """By what it is of, and going on from what was known."""
    for number in (1, 2):
        lease = await journal.add(a_job(number), Budget())
        assert lease is not None
        assert await journal.update(lease, ended(a_job(number)), [Lesson(KEY, 60.0, 63.0)])
    expected = learn(learn(None, 60.0, 63.0), 60.0, 63.0)
    assert ({KEY: expected}, expected) == (await journal.durations(), await journal.learned(KEY))
    assert await journal.learned(attrs.evolve(KEY, variant="720p 5")) is None


async def test_a_driver_that_lost_its_job_teaches_nothing(journal: SqlJournal) -> None:
    """Its end is not recorded either."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    assert not await journal.update(attrs.evolve(lease, epoch=7), ended(a_job()), [Lesson(KEY, 60.0, 63.0)])
    assert {} == await journal.durations()


@pytest.mark.parametrize("row", [Learned(0.0, 4.5), Learned(-3.0, 4.5), Learned(2.0, 1e300), Learned(5.0, 4.5, -100.0)])
async def test_a_damaged_row_does_not_keep_an_end_from_being_recorded(journal: SqlJournal, row: Learned) -> None:
    """The job is paid for."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    values = (*attrs.astuple(KEY), *attrs.astuple(row))
    await journal._store.do(lambda db: db.execute("insert into durations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values))
    assert await journal.update(lease, ended(a_job()), [Lesson(KEY, 60.0, 63.0)])
    job = await journal.get("job-1")
    assert job is not None
    assert JobStatus.SUCCEEDED is job.status
    assert {KEY: learn(None, 60.0, 63.0)} == await journal.durations()

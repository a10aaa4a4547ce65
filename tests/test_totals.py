"""What was spent is always the sum over the jobs on record, whatever became of them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studio import InlineJournal
from walk import Walk

from genbridge import Certainty, Cost, ImageRequest, Job, JobStatus, Media, Quote, VideoRequest
from genbridge.budgets import Budget, Usage, Used
from genbridge.journal import Attempt
from genbridge.types import Spent

FIXTURES = Path(__file__).parent / "fixtures"
NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0)
DAY = 86400.0

SUMS = """
select cast(created / 86400 as integer) as day, backend, provider, model, media, unit, count(*) as jobs,
  total(charged) as charged,
  total(case when cost like '%"certainty"%' then charged end) as estimated,
  total(case when held and charged is null and finished is null then reserved end) as reserved,
  count(case when held and coalesce(charged, reserved) is null then 1 end) as unpriced
from jobs where created >= ? group by backend, provider, model, media, unit, day
"""
USED = """
select total(coalesce(charged, reserved)), count(*) from jobs
where backend = ? and held and coalesce(intended, created) >= ? and id != ?
"""

AMOUNTS = st.sampled_from([None, 0.0, 0.1, 0.2, 1 / 3, 7.0, 1234.5])
STEPS = st.sampled_from(["begin", "unknown", "accepted", "progress", "done", "refunded", "not_sent", "adopted", "forget"])
MOVES = st.lists(st.tuples(st.integers(0, 4), STEPS, AMOUNTS, st.sampled_from(Certainty)), max_size=30)
NEW = st.tuples(st.sampled_from(["studio", "spare"]), st.sampled_from([Media.IMAGE, Media.VIDEO]), st.integers(0, 2), AMOUNTS)


def a_job(number: int, backend: str, media: Media, days: int, amount: float | None) -> Job:
    """Return a job that has not been sent."""
    return Job(
        id=f"job-{number}",
        key=f"key-{number}",
        backend=backend,
        provider="meigen",
        model="seedance-2.0",
        provider_model="seedance-2-0",
        request=VideoRequest("a fox") if media is Media.VIDEO else ImageRequest("a fox"),
        status=JobStatus.PENDING,
        quote=Quote(amount=amount),
        created_at=NOON - timedelta(days=days),
    )


def rows(journal: InlineJournal, statement: str, *values: Any) -> list[sqlite3.Row]:
    """Return the rows of a statement."""
    return journal._store.look_now(lambda db: db.execute(statement, values).fetchall())


def same(expected: Mapping[str, Any], spent: Spent) -> bool:
    """Whether what was spent is what was added up, to a hundred thousandth of a credit."""
    day = (spent.day - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    found = attrs.asdict(spent) | {"day": day}
    return all(
        found[name] == pytest.approx(value, abs=1e-5) if isinstance(value, float) else found[name] == value
        for name, value in dict(expected).items()
    )


def key(spent: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells one sum from another."""
    return tuple(str(spent[name]) for name in ("day", "backend", "provider", "model", "media", "unit"))


async def check_spent(journal: InlineJournal, since: float) -> None:
    """Compare what was spent since a time with the sum over the rows."""
    expected = sorted(rows(journal, SUMS, since), key=key)
    found = sorted(await journal.spent(since), key=lambda spent: key(attrs.asdict(spent)))
    assert len(expected) == len(found)
    assert all(same(row, spent) for row, spent in zip(expected, found, strict=True)), (list(map(dict, expected)), found)


async def check_used(journal: InlineJournal, backend: str) -> None:
    """Compare what counts against caps with the sum over the rows."""
    today, ever = (rows(journal, USED, backend, since, "")[0] for since in (MIDNIGHT.timestamp(), 0.0))
    usage = await journal.usage(backend)
    assert (today[1], ever[1]) == (usage.today.jobs, usage.ever.jobs)
    assert pytest.approx((today[0], ever[0]), abs=1e-5) == (usage.today.amount, usage.ever.amount)


async def check(journal: InlineJournal, backends: Sequence[str]) -> None:
    """Compare everything that is kept ready with the sum over the rows."""
    for since in (0.0, MIDNIGHT.timestamp(), MIDNIGHT.timestamp() - DAY, MIDNIGHT.timestamp() - DAY / 2 - 1, NOON.timestamp()):
        await check_spent(journal, since)
    for backend in backends:
        await check_used(journal, backend)


@settings(max_examples=60, deadline=None)
@given(new=st.lists(NEW, min_size=1, max_size=5), moves=MOVES)
def test_totals_are_the_sum_over_the_jobs(new: list[tuple[str, Media, int, float | None]], moves: list[Any]) -> None:
    """After every step: reserved, charged, refunded, in doubt, healed by a late answer, settled by hand, removed."""

    async def walk() -> None:
        journal = InlineJournal(None, now=NOON.timestamp)
        await journal.open()
        walked = Walk(journal)
        for number, values in enumerate(new):
            await walked.add(a_job(number, *values))
        await check(journal, ["studio", "spare"])
        for number, name, amount, certainty in moves:
            await walked.step(f"job-{number % len(new)}", name, Cost(amount=amount, certainty=certainty))
            await check(journal, ["studio", "spare"])
        await journal.aclose()

    asyncio.run(walk())


@pytest.fixture
async def journal() -> Any:
    """Return an open journal in memory."""
    journal = InlineJournal(None, now=NOON.timestamp)
    await journal.open()
    yield journal
    await journal.aclose()


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    """Copy the journal that the first release left."""
    return Path(shutil.copy(FIXTURES / "journal-0.1.0.db", tmp_path / "jobs.db"))


@pytest.mark.parametrize("change", ["backend = 'other'", "created = created - 86400", "model = 'veo-3.1'", "unit = 'points'"])
async def test_a_row_that_somebody_changes_by_hand_moves_its_share(journal: InlineJournal, change: str) -> None:
    """Whoever writes to the file, the totals go with it."""
    for number in range(3):
        assert await journal.add(a_job(number, "studio", Media.VIDEO, 0, 10.0), Budget())
    await journal._store.do(lambda db: db.execute(f"update jobs set {change} where id = 'job-1'"))
    await check(journal, ["studio", "other"])


async def test_a_thousand_tenths_are_a_hundred(journal: InlineJournal) -> None:
    """To the last digit, also after as many were given back."""
    leases = [await journal.add(a_job(number, "studio", Media.VIDEO, 0, 0.1), Budget()) for number in range(1000)]
    assert Used(amount=100.0, jobs=1000) == (await journal.usage("studio")).ever
    for number, lease in enumerate(leases):
        job = a_job(number, "studio", Media.VIDEO, 0, 0.1)
        assert lease is not None
        await journal.update(lease, attrs.evolve(job, status=JobStatus.FAILED, finished_at=NOON, cost=Cost(amount=0)))
    assert Usage() == await journal.usage("studio")


async def test_nonsense_of_a_service_spoils_no_sum(journal: InlineJournal) -> None:
    """The end of a job is recorded, and when its price is put right, the sum is too."""
    job = a_job(1, "studio", Media.VIDEO, 0, 10.0)
    assert await journal.add(a_job(2, "studio", Media.VIDEO, 0, 0.25), Budget())
    lease = await journal.add(job, Budget())
    assert lease is not None
    for amount in (float("inf"), 1e300, -1e300, float("nan")):
        assert await journal.update(lease, attrs.evolve(job, status=JobStatus.RUNNING, cost=Cost(amount=amount)))
    assert await journal.update(lease, attrs.evolve(job, status=JobStatus.SUCCEEDED, finished_at=NOON, cost=Cost(amount=9.0)))
    assert Used(amount=9.25, jobs=2) == (await journal.usage("studio")).ever


async def test_a_cost_that_cannot_be_read_is_counted(journal_file: Path) -> None:
    """It hides neither the others nor what is charged by its own column, also as the journal is brought up to date."""
    with closing(sqlite3.connect(journal_file)) as db, db:
        db.execute("delete from jobs where id != (select min(id) from jobs where charged > 0)")
        db.execute("update jobs set cost = 'not json', charged = 4.0")
    journal = InlineJournal(journal_file)
    await journal.open()
    (spent,) = await journal.spent(0.0)
    await journal.aclose()
    assert (4.0, 0.0, 0.0) == (spent.charged, spent.estimated, spent.reserved)


async def test_a_jobs_own_reservation_does_not_count_against_its_submit(journal: InlineJournal) -> None:
    """Neither today's nor an older one's; others' do, for the day on which they are sent."""
    always = Budget(total=20.0, jobs=2)
    budgets = (attrs.evolve(always, per_day=10.0, jobs_per_day=1), always)
    jobs = [a_job(number, "studio", Media.VIDEO, days, 10.0) for number, days in enumerate((0, 1))]
    leases = [await journal.add(job, budget) for job, budget in zip(jobs, budgets, strict=True)]
    for lease, budget in zip(leases, budgets, strict=True):
        assert lease is not None
        assert isinstance(await journal.begin_submit(lease, [], budget), Attempt)


async def test_totals_of_a_journal_that_is_brought_up_to_date_are_the_sum_over_its_jobs(journal_file: Path) -> None:
    """With every kind of job that the first release wrote."""
    with closing(sqlite3.connect(journal_file)) as db:
        backends = [backend for (backend,) in db.execute("select distinct backend from jobs")]
        last = db.execute("select max(created) from jobs").fetchone()[0]
    journal = InlineJournal(journal_file, now=MIDNIGHT.timestamp)
    await journal.open()
    for since in (0.0, last // DAY * DAY, last):
        await check_spent(journal, since)
    for backend in backends:
        await check_used(journal, backend)
    await journal.aclose()

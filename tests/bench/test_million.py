"""The simulation of a million jobs a day holds to what is known of queues, and the page has its figures."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "million-jobs-a-day.md"

# The simulation is a script.
sys.path.insert(0, str(HERE))

from costs import WRITES, Costs, Write, of_fleet  # noqa: E402 (as above)
from million import HOURS, MILLION, RECORDED, flight, made, paged, rate  # noqa: E402 (as above)
from queues import Clock, Fleet, Lock, Setup, Writer  # noqa: E402 (as above)


@pytest.fixture(scope="module")
def costs() -> Costs:
    """Return the costs that the page was written from."""
    return Costs.read(RECORDED)


def of_a_write(costs: Costs) -> Costs:
    """Return costs of which each is a millisecond."""
    same = {name: Write(ms=1.0, trips=1) for name in WRITES}
    return attrs.evolve(costs, commit_ms=0.5, claim_ms=1.0, sweep_ms=0.0, sweep_job_ms=0.0, capped_job_ms=0.0, **same)


def test_the_page_has_what_the_simulation_prints(costs: Costs) -> None:
    """From the costs on record; `million.py --write` writes it anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == paged(text, made(costs))


def test_a_day_has_all_of_its_jobs() -> None:
    """And each that is in flight is counted for as long as it takes."""
    assert MILLION == pytest.approx(sum(rate(hour / sum(HOURS)) * 3600 for hour in HOURS))
    assert pytest.approx(180 * 1.133, rel=0.001) == flight(1.0)


def test_a_lock_is_held_by_one_after_another() -> None:
    """In the order in which they asked, and for as long as each wants."""
    clock, ended = Clock(), []
    lock = Lock(clock)
    for seconds in (3.0, 1.0, 2.0):
        lock.hold(seconds, lambda: ended.append(clock.now))
    clock.run(100.0)
    assert ([3.0, 4.0, 6.0], 6.0) == (ended, lock.busy)


def test_what_is_asked_meanwhile_goes_into_the_next_transaction(costs: Costs) -> None:
    """So that three writes of one process are two transactions."""
    clock, ended = Clock(), []
    writer = Writer(clock, Lock(clock), of_a_write(costs), Setup(workers=1, clients=1))
    for _ in range(3):
        writer.ask(0.001, lambda: ended.append(round(clock.now, 6)))
        clock.run(clock.now + 0.0005)
    clock.run(1.0)
    # The lock and a write, then a moment for more to come, the lock, and two writes.
    assert ([0.002, 0.007, 0.007], 2, 3) == (ended, writer.transactions, writer.writes)


def test_a_job_that_is_alone_waits_for_four_writes_and_a_claim(costs: Costs) -> None:
    """For nothing else, and for the service not at all."""
    fleet = Fleet(of_a_write(costs), Setup(workers=1, clients=1, loop=0.003), flight=0.0)
    fleet.submit(0)
    fleet.clock.run(10.0)
    # Each write is a transaction of its own, and before the second of the worker others are waited for.
    assert {0: pytest.approx(4 * 0.002 + 0.001 + 0.002 + 0.003)} == fleet.waits


def test_the_lock_is_held_for_what_the_writes_take(costs: Costs) -> None:
    """As long as there is no queue, each write is a transaction."""
    found = Fleet(of_a_write(costs), Setup(workers=2, clients=2), flight=0.0).steady(10.0, 300.0)
    assert pytest.approx(10.0 * 6 * 0.002, rel=0.1) == found.busy
    assert found.keeps_up


def test_more_than_the_lock_lets_through_falls_behind(costs: Costs) -> None:
    """However many writes go into one transaction."""
    found = Fleet(of_a_write(costs), Setup(workers=2, clients=2), flight=0.0).steady(250.0, 20.0)
    assert (1.0, False) == (pytest.approx(found.busy, abs=0.01), found.keeps_up)


@pytest.mark.parametrize("worse", [{"trip": 0.001}, {"commit": 0.01}, {"capped": True}])
def test_what_is_farther_or_slower_or_counted_holds_the_lock_for_longer(costs: Costs, worse: dict[str, float]) -> None:
    """A way to the database, a disk, and a cap on jobs at once."""
    near = Setup(workers=2, clients=2)
    busy = [Fleet(costs, setup, flight=4000.0).steady(10.0, 30.0).busy for setup in (near, attrs.evolve(near, **worse))]
    assert busy[0] < busy[1]


def test_a_worker_does_no_more_than_its_core_can(costs: Costs) -> None:
    """Which two can do together is more."""
    setups = [Setup(workers=workers, clients=1, loop=0.02) for workers in (1, 2)]
    assert [False, True] == [Fleet(costs, setup, flight=0.0).steady(60.0, 30.0).keeps_up for setup in setups]


def test_jobs_of_a_dead_worker_are_claimed_one_after_another(costs: Costs) -> None:
    """By those that are left, each by itself."""
    slow = attrs.evolve(of_a_write(costs), claim_ms=20.0)
    times = [Fleet(slow, Setup(workers=workers, clients=1), flight=0.0).taken(500, 0.1) for workers in (1, 4)]
    assert [pytest.approx(10.0, rel=0.05), pytest.approx(2.5, rel=0.1)] == times


def test_costs_are_taken_from_the_benchmark_of_the_fleet() -> None:
    """Without those of the polls, which depend on how often a job is asked for."""
    shared = dict.fromkeys(("client", "server", "commits", "inserted", "updated", "deleted", "wal", "idle worker"), 1.0)
    found = {
        "middle": {
            "a worker, on PostgreSQL": {**shared, "worker": 9.0, "polls": 20.0},
            "latency": {"known p50": 20.04},
            "memory": {"empty": 40.0, "megabytes": 90.0, "in flight": 5000},
        }
    }
    polled = {"rounds": {"10000": {"genbridge": [{"cpu": 2.0, "polls": 10000}]}}}
    taken = of_fleet(found, polled)
    assert (5.0, 0.2, 10_000) == (taken["worker_ms"], taken["poll_ms"], taken["flight_bytes"])


def test_the_costs_on_record_are_all_there_are() -> None:
    """So that none is left that nothing reads."""
    assert {field.name for field in attrs.fields(Costs)} == set(json.loads(RECORDED.read_text(encoding="utf-8")))


async def test_old_jobs_are_deleted_as_the_page_says(database: str) -> None:
    """Those that have ended, and no other."""
    from weigh import STEPS, opened, some

    async with opened(database) as journal:
        jobs = some(journal, 3)
        jobs.jobs = [
            attrs.evolve(job, created_at=job.created_at - timedelta(days=days))
            for job, days in zip(jobs.jobs, (100, 100, 80), strict=True)
        ]
        old, unfinished, new = jobs.jobs
        for step in STEPS[:-1]:
            await journal.held(jobs.steps(step), together=True)
        for job in (old, new):
            await jobs.end(job)
        (statement,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        await journal._store.do(lambda db: db.execute(statement))
        assert {unfinished.id, new.id} == {job.id for job in await journal.page(limit=10)}


_AT_ONCE = {"begin": 1, "hand_in": 1, "take": 0, "intend": 1, "accepted": 1, "seen": 0, "end": 0}
_ONE_BY_ONE = {"begin": 3, "hand_in": 2, "take": 1, "intend": 3, "accepted": 2, "seen": 1, "end": 1}


@pytest.mark.parametrize(("ahead", "expected"), [(True, _AT_ONCE), (False, _ONE_BY_ONE)])
async def test_ways_to_the_database_are_counted(
    database: str, monkeypatch: pytest.MonkeyPatch, ahead: bool, expected: dict[str, int]
) -> None:
    """As many as a write waits for, and for each transaction those that are its own."""
    from weigh import opened, ways_of_each

    from genbridge.journal.postgres import connection

    if ahead and not connection._CAN_GO_AHEAD:
        pytest.skip("psycopg is too old to ask ahead")
    monkeypatch.setattr(connection, "_CAN_GO_AHEAD", ahead)
    async with opened(database) as journal:
        ways = await ways_of_each(journal)
    assert set(WRITES) == set(ways)
    # The intent also forgets old submits, and records that one begins.
    assert expected == ways

"""What a million jobs a day needs, by simulation from measured costs; seeded, and without any service.

    python tests/bench/million.py --write docs/explanation/million-jobs-a-day.md

prints the tables from the costs in `million.json`, and writes the page. `--measure` measures anew what the journal costs where
there is a PostgreSQL, and `--fleet FILE` takes what workers cost from the JSON of `fleet.py`; both are kept in `million.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import ceil, inf, log
from pathlib import Path
from random import Random
from typing import NamedTuple

import attrs
import schedule
from costs import WRITES, Costs, of_fleet
from queues import PLACES, POST, SWEEP, Fleet, Found, Setup

from genbridge.durations import Learned
from genbridge.journal.drivers import DEAD_AFTER
from genbridge.plugins import installed
from genbridge.polling import PollPolicy
from genbridge.watching import _LOOK as LOOK

RECORDED = Path(__file__).parent / "million.json"
POLLED = Path(__file__).parent / "recorded.json"

MILLION = 1_000_000
DAY = 86400.0
HOURS = (6, 4, 3, 2, 2, 3, 5, 8, 11, 13, 14, 15, 15, 14, 14, 14, 15, 17, 19, 21, 22, 20, 15, 9)
"""How many of a day's jobs come in each of its hours, to one another: few at night, most in the evening."""
MEDIAN = 180.0
"""Seconds that jobs take in the median."""
SPREAD = 0.5
"""That of the logarithm: two of three jobs take between 109 and 297 s."""
INTERVAL = 3.0
"""Seconds between two polls that a service documents."""
WORKERS = 2
CLIENTS = 10
"""Processes that hand jobs in, and watch them."""
HALF = 0.5
"""How much of a core a worker is to be busy at the most, so that it is in time."""
ENOUGH = 1.0
"""Seconds that all but one job in a hundred may wait for genbridge."""
COMMITS_ALONE = len(WRITES) + 1
"""Of a job, where no transaction has two writes: one for each write, one to claim the ticket, and one to give it back."""
SIMULATED = 1000
"""Jobs of one load."""
LEAST = 4.0
"""Seconds of one load, if that makes more jobs."""
DAYS = (1, 7, 30, 365)
TRIPS = (0.0, 0.2, 0.5, 1.0)
"""Milliseconds to the database and back, beyond those of loopback."""
COMMITS = (5.0,)
"""Milliseconds that a commit may take elsewhere."""
TIMES = (1, 2, 4, 8, 16)
"""Loads, in millions a day."""
BURST = 10_000


class Table(NamedTuple):
    """A table of the page."""

    heading: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]


JOBS = schedule.Jobs(MEDIAN, SPREAD)


@cache
def polls() -> float:
    """Return how often a job is asked for, once it is known how long such jobs take."""
    learned = Learned(20.0, log(MEDIAN), 20 * SPREAD**2)
    return schedule.cost(PollPolicy(interval=INTERVAL), learned, JOBS, Random(1), probes=20).polls


def rate(share: float = 1 / len(HOURS), millions: float = 1) -> float:
    """Return jobs a second in an hour that has that share of a day's."""
    return millions * MILLION * share / (DAY / len(HOURS))


PEAK = max(HOURS) / sum(HOURS)


def flight(jobs: float) -> float:
    """Return how many jobs are in flight at so many a second, in the mean."""
    return jobs * JOBS.mean


def worker_cpu(costs: Costs, jobs: float) -> float:
    """Return how many cores the workers need together."""
    return jobs * (costs.worker_ms + polls() * costs.poll_ms) / 1000


def database_cpu(costs: Costs, jobs: float) -> float:
    """Return how many cores the database needs, with what is looked for although nothing was told.

    What a job costs was measured with many at once, and so with more writes in a transaction than there are on a usual day.
    """
    more = max(0.0, COMMITS_ALONE - costs.commits) * costs.transaction_ms
    return (jobs * (costs.database_ms + more) + flight(jobs) / LOOK * costs.look_ms) / 1000


def enough(costs: Costs, jobs: float) -> int:
    """Return how many workers are enough, with one of them dead."""
    return 1 + ceil(worker_cpu(costs, jobs) / HALF)


def simulated(costs: Costs, jobs: float, setup: Setup) -> Found:
    """Return what a steady load comes to."""
    return Fleet(costs, setup, flight(jobs)).steady(jobs, max(LEAST, SIMULATED / jobs))


def setup_of(costs: Costs, jobs: float, workers: int) -> Setup:
    """Return what is there, of whose workers each is busy with polls too."""
    polled = min(0.9, jobs * polls() * costs.poll_ms / 1000 / workers)
    return Setup(workers=workers, clients=CLIENTS, loop=costs.worker_ms / 1000 / (1 - polled))


def carried(costs: Costs, setup: Setup) -> float:
    """Return the most jobs a second that the lock lets through, to a twentieth, where nothing else is in the way.

    All but one in a hundred wait less than a second for genbridge.
    """
    costs, setup = attrs.evolve(costs, claim_ms=0.0), attrs.evolve(setup, places=inf)
    most = 1 / sum(setup.write(getattr(costs, name)) for name in WRITES if name != "begin")
    low, high = most / 8, most
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if fits(costs, middle, setup) else (low, middle)
    return low


def fits(costs: Costs, jobs: float, setup: Setup) -> bool:
    """Whether all but one job in a hundred wait less than a second."""
    found = simulated(costs, jobs, setup)
    return not found.lost and found.wait(0.99) < ENOUGH


# The tables.


def needs(costs: Costs) -> Table:
    """Return what a million jobs a day needs."""
    mean, peak = rate(), rate(PEAK)
    workers = enough(costs, peak)
    memory = costs.worker_bytes + flight(peak) / (workers - 1) * costs.flight_bytes
    connections = workers * costs.worker_connections + CLIENTS * costs.client_connections
    rows = [
        ("workers, so that with one of them dead the others are half busy at the peak", f"{workers}"),
        ("memory of each then", f"{memory / 1e6:,.0f} MB"),
        (f"connections, with {CLIENTS} processes that submit", f"{connections:,.0f}"),
        ("cores of the database, in the mean and at the peak", f"{database_cpu(costs, mean):.2f}, {database_cpu(costs, peak):.2f}"),
        ("commits a second, in the mean and at the peak", f"{mean * COMMITS_ALONE:,.0f}, {peak * COMMITS_ALONE:,.0f}"),
        (
            "rows a day: inserted, updated, deleted",
            ", ".join(_millions(each) for each in (costs.inserted, costs.updated, costs.deleted)),
        ),
        ("write-ahead log a day", _size(MILLION * costs.wal_bytes)),
        ("what listeners are told a second at the peak", f"{peak * costs.notices:,.0f} changes, to each of {CLIENTS} processes"),
        ("a submit by itself, as it was measured, with a service that answers at once", f"{costs.known_ms:.0f} ms"),
        ("accounts at MeiGen, by its documented limit, in the mean and at the peak", _accounts(mean, peak)),
    ]
    return Table("needs", ("for a million jobs a day", ""), rows)


def hours(costs: Costs) -> Table:
    """Return how a day goes."""
    head = ("hour", "jobs/s", "in flight", "polls/s", "cores: workers", "database", "lock held", "wait, median", "one in a hundred")
    return Table("a day", head, [_hour(costs, hour) for hour in (3, 8, 12, 20)])


def _hour(costs: Costs, hour: int) -> Sequence[str]:
    jobs = rate(HOURS[hour] / sum(HOURS))
    found = simulated(costs, jobs, setup_of(costs, jobs, WORKERS))
    loads = (
        f"{jobs:.1f}",
        f"{flight(jobs):,.0f}",
        f"{jobs * polls():,.0f}",
        f"{worker_cpu(costs, jobs):.2f}",
        f"{database_cpu(costs, jobs):.2f}",
    )
    return (f"{hour}:00", *loads, f"{found.busy:.0%}", _ms(found.wait(0.5)), _ms(found.wait(0.99)))


def _accounts(jobs: float, peak: float) -> str:
    limits = installed.load("meigen").provider.limits
    assert limits is not None
    assert limits.submits is not None
    each = limits.submits / limits.per
    return f"{ceil(jobs / each)}, {ceil(peak / each)}"


def disk(costs: Costs) -> Table:
    """Return what is kept."""
    kept = [
        (f"`{name}`" if name != "rows" else "the rows", size)
        for name, size in sorted(costs.kept.items(), key=lambda each: -each[1])
    ]
    rows = [
        (name, f"{size:,.0f}", *(_size(size * MILLION * days) for days in DAYS))
        for name, size in [*kept, ("in all", sum(costs.kept.values()))]
    ]
    return Table("disk", ("the table of jobs", "bytes a job", *(f"{days} day{'s' * (days > 1)}" for days in DAYS)), rows)


def loads(costs: Costs) -> Table:
    """Return what becomes of more jobs a day."""
    head = (
        "millions a day",
        "jobs/s at the peak",
        "workers",
        "lock held",
        "writes a transaction",
        "wait, median",
        "one in a hundred",
    )
    return Table("more", head, [_load(costs, millions) for millions in TIMES])


def _load(costs: Costs, millions: int) -> Sequence[str]:
    jobs = rate(PEAK, millions)
    workers = enough(costs, jobs)
    found = simulated(costs, jobs, setup_of(costs, jobs, workers))
    waits = (_ms(found.wait(0.5)), _ms(found.wait(0.99))) if found.keeps_up else ("more and more", "")
    return (f"{millions}", f"{jobs:,.0f}", f"{workers}", f"{found.busy:.0%}", f"{found.writes:.1f}", *waits)


def walls(costs: Costs) -> Table:
    """Return what ends where, if nothing else ended before."""
    lock = carried(costs, Setup(workers=WORKERS, clients=CLIENTS))
    capped = carried(costs, Setup(workers=WORKERS, clients=CLIENTS, capped=True))
    ends = [
        ("one worker's core", 1000 / (costs.worker_ms + polls() * costs.poll_ms), "another worker"),
        ("one worker's claims of tickets", 1000 / costs.claim_ms, "another worker"),
        (f"one worker's {PLACES} POSTs at a time to one backend, of {POST:g} s", PLACES / POST, "another worker"),
        ("one core of the database", 1 / database_cpu(costs, 1.0), "another core; then another database"),
        (f"the lock, with {WORKERS} workers", lock, "a nearer database, and a faster commit; then another database"),
        ("the lock, where one backend has all jobs and a cap on how many at once", capped, "caps on rates; or several backends"),
    ]
    rows = [
        (name, f"{jobs:,.0f}", f"{jobs / rate(PEAK):,.1f}", moves) for name, jobs, moves in sorted(ends, key=lambda end: end[1])
    ]
    return Table("walls", ("what ends", "at jobs/s", "as the peak of so many millions a day", "what moves it"), rows)


def lock(costs: Costs) -> Table:
    """Return how many jobs a second the lock lets through, by how far the database is away and how long it takes to commit."""
    commits = (costs.commit_ms, *COMMITS)
    rows = []
    for trip in TRIPS:
        setups = [Setup(workers=WORKERS, clients=CLIENTS, trip=trip / 1000, commit=commit / 1000) for commit in commits]
        carries = [carried(costs, setup) for setup in setups]
        rows.append(("loopback" if not trip else f"{trip:g} ms", *(f"{each:,.0f} ({each / rate(PEAK):.1f})" for each in carries)))
    return Table("lock", ("to the database and back", *(f"commit of {commit:g} ms" for commit in commits)), rows)


def fleets(costs: Costs) -> Table:
    """Return how many jobs a second get through with more workers."""
    rows = []
    for workers in (2, 8, 32):
        carries = carried(costs, Setup(workers=workers, clients=CLIENTS))
        rows.append((f"{workers}", f"{carries:,.0f}", f"{carries / rate(PEAK):.1f}"))
    return Table("fleets", ("workers", "jobs/s", "as the peak of so many millions a day"), rows)


def surprises(costs: Costs) -> Table:
    """Return how long it takes until all is as before."""
    jobs, rows = rate(PEAK), []
    for workers in (2, 4, 8):
        orphans = round(flight(jobs) / workers)
        seconds = Fleet(costs, setup_of(costs, jobs, workers - 1), flight(jobs)).taken(orphans, jobs)
        rows.append(
            (f"one of {workers} workers dies", f"{orphans:,}", f"{DEAD_AFTER:.0f}–{DEAD_AFTER + SWEEP:.0f}", f"{seconds:.1f}")
        )
    for workers in (2, 4):
        seconds = Fleet(costs, setup_of(costs, jobs, workers), flight(jobs)).burst(BURST, jobs)
        rows.append((f"a batch is handed in at once, {workers} workers", f"{BURST:,}", "0", f"{seconds:.1f}"))
    return Table(
        "surprises", ("at the peak", "jobs", "seconds until it is noticed", "and until the last is driven, or accepted"), rows
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _millions(rows: float) -> str:
    return f"{rows:.1f} million"


def _size(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB" if amount < 1e12 else f"{amount / 1e12:,.1f} TB"


TABLES: Sequence[Callable[[Costs], Table]] = (needs, hours, disk, walls, lock, fleets, loads, surprises)


def made(costs: Costs) -> list[Table]:
    """Return all tables."""
    return [make(costs) for make in TABLES]


# The page.


def lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table, as Markdown has them."""
    yield f"| {' | '.join(table.head)} |"
    yield f"|{' --- |' * len(table.head)}"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"


def paged(text: str, tables: Sequence[Table]) -> str:
    """Return a page with its tables written anew, each between its two comments."""
    for table in tables:
        begin = f"<!-- table: {table.heading} -->"
        before, _, after = text.partition(begin)
        text = "\n".join([f"{before}{begin}", "", *lines(table), "", f"<!-- end -->{after.partition('<!-- end -->')[2]}"])
    return text


def say(*text: str) -> None:
    """Print lines."""
    sys.stdout.write("\n".join(text) + "\n")


def remeasured(costs: Path, fleet: Path | None, *, measure: bool) -> None:
    """Write the costs anew, as far as they are measured; the others stay."""
    found = json.loads(costs.read_text(encoding="utf-8"))
    if fleet:
        found |= of_fleet(json.loads(fleet.read_text(encoding="utf-8")), json.loads(POLLED.read_text(encoding="utf-8")))
    if measure:
        # What it needs is there with the extra `distributed`, and with a PostgreSQL.
        sys.path.append(str(RECORDED.parents[1] / "fakes"))
        from weigh import measure as weighed

        found |= weighed()
    costs.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--costs", type=Path, default=RECORDED, metavar="FILE", help="the costs (tests/bench/million.json)")
    parser.add_argument("--measure", action="store_true", help="measure the journal's costs anew; takes some minutes")
    parser.add_argument("--fleet", type=Path, metavar="FILE", help="take those of workers from what fleet.py --json wrote")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the tables into the page")
    given = parser.parse_args(arguments)
    if given.measure or given.fleet:
        remeasured(given.costs, given.fleet, measure=given.measure)
    tables = made(Costs.read(given.costs))
    for table in tables:
        say("", table.heading, *lines(table))
    if given.write:
        given.write.write_text(paged(given.write.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main()

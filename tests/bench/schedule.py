"""Polls and latency of the learned schedule, by simulation of the code that is shipped; seeded, and without any service.

`python tests/bench/schedule.py` prints the tables, `--quick` takes some seconds, `--json FILE` writes the figures, and
`--write docs/explanation/when-to-ask.md` the page. The exit code is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from math import erfc, exp, log, pi, sqrt
from pathlib import Path
from random import Random
from typing import NamedTuple

import attrs

from genbridge.durations import Learned, learn
from genbridge.polling import PollPolicy, Seen

MEDIAN = 90.0
"""Seconds that the simulated jobs take, but where the table says otherwise."""
SEEN = (3, 5, 10, 20, 50)
ENOUGH = 20
AFTER = (1, 2, 3, 4, 5, 10, 20)
SHORT = (5.0, 10.0, 20.0, 90.0)
GUESSES = (0.25, 0.5, 1.0, 2.0, 4.0)
PROBES = 2
"""How many schedules that follow from the same knowledge are counted: by chance, some begin with an early look."""
FIXED = 50
"""The same for the fixed interval."""
FAR = 3.5
"""How many spreads above the median a job may take that is counted: all but two in ten thousand."""

BOUND = 1.15
"""The goal where nothing changes: polls x latency, to the least that is possible."""
SLACK = 0.25
"""By how much more a short run may miss a goal, as it is of few jobs."""
WORSE = 1.10
"""The goal at all times: polls x latency, to that of the interval that the service documents."""


class Watched(NamedTuple):
    """One job that was polled to its end; times are seconds since it was accepted."""

    polls: int
    latency: float
    least: float
    most: float


class Cost(NamedTuple):
    """Polls, and seconds of latency, of one job."""

    polls: float
    latency: float

    @property
    def product(self) -> float:
        """Return polls x latency."""
        return self.polls * self.latency

    @classmethod
    def mean(cls, costs: Sequence[Cost]) -> Cost:
        """Return the means of several."""
        return cls(*(sum(each) / len(costs) for each in zip(*costs, strict=True)))


@attrs.frozen
class Jobs:
    """Jobs whose log seconds are normal, with a median (in seconds) and a spread."""

    median: float
    spread: float

    @property
    def mean(self) -> float:
        """Return the mean of the seconds that they take."""
        return self.median * exp(self.spread**2 / 2)

    @property
    def longest(self) -> float:
        """Return the seconds that none takes that is counted."""
        return self.median * exp(self.spread * FAR)

    def seconds(self, chance: Random) -> float:
        """Return how long one of them takes."""
        return self.median * exp(self.spread * chance.gauss())

    def cost(self, times: Sequence[float]) -> Cost:
        """Return what polls at these times cost in the mean of all jobs: exactly, without drawing any."""
        polls, noticed, left = 0.0, 0.0, 1.0
        for time in times:
            after = self._left(time)
            polls, noticed, left = polls + left, noticed + time * (left - after), after
        return Cost(polls, noticed - self.mean * (1 - self._left(times[-1] / exp(self.spread**2))))

    def _left(self, seconds: float) -> float:
        """Return the share of jobs that take longer."""
        return erfc(log(seconds / self.median) / self.spread / sqrt(2)) / 2

    def to_bound(self, cost: Cost) -> float:
        """Return polls x latency, to the least that is possible."""
        return cost.product / (self.mean / 2) / bound(self.spread)


def bound(spread: float) -> float:
    """Return the least polls x latency, to that of a fixed interval, when log seconds are normal with that spread."""
    steps, total = 4000, 0.0
    for step in range(steps + 1):
        point = 16 * step / steps - 8
        density, left = exp(-point * point / 2) / sqrt(2 * pi), erfc(point / sqrt(2)) / 2
        total += sqrt(density * left * spread * exp(spread * point)) * 16 / steps
    return total**2 / exp(spread**2 / 2)


@attrs.frozen(kw_only=True)
class Size:
    """How much is simulated."""

    runs: int
    intervals: tuple[float, ...] = (2.0, 3.0)
    spreads: tuple[float, ...] = (0.1, 0.15, 0.2, 0.3, 0.5)
    factors: tuple[float, ...] = (0.5, 0.75, 1.5, 2.0, 4.0)


FULL = Size(runs=400)
QUICK = Size(runs=40, intervals=(3.0,), spreads=(0.1, 0.3), factors=(0.5, 4.0))


def watch(policy: PollPolicy, learned: Learned | None, seconds: float, chance: Random, *, percent: bool = False) -> Watched:
    """Poll a job that takes so many seconds; with `percent` the service says how far it is, in whole hundredths."""
    seen, elapsed = Seen(), 0.0
    while True:
        due = elapsed + policy.delay(elapsed=elapsed, seen=seen, learned=learned, chance=chance.random())
        if due >= seconds:
            return Watched(seen.polls + 1, due - seconds, elapsed, due)
        elapsed = due
        seen.note(elapsed, int(100 * elapsed / seconds) / 100 if percent else None)


def times(policy: PollPolicy, learned: Learned | None, until: float, chances: Iterator[float]) -> list[float]:
    """Return when a job is polled that is done at that time."""
    seen, polled = Seen(), [0.0]
    while polled[-1] < until:
        elapsed = polled[-1]
        polled.append(elapsed + policy.delay(elapsed=elapsed, seen=seen, learned=learned, chance=next(chances)))
        seen.note(polled[-1], None)
    return polled[1:]


def chances(chance: Random, place: int, places: int) -> Iterator[float]:
    """Yield random numbers, of which the first is within one of so many parts: so all of them are drawn equally often."""
    yield (place + chance.random()) / places
    while True:
        yield chance.random()


def cost(policy: PollPolicy, learned: Learned | None, jobs: Jobs, chance: Random, probes: int = PROBES) -> Cost:
    """Return what polling costs by what was learned, in the mean."""
    schedules = [times(policy, learned, jobs.longest, chances(chance, probe, probes)) for probe in range(probes)]
    return Cost.mean([jobs.cost(schedule) for schedule in schedules])


@attrs.frozen(kw_only=True)
class History:
    """One history after another: jobs that are learned from as they come. `seed` makes all of them the same each time."""

    policy: PollPolicy
    runs: int
    seed: int

    @classmethod
    def of(cls, interval: float, runs: int, seed: int) -> History:
        """Begin with an interval."""
        return cls(policy=PollPolicy(interval=interval), runs=runs, seed=seed)

    def learned(self, count: int, jobs: Jobs, chance: Random) -> Learned | None:
        """Return what was learned of so many jobs."""
        learned = None
        for _ in range(count):
            found = watch(self.policy, learned, jobs.seconds(chance), chance)
            learned = learn(learned, found.least, found.most)
        return learned

    def costs(self, counted: Sequence[int], jobs: Jobs, known: Sequence[Learned | None] = ()) -> list[Cost]:
        """Return what jobs cost by their places in the histories; `known` is what each history begins with."""
        chance = Random(self.seed)
        found: dict[int, list[Cost]] = {place: [] for place in counted}
        for begun in known or [None] * self.runs:
            learned = begun
            for place in range(1, max(counted) + 1):
                if place in found:
                    found[place].append(cost(self.policy, learned, jobs, chance))
                watched = watch(self.policy, learned, jobs.seconds(chance), chance)
                learned = learn(learned, watched.least, watched.most)
        return [Cost.mean(each) for each in found.values()]

    def fixed(self, jobs: Jobs) -> Cost:
        """Return what the fixed interval costs."""
        return cost(attrs.evolve(self.policy, fixed=True), None, jobs, Random(self.seed), FIXED)

    def worse(self, jobs: Jobs, known: Sequence[Learned | None] = ()) -> list[tuple[float, float | None]]:
        """Return polls x latency to the fixed interval's, from the first job on, with the goal of that."""
        fixed = self.fixed(jobs).product
        return [(each.product / fixed, WORSE) for each in self.costs(AFTER, jobs, known)]


class Row(NamedTuple):
    """A row of a table: what it is of, and its figures with the goal of each, if it has one."""

    names: tuple[str, ...]
    cells: list[tuple[float, float | None]]


class Table(NamedTuple):
    """A table of the page."""

    heading: str
    head: tuple[str, ...]
    rows: list[Row]


_OFTEN = 4
"""How many times as many histories there are where a figure is near to its goal, so that chance does not decide."""


def steady(size: Size) -> Table:
    """Return how near to the bound polls x latency comes as jobs are seen."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            jobs = Jobs(MEDIAN, spread)
            costs = History.of(interval, _OFTEN * size.runs, 1).costs([seen + 1 for seen in SEEN], jobs)
            cells = [(jobs.to_bound(each), BOUND if seen == ENOUGH else None) for seen, each in zip(SEEN, costs, strict=True)]
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), cells))
    return Table("to the bound", ("interval", "spread", *(f"{seen} seen" for seen in SEEN)), rows)


def costs(size: Size) -> Table:
    """Return polls and latency after enough jobs, beside those of the fixed interval."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            history, jobs = History.of(interval, size.runs, 2), Jobs(MEDIAN, spread)
            pairs = zip(history.fixed(jobs), *history.costs([ENOUGH + 1], jobs), strict=True)
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), [(figure, None) for pair in pairs for figure in pair]))
    return Table("in polls and seconds", ("interval", "spread", "polls, fixed", "learned", "latency, fixed", "learned"), rows)


def jumps(size: Size) -> Table:
    """Return polls x latency to the fixed interval's, from the first job on after durations have changed."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            history = History.of(interval, size.runs, 3)
            known = [history.learned(50, Jobs(MEDIAN, spread), Random(run)) for run in range(size.runs)]
            for factor in size.factors:
                cells = history.worse(Jobs(MEDIAN * factor, spread), known)
                rows.append(Row((f"{interval:g} s", f"{spread:g}", f"×{factor:g}"), cells))
    return Table("after a jump", ("interval", "spread", "jump", *(f"job {after}" for after in AFTER)), rows)


def beginnings(size: Size) -> Table:
    """Return polls x latency to the fixed interval's when nothing was learned before."""
    rows = []
    for median in SHORT:
        for spread in size.spreads[::2]:
            cells = History.of(3.0, size.runs, 4).worse(Jobs(median, spread))
            rows.append(Row((f"{median:g} s", f"{spread:g}"), cells))
    return Table("from nothing", ("median", "spread", *(f"job {after}" for after in AFTER)), rows)


def guesses(size: Size) -> Table:
    """Return the same when somebody has said how long jobs take, and was wrong by a factor."""
    rows = []
    for factor in GUESSES:
        known = [Learned.guess(MEDIAN * factor)] * size.runs
        rows.append(Row((f"×{factor:g}",), History.of(3.0, size.runs, 5).worse(Jobs(MEDIAN, 0.3), known)))
    return Table("from a guess", ("guess", *(f"job {after}" for after in AFTER)), rows)


def percentages(size: Size) -> Table:
    """Return polls and latency where the service says how far a job is."""
    rows = []
    for name, learned in (("nothing", None), ("40 jobs", Learned(40.0, log(MEDIAN), 40 * 0.3**2))):
        chance, policy = Random(6), PollPolicy(interval=3.0)
        polled = partial(watch, policy, learned, percent=True)
        found = [polled(Jobs(MEDIAN, 0.3).seconds(chance), chance) for _ in range(4 * size.runs)]
        polls, latency = (sum(each[place] for each in found) / len(found) for place in (0, 1))
        rows.append(Row((name,), [(polls, 8.0), (latency, 1.0)]))
    return Table("with a percentage", ("learned", "polls", "latency"), rows)


TABLES = (steady, costs, jumps, beginnings, guesses, percentages)


def measured(size: Size) -> list[Table]:
    """Return all tables."""
    return [make(size) for make in TABLES]


def lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table, as Markdown has them."""
    yield f"| {' | '.join(table.head)} |"
    yield f"|{' --- |' * len(table.head)}"
    for row in table.rows:
        yield f"| {' | '.join([*row.names, *(f'{value:.2f}' for value, _ in row.cells)])} |"


def missed(tables: Sequence[Table], slack: float = 0.0) -> Iterator[str]:
    """Yield what misses its goal by more than a share."""
    for table in tables:
        for row in table.rows:
            for name, (value, goal) in zip(table.head[len(row.names) :], row.cells, strict=True):
                if goal is not None and value > goal * (1 + slack):
                    yield f"{table.heading}: {' '.join(row.names)}, {name}: {value:.3f}, more than {goal:g}"


def write(path: Path, tables: Sequence[Table]) -> None:
    """Write the tables anew into the page, each between its two comments."""
    text = path.read_text(encoding="utf-8")
    for table in tables:
        begin = f"<!-- table: {table.heading} -->"
        pattern = rf"{re.escape(begin)}\n.*?<!-- end -->"
        text = re.sub(pattern, "\n".join([begin, "", *lines(table), "", "<!-- end -->"]), text, flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")


def say(*text: str) -> None:
    """Print lines."""
    sys.stdout.write("\n".join(text) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few histories; the goals are then judged with some slack")
    parser.add_argument("--runs", type=int, help="how many histories")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the tables into the page")
    given = parser.parse_args(arguments)
    size = QUICK if given.quick else FULL
    tables = measured(attrs.evolve(size, runs=given.runs or size.runs))
    for table in tables:
        say("", table.heading, *lines(table))
    if given.json:
        given.json.write_text(json.dumps({table.heading: [row._asdict() for row in table.rows] for table in tables}, indent=2))
    if given.write:
        write(given.write, tables)
    misses = list(missed(tables, SLACK if given.quick else 0.0))
    say("", *(misses or ["every goal is reached"]))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())

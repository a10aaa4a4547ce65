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
PROBES = 4
"""How many jobs are polled by the same knowledge, and counted."""

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


@attrs.define
class Sum:
    """The jobs of one cell of a table, polled by what was learned and at the fixed interval."""

    jobs: int = 0
    seconds: float = 0.0
    polls: float = 0.0
    latency: float = 0.0
    fixed_polls: float = 0.0
    fixed_latency: float = 0.0

    def add(self, seconds: float, learned: Watched, fixed: Watched) -> None:
        """Count one job."""
        self.jobs += 1
        self.seconds += seconds
        self.polls += learned.polls
        self.latency += learned.latency
        self.fixed_polls += fixed.polls
        self.fixed_latency += fixed.latency

    @property
    def to_fixed(self) -> float:
        """Return polls x latency, to the fixed interval's."""
        return self.polls * self.latency / (self.fixed_polls * self.fixed_latency)

    def to_bound(self, spread: float) -> float:
        """Return polls x latency, to the least that is possible."""
        return self.polls * self.latency / (self.jobs * self.seconds / 2) / bound(spread)


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
        seen = seen.after(elapsed, int(100 * elapsed / seconds) / 100 if percent else None)


def fixed(policy: PollPolicy, seconds: float, chance: Random) -> Watched:
    """Poll a job at the fixed interval and its jitter, as the policy does that has `fixed` set."""
    polls, elapsed, least = 0, 0.0, 0.0
    while elapsed < seconds:
        least, elapsed = elapsed, elapsed + policy.interval * (1 + policy.jitter * chance.random())
        polls += 1
    return Watched(polls, elapsed - seconds, least, elapsed)


def duration(median: float, spread: float, chance: Random) -> float:
    """Return how long a job takes."""
    return median * exp(spread * chance.gauss())


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

    def learned(self, jobs: int, spread: float, chance: Random) -> Learned | None:
        """Return what was learned of so many jobs."""
        learned = None
        for _ in range(jobs):
            found = watch(self.policy, learned, duration(MEDIAN, spread, chance), chance)
            learned = learn(learned, found.least, found.most)
        return learned

    def sums(self, counted: Sequence[int], median: float, spread: float, known: Sequence[Learned | None] = ()) -> list[Sum]:
        """Return what jobs came to by their places in the histories; `known` is what each history begins with."""
        chance, sums = Random(self.seed), {place: Sum() for place in counted}
        for begun in known or [None] * self.runs:
            learned = begun
            for place in range(1, max(counted) + 1):
                for _ in range(PROBES if place in sums else 0):
                    seconds = duration(median, spread, chance)
                    sums[place].add(seconds, watch(self.policy, learned, seconds, chance), fixed(self.policy, seconds, chance))
                found = watch(self.policy, learned, duration(median, spread, chance), chance)
                learned = learn(learned, found.least, found.most)
        return list(sums.values())


class Row(NamedTuple):
    """A row of a table: what it is of, and its figures with the goal of each, if it has one."""

    names: tuple[str, ...]
    cells: list[tuple[float, float | None]]


class Table(NamedTuple):
    """A table of the page."""

    heading: str
    head: tuple[str, ...]
    rows: list[Row]


def steady(size: Size) -> Table:
    """Return how near to the bound polls x latency comes as jobs are seen."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            sums = History.of(interval, size.runs, 1).sums([seen + 1 for seen in SEEN], MEDIAN, spread)
            cells = [(each.to_bound(spread), BOUND if seen == ENOUGH else None) for seen, each in zip(SEEN, sums, strict=True)]
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), cells))
    return Table("to the bound", ("interval", "spread", *(f"{seen} seen" for seen in SEEN)), rows)


def costs(size: Size) -> Table:
    """Return polls and latency after enough jobs, beside those of the fixed interval."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            (last,) = History.of(interval, size.runs, 2).sums([ENOUGH + 1], MEDIAN, spread)
            figures = (last.fixed_polls, last.polls, last.fixed_latency, last.latency)
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), [(figure / last.jobs, None) for figure in figures]))
    return Table("in polls and seconds", ("interval", "spread", "polls, fixed", "learned", "latency, fixed", "learned"), rows)


def jumps(size: Size) -> Table:
    """Return polls x latency to the fixed interval's, from the first job on after durations have changed."""
    rows = []
    for interval in size.intervals:
        for spread in size.spreads:
            history = History.of(interval, size.runs, 3)
            known = [history.learned(50, spread, Random(run)) for run in range(size.runs)]
            for factor in size.factors:
                cells = _worse(history.sums(AFTER, MEDIAN * factor, spread, known))
                rows.append(Row((f"{interval:g} s", f"{spread:g}", f"×{factor:g}"), cells))
    return Table("after a jump", ("interval", "spread", "jump", *(f"job {after}" for after in AFTER)), rows)


def beginnings(size: Size) -> Table:
    """Return polls x latency to the fixed interval's when nothing was learned before."""
    rows = []
    for median in SHORT:
        for spread in size.spreads[::2]:
            cells = _worse(History.of(3.0, size.runs, 4).sums(AFTER, median, spread))
            rows.append(Row((f"{median:g} s", f"{spread:g}"), cells))
    return Table("from nothing", ("median", "spread", *(f"job {after}" for after in AFTER)), rows)


def guesses(size: Size) -> Table:
    """Return the same when somebody has said how long jobs take, and was wrong by a factor."""
    rows = []
    for factor in GUESSES:
        known = [Learned.guess(MEDIAN * factor)] * size.runs
        rows.append(Row((f"×{factor:g}",), _worse(History.of(3.0, size.runs, 5).sums(AFTER, MEDIAN, 0.3, known))))
    return Table("from a guess", ("guess", *(f"job {after}" for after in AFTER)), rows)


def _worse(sums: Sequence[Sum]) -> list[tuple[float, float | None]]:
    return [(each.to_fixed, WORSE) for each in sums]


def percentages(size: Size) -> Table:
    """Return polls and latency where the service says how far a job is."""
    rows = []
    for name, learned in (("nothing", None), ("40 jobs", Learned(40.0, log(MEDIAN), 40 * 0.3**2))):
        chance, policy = Random(6), PollPolicy(interval=3.0)
        polled = partial(watch, policy, learned, percent=True)
        found = [polled(duration(MEDIAN, 0.3, chance), chance) for _ in range(4 * size.runs)]
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

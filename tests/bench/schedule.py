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
from math import erfc, exp, pi, sqrt
from pathlib import Path
from random import Random
from typing import NamedTuple

import attrs

from genbridge.durations import Learned, learn
from genbridge.polling import PollPolicy, Seen

MEDIAN = 90.0
"""Seconds that the simulated jobs take, but where the table says otherwise."""
SPREADS = (0.1, 0.15, 0.2, 0.3, 0.5)
INTERVALS = (2.0, 3.0)
SEEN = (3, 5, 10, 20, 50)
ENOUGH = 20
FACTORS = (0.5, 0.75, 1.5, 2.0, 4.0)
AFTER = (1, 2, 3, 4, 5, 10, 20)
SHORT = (5.0, 10.0, 20.0, 90.0)
GUESSES = (0.25, 0.5, 1.0, 2.0, 4.0)

BOUND = 1.15
"""The goal where nothing changes: polls x latency, to the least that is possible."""
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


def watch(policy: PollPolicy, learned: Learned | None, seconds: float, chance: Random, *, percent: bool = False) -> Watched:
    """Poll a job that takes so many seconds; with `percent` the service says how far it is, in whole hundredths."""
    seen, elapsed = Seen(), 0.0
    while True:
        due = elapsed + policy.delay(elapsed=elapsed, seen=seen, learned=learned, chance=chance.random())
        if due >= seconds:
            return Watched(seen.polls + 1, due - seconds, elapsed, due)
        elapsed = due
        seen = seen.after(elapsed, int(100 * elapsed / seconds) / 100 if percent else None)


def duration(median: float, spread: float, chance: Random) -> float:
    """Return how long a job takes."""
    return median * exp(spread * chance.gauss())


@attrs.frozen(kw_only=True)
class History:
    """One history after another: jobs that are learned from as they come. `seed` makes all of them the same each time."""

    policy: PollPolicy
    fixed: PollPolicy
    runs: int
    seed: int

    @classmethod
    def of(cls, interval: float, runs: int, seed: int) -> History:
        """Begin with an interval."""
        return cls(policy=PollPolicy(interval=interval), fixed=PollPolicy(interval=interval, fixed=True), runs=runs, seed=seed)

    def learned(self, jobs: int, spread: float, chance: Random) -> Learned | None:
        """Return what was learned of so many jobs."""
        learned = None
        for _ in range(jobs):
            found = watch(self.policy, learned, duration(MEDIAN, spread, chance), chance)
            learned = learn(learned, found.least, found.most)
        return learned

    def sums(self, jobs: int, median: float, spread: float, known: Sequence[Learned | None] = ()) -> list[Sum]:
        """Return what each job of the histories came to, by its place; `known` is what each begins with."""
        chance, sums = Random(self.seed), [Sum() for _ in range(jobs)]
        for begun in known or [None] * self.runs:
            learned = begun
            for each in sums:
                seconds = duration(median, spread, chance)
                found = watch(self.policy, learned, seconds, chance)
                each.add(seconds, found, watch(self.fixed, None, seconds, chance))
                learned = learn(learned, found.least, found.most)
        return sums


class Row(NamedTuple):
    """A row of a table: what it is of, and its figures with the goal of each, if it has one."""

    names: tuple[str, ...]
    cells: list[tuple[float, float | None]]


class Table(NamedTuple):
    """A table of the page."""

    heading: str
    head: tuple[str, ...]
    rows: list[Row]


def steady(runs: int) -> Table:
    """Return how near to the bound polls x latency comes as jobs are seen."""
    rows = []
    for interval in INTERVALS:
        for spread in SPREADS:
            sums = History.of(interval, runs, 1).sums(max(SEEN) + 1, MEDIAN, spread)
            cells = [(sums[seen].to_bound(spread), BOUND if seen == ENOUGH else None) for seen in SEEN]
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), cells))
    return Table("to the bound", ("interval", "spread", *(f"{seen} seen" for seen in SEEN)), rows)


def costs(runs: int) -> Table:
    """Return polls and latency after enough jobs, beside those of the fixed interval."""
    rows = []
    for interval in INTERVALS:
        for spread in SPREADS:
            history = History.of(interval, runs, 2)
            known = [history.learned(ENOUGH, spread, Random(run)) for run in range(runs)]
            (last,) = history.sums(1, MEDIAN, spread, known)
            figures = (last.fixed_polls, last.polls, last.fixed_latency, last.latency)
            rows.append(Row((f"{interval:g} s", f"{spread:g}"), [(figure / last.jobs, None) for figure in figures]))
    return Table("in polls and seconds", ("interval", "spread", "polls, fixed", "learned", "latency, fixed", "learned "), rows)


def jumps(runs: int) -> Table:
    """Return polls x latency to the fixed interval's, from the first job on after durations have changed."""
    rows = []
    for interval in INTERVALS:
        for spread in SPREADS:
            history = History.of(interval, runs, 3)
            known = [history.learned(50, spread, Random(run)) for run in range(runs)]
            for factor in FACTORS:
                sums = history.sums(max(AFTER), MEDIAN * factor, spread, known)
                cells: list[tuple[float, float | None]] = [(sums[after - 1].to_fixed, WORSE) for after in AFTER]
                rows.append(Row((f"{interval:g} s", f"{spread:g}", f"×{factor:g}"), cells))
    return Table("after a jump", ("interval", "spread", "jump", *(f"job {after}" for after in AFTER)), rows)


def beginnings(runs: int) -> Table:
    """Return polls x latency to the fixed interval's when nothing was learned before."""
    rows = []
    for median in SHORT:
        for spread in (0.1, 0.3, 0.5):
            sums = History.of(3.0, runs, 4).sums(max(AFTER), median, spread)
            rows.append(Row((f"{median:g} s", f"{spread:g}"), [(sums[after - 1].to_fixed, WORSE) for after in AFTER]))
    return Table("from nothing", ("median", "spread", *(f"job {after}" for after in AFTER)), rows)


def guesses(runs: int) -> Table:
    """Return the same when somebody has said how long jobs take, and was wrong by a factor."""
    rows = []
    for factor in GUESSES:
        sums = History.of(3.0, runs, 5).sums(max(AFTER), MEDIAN, 0.3, [Learned.guess(MEDIAN * factor)] * runs)
        rows.append(Row((f"×{factor:g}",), [(sums[after - 1].to_fixed, WORSE) for after in AFTER]))
    return Table("from a guess", ("guess", *(f"job {after}" for after in AFTER)), rows)


def percentages(runs: int) -> Table:
    """Return polls and latency where the service says how far a job is."""
    rows = []
    for name, learned in (("nothing", None), ("40 jobs", Learned(40.0, 4.4998, 40 * 0.3**2))):
        chance, policy = Random(6), PollPolicy(interval=3.0)
        polled = partial(watch, policy, learned, percent=True)
        found = [polled(duration(MEDIAN, 0.3, chance), chance) for _ in range(4 * runs)]
        polls, latency = (sum(each[place] for each in found) / len(found) for place in (0, 1))
        rows.append(Row((name,), [(polls, 8.0), (latency, 1.0)]))
    return Table("with a percentage", ("learned", "polls", "latency"), rows)


TABLES = (steady, costs, jumps, beginnings, guesses, percentages)


def measured(runs: int) -> list[Table]:
    """Return all tables."""
    return [make(runs) for make in TABLES]


def lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table, as Markdown has them."""
    yield f"| {' | '.join(name.strip() for name in table.head)} |"
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
    tables = measured(given.runs or (60 if given.quick else 2000))
    for table in tables:
        say("", table.heading, *lines(table))
    if given.json:
        given.json.write_text(json.dumps({table.heading: [row._asdict() for row in table.rows] for table in tables}, indent=2))
    if given.write:
        write(given.write, tables)
    misses = list(missed(tables, 0.35 if given.quick else 0.0))
    say("", *(misses or ["every goal is reached"]))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 (a harness prints what it counts)
"""Kill a process that submits paid jobs, at every point of its way, and count what was lost and what was paid for twice.

    python crash.py [--kills 500] [--seed 1] [--quick] [--provider imini] [--json FILE]

A round is one batch on a journal of its own, at an account of its own at a service in a process of its own. A child submits the
batch and collects it; SIGKILL hits it at one point, a new child goes on with what is on record, which may be killed too, and the
last one ends by itself. The points are taken in turn until a child ends without having come to the next: each resumption of each of
its tasks (each await point), each statement on its journal, before and after, and each write of a POST, before it, in the middle of
it and after it. With a service that can be asked, some POSTs arrive only long after their sender is dead. What is left of the
number of kills falls at random moments, on larger batches.

After every kill and at the end of a round, what the service accepted is compared with what is on record:

* lost: it was accepted, and no record has its id or says that a submit is in doubt;
* twice: a job was accepted twice, or there were more POSTs than records of a submit;
* not collected: at the end, a job that is not in doubt has no result on record, or not one file with its sidecar;
* unknown: the record says at the end that nobody knows. It may be one for each submit that was under way when a kill came, which is
  one a kill where the child submits one after the other, and none at all where the service can be asked (MeiGen).

The exit code is 1 when a promise does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import attrs
from crash_audit import Audit, audited
from crash_child import AWAIT, STATEMENT, WRITE, Batch, FastClock, Fuse, begin, ended, given, never
from crash_late import held_back
from service import Service, Stand

from genbridge.config import BackendConfig, Secret

PACES = {"meigen": 60.0, "imini": 200.0, "sseedance": 60.0, "acme": 60.0}
"""How many seconds pass at a service in one of ours. MeiGen's look-ups take 125 s before "no such job" is believed."""
ENDLESS: dict[str, dict[str, Any]] = {
    "meigen": {"per_minute": 10**9, "purchased": 10**9},
    "imini": {"per_minute": 10**9, "balance": 10**12},
    "sseedance": {"per_minute": 10**9, "credits": 10**9},
    "acme": {},
}
RECOVERABLE = frozenset({"meigen"})
_STUCK = 90.0
TIME = "time"
_MICRO = 1_000_000
_SORTS = {AWAIT: "await points", STATEMENT: "points about statements", WRITE: "points about the POST's writes", TIME: "moments"}


@attrs.frozen(kw_only=True)
class Plan:
    """What to do with one provider: `kills` at least, and of the points of each sort one in `strides`, from that of `firsts` on."""

    provider: str
    kills: int
    seed: int
    strides: dict[str, int]
    firsts: dict[str, int]
    late: Sequence[float]
    """By how many seconds POSTs are late: less than what a look-up's "no such job" is believed after."""


@attrs.define(kw_only=True)
class Counts:
    """What came of it."""

    provider: str = ""
    kills: Counter[str] = attrs.field(factory=Counter)
    points: dict[str, int] = attrs.field(factory=dict)
    rounds: int = 0
    accepted: int = 0
    collected: int = 0
    lost: int = 0
    twice: int = 0
    unknown: int = 0
    most_unknown: int = 0
    """The most by one kill, where the child submitted one after the other."""
    seconds: float = 0.0
    findings: list[str] = attrs.field(factory=list)

    @property
    def killed(self) -> int:
        """How many kills there were."""
        return sum(self.kills.values())


class Lane:
    """The rounds with one provider, one after the other."""

    def __init__(self, plan: Plan, folder: Path, service: Service) -> None:
        self.plan = plan
        self.counts = Counts(provider=plan.provider)
        self._folder = folder
        self._service = service
        self._random = random.Random(f"{plan.seed} {plan.provider}")
        self._lengths: dict[tuple[int, int], float] = {}

    def run(self) -> Counts:
        """Do all of it."""
        started = time.monotonic()
        for sort in (AWAIT, STATEMENT, WRITE):
            self._sweep(sort)
        if self.plan.provider in RECOVERABLE:
            for seconds in self.plan.late:
                self._late(seconds)
        while self.counts.killed < self.plan.kills or self.counts.kills[TIME] < self.plan.kills // 5:
            self._at_random()
        self.counts.seconds = time.monotonic() - started
        return self.counts

    def _sweep(self, sort: str) -> None:
        """Kill at one point of a sort after the other, until a child ends before it comes to the next.

        Every third round the child that goes on is killed at the same point of its own way.
        """
        stride = self.plan.strides[sort]
        for number in count(self.plan.firsts[sort], stride):
            again = [Fuse(sort, number)] if number % (3 * stride) < stride else []
            if not self._round([Fuse(sort, number), *again], jobs=1, abreast=1):
                return
            self.counts.points[sort] = number

    def _late(self, seconds: float) -> None:
        """Kill a child that has written its POST, which arrives some of the service's seconds later."""
        stand = self._stand()
        log = self._folder / "late.txt"
        with held_back(stand.base_url, seconds / PACES[self.plan.provider], log=log) as base_url:
            last_write = Fuse(WRITE, self.counts.points[WRITE])
            if not self._round([last_write], jobs=1, abreast=1, stand=attrs.evolve(stand, base_url=base_url)):
                self._find(f"{self.plan.provider}: no POST was late by {seconds:g} s")

    def _at_random(self) -> None:
        jobs, abreast = self._random.choice([(4, 1), (6, 1), (6, 3)])
        if (jobs, abreast) not in self._lengths:
            started = time.monotonic()
            self._round([], jobs=jobs, abreast=abreast)
            self._lengths[jobs, abreast] = time.monotonic() - started
        longest = self._lengths[jobs, abreast]
        fuses = [Fuse(TIME, round(self._random.uniform(0, longest) * _MICRO)) for _ in range(self._random.choice([1, 2, 4]))]
        self._round(fuses, jobs=jobs, abreast=abreast)

    def _round(self, fuses: Sequence[Fuse], *, jobs: int, abreast: int, stand: Stand | None = None) -> bool:
        """Run one batch with some kills in a row; return whether the first of them hit."""
        self.counts.rounds += 1
        stand = stand or self._stand()
        folder = self._folder / f"{self.counts.rounds:04d}"
        folder.mkdir()
        batch = self._batch(stand, folder, jobs=jobs, abreast=abreast)
        hits, doubts = self._kill(batch, stand, fuses, folder)
        what = f"{self.plan.provider}, round {self.counts.rounds} ({', '.join(f'{fuse.sort} {fuse.number}' for fuse in fuses)})"
        code = self._ended(begin(batch, Fuse(), log=folder / "log.txt"))
        if code != 0:
            self._find(f"{what}: the last child ended with {code}: {_tail(folder)}")
        self._count(what, batch, audited(batch, stand.report()), hits=hits, doubts=doubts)
        for leak in _leaks(folder, stand.key):
            self._find(f"{what}: the key is in {leak}")
        return hits > 0

    def _stand(self) -> Stand:
        name = self.plan.provider
        return self._service.stand(name, pace=PACES[name], settings=ENDLESS[name])

    def _batch(self, stand: Stand, folder: Path, *, jobs: int, abreast: int) -> Batch:
        backend = BackendConfig(name="main", provider=stand.provider, api_key=Secret(stand.key), base_url=stand.base_url)
        return Batch(
            backend=backend,
            provider=given(stand.provider),
            journal=folder / "jobs.db",
            markers=[f"{self.counts.rounds}-{number}" for number in range(jobs)],
            clock=FastClock(speed=PACES[stand.provider]),
            abreast=abreast,
            files=folder / "files",
        )

    def _kill(self, batch: Batch, stand: Stand, fuses: Sequence[Fuse], folder: Path) -> tuple[int, int]:
        """Kill one child after the other; return how many were hit, and how many submits those had under way."""
        hits = doubts = 0
        for fuse in fuses:
            code = self._ended(begin(batch, fuse, log=folder / "log.txt"), partial(_burnt, fuse))
            if code != -signal.SIGKILL:
                if code != 0:
                    self._find(f"{self.plan.provider}: a child ended with {code}: {_tail(folder)}")
                break
            hits += 1
            self.counts.kills[fuse.sort] += 1
            seen = audited(batch, stand.report(), copied_to=folder / "copy")
            self.counts.lost += len(seen.lost)
            if seen.lost:
                self._find(f"{self.plan.provider}: after a kill at {fuse.sort} {fuse.number}, lost: {seen.lost}")
            if seen.under_way > batch.abreast:
                self._find(f"{self.plan.provider}: {seen.under_way} submits under way at {fuse.sort} {fuse.number}")
            doubts += seen.under_way
        return hits, doubts

    def _ended(self, pid: int, due: Callable[[float], bool] = never) -> int:
        """Wait until a child has ended, and kill it when that is due; return its exit code."""
        code = ended(pid, due, stuck=_STUCK)
        if code == -signal.SIGABRT:
            self._find(f"{self.plan.provider}: a child was stuck for {_STUCK:g} s")
        return code

    def _count(self, what: str, batch: Batch, end: Audit, *, hits: int, doubts: int) -> None:
        counts = self.counts
        counts.accepted += end.accepted
        counts.collected += end.collected
        counts.lost += len(end.lost)
        counts.twice += len(end.twice)
        counts.unknown += len(end.unknown)
        if batch.abreast == 1:
            counts.most_unknown = max(counts.most_unknown, -(-len(end.unknown) // max(hits, 1)))
        allowed = 0 if self.plan.provider in RECOVERABLE else doubts
        if len(end.unknown) > allowed:
            self._find(f"{what}: {len(end.unknown)} unknown, {allowed} may be: {end.unknown}")
        for name in ("lost", "twice", "wrong"):
            if found := getattr(end, name):
                self._find(f"{what}: {name}: {found}")

    def _find(self, finding: str) -> None:
        print(f"! {finding}", file=sys.stderr, flush=True)
        self.counts.findings.append(finding)


def _leaks(folder: Path, key: str) -> Sequence[str]:
    """Return where the key stands in what the killed left."""
    from hunt import hunt  # of the tests' fakes, which a lane has put on the path

    return hunt(folder, key)


def _burnt(fuse: Fuse, seconds: float) -> bool:
    """Whether a fuse for a moment, which no child lights itself, has burnt down."""
    return fuse.sort == TIME and seconds > fuse.number / _MICRO


def _tail(folder: Path) -> str:
    return (folder / "log.txt").read_text()[-2000:]


def run_lane(plan: Plan) -> Counts:
    """Do one provider's rounds in this process."""
    sys.path.append(str(Path(__file__).resolve().parent.parent / "fakes"))
    with tempfile.TemporaryDirectory(prefix="genbridge-crash-") as folder, Service() as service:
        return Lane(plan, Path(folder), service).run()


def plans(arguments: argparse.Namespace) -> Iterator[Plan]:
    """Yield what to do with each provider; the statements of the journal are the same with all, so each has its share of them."""
    names = arguments.provider or list(PACES)
    for place, name in enumerate(names):
        strides = {AWAIT: 1, STATEMENT: len(names), WRITE: 1}
        if arguments.quick:
            strides = {AWAIT: 23, STATEMENT: 79, WRITE: 1}
        firsts = {AWAIT: 1, STATEMENT: 1 + place, WRITE: 1}
        kills = -(-arguments.kills // len(names))
        late = (60.0,) if arguments.quick else (1.0, 20.0, 60.0, 100.0)
        yield Plan(provider=name, kills=kills, seed=arguments.seed, strides=strides, firsts=firsts, late=late)


def table(lanes: Sequence[Counts]) -> str:
    """Return the counts as a table, a line for each provider and one for all."""
    rows: list[list[object]] = [[each.provider, *_row(each)] for each in [*lanes, _sum(lanes)]]
    head: list[object] = ["provider", "kills", *_SORTS, "accepted", "collected", "lost", "twice", "unknown", "most a kill"]
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows])


def _row(counts: Counts) -> list[int]:
    by_sort = [counts.kills[sort] for sort in _SORTS]
    ends = [counts.accepted, counts.collected, counts.lost, counts.twice, counts.unknown, counts.most_unknown]
    return [counts.killed, *by_sort, *ends]


def _sum(lanes: Sequence[Counts]) -> Counts:
    whole = Counts(provider="all", most_unknown=max(lane.most_unknown for lane in lanes))
    for lane in lanes:
        whole.kills.update(lane.kills)
        for name in ("accepted", "collected", "lost", "twice", "unknown"):
            setattr(whole, name, getattr(whole, name) + getattr(lane, name))
    return whole


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, help="how many at least (500; 40 with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="only some of the points")
    parser.add_argument("--provider", action="append", choices=list(PACES))
    parser.add_argument("--json", type=Path, help="write the counts to this file too")
    arguments = parser.parse_args()
    arguments.kills = arguments.kills or (40 if arguments.quick else 500)
    started = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        lanes = list(pool.map(run_lane, plans(arguments)))
    print(table(lanes))
    for sort, name in _SORTS.items():
        if sort != TIME:
            print(f"{name}: {', '.join(f'{lane.provider} {lane.points[sort]}' for lane in lanes)}")
    if arguments.json:
        arguments.json.write_text(json.dumps([attrs.asdict(lane) for lane in lanes], indent=1))
    findings = [finding for lane in lanes for finding in lane.findings]
    promise = "every promise held" if not findings else f"{len(findings)} times a promise did not hold"
    print(f"{sum(lane.killed for lane in lanes)} kills in {time.monotonic() - started:.0f} s: {promise}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 (a harness prints what it counts)
"""Let several processes share one journal, and count whether its limits and caps hold over all of them.

    python shared.py pace [--quick] [--jobs 500] [--kills 0] [--json FILE]
    python shared.py cap [--quick] [--credits 500] [--json FILE]

`pace`: two processes, each with half of the jobs, at an account that takes 12 submits a minute, on a clock that runs 60 times
faster than this machine's and is the same for both and for the service. In no minute may there be more than 12 submits, by the
record or at the service; every job is submitted once, is polled by one process only, and ends. With `--kills`, one of the two is
killed so often on its way and begun again, and takes none of the other's jobs; the minutes are then those at the service alone,
as the record of a submit that was looked up says when it was found.

`cap`: four processes with five submitters each spend as fast as they can, on jobs of 1 credit and of 5, and on those of 1 alone
when there is no room for one of 5. The cap is not exceeded by one credit, and none is left.

The exit code is 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import attrs
from crash_child import Batch, FastClock, ended, forked, get_made, given, marker_of, prompt_of
from script import Step
from server import step_of
from service import Report, Service, Stand
from storage_torn import jobs_of

from genbridge import BudgetError, GenbridgeError, ImageRequest, Job, JobStatus
from genbridge.budgets import Budget
from genbridge.client import Handle
from genbridge.config import BackendConfig, Secret
from genbridge.transport import Origin, Transport
from genbridge.wire import Call, Reply

SUBMITS, MINUTE = 12, 60.0
_SPEED = 60.0
_STUCK = 600.0
"""Seconds after which a process that was to be killed on its way is killed anyway."""
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
"""When a capped day's clock starts, so that no midnight gives a new day's credits."""
_PATIENCE = 60.0
_PRICES = {"gold": 5, "black": 1}
"""What the inks of the tests' provider cost."""


def _all_end(works: Iterable[Callable[[], None]], folder: Path) -> list[str]:
    """Run each piece of work in a process of its own until all have ended; return what went wrong with any."""
    pids = {forked(work, log=folder / f"log-{number}.txt"): number for number, work in enumerate(works)}
    found = []
    for pid, number in pids.items():
        if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            found.append(f"process {number} ended with {code}: {(folder / f'log-{number}.txt').read_text()[-2000:]}")
    return found


def _recorded(journal: Path) -> Sequence[Job]:
    jobs = jobs_of(journal)
    if isinstance(jobs, GenbridgeError):
        raise jobs
    return jobs


# The pace.


class Listed(Transport):
    """Writes down the path of every job that is polled."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    async def send(self, call: Call, origin: Origin) -> Reply:
        if step_of(call.method, call.path) is Step.POLL:
            with self._file.open("a") as file:
                file.write(f"{call.path}\n")
        return await super().send(call, origin)


def most_within(times: Iterable[float], seconds: float) -> int:
    """Return the most of some times that lie within any so many seconds; two that are exactly so far apart do not."""
    ordered = sorted(times)
    most = first = 0
    for place, at in enumerate(ordered):
        while ordered[first] <= at - seconds:
            first += 1
        most = max(most, place - first + 1)
    return most


def pace(folder: Path, service: Service, *, jobs: int, kills: int = 0) -> dict[str, Any]:
    """Have two processes share an account with a limit, and return the counts."""
    stand = service.stand("meigen", pace=_SPEED, settings={"purchased": 10**9})
    backend = BackendConfig(name="main", provider="meigen", api_key=Secret(stand.key), base_url=stand.base_url)
    markers = [f"{number}" for number in range(jobs)]
    clock = FastClock(speed=_SPEED)
    whole = Batch(backend=backend, provider=None, journal=folder / "jobs.db", markers=markers, clock=clock, abreast=jobs)
    lists = [folder / "polled-0.txt", folder / "polled-1.txt"]
    works = [partial(_make, attrs.evolve(whole, markers=markers[place::2]), lists[place]) for place in (0, 1)]
    works[0] = partial(_killed, works[0], stand, [jobs * (number + 1) // (kills + 2) for number in range(kills)], folder)
    broken = _all_end(works, folder)
    return {**_paced(stand.report(), _recorded(whole.journal), [set(file.read_text().split()) for file in lists]), "broken": broken}


def _killed(work: Callable[[], None], stand: Stand, moments: Sequence[int], folder: Path) -> None:
    """Have a process do some work, kill it when the service has seen so many POSTs, and let the last one end."""
    for posts in moments:
        ended(forked(work, log=folder / "log-killed.txt"), partial(_has_seen, stand, posts), stuck=_STUCK)
    work()


def _has_seen(stand: Stand, posts: int, _seconds: float) -> bool:
    return stand.report().posts.total() >= posts


def _make(batch: Batch, polled: Path) -> None:
    asyncio.run(get_made(batch, Listed(polled)))


def _paced(report: Report, jobs: Sequence[Job], polled: Sequence[set[str]]) -> dict[str, Any]:
    """Return the counts that are compared with what is promised."""
    begun = [job.submitted_at.timestamp() for job in jobs if job.submitted_at]
    arrived = [arrival.at for arrival in report.at(Step.SUBMIT)]
    return {
        "jobs": len({marker_of(job) for job in jobs}),
        "succeeded": sum(job.status is JobStatus.SUCCEEDED for job in jobs),
        "accepted": len(report.accepted),
        "most POSTs of a job": max(report.posts.values()),
        "polled by both": len(polled[0] & polled[1]),
        "polled": len(polled[0] | polled[1]),
        "most a minute on record": most_within(begun, MINUTE),
        "most a minute at the service": most_within(arrived, MINUTE / _SPEED),
        "minutes": round((max(begun) - min(begun)) / MINUTE, 1),
    }


def paced_wrong(counts: dict[str, Any], jobs: int, kills: int) -> list[str]:
    """Return which of the promises the counts do not keep."""
    wanted = {"jobs": jobs, "succeeded": jobs, "accepted": jobs, "polled": jobs, "most POSTs of a job": 1, "polled by both": 0}
    found = [f"{name} is {counts[name]}, not {value}" for name, value in wanted.items() if counts[name] != value]
    minutes = ["most a minute at the service", *([] if kills else ["most a minute on record"])]
    return [*counts["broken"], *found, *(f"{name} is {counts[name]}" for name in minutes if counts[name] > SUBMITS)]


# The cap.


def cap(folder: Path, service: Service, *, most: float, processes: int = 4, submitters: int = 5) -> dict[str, Any]:
    """Have several processes spend what one cap allows, and return the counts."""
    stand = service.stand("acme", pace=_SPEED)
    backend = BackendConfig(
        name="main",
        provider="acme",
        api_key=Secret(stand.key),
        base_url=stand.base_url,
        budget=Budget(per_day=most),
        settings={"workspace": "studio"},
    )
    clock = FastClock(speed=_SPEED, wall=_NOON)
    batch = Batch(backend=backend, provider=given("acme"), journal=folder / "jobs.db", markers=(), clock=clock)
    start = get_context("fork").Barrier(processes)
    works = [partial(_spend, batch, f"{number}", submitters, start) for number in range(processes)]
    broken = _all_end(works, folder)
    jobs = _recorded(batch.journal)
    inks = Counter(made.job.partition("-")[0] for made in stand.report().accepted)
    return {
        "spent at the service": sum(_PRICES[ink] * number for ink, number in inks.items()),
        "spent on record": sum(job.cost.amount or 0 for job in jobs if job.cost),
        "jobs": len(jobs),
        "succeeded": sum(job.status is JobStatus.SUCCEEDED for job in jobs),
        "processes": len({marker_of(job).split("-")[1] for job in jobs}),
        "inks": inks,
        "broken": broken,
    }


def _spend(batch: Batch, process: str, submitters: int, start: Barrier) -> None:
    asyncio.run(_spend_all(batch, process, submitters, start))


async def _spend_all(batch: Batch, process: str, submitters: int, start: Barrier) -> None:
    async with batch.client() as client:
        start.wait(_PATIENCE)
        names = [f"{process}-{number}" for number in range(submitters)]
        handles = await asyncio.gather(*(_spend_one(client, name) for name in names))
        for handle in [handle for group in handles for handle in group]:
            await handle.result()


async def _spend_one(client: Any, name: str) -> list[Handle]:
    """Submit until there is no room for the cheapest job."""
    handles: list[Handle] = []
    inks = ["black", "gold", "gold"]
    while inks:
        ink = inks[len(handles) % len(inks)]
        marker = f"{ink}-{name}-{len(handles)}"
        try:
            handles.append(await client.submit(ImageRequest(prompt_of(marker), options={"ink": ink}), id=f"job-{marker}"))
        except BudgetError:
            inks = [other for other in inks if other != ink and _PRICES[other] < _PRICES[ink]]
    return handles


def capped_wrong(counts: dict[str, Any], most: float) -> list[str]:
    """Return which of the promises the counts do not keep."""
    spent = ("spent at the service", "spent on record")
    found = [f"{name} is {counts[name]:g}, not {most:g}" for name in spent if counts[name] != most]
    if counts["succeeded"] != counts["jobs"]:
        found.append(f"{counts['succeeded']} of {counts['jobs']} jobs succeeded")
    return [*counts["broken"], *found]


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["pace", "cap"])
    parser.add_argument("--quick", action="store_true", help="48 jobs for the pace; a cap is quick anyway")
    parser.add_argument("--jobs", type=int, help="how many jobs are paced (500; 48 with --quick)")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--credits", type=float, default=500)
    parser.add_argument("--json", type=Path, help="write the counts to this file too")
    arguments = parser.parse_args()
    arguments.jobs = arguments.jobs or (48 if arguments.quick else 500)
    with tempfile.TemporaryDirectory(prefix="genbridge-shared-") as folder, Service() as service:
        if arguments.what == "pace":
            counts = pace(Path(folder), service, jobs=arguments.jobs, kills=arguments.kills)
            wrong = paced_wrong(counts, arguments.jobs, arguments.kills)
        else:
            counts = cap(Path(folder), service, most=arguments.credits)
            wrong = capped_wrong(counts, arguments.credits)
    print("\n".join(f"{name}: {value}" for name, value in counts.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(counts))
    print("\n".join(f"! {finding}" for finding in wrong) or "it holds", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 (a harness prints what it counts)
"""Let several workers share a PostgreSQL database, do to them what happens to machines, and count what came of it.

    python fleet.py kill [--jobs 2000] [--seed 1] [--quick] [--json FILE]
    python fleet.py limits | cut | drain | outage | all [--seed 1] [--quick] [--json FILE]

Everything is done through the command line (`genbridge db upgrade`, `genbridge worker`) and `Client`, by processes of their own on
loopback; what was submitted is counted by the service, which is another. Each job takes 5 s there, and each POST 50 to 300 ms.

`kill`: three workers; each second one of them is killed, or stopped for half a second up to 45, and so outlives its lease at times;
the database is killed twice and comes back. No job is lost or posted twice, what became of it is unknown only where a worker was
killed inside its POST. When all that is over, one more worker is killed, whose jobs are driven again within 40 s, and another
is stopped for longer than its lease: what it has to say when it goes on heals what was unknown meanwhile.

`limits`: three workers at a backend that takes 20 submits a second: there are never more than 21 in any second, and none while it
asked one of them to wait. At one that works on 50 jobs at once there are never more.

`cut`: one worker beside the database and the service, and two in another network namespace with the client, whose cable is pulled
for a minute. It needs root; it says so and does nothing elsewhere.

`drain`: one of two workers is asked to end while 200 of its jobs are running: it does within seconds, and the other has them all.

`outage`: the database is away for a minute: no worker ends, and no job is lost, posted twice or fails.

The exit code is 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
from fleet_counts import Outage, Silence, audited, drives, most_at_once, recoveries, spread
from fleet_page import write
from fleet_stage import JOB_SECONDS, SUBMIT_SECONDS, Stage, Submitter, staged, until
from fleet_wires import NEAR, Wires, missing
from fleet_workers import Fleet, Havoc, Outages
from postgres import programs
from script import Fault, How, Step
from service import Report
from shared import most_within

_RATE = 12.5
"""How many jobs are handed in each second."""
_RECOVERED = 40.0
"""Seconds after which a job of a killed worker is to be driven again."""
_ZOMBIE = 42.0
"""Seconds for which a worker is stopped whose jobs others have taken over when it goes on."""
_DRAINED = 10.0
_SETTLED = 180.0
"""Seconds after which all jobs must have ended once nothing is done to the workers any more."""
_TOLD = 60.0
_SUBMITS, _SECOND, _MARGIN = 20, 1.0, 1
_AT_ONCE = 50
_PAUSE = 4.0
_DOUBT = "SubmitUnknownError"
_INSIDE = "--inside"


@attrs.define(kw_only=True)
class Finding:
    """What a part of the harness counted, and which promises were broken."""

    counts: dict[str, Any]
    wrong: list[str]

    def extend(self, other: Finding) -> None:
        """Add what another part found."""
        self.counts.update(other.counts)
        self.wrong += other.wrong


def concluded(
    stage: Stage, fleet: Fleet, *clients: Submitter, silences: Sequence[Silence] = (), outages: Sequence[Outage] = ()
) -> tuple[Finding, Report]:
    """Let all jobs end, ask the workers to, and compare."""
    fleet.calm()
    began, markers = time.monotonic(), [marker for client in clients for marker in client.markers]
    # A client is told of a doubt that a worker which was stopped may heal later, and the job goes on then.
    over = _every(2.0, lambda: stage.unsettled(len(markers)) == 0)
    settled = until(over, _SETTLED, fleet.tend)
    after = time.monotonic() - began
    wrong = [] if settled else [f"{stage.unsettled(len(markers))} jobs had not ended after {_SETTLED:g} s of calm"]
    told = [_told(client) for client in clients]
    status, alive = stage.status(), len(fleet.workers)
    drained = fleet.drain_all()
    report, jobs, every = stage.stand.report(), stage.jobs(), [*fleet.silences, *silences]
    stage.leave(report, jobs, every)
    audit = audited(markers, jobs, report, intents=stage.intents(), silences=every, outages=outages)
    wrong += _misstated(status, alive, len(audit.unknown))
    if own := [arrival for arrival in report.arrivals if arrival.by in {"client", "reader"}]:
        wrong.append(f"the client sent {len(own)} requests itself")
    counts = {**audit.counts(), "the client was told": dict(sum((each for each, _ in told), Counter()))}
    counts["tickets left"] = sum(status["tickets"].values())
    counts["all ended after, s"] = round(after, 1)
    counts["workers ended after, s"] = [round(seconds, 1) for seconds in drained]
    wrong += [complaint for _, complaints in told for complaint in complaints]
    return Finding(counts=counts, wrong=[*wrong, *audit.wrong(), *fleet.findings]), report


def _misstated(status: Mapping[str, Any], alive: int, unknown: int) -> list[str]:
    """Return what `genbridge worker status` says that is not so, when all jobs have ended."""
    said = {name: number for name, number in status["jobs"].items() if number}
    said["workers"] = sum(each["alive"] for each in status["workers"])
    so = {**({"unknown": unknown} if unknown else {}), "workers": alive}
    return [] if said == so else [f"`worker status` says {said}, and it is {so}"]


def _told(client: Submitter) -> tuple[Counter[str], list[str]]:
    """Return what a client was told of its jobs, and what is wrong with that."""
    try:
        outcomes = client.outcomes(_TOLD)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return Counter(), [f"the client was not told within {_TOLD:g} s: {error}"]
    kinds = Counter(outcome.partition(":")[0] for outcome in outcomes.values())
    strange = [f"{marker}: {said}" for marker, said in outcomes.items() if said.partition(":")[0] not in {"succeeded", _DOUBT}]
    return kinds, [f"the client was told of {len(strange)} jobs what must not be: {strange[:3]}"] if strange else []


def _every(seconds: float, look: Callable[[], bool]) -> Callable[[], bool]:
    """Return a look that is taken only each so many seconds."""
    due = [0.0]

    def looked() -> bool:
        if time.monotonic() < due[0]:
            return False
        found = look()
        due[0] = time.monotonic() + seconds
        return found

    return looked


# Kill.


def kill(folder: Path, options: argparse.Namespace) -> Finding:
    """Kill and stop workers while they submit, and the database twice; then kill one more, and leave the others alone."""
    jobs = options.jobs or (200 if options.quick else 2000)
    chance = random.Random(options.seed)
    seconds = jobs / _RATE
    with staged(folder, verbose=options.folder is not None) as make:
        stage = make("kill")
        with Fleet(stage, "abc") as fleet:
            client = Submitter(stage, jobs=jobs, rate=_RATE, patience=4 * seconds + 2 * _SETTLED)
            client.await_open()
            havoc = Havoc(fleet, chance)
            outages = Outages(fleet, [0.35 * seconds, 0.75 * seconds], chance, lasting=(2.0, 8.0))
            began = time.monotonic()
            done = _every(1.0, lambda: outages.over and stage.stand.tally()[Step.SUBMIT] >= 0.9 * jobs)
            until(done, 4 * seconds + 30.0, _each(fleet.tend, outages.tend, havoc.strike))
            outages.end()
            havocked = time.monotonic() - began
            last, extra = _last_kill(stage, fleet, jobs)
            found, report = concluded(stage, fleet, client, extra, outages=outages.past)
    found.counts |= {
        "seconds of havoc": round(havocked),
        "kills": havoc.kills,
        "stops": havoc.stops,
        "spared": havoc.spared,
        "each as on a machine of its own": fleet.apart,
        "workers started": fleet.starts,
        "workers that ended as there was no database to begin with": fleet.futile,
        "database killed": len(outages.past),
    }
    found.extend(_recovered(report, fleet.silences, outages.past, last))
    if unhealed := found.counts["unknown, stopped or cut off in a POST"]:
        found.wrong.append(f"{unhealed} jobs stayed unknown whose workers were only stopped")
    return found


def _last_kill(stage: Stage, fleet: Fleet, first: int) -> tuple[Silence, Submitter]:
    """Kill the worker with most jobs when all of them are at work, and stop another for longer than its lease."""
    fleet.calm()
    until(lambda: len(fleet.workers) == 3 and all(worker.at_work for worker in fleet.workers.values()), _TOLD, fleet.tend)
    client = Submitter(stage, jobs=150, rate=_RATE, first=first, patience=2 * _SETTLED)
    until(_every(0.5, lambda: min(_driven(stage)[name] for name in _two_busiest(stage, fleet)) >= 5), _TOLD / 4, fleet.tend)
    driven = _driven(stage)
    killed, stopped, _ = sorted(fleet.workers.values(), key=lambda worker: driven[worker.name], reverse=True)
    fleet.kill(killed)
    last = fleet.silences[-1]
    fleet.stop(stopped, _ZOMBIE)
    until(lambda: stopped.stopped is None, 2 * _ZOMBIE, fleet.tend)
    return last, client


def _two_busiest(stage: Stage, fleet: Fleet) -> list[str]:
    """Return the names of the two workers with most jobs."""
    driven = _driven(stage)
    return sorted((worker.name for worker in fleet.workers.values()), key=lambda name: driven[name])[-2:]


def _each(*works: Callable[[], None]) -> Callable[[], None]:
    def do() -> None:
        for work in works:
            work()

    return do


def _recovered(report: Report, silences: Sequence[Silence], outages: Sequence[Outage], last: Silence) -> Finding:
    """Return how long it took until the jobs of silenced workers were driven again, by others that may have been killed too."""
    found = recoveries(report, silences, outages)
    killed = [each for each in found if each.killed and each.worker != last.worker]
    lasting = [each.seconds for each in found if each.worker == last.worker]
    counts = {
        "driven again after a kill": spread([each.seconds for each in killed if not each.disturbed]),
        "the same with the database away": spread([each.seconds for each in killed if each.disturbed]),
        "taken from a stopped worker": spread([each.seconds for each in found if not each.killed]),
        "driven again after the last kill": spread(lasting),
    }
    wrong = [] if lasting else ["the last worker that was killed had no jobs, which proves nothing"]
    if lasting and max(lasting) > _RECOVERED:
        wrong.append(f"a job was driven again only {max(lasting):.1f} s after the last kill, more than {_RECOVERED:g}")
    return Finding(counts=counts, wrong=wrong)


# Limits.


def limits(folder: Path, options: argparse.Namespace) -> Finding:
    """Have three workers share what a backend takes."""
    with staged(folder, verbose=options.folder is not None) as make:
        found = _rate(make("rate", limits=f"[backends.main.limits]\nsubmits = {_SUBMITS}\nper = {_SECOND}"), options)
        found.extend(_cap(make("cap", limits=f"max_concurrent = {_AT_ONCE}"), options))
    return found


def _rate(stage: Stage, options: argparse.Namespace) -> Finding:
    jobs = 120 if options.quick else 800
    with Fleet(stage, "abc") as fleet:
        client = Submitter(stage, jobs=jobs, rate=10_000.0, patience=_SETTLED)
        until(lambda: stage.stand.tally()[Step.SUBMIT] >= jobs / 2, _TOLD, fleet.tend)
        headers = {"retry-after": f"{_PAUSE:g}"}
        stage.stand.play([Fault(step=Step.SUBMIT, how=How.ANSWER, status=429, headers=headers, body='{"error": {}}')])
        found, report = concluded(stage, fleet, client)
    submits = report.at(Step.SUBMIT)
    times = sorted(arrival.at for arrival in submits)
    most = most_within(times, _SECOND)
    workers = Counter(arrival.by for arrival in submits)
    refused = [arrival.at for arrival in submits if arrival.answered is None]
    early = [at - refused[0] for at in times if refused and _is_early(at - refused[0])]
    wrong = [
        *([f"{most} submits arrived within a second"] if most > _SUBMITS + _MARGIN else []),
        *([f"{len(workers)} of 3 workers submitted"] if len(workers) < 2 else []),
        *([f"{len(refused)} submits were refused, not 1"] if len(refused) != 1 else []),
        *([f"submits came {early[:5]} s after a refusal that asked for {_PAUSE:g}"] if early else []),
    ]
    span = times[-1] - times[0] - _PAUSE
    counts = {"most submits a second": most, "submits a second": round(len(times) / span, 1), "by worker": dict(workers)}
    counts["submits in a pause that was asked for"] = len(early)
    return Finding(counts={f"rate: {name}": value for name, value in (found.counts | counts).items()}, wrong=found.wrong + wrong)


def _is_early(seconds: float) -> bool:
    """Whether a submit that long after a refusal was in its pause: others were under way already."""
    return 2 * SUBMIT_SECONDS[1] < seconds < _PAUSE


def _cap(stage: Stage, options: argparse.Namespace) -> Finding:
    jobs = 100 if options.quick else 600
    with Fleet(stage, "abc") as fleet:
        client = Submitter(stage, jobs=jobs, rate=10_000.0, patience=_SETTLED)
        found, report = concluded(stage, fleet, client)
    most = most_at_once(report.accepted, JOB_SECONDS)
    wrong = [f"{most} jobs were made at once, the most is {_AT_ONCE}"] if most > _AT_ONCE else []
    if most < _AT_ONCE // 2:
        wrong.append(f"no more than {most} jobs were made at once, which proves nothing")
    counts = {**found.counts, "most at once": most}
    return Finding(counts={f"cap: {name}": value for name, value in counts.items()}, wrong=found.wrong + wrong)


# Cut.


def cut(folder: Path, options: argparse.Namespace) -> Finding:
    """Pull the cable between two workers with the client, and the database with the service and a third worker."""
    if reason := missing():
        return Finding(counts={"skipped": reason}, wrong=[])
    with Wires() as wires:
        words = [sys.executable, sys.argv[0], "cut", _INSIDE, wires.name, *(["--quick"] if options.quick else [])]
        words += ["--folder", str(options.folder)] if options.folder else []
        said = folder / "said.json"
        code = subprocess.run([*wires.inside(wires.near), *words, "--json", str(said)], check=False).returncode
        if not said.exists():
            return Finding(counts={}, wrong=[f"the part inside the namespace ended with {code}"])
    return Finding(**json.loads(said.read_text()))


def cut_inside(folder: Path, options: argparse.Namespace) -> Finding:
    """Do it, in the namespace of the database."""
    wires = Wires(options.inside)
    seconds = 15.0 if options.quick else 60.0
    prefix = wires.inside(wires.far)
    with staged(folder, host=NEAR, verbose=options.folder is not None) as make:
        stage = make("cut")
        with Fleet(stage, "abc", prefixes={"b": prefix, "c": prefix}) as fleet:
            jobs = int((seconds + (10.0 if options.quick else 30.0)) * _RATE)
            client = Submitter(stage, jobs=jobs, rate=_RATE, patience=seconds + _SETTLED, prefix=prefix)
            client.await_open()
            _pause(5.0 if options.quick else 20.0, fleet)
            far = [worker.name for worker in fleet.workers.values() if worker.place != "a"]
            began = time.time()
            wires.cut()
            _pause(seconds, fleet)
            wires.heal()
            silences = [Silence(worker=name, since=began, until=time.time()) for name in far]
            found, report = concluded(stage, fleet, client, silences=silences)
    heard = [seen for seen in report.arrivals if seen.by in far and began + 1.0 < seen.at < silences[0].until]
    if heard:
        found.wrong.append(f"{len(heard)} requests came through the cut")
    taken = [each.seconds for each in recoveries(report, silences)]
    found.counts |= {"seconds of the cut": seconds, "driven by another during it or after it": spread(taken)}
    found.counts["by worker"] = dict(Counter(arrival.by for arrival in report.at(Step.SUBMIT)))
    return found


def _pause(seconds: float, fleet: Fleet) -> None:
    """Let some time pass."""
    until(lambda: False, seconds, fleet.tend)


# Drain and outage.


def drain(folder: Path, options: argparse.Namespace) -> Finding:
    """Ask one of two workers to end while it has running jobs and others are being submitted."""
    running = 60 if options.quick else 200
    with staged(folder, verbose=options.folder is not None) as make:
        stage = make("drain", job_seconds=20.0 if options.quick else 60.0, interval=4.0)
        with Fleet(stage, "ab") as fleet:
            client = Submitter(stage, jobs=3 * running, rate=15.0, patience=2 * _SETTLED)
            until(_every(0.5, lambda: max(_driven(stage).values(), default=0) >= running), _TOLD, fleet.tend)
            driven, began = _driven(stage), time.time()
            worker = max(fleet.workers.values(), key=lambda worker: driven[worker.name])
            seconds = fleet.drain(worker)
            found, report = concluded(stage, fleet, client)
    taken = _taken(report, worker.name, began)
    late = [post for post in report.at(Step.SUBMIT) if post.by == worker.name and post.at > began + 1.0]
    found.counts |= {
        "running jobs that it had": driven[worker.name],
        "it ended after, s": round(seconds, 1),
        "driven by the other after": spread(taken),
        "submits of it once it was asked to end": len(late),
    }
    if seconds > _DRAINED:
        found.wrong.append(f"it took {seconds:.1f} s to end")
    if late:
        found.wrong.append(f"it sent {len(late)} submits after it was asked to end")
    if driven[worker.name] < running:
        found.wrong.append(f"it had only {driven[worker.name]} jobs, which proves little")
    if taken and max(taken) > seconds + _DRAINED:
        found.wrong.append(f"a job was driven by the other only after {max(taken):.1f} s")
    return found


def _driven(stage: Stage) -> Counter[str]:
    """Return how many unfinished jobs each worker drives, as the service sees it."""
    now = time.time()
    report = stage.stand.report()
    running = {made.job for made in report.accepted if made.at + stage.job_seconds > now}
    return Counter(arrivals[-1].by for job, arrivals in drives(report).items() if job in running)


def _taken(report: Report, worker: str, since: float) -> list[float]:
    """Return after how many seconds each job of a worker that was asked to end was driven by another."""
    found = []
    for arrivals in drives(report).values():
        before = [arrival for arrival in arrivals if arrival.at <= since]
        after = [arrival.at for arrival in arrivals if arrival.at > since and arrival.by != worker]
        if before and before[-1].by == worker and after:
            found.append(after[0] - since)
    return found


def outage(folder: Path, options: argparse.Namespace) -> Finding:
    """Take the database away for a while, and bring it back."""
    seconds = 10.0 if options.quick else 60.0
    chance = random.Random(options.seed)
    with staged(folder, verbose=options.folder is not None) as make:
        stage = make("outage", job_seconds=10.0)
        with Fleet(stage, "ab") as fleet:
            jobs = int((seconds + (10.0 if options.quick else 20.0)) * _RATE)
            client = Submitter(stage, jobs=jobs, rate=_RATE, patience=seconds + _SETTLED)
            client.await_open()
            outages = Outages(fleet, [5.0 if options.quick else 10.0], chance, lasting=(seconds, seconds))
            until(lambda: outages.over, seconds + _TOLD, _each(fleet.tend, outages.tend))
            found, report = concluded(stage, fleet, client, outages=outages.past)
    away = outages.past[0]
    polls = sum(away.since < arrival.at < away.until for arrival in report.at(Step.POLL))
    found.counts |= {"seconds without the database": round(away.until - away.since, 1), "polls meanwhile": polls}
    found.counts["workers started"] = fleet.starts
    return found


_ALL = "all"
_PARTS = {"kill": kill, "limits": limits, "cut": cut, "drain": drain, "outage": outage}


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=[*_PARTS, _ALL])
    parser.add_argument("--jobs", type=int, help="how many jobs (2000; 200 with --quick), of `kill` only")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--quick", action="store_true", help="fewer jobs and shorter outages, and two parts at once")
    parser.add_argument("--folder", type=Path, help="where to leave what the processes wrote, for a look at it")
    parser.add_argument("--json", type=Path, help="write the counts to this file too")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write what `all` has counted to a page of the documentation")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="source", help="take it from what --json wrote of `all`")
    parser.add_argument(_INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.pop("PYTHONSAFEPATH", None)
    if programs() is None:
        print("skipped: PostgreSQL is not installed")
        return 0
    with tempfile.TemporaryDirectory(prefix="genbridge-fleet-") as temporary:
        folder = options.folder or Path(temporary)
        return run_all(folder, options) if options.what == _ALL else run_part(folder, options)


def run_all(folder: Path, options: argparse.Namespace) -> int:
    """Run all parts, each as a command of its own; return the exit code."""
    said = json.loads(options.source.read_text()) if options.source else _run_all(folder, options)
    if options.json:
        options.json.write_text(json.dumps(said))
    code: int = said["code"]
    if options.write and not code:
        write(options.write, said["parts"], said["seed"])
    return code


def _run_all(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    words = ["--seed", str(options.seed), *(["--quick"] if options.quick else [])]
    words += ["--folder", str(options.folder)] if options.folder else []
    words += ["--jobs", str(options.jobs)] if options.jobs else []
    files = {part: folder / f"{part}.json" for part in _PARTS}

    def one(part: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, sys.argv[0], part, *words, "--json", str(files[part])]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    codes = []
    with ThreadPoolExecutor(2 if options.quick else 1) as turns:
        for done in turns.map(one, _PARTS):
            print(done.stdout, flush=True)
            codes.append(done.returncode)
    parts = {part: json.loads(file.read_text()) for part, file in files.items() if file.exists()}
    return {"seed": options.seed, "code": max(codes), "parts": parts}


def run_part(folder: Path, options: argparse.Namespace) -> int:
    """Run one part; return the exit code."""
    work = cut_inside if options.inside else _PARTS[options.what]
    if options.inside is None:
        print(f"{options.what}, seed {options.seed}", flush=True)
    return _said(work(folder, options), options)


def _said(found: Finding, options: argparse.Namespace) -> int:
    """Print what was found, and return the exit code."""
    if options.json:
        options.json.write_text(json.dumps(attrs.asdict(found)))
    if options.inside:
        return 0
    print("\n".join(f"{name}: {value}" for name, value in found.counts.items()))
    print("\n".join(f"! {finding}" for finding in found.wrong) or "it holds", file=sys.stderr if found.wrong else sys.stdout)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 (a harness prints what it counts)
"""Kill a batch again and again, run it again until it ends, and compare what came of it with what the service accepted.

    python kill_batch.py [--jobs 200] [--kills 6] [--seed 1] [--quick] [--json FILE]

The batch is run through `Client.generate_many`, on a clock that runs faster than this machine's, and through the command
`genbridge batch`, on the real one. A kill comes when the service has seen a number of POSTs drawn from the next part of the batch;
the last comes while files are saved. At the end every job has its result and its files, once, or is honestly in doubt, which with
MeiGen none is; and one more run sends nothing. The exit code is 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import attrs
from crash import ENDLESS, RECOVERABLE
from crash_audit import Audit, audited
from crash_child import Batch, FastClock, ended, forked, never, prompt_of
from service import Service, Stand

from genbridge import ImageRequest
from genbridge.cli.exits import Exit
from genbridge.config import BackendConfig, Secret

_SPEED = 60.0
_STUCK = 400.0
_NAME = "killed"


@attrs.frozen(kw_only=True)
class Run:
    """One batch: through what, with whom, how many jobs and kills."""

    through: str
    provider: str
    jobs: int
    kills: int
    seed: int


@attrs.frozen(kw_only=True)
class Place:
    """Where a batch is run: its account, its journal, and the folder for its files."""

    run: Run
    batch: Batch
    stand: Stand
    folder: Path

    @property
    def files(self) -> Path:
        """The folder for the files."""
        return self.folder / "files"

    def begin(self) -> int:
        """Begin a process that runs the batch, and return its id."""
        work = self._through_command if self.run.through == "command" else self._through_client
        return forked(work, log=self.folder / "log.txt")

    def _through_client(self) -> None:
        asyncio.run(self._generate_many())

    async def _generate_many(self) -> None:
        requests = [ImageRequest(prompt_of(marker)) for marker in self.batch.markers]
        async with self.batch.client() as client:
            outcomes = await client.generate_many(requests, name=_NAME, directory=self.files)
        rows = [{"status": each.job and each.job.status, "paths": list(map(str, each.paths))} for each in outcomes]
        (self.folder / "outcomes.json").write_text(json.dumps(rows))

    def _through_command(self) -> None:
        output = os.open(self.folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        sheet, config = self._written()
        words = ["batch", str(sheet), "--yes", "--json", "-o", str(self.files), "--config", str(config)]
        os.execv(sys.executable, [sys.executable, "-m", "genbridge", *words, "--journal", str(self.batch.journal)])

    def _written(self) -> tuple[Path, Path]:
        """Write the file of requests and the configuration."""
        sheet, config, key = self.folder / f"{_NAME}.jsonl", self.folder / "genbridge.toml", self.folder / "key.txt"
        lines = [json.dumps({"media": "image", "prompt": prompt_of(marker)}) for marker in self.batch.markers]
        sheet.write_text("\n".join(lines))
        key.write_text(self.stand.key)
        config.write_text(
            f'[backends.main]\nprovider = "{self.run.provider}"\napi_key = "file:{key}"\nbase_url = "{self.stand.base_url}"\n'
            "submits_per_minute = 100000\n[backends.main.poll]\ninterval = 0.2\n"
        )
        return sheet, config

    def said(self) -> list[dict[str, Any]]:
        """Return what the last run said of each job."""
        if self.run.through == "command":
            rows: list[dict[str, Any]] = list(map(json.loads, (self.files / "manifest.jsonl").read_text().splitlines()))
        else:
            rows = json.loads((self.folder / "outcomes.json").read_text())
        return rows


@attrs.frozen(kw_only=True)
class Counts:
    """What came of a batch."""

    run: Run
    kills: int
    results: int
    files: int
    accepted: int
    lost: int
    twice: int
    unknown: int
    seconds: float
    findings: list[str]


def killed(run: Run) -> Counts:
    """Kill a batch some times, let it end, and count."""
    with tempfile.TemporaryDirectory(prefix="genbridge-batch-") as folder, Service() as service:
        return _killed(_place(run, Path(folder), service))


def _place(run: Run, folder: Path, service: Service) -> Place:
    pace = 1000.0 if run.through == "command" else _SPEED
    stand = service.stand(run.provider, pace=pace, settings=ENDLESS[run.provider])
    backend = BackendConfig(name="main", provider=run.provider, api_key=Secret(stand.key), base_url=stand.base_url)
    markers = [f"{number}" for number in range(run.jobs)]
    clock = FastClock(speed=_SPEED)
    batch = Batch(backend=backend, provider=None, journal=folder / "jobs.db", markers=markers, clock=clock)
    return Place(run=run, batch=batch, stand=stand, folder=folder)


def _killed(place: Place) -> Counts:
    started = time.monotonic()
    run, stand = place.run, place.stand
    chance = random.Random(f"{run.seed} {run.through} {run.provider}")
    kills = sum(_kill(place, until) for until in _moments(run, chance))
    code = ended(place.begin(), never, stuck=_STUCK)
    end = audited(place.batch, stand.report())
    rows = place.said()
    posts = stand.report().posts
    again = ended(place.begin(), never, stuck=_STUCK)
    findings = [*_wrong(place, end, rows, code, kills), *(["one more run sent something"] if stand.report().posts != posts else [])]
    if again != code:
        findings.append(f"one more run ended with {again}, not {code}")
    return Counts(
        run=run,
        kills=kills,
        results=sum(row["status"] == "succeeded" for row in rows),
        files=_count(place.files),
        accepted=end.accepted,
        lost=len(end.lost),
        twice=len(end.twice),
        unknown=len(end.unknown),
        seconds=time.monotonic() - started,
        findings=findings,
    )


def _moments(run: Run, chance: random.Random) -> Iterator[tuple[int, float]]:
    """Yield when to kill: after so many POSTs, and some seconds more; the last one is for the files."""
    for number in range(run.kills - 1):
        yield int(run.jobs * (number + chance.random()) / (run.kills - 1)), chance.uniform(0.0, 0.2)
    yield run.jobs, chance.uniform(0.0, 0.5)


def _kill(place: Place, moment: tuple[int, float]) -> bool:
    """Kill a run at a moment; return whether it was not over before."""
    posts, seconds = moment
    reached: list[float] = []

    def due(since: float) -> bool:
        if not reached and place.stand.report().posts.total() >= posts:
            reached.append(since)
        return bool(reached) and since - reached[0] >= seconds

    return ended(place.begin(), due, stuck=_STUCK) == -signal.SIGKILL


def _count(folder: Path) -> int:
    """Return how many files there are, without the sidecars and the manifest."""
    return sum(path.suffix == ".png" for path in folder.iterdir())


def _wrong(place: Place, end: Audit, rows: Sequence[dict[str, Any]], code: int, kills: int) -> list[str]:
    run = place.run
    done = [row for row in rows if row["status"] == "succeeded"]
    doubts = 0 if run.provider in RECOVERABLE else len(end.unknown)
    named = {str(path) for row in done for path in row["paths"]}
    left = sorted(path.name for path in place.files.iterdir() if path.suffix not in {".png", ".json", ".jsonl"})
    checks = {
        f"it ended with {code}": code == (Exit.UNKNOWN if doubts and run.through == "command" else 0),
        f"{len(rows)} of {run.jobs} jobs are named": len(rows) == run.jobs,
        f"{doubts} in doubt after {kills} kills": doubts <= kills,
        "it was never killed": kills > 0,
        f"{len(done)} results, {doubts} may be in doubt": len(done) == run.jobs - doubts,
        f"{len(done)} results have {len(named)} files": len(named) == len(done),
        f"{_count(place.files)} files are saved": _count(place.files) == len(done),
        f"these were left behind: {left[:5]}": not left,
        f"{len(done)} results of {end.accepted} accepted": len(done) <= end.accepted <= len(done) + doubts,
        f"lost: {end.lost}": not end.lost,
        f"twice: {end.twice}": not end.twice,
        f"wrong: {end.wrong}": not end.wrong,
    }
    return [finding for finding, holds in checks.items() if not holds]


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, help="how many jobs a batch has (200; 40 with --quick)")
    parser.add_argument("--kills", type=int, help="how often each is killed (6; 3 with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small batches, and imini only")
    parser.add_argument("--json", type=Path, help="write the counts to this file too")
    arguments = parser.parse_args()
    size = {"jobs": arguments.jobs or (40 if arguments.quick else 200), "kills": arguments.kills or (3 if arguments.quick else 6)}
    providers = ("imini",) if arguments.quick else ("imini", "meigen")
    runs = [
        Run(through=through, provider=provider, seed=arguments.seed, **size)
        for provider in providers
        for through in ("command", "client")
    ]
    findings = 0
    all_counts = []
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for counts in pool.map(killed, runs):
            print(line(counts), flush=True)
            findings += len(counts.findings)
            all_counts.append(attrs.asdict(counts))
    if arguments.json:
        arguments.json.write_text(json.dumps(all_counts, indent=1))
    print(f"{findings} times a promise did not hold" if findings else "every promise held")
    return 1 if findings else 0


def line(counts: Counts) -> str:
    """Return the counts as a line of the table, with what is wrong below."""
    run = counts.run
    first = (
        f"{run.provider:7} {run.through:8} {run.jobs} jobs, {counts.kills} kills: {counts.results} results, {counts.files} files, "
        f"{counts.accepted} accepted, {counts.lost} lost, {counts.twice} twice, {counts.unknown} unknown ({counts.seconds:.0f} s)"
    )
    return "\n".join([first, *(f"  ! {finding}" for finding in counts.findings)])


if __name__ == "__main__":
    sys.exit(main())

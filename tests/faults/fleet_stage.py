"""What a fleet is put on: a PostgreSQL server, a service, and the processes that are started with genbridge's command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from crash import ENDLESS
from fleet_counts import Silence
from script import Step
from service import Report, Service, Stand

from genbridge import Client, Job, JobStatus

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "fakes"))

from postgres import Server  # noqa: E402 (the fakes are found by their folder)

PROVIDER = "imini"
"""A service that cannot be asked what became of a submit, so that each that was broken off shows."""
SUBMIT_SECONDS = (0.05, 0.3)
JOB_SECONDS = 5.0
_IMAGE_SECONDS = 10.0
"""How many of the service's seconds an image takes."""
_PATIENCE = 60.0
LOOK = 0.05
"""Seconds between two looks at the processes."""
_UNSETTLED = frozenset({JobStatus.PENDING, JobStatus.SUBMITTING, JobStatus.QUEUED, JobStatus.RUNNING})


@attrs.frozen(kw_only=True)
class Stage:
    """A database, an account at a service, and a folder for all that is written."""

    server: Server
    stand: Stand
    folder: Path
    url: str = attrs.field(repr=False)
    limits: str = ""
    """Lines for the backend's table in the workers' configuration."""
    verbose: bool = False
    job_seconds: float = JOB_SECONDS
    interval: float = 1.0

    def config(self, sender: str, *, keyed: bool = True) -> Path:
        """Write the configuration of somebody, whose requests the service tells from others', and return where it is."""
        key, file = self.folder / "key.txt", self.folder / f"{sender}.toml"
        key.write_text(self.stand.key)
        lines = [
            "[backends.main]",
            f'provider = "{PROVIDER}"',
            f'base_url = "{self.stand.base_url_of(sender)}"',
            *([f'api_key = "file:{key}"'] if keyed else []),
            self.limits,
            "[backends.main.poll]",
            f"interval = {self.interval}",
            "learn = false",
        ]
        file.write_text("\n".join(lines))
        return file

    def begin(self, *words: str, log: Path, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Begin one of genbridge's commands."""
        command = [*prefix, sys.executable, "-m", "genbridge", *words]
        with log.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, cwd=self.folder, env=self.environment())

    def run(self, *words: str, codes: Sequence[int] = (0,)) -> str:
        """Run one of genbridge's commands to its end, and return what it prints; raises `RuntimeError` for another exit code."""
        command = [sys.executable, "-m", "genbridge", *words]
        settings: dict[str, Any] = {"cwd": self.folder, "env": self.environment(), "timeout": _PATIENCE}
        done = subprocess.run(command, check=False, capture_output=True, text=True, **settings)
        if done.returncode not in codes:
            raise RuntimeError(f"genbridge {words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return what `genbridge worker status` says; its exit code tells of jobs in doubt, too."""
        said: dict[str, Any] = json.loads(self.run("worker", "status", "--db", self.url, "--json", codes=(0, 1, 5)))
        return said

    def environment(self) -> Mapping[str, str]:
        """Return the variables of the processes: none leads to a configuration or a record that is somebody else's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GENBRIDGE_", "IMINI_"))}
        return {**kept, "GENBRIDGE_STATE_DIR": str(self.folder / "state")}

    def jobs(self) -> list[Job]:
        """Return all that is on record."""
        return asyncio.run(self._jobs())

    async def _jobs(self) -> list[Job]:
        async with Client(self.config("reader", keyed=False), journal=self.url) as client:
            return [job async for job in client.jobs()]

    def leave(self, report: Report, jobs: Sequence[Job], silences: Sequence[Silence]) -> None:
        """Write down what was seen, for a look at it where the folder is kept."""
        rows = [[job.id, job.status, str(job.submitted_at), job.failure and job.failure.message] for job in jobs]
        seen = {"report": attrs.asdict(report), "silences": [attrs.asdict(each) for each in silences], "jobs": rows}
        (self.folder / "seen.json").write_text(json.dumps(seen))

    def intents(self) -> dict[str, float]:
        """Return when the intent to submit each job was recorded, which the service does not know of one that never arrived."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            return dict(connection.execute("select id, intended from genbridge.jobs where intended is not null").fetchall())

    def unsettled(self, jobs: int) -> int:
        """Return how many of so many jobs have not ended and are not in doubt."""
        return jobs - sum(job.status not in _UNSETTLED for job in self.jobs())


@contextmanager
def staged(folder: Path, *, host: str = "127.0.0.1", verbose: bool = False) -> Iterator[Callable[..., Stage]]:
    """Start a PostgreSQL server and a service, and return what makes a stage on them, each with a database and an account."""
    with Server(host=host) as server, Service(host) as service:

        def stage(name: str, *, job_seconds: float = JOB_SECONDS, **more: Any) -> Stage:
            place = folder / name
            place.mkdir()
            pace = _IMAGE_SECONDS / job_seconds
            stand = service.stand(PROVIDER, pace=pace, delays={Step.SUBMIT: SUBMIT_SECONDS}, settings=ENDLESS[PROVIDER])
            url = server.make_database()
            made = Stage(server=server, stand=stand, folder=place, url=url, verbose=verbose, job_seconds=job_seconds, **more)
            made.run("db", "upgrade", "--db", made.url)
            return made

        yield stage


class Submitter:
    """The process that hands jobs in."""

    def __init__(
        self, stage: Stage, *, jobs: int, rate: float, first: int = 0, patience: float, prefix: Sequence[str] = ()
    ) -> None:
        self.markers = [f"{first + number}" for number in range(jobs)]
        config = stage.config("client", keyed=False)
        told = {"config": str(config), "journal": stage.url, "first": first, "jobs": jobs, "rate": rate, "patience": patience}
        self._log = stage.folder / f"client-{first}.txt"
        self._said = stage.folder / f"client-{first}.json"
        command = [*prefix, sys.executable, str(HERE / "fleet_client.py"), json.dumps(told)]
        with self._said.open("wb") as output, self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=output, stderr=log, env=stage.environment())

    def await_open(self) -> None:
        """Wait until it is connected; raises `RuntimeError` when it does not."""
        if not until(lambda: self._log.stat().st_size > 0, _PATIENCE):
            raise RuntimeError("the client does not connect")

    def outcomes(self, patience: float) -> dict[str, str]:
        """Wait until it has ended, and return what came of each job; raises `RuntimeError` when it fails."""
        try:
            code = self._process.wait(patience)
        finally:
            self.stop()
        if code:
            raise RuntimeError(f"the client ended with {code}: {self._log.read_text()[-2000:]}")
        said: dict[str, str] = json.loads(self._said.read_text())
        return said

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def until(due: Callable[[], bool], seconds: float, meanwhile: Callable[[], None] | None = None) -> bool:
    """Wait until something is so, at most some seconds; return whether it is."""
    deadline = time.monotonic() + seconds
    while not due():
        if time.monotonic() > deadline:
            return False
        if meanwhile is not None:
            meanwhile()
        time.sleep(LOOK)
    return True

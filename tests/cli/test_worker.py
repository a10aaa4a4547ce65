"""`genbridge worker` and its status, on a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from studio import REQUEST

from genbridge import Client, ImageRequest, Job, JobStatus
from genbridge.budgets import Budget
from genbridge.cli import app
from genbridge.cli.console import log_to_stderr
from genbridge.cli.workers import _row
from genbridge.databases import DatabaseUrl
from genbridge.engine import Ticket
from genbridge.journal import Report
from genbridge.journal.postgres import PostgresJournal

Cli = Callable[..., Any]

REPORT = Report(host="here", pid=7, version="0", backends=("main", "spare"), concurrency=10, driving=3, ended=12, started=1.0)
CONFIG = """
[backends.main]
provider = "imini"
api_key = "env:MAIN_KEY"

[backends.spare]
provider = "meigen"
api_key = "env:SPARE_KEY"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a configuration, whose backends have no keys."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genbridge.toml").write_text(CONFIG)
    return tmp_path


class Tickets:
    """An engine whose tickets are counted by nobody."""

    def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
        pass

    def give_again(self, connection: Any) -> None:
        pass

    def ticketed(self, connection: Any, job_ids: Sequence[str]) -> set[str]:
        return set(job_ids)


def on_record(url: str, *jobs: Job, reports: Sequence[Report] = ()) -> None:
    """Put jobs and reports on record; each report is another worker's, and stays; nobody drives the jobs."""

    async def work() -> None:
        journal = PostgresJournal(DatabaseUrl.parse(url))
        await journal.open()
        for job in jobs:
            await journal.add(job, Budget())
        await journal.aclose()
        for report in reports:
            journal = PostgresJournal(DatabaseUrl.parse(url))
            await journal.open()
            await journal.report(report)
            await journal._store.aclose()  # it does not take its leave, as it is to be taken for one that works

    asyncio.run(work())


def a_job(job_id: str, status: JobStatus) -> Job:
    """Return a job."""
    from datetime import UTC, datetime

    from genbridge import Quote

    return Job(
        id=job_id,
        key=job_id,
        backend="main",
        provider="imini",
        model="clip",
        provider_model="clip-1",
        request=REQUEST,
        status=status,
        quote=Quote(amount=5.0),
        created_at=datetime.now(UTC),
    )


def test_the_status_shows_workers_and_jobs(cli: Cli, database: str) -> None:
    """Who is alive, what each has done, and what waits."""
    on_record(database, a_job("job-1", JobStatus.PENDING), a_job("job-2", JobStatus.RUNNING), reports=[REPORT])
    run = cli("worker", "status", "--db", database)
    header, row, jobs, undriven = run.stdout.splitlines()
    assert ["WORKER", "STATE", "HEARD", "OF", "DRIVING", "ENDED", "STARTED", "BACKENDS"] == header.split()
    assert ["here:7", "alive", "0s", "ago", "3", "of", "10", "12"] == row.split()[:8]
    assert row.endswith("main, spare")
    assert "jobs: 1 pending, 0 submitting, 0 unknown, 0 queued, 1 running; the oldest has waited 0s to be sent" == jobs
    assert "without a driver: 2; tickets: 0 waiting, 0 held" == undriven
    assert (0, "") == (run.exit_code, run.stderr)


def test_the_status_is_said_in_json(cli: Cli, database: str) -> None:
    """With everything that the table has."""
    on_record(database, a_job("job-1", JobStatus.RUNNING), reports=[REPORT])
    document = json.loads(cli("worker", "status", "--db", database, "--json").stdout)
    (worker,) = document["workers"]
    assert ("here", 7, ["main", "spare"], 3, 12, True) == tuple(
        worker[name] for name in ("host", "pid", "backends", "driving", "ended", "alive")
    )
    assert "1970-01-01T00:00:01+00:00" == worker["started_at"]
    assert {"pending": 0, "submitting": 0, "unknown": 0, "queued": 0, "running": 1} == document["jobs"]
    assert (None, 1, {"waiting": 0, "held": 0}) == (document["oldest_waiting"], document["undriven"], document["tickets"])


@pytest.mark.parametrize(
    ("changes", "state", "driving"),
    [
        ({}, "alive", "3 of 10"),
        ({"draining": True}, "draining", "3 of 10"),
        ({"silent": 19.0}, "silent", "3 of 10"),
        ({"silent": 31.0}, "dead", "-"),
        ({"gone": True}, "dead", "-"),
    ],
)
def test_a_worker_is_shown_as_what_is_known_of_it(changes: dict[str, Any], state: str, driving: str) -> None:
    """One that is dead drives nothing, whatever it said last."""
    row = _row(attrs.evolve(REPORT, **changes))
    assert (state, driving) == (row[1], row[3])


@pytest.mark.parametrize("reports", [[], [attrs.evolve(REPORT, draining=True)]])
def test_the_status_fails_where_no_worker_takes_jobs(cli: Cli, postgres: Any, database: str, reports: list[Report]) -> None:
    """One that drains takes none; what to do is said."""
    on_record(database, reports=reports)
    run = cli("worker", "status", "--journal", database)
    assert 1 == run.exit_code
    assert "no worker takes jobs; start one with: genbridge --journal" in run.stderr
    assert postgres.password not in run.stderr


def test_the_status_fails_where_jobs_are_in_doubt(cli: Cli, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to look at them."""
    monkeypatch.setenv("JOBS_DB", database)
    on_record(database, a_job("job-1", JobStatus.UNKNOWN), reports=[REPORT])
    run = cli("worker", "status", "--db", "env:JOBS_DB")
    assert (5, "1 in doubt: genbridge --journal env:JOBS_DB jobs reconcile\n") == (run.exit_code, run.stderr)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ("--sandbox", 2, "a worker needs services that all workers reach"),
        ("--backend nobody", 3, "there is no backend or route 'nobody'"),
        ("--backend main", 3, "MAIN_KEY"),
        ("", 3, "no backend that is configured here has a key"),
        ("--journal jobs.db", 3, "name a database with --db"),
        ("--concurrency 0", 2, "concurrency"),
    ],
)
def test_what_keeps_a_worker_from_driving_is_said_at_once(cli: Cli, folder: Path, words: str, code: int, expected: str) -> None:
    """Before anything is connected to."""
    given = words.split() if "--journal" in words else ["--db", "postgresql://nowhere.invalid/jobs", *words.split()]
    run = cli("worker", *given)
    assert (code, True) == (run.exit_code, expected in run.stderr), run.stderr


def test_what_is_logged_beside_lines_for_jobs_has_a_time_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else nobody would know of a file of both when the database went."""
    with pytest.raises(SystemExit):
        app(["worker", "--log-jobs", "--db", "postgresql://nowhere.invalid/jobs"])
    logging.getLogger("genbridge").warning("w")
    log_to_stderr(0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ warning: w", capsys.readouterr().err.splitlines()[-1])


def test_the_backends_without_a_key_are_named(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, postgres: Any) -> None:
    """The others are driven; a database without tables is named with the command that makes them."""
    monkeypatch.setenv("MAIN_KEY", "a-key-of-some-length")
    run = cli("worker", "--db", postgres.make_database())
    assert 3 == run.exit_code
    assert "backends.spare.api_key: no key" in run.stderr
    assert "backends.main" not in run.stderr
    assert "db upgrade" in run.stderr


def test_an_engine_that_is_this_process_is_for_no_worker(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be given nothing to drive."""
    monkeypatch.setenv("MAIN_KEY", "a-key-of-some-length")
    (folder / "genbridge.toml").write_text(
        CONFIG + '[journal]\npath = "postgresql://nowhere.invalid/jobs"\nengine = "in-process"\n'
    )
    run = cli("worker")
    assert (3, True) == (run.exit_code, "a worker is for jobs that are handed in" in run.stderr)


class Running:
    """A worker's process, whose stderr says how far it is."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "genbridge", "worker", "--log-jobs", *words]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")

    def until(self, words: str) -> str:
        """Read what it says until it says something, and return that line."""
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if words in line:
                return line
        raise AssertionError("".join(said))

    def stop(self) -> tuple[int, str, str]:
        """Have it end as an impatient supervisor does; return its exit code, and what it said at last."""
        self._process.send_signal(signal.SIGTERM)
        self.until("stopped; other workers go on with its jobs")
        self._process.send_signal(signal.SIGTERM)
        stdout, stderr = self._process.communicate(timeout=60)
        return self._process.returncode, stdout, stderr

    def end(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
async def test_a_worker_drives_what_a_client_hands_in_and_stops_when_it_is_told_to(tmp_path: Path, postgres: Any) -> None:
    """A client without a key gets the files; the worker makes tables, prints a line, and exits with 0 however often it is told."""
    url = postgres.make_database()
    async with Client.sandbox() as host:
        backends = host.config.backends
        name, backend = next((name, backend) for name, backend in backends.items() if name == "imini")
        (tmp_path / "genbridge.toml").write_text(
            f'[backends.{name}]\nprovider = "{backend.provider}"\napi_key = "{backend.api_key.reveal()}"\n'
            f'base_url = "{backend.base_url}"\n[backends.{name}.poll]\ninterval = 0.05\n'
        )
        (tmp_path / "client.toml").write_text((tmp_path / "genbridge.toml").read_text().replace("api_key", "# "))
        worker = await asyncio.to_thread(Running, tmp_path, "--db", url, "--migrate", "--metrics", "0")
        try:
            await asyncio.to_thread(worker.until, "driving jobs of imini on ")
            async with Client(tmp_path / "client.toml", journal=url) as client:
                handle = await client.submit(ImageRequest("a fox"), backend=name)
                result = await handle.result(timeout=60)
            code, stdout, stderr = await asyncio.to_thread(worker.stop)
        finally:
            worker.end()
    assert 1 == len(result.assets)
    assert (0, "") == (code, stderr)
    (line,) = stdout.splitlines()
    assert [handle.id, "imini", "succeeded"] == [word for word in line.split() if word in {handle.id, "imini", "succeeded"}]
    assert postgres.password not in stdout + stderr

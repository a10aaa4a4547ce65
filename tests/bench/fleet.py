"""Measure what a job costs on PostgreSQL with a worker, beside the same job in one process, in one run.

    python fleet.py [--quick] [--jobs 2000] [--polls 20] [--rounds 3] [--json FILE] [--check]

Each round carries the same jobs through a client alone, without a record and with one in a file, and then through a client, a
worker and a PostgreSQL server of the run's own. CPU is that of the whole process, and of all the server's processes; rows, commits
and WAL are those of the server's own statistics. Then, with nothing else to do: how long after it was handed in a job arrives at
the service, and how much memory a worker has with 5,000 jobs in flight.

The service is on loopback, in a process of its own, and answers from bytes made beforehand. Ends with 1 when a job was not done,
and with `--check` also when a goal was not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from loopback import HERE, Loopback, ask, environment
from sheet import table

sys.path.append(str(HERE.parent / "fakes"))

from postgres import Server

_PATIENCE = 1800.0
_READY, _SETTLE = 4.0, 3.0
"""Seconds until a worker is at work, and until the server has written its statistics."""
_TICKS = os.sysconf("SC_CLK_TCK")
_BARE, _FILE, _SHARED = "in process, no record", "in process, in a file", "a worker, on PostgreSQL"
_GOALS = (
    ("worker, ms more a job than in process", "worker_more", 2.5),
    ("PostgreSQL, ms a job", "server", 1.6),
    ("worker, MB with 5,000 in flight", "megabytes", 120.0),
)
_STATISTICS = """
    select xact_commit, tup_inserted, tup_updated, tup_deleted, (select wal_bytes from pg_stat_wal)
    from pg_stat_database where datname = current_database()
"""

Found = dict[str, Any]


def say(text: str = "") -> None:
    """Print, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# Processes.


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used, and those of its children that have ended; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def cpu_of_all(parent: int) -> float:
    """Return the same for a process and all its children."""
    while True:
        with suppress(FileNotFoundError):  # one that ends meanwhile is counted with its parent the next time
            return sum(map(cpu_of, [parent, *_children(parent)]))


def _children(parent: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def megabytes_of(pid: int) -> float:
    """Return the memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def hand_in(task: str, port: int, journal: str | None, *, jobs: int, interval: float = 1.0) -> Found:
    """Run a client that hands in jobs to its end, and return what it found."""
    told = {"task": task, "port": port, "journal": journal, "interval": interval, "jobs": jobs}
    command = [sys.executable, str(HERE / "clients" / "fleet_jobs.py"), json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=_PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"the client ended with {done.returncode}: {done.stderr[-2000:]}")
    found: Found = json.loads(done.stdout)
    return found


@contextmanager
def worker(url: str, port: int, folder: Path, *, interval: float = 1.0, concurrency: int = 2000) -> Iterator[int]:
    """Run a worker, and return the id of its process."""
    config, log = folder / f"worker-{port}.toml", folder / f"worker-{port}.txt"
    config.write_text(
        f'[backends.main]\nprovider = "imini"\napi_key = "a-key"\nbase_url = "http://127.0.0.1:{port}/imini"\n'
        f"[backends.main.poll]\ninterval = {interval}\nlearn = false\n"
    )
    words = ["worker", "--db", url, "--config", str(config), "--concurrency", str(concurrency)]
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "genbridge", *words], stdout=output, stderr=output, cwd=folder)
    try:
        time.sleep(_READY)
        if process.poll() is not None:
            raise RuntimeError(f"the worker ended with {process.returncode}: {log.read_text()[-2000:]}")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def upgraded(server: Server, folder: Path) -> str:
    """Make a database with both schemas, and return its URL."""
    url = server.make_database()
    subprocess.run([sys.executable, "-m", "genbridge", "db", "upgrade", "--db", url], check=True, capture_output=True, cwd=folder)
    return url


def statistics(url: str) -> Sequence[int]:
    """Return what a server has counted so far of a database."""
    import psycopg

    time.sleep(_SETTLE)
    with psycopg.connect(url, autocommit=True) as connection:
        return [int(value) for value in connection.execute(_STATISTICS).fetchone() or ()]


# What is measured.


def alone(folder: Path, *, jobs: int, polls: int, journal: Path | None) -> Found:
    """Carry jobs through one process."""
    with Loopback(seconds=[polls - 0.5]) as loopback:
        found = hand_in("carry", loopback.port, journal and str(journal), jobs=jobs)
    return {"client": 1000 * found["cpu"] / jobs, "polls": found["polls"] / jobs, "seconds": found["seconds"]}


def shared(server: Server, folder: Path, *, jobs: int, polls: int) -> Found:
    """Carry them through a client, a worker and a server."""
    url = upgraded(server, folder)
    with Loopback(seconds=[polls - 0.5]) as loopback, worker(url, loopback.port, folder, concurrency=jobs) as pid:
        idle = _idle(server, pid)
        counted = statistics(url)
        before = cpu_of(pid), cpu_of_all(server.pid)
        found = hand_in("carry", loopback.port, url, jobs=jobs)
        used = [after - at for after, at in zip((cpu_of(pid), cpu_of_all(server.pid)), before, strict=True)]
        names = ("commits", "inserted", "updated", "deleted", "wal")
        rows = {name: (after - at) / jobs for name, after, at in zip(names, statistics(url), counted, strict=True)}
    return {
        "client": 1000 * found["cpu"] / jobs,
        "worker": 1000 * used[0] / jobs,
        "server": 1000 * used[1] / jobs,
        "polls": found["polls"] / jobs,
        "seconds": found["seconds"],
        **rows,
        **idle,
    }


def _idle(server: Server, pid: int) -> Found:
    """Return how many milliseconds of CPU a worker and a server use a second that have nothing to do."""
    before = cpu_of(pid), cpu_of_all(server.pid)
    time.sleep(_READY)
    return {
        "idle worker": 1000 * (cpu_of(pid) - before[0]) / _READY,
        "idle server": 1000 * (cpu_of_all(server.pid) - before[1]) / _READY,
    }


def latency(server: Server, folder: Path, *, jobs: int) -> Found:
    """Look at how long a job takes from being handed in to its submit, with nothing else to do."""
    url = upgraded(server, folder)
    with Loopback(seconds=[None]) as loopback, worker(url, loopback.port, folder, interval=30.0):
        found = hand_in("delay", loopback.port, url, jobs=jobs)
    return {f"{name} {label}": 1000 * _at(found[name], share) for name in ("arrived", "known") for label, share in _SHARES.items()}


_SHARES = {"p50": 0.5, "p99": 0.99}


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def memory(server: Server, folder: Path, *, jobs: int) -> Found:
    """Look at what a worker has with many jobs in flight."""
    url = upgraded(server, folder)
    with Loopback(seconds=[None]) as loopback:
        with worker(url, loopback.port, folder, interval=30.0, concurrency=jobs) as pid:
            empty = megabytes_of(pid)
            hand_in("hold", loopback.port, url, jobs=jobs, interval=30.0)
            time.sleep(_READY)
            held = megabytes_of(pid)
        posts = ask(loopback.port, "/meter")["posts"]
    if posts != jobs:
        raise RuntimeError(f"{posts} of {jobs} jobs were submitted")
    return {"in flight": jobs, "megabytes": held, "empty": empty}


# What is said.


def middle(rounds: Sequence[Found]) -> Found:
    """Return the medians of some rounds."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def lines(found: Mapping[str, Found]) -> Iterator[str]:
    """Yield the tables."""
    head = ["form", "client, ms a job", "worker, ms a job", "PostgreSQL, ms a job", "polls a job", "seconds"]
    names = ("client", "worker", "server", "polls", "seconds")
    forms = [form for form in (_BARE, _FILE, _SHARED) if form in found]
    yield from table(head, [[form, *(_shown(found[form], name) for name in names)] for form in forms])
    yield ""
    shared = found[_SHARED]
    names = ("inserted", "updated", "deleted", "commits", "wal", "idle worker", "idle server")
    head = ["rows inserted a job", "updated", "deleted", "commits a job", "WAL bytes a job", "worker idle, ms a s", "PostgreSQL"]
    yield from table(head, [[_shown(shared, name) for name in names]])
    for name, rest in ((name, found[name]) for name in ("latency", "memory") if name in found):
        yield ""
        yield from table([f"{name}: {each}" for each in rest], [[_shown(rest, each) for each in rest]])


def _shown(found: Found, name: str) -> str:
    return f"{found[name]:,.2f}" if name in found else ""


def figures(found: Mapping[str, Found]) -> dict[str, float]:
    """Return what the goals are about."""
    shared = found[_SHARED]
    figures = {"worker_more": shared["worker"] - found[_BARE]["client"], "server": shared["server"]}
    if found.get("memory", {}).get("in flight", 0) >= 5000:
        figures["megabytes"] = found["memory"]["megabytes"]
    return figures


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of few jobs, in less than a minute")
    parser.add_argument("--jobs", type=int, help="how many jobs are carried (2000; 300 with --quick)")
    parser.add_argument("--polls", type=int, help="how often each is polled, a second apart (20; 5 with --quick)")
    parser.add_argument("--rounds", type=int, help="how often (3; 1 with --quick); the medians count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")
    parser.add_argument("--check", action="store_true", help="fail when a goal was measured and not reached")
    options = parser.parse_args()
    sizes = {"jobs": options.jobs or (300 if options.quick else 2000), "polls": options.polls or (5 if options.quick else 20)}
    with tempfile.TemporaryDirectory() as place, Server() as server:
        folder = Path(place)
        rounds: dict[str, list[Found]] = {}
        for number in range(options.rounds or (1 if options.quick else 3)):
            rounds.setdefault(_BARE, []).append(alone(folder, journal=None, **sizes))
            rounds.setdefault(_FILE, []).append(alone(folder, journal=folder / f"{number}.db", **sizes))
            rounds.setdefault(_SHARED, []).append(shared(server, folder, **sizes))
        found = {form: middle(each) for form, each in rounds.items()}
        found["latency"] = latency(server, folder, jobs=30 if options.quick else 200)
        found["memory"] = memory(server, folder, jobs=500 if options.quick else 5000)
    for line in lines(found):
        say(line)
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "middle": found}, indent=1) + "\n")
    return _judged(found, check=options.check)


def _judged(found: Mapping[str, Found], *, check: bool) -> int:
    """Say which goals were reached, and return the exit code."""
    reached = figures(found)
    say()
    for words, name, limit in _GOALS:
        if name in reached:
            say(f"{words}: {reached[name]:,.2f}, at most {limit:g}: {'reached' if reached[name] <= limit else 'not reached'}")
    missed = any(reached[name] > limit for _, name, limit in _GOALS if name in reached)
    return 1 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""The power goes while a process submits: copies of the journal's files, taken at one instant each while it writes.

What is promised is that an intent is on the disk before its POST leaves. So every POST that the service had seen before a copy
began has its record in the copy. The copies hold what was written; that it was also forced to the disk before the POST left is a
matter of the order of system calls, which `synced` reads from strace.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
from crash import ENDLESS
from crash_child import Batch, FastClock, Fuse, begin, marker_of
from service import Service, Stand
from storage_full import Skip
from storage_torn import SIDE_FILES, copied, integrity, jobs_of

from genbridge import GenbridgeError, JobStatus
from genbridge.config import BackendConfig, Secret

_PACE = 1000.0
_JOBS = 400
_CHILD = Path(__file__).with_name("storage_submit.py")


@attrs.frozen
class Instant:
    """One copy: the journal's path in it, and the jobs whose POSTs the service had seen before."""

    path: Path
    seen: frozenset[str]


def copies(folder: Path, service: Service, *, number: int, seed: int) -> tuple[int, list[str]]:
    """Copy the journal of a process that submits, again and again, and compare each copy with what the service had seen."""
    stand = service.stand("imini", pace=_PACE, settings=ENDLESS["imini"])
    backend = BackendConfig(name="main", provider="imini", api_key=Secret(stand.key), base_url=stand.base_url)
    clock = FastClock(speed=_PACE)
    batch = Batch(backend=backend, provider=None, journal=folder / "jobs.db", markers=(), clock=clock, abreast=4)
    instants = _taken(batch, stand, folder, number=number, chance=random.Random(seed))
    if not any(instant.seen for instant in instants):
        return len(instants), ["no copy was taken after a POST"]
    return len(instants), [finding for instant in instants for finding in _wrong(instant)]


def _taken(batch: Batch, stand: Stand, folder: Path, *, number: int, chance: random.Random) -> list[Instant]:
    """Stop the process for each copy, so that the files are of one instant; it begins another batch whenever one is done."""
    instants: list[Instant] = []
    batches = 0
    pid = 0
    while len(instants) < number:
        if pid == 0 or os.waitpid(pid, os.WNOHANG)[0]:
            batches += 1
            markers = [f"{batches}-{place}" for place in range(_JOBS)]
            pid = begin(attrs.evolve(batch, markers=markers), Fuse(), log=folder / "log.txt")
        time.sleep(chance.uniform(0.0, 0.03))
        seen = frozenset(stand.report().posts)
        os.kill(pid, signal.SIGSTOP)
        side_files = SIDE_FILES[: 2 + len(instants) % 2]
        instants.append(Instant(copied(batch.journal, folder / f"{len(instants):04d}", side_files=side_files), seen))
        os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return instants


def _wrong(instant: Instant) -> list[str]:
    if not instant.seen and not instant.path.exists():
        return []
    jobs = jobs_of(instant.path)
    if isinstance(jobs, GenbridgeError):
        return [f"{instant.path.parent.name}: it does not open: {jobs}"]
    begun = {marker_of(job) for job in jobs if job.status is not JobStatus.PENDING}
    verdict = integrity(instant.path)
    missing = sorted(instant.seen - begun)
    found = [f"{instant.path.parent.name}: SQLite says {verdict!r}"] if verdict != "ok" else []
    return [*found, f"{instant.path.parent.name}: POSTs without a record: {missing[:5]}"] if missing else found


def synced(folder: Path, service: Service, *, number: int) -> tuple[int, list[str]]:
    """Read from the system calls of a process that submits one job that its last write to the log was forced to the disk before."""
    if shutil.which("strace") is None:
        raise Skip("strace is not installed")
    stand = service.stand("imini", settings=ENDLESS["imini"])
    return number, [finding for place in range(number) for finding in _out_of_order(folder / f"{place}", stand, place)]


def _out_of_order(folder: Path, stand: Stand, place: int) -> list[str]:
    folder.mkdir()
    trace = folder / "trace.txt"
    calls = "trace=pwrite64,write,fsync,fdatasync,sendto,sendmsg"
    child = [sys.executable, str(_CHILD), str(folder / "jobs.db"), stand.base_url, f"synced-{place}"]
    command = ["strace", "-f", "-y", "-s", "32", "-e", calls, "-o", str(trace), *child]
    done = subprocess.run(command, input=stand.key, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Skip(f"strace cannot follow a process here: {done.stderr[-300:]}")
    return _judged(trace.read_text().splitlines(), where=f"run {place}")


def _judged(lines: list[str], *, where: str) -> list[str]:
    """Find the POST among the system calls, and what happened to the log before it."""
    post = next((number for number, line in enumerate(lines) if re.search(r'send(to|msg)\(.*"POST /', line)), None)
    if post is None:
        return [f"{where}: no POST is among {len(lines)} system calls"]
    writes = [number for number, line in enumerate(lines[:post]) if re.search(r"pwrite64\(\d+<[^>]*-wal>", line)]
    if not writes:
        return [f"{where}: nothing was written to the log before the POST"]
    forced = any(_forced(line) for line in lines[writes[-1] : post])
    return [] if forced else [f"{where}: the POST left before the log was forced to the disk"]


def _forced(line: str) -> bool:
    """Whether a line says that a file was forced to the disk: a call that has returned, whole or resumed."""
    return bool(re.search(r"(fdatasync|fsync)(\(\d+<[^>]*-wal>\)| resumed>\)) += 0", line))

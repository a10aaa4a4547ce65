"""What is left of a journal whose write-ahead log was torn: a disk that lost its last writes, or flipped some bits of them.

A process of its own writes jobs, notes how long the log was after each commit and is killed, so that everything is in the log. Each
copy of its files is then damaged in one place. SQLite's own promise is that a log counts up to its last whole commit; so a
copy must open, and show exactly the jobs of the last commit that lies before the damage.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs
from crash_child import die, forked

from genbridge import GenbridgeError, ImageRequest, Job, JobStatus, Quote
from genbridge.budgets import Budget
from genbridge.journal import Attempt, Lease, open_journal

SIDE_FILES = ("", "-wal", "-shm")
_FRAME_HEADER, _LOG_HEADER = 24, 32
_ALL = 100_000
State = dict[str, tuple[str, str | None]]
"""What a journal says of its jobs, by their ids: the status, and the service's id."""


def a_job(number: int) -> Job:
    """Return a job that was not submitted yet."""
    return Job(
        id=f"job-{number:05d}",
        key=f"key-{number:05d}",
        backend="main",
        provider="studio",
        model="still",
        provider_model="still-1",
        request=ImageRequest(f"a drawing, number {number}"),
        status=JobStatus.PENDING,
        quote=Quote(amount=2.0, backend="main", model="still"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def state_of(jobs: Iterable[Job]) -> State:
    """Return what is said of jobs."""
    return {job.id: (job.status.value, job.provider_id) for job in jobs}


@attrs.frozen
class Commit:
    """What a journal said after a commit, when its log had `end` bytes."""

    end: int
    state: State


def write_and_die(path: Path, jobs: int, *, log: Path) -> list[Commit]:
    """Let a process write jobs until it is killed, and return what the journal said after each of its commits."""
    notes = path.with_name("notes.jsonl")
    pid = forked(lambda: asyncio.run(_write(path, jobs, notes)), log=log)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != -signal.SIGKILL:
        raise RuntimeError(f"the writer ended with {code}: {log.read_text()}")
    lines = map(json.loads, notes.read_text().splitlines())
    return [Commit(end, {name: (status, given) for name, (status, given) in state.items()}) for end, state in lines]


async def _write(path: Path, jobs: int, notes: Path) -> None:
    journal = open_journal(path)
    await journal.open()
    with notes.open("w") as file:

        async def note() -> None:
            state = state_of(await journal.page(limit=_ALL))
            file.write(json.dumps([path.with_name(f"{path.name}-wal").stat().st_size, state]) + "\n")
            file.flush()

        await note()
        for number in range(jobs):
            job = a_job(number)
            lease = await journal.add(job, Budget())
            assert isinstance(lease, Lease)
            await note()
            attempt = await journal.begin_submit(lease, ())
            assert isinstance(attempt, Attempt)
            await note()
            accepted = attrs.evolve(job, status=JobStatus.RUNNING, provider_id=f"service-{number}", submitted_at=job.created_at)
            assert await journal.submitted(attempt, accepted)
            await note()
    die()


def copied(path: Path, folder: Path, *, side_files: tuple[str, ...] = SIDE_FILES) -> Path:
    """Copy a journal's files into an empty folder, and return the copy's path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for end in side_files:
        source = path.with_name(path.name + end)
        if source.exists():
            shutil.copyfile(source, folder / source.name)
    return folder / path.name


def jobs_of(path: Path) -> Sequence[Job] | GenbridgeError:
    """Open a journal as a client does and return its jobs, or the error it says it with."""
    return asyncio.run(_jobs_of(path))


async def _jobs_of(path: Path) -> Sequence[Job] | GenbridgeError:
    journal = open_journal(path)
    try:
        await journal.open()
        try:
            return await journal.page(limit=_ALL)
        finally:
            await journal.aclose()
    except GenbridgeError as error:
        return error


def read(path: Path) -> State | GenbridgeError:
    """Return what a journal says of its jobs, or the error it says it with."""
    jobs = jobs_of(path)
    return jobs if isinstance(jobs, GenbridgeError) else state_of(jobs)


def integrity(path: Path) -> str:
    """Return SQLite's own verdict on a file: `ok`."""
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("pragma integrity_check").fetchone()[0])


def frames(log: Path) -> list[int]:
    """Return where the frames of a write-ahead log begin, and where the last one ends (sqlite.org/fileformat2.html, 4.1)."""
    size = log.stat().st_size
    page = int(struct.unpack(">I", log.read_bytes()[8:12])[0])
    return list(range(_LOG_HEADER, size + 1, page + _FRAME_HEADER))


@attrs.frozen
class Damage:
    """One way to damage a log: what is done to it, and from which byte on it does not count any more."""

    name: str
    apply: Callable[[Path], None]
    valid: int


def damages(log: Path) -> Iterator[Damage]:
    """Yield the log cut at every interesting byte, and with a bit flipped in every frame's header and page."""
    starts = frames(log)
    for offset in sorted({0, 1, _LOG_HEADER - 1, *(at + by for at in starts for by in (-1, 0, 1, 12, 24, 2000))}):
        if 0 <= offset <= starts[-1]:
            yield Damage(f"cut at {offset}", partial(os.truncate, length=offset), offset)
    for start in starts[:-1]:
        for by in (0, 4, 8, 16, 24, 1000):
            yield Damage(f"a bit flipped at {start + by}", partial(_flip, at=start + by), start)
    yield Damage("a bit flipped in its header", partial(_flip, at=5), 0)


def _flip(log: Path, *, at: int) -> None:
    with log.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def expected(commits: list[Commit], valid: int) -> State:
    """Return what a journal has to say when its log counts up to a byte."""
    return next((commit.state for commit in reversed(commits) if commit.end <= valid), {})


def torn(folder: Path, *, jobs: int, step: int) -> tuple[int, list[str]]:
    """Damage a log in one place after another, every `step`-th of them; return how many, and what is wrong with what is left."""
    path = folder / "jobs.db"
    commits = write_and_die(path, jobs, log=folder / "log.txt")
    places = list(damages(path.with_name("jobs.db-wal")))[::step]
    found = [finding for number, damage in enumerate(places) if (finding := _after(path, folder / "copy", damage, commits, number))]
    return len(places), found


def _after(path: Path, folder: Path, damage: Damage, commits: list[Commit], number: int) -> str | None:
    """Damage a copy and open it; every second copy has the index of the log from before, as after a crash of the machine."""
    copy = copied(path, folder, side_files=SIDE_FILES[: 2 + number % 2])
    damage.apply(copy.with_name("jobs.db-wal"))
    said = read(copy)
    if isinstance(said, GenbridgeError):
        return f"{damage.name}: it does not open: {said}"
    wanted = expected(commits, damage.valid)
    if said != wanted:
        differs = sorted(name for name in said.keys() | wanted.keys() if said.get(name) != wanted.get(name))
        return f"{damage.name}: {len(wanted)} jobs were committed before it and {len(said)} are there; {differs[:3]} differ"
    verdict = integrity(copy)
    return None if verdict == "ok" else f"{damage.name}: SQLite says {verdict!r}"


def spoilt(folder: Path, *, jobs: int) -> tuple[int, list[str]]:
    """Damage the database itself, whose content nobody can make up for: it opens, or says so in one sentence."""
    path = folder / "jobs.db"
    write_and_die(path, jobs, log=folder / "log.txt")
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
    size = path.stat().st_size
    ways: dict[str, Callable[[Path], None]] = {
        f"a bit flipped at {at}": partial(_flip, at=at) for at in (0, 17, 19, 30, 105, *range(4096, size, 4096 * 3))
    }
    ways |= {f"cut at {at}": partial(os.truncate, length=at) for at in (50, 100, 4095, 4096, 4097, size // 2, size - 1)}
    ways |= {"other bytes": lambda copy: copy.write_bytes(b"hello, this is no database" * 1000)}
    return len(ways), [
        finding for name, way in ways.items() if (finding := _after_spoiling(path, folder / "copy", name, way, jobs))
    ]


def _after_spoiling(path: Path, folder: Path, name: str, way: Callable[[Path], None], jobs: int) -> str | None:
    copy = copied(path, folder)
    way(copy)
    try:
        said = read(copy)
    except Exception as error:  # noqa: BLE001 (that is the finding)
        return f"{name}: {type(error).__name__}: {error}"
    if isinstance(said, GenbridgeError):
        return None if str(copy) in str(said) and "\n" not in str(said) else f"{name}: it is not said what and where: {said}"
    return f"{name}: it opens as if there had never been a job" if not said and jobs else None

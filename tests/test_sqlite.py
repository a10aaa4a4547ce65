"""The journal in an SQLite file: what is the file's own, and not every journal's."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from jobs import NOON, WallClock, a_job, begun, ended

from genbridge import (
    Failure,
    ImageRequest,
    JobStatus,
    JournalError,
    Limits,
    Media,
)
from genbridge.budgets import Budget
from genbridge.journal import Attempt, Paused, open_journal
from genbridge.journal.file import FileStore
from genbridge.journal.sqlite import SqliteJournal
from genbridge.limits import Rule, Wait


@pytest.fixture
def clock() -> WallClock:
    """Return the wall clock of the journals."""
    return WallClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: WallClock) -> AsyncIterator[SqliteJournal]:
    """Return an open journal in a file."""
    journal = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await journal.open()
    yield journal
    await journal.aclose()


async def test_a_driver_that_says_it_is_alive_keeps_its_jobs(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """A beat within the half minute is enough, whatever the wall clock says."""
    await journal.add(a_job(), Budget())
    clock.seconds += 86400
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock, monotonic=lambda: time.monotonic() + 29)
    await other.open()
    assert await other.acquire("job-1") is None
    await other.aclose()


async def test_the_file_and_its_folder_are_the_users_alone(journal: SqliteJournal, tmp_path: Path) -> None:
    """Prompts are private."""
    await journal.add(a_job(), Budget())
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_a_journal_in_memory_needs_no_file() -> None:
    """`None` is memory."""
    journal = open_journal(None)
    await journal.open()
    await journal.add(a_job(), Budget())
    assert a_job() == await journal.get("job-1")
    await journal.aclose()
    await journal.aclose()


async def test_a_journal_that_is_not_open_says_so() -> None:
    """Not a hang."""
    with pytest.raises(JournalError, match="is not open"):
        await open_journal(None).get("job-1")


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create table songs (title)")
    db.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 99)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [(_newer, "newer genbridge"), (_foreign, "something else"), (_garbage, "cannot be opened"), (_folder, "cannot be opened")],
)
async def test_a_file_that_cannot_be_the_journal_is_named(tmp_path: Path, make: Any, words: str) -> None:
    """Before anything is sent, one sentence says what is wrong with which file."""
    path = tmp_path / "jobs.db"
    make(path)
    with pytest.raises(JournalError, match=words) as caught:
        await open_journal(path).open()
    assert str(path) in str(caught.value)


async def test_two_processes_may_make_the_journal_at_once(tmp_path: Path) -> None:
    """The schema is made once."""
    journals = [open_journal(tmp_path / "jobs.db") for _ in range(4)]
    for journal in journals:
        await journal.open()
    await journals[0].add(a_job(), Budget())
    assert a_job() == await journals[3].get("job-1")
    for journal in journals:
        await journal.aclose()


async def test_a_new_file_that_another_process_writes_is_waited_for(tmp_path: Path) -> None:
    """SQLite gives up at once where two turn the write-ahead log of a new file on together, so that one has to try again."""
    path = tmp_path / "jobs.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("begin immediate")
    pauses: list[float] = []

    def stop_writing(seconds: float) -> None:
        pauses.append(seconds)
        writer.close()

    store = FileStore(path, lambda _: None, sleep=stop_writing)
    await store.open()
    assert 1 == len(pauses)
    assert "wal" == await store.do(lambda db: db.execute("pragma journal_mode").fetchone()[0])
    await store.aclose()


_READ = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in db.execute("select id from jobs")))
db.close()
"""


def _ids_elsewhere(path: Path) -> list[str]:
    """Return the ids on record as another process reads them, which removes the log as it leaves when it is the last."""
    return subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True).stdout.split()


async def test_a_second_client_of_a_process_leaves_the_locks_of_the_first(journal: SqliteJournal, tmp_path: Path) -> None:
    """Without them another process takes itself for the last, removes the log, and what is written afterwards is lost."""
    path = tmp_path / "state" / "jobs.db"
    second = open_journal(path)
    await second.open()
    assert [] == _ids_elsewhere(path)
    await journal.add(a_job(), Budget())
    assert ["job-1"] == _ids_elsewhere(path)
    await second.aclose()


async def test_a_journal_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its path was relative and the program goes to another folder."""
    monkeypatch.chdir(tmp_path)
    journal = open_journal(Path("jobs.db"))
    await journal.open()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await begun(journal, a_job())  # type: ignore[arg-type]
    await journal.aclose()


_FORK = """
import asyncio, os, signal, sys
from pathlib import Path
from genbridge.journal import file, open_journal
with file._OPENING:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        asyncio.run(open_journal(Path(sys.argv[1])).open())
        os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the process is forked")
def test_a_process_forked_while_a_journal_is_being_opened_can_open_one(tmp_path: Path) -> None:
    """What was held at that moment is held by nobody there."""
    assert 0 == subprocess.run([sys.executable, "-c", _FORK, str(tmp_path / "jobs.db")], timeout=60, check=False).returncode


async def test_a_full_disk_is_an_error_of_the_write_alone(journal: SqliteJournal) -> None:
    """The write that did not fit says so, and the journal goes on when there is room again."""
    await journal._store.do(lambda db: db.execute("pragma max_page_count = 1"))
    big = a_job(1, request=ImageRequest("x" * 100_000))
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.add(big, Budget())
    await journal._store.do(lambda db: db.execute("pragma max_page_count = 100000"))
    await journal.add(big, Budget())
    assert big == await journal.get("job-1")


async def test_a_journal_that_was_removed_takes_no_intent(journal: SqliteJournal) -> None:
    """Nobody would find it again, so nothing is sent."""
    lease = await journal.add(a_job(), Budget())
    assert journal.path is not None
    journal.path.unlink()
    with pytest.raises(JournalError, match="removed or replaced"):
        await journal.begin_submit(lease, [])
    with pytest.raises(JournalError, match="removed or replaced"):
        await journal.add(a_job(2), Budget(), [])


async def test_a_path_that_no_system_takes_is_told() -> None:
    """And not waited for."""
    with pytest.raises(JournalError, match="cannot be opened"):
        await open_journal(Path("a\0b")).open()


async def test_a_journal_that_could_not_be_opened_can_be_closed(tmp_path: Path) -> None:
    """Nobody waits for a thread that is not there."""
    journal = SqliteJournal(tmp_path)
    with pytest.raises(JournalError, match="cannot be opened"):
        await journal.open()
    await journal.aclose()
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")


async def test_a_journal_that_others_could_read_is_closed_to_them(tmp_path: Path, clock: WallClock) -> None:
    """With the files beside it; the folder is left as its user made it."""
    path = tmp_path / "jobs.db"
    first = SqliteJournal(path, now=clock)
    await first.open()
    files = [path, tmp_path / "jobs.db-wal", tmp_path / "jobs.db-shm"]
    for file in files:
        file.chmod(0o666)
    second = SqliteJournal(path, now=clock)
    await second.open()
    assert [0o600] * 3 == [stat.S_IMODE(file.stat().st_mode) for file in files]
    await second.aclose()
    await first.aclose()


async def everything(journal: SqliteJournal) -> None:
    """Ask a journal for everything that it does."""
    rules = [Rule(limits=Limits(submits=1, concurrent=1)), Rule(limits=Limits(submits=9, concurrent=9), media=Media.VIDEO)]
    caps = Budget(per_day=1e6, jobs_per_day=9, total=1e6, jobs=9)
    job = a_job()
    lease = await journal.add(job, caps)
    attempt = await journal.begin_submit(lease, rules, caps)
    assert isinstance(attempt, Attempt)
    await journal.refused(attempt)
    assert isinstance(await journal.begin_submit(lease, rules, caps), Wait)
    await journal.unknown(lease, attrs.evolve(job, failure=Failure(message="lost")))
    await journal.release(lease)
    lease = await journal.acquire(job.id)
    await journal.submitted(attempt, attrs.evolve(job, status=JobStatus.QUEUED, provider_id="p1"))
    await journal.settle(lease, ended(job))
    await journal.refresh(ended(job))
    await journal.pause("studio", 1.0, Paused.POLLS)
    for status in (None, *JobStatus):
        for backend in (None, "studio"):
            for before in (None, (NOON.timestamp(), "job-1")):
                await journal.page(status=status, backend=backend, before=before, limit=9)
                await journal.page(status=status, backend=backend, before=before, limit=9, unfinished=True)
    await journal.unfinished()
    await journal.unsaved()
    await journal.holder("studio", "p1")
    await journal.spent(NOON.timestamp())
    await journal.usage("studio")
    await journal.get("job-1")
    await journal.saved("job-1")
    journal.peek("job")
    await journal.beat()


async def test_nothing_that_is_asked_reads_the_jobs_that_have_ended(tmp_path: Path, clock: WallClock) -> None:
    """But for those it returns: a journal of a million jobs is as quick as an empty one."""
    journal = SqliteJournal(tmp_path / "jobs.db", now=clock, inline=True)
    await journal.open()
    asked: set[str] = set()
    journal._store.look_now(lambda db: db.set_trace_callback(asked.add))
    await everything(journal)
    journal._store.look_now(lambda db: db.set_trace_callback(None))
    scans = {
        f"{step} for {statement}"
        for statement in asked
        if statement.split(maxsplit=1)[0].lower() in {"select", "update", "insert", "delete"}
        for step in await journal._store.do(lambda db, text=statement: [row[3] for row in db.execute(f"explain query plan {text}")])
        if re.match(r"SCAN (jobs|spent)\b", step) and not re.search(r"jobs_(unfinished|unsaved)$", step)
    }
    listings = {scan for scan in scans if scan.startswith("SCAN jobs USING INDEX jobs_created for") and "true order by" in scan}
    assert len(listings) == 1
    assert listings == scans
    await journal.aclose()

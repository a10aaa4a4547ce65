"""What child processes of tests do: a process that is spawned finds a module of the fakes by its name, and no test's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

from genbridge import Job
from genbridge.budgets import Budget
from genbridge.journal.sqlite import SqliteJournal


async def jobs_in(path: Path) -> list[Job]:
    """Return what this release reads in a journal, newest first."""
    journal = SqliteJournal(path)
    await journal.open()
    try:
        return list(await journal.page(limit=1000))
    finally:
        await journal.aclose()


def die_with(job: Job, path: str) -> None:
    """Record a job, and end without closing anything."""

    async def work() -> None:
        journal = SqliteJournal(Path(path), inline=True)
        await journal.open()
        await journal.add(job, Budget())

    asyncio.run(work())
    os._exit(1)


def open_and_count(path: str, gate: Any, counts: Any) -> None:
    """Open a journal at the same moment as others, and tell how many jobs are in it."""
    gate.wait()
    counts.put(len(asyncio.run(jobs_in(Path(path)))))


class DyingConnection(sqlite3.Connection):
    """A connection whose process is killed before the statement of a number."""

    left = 0

    def execute(self, *values: Any, **more: Any) -> sqlite3.Cursor:
        """Execute a statement, or die."""
        if DyingConnection.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        DyingConnection.left -= 1
        return super().execute(*values, **more)


def _open_until_it_dies(path: Path, statements: int) -> None:
    DyingConnection.left = statements
    connect = sqlite3.connect
    sqlite3.connect = lambda *values, **more: connect(*values, **more, factory=DyingConnection)  # type: ignore[assignment]
    asyncio.run(jobs_in(path))
    os._exit(0)


def die_at_each_statement(source: str, folder: str) -> None:
    """Leave a journal for each statement at which its opening can be killed, the last opened whole."""
    for statements in range(200):
        path = Path(shutil.copy(source, Path(folder) / f"{statements}.db"))
        child = os.fork()
        if child == 0:
            _open_until_it_dies(path, statements)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return
    raise AssertionError("it was killed each time")

"""What is on record, for who only looks: nothing is driven, and nothing of the configuration is needed but where the record is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from genbridge.config import load_journal
from genbridge.databases import DatabaseUrl
from genbridge.errors import JournalError
from genbridge.journal import Journal, open_journal
from genbridge.types import Job, JobStatus

_PAGE = 200


class Ledger:
    """The record of jobs, read as a `Client` reads it. Use it as `async with Ledger() as ledger`.

    No provider is loaded and no backend is looked at, so that what was paid for can be seen also where these cannot be used.
    `config` is the path of a configuration file, or `None` to find it, and `journal` the path or URL of the record, or `None` for
    where the configuration says. A file that is not there is empty, and is not made.
    """

    def __init__(self, config: Path | None = None, *, journal: Path | DatabaseUrl | None = None) -> None:
        self._journal = open_journal(_there(journal or load_journal(config).place()))

    async def __aenter__(self) -> Self:
        await self._journal.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._journal.aclose()

    def job(self, job_id: str) -> Job:
        """Return the job of an id, or of a beginning of it that no other has; raises `JournalError` where there is none."""
        return find(self._journal, job_id)

    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Yield the jobs on record, newest first; `unfinished` leaves out those that have ended."""
        return pages(self._journal, status=status, backend=backend, unfinished=unfinished, limit=limit)

    async def backends(self) -> list[str]:
        """Return the names of the backends that jobs on record are of, also of those that are not configured any more."""
        return sorted({spent.backend for spent in await self._journal.spent(0.0)})


def _there(place: Path | DatabaseUrl | None) -> Path | DatabaseUrl | None:
    """Return where a record is, or `None` for a file that is not there; of a database, only a look into it can tell."""
    return None if isinstance(place, Path) and not place.exists() else place


def find(journal: Journal, job_id: str) -> Job:
    """Return a job on record; raises `JournalError` where there is none of that id."""
    found = journal.peek(job_id)
    if found is None:
        raise JournalError(f"no job {job_id!r} is on record, or more than one begins so; `genbridge jobs list` shows them")
    return found


async def pages(
    journal: Journal, *, status: JobStatus | None, backend: str | None, unfinished: bool, limit: int | None
) -> AsyncIterator[Job]:
    """Yield jobs on record, newest first, a page at a time."""
    left = limit
    before: tuple[float, str] | None = None
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = await journal.page(status=status, backend=backend, unfinished=unfinished, before=before, limit=size)
        for job in page:
            yield job
        if len(page) < size:
            return
        left = None if left is None else left - size
        before = (page[-1].created_at.timestamp(), page[-1].id)

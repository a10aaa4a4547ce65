"""Where a test's journals are: in a file, or in a database."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import attrs

from genbridge.databases import DatabaseUrl
from genbridge.journal.postgres import PostgresJournal
from genbridge.journal.sql import SqlJournal
from genbridge.journal.sqlite import SqliteJournal


class Another(Protocol):
    """Opens a journal at the same place, as another process would."""

    def __call__(self, *, later: float = 0.0) -> Awaitable[SqlJournal]: ...


class Places(Protocol):
    """Makes journals of one place; `later` is by how many seconds signs of life are older to one."""

    def journal(self, now: Callable[[], float], later: float) -> SqlJournal: ...


@attrs.frozen
class FilePlaces:
    """A file."""

    path: Path

    def journal(self, now: Callable[[], float], later: float) -> SqlJournal:
        return SqliteJournal(self.path, now=now, monotonic=lambda: time.monotonic() + later)


@attrs.frozen
class DatabasePlaces:
    """A database."""

    url: DatabaseUrl

    def journal(self, now: Callable[[], float], later: float) -> SqlJournal:
        return PostgresJournal(self.url, now=lambda: now() + later)

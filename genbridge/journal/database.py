"""What the journal asks of a database: the part of Python's DB-API that SQLite's connection has, and PostgreSQL's is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement returned; a row's values are found by name, and by place."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement has written."""

    def fetchone(self) -> Any:
        """Return the next row, or `None`."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """A connection, in a transaction. Values stand in a statement as `?` or `:name`."""

    def execute(self, statement: str, values: Any = ..., /) -> Rows:
        """Run a statement."""


class Drivers(Protocol):
    """The signs of life in a journal. `name` is what this process's driver is called."""

    name: str

    def beat(self, db: Any, /) -> None:
        """Record that this process is alive."""

    def leave(self, db: Any, /) -> None:
        """Record that this process drives nothing any more."""

    def free(self, db: Any, owner: str | None, /) -> bool:
        """Whether this process may take a job of that owner's."""

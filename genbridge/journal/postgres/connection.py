"""A connection to PostgreSQL that takes statements as the journal writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.rows import RowMaker

from genbridge.databases import DatabaseUrl
from genbridge.engine import Ticket
from genbridge.journal.database import Rows

SCHEMA = "genbridge"
"""Where all of our tables are, and the engine's."""
_IDLE = "2s"
"""How long a transaction may stand still: then its process was stopped, and holds everybody else up. See also `take_turn()`."""
_OPTIONS: Mapping[str, Any] = {
    "application_name": "genbridge",
    "connect_timeout": 5,
    # A link that was cut is noticed within some ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
}
_SESSION = (
    f"-c search_path={SCHEMA} -c idle_in_transaction_session_timeout={_IDLE} -c synchronous_commit=on "
    # Whoever waits for the lock is not to fail: who holds it is timed.
    "-c statement_timeout=0 -c lock_timeout=0 "
    # A process whose machine has gone is forgotten within a minute.
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
_CAN_GO_AHEAD = psycopg.Pipeline.is_supported() and tuple(map(int, psycopg.__version__.split(".")[:2])) >= (3, 3)
"""Whether more can be asked for before an answer; older releases leave answers behind where one of them is an error."""
_MAY_GO_AHEAD = (
    "select session_user = current_user and session_user = pg_get_userbyid(nspowner) "  # noqa: S608 (our own name)
    f"and current_setting('track_activities')::boolean from pg_namespace where nspname = '{SCHEMA}'"
)
"""Whether others can end the session when its process was stopped, as the database times only whoever waits for answers."""
_HINTS = re.compile(r" or fail| indexed by \w+")
"""What is said to SQLite alone, and changes nothing of what a statement does."""
_VALUE = re.compile(r"\?|(?<!:):([a-z_]+)")


def options(url: DatabaseUrl, **more: Any) -> dict[str, Any]:
    """Return how psycopg connects; what the URL itself says goes before ours, but for where the tables are."""
    said = psycopg.conninfo.conninfo_to_dict(url.reveal())
    session = " ".join(filter(None, [str(said.pop("options", "")), _SESSION]))
    return {**_OPTIONS, **said, "options": session, **more}


class Lost(Exception):  # noqa: N818 (it is a state, and never leaves the store)
    """The database has gone, or the way there; what was not committed is undone by it."""


class Row:
    """A row whose values are found by name and by place."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: Mapping[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Sequence[str]:
        """Return the names, as `dict` asks for them."""
        return list(self._names)


def _rows(cursor: psycopg.Cursor[Any]) -> RowMaker[Row]:
    names = {column.name: place for place, column in enumerate(cursor.description or ())}
    return lambda values: Row(names, values)


class Answer:
    """What a statement returns; it is waited for when it is looked at."""

    __slots__ = ("_cursor", "_wait")

    def __init__(self, cursor: psycopg.Cursor[Any], wait: Callable[[], None]) -> None:
        self._cursor = cursor
        self._wait = wait

    @property
    def rowcount(self) -> int:
        """How many rows the statement has written."""
        self._wait()
        return self._cursor.rowcount

    def fetchone(self) -> Any:
        """Return the next row, or `None`."""
        self._wait()
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        self._wait()
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class Connection:
    """A connection that can be made anew when it was lost.

    While it goes ahead, what is asked for is not waited for until an answer is looked at, as a way to the server and back costs
    more than most statements do; after one that has failed nothing more is done until then.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self.ahead = False
        """Whether it goes ahead."""
        self._asked = ExitStack()
        self._waits = False
        self._raw = self._made()
        self.written = 0
        """How many statements that write were asked for."""
        self.wanted: list[Ticket] = []
        """The tickets that are to be given with the transaction under way."""

    def _made(self) -> psycopg.Connection[Any]:
        raw = self._connect()
        may = raw.execute(_MAY_GO_AHEAD).fetchone() if _CAN_GO_AHEAD else None
        self._goes_ahead = bool(may and may[0])
        raw.row_factory = _rows
        raw.prepare_threshold = 2
        return raw

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The driver's own, once all that was asked for is done."""
        self.settle()
        return self._raw

    @property
    def lost(self) -> bool:
        """Whether it has to be made anew."""
        return self._raw.closed

    def again(self) -> None:
        """Connect anew; raises `Lost` when that is not possible now."""
        self.close()
        try:
            self._raw = self._made()
        except psycopg.OperationalError as error:
            raise Lost(str(error)) from error

    @contextmanager
    def going_ahead(self) -> Iterator[None]:
        """Go ahead within this, where that can and may be."""
        self.ahead = self._goes_ahead
        try:
            yield
        finally:
            self.ahead = False

    def execute(self, statement: str, values: Any = None, /) -> Rows:
        """Ask for a statement. This and whatever waits for it raise `Lost` when nobody knows what became of it."""
        text = _translated(statement)
        try:
            if self.ahead and not self._waits:
                self._asked.enter_context(self._raw.pipeline())
                self._waits = True
            cursor = self._raw.execute(text, values)
        except psycopg.Error as error:
            raise self._failure(error) from error
        self.written += not text.startswith(b"select")
        return Answer(cursor, self.settle)

    def settle(self) -> None:
        """Wait until all that was asked for is done; raises what the first has failed with that was not."""
        if not self._waits:
            return
        self._waits = False
        try:
            self._asked.close()
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> BaseException:
        """Return what has gone wrong, where some error was raised that may be of what comes after it."""
        while isinstance(error, psycopg.errors.PipelineAborted) and isinstance(error.__context__, psycopg.Error):
            error = error.__context__
        return Lost(str(error)) if self._raw.closed else error

    def close(self) -> None:
        """Close it; nobody waits for what was asked."""
        self._raw.close()
        with suppress(Lost):
            self.settle()


@lru_cache(maxsize=512)
def _translated(statement: str) -> bytes:
    """Return a statement with the marks for values that psycopg knows."""
    text = _HINTS.sub("", statement.strip())
    return _VALUE.sub(lambda mark: f"%({mark[1]})s" if mark[1] else "%s", text).encode()

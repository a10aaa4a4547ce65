"""One thread owns the file: what is asked meanwhile shares a transaction, and each caller hears of its own part."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from genbridge import JournalError
from genbridge.journal.file import FileStore


def a_table(db: sqlite3.Connection) -> None:
    """Make the table that these tests write to."""
    db.execute("create table if not exists words (word text primary key)")


def writing(word: str) -> Callable[[sqlite3.Connection], str]:
    """Return the work of writing a word."""

    def work(db: sqlite3.Connection) -> str:
        db.execute("insert into words values (?)", (word,))
        return word

    return work


def failing_after(word: str) -> Callable[[sqlite3.Connection], str]:
    """Return the work of writing a word, and then raising what is no error of SQLite's."""

    def work(db: sqlite3.Connection) -> str:
        writing(word)(db)
        raise ValueError(word)

    return work


def words(db: sqlite3.Connection) -> list[str]:
    """Return all words."""
    return [word for (word,) in db.execute("select word from words order by word")]


class Gate:
    """Work that keeps the thread busy until it is opened, so that what is asked meanwhile is one batch."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, _: sqlite3.Connection) -> None:
        self._open.wait()

    def open(self) -> None:
        """Let the thread go on."""
        self._open.set()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is."""
    return tmp_path / "words.db"


async def test_of_work_that_shares_a_transaction_only_what_fails_is_undone(path: Path) -> None:
    """Also what it had written, and whichever came first."""
    store, gate = FileStore(path, a_table), Gate()
    await store.open()
    busy = asyncio.create_task(store.do(gate))
    asked = [asyncio.create_task(store.do(work)) for work in (writing("a"), failing_after("b"), writing("c"))]
    await asyncio.sleep(0)
    gate.open()
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert ("a", "c") == (first, third)
    assert isinstance(second, JournalError)
    assert ["a", "c"] == await store.do(words)
    await busy
    await store.aclose()


@pytest.mark.parametrize("inline", [True, False])
async def test_what_fails_alone_is_undone(path: Path, inline: bool) -> None:
    """With a thread and without."""
    store = FileStore(path, a_table, inline=inline)
    await store.open()
    with pytest.raises(JournalError, match="cannot be read"):
        await store.do(failing_after("a"))
    assert [] == await store.do(words)
    await store.aclose()


async def test_what_was_asked_is_done_though_nobody_waits_any_more(path: Path) -> None:
    """And those who still wait hear of theirs."""
    store, gate = FileStore(path, a_table), Gate()
    await store.open()
    busy = asyncio.create_task(store.do(gate))
    gone, waiting = asyncio.create_task(store.do(writing("a"))), asyncio.create_task(store.do(writing("b")))
    await asyncio.sleep(0)
    gone.cancel()
    gate.open()
    assert "b" == await waiting
    assert gone.cancelled()
    assert ["a", "b"] == await store.do(words)
    await busy
    await store.aclose()


def test_a_loop_that_was_closed_does_not_end_the_thread(path: Path) -> None:
    """Its callers cannot be told; others are."""
    store, gate = FileStore(path, a_table), Gate()

    async def leave() -> None:
        await store.open()
        tasks = [asyncio.create_task(store.do(work)) for work in (gate, writing("a"))]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    asyncio.run(leave())
    gate.open()
    assert ["a"] == store.look_now(words)
    asyncio.run(store.aclose())


async def test_writes_that_follow_each_other_closely_share_a_transaction(tmp_path: Path) -> None:
    """Each transaction costs an `fsync`, so what comes in a moment after one goes together."""
    statements: list[str] = []
    queued = threading.Event()

    def prepare(db: sqlite3.Connection) -> None:
        a_table(db)
        db.set_trace_callback(statements.append)

    store = FileStore(tmp_path / "words.db", prepare, sleep=lambda _: queued.wait())
    await store.open()
    await store.do(writing("first"))
    store._written = float("inf")
    others = [asyncio.create_task(store.do(writing(word))) for word in "abc"]
    await asyncio.sleep(0)
    queued.set()
    await asyncio.gather(*others)
    assert 2 == statements.count("begin immediate")
    assert ["a", "b", "c", "first"] == await store.do(words)
    await store.aclose()


async def test_a_value_that_sqlite_does_not_take_fails_nobody_else(tmp_path: Path) -> None:
    """Though it is in the same transaction."""
    store = FileStore(tmp_path / "words.db", a_table)
    await store.open()
    gate = Gate()
    waiting = asyncio.create_task(store.do(gate))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(store.do(writing(word))) for word in ("a", "a", "b")]
    tasks.append(asyncio.create_task(store.do(writing([]))))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    gate.open()
    await waiting
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert ["a", JournalError, "b", JournalError] == [type(end) if isinstance(end, Exception) else end for end in ended]
    assert ["a", "b"] == await store.do(words)
    await store.aclose()

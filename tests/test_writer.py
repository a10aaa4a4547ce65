"""What is paid for is written, if not at once then later, whoever is stopped meanwhile."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from genbridge import JournalError
from genbridge.testing.clock import FakeClock
from genbridge.writer import Writer


@attrs.define
class Book:
    """Something to write to, that is closed at times and takes its time at others."""

    closed: bool = False
    lines: list[str] = attrs.field(factory=list)
    opened: asyncio.Event = attrs.field(factory=asyncio.Event)
    asked: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def write(self, line: str) -> bool:
        self.asked.set()
        if self.closed:
            raise JournalError("the disk is full")
        self.lines.append(line)
        return True

    async def write_slowly(self, line: str) -> bool:
        self.asked.set()
        await self.opened.wait()
        return await self.write(line)


async def test_a_write_is_tried_again() -> None:
    """Whoever made it is told what it returned."""
    book, clock = Book(closed=True), FakeClock()
    writing = asyncio.create_task(Writer(clock).write(book.write, "a"))
    await book.asked.wait()
    book.closed = False
    assert await clock.run(writing)
    assert ["a"] == book.lines


async def test_a_write_that_stays_impossible_is_made_later() -> None:
    """The others that were kept are made too, each once, and one that still cannot be made hinders none."""
    book, shut, clock = Book(closed=True), Book(closed=True), FakeClock()
    writer = Writer(clock)
    assert await clock.run(writer.write(shut.write, "never")) is None
    assert await clock.run(writer.write(book.write, "a")) is None
    book.closed = False
    await asyncio.gather(*(writer.write_now_or_later(book.write, line) for line in "bc"))
    await writer.catch_up()
    assert (["a", "b", "c"], []) == (book.lines, shut.lines)


async def test_a_write_whose_maker_is_stopped_is_kept() -> None:
    """As when the client is closed while the write waits for its next try."""
    book, clock = Book(closed=True), FakeClock()
    writer = Writer(clock)
    writing = asyncio.create_task(writer.write(book.write, "the id"))
    await book.asked.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    book.closed = False
    await writer.catch_up()
    assert ["the id"] == book.lines


async def test_catching_up_that_is_stopped_loses_nothing() -> None:
    """Neither the write under way nor the one behind it."""
    shelf, book = Book(), Book(closed=True)
    writer = Writer(FakeClock())
    catching_up = asyncio.create_task(writer.write_now_or_later(shelf.write_slowly, "under way"))
    await shelf.asked.wait()
    behind = asyncio.create_task(writer.write_now_or_later(book.write, "behind"))
    await asyncio.sleep(0)
    for task in (catching_up, behind):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    book.closed = False
    shelf.opened.set()
    await writer.catch_up()
    assert (["under way"], ["behind"]) == (shelf.lines, book.lines)

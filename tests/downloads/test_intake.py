"""What has arrived of a file and is not on its way to the disk yet."""

from __future__ import annotations

import asyncio
from threading import Event, get_ident

import attrs
import pytest

from genbridge.downloads.intake import PIECE, Intake

BLOCK = bytes(PIECE // 4)


@attrs.define
class Disk:
    """A disk that writes when it is let, and remembers what and in which thread."""

    ready: Event = attrs.field(factory=Event)
    written: list[int] = attrs.field(factory=list)
    threads: set[int] = attrs.field(factory=set)
    broken: OSError | None = None

    def write(self, blocks: list[bytes]) -> None:
        """Wait until it is let, and write."""
        self.ready.wait()
        if self.broken is not None:
            raise self.broken
        self.threads.add(get_ident())
        self.written.append(sum(map(len, blocks)))


@pytest.fixture
def disk() -> Disk:
    """Return a disk that is ready."""
    ready = Disk()
    ready.ready.set()
    return ready


async def pour(intake: Intake, blocks: int, taken: list[bytes]) -> None:
    """Bring so many blocks, and remember each that was taken."""
    for _ in range(blocks):
        await intake.take(BLOCK)
        taken.append(BLOCK)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_brings_more_than_the_disk_takes_waits(disk: Disk) -> None:
    """While a piece is being written, another is gathered, and the block that fills it waits: two are all that is held."""
    intake, taken = Intake(disk.write), list[bytes]()
    await intake.take(BLOCK)
    disk.ready.clear()
    bringing = asyncio.create_task(pour(intake, 100, taken))
    await settle()
    assert (False, 7) == (bringing.done(), len(taken))
    disk.ready.set()
    await bringing
    await intake.flush()
    assert 101 * len(BLOCK) == sum(disk.written)


async def test_blocks_are_written_in_pieces_by_other_threads(disk: Disk) -> None:
    """The first alone, for there to be something at once; then a piece at a time, and at the end what is left."""
    intake = Intake(disk.write)
    wrote = [await intake.take(BLOCK) for _ in range(6)]
    await intake.flush()
    assert [True, False, False, False, True, False] == wrote
    assert [len(BLOCK), PIECE, len(BLOCK)] == disk.written
    assert get_ident() not in disk.threads


async def test_what_comes_first_is_done_before_anything_is_written(disk: Disk) -> None:
    """The first block waits for it, and nothing else does."""
    order = []
    intake = Intake(lambda blocks: order.append("write"))
    intake.begin(lambda: order.append("begin"))
    await intake.take(BLOCK)
    assert ["begin", "write"] == order


async def test_an_error_of_the_disk_comes_out_with_the_next_piece(disk: Disk) -> None:
    """Whoever brings it gets to know."""
    intake = Intake(disk.write)
    await intake.take(BLOCK)
    disk.broken = OSError("no room")
    with pytest.raises(OSError, match="no room"):
        await pour(intake, 8, [])


async def test_what_is_abandoned_is_not_written(disk: Disk) -> None:
    """A piece on its way goes on, and its outcome is nobody's; what was gathered is dropped."""
    intake = Intake(disk.write)
    await intake.take(BLOCK)
    disk.ready.clear()
    await pour(intake, 6, [])
    disk.broken = OSError("seen by nobody")
    intake.abandon()
    disk.ready.set()
    with pytest.raises(asyncio.CancelledError):
        await intake.flush()
    assert [len(BLOCK)] == disk.written

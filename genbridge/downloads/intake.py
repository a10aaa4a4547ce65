"""What has arrived of a file and is not on its way to the disk yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import attrs

PIECE = 1024 * 1024
"""How many bytes are written at once, about: enough that the way to a thread and back costs nothing beside them."""


@attrs.define
class Intake:
    """Gathers blocks into pieces, and has a thread write each while the next one arrives.

    So neither the network nor the disk waits for the other, unless it is faster: who brings a block waits while a piece is being
    written and another is full. No more than these two are in memory, each longer than `PIECE` by less than a block. Only the first
    block is written at once, so that there is something to show and to resume.
    """

    write: Callable[[list[bytes]], None]
    _blocks: list[bytes] = attrs.field(factory=list, init=False)
    _size: int = attrs.field(default=0, init=False)
    _first: bool = attrs.field(default=True, init=False)
    _writing: asyncio.Future[None] | None = attrs.field(default=None, init=False)

    def begin(self, work: Callable[[], None]) -> None:
        """Have a thread do something first, while the first blocks arrive."""
        self._writing = asyncio.get_running_loop().run_in_executor(None, work)

    async def take(self, block: bytes) -> bool:
        """Take what arrived; return whether a piece was written since. Raises what writing raised."""
        self._blocks.append(block)
        self._size += len(block)
        if self._first:
            self._first = False
            await self.flush()
        elif self._size >= PIECE:
            await self._hand_over()
        return not self._blocks

    async def flush(self) -> None:
        """Wait until all is written; raises what writing raised."""
        await self._hand_over()
        await self._written()

    def abandon(self) -> None:
        """Let go of what is not written, and of the outcome of what is being written."""
        self._blocks, self._size = [], 0
        if self._writing is not None:
            self._writing.cancel()

    async def _hand_over(self) -> None:
        await self._written()
        blocks, self._blocks, self._size = self._blocks, [], 0
        self.begin(partial(self.write, blocks))

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None

"""The engine: what hands tickets for jobs to living workers. The journal alone says what is true of a job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class Ticket:
    """Asks whichever worker gets it to drive a job; `backend` is the queue that it waits in."""

    job_id: str
    backend: str


@attrs.frozen
class Tally:
    """How many tickets wait for a worker, and how many workers hold."""

    waiting: int
    held: int


class Engine(Protocol):
    """Hands out tickets, each at least once.

    What takes a `connection` is part of the journal's own transaction, and called in its thread.
    """

    def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
        """Add tickets."""

    def give_again(self, connection: Any) -> None:
        """Give out again the tickets of workers that are dead."""

    def ticketed(self, connection: Any, job_ids: Sequence[str]) -> set[str]:
        """Return those of the jobs for which a ticket waits, or is in a living worker's hands."""

    async def tally(self) -> Tally:
        """Count the tickets; raises `JournalError` when that is not possible."""

    async def run(
        self,
        drive: Callable[[str], Awaitable[None]],
        *,
        backends: Sequence[str] | None,
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        """Have tickets' jobs driven, so many of each backend at once, until `stop` is set; of all where none are named.

        It outlives outages of the database. A `drive` under way is not awaited after `stop`.
        """

"""The event loop that a run does its work on."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from genbridge.cli.console import remark
from genbridge.cli.session import Session
from genbridge.errors import JournalError
from genbridge.tries import given_id
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from genbridge.client import Client
    from genbridge.ledger import Ledger

_LOOKING = 5.0
"""Seconds for which it is looked, after an interruption, what of a run is on record already."""

T = TypeVar("T")
C = TypeVar("C", "Client", "Ledger")


def run(session: Session, connect: Callable[[Session], C], work: Callable[[C], Awaitable[T]]) -> T:
    """Do some work with what a session is connected to, on a loop of its own."""
    return asyncio.run(do(session, connect, work))


async def do(session: Session, connect: Callable[[Session], C], work: Callable[[C], Awaitable[T]]) -> T:
    """Do some work with what a session is connected to; the session is told what an interruption leaves."""
    _take_as_interrupts(signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else []))
    async with connect(session) as client:
        session.workers = getattr(client, "watches", False)
        try:
            return await work(client)
        except asyncio.CancelledError:
            if session.workers:
                with suppress(JournalError, TimeoutError):
                    async with asyncio.timeout(_LOOKING):
                        await _leave_to_workers(session, client)
                raise
            if session.submitting:
                remark("interrupted; waiting a few seconds for the answer to what was being sent")
            if session.waiting:
                session.pending = [job.id async for job in client.jobs(status=JobStatus.PENDING)]
            raise


async def _leave_to_workers(session: Session, client: Client | Ledger) -> None:
    """Find which jobs of a run are on record already, as these go on without it."""
    left = session.waiting | session.submitting
    async for job in client.jobs(unfinished=True):
        if not left or job.created_at < session.began:
            break
        if given_id(job.id) in left:
            left.remove(given_id(job.id))
            session.under_way[job.id] = job.id
    session.leave(left)


def _take_as_interrupts(*signals: signal.Signals) -> None:
    """Let what ends a program from outside end it as Ctrl-C does, so that an answer under way is still recorded."""
    for each in signals:
        # Where there is no loop that hears signals, as on Windows, or in another thread, they do what they always did.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(each, signal.raise_signal, signal.SIGINT)

"""What happens to jobs, as the database tells it on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import psycopg

from genbridge.databases import DatabaseUrl
from genbridge.journal import Heard
from genbridge.journal.postgres.connection import options

_log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds before the database is called again."""
_QUIET = 10.0
"""Seconds without a word after which it is asked whether the connection still stands."""


class Listener:
    """Tells of one sort of thing, on this event loop, until it is closed.

    A word that was missed while there was no connection is made up for by an empty one.
    """

    def __init__(self, url: DatabaseUrl, what: Heard, told: Callable[[str], None]) -> None:
        self._settings = options(url, autocommit=True)
        self._statement = f"listen genbridge_{what}".encode()
        self._told = told
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def aclose(self) -> None:
        """Listen no more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _serve(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                _log.debug("nobody can be listened to now: %s", type(error).__name__)
                await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(**self._settings) as connection:
            await connection.execute(self._statement)
            self._told("")
            while True:
                async for word in connection.notifies(timeout=_QUIET):
                    self._told(word.payload)
                await connection.execute("select 1")

"""genbridge, with its journal on disk.

`fixed` polls at the interval, `learn` as it learns to; with a number, so many jobs are on record already.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from gauge import ask

from genbridge import Client, VideoRequest, __version__
from genbridge.client import Handle
from genbridge.config import BackendConfig, Config, PollConfig, Secret

VERSION = __version__
_FOREVER = 86400.0
_AT_ONCE = 100
REQUEST = VideoRequest("a fox", model="seedance-2.0")


def config(port: int, interval: float | None, *, learn: bool) -> Config:
    """Return the configuration: imini's protocol, at the loopback service."""
    backend = BackendConfig(
        name="main",
        provider="imini",
        api_key=Secret("a-key"),
        base_url=f"http://127.0.0.1:{port}/imini",
        poll=PollConfig(interval=interval, learn=learn, timeout=_FOREVER),
    )
    return Config(backends={"main": backend})


class Way:
    """Jobs are followed by the client itself."""

    def __init__(self, port: int, word: str, interval: float | None, folder: Path) -> None:
        self.folder = folder
        self._port = port
        self._rows = int(word) if word.isdigit() else 0
        self.client = Client(config(port, interval, learn=word == "learn"), journal=folder / "jobs.db")

    async def open(self) -> None:
        """Open the client, on a journal with as many jobs as there are to be."""
        if self._rows:
            filled = self.folder.parent / f"filled-{self._rows}.db"
            if not filled.exists():
                await self._fill(filled)
            shutil.copyfile(filled, self.folder / "jobs.db")
        await self.client.__aenter__()

    async def _fill(self, path: Path) -> None:
        """Make a journal with many finished jobs: one is made as they all are, and its row is repeated."""
        ask(self._port, "/plan", {"seconds": [0], "size": 1000})
        async with Client(config(self._port, 0.01, learn=False), journal=path) as client:
            await client.generate(REQUEST)
        repeat_row(path, self._rows)
        ask(self._port, "/plan", {"seconds": [None], "size": 1000})

    async def submit(self) -> Handle:
        """Submit a job."""
        return await self.client.submit(REQUEST)

    async def complete(self) -> None:
        """Submit a job and follow it to its end."""
        await self.client.generate(REQUEST)

    notice = complete

    async def begin(self, count: int) -> Sequence[Handle]:
        """Submit jobs, some at a time."""
        handles: list[Handle] = []
        turns = iter(range(count))

        async def some() -> None:
            handles.extend([await self.submit() for _ in turns])

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return handles

    async def follow(self, jobs: Sequence[Handle]) -> None:
        """Wait until all have ended."""
        for handle in jobs:
            await handle.result(timeout=_FOREVER)

    def looks(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Return what looks into the journal, by name."""
        return {"list": self._list, "resume": lambda: self.client.resume(wait=False), "spend": self.client.spend}

    async def _list(self) -> None:
        async for _ in self.client.jobs(limit=50):
            pass


def repeat_row(path: Path, count: int) -> None:
    """Add copies of a journal's one job, one for each half minute before it, with ids and keys of their own."""
    new = {
        "id": "printf('%032x', n)",
        "key": "printf('%032x', n)",
        "provider_id": "'old-' || n",
        "created": "created - 30 * n",
        "submitted": "submitted - 30 * n",
        "finished": "finished - 30 * n",
    }
    with sqlite3.connect(path) as db:
        db.execute("pragma synchronous = off")
        names = [name for _, name, *_ in db.execute("pragma table_info(jobs)")]
        values = ", ".join(new.get(name, name) for name in names)
        numbers = "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ?)"
        db.execute(f"insert into jobs {numbers} select {values} from jobs, numbers", (count,))
    db.close()

"""genbridge, with its journal on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from genbridge import Client, VideoRequest, __version__
from genbridge.client import Handle
from genbridge.config import BackendConfig, Config, PollConfig, Secret

VERSION = __version__
_FOREVER = 86400.0
_AT_ONCE = 100
REQUEST = VideoRequest("a fox", model="seedance-2.0")


def config(port: int, interval: float, *, learn: bool) -> Config:
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
    """Jobs are followed by the client itself; `learn` lets it."""

    def __init__(self, port: int, word: str, interval: float, folder: Path) -> None:
        self.client = Client(config(port, interval, learn=word == "learn"), journal=folder / "jobs.db")

    async def open(self) -> None:
        """Open the client."""
        await self.client.__aenter__()

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()

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

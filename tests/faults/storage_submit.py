"""Submit one job and do not wait for it: `storage_submit.py JOURNAL BASE_URL MARKER`, with the key on stdin."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from crash_child import prompt_of

from genbridge import Client, ImageRequest
from genbridge.config import BackendConfig, Config, Secret


async def _submit(journal: Path, base_url: str, marker: str, key: str) -> None:
    backend = BackendConfig(name="main", provider="imini", api_key=Secret(key), base_url=base_url)
    async with Client(Config(backends={"main": backend}), journal=journal) as client:
        await client.submit(ImageRequest(prompt_of(marker)))


if __name__ == "__main__":
    asyncio.run(_submit(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.stdin.read()))

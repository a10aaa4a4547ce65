"""replicate's predictions."""

from __future__ import annotations

from importlib.metadata import version

import replicate

VERSION = version("replicate")


class Calls:
    """Its two calls."""

    def __init__(self, port: int, word: str) -> None:
        self._client = replicate.Client(api_token="a-key", base_url=f"http://127.0.0.1:{port}/replicate")

    async def submit(self) -> str:
        return str((await self._client.predictions.async_create(version="1", input={"prompt": "a fox"})).id)

    async def poll(self, job: str) -> bool:
        return bool((await self._client.predictions.async_get(job)).status == "succeeded")

    async def aclose(self) -> None:
        """Close nothing: it has no way to."""

"""fal-client's queue."""

from __future__ import annotations

from importlib.metadata import version

import fal_client

VERSION = version("fal-client")
_MODEL = "bench/model"


class Calls:
    """Its two calls."""

    def __init__(self, port: int, word: str) -> None:
        # Its variable for the host takes no http.
        fal_client.client.QUEUE_URL_FORMAT = f"http://127.0.0.1:{port}/fal/"
        self._client = fal_client.AsyncClient(key="a-key")

    async def submit(self) -> str:
        return str((await self._client.submit(_MODEL, arguments={"prompt": "a fox"})).request_id)

    async def poll(self, job: str) -> bool:
        return isinstance(await self._client.status(_MODEL, job), fal_client.Completed)

    async def aclose(self) -> None:
        """Close nothing: it has no way to."""

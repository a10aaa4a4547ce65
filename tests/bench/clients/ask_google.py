"""google-genai's long-running operations."""

from __future__ import annotations

from google import genai
from google.genai import types

VERSION = genai.__version__
_NAME = "models/veo-3.1/operations/{}"


class Calls:
    """Its two calls."""

    def __init__(self, port: int, word: str) -> None:
        self._client = genai.Client(api_key="a-key", http_options={"base_url": f"http://127.0.0.1:{port}/google"})

    async def submit(self) -> str:
        operation = await self._client.aio.models.generate_videos(model="veo-3.1", prompt="a fox")
        return str(operation.name).rpartition("/")[2]

    async def poll(self, job: str) -> bool:
        operation = await self._client.aio.operations.get(types.GenerateVideosOperation(name=_NAME.format(job)))
        return bool(operation.done)

    async def aclose(self) -> None:
        await self._client.aio.aclose()

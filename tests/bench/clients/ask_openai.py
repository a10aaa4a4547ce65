"""The openai SDK's videos. `aiohttp` is its other transport; without a word it is the default."""

from __future__ import annotations

import openai

VERSION = openai.__version__


class Calls:
    """Its two calls."""

    def __init__(self, port: int, word: str) -> None:
        http = openai.DefaultAioHttpClient() if word == "aiohttp" else None
        self._client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/openai/v1", api_key="a-key", http_client=http)

    async def submit(self) -> str:
        return (await self._client.videos.create(model="sora-2", prompt="a fox")).id

    async def poll(self, job: str) -> bool:
        return (await self._client.videos.retrieve(job)).status == "completed"

    async def aclose(self) -> None:
        await self._client.close()

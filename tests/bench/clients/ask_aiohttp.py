"""The bare protocol: aiohttp, and nothing around it. `fresh` makes a connection for each POST, as genbridge does."""

from __future__ import annotations

from typing import Any

import aiohttp

VERSION = aiohttp.__version__


class Calls:
    """The calls of imini's protocol."""

    def __init__(self, port: int, word: str) -> None:
        self._session = _session(aiohttp.TCPConnector())
        self._paid = _session(aiohttp.TCPConnector(force_close=True, limit=0)) if word == "fresh" else self._session
        self._base = f"http://127.0.0.1:{port}/imini/v1/videos"

    async def submit(self) -> str:
        async with self._paid.post(f"{self._base}/generate", json=BODY) as answer:
            return str((await _document(answer))["task_id"])

    async def poll(self, job: str) -> bool:
        async with self._session.get(f"{self._base}/tasks/{job}") as answer:
            return bool((await _document(answer))["status"] == "succeeded")

    async def aclose(self) -> None:
        await self._session.close()
        await self._paid.close()


BODY = {"model": "doubao/seedance-2.0", "prompt": "a fox"}


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector, headers={"authorization": "Bearer a-key"})


async def _document(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    answer.raise_for_status()
    document: dict[str, Any] = await answer.json()
    return document

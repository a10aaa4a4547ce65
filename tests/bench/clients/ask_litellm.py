"""litellm's videos."""

from __future__ import annotations

import os
from importlib.metadata import version

# Otherwise it asks for a list of prices at the import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

VERSION = version("litellm")
litellm.suppress_debug_info = True


class Calls:
    """Its two calls."""

    def __init__(self, port: int, word: str) -> None:
        self._where = {"api_base": f"http://127.0.0.1:{port}/openai/v1", "api_key": "a-key"}

    async def submit(self) -> str:
        return str((await litellm.avideo_generation("a fox", model="openai/sora-2", **self._where)).id)

    async def poll(self, job: str) -> bool:
        said = await litellm.avideo_status(job, custom_llm_provider="openai", **self._where)
        return bool(said.status == "completed")

    async def aclose(self) -> None:
        """Close nothing: it has no way to."""

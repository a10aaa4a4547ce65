"""A process that hands in jobs at a steady pace and waits for what comes of them; it needs no key, and sends nothing itself.

    python fleet_client.py '{"config": "…", "journal": "postgresql://…", "first": 0, "jobs": 200, "rate": 12.5, "patience": 300}'

Prints "open" to stderr once it is connected, and, as JSON, what came of each job in the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from crash_child import prompt_of

from genbridge import Client, GenbridgeError, ImageRequest


async def hand_in(*, config: str, journal: str, first: int, jobs: int, rate: float, patience: float) -> dict[str, str]:
    """Hand in jobs, so many a second, and return what came of each."""
    async with Client(config, journal=journal) as client:
        print("open", file=sys.stderr, flush=True)  # noqa: T201 (whoever started it waits for that)
        began = time.monotonic()
        works = (_one(client, f"{first + number}", began + number / rate, patience) for number in range(jobs))
        return dict(await asyncio.gather(*works))


async def _one(client: Client, marker: str, at: float, patience: float) -> tuple[str, str]:
    await asyncio.sleep(at - time.monotonic())
    try:
        handle = await client.submit(ImageRequest(prompt_of(marker)), id=f"job-{marker}")
        await handle.result(timeout=patience)
    except GenbridgeError as error:
        return marker, f"{type(error).__name__}: {error}"
    return marker, "succeeded"


def main(told: dict[str, Any]) -> None:
    """Do what the command line says."""
    sys.stdout.write(json.dumps(asyncio.run(hand_in(**told))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

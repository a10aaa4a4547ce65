"""Hands in jobs, and tells what that took in this process, which drives them itself where nobody else does.

    python fleet_jobs.py '{"task": "carry", "port": 1234, "journal": null, "jobs": 2000, …}'

Prints what it measured as JSON. `carry` waits for all of them, `delay` hands in one after the other and looks at when each arrived
at the service, and `hold` leaves them as they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from ask_genbridge import REQUEST, config
from gauge import ask, cpu

from genbridge import Client

_FOREVER = 3600.0
_PAUSE = 0.05
_AT_ONCE = 500


async def carry(client: Client, port: int, *, jobs: int) -> dict[str, Any]:
    """Hand in jobs, all at once, and wait for what they make."""
    before, began = cpu(), time.monotonic()

    async def one() -> None:
        handle = await client.submit(REQUEST)
        await handle.result(timeout=_FOREVER)

    await asyncio.gather(*(one() for _ in range(jobs)))
    return {"cpu": cpu() - before, "seconds": time.monotonic() - began, "polls": ask(port, "/meter")["polls"]}


async def delay(client: Client, port: int, *, jobs: int) -> dict[str, Any]:
    """Hand in one job after the other; return how many seconds later each arrived, and how many later that was known here."""
    begun, known = [], []
    for _ in range(jobs):
        begun.append(time.monotonic())
        await client.submit(REQUEST)
        known.append(time.monotonic())
        await asyncio.sleep(_PAUSE)
    arrived = ask(port, "/arrivals")
    pairs = [[at - since, told - since] for at, since, told in zip(arrived, begun, known, strict=True)]
    return {"arrived": [pair[0] for pair in pairs], "known": [pair[1] for pair in pairs]}


async def hold(client: Client, port: int, *, jobs: int) -> dict[str, Any]:
    """Hand in jobs, some at a time, and return once all are accepted."""
    turns = iter(range(jobs))

    async def some() -> None:
        for _ in turns:
            await client.submit(REQUEST)

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    return {"posts": ask(port, "/meter")["posts"]}


TASKS = {each.__name__: each for each in (carry, delay, hold)}


async def main(task: str, port: int, journal: str | None, interval: float, jobs: int) -> None:
    """Open the client, do the task and print what came of it."""
    async with Client(config(port, interval, learn=False), journal=journal) as client:
        found = await TASKS[task](client, port, jobs=jobs)
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))

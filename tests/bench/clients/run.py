"""One measurement of one client, in a process of its own.

    python run.py '{"module": "ask_aiohttp", "way": "heap", "word": "", "port": 1234, "folder": "…", "task": "wait", …}'

Prints what it measured as JSON. `way` is how many jobs are followed: `tasks` or `heap` (see `ways.py`), or `own` where the client
does that itself. What else there is, is the task's arguments.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gauge import delays, mark, rss, spread
from ways import Heap, Tasks

Found = dict[str, Any]


async def open_way(module: Any, *, way: str, word: str, port: int, folder: str, interval: float) -> Any:
    """Return the client, ready."""
    if way != "own":
        return {"tasks": Tasks, "heap": Heap}[way](module.Calls(port, word), interval)
    own = module.Way(port, word, interval, Path(folder))
    await own.open()
    return own


async def repeat(work: Callable[[], Awaitable[object]], times: int, at_once: int) -> None:
    """Do something so many times, some at a time."""
    turns = iter(range(times))

    async def some() -> None:
        for _ in turns:
            await work()

    await asyncio.gather(*(some() for _ in range(at_once)))


async def submit(way: Any, port: int, *, jobs: int, at_once: int) -> Found:
    """Submit jobs which are not polled meanwhile, after a few that do not count."""
    await repeat(way.submit, jobs // 10, at_once)
    before = mark(port)
    await repeat(way.submit, jobs, at_once)
    return mark(port).since(before)


async def wait(way: Any, port: int, *, jobs: int, settle: float, seconds: float) -> Found:
    """Follow jobs that go on for ever, and look at some seconds of it, once all are being polled."""
    following = asyncio.ensure_future(way.follow(await way.begin(jobs)))
    while mark(port).polls < min(jobs, 100) and not following.done():
        await asyncio.sleep(0.05)
    await asyncio.sleep(settle)
    before = mark(port)
    async with delays() as late:
        await asyncio.sleep(seconds)
    found = mark(port).since(before)
    following.cancel()
    return {**found, "delay": spread(late)}


async def hold(way: Any, port: int, *, first: int, more: int, settle: float) -> Found:
    """Follow some jobs, so that the connections are there, and then many more; memory is what those add."""
    begun = [asyncio.ensure_future(way.follow(await way.begin(first)))]
    await asyncio.sleep(settle)
    before = rss()
    begun.append(asyncio.ensure_future(way.follow(await way.begin(more))))
    await asyncio.sleep(settle)
    after = rss()
    for following in begun:
        following.cancel()
    return {"bytes": (after - before) / more}


async def burst(way: Any, port: int, *, jobs: int, at_once: int) -> Found:
    """Submit jobs that are done at their first poll and see them done, so many at a time, after a few that do not count."""
    await repeat(way.complete, jobs // 10, at_once)
    before = mark(port)
    await repeat(way.complete, jobs, at_once)
    return mark(port).since(before)


TASKS = {"submit": submit, "wait": wait, "hold": hold, "burst": burst}


async def main(task: str, module: str, arguments: dict[str, Any]) -> Found:
    """Open the client and do the task."""
    named = importlib.import_module(module)
    keys = ("way", "word", "port", "folder", "interval")
    way = await open_way(named, **{key: arguments.pop(key) for key in keys if key != "port"}, port=arguments["port"])
    try:
        return {**await TASKS[task](way, **arguments), "version": named.VERSION}
    finally:
        await way.aclose()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps(asyncio.run(main(given.pop("task"), given.pop("module"), given))))

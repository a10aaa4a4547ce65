"""One measurement of one client, in a process of its own.

    python run.py '{"module": "ask_aiohttp", "way": "heap", "word": "", "port": 1234, "folder": "…", "task": "wait", …}'

Prints what it measured as JSON. `way` is how many jobs are followed: `tasks` or `heap` (see `ways.py`), or `own` where the client
does that itself. What else there is, is the task's arguments. Once that is printed, the process ends as it stands.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from gauge import ask, delays, mark, peak, rss, spread
from ways import Heap, Tasks

Found = dict[str, Any]
_PATIENCE, _LOOK = 10.0, 0.05


async def open_way(module: Any, *, way: str, word: str, port: int, folder: str, interval: float | None) -> Any:
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
    await settled(port, following, min(jobs, 100), settle)
    before = mark(port)
    async with delays() as late:
        await asyncio.sleep(seconds)
    found = mark(port).since(before)
    if following.done():
        following.result()
    return {**found, "delay": spread(late)}


async def settled(port: int, following: asyncio.Future[None], polls: int, settle: float) -> None:
    """Wait until jobs are being polled, and a while longer; not for ever, as some clients do not get there."""
    for _ in range(int(_PATIENCE / _LOOK)):
        if mark(port).polls >= polls or following.done():
            break
        await asyncio.sleep(_LOOK)
    await asyncio.sleep(settle)


async def hold(way: Any, port: int, *, first: int, more: int, settle: float) -> Found:
    """Follow some jobs, so that the connections are there, and then many more; memory is what those add."""
    begun = [asyncio.ensure_future(way.follow(await way.begin(first)))]
    await asyncio.sleep(settle)
    before = rss()
    begun.append(asyncio.ensure_future(way.follow(await way.begin(more))))
    await asyncio.sleep(settle)
    after = rss()
    if any(following.done() for following in begun):
        raise RuntimeError(f"jobs that never end have ended: {begun}")
    return {"bytes": (after - before) / more}


async def burst(way: Any, port: int, *, jobs: int, at_once: int) -> Found:
    """Submit jobs that are done at their first poll and see them done, so many at a time, after a few that do not count."""
    await repeat(way.complete, jobs // 10, at_once)
    before = mark(port)
    await repeat(way.complete, jobs, at_once)
    return mark(port).since(before)


async def notice(way: Any, port: int, *, waves: list[int]) -> Found:
    """Follow jobs of different durations, a wave after the other, and look at how the last wave was polled."""
    for jobs in waves:
        await repeat(way.notice, jobs, jobs)
    polls, late, seconds = zip(*ask(port, "/jobs")[-waves[-1] :], strict=True)
    found = {"polls": mean(polls), "late": mean(late), "middle": median(late), "seconds": mean(seconds)}
    return {**found, "jobs": len(ask(port, "/jobs"))}


async def download(way: Any, port: int) -> Found:
    """Save a large file."""
    result = await (await way.submit()).result()
    grown, before = peak(), mark(port)
    async with delays() as late:
        (path,) = await way.client.download(result, way.folder)
    found = mark(port).since(before)
    return {**found, "bytes": path.stat().st_size, "grown": peak() - grown, "delay": spread(late)}


async def record(way: Any, port: int, *, jobs: int, times: int) -> Found:
    """Do what looks into the journal, each some times."""
    before = mark(port)
    await repeat(way.submit, jobs, 10)
    found = {"submit": (mark(port).cpu - before.cpu) / jobs}
    for name, look in way.looks().items():
        found[name] = median([await seconds(look) for _ in range(times)])
    return found


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


TASKS = {each.__name__: each for each in (submit, wait, hold, burst, notice, download, record)}


async def main(task: str, module: str, way: dict[str, Any], told: dict[str, Any]) -> None:
    """Open the client, do the task and print what came of it."""
    named = importlib.import_module(module)
    found = await TASKS[task](await open_way(named, **way), way["port"], **told)
    sys.stdout.write(json.dumps({**found, "version": named.VERSION}))
    sys.stdout.flush()
    # What some clients have open takes a minute to close.
    os._exit(0)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    opening = {name: given.pop(name) for name in ("way", "word", "port", "folder", "interval")}
    asyncio.run(main(given.pop("task"), given.pop("module"), opening, given))

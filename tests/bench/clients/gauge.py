"""What a client's process has used and what the service has counted, at a moment; and how late its event loop is.

Needs nothing but the standard library, as it is imported in the environments of other clients.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

_TICK = 0.01


def ask(port: int, path: str, document: object = None) -> Any:
    """Ask the service, which blocks for less than a millisecond."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET" if document is None else "POST", path, None if document is None else json.dumps(document))
    said = json.loads(connection.getresponse().read())
    connection.close()
    return said


def cpu() -> float:
    """Return the seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss() -> int:
    """Return the bytes of memory that this process has: now, or else (not on Linux) the most that it has had."""
    gc.collect()
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return peak()


def peak() -> int:
    """Return the most bytes of memory that this process has had."""
    with suppress(OSError):
        # What the kernel says of a process's use begins with that of the one that started it; this does not.
        _, _, rest = Path("/proc/self/status").read_text().partition("VmHWM:")
        return int(rest.split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass
class Mark:
    """A moment: the time, the CPU used here and by the service, and the service's counts."""

    at: float
    cpu: float
    server: float
    polls: int
    posts: int

    def since(self, before: Mark) -> dict[str, float]:
        """Return what there was between two moments; `server` is the share of a core that the service used."""
        seconds = self.at - before.at
        return {
            "seconds": seconds,
            "cpu": self.cpu - before.cpu,
            "server": (self.server - before.server) / seconds,
            "polls": self.polls - before.polls,
            "posts": self.posts - before.posts,
        }


def mark(port: int) -> Mark:
    """Return this moment."""
    said = ask(port, "/meter")
    return Mark(time.monotonic(), cpu(), said["cpu"], said["polls"], said["posts"])


@asynccontextmanager
async def delays() -> AsyncIterator[list[float]]:
    """Note how many seconds too late the event loop comes to what it is to do, a hundred times a second."""
    found: list[float] = []
    task = asyncio.ensure_future(_note(found))
    try:
        yield found
    finally:
        task.cancel()


async def _note(found: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK
        await asyncio.sleep(_TICK)
        found.append(loop.time() - due)


def spread(values: list[float]) -> dict[str, float]:
    """Return the middle, the 99th percentile and the most of some seconds."""
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}

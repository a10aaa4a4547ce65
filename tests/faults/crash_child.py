"""A process that submits a batch and collects it, with a fuse that kills it at a point of its way.

Nothing in genbridge knows of the fuse. It is lit by what a process of its own can put around any program: a task factory of its
event loop counts every resumption of every task, a subclass of SQLite's connection every statement before and after it runs, and a
subclass of the socket what is written of a POST. SIGKILL then comes from the process itself, in the thread that reached the point.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import attrs
from server import find_plugin

from genbridge import Client, GenbridgeError, ImageRequest, Job, JobStatus
from genbridge.client import Handle
from genbridge.config import BackendConfig, Config
from genbridge.journal import NOT_SENT
from genbridge.transport import Transport

BACKEND = "main"
_BROKEN = 70
_LOOK = 0.003
"""Seconds between two looks at a process."""


@attrs.frozen(kw_only=True)
class FastClock:
    """A clock that runs `speed` times faster than this machine's since it was `wall`, at `origin` of the monotonic clock.

    The monotonic clock of the machine is one for all its processes, so this one is too.
    """

    speed: float
    wall: float = attrs.field(factory=time.time)
    origin: float = attrs.field(factory=time.monotonic)

    def monotonic(self) -> float:
        return (time.monotonic() - self.origin) * self.speed

    def seconds(self) -> float:
        """Return the wall-clock time in seconds."""
        return self.wall + self.monotonic()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def chance(self) -> float:
        return random.random()


@attrs.define
class Fuse:
    """Kills its process at the point of a sort that has this number, counted from 1; 0 never comes."""

    sort: str = ""
    number: int = 0
    passed: int = 0

    def pass_point(self, sort: str) -> None:
        """Count a point, and do not return from the one that was chosen."""
        if sort != self.sort:
            return
        self.passed += 1
        if self.passed == self.number:
            die()

    def due(self, sort: str) -> bool:
        """Whether the next point of that sort is the one."""
        return sort == self.sort and self.passed + 1 == self.number


def die() -> NoReturn:
    """Kill this process, and run nothing of it any more."""
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        time.sleep(1)


# The three sorts of points.

AWAIT, STATEMENT, WRITE = "await", "statement", "write"


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose every resumption passes a point."""

    def __init__(self, fuse: Fuse, inner: Coroutine[Any, Any, Any]) -> None:
        self._fuse = fuse
        self._inner = inner

    def send(self, value: Any) -> Any:
        self._fuse.pass_point(AWAIT)
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        self._fuse.pass_point(AWAIT)
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


def _count_resumptions(loop: asyncio.AbstractEventLoop, fuse: Fuse) -> None:
    def make(loop: asyncio.AbstractEventLoop, inner: Coroutine[Any, Any, Any], **settings: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Counted(fuse, inner), loop=loop, **settings)

    loop.set_task_factory(make)


def _count_statements(fuse: Fuse) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, *statement: Any) -> sqlite3.Cursor:
            fuse.pass_point(STATEMENT)
            cursor = super().execute(*statement)
            fuse.pass_point(STATEMENT)
            return cursor

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)


def _count_writes(fuse: Fuse) -> None:
    class Socket(socket.socket):
        __slots__ = ("paid",)

        def send(self, data: Any, *flags: int) -> int:
            self.paid = getattr(self, "paid", False) or bytes(data[:4]) == b"POST"
            if not self.paid:
                return super().send(data, *flags)
            fuse.pass_point(WRITE)
            if fuse.due(WRITE):
                super().send(data[: len(data) // 2], *flags)
            fuse.pass_point(WRITE)
            sent = super().send(data, *flags)
            fuse.pass_point(WRITE)
            return sent

        def sendmsg(self, buffers: Iterable[Any], *more: Any) -> int:
            return self.send(b"".join(buffers))

    socket.socket = Socket


# What the process does.


@attrs.frozen(kw_only=True)
class Batch:
    """What to get made: one job for each of the `markers`, which stand in ids and prompts; `abreast` are submitted at once.

    `files` is the folder to save what comes out, if it is to be saved.
    """

    backend: BackendConfig
    provider: object | None
    journal: Path
    markers: Sequence[str]
    clock: FastClock
    abreast: int = 1
    files: Path | None = None

    def client(self, transport: Transport | None = None) -> Client:
        """Return a client on the batch's journal, not yet open."""
        config = Config(backends={BACKEND: attrs.evolve(self.backend, name=BACKEND)})
        providers = None if self.provider is None else {self.backend.provider: self.provider}
        return Client(config, journal=self.journal, providers=providers, clock=self.clock, transport=transport)


async def get_made(batch: Batch, transport: Transport | None = None) -> None:
    """Go on with a batch wherever it stands: resume what is on record, submit the whole again, and wait for all of it."""
    async with batch.client(transport) as client:
        await client.resume()
        turns = asyncio.Semaphore(batch.abreast)
        handles = await asyncio.gather(*(_submit(client, batch, marker, turns) for marker in batch.markers))
        for handle in filter(None, handles):
            with suppress(GenbridgeError):
                await _collect(client, handle, batch.files)


async def _collect(client: Client, handle: Handle, files: Path | None) -> None:
    result = await handle.result()
    if files is not None:
        await client.download(result, files)


def prompt_of(marker: str) -> str:
    """Return the prompt that names a job to the service."""
    return f"a drawing [job {marker}]"


def marker_of(job: Job) -> str:
    """Return the marker in a job's prompt."""
    return job.request.prompt.partition("[job ")[2].removesuffix("]")


def never_sent(job: Job) -> bool:
    """Whether a job has ended without anything having been started."""
    return job.status is JobStatus.FAILED and job.failure is not None and job.failure.code == NOT_SENT


async def _submit(client: Client, batch: Batch, marker: str, turns: asyncio.Semaphore) -> Handle | None:
    async with turns:
        try:
            return await client.submit(ImageRequest(prompt_of(marker)), id=f"job-{marker}", save_to=batch.files)
        except GenbridgeError as error:
            logging.getLogger(__name__).warning("%s: %s", marker, error)
            return None


def given(provider: str) -> object | None:
    """Return the plugin of a provider that is not installed, which a client is given as an object."""
    return sys.modules[f"genbridge_{provider}"] if find_plugin(provider).package != "genbridge" else None


def begin(batch: Batch, fuse: Fuse, *, log: Path) -> int:
    """Begin a process that gets a batch made, and return its id."""
    return forked(partial(_get_made_with, batch, fuse), log=log)


def _get_made_with(batch: Batch, fuse: Fuse) -> None:
    if fuse.sort == STATEMENT:
        _count_statements(fuse)
    if fuse.sort == WRITE:
        _count_writes(fuse)
    with asyncio.Runner() as runner:
        if fuse.sort == AWAIT:
            _count_resumptions(runner.get_loop(), fuse)
        runner.run(get_made(batch))


def forked(work: Callable[[], None], *, log: Path) -> int:
    """Begin a process of its own for some work, and return its id; what it logs goes to a file, and a bug ends it with code 70.

    It is forked, as five hundred interpreters would take longer to start than all the rest.
    """
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = _BROKEN
    try:
        logging.basicConfig(filename=log, level=logging.INFO, format="%(process)d %(created).3f %(name)s: %(message)s", force=True)
        work()
        code = 0
    except BaseException:
        logging.getLogger(__name__).exception("the process is broken")
    finally:
        logging.shutdown()
        os._exit(code)


def ended(pid: int, due: Callable[[float], bool], *, stuck: float) -> int:
    """Wait until a process has ended, and kill it when that is due after so many seconds; return its exit code.

    One that goes on for `stuck` seconds is killed too; its code is then that of SIGABRT.
    """
    began = time.monotonic()
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        is_stuck = seconds > stuck
        if is_stuck or due(seconds):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -signal.SIGABRT if is_stuck else -signal.SIGKILL
        time.sleep(_LOOK)


def never(_seconds: float) -> bool:
    """Let a process end by itself."""
    return False

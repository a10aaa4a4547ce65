"""A disk that is full, a file that may not be written, and one that another process holds: before a submit, and after it.

Each scene is played by a process of its own, against a service in another, and what it says is compared with what the service saw.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs
from crash_child import Batch, FastClock, forked, marker_of, prompt_of
from service import Service, Stand

from genbridge import Client, GenbridgeError, ImageRequest, Job, JobStatus
from genbridge.client import Handle
from genbridge.config import BackendConfig, Secret
from genbridge.journal.file import BUSY
from genbridge.transport import Origin, Transport
from genbridge.wire import Call, Reply

_PACE = 200.0
_NOBODY = 65534
_LOOKS = 2000


class Skip(Exception):  # noqa: N818 (it is no error)
    """A scene cannot be played here, for that reason."""


@attrs.frozen(kw_only=True)
class Stage:
    """Where a scene plays: a folder, an account and a batch of one process at a time."""

    folder: Path
    stand: Stand
    batch: Batch

    @classmethod
    def set_up(cls, folder: Path, service: Service) -> Stage:
        """Make one in an empty folder."""
        stand = service.stand("imini", pace=_PACE)
        backend = BackendConfig(name="main", provider="imini", api_key=Secret(stand.key), base_url=stand.base_url)
        clock = FastClock(speed=_PACE)
        batch = Batch(backend=backend, provider=None, journal=folder / "here" / "jobs.db", markers=(), clock=clock)
        batch.journal.parent.mkdir(mode=0o755)
        return cls(folder=folder, stand=stand, batch=batch)

    def play(self, scene: Callable[[Batch, Heard], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Play a scene in a process of its own, and return what it says."""
        said, log = self.folder / "said.json", self.folder / "log.txt"
        pid = forked(lambda: said.write_text(json.dumps(_played(scene, self.batch))), log=log)
        if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise RuntimeError(f"the process ended with {code}: {log.read_text()[-3000:]}")
        outcome: dict[str, Any] = json.loads(said.read_text())
        return outcome

    def posts(self, marker: str) -> int:
        """Return how many paid POSTs the service has seen for a job."""
        return self.stand.report().posts[marker]


class Heard(logging.Handler):
    """Keeps what is logged, as a disk that is full takes no log file either."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def _played(scene: Callable[[Batch, Heard], Awaitable[dict[str, Any]]], batch: Batch) -> dict[str, Any]:
    heard = Heard()
    logging.getLogger("genbridge").addHandler(heard)
    logging.getLogger("genbridge").propagate = False

    async def whole() -> dict[str, Any]:
        return await scene(batch, heard)

    return {**asyncio.run(whole()), "log": heard.lines}


async def said(work: Awaitable[Any]) -> list[str] | None:
    """Return the kind and the words of the error that something ends with."""
    try:
        await work
    except GenbridgeError as error:
        return [type(error).__name__, str(error)]
    return None


async def begin(client: Client, marker: str) -> Handle:
    """Submit the job of a marker."""
    return await client.submit(ImageRequest(prompt_of(marker)), id=f"job-{marker}")


async def made(client: Client, marker: str) -> None:
    """Have the job of a marker made."""
    await (await begin(client, marker)).result()


async def on_record(client: Client, marker: str) -> Job:
    """Return a job from the journal."""
    return next(iter([job async for job in client.jobs() if marker_of(job) == marker]))


def unkind(error: list[str] | None, journal: Path) -> list[str]:
    """Return what is wrong with an error about the journal: it is one sentence or two that say what, where and what to do."""
    if error is None:
        return ["nothing was said"]
    kind, words = error
    wanted = {"JournalError": kind == "JournalError", "the path": str(journal) in words, "what to do": "name another" in words}
    missing = [name for name, there in wanted.items() if not there]
    return [f"{missing} missing in {kind}: {words!r}"] if missing or "\n" in words else []


def differs(**pairs: tuple[Any, Any]) -> list[str]:
    """Return where what was expected, the first of each pair, is not what came."""
    return [f"{name} is {came!r}, not {wanted!r}" for name, (wanted, came) in pairs.items() if wanted != came]


# A full disk.


class Room(Protocol):
    """Room on a disk, which can be taken away and given back."""

    def take(self) -> None:
        """Leave none."""

    def give(self) -> None:
        """Leave enough again."""


class Limited:
    """A process that may write no byte more to any file (`RLIMIT_FSIZE`), which SQLite takes as an error of the disk."""

    def take(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def give(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@attrs.define
class Small:
    """A small file system of its own, filled with ballast."""

    folder: Path

    def take(self) -> None:
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"x" * size) == size:
                        pass

    def give(self) -> None:
        (self.folder / "ballast").unlink()


@contextmanager
def _small(folder: Path) -> Iterator[Small]:
    """Mount one where that is allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise Skip("a file system can be mounted by root on Linux only") from None
    try:
        yield Small(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class After(Transport):
    """Does something as soon as a POST is answered, before anybody else hears of the answer."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    async def send(self, call: Call, origin: Origin) -> Reply:
        reply = await super().send(call, origin)
        if call.method == "POST":
            self._act()
        return reply


def full_before(stage: Stage, room: Room) -> list[str]:
    """Say that the disk is full before anything is sent, and go on when it is not any more."""

    async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
        async with batch.client() as client:
            await made(client, "first")
            room.take()
            error = await said(begin(client, "full"))
            room.give()
            await made(client, "after")
        return {"error": error}

    outcome = stage.play(scene)
    return [
        *unkind(outcome["error"], stage.batch.journal),
        *differs(posts=((1, 0, 1), tuple(map(stage.posts, ("first", "full", "after"))))),
    ]


def full_after(stage: Stage, room: Room) -> list[str]:
    """Go on with a job that is paid for, log the id that cannot be recorded, and record it when that can be done."""

    async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
        async with batch.client(After(room.take)) as client:
            handle = await begin(client, "paid")
            await handle.result()
            room.give()
            for _ in range(_LOOKS):
                job = await on_record(client, "paid")
                if job.status is JobStatus.SUCCEEDED:
                    break
                await batch.clock.sleep(1.0)
            return {"id": handle.job.provider_id, "recorded": job.provider_id, "status": job.status}

    outcome = stage.play(scene)
    ids = [each.id for each in stage.stand.report().accepted]
    return [
        *differs(
            ids=([outcome["id"]], ids), recorded=(outcome["id"], outcome["recorded"]), status=("succeeded", outcome["status"])
        ),
        *_unlogged(outcome),
    ]


def full_for_good(stage: Stage, room: Room) -> list[str]:
    """Leave the id in the log when the disk stays full until the program ends, and the job in doubt on record."""

    async def first(batch: Batch, heard: Heard) -> dict[str, Any]:
        async with batch.client(After(room.take)) as client:
            handle = await begin(client, "paid")
            await handle.result()
        room.give()
        return {"id": handle.job.provider_id}

    async def second(batch: Batch, heard: Heard) -> dict[str, Any]:
        async with batch.client() as client:
            await client.resume()
            found = await on_record(client, "paid")
            again = await said((await begin(client, "paid")).result())
            return {"status": found.status, "again": again and again[0]}

    outcome, later = stage.play(first), stage.play(second)
    return [
        *_unlogged(outcome),
        *differs(status=("unknown", later["status"]), again=("SubmitUnknownError", later["again"]), posts=(1, stage.posts("paid"))),
    ]


def _unlogged(outcome: dict[str, Any]) -> list[str]:
    named = [line for line in outcome["log"] if line.startswith("ERROR") and outcome["id"] in line]
    return [] if named else [f"the service's id {outcome['id']} is in no error of the log: {outcome['log']}"]


def limited(play: Callable[[Stage, Room], list[str]], stage: Stage) -> list[str]:
    """Play with a process that may write no more."""
    return play(stage, Limited())


def mounted(play: Callable[[Stage, Room], list[str]], stage: Stage) -> list[str]:
    """Play on a small file system."""
    with _small(stage.batch.journal.parent) as room:
        return play(stage, room)


# A place that may not be written.


def read_only(stage: Stage, *, folder: int, file: int | None) -> list[str]:
    """Say that a journal cannot be used, by its folder's and its file's mode, and send nothing."""
    if file is not None:
        stage.play(_prepare)
        stage.batch.journal.chmod(file)
    stage.folder.chmod(0o755)
    stage.batch.journal.parent.chmod(folder)

    async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
        async def whole() -> None:
            async with batch.client() as client:
                await made(client, "refused")

        return {"error": await said(whole())}

    try:
        outcome = _as_nobody(stage, scene)
    finally:
        stage.batch.journal.parent.chmod(0o755)
    return [*unkind(outcome["error"], stage.batch.journal), *differs(posts=(0, stage.posts("refused")))]


async def _prepare(batch: Batch, heard: Heard) -> dict[str, Any]:
    async with batch.client() as client:
        await made(client, "first")
    return {}


def _as_nobody(stage: Stage, scene: Callable[[Batch, Heard], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Play as a user who may not do everything."""
    if os.geteuid():
        return stage.play(scene)
    reading, writing = os.pipe()

    def work() -> None:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
        os.write(writing, json.dumps(_played(scene, stage.batch)).encode())

    log = stage.folder / "log.txt"
    pid = forked(work, log=log)
    os.close(writing)
    with os.fdopen(reading) as file:
        words = file.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError(f"the process ended with {code}: {log.read_text()[-3000:]}")
    outcome: dict[str, Any] = json.loads(words)
    return outcome


# A file that another process holds.


class Locker:
    """Another process, which takes the journal for itself and lets it go as it is told."""

    def __init__(self, journal: Path) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = forked(partial(_lock, journal, orders, answers), log=journal.parent / "locker.txt")
        os.close(orders)
        os.close(answers)

    def hold(self) -> None:
        """Return when the other process has it."""
        os.write(self._orders, b"h")
        os.read(self._answers, 1)

    def let_go(self) -> None:
        """Return when the other process does not have it any more."""
        os.write(self._orders, b"l")
        os.read(self._answers, 1)

    def end(self) -> None:
        """End the other process."""
        os.write(self._orders, b"e")
        os.waitpid(self.pid, 0)
        os.close(self._orders)
        os.close(self._answers)


def _lock(journal: Path, orders: int, answers: int) -> None:
    db: sqlite3.Connection | None = None
    while (order := os.read(orders, 1)) not in {b"e", b""}:
        if order == b"h":
            db = sqlite3.connect(journal, isolation_level=None, timeout=60.0)
            db.execute("begin immediate")
        elif db is not None:
            db.execute("rollback")
            db.close()
        os.write(answers, b".")


@contextmanager
def _locker(stage: Stage) -> Iterator[Locker]:
    stage.play(_prepare)
    locker = Locker(stage.batch.journal)
    try:
        yield locker
    finally:
        locker.end()


def _later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def locked_briefly(stage: Stage) -> list[str]:
    """Wait for another process that writes for a second, when opening and when submitting."""
    with _locker(stage) as locker:

        async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
            locker.hold()
            _later(1.0, locker.let_go)
            async with batch.client() as client:
                locker.hold()
                _later(1.0, locker.let_go)
                await made(client, "waited")
                return {"status": (await on_record(client, "waited")).status}

        outcome = stage.play(scene)
    return differs(status=("succeeded", outcome["status"]), posts=(1, stage.posts("waited")))


def locked_before(stage: Stage) -> list[str]:
    """Send nothing while another process holds the journal for too long, and say so."""
    with _locker(stage) as locker:

        async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
            async with batch.client() as client:
                locker.hold()
                error = await said(begin(client, "held"))
                locker.let_go()
                await made(client, "after")
            return {"error": error}

        outcome = stage.play(scene)
    return [*unkind(outcome["error"], stage.batch.journal), *differs(posts=((0, 1), (stage.posts("held"), stage.posts("after"))))]


def locked_after(stage: Stage) -> list[str]:
    """Record the id of a paid job though another process holds the journal for too long just then."""
    with _locker(stage) as locker:

        def hold() -> None:
            locker.hold()
            _later(BUSY + 2.0, locker.let_go)

        async def scene(batch: Batch, heard: Heard) -> dict[str, Any]:
            async with batch.client(After(hold)) as client:
                await made(client, "paid")
                job = await on_record(client, "paid")
                return {"id": job.provider_id, "status": job.status}

        outcome = stage.play(scene)
    ids = [each.id for each in stage.stand.report().accepted if each.job == "paid"]
    return [*differs(ids=([outcome["id"]], ids), status=("succeeded", outcome["status"])), *_unlogged(outcome)]


def integrity_of(stage: Stage) -> list[str]:
    """Return what SQLite finds wrong with the journal that a scene left."""
    if not stage.batch.journal.exists():
        return []
    with closing(sqlite3.connect(stage.batch.journal)) as db:
        return differs(integrity=("ok", db.execute("pragma integrity_check").fetchone()[0]))

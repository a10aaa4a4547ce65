"""The loopback service: a process that answers from bytes made beforehand, as cheaply as asyncio can.

    python origin.py

Prints its port, and ends with its standard input. `GET /meter` tells what it has counted and the CPU it has used; `POST /plan` sets
how many seconds jobs take, from a list that is gone through again and again, and how many bytes a file has, and clears the counts.
`GET /jobs` tells of each finished job how often it was asked for, how late that it was done was seen, and how long it took, and
`GET /arrivals` of each job when its submit arrived, by the machine's monotonic clock. A poll of any id is answered: a job that was
never submitted goes on for ever, or is done at once where jobs take none.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
from answers import FILE, ID, PROTOCOLS, Answers, whole

_PREFIX, _DIGITS = ID[:4].encode(), len(ID) - 4
_VIDEO = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"
_BLOCK = 1 << 20


@attrs.define
class Job:
    """How long a job takes, when it is done, how often it was asked for, and how long after its end that was seen; seconds."""

    seconds: float
    ready: float
    polls: int = 0
    late: float | None = None
    began: float = attrs.field(factory=time.monotonic)


@attrs.define
class Origin:
    """What was planned and counted."""

    answers: dict[bytes, Answers]
    folder: Path
    seconds: list[float] = attrs.field(factory=lambda: [math.inf])
    size: int = 1000
    jobs: list[Job] = attrs.field(factory=list)
    posts: int = 0
    polls: int = 0

    def plan(self, document: dict[str, Any]) -> bytes:
        """Begin anew, with jobs that take so long; `null` is for ever."""
        self.seconds = [math.inf if each is None else each for each in document["seconds"]]
        self.size = document["size"]
        self.jobs, self.posts, self.polls = [], 0, 0
        return whole({})

    def meter(self) -> bytes:
        """Tell the counts."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return whole({"posts": self.posts, "polls": self.polls, "cpu": used.ru_utime + used.ru_stime})

    def finished(self) -> bytes:
        """Tell of the jobs that were seen to be done."""
        return whole([[job.polls, job.late, job.seconds] for job in self.jobs if job.late is not None])

    def arrived(self) -> bytes:
        """Tell when the submits arrived."""
        return whole([job.began for job in self.jobs])

    def accept(self, protocol: bytes) -> bytes:
        """Make a job."""
        self.posts += 1
        seconds = self.seconds[len(self.jobs) % len(self.seconds)]
        self.jobs.append(Job(seconds, time.monotonic() + seconds))
        return self.answers[protocol].accepted.replace(ID.encode(), b"%b%0*d" % (_PREFIX, _DIGITS, len(self.jobs) - 1))

    def look(self, protocol: bytes, path: bytes) -> bytes:
        """Answer a poll."""
        self.polls += 1
        start = path.index(_PREFIX)
        name = path[start : start + len(ID)]
        answers = self.answers[protocol]
        return (answers.done if self._is_done(int(name[len(_PREFIX) :])) else answers.waiting).replace(ID.encode(), name)

    def _is_done(self, number: int) -> bool:
        if number >= len(self.jobs):
            return not self.seconds[0]
        job = self.jobs[number]
        job.polls += 1
        late = time.monotonic() - job.ready
        if late >= 0 and job.late is None:
            job.late = late
        return late >= 0

    def block(self) -> Path:
        """Return a file that begins as a video does, and is sent over and over: a whole one would have to be brought to memory."""
        path = self.folder / "block.mp4"
        if not path.exists():
            path.write_bytes(_VIDEO + bytes(_BLOCK - len(_VIDEO)))
        return path


class Connection(asyncio.Protocol):
    """One connection, on which one request follows another."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until there is one
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # it is one of TCP

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or len(data) < end + _length(data[:end]):
            self._rest = data
            return
        self._rest = b""
        method, path, _ = data.split(b" ", 2)
        if path.startswith(b"/file"):
            self._send_file()
        else:
            self._transport.write(self._answer(method, path, data[end:]))

    def _answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        protocol = path.split(b"/", 2)[1]
        match protocol:
            case b"meter":
                return self._origin.meter()
            case b"jobs":
                return self._origin.finished()
            case b"arrivals":
                return self._origin.arrived()
            case b"plan":
                return self._origin.plan(json.loads(body))
        return self._origin.accept(protocol) if method == b"POST" else self._origin.look(protocol, path)

    def _send_file(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: %d\r\n\r\n" % self._origin.size
        self._transport.write(head)
        self._sending = asyncio.ensure_future(self._send(self._origin.size))

    async def _send(self, left: int) -> None:
        loop = asyncio.get_running_loop()
        with self._origin.block().open("rb") as file:
            while left:
                left -= await loop.sendfile(self._transport, file, 0, min(left, _BLOCK))


def _length(head: bytes) -> int:
    """Return the length of a request's body."""
    if head.startswith(b"GET"):
        return 0
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r")[0]) if found else 0


def with_port(answers: Answers, port: int) -> Answers:
    """Return answers whose file is at this port."""
    return attrs.evolve(answers, done=answers.done.replace(FILE.encode(), FILE.replace("65535", f"{port:05}").encode()))


async def main() -> None:
    """Serve until nobody wants it any more."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        origin = Origin({}, Path(folder))
        server = await loop.create_server(lambda: Connection(origin), "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
        origin.answers = {name: with_port(answers, port) for name, answers in PROTOCOLS.items()}
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

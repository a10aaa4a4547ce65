"""The process behind `service.Service`: raw HTTP on loopback, misbehaving as its scripts say. Its lines come on stdin, as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import attrs
from peers.dialects import dialect
from script import Door, Fault, How, Step

from genbridge import Call, Emulator, GenbridgeError, ImageRequest, Media, Reply, UnknownProviderError, VideoRequest
from genbridge.plugins import Plugin, installed, plugin_of
from genbridge.testing.stage import backend_of, job_of

HERE = Path(__file__).parent
HOST = os.environ.get("GENBRIDGE_SERVICE_HOST", "127.0.0.1")
_MARKER = re.compile(rb"\[job ([^\]\"\\]+)\]")
_KEY = re.compile(rb'"idempotencyKey"\s*:\s*"([^"]+)"')
_RANGE = re.compile(r"bytes=(\d+)-")
_BY = re.compile(r"/by/([^/]+)(/.*)")
_DATE = re.compile(r"<date([+-]\d+)>")
_PEEKED = 65536
_PATIENCE = 5.0
_STEPS: tuple[tuple[Step, str, str], ...] = (
    (Step.UPLOAD, "POST", r"/api/upload/"),
    (Step.STORE, "PUT", r"/uploads/"),
    (Step.SUBMIT, "POST", ""),
    (Step.CANCEL, "DELETE", ""),
    (Step.PREPARE, "GET", r"/workspaces$"),
    (Step.LOOK_UP, "GET", r"/requests/[^/]+$"),
    (Step.FILE, "GET|HEAD", r"/(files|sheets)/"),
    (Step.POLL, "GET", r"/(status|tasks|drawings)/[^/]+$"),
)


def step_of(method: str, target: str) -> Step | None:
    """Return what a request is for, of whichever provider; every other POST is taken for a paid one."""
    path = urlsplit(target).path
    fits = (step for step, methods, pattern in _STEPS if re.fullmatch(methods, method) and re.search(pattern, path))
    return next(fits, None)


@attrs.define(eq=False)
class Stand:
    """One account: an emulator, a script, and what was seen."""

    number: int
    name: str
    emulator: Emulator
    id_of: Callable[[Reply], str | None]
    pace: float
    delays: Mapping[str, tuple[float, float]]
    canary: str
    door: Door
    script: list[Fault]
    begun: float = attrs.field(factory=time.time)
    port: int = 0
    made: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    arrivals: list[dict[str, Any]] = attrs.field(factory=list)
    files: dict[str, list[str]] = attrs.field(factory=dict)
    drawn: dict[str, Reply] = attrs.field(factory=dict)
    version: int = 0
    listener: socket.socket | None = None

    def next_fault(self, step: Step | None) -> Fault | None:
        """Take the fault that is next at a step off the script."""
        for index, fault in enumerate(self.script):
            if fault.step == step:
                self._use(index, fault)
                return fault
        return None

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times == 1:
            del self.script[index]
        elif fault.times is not None:
            self.script[index] = attrs.evolve(fault, times=fault.times - 1)

    def peek(self, step: Step | None) -> Fault | None:
        """Return the fault that is next at a step."""
        return next((fault for fault in self.script if fault.step == step), None)

    def note(self, step: Step | None, method: str, target: str, seen: bytes) -> dict[str, Any]:
        """Remember a request, and return what is remembered."""
        self.arrivals.append(_arrival(step, method, target, seen, self.emulator.key))
        return self.arrivals[-1]

    async def delay(self, step: Step | None) -> None:
        """Let as much time pass as an answer takes."""
        await asyncio.sleep(random.uniform(*self.delays.get(step or "", (0.0, 0.0))))

    def answer(self, call: Call, seen: bytes, step: Step | None) -> Reply:
        """Have the emulator answer; what it accepts is remembered."""
        if step is Step.FILE and call.path in self.drawn:
            return self.drawn[call.path]
        try:
            reply = self.emulator.answer(call, self.begun + (time.time() - self.begun) * self.pace)
        except Exception as error:  # noqa: BLE001 (whatever an emulator does, the others go on)
            print(f"the emulator of {self.name!r} failed: {error!r}", file=sys.stderr)  # noqa: T201
            return Reply.of({"error": "the emulator failed"}, status=500)
        if step is Step.FILE and reply.ok:
            # Drawing takes long enough to hold up the others.
            self.drawn[call.path] = reply
        if step is Step.SUBMIT:
            self._keep(reply, seen)
        return reply

    def _keep(self, reply: Reply, seen: bytes) -> None:
        name = self.id_of(reply)
        if name is not None:
            made = {"job": _found(_MARKER, seen) or "", "id": name, "key": _found(_KEY, seen), "at": time.time()}
            self.made.setdefault(name, made)


def _found(pattern: re.Pattern[bytes], seen: bytes) -> str | None:
    found = pattern.search(seen)
    return found[1].decode("utf-8", "replace") if found else None


def _arrival(step: Step | None, method: str, target: str, seen: bytes, key: str) -> dict[str, Any]:
    by, path = _sent_by(target)
    return {
        "step": step or "",
        "method": method,
        "path": path,
        "by": by,
        "job": _found(_MARKER, seen) or "",
        "at": time.time(),
        "keyed": key.encode() in seen,
    }


class Server:
    """All stands, and the canary."""

    def __init__(self) -> None:
        self.stands: dict[int, Stand] = {}
        self.seen_by_canary: list[dict[str, Any]] = []
        self.canary = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the canary's port."""
        listener = _listener(0)
        self.canary = f"http://{HOST}:{listener.getsockname()[1]}"
        self.spawn(self._take(listener, self._canary))

    def spawn(self, work: Any) -> None:
        """Run something beside the others."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the parent asks for.

    async def obey(self, order: dict[str, Any]) -> Any:
        """Do what a line says, and return what is said to that."""
        match order:
            case {"do": "stand"}:
                return await self._open(order)
            case {"do": "play", "number": number}:
                self.stands[number].script = [Fault.of(fault) for fault in order["script"]]
                return None
            case {"do": "report", "number": number}:
                stand = self.stands[number]
                return {"accepted": list(stand.made.values()), "arrivals": stand.arrivals, "files": stand.files}
            case {"do": "tally", "number": number}:
                return Counter(arrival["step"] for arrival in self.stands[number].arrivals)
            case {"do": "canary"}:
                return self.seen_by_canary
        raise ValueError(f"there is no such order: {order['do']}")

    async def _open(self, order: Mapping[str, Any]) -> dict[str, Any]:
        emulator, path, id_of = find_service(order["provider"])
        for name, value in order["settings"].items():
            setattr(emulator, name, value)
        stand = Stand(
            number=len(self.stands) + 1,
            name=order["provider"],
            emulator=emulator,
            id_of=id_of,
            pace=order["pace"],
            delays={step: tuple(bounds) for step, bounds in order["delays"].items()},
            canary=self.canary,
            door=Door(order["door"]),
            script=[Fault.of(fault) for fault in order["script"]],
        )
        self.stands[stand.number] = stand
        self._listen(stand)
        scheme = "https" if stand.door in {Door.TLS_CUT, Door.TLS_WRONG, Door.TLS_PLAIN} else "http"
        return {"number": stand.number, "key": emulator.key, "base_url": f"{scheme}://{HOST}:{stand.port}{path}"}

    def _listen(self, stand: Stand) -> None:
        if stand.door is Door.CLOSED:
            stand.listener = _bound(0)
        elif stand.door is Door.MUTE:
            stand.listener = _full()
        else:
            stand.listener = _listener(stand.port)
        stand.port = stand.listener.getsockname()[1]
        if stand.door not in {Door.CLOSED, Door.MUTE}:
            self.spawn(self._take(stand.listener, lambda sock: self._serve(stand, sock)))

    async def _take(self, listener: socket.socket, serve: Callable[[socket.socket], Any]) -> None:
        loop = asyncio.get_running_loop()
        while listener.fileno() >= 0:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:
                return
            sock.settimeout(0)
            self.spawn(_quietly(serve(sock)))

    # One connection, which has one request.

    async def _serve(self, stand: Stand, sock: socket.socket) -> None:
        if stand.door is Door.TLS_CUT:
            await _readable(sock)
            _reset(sock)
            return
        if stand.door in {Door.TLS_WRONG, Door.TLS_PLAIN}:
            async with await _Connection.of(sock, tls=_wrong_tls() if stand.door is Door.TLS_WRONG else None) as connection:
                await connection.gone(_PATIENCE)
            return
        seen = await _peeked(sock)
        method, target = _line(seen)
        step = step_of(method, target)
        if (fault := stand.peek(step)) is not None and fault.how in {How.DROP_UNREAD, How.DROP_MID_READ}:
            stand.next_fault(step)
            stand.note(step, method, target, await _marked(sock, seen))
            if fault.how is How.DROP_MID_READ:
                sock.recv(max(1, len(seen) // 2))
            _reset(sock)
            return
        async with await _Connection.of(sock) as connection:
            await self._converse(stand, step, connection)

    async def _converse(self, stand: Stand, step: Step | None, connection: _Connection) -> None:
        head, body = await connection.request()
        seen = head + body
        method, target = _line(head)
        arrival = stand.note(step, method, target, seen)
        fault = stand.next_fault(step)
        call = _call(method, _sent_by(target)[1], head, body)
        reply = stand.answer(call, seen, step) if fault is None or fault.proper else None
        await stand.delay(step)
        if step is Step.FILE and reply is not None and reply.ok:
            reply = _file(stand, call, reply, fault)
        if fault is None and reply is not None:
            arrival["answered"] = time.time()
            await connection.send(_bytes(reply))
            self._shut_for_a_while(stand, step)
            return
        if fault is not None:
            await self._misbehave(stand, fault, reply, connection, target)

    def _shut_for_a_while(self, stand: Stand, step: Step | None) -> None:
        """Refuse connections from now on, when the step after this one is scripted to be refused."""
        fault = stand.peek(Step.POLL)
        if step is not Step.SUBMIT or fault is None or fault.how is not How.REFUSE or stand.listener is None:
            return
        stand.next_fault(Step.POLL)
        asyncio.get_running_loop().remove_reader(stand.listener)
        stand.listener.close()
        self.spawn(self._reopen(stand, fault.seconds))

    async def _reopen(self, stand: Stand, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._listen(stand)

    async def _misbehave(self, stand: Stand, fault: Fault, reply: Reply | None, connection: _Connection, target: str) -> None:
        match fault.how:
            case How.DROP:
                return
            case How.STALL:
                await connection.gone(fault.seconds)
                return
            case How.GARBAGE:
                await connection.send(b"\x00\xff SSH-2.0-OpenSSH_9.6\r\n\r\n" + bytes(range(256)))
                return
            case How.ANSWER:
                await connection.send(_bytes(_scripted(fault)))
                return
            case How.REDIRECT:
                headers = {"location": f"{stand.canary}/{stand.number}{target}"}
                await connection.send(_bytes(Reply(status=fault.status, headers=headers)))
                return
        if reply is not None:
            await _distort(fault, reply, connection)

    async def _canary(self, sock: socket.socket) -> None:
        """Answer as the stand would, that is named in the path, so that whoever follows a redirect notices nothing."""
        async with await _Connection.of(sock) as connection:
            head, body = await connection.request()
            await connection.send(_bytes(self._mimic(head, body)))

    def _mimic(self, head: bytes, body: bytes) -> Reply:
        method, target = _line(head)
        _, number, rest = target.split("/", 2)
        stand = self.stands[int(number)]
        step = step_of(method, f"/{rest}")
        self.seen_by_canary.append(_arrival(step, method, target, head + body, stand.emulator.key))
        call = _call(method, f"/{rest}", head, body)
        reply = stand.answer(call, head + body, step)
        return _file(stand, call, reply, None) if step is Step.FILE and reply.ok else reply


@attrs.define(eq=False)
class _Connection:
    """A connection that has been taken; one request and one answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(cls, sock: socket.socket, *, tls: ssl.SSLContext | None = None) -> _Connection:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 26)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()

    async def request(self) -> tuple[bytes, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return head, b"".join([chunk async for chunk in self._chunks()])
        return head, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def _chunks(self) -> Any:
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            yield await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self, seconds: float) -> None:
        """Wait until the other side goes away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.reader.read()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def _distort(fault: Fault, reply: Reply, connection: _Connection) -> None:
    """Send the proper answer in the wrong way."""
    cut = max(1, int(len(reply.body) * fault.share))
    match fault.how:
        case How.CUT:
            await connection.send(_bytes(reply)[: cut - len(reply.body)])
            # What was sent should be read before the reset overtakes it.
            await asyncio.sleep(0.05)
            connection.reset()
        case How.SHORT:
            await connection.send(_bytes(reply)[: cut - len(reply.body)])
        case How.TRUNCATE:
            await connection.send(_bytes(attrs.evolve(reply, body=reply.body[:cut])))
        case How.UNMEASURED:
            await connection.send(_bytes(attrs.evolve(reply, body=reply.body[:cut]), measured=False))
        case How.LONG:
            await connection.send(_bytes(reply) + b"and more" * 100)
        case How.DRIP:
            await _drip(_bytes(reply), fault.seconds, connection)
        case How.HANG:
            await connection.send(_bytes(reply)[: cut - len(reply.body)])
            await connection.gone(fault.seconds)
        case How.EDIT:
            await connection.send(_bytes(_relabelled(_edited(reply, fault.changes), fault)))
        case How.RELABEL:
            await connection.send(_bytes(_relabelled(reply, fault)))
        case _:
            await connection.send(_bytes(reply))


async def _drip(data: bytes, seconds: float, connection: _Connection) -> None:
    size = max(1, len(data) // 40)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    for piece in pieces:
        await connection.send(piece)
        await asyncio.sleep(seconds / len(pieces))


def _edited(reply: Reply, changes: Mapping[str, Any]) -> Reply:
    document = json.loads(reply.body)
    for path, value in changes.items():
        *way, last = path.split(".")
        place = document
        for name in way:
            place = place[name]
        place[last] = value
    return attrs.evolve(reply, body=json.dumps(document).encode())


def _relabelled(reply: Reply, fault: Fault) -> Reply:
    return attrs.evolve(reply, headers={**reply.headers, **fault.headers})


def _scripted(fault: Fault) -> Reply:
    headers = {name: _DATE.sub(lambda found: _date(int(found[1])), value) for name, value in fault.headers.items()}
    return Reply(status=fault.status, headers={"content-type": "application/json"} | headers, body=fault.body.encode())


def _date(seconds: int) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


# Files.


def _file(stand: Stand, call: Call, reply: Reply, fault: Fault | None) -> Reply:
    """Return a file's version of now, or the range of it that was asked for."""
    if fault is not None and fault.how is How.CHANGED:
        stand.version += 1
    body = _version(reply.body, stand.version)
    digest = sha256(body).hexdigest()
    versions = stand.files.setdefault(call.path, [])
    if digest not in versions:
        versions.append(digest)
    headers = {**reply.headers, "etag": f'"{digest[:16]}"', "accept-ranges": "bytes"}
    start = _start(call, headers["etag"], fault)
    if start is None or start >= len(body):
        return Reply(status=200, headers=headers, body=body)
    headers["content-range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Reply(status=206, headers=headers, body=body[start:])


def _version(body: bytes, number: int) -> bytes:
    """Return another file of the same length: near its beginning and near its end, in a PNG's colours and in its last pixels."""
    for part in (slice(44, 60), slice(-32, -17)):
        changed = bytes((byte + number) % 256 for byte in body[part])
        body = body[: part.start] + changed + body[part.stop :]
    return body


def _start(call: Call, tag: str, fault: Fault | None) -> int | None:
    asked = _RANGE.match(call.headers.get("range", ""))
    if asked is None or (fault is not None and fault.how is How.WHOLE):
        return None
    lies = fault is not None and fault.how is How.CHANGED and fault.status == 206
    return int(asked[1]) if lies or call.headers.get("if-range", tag) == tag else None


# HTTP.


def _line(seen: bytes) -> tuple[str, str]:
    parts = seen.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (parts[0], parts[1]) if len(parts) == 3 else ("", "")


def _sent_by(target: str) -> tuple[str, str]:
    """Return who sent a request, where its base URL says so, and its path without that."""
    found = _BY.fullmatch(target)
    return (found[1], found[2]) if found else ("", target)


def _headers(head: bytes) -> dict[str, str]:
    return dict(_pairs(head))


def _pairs(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            yield name.lower(), value.strip()


def _call(method: str, target: str, head: bytes, body: bytes) -> Call:
    headers = _headers(head)
    document = None
    if method != "PUT":
        with suppress(ValueError):
            document = json.loads(body)
    raw = body if document is None and body else None
    url = f"http://{headers.get('host', HOST)}{target}"
    return Call(method="GET" if method == "HEAD" else method, url=url, headers=headers, json=document, body=raw)


def _bytes(reply: Reply, *, measured: bool = True) -> bytes:
    headers = {"date": formatdate(usegmt=True), "connection": "close", **reply.headers}
    if measured:
        headers["content-length"] = str(len(reply.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} So\r\n{lines}\r\n".encode() + reply.body


# Sockets.


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(0)
    sock.bind((HOST, port))
    return sock


def _listener(port: int) -> socket.socket:
    sock = _bound(port)
    sock.listen(1024)
    return sock


_CROWD: list[socket.socket] = []


def _full() -> socket.socket:
    """Return a listening socket whose queue is full, so that nobody is taken any more."""
    sock = _bound(0)
    sock.listen(0)
    for _ in range(4):
        one = socket.socket()
        one.settimeout(0)
        with suppress(BlockingIOError):
            one.connect(sock.getsockname())
        _CROWD.append(one)
    return sock


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(sock)


async def _peeked(sock: socket.socket) -> bytes:
    """Return what has come, without reading it, once it has the request's first line."""
    while True:
        await _readable(sock)
        seen = sock.recv(_PEEKED, socket.MSG_PEEK)
        if not seen or b"\r\n" in seen:
            return seen
        await asyncio.sleep(0.01)


async def _marked(sock: socket.socket, seen: bytes) -> bytes:
    """Return what has come, without reading it, once it names the logical job, or for a moment."""
    for _ in range(20):
        if not seen or _MARKER.search(seen) or not seen.startswith(b"POST"):
            break
        await asyncio.sleep(0.02)
        seen = sock.recv(_PEEKED, socket.MSG_PEEK)
    return seen


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def _quietly(work: Any) -> None:
    """Serve a connection, whatever its other side does."""
    with suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        await work


def _wrong_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "somebody-else.pem")
    return context


# Who is spoken for, and the parent.


def find_service(name: str) -> tuple[Emulator, str, Callable[[Reply], str | None]]:
    """Return an emulator, the path of its base URL, and what reads the id of an accepted job from an answer."""
    with suppress(KeyError):
        spoken = dialect(name)
        return spoken, spoken.path, lambda reply: reply.headers.get("x-request-id")
    plugin = find_plugin(name)
    return plugin.call("emulate"), urlsplit(plugin.provider.base_url).path.rstrip("/"), partial(_id_by, plugin)


def find_plugin(name: str) -> Plugin:
    """Return an installed provider's plugin, or that of the tests' third-party one."""
    try:
        return installed.load(name)
    except UnknownProviderError:
        sys.path.append(str(HERE.parent / "thirdparty" / f"genbridge-{name}" / "src"))
        return plugin_of(None, __import__(f"genbridge_{name}"))


def _id_by(plugin: Plugin, reply: Reply) -> str | None:
    """Return the id in an answer as the plugin reads it; a refusal has none."""
    provider = plugin.provider
    model = provider.models[0]
    request = VideoRequest("a") if model.media is Media.VIDEO else ImageRequest("a")
    try:
        snapshot = plugin.call("normalize", backend=backend_of(provider), job=job_of(provider, model, request), reply=reply)
    except GenbridgeError:
        return None
    name: str | None = snapshot.provider_id
    return name


async def _watch(parent: int) -> None:
    """End when the parent has died, even where somebody else holds our stdin open."""
    while os.getppid() == parent:  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(1.0)
    os._exit(0)


async def main(parent: int) -> None:
    """Obey until stdin ends."""
    server = Server()
    await server.start()
    server.spawn(_watch(parent))
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        try:
            answer = {"said": await server.obey(json.loads(line))}
        except Exception as error:  # noqa: BLE001 (the parent is told)
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

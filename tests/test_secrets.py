"""The key is nowhere but in the header of a call to its own backend: a hunt through all that genbridge leaves behind.

Real clients talk to real servers on loopback, which repeat the key in every way they can think of. What that leaves is collected,
and searched once: logs of everybody at DEBUG, errors with all they hang on, files, pages, output, and what each object shows.

What is promised of variables in tracebacks, which some tools show: none in a frame of genbridge's, aiohttp's or asyncio's has the
key when an error comes out of a client's method. It is not promised of a `ConfigError`: the file that was being read, and the
environment, are in variables there.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import logging
import os
import pickle
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hunt import Trail, forms, hunt
from postgres import Server
from studio import KEY as STUDIO_KEY
from studio import InlineJournal, Studio

from genbridge import (
    Backend,
    Call,
    Client,
    Emulator,
    Exchange,
    File,
    GenbridgeError,
    ImageRequest,
    Job,
    JobStatus,
    JournalError,
    Model,
    Reference,
    Reply,
    Request,
    Snapshot,
    VideoRequest,
    draw_png,
    hookimpl,
)
from genbridge.backends import Account
from genbridge.config import BackendConfig, Config, JournalConfig, PollConfig, Secret, load, load_journal, missing_keys
from genbridge.databases import DatabaseUrl
from genbridge.journal import Heard, Paused, open_journal
from genbridge.ledger import Ledger
from genbridge.places import place_in
from genbridge.plugins import installed, plugin_of
from genbridge.sandbox import Sandbox
from genbridge.sandbox import server as sandbox_server
from genbridge.sandbox.server import serve
from genbridge.timing import SystemClock
from genbridge.transport import Transport

KEY = "sk-Hunt/0123+456=7_89"
PROVIDERS = ("meigen", "imini", "sseedance", "acme")
UNICODE = "".join(f"\\u{ord(character):04x}" for character in KEY)
ACME = Path(__file__).parent / "thirdparty" / "genbridge-acme" / "src"
PROMPT = "a fox in the snow"


class Fast(SystemClock):
    """A clock on which a second takes a hundredth of one."""

    def __init__(self) -> None:
        self._began = time.monotonic(), datetime.now(UTC)

    def monotonic(self) -> float:
        return (time.monotonic() - self._began[0]) * 100

    def now(self) -> datetime:
        return self._began[1] + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 100)


# Services that repeat the key.


Twist = Callable[[Call, Reply, str], Reply]
"""What a service makes of a proper answer to a call; the last is another origin."""


@attrs.define(eq=False)
class Double:
    """A provider's emulator on loopback. What it is sent with the key, it answers with a twist."""

    emulator: Emulator
    twist: Twist
    elsewhere: str
    began: float = attrs.field(factory=time.monotonic)
    keyed: int = 0

    async def answer(self, call: Call) -> Reply:
        """Answer a call."""
        keyed = any(KEY in value for value in call.headers.values())
        headers = {name: value.replace(KEY, self.emulator.key) for name, value in call.headers.items()}
        proper = self.emulator.answer(attrs.evolve(call, headers=headers), (time.monotonic() - self.began) * 1000)
        self.keyed += keyed
        return self.twist(call, proper, self.elsewhere) if keyed else proper


@attrs.define(eq=False)
class Elsewhere:
    """Another origin, which takes whatever comes and tells the trail of it."""

    trail: Trail
    asked: list[str] = attrs.field(factory=list)

    async def answer(self, call: Call) -> Reply:
        """Answer a call."""
        self.asked.append(call.method)
        self.trail.note("a request to another origin", f"{call.url} {dict(call.headers)} {call.json!r} {call.body!r}")
        picture = draw_png("a fox", 64, 64)
        return Reply(status=200, headers={"content-type": "image/png"}, body=picture)


@asynccontextmanager
async def served(answer: Any) -> AsyncIterator[str]:
    """Serve answers to calls, and give the origin."""
    runner = await serve("double", answer, port=0, speed=1.0)
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _everywhere(document: Any, change: Callable[[str], str]) -> Any:
    match document:
        case dict():
            return {name: _everywhere(value, change) for name, value in document.items()}
        case list():
            return [_everywhere(value, change) for value in document]
        case str():
            return change(document)
    return document


def _edited(reply: Reply, change: Callable[[str], str]) -> Reply:
    """Return a JSON answer with every text in it changed."""
    if "json" not in reply.headers.get("content-type", ""):
        return reply
    return attrs.evolve(reply, body=json.dumps(_everywhere(json.loads(reply.body), change)).encode())


_SAYS = {"message": f"the key {KEY} is odd", "code": KEY, "request_id": KEY, "status": 401}
_REFUSAL = {**_SAYS, "success": False, "error": _SAYS, "why": f"{KEY}!", "failureCode": KEY, "data": _SAYS}
_LOUD = {"x-request-id": KEY, "www-authenticate": f"Bearer {KEY}", "set-cookie": f"key={KEY}", "retry-after": "7"}


def _refusal(status: int, text: str = KEY) -> Reply:
    body = json.dumps(_REFUSAL).replace(json.dumps(KEY)[1:-1], text)
    return Reply(status=status, headers={**_LOUD, "content-type": "application/json"}, body=body.encode())


def _page(status: int) -> Reply:
    body = f"<html><body>Authorization: Bearer {KEY}</body></html>".encode()
    return Reply(status=status, headers={**_LOUD, "content-type": f"text/html; key={KEY}"}, body=body)


def _redirect(elsewhere: str) -> Reply:
    return Reply(status=307, headers={**_LOUD, "location": f"{elsewhere}/{KEY}/x?key={KEY}#{KEY}"})


def _paid(call: Call) -> bool:
    return call.method == "POST" and not call.path.rpartition("/")[2].startswith(("presign", "reference"))


def _file_link(text: str) -> str:
    return f"{text}?token={KEY}" if text.startswith("http") else text


TWISTS: dict[str, Twist] = {
    "nothing": lambda call, proper, _: proper,
    "loud headers": lambda call, proper, _: attrs.evolve(proper, headers={**proper.headers, **_LOUD}),
    "a refusal": lambda call, proper, _: _refusal(401) if _paid(call) else proper,
    "a refusal in JSON's escapes": lambda call, proper, _: _refusal(402, UNICODE) if _paid(call) else proper,
    "a refusal in a URL's escapes": lambda call, proper, _: _refusal(400, "sk-Hunt%2F0123%2b456%3D7_89") if _paid(call) else proper,
    "a refusal with success": lambda call, proper, _: _refusal(200) if _paid(call) else proper,
    "too many": lambda call, proper, _: _refusal(429) if _paid(call) else proper,
    "a crash": lambda call, proper, _: _refusal(500) if _paid(call) else proper,
    "a page": lambda call, proper, _: _page(200) if _paid(call) else proper,
    "a redirect": lambda call, proper, elsewhere: _redirect(elsewhere) if _paid(call) else proper,
    "polls refused": lambda call, proper, _: proper if _paid(call) else _refusal(401),
    "polls that find nothing": lambda call, proper, _: proper if _paid(call) else _refusal(404),
    "polls with a page": lambda call, proper, _: proper if _paid(call) else _page(503),
    "polls redirected": lambda call, proper, elsewhere: proper if _paid(call) else _redirect(elsewhere),
    "every text": lambda call, proper, _: _edited(proper, lambda text: f"{text} {KEY}"),
    "every text of a poll": lambda call, proper, _: proper if _paid(call) else _edited(proper, lambda text: text + KEY),
    "every link": lambda call, proper, _: _edited(proper, _file_link),
    "files and uploads elsewhere": lambda call, proper, elsewhere: _edited(
        proper, lambda text: f"{elsewhere}/{KEY}/x.png" if text.startswith("http") else text
    ),
}


# The client that talks to them.


def plugin_of_tests(name: str) -> dict[str, ModuleType]:
    """Return the tests' own third-party provider by name, where that one is meant."""
    if name != "acme":
        return {}
    sys.path.append(str(ACME))
    try:
        return {"acme": importlib.import_module("genbridge_acme")}
    finally:
        sys.path.remove(str(ACME))


def emulator_of(name: str) -> Emulator:
    """Return a provider's emulator."""
    modules = plugin_of_tests(name)
    plugin = plugin_of(name, modules[name]) if modules else installed.load(name)
    emulator: Emulator = plugin.call("emulate")
    return emulator


@attrs.define(eq=False)
class Hunter:
    """A client with the key, in a folder of its own, that does all that clients do and notes what it sees."""

    trail: Trail
    name: str
    base_url: str
    folder: Path
    seen: list[str] = attrs.field(factory=list)

    def client(self) -> Client:
        """Return a client."""
        backend = BackendConfig(
            name="main",
            provider=self.name,
            api_key=Secret(KEY),
            base_url=self.base_url,
            patience=0.0,
            poll=PollConfig(interval=1.0, timeout=60.0),
        )
        config = Config(backends={"main": backend}, journal=JournalConfig(path=self.folder / "jobs.db"))
        transport = Transport(submit_timeout=5.0, timeout=5.0)
        return Client(config, providers=plugin_of_tests(self.name), clock=Fast(), transport=transport)

    async def attempt(self, label: str, work: Any) -> Any:
        """Do something, and note what comes of it."""
        try:
            value = await work
        except GenbridgeError as error:
            self.seen.append(type(error).__name__)
            self.trail.error(label, error)
            return None
        self.trail.note(label, value)
        return value

    async def run(self, request: Request) -> None:
        """Take a request through everything."""
        async with self.client() as client:
            await self.attempt("the models", client.models())
            await self.attempt("the quote", client.quote(request))
            handle = await self.attempt("the submit", client.submit(request, save_to=self.folder / "out"))
            if handle is not None:
                self.trail.note("the first event", await anext(handle.events()))
                result = await self.attempt("the result", handle.result(timeout=30))
                await self.attempt("the cancelling", handle.cancel())
                if result is not None:
                    self.seen.append("result")
                    self.trail.note("the result in a notebook", result._repr_html_())
                    await self.attempt("the download", client.download(result, self.folder / "out"))
            for job in [job async for job in client.jobs()]:
                self.trail.note("a job on record", job)
                await self.attempt("a doubt that is settled", client.handle(job.id).not_sent())
            self.trail.objects()
            self.trail.files("the folder, in use", self.folder)
        await self.again()
        self.trail.objects()
        self.trail.files("the folder", self.folder)

    async def again(self) -> None:
        """Do what a later process does."""
        async with self.client() as client:
            await self.attempt("the resuming", asyncio.wait_for(client.resume(), 20))


@pytest.fixture
def trail() -> Iterator[Trail]:
    """Give a trail that follows everything that happens in the test."""
    trail = Trail(KEY)
    with trail.following():
        yield trail


def a_picture(folder: Path) -> Path:
    """Draw a reference."""
    path = folder / "reference.png"
    path.write_bytes(draw_png("a reference", 512, 512))
    return path


@pytest.mark.parametrize("twist", TWISTS)
@pytest.mark.parametrize("name", PROVIDERS)
async def test_whatever_a_service_says_the_key_is_nowhere(tmp_path: Path, trail: Trail, name: str, twist: str) -> None:
    """Not in a log, an error, a traceback, a file, an object, or at another origin."""
    asyncio.get_running_loop().set_debug(True)
    elsewhere = Elsewhere(trail)
    async with served(elsewhere.answer) as other:
        double = Double(emulator_of(name), TWISTS[twist], other)
        async with served(double.answer) as base_url:
            hunter = Hunter(trail, name, base_url + ("/v2" if name == "acme" else ""), tmp_path)
            references = (Reference(a_picture(tmp_path)),) if name in {"meigen", "imini"} else ()
            await hunter.run(ImageRequest(PROMPT, references=references))
    assert [] == trail.leaks()
    assert double.keyed > 0
    assert hunter.seen


async def test_what_goes_well_goes_well(tmp_path: Path, trail: Trail) -> None:
    """The hunt is through real jobs, with their files and sidecars."""
    for name in PROVIDERS:
        double = Double(emulator_of(name), TWISTS["nothing"], "")
        folder = tmp_path / name
        folder.mkdir()
        async with served(double.answer) as base_url:
            hunter = Hunter(trail, name, base_url + ("/v2" if name == "acme" else ""), folder)
            await hunter.run(ImageRequest(PROMPT))
        assert "result" in hunter.seen
        assert 2 == len(list((folder / "out").iterdir()))
        assert {"genbridge.transport"} <= {label.partition("'")[2].partition("'")[0] for label, _ in trail.notes}
    assert [] == trail.leaks()


# Servers that are broken.


RAW: dict[str, bytes] = {
    "a status text": f"HTTP/1.1 401 no {KEY}\r\ncontent-length: 0\r\n\r\n".encode(),
    "a status text of success": f"HTTP/1.1 200 {KEY}\r\ncontent-length: 2\r\n\r\n{{}}".encode(),
    "no HTTP": f"{KEY} is odd\r\n\r\n".encode(),
    "a header that is none": f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode(),
    "a header without end": b"HTTP/1.1 200 OK\r\nx-odd: " + KEY.encode() * 1000 + b"\r\n\r\n",
    "an answer that is cut": f"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{KEY}".encode(),
    "a wrong length": f"HTTP/1.1 200 OK\r\ncontent-length: {KEY}\r\n\r\n".encode(),
    "a wrong chunk": f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{KEY}\r\n".encode(),
    "a wrong encoding": f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(KEY)}\r\n\r\n{KEY}".encode(),
    "a redirect to nonsense": f"HTTP/1.1 302 {KEY}\r\nlocation: https://{KEY}@[::1]@\r\ncontent-length: 0\r\n\r\n".encode(),
    "a redirect to a host": f"HTTP/1.1 302 {KEY}\r\nlocation: https://{KEY}.example/\r\ncontent-length: 0\r\n\r\n".encode(),
    "nothing": b"",
}


@asynccontextmanager
async def raw(answer: bytes) -> AsyncIterator[int]:
    """Answer every request with some bytes, and hang up; give the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("answer", RAW)
async def test_whatever_breaks_the_key_is_nowhere(tmp_path: Path, trail: Trail, answer: str) -> None:
    """No connection, no TLS, no HTTP: what aiohttp says of it is not handed on."""
    asyncio.get_running_loop().set_debug(True)
    async with raw(RAW[answer]) as port:
        for number, scheme in enumerate(("http", "https")):
            folder = tmp_path / str(number)
            folder.mkdir()
            hunter = Hunter(trail, "meigen", f"{scheme}://127.0.0.1:{port}", folder)
            await hunter.run(ImageRequest(PROMPT))
            assert hunter.seen
    assert [] == trail.leaks()


async def test_where_nobody_listens_the_key_is_nowhere(tmp_path: Path, trail: Trail) -> None:
    """Nor in the error of a name that is not found."""
    for number, base_url in enumerate(("http://127.0.0.1:1", "https://nowhere.invalid")):
        folder = tmp_path / str(number)
        folder.mkdir()
        hunter = Hunter(trail, "imini", base_url, folder)
        await hunter.run(ImageRequest(PROMPT))
        assert "TransportError" in hunter.seen
    assert [] == trail.leaks()


# Plugins and journals that are broken.


class Clumsy(Studio):
    """A plugin whose bugs tell all that it was given."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def _stumble(self, where: str, *given: Any) -> None:
        if where == self._where:
            told = [f"{each!r} {getattr(each, 'headers', '')} {getattr(each, 'body', '')!r}" for each in given]
            raise ValueError(*told, *given)

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str) -> Call:
        self._stumble("submit", backend, request, key)
        return super().submit(backend, request, key)

    @hookimpl
    def poll(self, backend: Backend, job: Job) -> Exchange[Reply]:
        self._stumble("poll", backend, job)
        reply = yield Call.get(f"/jobs/{job.provider_id}", headers={"x-own": "1"})
        self._stumble("exchange", backend, job, reply)
        return reply

    @hookimpl
    def normalize(self, backend: Backend, job: Job, reply: Reply) -> Snapshot:
        self._stumble("normalize", backend, job, reply)
        return super().normalize(backend, job, reply)


async def _odd(call: Call) -> Reply:
    """Accept, and repeat what came."""
    told = {name: value for name, value in call.headers.items() if name in {"authorization", "x-own"}}
    return Reply.of({"id": "p1", "status": "running", "told": told, "note": str(told)}, headers={"x-told": str(told)})


@pytest.mark.parametrize("where", ["submit", "normalize", "poll", "exchange"])
async def test_a_plugin_with_a_bug_has_no_key_to_tell(tmp_path: Path, trail: Trail, where: str) -> None:
    """It is given neither the key nor an answer that repeats it, so nothing it raises can have it."""
    studio = Clumsy(where)
    async with served(_odd) as base_url:
        backend = BackendConfig(
            name="main", provider="studio", api_key=Secret(KEY), base_url=base_url, poll=PollConfig(timeout=5.0)
        )
        config = Config(backends={"main": backend}, journal=JournalConfig(path=tmp_path / "jobs.db"))
        hunter = Hunter(trail, "studio", base_url, tmp_path)
        async with Client(config, providers={"studio": studio}, clock=Fast()) as client:
            handle = await hunter.attempt("the submit", client.submit(VideoRequest(PROMPT)))
            if handle is not None:
                await hunter.attempt("the result", handle.result(timeout=5))
            trail.objects()
    trail.files("the folder", tmp_path)
    assert [] == trail.leaks()
    assert hunter.seen


class Broken(InlineJournal):
    """A journal that cannot be written any more once a job was accepted."""

    async def submitted(self, attempt: Any, job: Job) -> bool:
        raise JournalError(f"the journal cannot be written: {attempt!r} {job!r}")

    async def update(self, lease: Any, job: Job, lessons: Any = ()) -> bool:
        raise JournalError(f"the journal cannot be written: {lease!r} {job!r}")


async def test_a_journal_that_fails_tells_no_key(tmp_path: Path, trail: Trail) -> None:
    """What would have been written is logged instead."""
    double = Double(emulator_of("imini"), TWISTS["every link"], "")
    async with served(double.answer) as base_url:
        hunter = Hunter(trail, "imini", base_url, tmp_path)
        client = hunter.client()
        client._given_journal = Broken(tmp_path / "jobs.db")
        async with client:
            handle = await hunter.attempt("the submit", client.submit(ImageRequest(PROMPT)))
            await hunter.attempt("the result", handle.result(timeout=30))
    trail.files("the folder", tmp_path)
    assert [] == trail.leaks()
    assert any(b"cannot be written" in data for label, data in trail.notes if label.startswith("a record of the logger 'genbridge"))


# Downloads.


PICTURE = draw_png("a fox", 512, 512)


async def _half(request: web.Request) -> web.StreamResponse:
    """Send half of a picture, and hang up."""
    response = web.StreamResponse(headers={"content-type": "image/png", "etag": '"v1"', "content-length": str(len(PICTURE))})
    await response.prepare(request)
    await response.write(PICTURE[: len(PICTURE) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def _rest(request: web.Request) -> web.StreamResponse:
    """Send the other half."""
    start = request.http_range.start or 0
    headers = {"etag": '"v1"', "content-range": f"bytes {start}-{len(PICTURE) - 1}/{len(PICTURE)}"}
    return web.Response(status=206, headers=headers, body=PICTURE[start:], content_type="image/png")


async def _gone(request: web.Request) -> web.StreamResponse:
    """Know the file no more."""
    return web.Response(status=410)


async def test_a_download_that_is_cut_and_resumed_leaves_no_key(tmp_path: Path, trail: Trail) -> None:
    """The key is not sent for a file, though it is at the backend's own origin, and what is kept of half a file is not secret."""
    asked: list[web.Request] = []
    double = Double(emulator_of("imini"), TWISTS["every link"], "")

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            return sandbox_server._response(await double.answer(await sandbox_server._call(request)), request, 1.0)
        asked.append(request)
        trail.note("a request for a file", repr(request.headers) + request.path)
        return await {1: _half, 2: _gone}.get(len(asked), _rest)(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        hunter = Hunter(trail, "imini", f"http://127.0.0.1:{server.port}", tmp_path)
        await hunter.run(ImageRequest(PROMPT))
    assert [] == trail.leaks()
    assert "DownloadError" in hunter.seen
    assert any(label.endswith(".part.json") for label, _ in trail.notes)
    assert [PICTURE] == [path.read_bytes() for path in (tmp_path / "out").glob("*.png")]


# Configuration.


@pytest.mark.parametrize(
    "line",
    [
        f'api_key = "{KEY}"',
        f'api_key = "{KEY} {KEY}"',
        f'api_key = "env:{KEY}"',
        f'api_key = "file:{KEY[:7]}{KEY[8:]}"',
        f'api_key = ["{KEY}"]',
        f'api_key = {{ value = "{KEY}" }}',
        f'api_key = "{KEY}',
        f"api_key = {KEY}",
        f'apikey = "{KEY}"',
        f'key = "{KEY}"',
        f'api_key = "{KEY}"\napi_key = "{KEY}"',
        f'base_url = "https://me:{KEY}@api.example"',
        f'base_url = "https://api.example/?key={KEY}"',
        f'base_url = "https://api.example/#{KEY}"',
        f'headers = {{ authorization = "{KEY}" }}',
        f'[backends.studio.poll]\ninterval = ["{KEY}"]',
        f'[backends.studio.poll]\nkey = "{KEY}"',
    ],
)
def test_a_configuration_with_a_key_in_it_is_not_repeated(tmp_path: Path, trail: Trail, line: str) -> None:
    """Wherever somebody put it, right or wrong, but in the place of a name."""
    wanted = Trail(KEY[:7] + KEY[8:]) if "file:" in line else trail
    file = tmp_path / "genbridge.toml"
    file.write_text(f'[backends.studio]\nprovider = "meigen"\n{line}\n')
    with wanted.following():
        try:
            config = load(file, env={"IMINI_API_KEY": KEY})
        except GenbridgeError as error:
            wanted.error("the error", error, variables=False)
        else:
            wanted.note("the configuration", f"{config!r} {attrs.asdict(config)!r} {missing_keys(config)!r}")
    assert [] == wanted.leaks()
    assert wanted.notes


# The command line.


async def told(trail: Trail, folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Run the command line with the key in its environment, and return its exit code and what it said on stdout."""
    env = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "HOME", "LANG"}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-X", "dev", "-m", "genbridge", *arguments),
        cwd=folder,
        env=env | {"IMINI_API_KEY": KEY, "PYTHONASYNCIODEBUG": "1", "GENBRIDGE_STATE_DIR": str(folder / "state")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    trail.note(f"the output of {' '.join(arguments)}", out)
    trail.note(f"the errors of {' '.join(arguments)}", err)
    return process.returncode, out.decode()


@pytest.mark.parametrize("twist", ["every link", "a refusal", "polls refused"])
async def test_the_command_line_tells_no_key(tmp_path: Path, trail: Trail, twist: str) -> None:
    """Not with -vv, not with --json, not in its files."""
    double = Double(emulator_of("imini"), TWISTS[twist], "http://127.0.0.1:1")
    async with served(double.answer) as base_url:
        lines = ['provider = "imini"', 'api_key = "env:IMINI_API_KEY"', f'base_url = "{base_url}"', "patience = 0"]
        polls = ["[backends.main.poll]", "interval = 0.05", "timeout = 2"]
        (tmp_path / "genbridge.toml").write_text("\n".join(["[backends.main]", *lines, *polls]) + "\n")
        code, _ = await told(trail, tmp_path, "generate", PROMPT, "-vv", "--json", "--output", "out", "--image")
        assert (code == 0) == (twist == "every link")
        _, listed = await told(trail, tmp_path, "jobs", "list", "--json")
        assert json.loads(listed)
        for words in (["backends", "-vv"], ["config", "check", "-vv"], ["config", "show"], ["models", "-vv"], ["spend", "--json"]):
            await told(trail, tmp_path, *words)
    trail.files("the folder", tmp_path)
    assert [] == trail.leaks()
    assert double.keyed > 0


# The sandbox.


_ASKED = (("POST", "/v1/images/generate"), ("POST", "/api/generate/v2"), ("GET", "/v1/tasks/x"), ("GET", "/x"), ("PUT", "/x"))
_GIVEN = ({"authorization": f"Bearer {KEY}"}, {"authorization": KEY}, {"x-api-key": KEY})


async def test_the_sandbox_repeats_no_key(tmp_path: Path, trail: Trail) -> None:
    """Whoever sends it a real one finds it in no answer and not in its state."""
    plugins = [installed.load(name) for name in ("imini", "meigen", "sseedance")]
    async with Sandbox.of(plugins, state=tmp_path / "sandbox.json") as sandbox, aiohttp.ClientSession() as session:
        for name in sandbox.emulators:
            for (method, path), headers in product(_ASKED, _GIVEN):
                url = sandbox.base_url(name) + path
                async with session.request(method, url, headers=headers, json={"prompt": PROMPT}) as response:
                    trail.note("a page of the sandbox", f"{response.status} {response.reason} {response.headers!r}")
                    trail.note("a page of the sandbox", await response.read())
        trail.note("the sandbox's configuration", sandbox.config())
    trail.files("the sandbox's state", tmp_path)
    assert [] == trail.leaks()


# The key crosses no origin.


PORTS = {
    "another port": "http://127.0.0.1:{other}/x",
    "another scheme": "https://127.0.0.1:{own}/x",
    "another name": "http://localhost:{own}/x",
    "another address": "http://127.0.0.2:{other}/x",
    "an address in IPv6": "http://[::ffff:127.0.0.1]:{other}/x",
    "a user": "http://127.0.0.1:{own}@127.0.0.1:{other}/x",
    "a user like a host": "http://127.0.0.1%3A{own}@127.0.0.1:{other}/x",
    "a backslash": "http://127.0.0.1:{other}\\@127.0.0.1:{own}/x",
    "a fragment": "http://127.0.0.1:{other}#@127.0.0.1:{own}/x",
    "a query": "http://127.0.0.1:{other}?@127.0.0.1:{own}/x",
    "a trailing dot": "http://127.0.0.1.:{own}/x",
    "another case": "HTTP://127.0.0.1:{other}/x",
    "wide digits": "http://\uff11\uff12\uff17.0.0.1:{other}/x",
    "a number": "http://2130706433:{other}/x",
    "a space": " http://127.0.0.1:{other}/x",
    "a tab": "http://127.0.0.1:{other}\t/x",
    "another host": "http://127.0.0.1:{own}.evil.example/x",
}
"""Addresses that a service may name in an answer, none of which is its own origin."""


def _wandering(target: str) -> SimpleNamespace:
    """Return a plugin that goes where it is told with every hook, as for an address from an answer."""
    hooks: dict[str, Callable[..., Any]] = {
        "describe": lambda: Studio().provider,
        "submit": lambda request: Call.post(target, json={"prompt": request.prompt}),
        "poll": lambda job: Call.get(target),
        "normalize": lambda reply: Snapshot(status=JobStatus.RUNNING, provider_id="p1"),
        "cancel": lambda job: Call(method="DELETE", url=target),
        "recover": lambda job: Call.get(target),
        "models": lambda: Call.get(target),
        "catalogue": lambda reply: [],
        "upload": _uploading(target),
    }
    return SimpleNamespace(__name__="wandering", **{name: hookimpl(function) for name, function in hooks.items()})


def _uploading(target: str) -> Callable[..., Any]:
    def upload(file: File) -> Exchange[str]:
        announced = yield Call.post(target, json={"name": file.name}, repeatable=True)
        yield Call.put(target, body=file.data, content_type=file.content_type, headers={"x-status": str(announced.status)})
        return "https://files.example/x.png"

    return upload


def _calls(account: Account, job: Job, picture: Path) -> dict[str, Any]:
    """Return everything that an account can be asked for, by hook."""
    request = VideoRequest(PROMPT, references=(Reference(picture),))
    return {
        "submit": lambda: account.submit(job, VideoRequest(PROMPT)),
        "poll": lambda: account.poll(job),
        "cancel": lambda: account.cancel(job),
        "recover": lambda: account.recover(job),
        "models": lambda: account.models(live=True),
        "upload": lambda: account.upload(request, "clip-1"),
    }


async def _wander(trail: Trail, base_url: str, target: str, folder: Path) -> dict[str, object]:
    """Go to a place with every hook, and return what came of each."""
    config = BackendConfig(name="main", provider="studio", api_key=Secret(KEY), base_url=base_url)
    transport = Transport(submit_timeout=2.0, timeout=2.0)
    account = Account(config, plugin_of("studio", _wandering(target)), transport, Fast())
    model: Model = account.provider.models[0]
    job = attrs.evolve(_JOB, provider_model=model.provider_id)
    came: dict[str, object] = {}
    for hook, call in _calls(account, job, a_picture(folder)).items():
        try:
            came[hook] = await call()
        except GenbridgeError as error:
            trail.error(hook, error)
            came[hook] = error
    await transport.aclose()
    return came


def _a_job() -> Job:
    from judges import job_at

    return attrs.evolve(job_at("imini", ImageRequest.media, "p1"), backend="main", provider="studio", request=VideoRequest(PROMPT))


_JOB = _a_job()


@pytest.mark.parametrize("form", PORTS)
async def test_no_hook_takes_the_key_to_another_origin(tmp_path: Path, trail: Trail, form: str) -> None:
    """However the address is dressed up; where it leads back to the backend under another name, the key does not go either."""
    other, own = Elsewhere(trail), Elsewhere(trail)
    async with served(other.answer) as there, served(own.answer) as here:
        ports = {"other": there.rpartition(":")[2], "own": here.rpartition(":")[2]}
        came = await _wander(trail, here, PORTS[form].format(**ports), tmp_path)
    assert {"submit", "poll", "cancel", "recover", "models", "upload"} == set(came)
    assert [] == trail.leaks()


@pytest.mark.parametrize("path", ["/x", "//evil.example/x", "/\\evil.example", "/@evil.example", "/x/../..//evil.example", "/:1/"])
async def test_a_path_never_leaves_the_backend(tmp_path: Path, trail: Trail, path: str) -> None:
    """It is appended to the base URL, whatever it looks like; there the key goes with every call."""
    seen: list[bool] = []

    async def answer(call: Call) -> Reply:
        seen.append(f"Bearer {KEY}" == call.headers.get("authorization"))
        return Reply.of({})

    async with served(answer) as here:
        came = await _wander(trail, f"{here}/base", path, tmp_path)
    assert [] == [value for value in came.values() if isinstance(value, GenbridgeError)]
    assert {True} == set(seen)
    assert 7 == len(seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_hook_follows_a_redirect(tmp_path: Path, trail: Trail, status: int) -> None:
    """Neither with the key nor without it; not even on the backend itself."""
    other = Elsewhere(trail)
    asked: list[str] = []

    async def answer(call: Call) -> Reply:
        asked.append(call.path)
        return Reply(status=status, headers={"location": "/y" if len(asked) % 2 else f"{there}/{KEY}"})

    async with served(other.answer) as there, served(answer) as here:
        came = await _wander(trail, here, "/x", tmp_path)
    assert {"TransportError"} == {type(value).__name__ for value in came.values()}
    assert (set(), {"/x"}) == (set(other.asked), set(asked))
    assert [] == trail.leaks()


# The password of a database.


SECRET = "p@ss/w:rd 100%&=#?+[x]"
"""A password that a URL has to write in another way."""
ENCODED = quote(SECRET, safe="")
BAD_URLS = {
    "as it is": "postgresql://hunter:{plain}@127.0.0.1/jobs",
    "two at signs": "postgresql://hunter:{key}@x@127.0.0.1/jobs",
    "a slash": "postgresql://hunter:1/{key}@127.0.0.1/jobs",
    "a question mark": "postgresql://hunter:1?{key}@127.0.0.1/jobs",
    "a hash": "postgresql://hunter:{key}#@127.0.0.1/jobs",
    "a bracket": "postgresql://hunter:{key}[@127.0.0.1/jobs",
    "an open bracket": "postgresql://hunter:{key}@[::1/jobs",
    "half an escape": "postgresql://hunter:{key}%4@127.0.0.1/jobs",
    "a zero": "postgresql://hunter:{key}%00@127.0.0.1/jobs",
    "a space": "postgresql://hunter:{key} @127.0.0.1/jobs",
    "a line": "postgresql://hunter:{key}\\n@127.0.0.1/jobs",
    "a port that is none": "postgresql://hunter:{key}@127.0.0.1:{key}/jobs",
    "a port that is too high": "postgresql://hunter:{key}@127.0.0.1:99999/jobs",
    "no name": "postgresql://hunter@127.0.0.1/jobs?{key}",
    "two values": "postgresql://hunter@127.0.0.1/jobs?password={key}={key}",
    "one slash": "postgresql:/hunter:{key}@127.0.0.1/jobs",
    "no scheme": "hunter:{key}@127.0.0.1/jobs",
    "another scheme": "mysql://hunter:{key}@127.0.0.1/jobs",
    "an odd scheme": "{key}://127.0.0.1/jobs",
    "a connection string": "host=127.0.0.1 password={key}",
}
"""What somebody may take for a URL, or mistype."""


@pytest.fixture
def scent() -> Iterator[Trail]:
    """Give a trail that leads to the password of a database."""
    trail = Trail(SECRET)
    with trail.following():
        yield trail


def run_command(*words: str) -> None:
    """Run a command line in this process."""
    from genbridge.cli import app

    with suppress(SystemExit):
        app.main(list(words), prog_name="genbridge")


def _readers(folder: Path, text: str) -> dict[str, Callable[[], object]]:
    """Return all that reads where a journal is, with a text there."""
    file, other, plain = folder / "genbridge.toml", folder / "other.toml", folder / "url"
    file.write_text(f"[journal]\npath = {json.dumps(text)}\nengine = {json.dumps(text)}\nurl = {json.dumps(text)}\n")
    other.write_text('[journal]\npath = "file:url"\n')
    plain.write_text(text)
    return {
        "a configuration": lambda: load(file),
        "the journal's part of it": lambda: load_journal(file),
        "a configuration with a file": lambda: load_journal(other),
        "the environment": lambda: place_in("env:JOBS", env={"JOBS": text}),
        "a caller": lambda: place_in(text, env={}),
        "the URL itself": lambda: DatabaseUrl.parse(text),
    }


@pytest.mark.parametrize("form", BAD_URLS)
def test_what_is_no_url_shows_no_password(tmp_path: Path, scent: Trail, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Wherever it is read, and whatever is wrong with it."""
    text = BAD_URLS[form].format(key=ENCODED, plain=SECRET)
    refused = 0
    for label, read in _readers(tmp_path, text).items():
        try:
            scent.note(label, read())
        except GenbridgeError as error:
            refused += 1
            # Of variables nothing is promised here, as the file's text is one.
            scent.error(label, error, variables=False)
    monkeypatch.setenv("JOBS", text)
    for words in (["--journal", text], ["--journal", "env:JOBS"], ["--config", str(tmp_path / "genbridge.toml")]):
        run_command("jobs", "list", "--json", *words)
        run_command(*words, "config", "check")
    assert refused
    assert [] == scent.leaks()


@pytest.fixture(scope="module")
def guarded(postgres: Server, template: str) -> str:
    """Return the URL of a database with tables, for a user with the password."""
    import psycopg
    from psycopg import sql

    database = postgres.make_database(template)
    with psycopg.connect(database) as connection:
        connection.execute(sql.SQL("create role hunter superuser login password {}").format(sql.Literal(SECRET)))
    return database.replace(f"postgres:{postgres.password}@", f"hunter:{ENCODED}@")


TROUBLES: dict[str, Callable[[str, Server], str]] = {
    "nothing": lambda url, server: url,
    "in the query": lambda url, server: f"{url.replace(f':{ENCODED}', '')}?password={ENCODED}",
    "in capitals": lambda url, server: url.replace("postgresql", "POSTGRESQL"),
    "another password": lambda url, server: url.replace(ENCODED, f"x{ENCODED}"),
    "another user": lambda url, server: url.replace("hunter:", "nobody:"),
    "no such database": lambda url, server: f"{url}x",
    "no server": lambda url, server: url.replace(f":{server.port}", ":1"),
    "no host": lambda url, server: url.replace("127.0.0.1", "db.invalid"),
    "no socket": lambda url, server: f"postgresql:///jobs?host=/nowhere&user=hunter&password={ENCODED}",
    "a file of passwords": lambda url, server: f"{url.replace(f':{ENCODED}', '')}?passfile=/nowhere",
    "a service": lambda url, server: f"{url}?service=nowhere",
    "an odd mode": lambda url, server: f"{url}?sslmode=odd",
    "an option that is none": lambda url, server: f"{url}?odd=1",
    "a setting that is none": lambda url, server: f"{url}?options=-c%20odd%3D1",
    "encryption": lambda url, server: f"{url}?sslmode=verify-full&sslpassword={ENCODED}",
    "an unknown option": lambda url, server: f"{url}?passwort={ENCODED}",
}
"""What may be the matter with a URL that can be read."""


async def _use(trail: Trail, url: DatabaseUrl) -> None:
    """Do with a database all that is done with one, and note what comes of it."""
    from genbridge.journal.postgres import schema

    for step in (schema.upgrade, schema.standing):
        try:
            trail.note("the tables", step(url))
        except GenbridgeError as error:
            trail.error("the tables", error)
    for opened in (Ledger(journal=url), open_journal(url)):
        try:
            await (opened.__aenter__() if isinstance(opened, Ledger) else opened.open())
            trail.objects()
            await (opened.__aexit__() if isinstance(opened, Ledger) else opened.aclose())
        except GenbridgeError as error:
            trail.error("the opening", error)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_is_wrong_with_a_database_its_password_is_nowhere(
    guarded: str, postgres: Server, scent: Trail, tmp_path: Path, trouble: str
) -> None:
    """Not in a log, an error, a traceback, an object, in what is printed, nor in the database."""
    text = TROUBLES[trouble](guarded, postgres)
    await _use(scent, DatabaseUrl.parse(text))
    (tmp_path / "genbridge.toml").write_text(f"[journal]\npath = {json.dumps(text)}\n")
    commands = ["jobs list --journal", "jobs show x --json --journal", "db upgrade --json --journal", "config check --config"]
    for command in commands:
        await asyncio.to_thread(run_command, *command.split(), str(tmp_path / "genbridge.toml") if "config" in command else text)
    scent.objects()
    scent.note("the database", _contents(guarded))
    assert [] == scent.leaks()


def _contents(url: str) -> str:
    """Return all that is in our tables, and what the server says of who is connected."""
    import psycopg

    names = "select format('%I.%I', table_schema, table_name) from information_schema.tables where table_schema = 'genbridge'"
    with psycopg.connect(url) as connection:
        tables = [name for (name,) in connection.execute(names).fetchall()] + ["pg_stat_activity"]
        return repr([connection.execute(f"select t::text from {name} t".encode()).fetchall() for name in tables])


class _Told(logging.Handler):
    """Sets an event once something was logged."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__(logging.WARNING)
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        self._event.set()


async def test_an_engine_that_cannot_reach_its_database_keeps_the_password(guarded: str, scent: Trail) -> None:
    """As it tries again and again, with all that its parts log; and as somebody counts its tickets."""
    from genbridge.tickets import Procrastinate

    async def drive(job_id: str) -> None:
        """Nothing is ever to be driven."""

    engine = Procrastinate(DatabaseUrl.parse(guarded.replace(ENCODED, f"x{ENCODED}")), patience=0.3, pauses=(0.0,))
    with pytest.raises(JournalError) as caught:
        await engine.tally()
    scent.error("the count", caught.value)
    stop = asyncio.Event()
    told = _Told(stop)
    logging.getLogger("genbridge.tickets").addHandler(told)
    try:
        await engine.run(drive, backends=None, concurrency=1, stop=stop)
    finally:
        logging.getLogger("genbridge.tickets").removeHandler(told)
    scent.objects()
    assert [] == scent.leaks()


async def test_a_client_that_workers_drive_for_keeps_the_password(guarded: str, tmp_path: Path, scent: Trail) -> None:
    """As it hands a job in, looks and closes; it is on record without it."""
    config = Config(
        backends={"main": BackendConfig(name="main", provider="imini")}, journal=JournalConfig(url=DatabaseUrl.parse(guarded))
    )
    async with Client(config) as client:
        submitting = asyncio.create_task(client.submit(ImageRequest(PROMPT), id="handed-in"))
        while not [job async for job in client.jobs()]:
            pass  # each look waits for the database
        scent.objects()
        submitting.cancel()
        scent.note("the jobs", [job async for job in client.jobs()])
    with suppress(asyncio.CancelledError):
        await submitting
    scent.note("the database", _contents(guarded))
    with pytest.raises(TypeError) as caught:
        pickle.dumps(config)
    scent.error("the pickle", caught.value)
    assert [] == scent.leaks()


async def test_a_database_that_goes_away_takes_its_password_along(postgres: Server, guarded: str, scent: Trail) -> None:
    """What was asked meanwhile fails, and is told of, without it."""
    import psycopg

    from genbridge.journal.postgres import PostgresJournal

    journal = PostgresJournal(DatabaseUrl.parse(guarded), patience=0.2)
    await journal.open()
    journal.listen(lambda job_id: None, Heard.CHANGES)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("alter role hunter nologin")
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hunter'")
        with pytest.raises(JournalError) as caught:
            await journal.pause("main", 1.0, Paused.POLLS)
        connection.execute("alter role hunter login")
    scent.error("the write", caught.value)
    scent.objects()
    await journal.aclose()
    assert [] == scent.leaks()


# The hunt itself.


WRITTEN = (
    *sorted(forms(KEY)),
    quote(KEY, safe="").encode(),
    quote(KEY, safe="").lower().encode().replace(b"hunt", b"Hunt"),
    KEY.replace("/", "%2F").encode(),
    KEY.replace("/", "\\/").encode(),
    KEY.replace("+", "\\u002B").encode(),
    UNICODE.encode(),
    json.dumps(UNICODE).encode(),
)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_hunt_finds_a_key_however_it_is_written(tmp_path: Path, written: bytes) -> None:
    """In bytes, in a text, and in a file, where it says which."""
    file = tmp_path / "deep" / "file"
    file.parent.mkdir()
    file.write_bytes(b"before " + written + b" after")
    assert [str(file)] == hunt(tmp_path, KEY)
    assert ["the text"] == hunt(b"before " + written, KEY) == hunt(written.decode(), KEY)
    assert [] == hunt(tmp_path, "sk-another-key")


def test_a_hunt_finds_a_key_in_basic_credentials_and_in_names(tmp_path: Path) -> None:
    """Wherever in what was encoded it begins."""
    for user in ("", "m", "me", "you"):
        assert ["the text"] == hunt(b"Basic " + base64.b64encode(f"{user}:{KEY}".encode()), KEY)
    (tmp_path / KEY.replace("/", "%2F")).touch()
    assert 1 == len(hunt(tmp_path, KEY))


def _leaky(kind: str) -> Exception:
    """Return an error that holds the key in one of the places where errors hold things."""
    error: Exception = ValueError("no")
    match kind:
        case "argument":
            error = ValueError("no", [KEY])
        case "field":
            error.extra = SimpleNamespace(key=KEY)  # type: ignore[attr-defined]
        case "cause":
            error.__cause__ = KeyError(KEY)
        case "context":
            error.__context__ = KeyError(KEY)
            error.__suppress_context__ = True
        case "note":
            error.add_note(KEY)
        case "group":
            error = ExceptionGroup("no", [ValueError(KEY)])
    return error


@pytest.mark.parametrize("kind", ["argument", "field", "cause", "context", "note", "group"])
def test_the_trail_leads_to_a_key_in_an_error(kind: str) -> None:
    """Wherever it is in it."""
    trail = Trail(KEY)
    trail.error("the error", _leaky(kind))
    assert trail.leaks()


def test_the_trail_leads_to_a_key_that_is_logged_warned_of_or_printed(tmp_path: Path) -> None:
    """By anybody, at any level."""
    import warnings

    quiet = logging.getLogger("somebody.quiet")
    quiet.setLevel(logging.CRITICAL)
    deeds: dict[str, Callable[[], object]] = {
        "a record of the logger 'somebody.quiet'": lambda: quiet.debug("the key is %s", KEY),
        "a warning": lambda: warnings.warn(KEY, stacklevel=1),
        "stdout": lambda: sys.stdout.write(KEY),
        "stderr": lambda: sys.stderr.write(KEY),
    }
    for label, deed in deeds.items():
        trail = Trail(KEY)
        with trail.following():
            deed()
        assert [label] == trail.leaks()
    assert logging.CRITICAL == quiet.level


def test_the_trail_leads_to_a_key_that_an_object_shows() -> None:
    """A configuration that were to show its key would be found, as would one in a variable of a frame of ours."""
    trail = Trail(KEY)
    shown = BackendConfig(name="main", provider="meigen", key_source=KEY)
    trail.objects()
    assert ["a genbridge.config.BackendConfig"] == trail.leaks()
    assert KEY == shown.key_source


async def test_the_trail_leads_to_a_key_that_a_plugin_planted(tmp_path: Path, trail: Trail) -> None:
    """One that has the key by other means and puts it into what it sends and raises is found in the journal and in errors."""

    class Spy(Studio):
        @hookimpl
        def normalize(self, backend: Backend, job: Job, reply: Reply) -> Snapshot:
            return Snapshot(status=JobStatus.RUNNING, provider_id=KEY)

    async with served(_odd) as base_url:
        backend = BackendConfig(name="main", provider="studio", api_key=Secret(STUDIO_KEY), base_url=base_url)
        config = Config(backends={"main": backend}, journal=JournalConfig(path=tmp_path / "jobs.db"))
        async with Client(config, providers={"studio": Spy()}, clock=Fast()) as client:
            await client.submit(VideoRequest(PROMPT))
            trail.objects()
    trail.files("the journal", tmp_path)
    places = trail.leaks()
    assert f"the journal: {tmp_path / 'jobs.db'}" in places
    assert "a genbridge.types.Job" in places

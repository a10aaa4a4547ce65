"""The sandbox serves emulators over loopback, faster than life, and remembers them from one process to the next."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
import tomllib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import Backend, Call, Emulator, Job, Limits, PollPolicy, Provider, Reply, Request, Snapshot, hookimpl
from genbridge.errors import ConfigError, GenbridgeError, PluginError, UnknownProviderError
from genbridge.plugins import Plugin, plugin_of
from genbridge.sandbox import Sandbox
from genbridge.sandbox.memory import Memory
from genbridge.sandbox.server import serve
from genbridge.sandbox.services import Services
from genbridge.sandbox.tempo import Tempo

FILE = bytes(range(100))


@attrs.define
class Counter:
    """A service that counts what it is asked, and remembers bytes that are put."""

    key: str = "sandbox-key"
    calls: int = 0
    times: list[float] = attrs.field(factory=list)
    stored: dict[str, bytes] = attrs.field(factory=dict)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer by what the path asks for."""
        match (call.method, call.path.rpartition("/")[2]):
            case ("POST", "count"):
                self.calls += 1
                self.times.append(now)
                return Reply.of({"calls": self.calls, "now": now, "origin": call.origin})
            case ("PUT", name):
                self.stored[name] = call.body or b""
                return Reply(status=204)
            case ("GET", "file"):
                return Reply(status=200, headers={"content-type": "image/png"}, body=FILE)
            case ("GET", "busy"):
                return Reply.of({}, status=429, headers={"retry-after": "60"})
            case ("GET", "later"):
                return Reply.of({}, status=503, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
            case ("GET", name) if name in self.stored:
                return Reply(status=200, headers={"content-type": "application/octet-stream"}, body=self.stored[name])
            case (_, "break"):
                raise RuntimeError("it broke")
        return Reply.of(shown(call), headers={"x-kind": "echo", "content-length": "1"})


def shown(call: Call) -> dict[str, Any]:
    """Return a call as JSON."""
    body = None if call.body is None else call.body.decode("latin-1")
    return {"method": call.method, "url": call.url, "headers": dict(call.headers), "json": call.json, "body": body}


class Plain:
    """An emulator that is no attrs class."""

    key = "plain-key"

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, call: Call, now: float) -> Reply:
        """Count calls."""
        self.calls += 1
        return Reply.of({"calls": self.calls})


@attrs.define
class Odd:
    """An emulator with something in it that is no plain value."""

    key: str = "odd-key"
    thing: Any = attrs.field(factory=object)

    def answer(self, call: Call, now: float) -> Reply:
        """Answer always the same."""
        return Reply.of({"odd": True})


class Service:
    """A provider whose hooks are not used here but for its description and its emulator."""

    def __init__(self, provider: Provider, make: Callable[[], Emulator]) -> None:
        self.provider, self.make = provider, make

    @hookimpl
    def describe(self) -> Provider:
        """Return the facts."""
        return self.provider

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str | None) -> Call:
        """Describe a submit."""
        return Call.post("/count")

    @hookimpl
    def poll(self, backend: Backend, job: Job) -> Call:
        """Describe a poll."""
        return Call.get("/count")

    @hookimpl
    def normalize(self, backend: Backend, job: Job, reply: Reply) -> Snapshot:
        """Read nothing."""
        raise NotImplementedError

    @hookimpl
    def emulate(self) -> Emulator:
        """Return a new emulator."""
        return self.make()


class Without:
    """A provider without an emulator."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    describe, submit, poll, normalize = Service.describe, Service.submit, Service.poll, Service.normalize


def plugin(name: str = "acme", make: Callable[[], Emulator] = Counter, path: str = "", **facts: Any) -> Plugin:
    """Return a provider with an emulator."""
    provider = Provider(name=name, base_url=f"https://api.{name}.example{path}", key_variable="ACME_KEY", **facts)
    return plugin_of(name, Service(provider, make))


@asynccontextmanager
async def asking(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """Run a sandbox with a client of HTTP."""
    async with sandbox, aiohttp.ClientSession() as session:
        yield session


async def count(sandbox: Sandbox, session: aiohttp.ClientSession, name: str = "acme") -> dict[str, Any]:
    """Count once more."""
    async with session.post(f"{sandbox.base_url(name)}/count") as response:
        document: dict[str, Any] = await response.json()
        return document


async def test_each_provider_has_a_port_and_the_path_of_its_own_base_url() -> None:
    """A backend's `base_url` is the emulator's address with the official path."""
    sandbox = Sandbox.of([plugin("one"), plugin("two", path="/router/v1/")])
    async with sandbox:
        one, two = urlsplit(sandbox.base_url("one")), urlsplit(sandbox.base_url("two"))
    assert ("http", "127.0.0.1", "") == (one.scheme, one.hostname, one.path)
    assert ("http", "127.0.0.1", "/router/v1") == (two.scheme, two.hostname, two.path)
    assert one.port != two.port


async def test_the_emulators_and_their_keys_are_there_by_name() -> None:
    """Whoever configures a client finds what it needs."""
    sandbox = Sandbox.of([plugin("one"), plugin("two", Plain)])
    assert ["one", "two"] == list(sandbox.emulators)
    assert ("sandbox-key", "plain-key") == (sandbox.key("one"), sandbox.key("two"))
    assert "sandbox-key" not in repr(sandbox)


async def test_a_request_becomes_a_call_with_an_absolute_url() -> None:
    """The emulator sees the method, the whole URL, lower-case header names and the JSON."""
    sandbox = Sandbox.of([plugin(path="/api")])
    async with asking(sandbox) as session:
        url = f"{sandbox.base_url('acme')}/echo?a=1&b=%C3%A9"
        async with session.post(url, json={"prompt": "ä"}, headers={"X-Mine": "Yes"}) as response:
            seen = await response.json()
    assert ("POST", url, {"prompt": "ä"}, None) == (seen["method"], seen["url"], seen["json"], seen["body"])
    assert "Yes" == seen["headers"]["x-mine"]


async def test_a_client_that_takes_it_for_a_proxy_is_answered() -> None:
    """The URL is then in the request line, and is the call's as it is."""
    async with Sandbox.of([plugin()]) as sandbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.base_url("acme")).port)
        writer.write(b"GET http://api.acme.example/echo?a=%20 HTTP/1.1\r\nHost: api.acme.example\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200")
    assert "http://api.acme.example/echo?a=%20" == json.loads(body)["url"]


@pytest.mark.parametrize(
    ("method", "body", "document", "rest"),
    [
        ("POST", b"{not json", None, "{not json"),
        ("POST", b"\xff", None, "\xff"),
        ("POST", b"[" * 100_000, None, "[" * 100_000),
        ("POST", b"", None, None),
        ("POST", b"[1]", [1], None),
        ("POST", b"null", None, "null"),
        ("PATCH", b'{"a": 1}', {"a": 1}, None),
    ],
)
async def test_a_body_is_json_or_bytes(method: str, body: bytes, document: Any, rest: str | None) -> None:
    """What is not JSON reaches the emulator as it came."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session, session.request(method, f"{sandbox.base_url('acme')}/echo", data=body) as response:
        seen = await response.json()
    assert (method, document, rest) == (seen["method"], seen["json"], seen["body"])


@pytest.mark.parametrize("body", [b"", b'{"a": 1}', FILE])
async def test_what_is_put_is_bytes_even_when_it_is_json(body: bytes) -> None:
    """An uploaded file comes back byte for byte."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session:
        url = f"{sandbox.base_url('acme')}/upload"
        async with session.put(url, data=body) as response:
            assert 204 == response.status
        async with session.get(url) as response:
            assert body == await response.read()


async def test_a_reply_becomes_a_response_with_its_headers() -> None:
    """Except those that only the server can know."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session, session.get(f"{sandbox.base_url('acme')}/echo") as response:
        body = await response.read()
        assert (200, "echo", "application/json") == (response.status, response.headers["x-kind"], response.content_type)
    assert str(len(body)) == response.headers["content-length"]


async def test_an_emulator_that_raises_is_an_error_500_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is logged, the client gets JSON, and the next call is answered."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session:
        async with session.get(f"{sandbox.base_url('acme')}/break?token=secret") as response:
            assert 500 == response.status
            assert "emulator of 'acme' failed" in (await response.json())["error"]["message"]
        assert 1 == (await count(sandbox, session))["calls"]
    assert "it broke" in caplog.text
    assert "GET /break" in caplog.text
    assert "secret" not in caplog.text


async def test_a_body_that_is_too_large_is_refused() -> None:
    """The server says how much it takes, in JSON, and the emulator is not asked."""

    async def answer(call: Call) -> Reply:
        raise AssertionError("it was asked")

    runner = await serve("acme", answer, port=0, speed=1, most_bytes=1000)
    try:
        url = "http://{}:{}/".format(*runner.addresses[0])
        async with aiohttp.ClientSession() as session, session.post(url, data=bytes(1001)) as response:
            assert 413 == response.status
            assert "up to 1000 bytes" in (await response.json())["error"]["message"]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("asked", "status", "part", "where"),
    [
        ("bytes=0-9", 206, FILE[:10], "bytes 0-9/100"),
        ("bytes=90-", 206, FILE[90:], "bytes 90-99/100"),
        ("bytes=-10", 206, FILE[90:], "bytes 90-99/100"),
        ("bytes=-500", 206, FILE, "bytes 0-99/100"),
        ("bytes=50-500", 206, FILE[50:], "bytes 50-99/100"),
        ("bytes=100-", 416, b"", "bytes */100"),
        ("bytes=-0", 416, b"", "bytes */100"),
        ("bytes=9-8", 200, FILE, None),
        ("bytes=-", 200, FILE, None),
        ("bytes=0-1,5-6", 200, FILE, None),
        ("lines=0-1", 200, FILE, None),
        ("bytes=" + "9" * 5000 + "-", 200, FILE, None),
    ],
)
async def test_a_file_can_be_had_in_parts(asked: str, status: int, part: bytes, where: str | None) -> None:
    """A range is answered as RFC 9110 says; one that cannot be read is left out of account."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session, session.get(f"{sandbox.base_url('acme')}/file", headers={"Range": asked}) as response:
        assert (status, part, where) == (response.status, await response.read(), response.headers.get("content-range"))


async def test_a_part_is_only_given_of_the_file_that_is_meant() -> None:
    """With the tag of another file in `If-Range`, the whole comes."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session:
        url = f"{sandbox.base_url('acme')}/file"
        async with session.get(url) as response:
            assert (200, "bytes") == (response.status, response.headers["accept-ranges"])
            tag = response.headers["etag"]
        for sent, status in ((tag, 206), ('"other"', 200)):
            async with session.get(url, headers={"Range": "bytes=5-", "If-Range": sent}) as response:
                assert status == response.status


async def test_the_head_of_a_file_says_how_long_it_is() -> None:
    """The answer has the headers of a `GET` and no body."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session, session.head(f"{sandbox.base_url('acme')}/file") as response:
        assert (200, "100", "image/png", b"") == (
            response.status,
            response.headers["content-length"],
            response.content_type,
            await response.read(),
        )


async def test_json_is_never_cut() -> None:
    """A range is for files only."""
    sandbox = Sandbox.of([plugin()])
    headers = {"Range": "bytes=0-1"}
    async with asking(sandbox) as session, session.get(f"{sandbox.base_url('acme')}/echo", headers=headers) as response:
        assert (200, "GET") == (response.status, (await response.json())["method"])
        assert "etag" not in response.headers


async def test_a_wait_that_the_service_asks_for_is_as_short_as_its_seconds() -> None:
    """Sixty of its seconds are three of ours at twenty times the speed; a date stays what it is."""
    sandbox = Sandbox.of([plugin()], speed=20)
    async with asking(sandbox) as session:
        async with session.get(f"{sandbox.base_url('acme')}/busy") as response:
            assert (429, "3") == (response.status, response.headers["retry-after"])
        async with session.get(f"{sandbox.base_url('acme')}/later") as response:
            assert "Wed, 21 Oct 2015 07:28:00 GMT" == response.headers["retry-after"]


async def test_drawing_does_not_hold_up_the_loop() -> None:
    """While an emulator works, the process it runs in goes on; here, it is what lets the emulator finish."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Plain):
        def answer(self, call: Call, now: float) -> Reply:
            begun.set()
            assert go_on.wait(10)
            return super().answer(call, now)

    sandbox = Sandbox.of([plugin(make=Slow)])
    async with asking(sandbox) as session:
        asked = asyncio.create_task(count(sandbox, session))
        await asyncio.to_thread(begun.wait, 10)
        assert not asked.done()
        go_on.set()
        assert {"calls": 1} == await asked


def services(now: list[float], path: Path | None = None, speed: float = 10.0, **emulators: Emulator) -> Services:
    """Return services whose clock shows the last of `now`."""
    memory = None if path is None else Memory(path)
    return Services(emulators=dict(emulators) or {"acme": Counter()}, speed=speed, now=lambda: now[-1], memory=memory)


COUNT = Call.post("http://127.0.0.1:1/count", json={})


def told(reply: Reply) -> Any:
    """Return what the service says its time is."""
    return reply.json()["now"]


def test_the_services_time_passes_faster_than_ours() -> None:
    """It begins with ours; a second later it is ten seconds on."""
    now = [1000.0]
    running = services(now)
    assert 1000.0 == told(running.answer("acme", COUNT))
    now.append(1001.0)
    assert 1010.0 == told(running.answer("acme", COUNT))


def test_the_services_time_never_goes_back() -> None:
    """A clock that is set back makes it stand still."""
    now = [1000.0]
    running = services(now)
    now.append(1002.0)
    assert 1020.0 == told(running.answer("acme", COUNT))
    now.append(900.0)
    assert 1020.0 == told(running.answer("acme", COUNT))


@given(st.floats(0, 2e9), st.floats(0.1, 1000), st.floats(0.1, 1000), st.lists(st.floats(0, 1e6), max_size=5))
def test_a_change_of_speed_never_sets_the_time_back(wall: float, speed: float, other: float, steps: list[float]) -> None:
    """Whatever the speeds, a later moment is not earlier there."""
    tempo, seen = Tempo.starting(wall, speed), [wall]
    for number, step in enumerate(steps):
        wall += step
        tempo = tempo.at_speed((other, speed)[number % 2], wall)
        seen.append(tempo.at(wall))
    assert sorted(seen) == seen


def test_a_second_process_meets_the_same_service(tmp_path: Path) -> None:
    """Its count, its time and its files go on where the first left them."""
    path, now = tmp_path / "deep" / "state.json", [1000.0]
    first = services(now, path)
    first.wake()
    first.answer("acme", COUNT)
    first.answer("acme", Call.put("http://127.0.0.1:1/upload", body=FILE, content_type="image/png"))
    now.append(1005.0)
    second = services(now, path)
    second.wake()
    assert Counter(calls=1, times=[1000.0], stored={"upload": FILE}) == second.emulators["acme"]
    assert {"calls": 2, "now": 1050.0, "origin": "http://127.0.0.1:1"} == second.answer("acme", COUNT).json()


def test_another_speed_goes_on_from_the_time_there_was(tmp_path: Path) -> None:
    """After five seconds at ten times the speed, a second at twice the speed is two more."""
    path, now = tmp_path / "state.json", [1000.0]
    services(now, path).answer("acme", COUNT)
    now.append(1005.0)
    second = services(now, path, speed=2.0)
    second.wake()
    now.append(1006.0)
    assert 1052.0 == told(second.answer("acme", COUNT))


def test_two_processes_at_once_are_one_service(tmp_path: Path) -> None:
    """Calls in turn, and calls at the same moment, are all counted once."""
    path = tmp_path / "state.json"
    both = [services([1000.0], path) for _ in range(2)]
    assert [1, 2, 3, 4] == [both[turn % 2].answer("acme", COUNT).json()["calls"] for turn in range(4)]
    with ThreadPoolExecutor(2) as threads:
        counts = threads.map(lambda one: [one.answer("acme", COUNT).json()["calls"] for _ in range(50)], both)
    assert list(range(5, 105)) == sorted(chain.from_iterable(counts))


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It may hold prompts and pictures; and nothing is left lying beside it but the lock."""
    path = tmp_path / "state" / "state.json"
    services([1000.0], path).answer("acme", COUNT)
    assert (0o700, 0o600) == (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode))
    assert ["state.json", "state.json.lock"] == sorted(file.name for file in path.parent.iterdir())


def test_a_call_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    """The file stays the same file."""
    path = tmp_path / "state.json"
    running = services([1000.0], path)
    running.answer("acme", COUNT)
    before = path.stat()
    running.answer("acme", Call.get("http://127.0.0.1:1/file"))
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_an_emulator_did_before_it_broke_is_not_written(tmp_path: Path) -> None:
    """The file has what the last good answer left."""
    path = tmp_path / "state.json"
    running = services([1000.0], path)
    running.answer("acme", COUNT)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="it broke"):
        running.answer("acme", Call.get("http://127.0.0.1:1/break"))
    assert before == path.read_bytes()


GOOD = {"version": 1, "tempo": {"wall": 0.0, "service": 0.0, "speed": 1.0}, "ports": {}, "emulators": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(GOOD | {"version": 2}).encode(),
        json.dumps(GOOD | {"ports": {"acme": "high"}}).encode(),
        json.dumps(GOOD | {"emulators": []}).encode(),
        json.dumps(GOOD | {"tempo": {"wall": 0, "service": 0, "speed": 0}}).encode(),
        json.dumps(GOOD | {"tempo": {"wall": float("nan"), "service": 0, "speed": 1}}).encode(),
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    """The sandbox starts afresh, with one warning, and the file is good again after the first call."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    running = services([1000.0], path)
    running.wake()
    assert {"calls": 1, "now": 1000.0, "origin": "http://127.0.0.1:1"} == running.answer("acme", COUNT).json()
    assert [f"the sandbox's state in {path} cannot be read"] == [text.partition(" (")[0] for text in caplog.messages]
    assert 1 == json.loads(path.read_bytes())["emulators"]["acme"]["calls"]


def test_a_state_of_another_class_is_said_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One provider starts afresh and the others go on."""
    path = tmp_path / "state.json"
    states = {"one": {"calls": "many"}, "two": {"key": "k", "calls": 7, "times": [], "stored": {}}}
    path.write_text(json.dumps(GOOD | {"emulators": states}), encoding="utf-8")
    running = services([1000.0], path, one=Counter(), two=Counter())
    running.wake()
    assert (0, 7) == (running.emulators["one"].calls, running.emulators["two"].calls)  # type: ignore[attr-defined]
    assert ["the sandbox's state of 'one'"] == [text.partition(" in ")[0] for text in caplog.messages]


def test_the_state_of_a_provider_that_is_not_there_is_kept(tmp_path: Path) -> None:
    """A run with other providers does not lose it."""
    path = tmp_path / "state.json"
    services([1000.0], path, one=Counter()).answer("one", COUNT)
    services([1000.0], path, two=Counter()).answer("two", COUNT)
    again = services([1000.0], path, one=Counter())
    assert 2 == again.answer("one", COUNT).json()["calls"]


@pytest.mark.parametrize(("make", "warnings"), [(Plain, 0), (Odd, 1)])
def test_an_emulator_of_other_than_plain_values_works_without_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[], Emulator], warnings: int
) -> None:
    """It answers, nothing of it is written, and where it looks like one that could be kept, that is said once."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps(GOOD | {"emulators": {"acme": {"calls": 9}}}), encoding="utf-8")
    running = services([1000.0], path, acme=make())
    running.wake()
    for _ in range(2):
        assert 200 == running.answer("acme", COUNT).status
    assert {"acme": {"calls": 9}} == json.loads(path.read_text(encoding="utf-8"))["emulators"]
    assert warnings == len([text for text in caplog.messages if "cannot keep the state of 'acme'" in text])


def test_a_place_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The services answer and remember for as long as the process lasts."""
    (tmp_path / "file").touch()
    running = services([1000.0], tmp_path / "file" / "state.json")
    running.settle({"acme": 8000})
    assert [1, 2] == [running.answer("acme", COUNT).json()["calls"] for _ in range(2)]
    assert ["is not kept" in text for text in caplog.messages] == [True, True]
    assert 2 == len(set(caplog.messages))


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A directory in the file's place is warned of, and no half-written file stays beside it."""
    path = tmp_path / "state.json"
    path.mkdir()
    assert 1 == services([1000.0], path).answer("acme", COUNT).json()["calls"]
    assert ["state.json", "state.json.lock"] == sorted(file.name for file in tmp_path.iterdir())
    assert "is not kept" in caplog.messages[-1]


async def test_a_later_process_has_the_same_ports(tmp_path: Path) -> None:
    """Addresses of result files that were kept still lead to the file."""
    path = tmp_path / "state.json"
    async with Sandbox.of([plugin("one"), plugin("two")], state=path) as first:
        before = first.base_url("one"), first.base_url("two")
    async with Sandbox.of([plugin("two"), plugin("one")], state=path) as second:
        assert before == (second.base_url("one"), second.base_url("two"))


async def test_two_sandboxes_at_once_share_the_service_but_not_the_port(tmp_path: Path) -> None:
    """The second serves elsewhere, sees the first's jobs, and leaves the first's port on record."""
    path = tmp_path / "state.json"
    first, second = Sandbox.of([plugin()], state=path), Sandbox.of([plugin()], state=path)
    async with asking(first) as session, second:
        assert first.base_url("acme") != second.base_url("acme")
        assert [1, 2, 3] == [(await count(one, session))["calls"] for one in (first, second, first)]
        port = json.loads(path.read_bytes())["ports"]["acme"]
        assert f"http://127.0.0.1:{port}" == first.base_url("acme")


@pytest.mark.parametrize("port", [-1, 70_000])
async def test_a_port_on_record_that_is_none_is_not_used(tmp_path: Path, port: int) -> None:
    """The sandbox serves on a free one."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps(GOOD | {"ports": {"acme": port}}), encoding="utf-8")
    sandbox = Sandbox.of([plugin()], state=path)
    async with asking(sandbox) as session:
        assert 1 == (await count(sandbox, session))["calls"]


def free_port() -> int:
    """Return a port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_ports_can_be_asked_for() -> None:
    """By name, or counted up from the first."""
    port = free_port()
    async with Sandbox.of([plugin()], ports={"acme": port}) as sandbox:
        assert f"http://127.0.0.1:{port}" == sandbox.base_url("acme")
    async with Sandbox.of([plugin()], port_base=port) as sandbox:
        assert f"http://127.0.0.1:{port}" == sandbox.base_url("acme")
    assert {"one": 5, "two": 9} == Sandbox.of([plugin("one"), plugin("two")], port_base=5, ports={"two": 9})._wanted


async def test_a_port_that_is_asked_for_and_taken_is_an_error() -> None:
    """It names the provider and the port, and what was started before is stopped."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = taken.getsockname()[1]
        sandbox = Sandbox.of([plugin("one"), plugin("two")], ports={"one": port, "two": other})
        with pytest.raises(ConfigError, match=rf"cannot serve 'two' on port {other} \(.+\); choose another port"):
            await sandbox.start()
    socket.create_server(("127.0.0.1", port)).close()


async def test_a_port_that_there_is_not_is_an_error() -> None:
    """A number too large is said like one that is taken."""
    with pytest.raises(ConfigError, match=r"cannot serve 'acme' on port 70000 \(there is no such port\)"):
        await Sandbox.of([plugin()], ports={"acme": 70_000}).start()


async def test_a_sandbox_can_be_started_again() -> None:
    """Its emulators are still those."""
    sandbox = Sandbox.of([plugin()])
    async with asking(sandbox) as session:
        await count(sandbox, session)
    await sandbox.aclose()
    async with asking(sandbox) as session:
        assert 2 == (await count(sandbox, session))["calls"]


async def test_the_configuration_leads_a_client_to_the_sandbox() -> None:
    """Each provider is a backend of its name; what is per time is as fast as the sandbox."""
    slow = plugin("slow.one", limits=Limits(submits=3, per=30.0), poll=PollPolicy(interval=10.0))
    async with Sandbox.of([slow, plugin("quick", make=Plain, poll=PollPolicy(interval=0.1))], speed=20) as sandbox:
        document = tomllib.loads(sandbox.config())
        slow_url, quick_url = sandbox.base_url("slow.one"), sandbox.base_url("quick")
    assert document["backends"] == {
        "slow.one": {
            "provider": "slow.one",
            "api_key": "sandbox-key",
            "base_url": slow_url,
            "submits_per_minute": 120,
            "poll": {"interval": 0.5},
        },
        "quick": {"provider": "quick", "api_key": "plain-key", "base_url": quick_url, "poll": {"interval": 0.05}},
    }


def test_a_provider_without_an_emulator_is_named() -> None:
    """The error says which provider and which package."""
    provider = Provider(name="bare", base_url="https://api.bare.example", key_variable="BARE_KEY")
    with pytest.raises(PluginError, match="the provider 'bare' of 'bare-package' has no emulator") as raised:
        Sandbox.of([plugin_of("bare", Without(provider), package="bare-package")])
    assert "bare-package" == raised.value.package


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_at_which_time_does_not_pass_is_refused(speed: float) -> None:
    """The error says what was given."""
    with pytest.raises(ConfigError, match=f"above 0, not {speed!r}"):
        Sandbox.of([plugin()], speed=speed)


def test_a_provider_that_is_not_in_the_sandbox_is_said() -> None:
    """The error names those that are."""
    sandbox = Sandbox.of([plugin("one"), plugin("two")])
    for ask in (sandbox.base_url, sandbox.key):
        with pytest.raises(UnknownProviderError, match="no provider 'three'; it has one, two"):
            ask("three")


def test_a_sandbox_that_is_not_running_has_no_addresses() -> None:
    """The error says what to do."""
    sandbox = Sandbox.of([plugin()])
    with pytest.raises(GenbridgeError, match="not running"):
        sandbox.base_url("acme")
    with pytest.raises(GenbridgeError, match="not running"):
        sandbox.config()

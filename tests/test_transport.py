"""What is known when a call fails, and that nobody but the backend sees the key.

Servers are real and on loopback; aioresponses stands in only where a fault is of aiohttp's own making.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import pickle
import socket
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from traceback import walk_tb
from types import SimpleNamespace
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from aioresponses import aioresponses
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from genbridge import Call, PluginError, Reply, TransportError, Verdict, __version__
from genbridge import transport as module
from genbridge.keys import Secret
from genbridge.transport import Origin, Transport

KEY = "sk-0123456789-do-not-tell"
SIGNATURE = "X-Signature=5ig-0f-a-presigned-url"
HEADERS = {"authorization": f"Bearer {KEY}"}
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


# A server that does as it is told.


@attrs.define
class Peer:
    """A server on loopback: `requests` are what it was sent, `answer` what it does then."""

    answer: Answer
    reads: bool = True
    port: int = 0
    connections: int = 0
    requests: list[bytes] = attrs.field(factory=list)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    @property
    def heads(self) -> list[str]:
        return [request.partition(b"\r\n\r\n")[0].decode().lower() for request in self.requests]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Peer]:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.stop_listening()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop_listening(self) -> None:
        """Refuse every new connection."""
        if self._server is not None:
            self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                if self.reads:
                    self.requests.append(await _request(reader))
                await self.answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def says(data: bytes, *, then_closes: bool = False) -> Answer:
    """Return a server's behaviour: it sends that, whatever it was asked."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if then_closes:
            await writer.drain()
            writer.close()

    return answer


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    """Close without an answer."""
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    """Break the connection off."""
    writer.transport.abort()


async def stalls(_: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def stalls_in_the_middle(writer: asyncio.StreamWriter) -> None:
    """Begin an answer and never end it."""
    writer.write(OK[:-1])
    await asyncio.Event().wait()


async def drips(writer: asyncio.StreamWriter) -> None:
    """Send a byte at a time of an answer that would take for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0)


async def floods(writer: asyncio.StreamWriter) -> None:
    """Send more than any answer has."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(bytes(1 << 20))
        await writer.drain()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Give a transport, closed at the end."""
    transport = Transport()
    yield transport
    await transport.aclose()


def origin_of(base_url: str) -> Origin:
    """Return an origin with the key."""
    return Origin(base_url=base_url, headers=dict(HEADERS), secret=Secret(KEY))


def a_post(url: str = "/jobs", *, timeout: float = 0.3) -> Call:
    """Return a paid call."""
    return Call.post(url, json={"prompt": "a fox"}, timeout=timeout)


async def failed(transport: Transport, call: Call, base_url: str) -> TransportError:
    """Make a call that fails and return its error."""
    with pytest.raises(TransportError) as caught:
        await transport.send(call, origin_of(base_url))
    return caught.value


# Certainly not sent.


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def full_port() -> Iterator[int]:
    """Give a port whose queue is full, so that connecting to it never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


async def test_a_refused_connection_means_that_nothing_was_sent(transport: Transport) -> None:
    """And the error says where to look."""
    port = free_port()
    error = await failed(transport, a_post(), f"http://127.0.0.1:{port}")
    assert Verdict.NOT_SENT is error.verdict
    assert f"no connection to 127.0.0.1:{port} (" in error.message


async def test_a_name_that_nobody_knows_means_that_nothing_was_sent(transport: Transport) -> None:
    """The reserved top-level domain has no names."""
    error = await failed(transport, a_post(timeout=10), "https://nowhere.invalid")
    assert (Verdict.NOT_SENT, "nowhere.invalid was not found; check the base_url and the network") == (error.verdict, error.message)


@pytest.mark.parametrize("answer", [says(b"HTTP/1.1 400 Bad Request\r\n\r\n", then_closes=True), hangs_up, resets])
async def test_a_failed_tls_handshake_means_that_nothing_was_sent(transport: Transport, answer: Answer) -> None:
    """Here with a server that speaks plain HTTP, and with two that hang up."""
    async with Peer(answer, reads=False).serving() as peer:
        error = await failed(transport, a_post(timeout=5), f"https://127.0.0.1:{peer.port}")
    assert Verdict.NOT_SENT is error.verdict


async def test_a_tls_handshake_that_never_ends_means_that_nothing_was_sent(transport: Transport) -> None:
    """The server accepts the connection and says no more."""
    async with Peer(stalls, reads=False).serving() as peer:
        error = await failed(transport, a_post(), f"https://127.0.0.1:{peer.port}")
    assert (Verdict.NOT_SENT, f"no connection to 127.0.0.1:{peer.port} in time; check the network") == (
        error.verdict,
        error.message,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse a connection when the queue is full")
async def test_a_connection_that_never_comes_about_means_that_nothing_was_sent(transport: Transport, full_port: int) -> None:
    """The timeout passes before there is anything to write to."""
    error = await failed(transport, a_post(), f"http://127.0.0.1:{full_port}")
    assert (Verdict.NOT_SENT, f"no connection to 127.0.0.1:{full_port} in time; check the network") == (
        error.verdict,
        error.message,
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/jobs",
        "http://10.0.0.1/jobs",
        "http://127.1/jobs",
        "http://2130706433/jobs",
        "ftp://127.0.0.1/jobs",
        "jobs",
    ],
)
async def test_nothing_is_sent_in_the_clear_to_another_machine(transport: Transport, url: str) -> None:
    """Nor by another protocol."""
    error = await failed(transport, a_post(url), "https://api.example")
    assert Verdict.NOT_SENT is error.verdict
    assert f"{url!r} is not " in error.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://[::1/jobs?secret", "https://[::1/jobs"),
        ("https://api.example:99999/", "https://api.example:99999/"),
        ("https://api.example:0/", "https://api.example:0/"),
        ("https://me:secret@api.example:x/", "api.example:x/"),
        ("https:///jobs", "https:///jobs"),
        ("https://api.example\\@evil.example/", "evil.example/"),
        ("https://[::1]@", ""),
    ],
)
async def test_an_address_that_cannot_be_used_is_an_error_before_anything_is_sent(
    transport: Transport, url: str, shown: str
) -> None:
    """A service's answer may name one; its secrets are not repeated."""
    error = await failed(transport, a_post(url), "https://api.example")
    assert (Verdict.NOT_SENT, f"{shown!r} is not a usable address; check the base_url") == (error.verdict, error.message)


async def test_parameters_that_no_url_can_have_are_an_error_before_anything_is_sent(transport: Transport) -> None:
    """A plugin may make that mistake."""
    call = Call.get("/jobs", params={"page": None})  # type: ignore[dict-item]
    assert Verdict.NOT_SENT is (await failed(transport, call, "https://api.example")).verdict


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"a": object()}, "TypeError: Object of type object is not JSON serializable"),
        ({"a": float("nan")}, "ValueError: Out of range float values are not JSON compliant"),
        ({"a": "\ud800"}, "UnicodeEncodeError: "),
    ],
)
async def test_a_body_that_is_not_json_is_the_plugins_mistake_and_is_not_sent(
    transport: Transport, document: Any, reason: str
) -> None:
    """Python would write NaN, which no service reads."""
    async with Peer(says(OK)).serving() as peer:
        with pytest.raises(PluginError) as caught:
            await transport.send(Call.post("/jobs", json=document), origin_of(peer.url))
    assert str(caught.value).startswith(f"POST {peer.url}/jobs was not sent: its body cannot be written as JSON ({reason}")
    assert (0, None) == (peer.connections, caught.value.__context__)


@pytest.mark.parametrize("value", ["a\r\nauthorization: mine", "a\nb", "\0", "\ud800", None, 5, b"bytes"])
async def test_a_header_that_cannot_be_written_is_the_plugins_mistake_and_is_not_sent(transport: Transport, value: Any) -> None:
    """Above all one that would smuggle in another."""
    async with Peer(says(OK)).serving() as peer:
        with pytest.raises(PluginError) as caught:
            await transport.send(Call.post("/jobs", headers={"X-Own": value}), origin_of(peer.url))
    assert f"POST {peer.url}/jobs was not sent: its header 'x-own' cannot be written" == str(caught.value)
    assert 0 == peer.connections


# Perhaps sent.


FAULTS: dict[str, tuple[Answer, str]] = {
    "closes": (hangs_up, "closed the connection without an answer"),
    "resets": (resets, "127.0.0.1"),
    "closes in the headers": (says(OK[:20], then_closes=True), "127.0.0.1"),
    "closes in the body": (says(OK[:-1], then_closes=True), "was cut off"),
    "closes in a chunk": (
        says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}", then_closes=True),
        "was cut off",
    ),
    "closes between chunks": (
        says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", then_closes=True),
        "was cut off",
    ),
    "says what is not gzip": (
        says(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", then_closes=True),
        "127.0.0.1",
    ),
    "speaks no HTTP": (says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", then_closes=True), "is not proper HTTP"),
    "stalls": (stalls, "did not answer within 0.3 s"),
    "stalls in the middle": (stalls_in_the_middle, "did not answer within 0.3 s"),
    "drips": (drips, "did not answer within 0.3 s"),
    "redirects": (
        says(b"HTTP/1.1 302 Found\r\nlocation: https://u:p@evil.example/x?a=1\r\ncontent-length: 0\r\n\r\n"),
        "is redirected",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_call_that_may_have_arrived_is_never_said_not_to_have(transport: Transport, name: str) -> None:
    """Whatever happens after the first byte was written; the server has the request, once."""
    answer, words = FAULTS[name]
    async with Peer(answer).serving() as peer:
        error = await failed(transport, a_post(), peer.url)
    assert (Verdict.UNKNOWN, [b'{"prompt": "a fox"}']) == (error.verdict, peer.bodies)
    assert words in error.message


@pytest.mark.parametrize("answer", [hangs_up, resets])
async def test_a_server_that_hangs_up_before_it_reads_leaves_it_unknown(transport: Transport, answer: Answer) -> None:
    """The request may have been in its buffers."""
    async with Peer(answer, reads=False).serving() as peer:
        assert Verdict.UNKNOWN is (await failed(transport, a_post(), peer.url)).verdict


async def test_an_answer_without_end_is_given_up(transport: Transport) -> None:
    """No answer of a service has so many bytes."""
    async with Peer(floods).serving() as peer:
        error = await failed(transport, a_post(timeout=30), peer.url)
    expected = f"the answer of 127.0.0.1:{peer.port} is longer than 32 MB"
    assert (Verdict.UNKNOWN, expected) == (error.verdict, error.message)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(transport: Transport, status: int) -> None:
    """The key is for the backend's own origin, and a POST that is redirected may have done its work."""
    async with Peer(says(OK)).serving() as elsewhere:
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {elsewhere.url}/jobs?{SIGNATURE}\r\ncontent-length: 0\r\n\r\n"
        async with Peer(says(head.encode())).serving() as peer:
            error = await failed(transport, a_post(timeout=30), peer.url)
    expected = (
        f"POST {peer.url}/jobs is redirected to {elsewhere.url}/jobs (HTTP {status}), which is not followed; set the backend's "
        "base_url to the service's own address"
    )
    assert (Verdict.UNKNOWN, expected) == (error.verdict, error.message)
    assert (1, 0) == (peer.connections, elsewhere.connections)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("", "elsewhere"),
        ("location: https://[::1\r\n", "elsewhere"),
        ("location: https://[::1]@\r\n", "elsewhere"),
        (f"location: /login/{KEY}\r\n", "/login/***"),
        (f"location: https://{KEY}.example/a/{KEY}?{KEY}\r\n", "https://***.example/a/***"),
        ("location: /login?next=x#y\r\n", "/login"),
        ("location: https://me:secret@evil.example/x\r\n", "https://evil.example/x"),
    ],
)
async def test_a_redirect_that_leads_anywhere_is_told_without_its_secrets(transport: Transport, location: str, shown: str) -> None:
    """To nowhere, to nonsense, to a path and to a place with a password, or with the key."""
    async with Peer(says(f"HTTP/1.1 302 Found\r\n{location}content-length: 0\r\n\r\n".encode())).serving() as peer:
        error = await failed(transport, a_post(timeout=30), peer.url)
    assert f"is redirected to {shown} (HTTP 302)" in error.message


# What arrives.


async def test_an_answer_is_returned_whatever_its_status(transport: Transport) -> None:
    """With its headers in lower case and the time at which it came."""
    data = b'HTTP/1.1 402 Payment Required\r\nX-Request-Id: 7\r\ncontent-length: 11\r\n\r\n{"error":1}'
    async with Peer(says(data)).serving() as peer:
        reply = await transport.send(a_post(), origin_of(peer.url))
    assert (402, "7", b'{"error":1}', True) == (
        reply.status,
        reply.headers["x-request-id"],
        reply.body,
        isinstance(reply.received, float),
    )


async def test_a_body_of_json_arrives_as_utf_8(transport: Transport) -> None:
    """With its content type, its length and the key, as genbridge."""
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.post("/jobs", json={"prompt": "зимний лес 雪"}), origin_of(f"{peer.url}/base"))
    assert ['{"prompt": "зимний лес 雪"}'] == [body.decode() for body in peer.bodies]
    lines = peer.heads[0].split("\r\n")
    assert "post /base/jobs http/1.1" == lines[0]
    assert {"content-type: application/json", f"authorization: bearer {KEY}", "accept: application/json"} <= set(lines)
    assert 1 == sum(line.startswith("user-agent: genbridge/") for line in lines)


@pytest.mark.parametrize(
    "call",
    [
        Call.get("/jobs/1"),
        Call.post("/jobs", json={}),
        Call.put("/files/1", body=b"png", content_type="image/png"),
        Call(method="DELETE", url="/jobs/1"),
    ],
    ids=lambda call: call.method,
)
async def test_every_call_says_once_who_makes_it_and_what_it_takes(transport: Transport, call: Call) -> None:
    """A call that says so itself goes before."""
    own = attrs.evolve(call, headers={**call.headers, "User-Agent": "doodle", "Accept": "image/png"})
    async with Peer(says(OK)).serving() as peer:
        for each in (call, own):
            await transport.send(each, origin_of(peer.url))
    ours, theirs = ({line for line in head.split("\r\n") if line.startswith(("user-agent", "accept:"))} for head in peer.heads)
    assert {"accept: application/json", f"user-agent: genbridge/{__version__}"} == ours
    assert {"accept: image/png", "user-agent: doodle"} == theirs
    assert [1, 1] == [head.count("user-agent:") for head in peer.heads]


@pytest.mark.filterwarnings("error")
async def test_a_large_body_arrives_whole_and_without_a_warning(transport: Transport) -> None:
    """A local image may be in it."""
    image = "data:image/png;base64," + "A" * (3 * 1024**2)
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.post("/jobs", json=[image], timeout=20), origin_of(peer.url))
    assert [len(image) + 4] == [len(body) for body in peer.bodies]


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 10**400, "30"])
async def test_a_timeout_that_is_none_is_the_plugins_mistake_and_is_not_sent(transport: Transport, value: Any) -> None:
    """It must not keep other calls from their own."""
    async with Peer(says(OK)).serving() as peer:
        with pytest.raises(PluginError) as caught:
            await transport.send(Call.post("/jobs", timeout=value), origin_of(peer.url))
    assert f"POST {peer.url}/jobs was not sent: its timeout is no usable number of seconds" == str(caught.value)
    assert 0 == peer.connections


async def test_a_call_without_a_body_has_none(transport: Transport) -> None:
    """Its parameters go into the query."""
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.get("/jobs?a=1", params={"b": "x y&z"}), origin_of(peer.url))
    assert ("get /jobs?a=1&b=x+y%26z http/1.1", b"") == (peer.heads[0].split("\r\n")[0], peer.bodies[0])
    assert "content-type" not in peer.heads[0]


async def test_a_plugins_headers_go_along_and_cannot_replace_the_key(transport: Transport) -> None:
    """They may replace what genbridge says of itself."""
    headers = {"Accept": "text/plain", "Authorization": "none", "Content-Type": "application/a+json"}
    async with Peer(says(OK)).serving() as peer:
        for call in (Call.post("/jobs", json={}, headers=headers), Call.get("/jobs/1", headers=headers)):
            await transport.send(call, origin_of(peer.url))
    for head in peer.heads:
        found = [line for line in head.split("\r\n") if line.startswith(("accept:", "authorization:", "content-type:"))]
        assert {"accept: text/plain", f"authorization: bearer {KEY}", "content-type: application/a+json"} == set(found)
    assert 2 == len(peer.heads)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("date: Thu, 01 Jan 2026 12:00:00 GMT\r\nretry-after: Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("date: Thu, 01 Jan 2026 12:00:00 GMT\r\nretry-after: 7", 7.0),
        ("retry-after: Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
async def test_a_date_to_retry_after_is_relative_to_the_answers_own(transport: Transport, headers: str, expected: float) -> None:
    """Or to when the answer came, where it has no date."""
    async with Peer(says(f"HTTP/1.1 429 Busy\r\n{headers}\r\ncontent-length: 0\r\n\r\n".encode())).serving() as peer:
        reply = await transport.send(Call.get("/jobs"), origin_of(peer.url))
    assert expected == reply.retry_after


async def test_a_paid_call_that_was_held_up_does_not_leave_any_more(monkeypatch: pytest.MonkeyPatch, transport: Transport) -> None:
    """As when its process was stopped while it connected: others may have found that it never arrived. Another call may leave."""
    monkeypatch.setattr(module, "_CONNECTED_WITHIN", -1.0)
    async with Peer(says(OK)).serving() as peer:
        error = await failed(transport, a_post(timeout=5), peer.url)
        assert 200 == (await transport.send(Call.get("/x"), origin_of(peer.url))).status
    assert Verdict.NOT_SENT is error.verdict
    assert "this process was stopped before it could send the request" in error.message
    assert 1 == len(peer.requests)


# Connections.


@pytest.mark.parametrize("then_closes", [True, False])
async def test_each_paid_call_has_a_connection_of_its_own(transport: Transport, then_closes: bool) -> None:
    """So that a server that closes idle connections right after an answer never looks like one that lost the next submit."""
    async with Peer(says(OK, then_closes=then_closes)).serving() as peer:
        for _ in range(20):
            assert 200 == (await transport.send(a_post(timeout=5), origin_of(peer.url))).status
    assert (20, 20) == (peer.connections, len(peer.requests))


async def test_free_calls_share_a_connection(transport: Transport) -> None:
    """Polls are many."""
    async with Peer(says(OK)).serving() as peer:
        for _ in range(5):
            await transport.send(Call.get("/jobs/1"), origin_of(peer.url))
    assert (1, 5) == (peer.connections, len(peer.requests))


@attrs.define
class Crowd:
    """A server's behaviour: it keeps the first hundred waiting until `opened` is set, and answers all others."""

    asked: int = 0
    full: asyncio.Event = attrs.field(factory=asyncio.Event)
    opened: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if self.asked == 100:
            self.full.set()
        if self.asked <= 100:
            await self.opened.wait()
        writer.write(OK)


async def test_of_free_calls_a_hundred_are_under_way_and_the_next_does_not_wait_in_its_own_time(
    monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    """However long they take; a paid call is held back by none of them."""
    loop, ahead = asyncio.get_running_loop(), 0.0
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    crowd = Crowd()
    async with Peer(crowd).serving() as peer:
        origin = origin_of(peer.url)
        held = [asyncio.create_task(transport.send(Call.get(f"/{number}", timeout=600), origin)) for number in range(100)]
        await crowd.full.wait()
        late = asyncio.create_task(transport.send(Call.get("/late", timeout=30), origin))
        for _ in range(3):
            assert 200 == (await transport.send(a_post(timeout=30), origin)).status
        ahead += 60
        assert 200 == (await transport.send(a_post(timeout=30), origin)).status
        begun = crowd.asked
        crowd.opened.set()
        assert [200] * 101 == [reply.status for reply in await asyncio.gather(*held, late)]
    assert 100 + 4 == begun


async def test_a_paid_call_is_made_once_however_it_fails(transport: Transport) -> None:
    """Nothing underneath sends it again."""
    async with Peer(hangs_up).serving() as peer:
        await failed(transport, a_post(), peer.url)
    assert (1, 1) == (peer.connections, len(peer.requests))


async def test_an_upload_is_never_repeated_with_an_empty_body(transport: Transport) -> None:
    """Aiohttp repeats a PUT by itself, and old versions then have nothing left to send."""
    async with Peer(hangs_up).serving() as peer:
        call = Call.put("/file", body=b"x" * 1000, content_type="image/png", timeout=5)
        assert Verdict.UNKNOWN is (await failed(transport, call, peer.url)).verdict
    assert [b"x" * 1000] == peer.bodies


@pytest.mark.parametrize("call", [Call.get("/jobs"), Call(method="PUT", url="/jobs/1", json={})])
async def test_a_repeat_that_is_refused_does_not_unsend_the_first(transport: Transport, call: Call) -> None:
    """Some calls are repeated by aiohttp itself; here the server takes the first and is gone for the second."""

    async def goes_away(writer: asyncio.StreamWriter) -> None:
        peer.stop_listening()
        writer.close()

    async with Peer(goes_away).serving() as peer:
        error = await failed(transport, call, peer.url)
    assert (Verdict.UNKNOWN, 1) == (error.verdict, len(peer.requests))


async def test_a_closed_transport_opens_new_connections() -> None:
    """Closing is not for ever, and may be done twice."""
    transport = Transport()
    async with Peer(says(OK)).serving() as peer:
        for _ in range(2):
            await transport.send(Call.get("/jobs"), origin_of(peer.url))
            await transport.aclose()
            await transport.aclose()
    assert 2 == peer.connections


@pytest.mark.parametrize(("method", "seconds"), [("POST", "0.2"), ("PATCH", "0.2"), ("GET", "0.1"), ("DELETE", "0.1")])
async def test_paid_calls_are_given_more_time(method: str, seconds: str) -> None:
    """As an answer that is not waited for is a job in doubt."""
    transport = Transport(submit_timeout=0.2, timeout=0.1)
    async with Peer(stalls).serving() as peer:
        error = await failed(transport, Call(method=method, url="/"), peer.url)
    assert f"127.0.0.1:{peer.port} did not answer within {seconds} s" == error.message
    await transport.aclose()


async def test_cookies_are_not_kept(transport: Transport) -> None:
    """One account's session is not another's."""
    data = OK.replace(b"\r\n\r\n", b"\r\nset-cookie: session=1; Path=/\r\n\r\n")
    async with Peer(says(data)).serving() as peer:
        for _ in range(2):
            await transport.send(Call.get("/jobs"), origin_of(f"http://localhost:{peer.port}"))
    assert not any("cookie:" in head for head in peer.heads)


# Where the key goes.


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example",
        "https://api.example/x?y#z",
        "https://API.example:443/",
        "https://me@api.example/",
    ],
)
def test_the_key_goes_to_the_backends_own_origin(url: str) -> None:
    """However its address is spelt."""
    assert origin_of("https://api.example/base").owns(URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/",
        "https://api.example:8443/",
        "https://api.example.evil.example/",
        "https://evil.example/api.example",
        "https://api.example@evil.example/",
        "https://evil.example#@api.example/",
        "https://evil.example?@api.example/",
        "https://sub.api.example/",
        "https://api.example./",
        "/x",
    ],
)
def test_the_key_goes_to_no_other_origin(url: str) -> None:
    """Another scheme, port or host."""
    assert not origin_of("https://api.example/base").owns(URL(url))


async def test_a_path_that_looks_like_a_host_stays_on_the_backend(transport: Transport) -> None:
    """An id of two slashes is no address."""
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.get("//evil.example/x"), origin_of(peer.url))
    assert "get //evil.example/x http/1.1" == peer.heads[0].split("\r\n")[0]


async def test_a_presigned_upload_arrives_to_the_byte_and_without_the_key(transport: Transport) -> None:
    """Its URL is from an answer, its signature may be over every byte of it, and it is not for the key."""
    query = f"X-Credential=AK%2F2026%2fauto&b=%7E+%3A&a=1;2&{SIGNATURE}"
    async with Peer(says(OK)).serving() as peer, Peer(says(OK)).serving() as storage:
        call = Call.put(f"{storage.url}/b%2fk/../f%20x.png?{query}", body=b"png", content_type="image/png")
        await transport.send(call, origin_of(peer.url))
    assert storage.requests[0].startswith(f"PUT /b%2fk/../f%20x.png?{query} HTTP/1.1\r\n".encode())
    assert (b"png", False, 0) == (storage.bodies[0], KEY in storage.heads[0], peer.connections)
    assert "content-type: image/png" in storage.heads[0]


async def test_a_plain_call_elsewhere_goes_without_the_key(transport: Transport) -> None:
    """As where a service answers with the address of another to ask."""
    async with Peer(says(OK)).serving() as peer, Peer(says(OK)).serving() as other:
        await transport.send(Call.get(f"{other.url}/jobs/1"), origin_of(peer.url))
    assert (1, False) == (len(other.heads), KEY in other.heads[0])


async def test_the_key_goes_to_an_absolute_url_of_the_backend(transport: Transport) -> None:
    """A service may answer with the whole address of a poll."""
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.get(f"{peer.url}/jobs/1"), origin_of(peer.url))
    assert KEY in peer.heads[0]


# aiohttp's own errors, and those who test with aioresponses.


CONNECTION = ConnectionKey("api.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
INFO = RequestInfo(URL("https://api.example"), "POST", CIMultiDictProxy(CIMultiDict(HEADERS)), URL("https://api.example"))
RAISED = [
    (aiohttp.ClientConnectorError(CONNECTION, OSError(111, "Connection refused")), Verdict.NOT_SENT, "(Connection refused)"),
    (aiohttp.ClientConnectorError(CONNECTION, OSError("?")), Verdict.NOT_SENT, "(OSError)"),
    (aiohttp.ClientConnectorError(CONNECTION, socket.gaierror(-2, "unknown")), Verdict.NOT_SENT, "was not found"),
    (aiohttp.ClientConnectorSSLError(CONNECTION, ssl.SSLError(1, "bad")), Verdict.NOT_SENT, "could not be trusted"),
    (aiohttp.ClientConnectorCertificateError(CONNECTION, ssl.CertificateError("old")), Verdict.NOT_SENT, "could not be trusted"),
    (aiohttp.ConnectionTimeoutError("late"), Verdict.NOT_SENT, "no connection to api.example in time"),
    (aiohttp.InvalidURL("https://api.example"), Verdict.NOT_SENT, "no connection to api.example (InvalidURL)"),
    (aiohttp.ServerDisconnectedError(), Verdict.UNKNOWN, "api.example closed the connection without an answer"),
    (aiohttp.ClientPayloadError(KEY), Verdict.UNKNOWN, "the answer of api.example was cut off"),
    (aiohttp.ClientOSError(104, "Connection reset by peer"), Verdict.UNKNOWN, "broke (Connection reset by peer)"),
    (aiohttp.ClientConnectionError(KEY), Verdict.UNKNOWN, "broke (reset)"),
    (aiohttp.SocketTimeoutError("late"), Verdict.UNKNOWN, "did not answer within 0.3 s"),
    (TimeoutError(KEY), Verdict.UNKNOWN, "did not answer within 0.3 s"),
    (aiohttp.ClientResponseError(INFO, (), message=KEY), Verdict.UNKNOWN, "is not proper HTTP"),
    (RuntimeError(KEY), Verdict.UNKNOWN, "the call to api.example failed (RuntimeError)"),
]


class MockedResponse(aiohttp.ClientResponse):
    """An answer that aioresponses 0.7 can make with aiohttp 3.14."""

    def __init__(self, *values: Any, **names: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
            names["stream_writer"] = SimpleNamespace(output_size=0)
        super().__init__(*values, **names)


@pytest.fixture
def mocked() -> Iterator[aioresponses]:
    """Give aioresponses, which stands in for aiohttp's sessions."""
    with aioresponses() as mocked:
        yield mocked


@pytest.mark.parametrize(("raised", "verdict", "words"), RAISED, ids=lambda value: type(value).__name__)
async def test_an_error_of_aiohttp_is_taken_for_what_it_proves(
    transport: Transport, mocked: aioresponses, raised: Exception, verdict: Verdict, words: str
) -> None:
    """Only one that is of the connection itself proves that nothing was sent."""
    mocked.post("https://api.example/jobs", exception=raised)
    error = await failed(transport, a_post(), "https://api.example")
    assert verdict is error.verdict
    assert words in error.message


async def test_an_answer_of_aioresponses_is_an_answer(transport: Transport, mocked: aioresponses) -> None:
    """Users test their own code with it."""
    mocked.post("https://api.example/jobs", payload={"id": "1"}, status=201, response_class=MockedResponse)
    reply = await transport.send(a_post(), origin_of("https://api.example"))
    assert (201, {"id": "1"}) == (reply.status, reply.json())


# Secrets.


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and all that it was raised from or beside."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def shown(error: BaseException) -> Iterator[str]:
    """Return whatever may be printed of an error."""
    for each in chain(error):
        yield from (str(each), repr(each), repr(each.args), repr(vars(each)), *map(repr, getattr(each, "__notes__", ())))
        yield from (repr(vars(value)) for value in vars(each).values() if hasattr(value, "__dict__"))


def variables(error: BaseException) -> Iterator[str]:
    """Return the variables of the transport's own frames in the traceback, which some tools show."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_filename == module.__file__:
            yield repr(frame.f_locals)


def assert_nothing_leaks(error: TransportError, caplog: pytest.LogCaptureFixture) -> None:
    """Look for the key and the signature in an error, in its pickled form and in every log record."""
    logged = [f"{record.getMessage()} {record.args!r} {record.exc_info!r}" for record in caplog.records]
    assert any(record.name == "genbridge.transport" for record in caplog.records)
    places = [*shown(error), repr(pickle.dumps(error)), *logged]
    assert [] == [text for text in places if KEY in text or SIGNATURE in text or "secret" in text.lower()]
    assert [] == [text for text in variables(error) if KEY in text]


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Give the log of everybody, at its most talkative."""
    for name in ("", "genbridge", "aiohttp", "aiohttp.client", "aiohttp.internal", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.mark.parametrize("name", FAULTS)
async def test_no_failure_tells_the_key(transport: Transport, everything_logged: pytest.LogCaptureFixture, name: str) -> None:
    """Nor a URL's query, which may be signed."""
    asyncio.get_running_loop().set_debug(True)
    async with Peer(FAULTS[name][0]).serving() as peer:
        for call in (a_post(f"/jobs?{SIGNATURE}"), Call.get("/jobs", params={"key": SIGNATURE}, timeout=0.3)):
            everything_logged.clear()
            error = await failed(transport, call, peer.url)
            assert_nothing_leaks(error, everything_logged)


@pytest.mark.parametrize("answer", [stalls, stalls_in_the_middle, drips])
async def test_a_call_that_is_given_up_tells_no_key(transport: Transport, answer: Answer) -> None:
    """Nor do the variables along its traceback, which some tools show: aiohttp's frames have the headers."""
    with pytest.raises(TimeoutError) as caught:
        async with Peer(answer).serving() as peer, asyncio.timeout(0.2):
            await transport.send(a_post(timeout=30), origin_of(peer.url))
    frames = [frame for error in chain(caught.value) for frame, _ in walk_tb(error.__traceback__)]
    others = [frame for frame in frames if frame.f_code.co_filename != __file__]
    assert "_attempt" in {frame.f_code.co_name for frame in others}
    assert [] == [frame.f_code.co_qualname for frame in others if KEY in repr(frame.f_locals)]


async def test_a_small_answer_that_swells_is_given_up(transport: Transport) -> None:
    """Compressed nothings count by what they become."""
    squeeze = zlib.compressobj(wbits=31)
    bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    async with Peer(says(head + bomb)).serving() as peer:
        error = await failed(transport, a_post(timeout=30), peer.url)
    assert "longer than 32 MB" in error.message


@pytest.mark.parametrize("raised", [raised for raised, *_ in RAISED], ids=lambda value: type(value).__name__)
async def test_no_error_of_aiohttp_is_handed_on(
    transport: Transport, everything_logged: pytest.LogCaptureFixture, mocked: aioresponses, raised: Exception
) -> None:
    """As it may hold the request, and with it the key."""
    mocked.post("https://api.example/jobs", exception=raised)
    error = await failed(transport, a_post(), "https://api.example")
    assert (None, None) == (error.__cause__, error.__context__)
    assert_nothing_leaks(error, everything_logged)


async def test_no_failure_to_connect_tells_the_key(transport: Transport, everything_logged: pytest.LogCaptureFixture) -> None:
    """Where the URL has a password and a query, neither."""
    error = await failed(
        transport, a_post(f"https://me:secret@nowhere.invalid/x?{SIGNATURE}", timeout=10), "https://nowhere.invalid"
    )
    assert Verdict.NOT_SENT is error.verdict
    assert_nothing_leaks(error, everything_logged)


async def test_a_call_that_works_is_logged_without_key_and_query(
    transport: Transport, everything_logged: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with its status and how long it took."""
    async with Peer(says(OK)).serving() as peer:
        await transport.send(Call.get(f"/jobs?{SIGNATURE}"), origin_of(peer.url))
    (line,) = [record.getMessage() for record in everything_logged.records if record.name == "genbridge.transport"]
    assert line.startswith(f"GET {peer.url}/jobs: HTTP 200 in ")
    assert not any(KEY in text or SIGNATURE in text for text in everything_logged.messages)


def test_an_origin_does_not_show_its_key() -> None:
    """Neither does a call, nor an answer's body."""
    assert KEY not in repr(origin_of("https://api.example"))
    assert KEY not in repr((Call.get("/", headers=HEADERS), Reply(status=200, body=KEY.encode())))

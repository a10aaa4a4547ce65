"""The only module that talks HTTP to a service: sessions, timeouts, the key, and what is known when a call fails.

A `TransportError` from here carries a `Verdict`: `NOT_SENT` when it is certain that no byte of the request left, else `UNKNOWN`.
A `GET` starts nothing, so how far it came is not traced, and its verdict is `UNKNOWN`.
Redirects are not followed. Nothing that could hold the key (a header, aiohttp's own exceptions, which refer to the request) is
logged, or chained to an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import attrs
from yarl import URL

from genbridge import __version__
from genbridge.addresses import is_loopback
from genbridge.deadlines import Deadlines
from genbridge.errors import PluginError, TransportError
from genbridge.keys import Secret
from genbridge.timing import uptime
from genbridge.types import Verdict
from genbridge.wire import Call, Reply

_log = logging.getLogger(__name__)

_CONNECT = 15.0
_CONNECTED_WITHIN = _CONNECT + 1.0
"""Seconds after which a paid request does not leave any more, as somebody else may have found that it never did."""
_TIMEOUT = 30.0
_LONGEST = 1e9
"""No timeout is as long, in seconds."""
_PLACES = 100
"""How many calls that are not paid for are made at the same time."""
_MOST_BYTES = 32 * 1024**2
_PLAIN = re.compile(r"(?:/[\w~-][\w.~-]*)+", re.ASCII)
"""A path that is written on the wire as it is."""
_REPEATS_BY_NATURE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_UNTRACED = frozenset({"GET"})
"""What starts nothing, so that it does not matter how far it came."""

_BEFORE_SENDING = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
"""Errors that mean by themselves that no connection was made: refused, DNS, TLS, too slow to connect."""

_OUR_HEADERS = {"user-agent": f"genbridge/{__version__}", "accept": "application/json"}


@attrs.frozen(kw_only=True)
class Origin:
    """Where a backend's calls go, and the header that pays for them; `secret` is the key in it, which no message repeats."""

    base_url: str
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)
    secret: Secret | None = None
    _base: URL | None = attrs.field(init=False, repr=False)
    _own: tuple[str, str | None, int | None] | None = attrs.field(init=False, repr=False)
    """What is the same in the URL of every call to the service."""

    @_base.default
    def _parse(self) -> URL | None:
        return _parsed(self.base_url)

    @_own.default
    def _find(self) -> tuple[str, str | None, int | None] | None:
        return None if self._base is None else _origin(self._base)

    def resolve(self, call: Call) -> URL | None:
        """Return the absolute URL of a call, or `None` when it is none; one that the service made is kept to the byte."""
        if self._base is not None and not call.params and _PLAIN.fullmatch(call.url):
            return self._base.with_path(self._base.raw_path.rstrip("/") + call.url, encoded=True)
        if call.url.startswith("/"):
            return _parsed(self.base_url + call.url, call.params)
        return _parsed(call.url, call.params, exact=True)

    def owns(self, url: URL) -> bool:
        """Whether the key may go to that URL."""
        return _origin(url) == self._own


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


class Transport:
    """Makes calls. `submit_timeout` and `timeout` are in seconds, for paid POSTs and for all else."""

    def __init__(self, *, submit_timeout: float = 90.0, timeout: float = _TIMEOUT) -> None:
        self._submit_timeout = submit_timeout
        self._timeout = timeout
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._places = asyncio.Semaphore(_PLACES)
        self._deadlines = Deadlines()

    async def aclose(self) -> None:
        """Close all connections."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def send(self, call: Call, origin: Origin) -> Reply:
        """Make one call, once.

        Raises `TransportError` when there is no whole answer, and `PluginError` for a call that cannot be written.
        """
        url = _url(call, origin)
        body = _body(call, url)
        _check_headers(call, url)
        _check_timeout(call, url)
        started = time.perf_counter()
        if call.method in _REPEATS_BY_NATURE:
            async with self._places:  # outside its own time, which a call that waits for a connection would use up
                outcome = await self._attempt(call, url, origin, body)
        else:
            outcome = await self._attempt(call, url, origin, body)
        if _log.isEnabledFor(logging.DEBUG):
            said = outcome if isinstance(outcome, TransportError) else f"HTTP {outcome.status}"
            _log.debug("%s: %s in %.0f ms", _where(call, url), said, (time.perf_counter() - started) * 1000)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _attempt(self, call: Call, url: URL, origin: Origin, body: bytes | None) -> Reply | TransportError:
        """Make the call, and return rather than raise what went wrong, so that no aiohttp error is chained to it.

        The key is in this frame and below alone, which are no part of any traceback.
        """
        repeats = call.method in _REPEATS_BY_NATURE
        trace = None if call.method in _UNTRACED else _Trace(has_body=body is not None, paid=not repeats)
        seconds = call.timeout or (self._timeout if repeats else self._submit_timeout)
        outcome: Reply | TransportError | None = None
        stopped: tuple[object, ...] = ()
        self._deadlines.begin(seconds)
        try:
            response = await self._session(call.method).request(
                call.method,
                url,
                data=None if body is None else BytesIO(body),
                headers=_headers(call, url, origin),
                timeout=_timeout(seconds),
                allow_redirects=False,
                trace_request_ctx=trace,
            )
            reply_body = await _read(response)
            reply = Reply(status=response.status, headers=response.headers, body=reply_body, received=time.time())
            outcome = _redirection(reply, call, url, origin.secret) or reply
        except asyncio.CancelledError as stop:
            stopped = stop.args
        except Exception as error:  # noqa: BLE001 (whatever it is, the trace tells whether anything was sent)
            outcome = _failure(error, trace, url, seconds)
        finally:
            late = self._deadlines.end()
        if late and outcome is None:
            outcome = _failure(TimeoutError(), trace, url, seconds)
        if outcome is None:
            # Anew, as the traceback of the other leads through frames of aiohttp's that have the key.
            raise asyncio.CancelledError(*stopped)
        return outcome

    def _session(self, method: str) -> aiohttp.ClientSession:
        """Return the session for calls of a method.

        A pooled connection that the service has just closed fails a POST in a way that looks like a lost answer, so paid calls get
        a connection of their own each.
        """
        session = self._sessions.get(method)
        if session is None:
            connector = aiohttp.TCPConnector() if method in _REPEATS_BY_NATURE else aiohttp.TCPConnector(force_close=True, limit=0)
            session = self._sessions[method] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_OUR_HEADERS,
                trace_configs=[] if method in _UNTRACED else [_tracing()],
            )
        return session


@attrs.define
class _Trace:
    """How far one call got."""

    has_body: bool
    paid: bool
    begun: float = attrs.field(factory=uptime)
    started: bool = False
    sent: bool = False


def _tracing() -> aiohttp.TraceConfig:
    async def started(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.started = True

    async def connected(_: Any, context: SimpleNamespace, __: Any) -> None:
        trace = context.trace_request_ctx
        if trace.paid and uptime() - trace.begun > _CONNECTED_WITHIN:
            raise _StoppedError

    async def sent(_: Any, context: SimpleNamespace, __: Any) -> None:
        trace = context.trace_request_ctx
        if trace.sent and trace.has_body:
            # aiohttp repeats a PUT by itself, and old versions then send what is left of the body: nothing (3.10).
            raise aiohttp.ClientConnectionError("the body was read")
        trace.sent = True

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_connection_create_end.append(connected)
    config.on_request_headers_sent.append(sent)
    return config


@cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Return the timeout of a connection, and none of the whole, which is given up by `Deadlines`."""
    return aiohttp.ClientTimeout(total=None, sock_connect=min(_CONNECT, seconds))


def _url(call: Call, origin: Origin) -> URL:
    """Return where a call goes; raises `TransportError` when it may not go there."""
    url = origin.resolve(call)
    if url is not None and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.raw_host or ""))):
        return url
    text = origin.base_url + call.url if call.url.startswith("/") else call.url
    shown = text.partition("?")[0].rpartition("@")[2]
    if url is None:
        raise TransportError(f"{shown!r} is not a usable address; check the base_url", verdict=Verdict.NOT_SENT)
    raise TransportError(f"{shown!r} is not https; plain http goes to this machine only", verdict=Verdict.NOT_SENT)


def _parsed(text: str, params: Mapping[str, str] | None = None, *, exact: bool = False) -> URL | None:
    """Return a URL, or `None` when it is none; `exact` keeps it to the byte where that can be, as a signature may be over it."""
    try:
        url = URL(text, encoded=exact and text.isascii() and text.isprintable() and " " not in text)
        url = url.update_query(dict(params)) if params else url
        usable = url.raw_host and url.port != 0
    except (ValueError, TypeError, IndexError):  # the last is yarl's own, of https://[::1]@
        return None
    return url if usable else None


def _where(call: Call, url: URL) -> str:
    return f"{call.method} {_without_query(url)}"


def _body(call: Call, url: URL) -> bytes | None:
    if call.json is None:
        return call.body
    try:
        return json.dumps(call.json, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise PluginError(f"{_where(call, url)} was not sent: its body cannot be written as JSON ({problem})")


def _check_headers(call: Call, url: URL) -> None:
    headers: Mapping[str, object] = call.headers
    for name, value in headers.items():
        if not isinstance(value, str) or not (name + value).isprintable():
            raise PluginError(f"{_where(call, url)} was not sent: its header {name!r} cannot be written")


def _check_timeout(call: Call, url: URL) -> None:
    seconds: object = call.timeout
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < _LONGEST):
        raise PluginError(f"{_where(call, url)} was not sent: its timeout is no usable number of seconds")


def _headers(call: Call, url: URL, origin: Origin) -> Mapping[str, str]:
    """Return the headers of a call, beside those of every call."""
    paying = origin.headers if origin.owns(url) else {}
    if call.json is None and not call.headers:
        return paying
    content = {} if call.json is None else {"content-type": "application/json"}
    return content | dict(call.headers) | paying


def _failure(error: Exception, trace: _Trace | None, url: URL, seconds: float) -> TransportError:
    host = _without_user(url).raw_authority
    if trace is None:
        words = _why_unsent(error, host) if isinstance(error, _BEFORE_SENDING) else _in_words(error, host, seconds)
        return TransportError(words, verdict=Verdict.UNKNOWN)
    before = isinstance(error, _BEFORE_SENDING) or trace.started
    if trace.sent or not before:
        return TransportError(_in_words(error, host, seconds), verdict=Verdict.UNKNOWN)
    return TransportError(_why_unsent(error, host), verdict=Verdict.NOT_SENT)


def _why_unsent(error: Exception, host: str) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return f"{host} could not be trusted: its TLS certificate or handshake is not valid; check the base_url and the clock"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, socket.gaierror):
            return f"{host} was not found; check the base_url and the network"
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            return f"no connection to {host} ({reason}); check the base_url and the network"
        case TimeoutError():
            return f"no connection to {host} in time; check the network"
        case _StoppedError():
            return f"this process was stopped before it could send the request to {host}"
        case _:
            return f"no connection to {host} ({type(error).__name__}); check the base_url"


def _in_words(error: Exception, host: str, seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"{host} did not answer within {seconds:g} s"
        case aiohttp.ServerDisconnectedError():
            return f"{host} closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return f"the answer of {host} was cut off"
        case aiohttp.ClientConnectionError():
            return f"the connection to {host} broke ({getattr(error, 'strerror', None) or 'reset'})"
        case aiohttp.ClientResponseError():
            return f"the answer of {host} is not proper HTTP"
        case _TooLongError():
            return f"the answer of {host} is longer than {_MOST_BYTES // 1024**2} MB"
        case _:
            return f"the call to {host} failed ({type(error).__name__})"


class _StoppedError(aiohttp.ClientConnectionError):
    """So much time has passed since a call was begun that it must not leave any more."""


class _TooLongError(Exception):
    """An answer has more bytes than any answer should."""


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the whole body, whose end gives the connection back; when it is not to be had, the connection is closed."""
    if response.content.is_eof():
        return _bounded(response.content.read_nowait())
    try:
        return await _gathered(response.content)
    except BaseException:
        response.close()
        raise


async def _gathered(content: aiohttp.StreamReader) -> bytes:
    chunks = bytearray()
    while chunk := await content.readany():
        chunks += _bounded(chunk, len(chunks))
    return bytes(chunks)


def _bounded(chunk: bytes, before: int = 0) -> bytes:
    if before + len(chunk) > _MOST_BYTES:
        raise _TooLongError
    return chunk


def _redirection(reply: Reply, call: Call, url: URL, secret: Secret | None) -> TransportError | None:
    """Return the error that an answer is which leads elsewhere, if it does."""
    if not 300 <= reply.status < 400:
        return None
    target = _target(reply) if secret is None else secret.struck_from(_target(reply))
    return TransportError(
        f"{_where(call, url)} is redirected to {target} (HTTP {reply.status}), which is not followed; set the backend's "
        "base_url to the service's own address",
        verdict=Verdict.UNKNOWN,
    )


def _target(reply: Reply) -> str:
    try:
        return _without_query(URL(reply.headers.get("location") or "elsewhere"))
    except (ValueError, IndexError):
        return "elsewhere"


def _without_query(url: URL) -> str:
    return str(_without_user(url).with_query(None).with_fragment(None))


def _without_user(url: URL) -> URL:
    return url.with_user(None) if url.raw_user or url.raw_password else url

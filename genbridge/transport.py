"""The only module that talks HTTP to a service: sessions, timeouts, the key, and what is known when a call fails.

A `TransportError` from here carries a `Verdict`: `NOT_SENT` when it is certain that no byte of the request left, else `UNKNOWN`.
Redirects are not followed. Nothing that could hold the key (a header, aiohttp's own exceptions, which refer to the request) is
logged, or chained to an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import aiohttp
import attrs
from yarl import URL

from genbridge import __version__
from genbridge.addresses import is_loopback
from genbridge.errors import PluginError, TransportError
from genbridge.keys import Secret
from genbridge.types import Verdict
from genbridge.wire import Call, Reply

_log = logging.getLogger(__name__)

_CONNECT = 15.0
_CONNECTED_WITHIN = _CONNECT + 1.0
"""Seconds after which a paid request does not leave any more, as somebody else may have found that it never did."""
_TIMEOUT = 30.0
_MOST_BYTES = 32 * 1024**2
_REPEATS_BY_NATURE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

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

    def resolve(self, url: str) -> str:
        """Return the absolute URL of a call."""
        return self.base_url + url if url.startswith("/") else url

    def owns(self, url: URL) -> bool:
        """Whether the key may go to that URL."""
        return _origin(url) == _origin(URL(self.base_url))


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


class Transport:
    """Makes calls. `submit_timeout` and `timeout` are in seconds, for paid POSTs and for all else."""

    def __init__(self, *, submit_timeout: float = 90.0, timeout: float = _TIMEOUT) -> None:
        self._submit_timeout = submit_timeout
        self._timeout = timeout
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

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
        where = f"{call.method} {_without_query(url)}"
        body = _body(call, where)
        _check_headers(call, where)
        started = time.perf_counter()
        outcome = await self._attempt(call, url, origin, body, where)
        if isinstance(outcome, TransportError):
            _log.debug("%s: %s", where, outcome)
            raise outcome
        _log.debug("%s: HTTP %d in %.0f ms", where, outcome.status, (time.perf_counter() - started) * 1000)
        return outcome

    async def _attempt(self, call: Call, url: URL, origin: Origin, body: bytes | None, where: str) -> Reply | TransportError:
        """Make the call, and return rather than raise what went wrong, so that no aiohttp error is chained to it.

        The key is in this frame and below alone, which are no part of any traceback.
        """
        repeats = call.method in _REPEATS_BY_NATURE
        trace = _Trace(has_body=body is not None, paid=not repeats)
        seconds = call.timeout or (self._timeout if repeats else self._submit_timeout)
        try:
            async with self._session(fresh=not repeats).request(
                call.method,
                url,
                data=None if body is None else BytesIO(body),
                headers=_headers(call, url, origin),
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(_CONNECT, seconds)),
                allow_redirects=False,
                trace_request_ctx=trace,
            ) as response:
                reply_body = await _read(response)
                reply = Reply(status=response.status, headers=dict(response.headers), body=reply_body, received=time.time())
                return _redirection(reply, where, origin.secret) or reply
        except asyncio.CancelledError as stop:
            stopped = stop.args
        except Exception as error:  # noqa: BLE001 (whatever it is, the trace tells whether anything was sent)
            return _failure(error, trace, url, seconds)
        # Anew, as the traceback of the other leads through frames of aiohttp's that have the key.
        raise asyncio.CancelledError(*stopped)

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session for paid calls (`fresh`) or for all others.

        A pooled connection that the service has just closed fails a POST in a way that looks like a lost answer, so paid calls get
        a connection of their own each.
        """
        if fresh not in self._sessions:
            connector = aiohttp.TCPConnector(force_close=True, limit=0) if fresh else aiohttp.TCPConnector()
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_tracing()]
            )
        return self._sessions[fresh]


@attrs.define
class _Trace:
    """How far one call got."""

    has_body: bool
    paid: bool
    begun: float = attrs.field(factory=time.monotonic)
    started: bool = False
    sent: bool = False


def _tracing() -> aiohttp.TraceConfig:
    async def started(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.started = True

    async def connected(_: Any, context: SimpleNamespace, __: Any) -> None:
        trace = context.trace_request_ctx
        if trace.paid and time.monotonic() - trace.begun > _CONNECTED_WITHIN:
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


def _url(call: Call, origin: Origin) -> URL:
    """Return where a call goes; a URL that the service made is kept to the byte, as a signature may be over it."""
    text = origin.resolve(call.url)
    shown = text.partition("?")[0].rpartition("@")[2]
    url = _parsed(text, call.params, exact=text is call.url)
    if url is None:
        raise TransportError(f"{shown!r} is not a usable address; check the base_url", verdict=Verdict.NOT_SENT)
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url.raw_host or "")):
        return url
    raise TransportError(f"{shown!r} is not https; plain http goes to this machine only", verdict=Verdict.NOT_SENT)


def _parsed(text: str, params: Mapping[str, str], *, exact: bool) -> URL | None:
    try:
        url = URL(text, encoded=exact and text.isascii() and text.isprintable() and " " not in text)
        url = url.update_query(dict(params)) if params else url
        usable = url.raw_host and url.port != 0
    except (ValueError, TypeError, IndexError):  # the last is yarl's own, of https://[::1]@
        return None
    return url if usable else None


def _body(call: Call, where: str) -> bytes | None:
    if call.json is None:
        return call.body
    try:
        return json.dumps(call.json, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise PluginError(f"{where} was not sent: its body cannot be written as JSON ({problem})")


def _check_headers(call: Call, where: str) -> None:
    headers: Mapping[str, object] = call.headers
    for name, value in headers.items():
        if not isinstance(value, str) or not (name + value).isprintable():
            raise PluginError(f"{where} was not sent: its header {name!r} cannot be written")


def _headers(call: Call, url: URL, origin: Origin) -> dict[str, str]:
    content = {} if call.json is None else {"content-type": "application/json"}
    return _OUR_HEADERS | content | dict(call.headers) | (origin.headers if origin.owns(url) else {})


def _failure(error: Exception, trace: _Trace, url: URL, seconds: float) -> TransportError:
    before = isinstance(error, _BEFORE_SENDING) or (trace.started and not trace.sent)
    host = _without_user(url).raw_authority
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
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        chunks += chunk
        if len(chunks) > _MOST_BYTES:
            raise _TooLongError
    return bytes(chunks)


def _redirection(reply: Reply, where: str, secret: Secret | None) -> TransportError | None:
    """Return the error that an answer is which leads elsewhere, if it does."""
    if not 300 <= reply.status < 400:
        return None
    target = _target(reply) if secret is None else secret.struck_from(_target(reply))
    return TransportError(
        f"{where} is redirected to {target} (HTTP {reply.status}), which is not followed; set the backend's base_url to the "
        "service's own address",
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

"""The only module that talks HTTP to a service: sessions, timeouts, the key, and what is known when a call fails.

A `TransportError` from here carries a `Verdict`: `NOT_SENT` when it is certain that no byte of the request left, else `UNKNOWN`.
Redirects are not followed. Nothing that could hold the key (a header, aiohttp's own exceptions, which refer to the request) is
logged, or chained to an error.
"""

from __future__ import annotations

import json
import logging
import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import attrs

from genbridge import __version__
from genbridge.addresses import is_loopback
from genbridge.errors import TransportError
from genbridge.types import Verdict
from genbridge.wire import Call, Reply

_log = logging.getLogger(__name__)

_CONNECT = 15.0
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


@attrs.frozen(kw_only=True)
class Origin:
    """Where a backend's calls go, and the header that pays for them."""

    base_url: str
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)

    def resolve(self, url: str) -> str:
        """Return the absolute URL of a call."""
        return self.base_url + url if url.startswith("/") else url

    def owns(self, url: str) -> bool:
        """Whether the key may go to that URL."""
        return _origin(url) == _origin(self.base_url)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


class Transport:
    """Makes calls. `submit_timeout` and `timeout` are in seconds, for paid POSTs and for all else."""

    def __init__(self, *, submit_timeout: float = 90.0, timeout: float = _TIMEOUT) -> None:
        self._submit_timeout = submit_timeout
        self._timeout = timeout
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def send(self, call: Call, origin: Origin) -> Reply:
        """Make one call, once; raises `TransportError` when there is no whole answer."""
        url = origin.resolve(call.url)
        _check_scheme(url)
        headers = {"user-agent": f"genbridge/{__version__}", "accept": "application/json"} | dict(call.headers)
        if origin.owns(url):
            headers |= origin.headers
        started = time.perf_counter()
        outcome = await self._attempt(call, url, headers)
        where = f"{call.method} {_without_query(url)}"
        if isinstance(outcome, TransportError):
            _log.debug("%s: %s", where, outcome)
            raise outcome
        _log.debug("%s: HTTP %d in %.0f ms", where, outcome.status, (time.perf_counter() - started) * 1000)
        _check_redirect(outcome, where)
        return outcome

    async def _attempt(self, call: Call, url: str, headers: dict[str, str]) -> Reply | TransportError:
        """Make the call, and return rather than raise what went wrong, so that no aiohttp error is chained to it."""
        trace = _Trace()
        repeats = call.method in _REPEATS_BY_NATURE
        seconds = call.timeout or (self._timeout if repeats else self._submit_timeout)
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(_CONNECT, seconds))
        body = call.body
        if call.json is not None:
            body = json.dumps(call.json, ensure_ascii=False).encode()
            headers = {"content-type": "application/json"} | headers
        try:
            async with self._session(fresh=not repeats).request(
                call.method,
                url,
                params=dict(call.params) or None,
                data=None if body is None else BytesIO(body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                trace_request_ctx=trace,
            ) as response:
                reply_body = await _read(response)
                return Reply(status=response.status, headers=dict(response.headers), body=reply_body, received=time.time())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _failure(error, trace, url, seconds)

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

    started: bool = False
    sent: bool = False


def _tracing() -> aiohttp.TraceConfig:
    async def started(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.started = True

    async def sent(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.sent = True

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_request_headers_sent.append(sent)
    return config


def _failure(error: BaseException, trace: _Trace, url: str, seconds: float) -> TransportError:
    host = urlsplit(url).netloc.rpartition("@")[2]
    before = isinstance(error, _BEFORE_SENDING) or (trace.started and not trace.sent)
    verdict = Verdict.NOT_SENT if before and not trace.sent else Verdict.UNKNOWN
    return TransportError(_in_words(error, host, seconds), verdict=verdict)


def _in_words(error: BaseException, host: str, seconds: float) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | aiohttp.ServerFingerprintMismatch():
            return f"{host} could not be trusted: its TLS certificate or handshake is not valid; check the base_url and the clock"
        case aiohttp.ClientConnectorDNSError():
            return f"{host} was not found; check the base_url and the network"
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            return f"no connection to {host} ({reason}); check the base_url and the network"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection to {host} in time; check the network"
        case TimeoutError():
            return f"{host} did not answer within {seconds:g} s"
        case aiohttp.ServerDisconnectedError():
            return f"{host} closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return f"the answer of {host} was cut off"
        case aiohttp.InvalidURL():
            return f"{host!r} is not a usable address; check the base_url"
        case aiohttp.ClientOSError():
            return f"the connection to {host} broke ({error.strerror or 'reset'})"
        case _:
            return f"the answer of {host} cannot be read ({type(error).__name__})"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        chunks += chunk
        if len(chunks) > _MOST_BYTES:
            raise ValueError("too long")
    return bytes(chunks)


def _check_scheme(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    where = _without_query(url)
    raise TransportError(f"{where!r} is not https; plain http goes to this machine only", verdict=Verdict.NOT_SENT)


def _check_redirect(reply: Reply, where: str) -> None:
    if 300 <= reply.status < 400:
        target = _without_query(reply.headers.get("location", "elsewhere"))
        raise TransportError(
            f"{where} is redirected to {target} (HTTP {reply.status}), which is not followed; set the backend's base_url to the "
            "service's own address",
            verdict=Verdict.UNKNOWN,
        )


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()

"""HTTP on loopback: requests become calls, and replies become responses."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from math import ceil
from typing import Any

from aiohttp import web

from genbridge.wire import Call, Reply

HOST = "127.0.0.1"

_log = logging.getLogger(__name__)

_MOST_BYTES = 128 * 1024**2
"""The largest body that is taken: more than any reference file a service accepts, also as base64."""
_LAST_ANSWERS = 2.0
"""For how many seconds a server that stops still answers."""
_BACKLOG = 1024
_OURS = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def serve(
    name: str, answer: Callable[[Call], Awaitable[Reply]], *, port: int, speed: float, most_bytes: int = _MOST_BYTES
) -> web.AppRunner:
    """Serve a provider's answers on a port, or on any free one for 0.

    A `Retry-After` is in the provider's seconds, which are `speed` times shorter than ours. `most_bytes` is how long a body may be.
    Raises `OSError` for a port that cannot be had, and `OverflowError` for a number that is no port.
    """

    async def handle(request: web.Request) -> web.Response:
        try:
            call = await _call(request)
        except web.HTTPRequestEntityTooLarge:
            return _error(413, f"the sandbox takes up to {most_bytes} bytes")
        try:
            return _response(await answer(call), request, speed)
        except Exception:  # noqa: BLE001 - a broken emulator must not stop the others
            _log.exception("the sandbox's emulator of %r failed at %s %s", name, request.method, request.path)
            return _error(500, f"the sandbox's emulator of {name!r} failed; the log says why")

    app = web.Application(client_max_size=most_bytes)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_ANSWERS)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, backlog=_BACKLOG).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


async def _call(request: web.Request) -> Call:
    body = await request.read()
    document = None if request.method == "PUT" else _document(body)
    return Call(
        method="GET" if request.method == "HEAD" else request.method,
        url=_url(request),
        headers=dict(request.headers),
        json=document,
        body=body if document is None and (body or request.method == "PUT") else None,
    )


def _url(request: web.Request) -> str:
    """Return the URL as it was asked for; `request.url` fails where aiohttp is older than what its own libraries have become."""
    target = request.raw_path
    return target if target.startswith("http://") else f"http://{request.host}{target}"


def _document(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _response(reply: Reply, request: web.Request, speed: float) -> web.Response:
    headers = {name: value for name, value in reply.headers.items() if name not in _OURS}
    if headers.get("retry-after", "").isdecimal():
        headers["retry-after"] = str(ceil(int(headers["retry-after"]) / speed))
    if request.method in ("GET", "HEAD") and reply.status == 200 and "json" not in headers.get("content-type", "json"):
        return _file(reply.body, headers, request.headers)
    return web.Response(status=reply.status, headers=headers, body=reply.body)


def _file(body: bytes, headers: dict[str, str], asked: Mapping[str, str]) -> web.Response:
    """Return a file, or the part of it that was asked for."""
    headers |= {"accept-ranges": "bytes", "etag": f'"{sha256(body).hexdigest()[:32]}"'}
    same = asked.get("If-Range", headers["etag"]) == headers["etag"]
    part = _part(asked.get("Range", ""), len(body)) if same else None
    if part is None:
        return web.Response(headers=headers, body=body)
    if not part:
        return web.Response(status=416, headers={"content-range": f"bytes */{len(body)}"})
    headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
    return web.Response(status=206, headers=headers, body=body[part.start : part.stop])


def _part(asked: str, size: int) -> range | None:
    """Read a `Range` header (RFC 9110, 14.2): `None` asks for the whole, and an empty part cannot be given."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or asked.endswith("=-"):
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1) if last else size)

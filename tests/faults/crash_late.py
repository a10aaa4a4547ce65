"""A network that holds POSTs back: they arrive at the service some seconds after they were sent, when their sender may be dead."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from crash_child import forked

_HOST = "127.0.0.1"


@contextmanager
def held_back(base_url: str, seconds: float, *, log: Path) -> Iterator[str]:
    """Put one before a service; yields the base URL that leads through it. `seconds` are ours."""
    parts = urlsplit(base_url)
    with socket.create_server((_HOST, 0)) as listener:
        pid = forked(lambda: asyncio.run(_serve(listener, parts.port or 0, seconds)), log=log)
        try:
            yield parts._replace(netloc=f"{_HOST}:{listener.getsockname()[1]}").geturl()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


async def _serve(listener: socket.socket, port: int, seconds: float) -> None:
    server = await asyncio.start_server(partial(_pass_on, port, seconds), sock=listener)
    await server.serve_forever()


async def _pass_on(port: int, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one request on, also when its sender has gone, and the answer back, if anybody is there."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        request = await _request(reader)
        if request.startswith(b"POST"):
            await asyncio.sleep(seconds)
        service, to_service = await asyncio.open_connection(_HOST, port)
        to_service.write(request)
        answer = await service.read(-1)
        to_service.close()
        writer.write(answer)
        await writer.drain()
    writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)

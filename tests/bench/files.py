# ruff: noqa: T201 (a benchmark prints what it measures)
"""Fetch large files with genbridge and with curl, in turns, and print how they compare.

    python files.py [--quick] [--rounds 5] [--directory DIR] [--json FILE]

A server in a process of its own sends from memory, over loopback: one file of a gigabyte, eight of 100 MB, and two hundred of one.
Each round fetches them with

* curl, which writes and nothing more;
* curl and then sha256sum and sync, as genbridge promises that the digest of a file is known and that it is on the disk;
* genbridge, with its checks, digests and sidecars.

All have four files under way at once. What counts is the ratio to curl in the same round, of which the median is printed: time and
CPU (user and system), and of genbridge also the most memory that it took beyond what it had before, and how late its event loop was
for a task that sleeps five milliseconds at a time. How late it was while nothing was fetched stands beside that, as other programs
make it late too. The start of a process counts for curl, where it is some milliseconds, and not for genbridge. `--directory` may
name a file system in memory, to leave the disk out of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MB = 1_000_000
SCENARIOS = {"one of 1 GB": (1, 1000 * MB), "8 of 100 MB": (8, 100 * MB), "200 of 1 MB": (200, MB)}
QUICK = {"one of 200 MB": (1, 200 * MB), "4 of 50 MB": (4, 50 * MB), "50 of 1 MB": (50, MB)}
AT_ONCE = 4
TICK = 0.005
"""Seconds that the task sleeps that shows how late the loop is."""
_BUFFER = 1 << 20


# The server


def serve() -> None:
    """Serve `GET /<bytes>` with a video of so many bytes, until stdin ends; prints the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    buffer = memoryview(bytes(_BUFFER))
    with connection, connection.makefile("rb") as lines:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := lines.readline():
            while lines.readline().strip():
                pass
            _send(connection, int(request.split()[1].strip(b"/").partition(b".")[0]), buffer)


def _send(connection: socket.socket, size: int, buffer: memoryview) -> None:
    head = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"
    head += (size - len(head)).to_bytes(4, "big") + b"mdat"
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: "1"\r\n\r\n' % size + head)
    left = size - len(head)
    while left:
        left -= connection.send(buffer[:left])


# The clients


def fetch(origin: str, count: int, size: int, directory: str) -> dict[str, float]:
    """Download with genbridge, in this process; return what that took."""
    from genbridge.downloads import download, open_session  # noqa: F401 (not part of what is measured)

    urls = [f"{origin}/{size}.{number}" for number in range(count)]
    return asyncio.run(_measured(lambda: download(_result(urls), directory)))


def _result(urls: Sequence[str]) -> Any:
    from genbridge import Asset, Cost, Media, Result, VideoRequest

    now = datetime.now(UTC)
    return Result(
        job_id="0123456789abcdef",
        backend="bench",
        provider="bench",
        model="bench",
        request=VideoRequest("A large file"),
        assets=tuple(Asset(url=url, media=Media.VIDEO) for url in urls),
        cost=Cost(amount=1.0),
        created_at=now,
        finished_at=now,
    )


async def _measured(work: Callable[[], Any]) -> dict[str, float]:
    late: list[float] = []
    ticking = asyncio.ensure_future(_tick(late))
    await asyncio.sleep(100 * TICK)
    idle = _p99(late)
    late.clear()
    memory, cpu, begun = _peak(), time.process_time(), time.perf_counter()
    await work()
    wall, spent = time.perf_counter() - begun, time.process_time() - cpu
    ticking.cancel()
    lateness = {"late_idle": idle, "late_p99": _p99(late), "late_max": max(late)}
    return {"wall": wall, "cpu": spent, "memory": _peak() - memory, **lateness}


def _p99(late: list[float]) -> float:
    return sorted(late)[int(len(late) * 0.99)]


async def _tick(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        late.append(time.perf_counter() - due)


def _peak() -> float:
    """Return the most memory this process has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def by_genbridge(origin: str, count: int, size: int, directory: str) -> dict[str, float]:
    """Download with genbridge in a new process."""
    command = [sys.executable, __file__, "--fetch", origin, str(count), str(size), directory]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def by_curl(origin: str, count: int, size: int, directory: str) -> dict[str, float]:
    """Download with curl."""
    return _timed(lambda: _run(_curl(origin, count, size, directory)))


def by_curl_and_sha256sum(origin: str, count: int, size: int, directory: str) -> dict[str, float]:
    """Download with curl, then digest the files and wait until they are on the disk."""

    def work() -> None:
        _run(_curl(origin, count, size, directory))
        files = sorted(str(path) for path in Path(directory).iterdir())
        _run(["sync", *files])
        _run(["sha256sum", *files])

    return _timed(work)


def _curl(origin: str, count: int, size: int, directory: str) -> list[str]:
    files = [argument for number in range(count) for argument in ("-o", f"{directory}/{number}", f"{origin}/{size}.{number}")]
    return ["curl", "-sSq", "--parallel", "--parallel-immediate", "--parallel-max", str(AT_ONCE), *files]


def _run(command: Sequence[str]) -> None:
    # With --parallel, some versions of curl show their progress even when they are to be silent.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _timed(work: Callable[[], None]) -> dict[str, float]:
    before, begun = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall": wall, "cpu": cpu}


CLIENTS = {"curl": by_curl, "curl, sha256sum, sync": by_curl_and_sha256sum, "genbridge": by_genbridge}


# The comparison


def compare(origin: str, count: int, size: int, *, rounds: int, directory: str | None) -> dict[str, dict[str, float]]:
    """Run all clients in turns; return the medians, with the ratios to curl in the same round."""
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for number in range(rounds):
        names = list(CLIENTS) if number % 2 else list(CLIENTS)[::-1]
        for name in names:
            turns[name].append(_turn(name, origin, count, size, directory))
    return {name: _summary(turns[name], turns["curl"]) for name in CLIENTS}


def _turn(name: str, origin: str, count: int, size: int, directory: str | None) -> dict[str, float]:
    os.sync()  # what the one before has left to be written is not for this one to wait for
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        return CLIENTS[name](origin, count, size, folder)


def _summary(turns: list[dict[str, float]], curls: list[dict[str, float]]) -> dict[str, float]:
    found = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    for key in ("wall", "cpu"):
        found[f"{key}_ratio"] = statistics.median(turn[key] / curl[key] for turn, curl in zip(turns, curls, strict=True))
    return found


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the comparison as a table in Markdown."""
    names = ("files", "client", "time / curl", "CPU / curl", "memory", "loop late when idle, p99", "p99", "most")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|"
    rows = [_row(scenario, name, figures) for scenario, clients in found.items() for name, figures in clients.items()]
    return "\n".join([head, *rows])


def _row(scenario: str, name: str, figures: dict[str, float]) -> str:
    ratios = [f"{figures['wall_ratio']:.2f}", f"{figures['cpu_ratio']:.2f}"]
    return f"| {' | '.join([scenario, name, *ratios, *(_own(figures) if 'memory' in figures else [''] * 4)])} |"


def _own(figures: dict[str, float]) -> list[str]:
    return [f"{figures['memory']:.0f} MB", *(f"{figures[key] * 1000:.1f} ms" for key in ("late_idle", "late_p99", "late_max"))]


def measure(*, quick: bool, rounds: int, directory: str | None) -> dict[str, dict[str, dict[str, float]]]:
    """Run every scenario."""
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        origin = f"http://127.0.0.1:{int(server.stdout.readline())}"
        scenarios = QUICK if quick else SCENARIOS
        return {name: compare(origin, *shape, rounds=rounds, directory=directory) for name, shape in scenarios.items()}
    finally:
        server.communicate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller files and three rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--directory", help="where the files go; by default where temporary files do")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        return serve()
    if given.fetch:
        origin, count, size, directory = given.fetch
        return print(json.dumps(fetch(origin, int(count), int(size), directory)))
    found = measure(quick=given.quick, rounds=given.rounds or (3 if given.quick else 5), directory=given.directory)
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()

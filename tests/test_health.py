"""How a worker is doing is served as Prometheus reads it, and as whoever asks only whether it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import attrs
import pytest

from genbridge import ConfigError, JobStatus
from genbridge.engine import Tally
from genbridge.health import Health, exposition, served
from genbridge.journal import Counts, Report

ALIVE = Report(host="here", pid=1, version="0", concurrency=10, silent=3.0)
DEAD = attrs.evolve(ALIVE, silent=31.0)
HEALTH = Health(
    concurrency=10,
    driving=3,
    ended=7,
    silence=2.5,
    counts=Counts(jobs={JobStatus.PENDING: 2, JobStatus.UNKNOWN: 1}, oldest_waiting=12.25, undriven=4),
    reports=(ALIVE, ALIVE, DEAD),
    tally=Tally(5, 6),
    age=1.5,
)


def values(text: str) -> dict[str, float]:
    """Return what a text says, by the name and the labels of each metric."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("genbridge_"): float(value) for name, _, value in lines}


def test_everything_that_is_known_is_told() -> None:
    """Jobs in each state, what had better be looked at, the workers, the tickets, and this worker itself."""
    assert {
        "worker_up": 1,
        "worker_driving": 3,
        "worker_concurrency": 10,
        "worker_ended_total": 7,
        "worker_silence_seconds": 2.5,
        'jobs{status="pending"}': 2,
        'jobs{status="submitting"}': 0,
        'jobs{status="unknown"}': 1,
        'jobs{status="queued"}': 0,
        'jobs{status="running"}': 0,
        "oldest_waiting_seconds": 12.25,
        "jobs_undriven": 4,
        "workers": 2,
        'tickets{state="waiting"}': 5,
        'tickets{state="held"}': 6,
        "snapshot_age_seconds": 1.5,
    } == values(exposition(HEALTH))


def test_what_is_not_known_is_not_told() -> None:
    """A worker that has not looked yet says nothing of the others."""
    told = values(exposition(Health(concurrency=10)))
    assert [] == [name for name in told if not name.startswith("worker_")]


def test_each_metric_says_what_it_is() -> None:
    """Before its values come what it means and of which kind it is, once."""
    lines = exposition(HEALTH).splitlines()
    names = list(dict.fromkeys(line.split()[0].partition("{")[0] for line in lines if not line.startswith("#")))
    assert names == [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert names == [line.split()[2] for line in lines if line.startswith("# TYPE")]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({}, 200, "ok\n"),
        ({"draining": True}, 503, "draining\n"),
        ({"silence": 20.0}, 503, "the journal was not reached for 20 s\n"),
    ],
)
async def test_a_worker_that_is_not_well_says_so_and_why(change: dict[str, Any], status: int, text: str) -> None:
    """It is what a container's health check asks."""
    health = attrs.evolve(HEALTH, **change)
    async with served(lambda: health, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/health") as reply:
            assert (status, text) == (reply.status, await reply.text())
        async with session.get(f"http://127.0.0.1:{port}/metrics") as reply:
            assert "text/plain; version=0.0.4; charset=utf-8" == reply.headers["Content-Type"]
            assert exposition(health) == await reply.text()


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that somebody else listens on."""
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_a_port_that_is_taken_is_named(taken: int) -> None:
    """And what to do about it."""
    with pytest.raises(ConfigError, match=f"metrics cannot be served on 127.0.0.1:{taken}: .*; choose another port"):
        async with served(lambda: HEALTH, "127.0.0.1", taken):
            await asyncio.sleep(0)

"""What a job costs workers, clients and the database, as it was measured; kept as JSON beside the simulation that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Self

import attrs

WRITES = ("begin", "hand_in", "take", "intend", "accepted", "seen", "end")
"""The fields of `Costs` that are a `Write`."""
_POLLS = "10000"
"""The contest of `bench.py` that polls are taken from: so many jobs that wait."""


@attrs.frozen(kw_only=True)
class Write:
    """One write of the journal: the milliseconds that it keeps the lock, and how often it goes to the database and back."""

    ms: float
    trips: float


@attrs.frozen(kw_only=True)
class Costs:
    """The figures of one machine.

    `worker_ms`, `client_ms` and `database_ms` are milliseconds of CPU a job, without polls, and `poll_ms` those of a poll;
    `idle_ms` are those a second of a worker that has nothing to do. `inserted`, `updated`, `deleted`, `commits`, `wal_bytes` and
    `notices` are a job's.
    """

    about: str
    worker_ms: float
    client_ms: float
    poll_ms: float
    database_ms: float
    idle_ms: float
    inserted: float
    updated: float
    deleted: float
    commits: float
    wal_bytes: float
    notices: float
    worker_connections: float
    client_connections: float
    worker_bytes: float
    """Of memory, of a worker without jobs."""
    flight_bytes: float
    """Of memory, of a job that a worker follows."""
    known_ms: float
    """From a job's being handed in to its answer's being known, in the median, where there is nothing else to do."""
    claim_ms: float
    """From one claim of a ticket to the next, of one worker that has many before it."""
    commit_ms: float
    """Of the end of a transaction, which waits for the disk; a part of `begin`."""
    look_ms: float
    """Of the database's CPU, when a client looks how a job is."""
    transaction_ms: float
    """And for a transaction, beside what is written in it."""
    begin: Write
    """What a transaction takes beside its writes: to have the lock, and to commit."""
    hand_in: Write
    take: Write
    intend: Write
    accepted: Write
    seen: Write
    end: Write
    sweep_ms: float
    """For how long a sweep keeps the lock, without jobs."""
    sweep_job_ms: float
    """And for each unfinished job."""
    capped_job_ms: float
    """By how much longer `intend` keeps it for each job under way at a backend that has a cap on those."""
    kept: Mapping[str, float]
    """Bytes a job on disk, of its rows and of each index."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the figures in a file."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**found, **{name: Write(**found[name]) for name in WRITES}})


def of_fleet(found: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, float]:
    """Return what `fleet.py --json` measured, with the cost of a poll as `bench.py` recorded it."""
    middle = found["middle"]
    shared, memory = middle["a worker, on PostgreSQL"], middle["memory"]
    poll = median(1000 * each["cpu"] / each["polls"] for each in recorded["rounds"][_POLLS]["genbridge"])
    return {
        "worker_ms": round(max(0.0, shared["worker"] - shared["polls"] * poll), 2),
        "client_ms": round(shared["client"], 2),
        "poll_ms": round(poll, 3),
        "database_ms": round(shared["server"], 2),
        "idle_ms": round(shared["idle worker"], 1),
        "inserted": round(shared["inserted"], 1),
        "updated": round(shared["updated"], 1),
        "deleted": round(shared["deleted"], 1),
        "commits": round(shared["commits"], 1),
        "wal_bytes": round(shared["wal"]),
        "worker_bytes": round(1e6 * memory["empty"]),
        "known_ms": round(middle["latency"]["known p50"], 1),
        "flight_bytes": round(1e6 * (memory["megabytes"] - memory["empty"]) / memory["in flight"]),
    }

"""What is measured, and of whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

Found = Mapping[str, Any]
"""What one measurement found, as `clients/run.py` prints it."""


@attrs.frozen(kw_only=True)
class Client:
    """Who is measured.

    `package` is what pip installs, empty for what is in our own environment. `module` is the script among `clients` that knows its
    calls, `word` what that is told, and `way` how many jobs are followed with it (see `clients/ways.py`).
    """

    name: str
    module: str
    way: str = "tasks"
    word: str = ""
    package: str = ""


OURS = "genbridge"
HEAP = "aiohttp, one heap"
CLIENTS = (
    Client(name=OURS, module="ask_genbridge", way="own"),
    Client(name=HEAP, module="ask_aiohttp", way="heap"),
    Client(name="aiohttp, a task a job", module="ask_aiohttp"),
    Client(name="aiohttp, a connection a call", module="ask_aiohttp", word="fresh"),
)
BARE = ("aiohttp, one heap", "aiohttp, a task a job")
NAMED = {client.name: client for client in CLIENTS}


@attrs.frozen(kw_only=True)
class Column:
    """One figure of a measurement. Where it is `compared`, the table has its ratio to that of the contest's base."""

    name: str
    of: Callable[[Found], float]
    form: str = "{:,.0f}"
    compared: bool = False


@attrs.frozen(kw_only=True)
class Contest:
    """One job that all get, in turn, several times over.

    `plan` are the seconds that the service takes for a job. `quick` are the arguments of the short form where they differ, and
    `None` where it is left out there.
    """

    name: str
    title: str
    clients: tuple[str, ...]
    base: str
    columns: tuple[Column, ...]
    full: Mapping[str, Any]
    quick: Mapping[str, Any] | None = attrs.field(factory=dict)
    plan: tuple[float | None, ...] = (None,)
    rounds: int = 5
    quick_rounds: int = 3
    done: Callable[[Found, Mapping[str, Any]], bool]

    def arguments(self, *, quick: bool) -> Mapping[str, Any]:
        """Return what a client is told to do."""
        return {**self.full, **(self.quick or {})} if quick else self.full


def _polled(found: Found, told: Mapping[str, Any]) -> bool:
    """Whether jobs were polled, and not oftener than they were to be; who does not keep up is told by the table."""
    wanted = told["jobs"] / told["interval"] * found["seconds"]
    return 0 < found["polls"] <= wanted * 1.25


def _submitted(found: Found, told: Mapping[str, Any]) -> bool:
    return bool(found["posts"] == told["jobs"] and found["polls"] == 0)


def _each(count: str) -> Column:
    return Column(name=f"µs of CPU a {count}", of=lambda found: found["cpu"] / found[count + "s"] * 1e6, compared=True)


_POLL, _SUBMIT = _each("poll"), attrs.evolve(_each("post"), name="µs of CPU a submit")
_PACE = Column(name="polls a second", of=lambda found: found["polls"] / found["seconds"])
_LATE = tuple(
    Column(name=f"loop late, {name}, ms", of=lambda found, key=key: found["delay"][key] * 1e3, form="{:,.1f}")
    for key, name in (("p50", "p50"), ("p99", "p99"), ("max", "most"))
)
STEADY = {"task": "wait", "settle": 2.0, "seconds": 8.0}

CONTESTS = (
    Contest(
        name="submit",
        title="Submitting",
        clients=(OURS, HEAP, "aiohttp, a connection a call"),
        base=HEAP,
        columns=(_SUBMIT, Column(name="submits a second", of=lambda found: found["posts"] / found["seconds"])),
        full={"task": "submit", "jobs": 2000, "at_once": 50, "interval": 60.0},
        quick={"jobs": 500},
        done=_submitted,
    ),
    Contest(
        name="1000",
        title="1,000 waiting jobs",
        clients=(OURS, *BARE),
        base=HEAP,
        columns=(_POLL, _PACE, *_LATE),
        full={**STEADY, "jobs": 1000, "interval": 1.0},
        quick={"seconds": 3.0, "settle": 1.0},
        done=_polled,
    ),
    Contest(
        name="10000",
        title="10,000 waiting jobs",
        clients=(OURS, *BARE),
        base=HEAP,
        columns=(_POLL, _PACE, *_LATE),
        full={**STEADY, "jobs": 10_000, "interval": 10.0},
        quick=None,
        rounds=3,
        done=_polled,
    ),
)

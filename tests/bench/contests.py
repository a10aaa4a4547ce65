"""What is measured, and of whom."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import attrs

Found = Mapping[str, Any]
"""What one measurement found, as the script that made it prints it."""


@attrs.frozen(kw_only=True)
class Client:
    """Who is measured.

    `package` is what pip installs, empty for what is in our own environment, and `script` the one among `clients` that measures it.
    That is told the rest: `module` knows the client's calls, `way` is how many jobs are followed with it (see `clients/ways.py`),
    `word` a choice of its own, and `interval` the seconds between two polls where the contest does not say.
    """

    name: str
    module: str
    way: str = "tasks"
    word: str = ""
    interval: float | None = None
    package: str = ""
    script: str = "run.py"


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

    `told` are the arguments, `quick` those of the short form where they differ; `None` leaves it out there. `plan` are the seconds
    that the service takes for a job. Clients of other packages take part in `peer_rounds` of the rounds, with `peers_told` beside.
    `together` has all work at the same time, where they mostly wait. `done` says whether a client did its work.
    """

    name: str
    title: str
    words: str = ""
    clients: tuple[Client, ...]
    columns: tuple[Column, ...]
    told: Mapping[str, Any] = attrs.field(factory=dict)
    quick: Mapping[str, Any] | None = None
    plan: tuple[float | None, ...] = (None,)
    size: int = 1000
    quick_size: int = 1000
    rounds: int = 5
    quick_rounds: int = 3
    peer_rounds: int = 1
    peers_told: Mapping[str, Any] = attrs.field(factory=dict)
    together: bool = False
    done: Callable[[Found, Mapping[str, Any]], bool] = lambda found, told: True

    @property
    def base(self) -> Client:
        """The client that others are compared to."""
        return next((client for client in self.clients if client in BASES), self.clients[0])

    def at(self, number: int) -> list[Client]:
        """Return who takes part in a round, counted from 0."""
        return [client for client in self.clients if not client.package or number < self.peer_rounds]

    def arguments(self, client: Client, *, quick: bool) -> Mapping[str, Any]:
        """Return what a client is told to do."""
        return {**self.told, **((quick and self.quick) or {}), **((client.package and self.peers_told) or {})}


# Who.

OURS = Client(name="genbridge", module="ask_genbridge", way="own", word="fixed")
HEAP = Client(name="aiohttp, one heap", module="ask_aiohttp", way="heap")
TASKS = Client(name="aiohttp, a task a job", module="ask_aiohttp")
FRESH = Client(name="aiohttp, a connection a POST", module="ask_aiohttp", way="heap", word="fresh")
RECORDED = Client(name="the same, and on record", module="ask_record", way="own")
# The intervals are those of their own loops: `poll`, `subscribe`, `wait`; google's and litellm's are in their examples.
PEERS = (
    Client(name="openai", module="ask_openai", package="openai[aiohttp]", interval=1.0),
    Client(name="openai on aiohttp", module="ask_openai", word="aiohttp", package="openai[aiohttp]", interval=1.0),
    Client(name="litellm", module="ask_litellm", package="litellm", interval=10.0),
    Client(name="fal-client", module="ask_fal", package="fal-client", interval=0.1),
    Client(name="replicate", module="ask_replicate", package="replicate", interval=0.5),
    Client(name="google-genai", module="ask_google", package="google-genai<3", interval=10.0),
)
"""With version 3 of google-genai a key of the Gemini API makes no videos any more."""

FINE = 0.3
NOTICED = (
    attrs.evolve(OURS, name="genbridge, every 0.3 s", interval=FINE),
    attrs.evolve(OURS, name="genbridge, as it comes", word="learn"),
)
BY_INTERVAL = attrs.evolve(OURS, name="genbridge, at the service's interval", word="fixed")
AS_LEARNED = attrs.evolve(OURS, name="genbridge, as it learns", word="learn")
ASYNCIO = Client(name="import asyncio", module="asyncio", script="start.py")
IMPORTS = (
    ASYNCIO,
    Client(name="import genbridge", module="genbridge", script="start.py"),
    Client(name="import genbridge.client", module="genbridge.client", script="start.py"),
    Client(name="import aiohttp", module="aiohttp", script="start.py"),
    *(
        Client(name=f"import {module}", module=module, package=package, script="start.py")
        for module, package in (
            ("openai", "openai[aiohttp]"),
            ("litellm", "litellm"),
            ("fal_client", "fal-client"),
            ("replicate", "replicate"),
            ("google.genai", "google-genai<3"),
        )
    ),
)
COMMANDS = tuple(
    Client(name=f"genbridge {word}", module="genbridge", word=word, script="command.py") for word in ("--version", "jobs list")
)
EMPTY = attrs.evolve(OURS, name="a new journal")
MILLION = attrs.evolve(OURS, name="a million jobs on record", word="1000000")
SOME = attrs.evolve(OURS, name="50,000 jobs on record", word="50000")
CURL = Client(name="curl", module="curl", script="save.py")
DURABLE = attrs.evolve(CURL, name="curl, then SHA-256 and fsync", word="durable")
BASES = (HEAP, ASYNCIO, EMPTY, CURL)


# Whether it was done.


def _submitted(found: Found, told: Mapping[str, Any]) -> bool:
    return bool(found["posts"] == told["jobs"] and found["polls"] == 0)


def _polled(found: Found, told: Mapping[str, Any]) -> bool:
    """Whether jobs were polled, and no more often than they were to be; who is slower than that is shown by the table."""
    wanted = told["jobs"] / told["interval"] * found["seconds"]
    return 0 < found["polls"] <= wanted * 1.25


def _finished(found: Found, told: Mapping[str, Any]) -> bool:
    return bool(found["posts"] == told["jobs"] and found["polls"] >= told["jobs"])


def _noticed(found: Found, told: Mapping[str, Any]) -> bool:
    return bool(found["jobs"] == sum(told["waves"]))


# What.


def _cpu(what: str, count: str) -> Column:
    return Column(name=f"µs of CPU a {what}", of=lambda found: found["cpu"] / found[count] * 1e6, compared=True)


def _a_second(what: str, count: str, *, compared: bool = False) -> Column:
    return Column(name=f"{what} a second", of=lambda found: found[count] / found["seconds"], compared=compared)


def _late(key: str, name: str) -> Column:
    return Column(name=f"loop late, ms: {name}", of=lambda found: found["delay"][key] * 1e3, form="{:,.1f}")


def _plain(name: str, key: str, scale: float = 1.0, *, form: str = "{:,.0f}", compared: bool = False) -> Column:
    return Column(name=name, of=lambda found: found[key] * scale, form=form, compared=compared)


POLL, SUBMIT, DONE = _cpu("poll", "polls"), _cpu("submit", "posts"), _a_second("jobs", "posts", compared=True)
P99 = _late("p99", "p99")
BYTES = _plain("KiB a waiting job", "bytes", 1 / 1024, form="{:,.1f}")
MILLISECONDS = _plain("ms of CPU", "cpu", 1e3, form="{:,.1f}", compared=True)
_LATENESS = (_late("p50", "p50"), P99, _late("max", "most"))
PRODUCT = Column(
    name="polls × latency, of a fixed interval's",
    of=lambda found: found["polls"] * found["late"] / (found["seconds"] / 2),
    form="{:,.2f}",
)
LOOKS = tuple(_plain(f"{name}, ms", name, 1e3, form="{:,.2f}", compared=True) for name in ("submit", "list", "resume", "spend"))
"""A submit's is CPU, the others' are from beginning to end."""
GROWN = _plain("MiB of memory more", "grown", 1 / 1024**2)

_random = random.Random(4)
SIGMA = 0.3
SHORT, LONG = 9.0, 60.0
DURATIONS = tuple(round(SHORT * math.exp(_random.gauss(0, SIGMA)), 3) for _ in range(60))
LONG_DURATIONS = tuple(round(LONG * math.exp(_random.gauss(0, SIGMA)), 3) for _ in range(420))


def _waiting(jobs: int, interval: float, *clients: Client, **others: Any) -> Contest:
    """Return the contest of following so many jobs that go on, once each was asked for: the first time may be something new.

    It is looked at for so long that each is asked for twice, where that is not too long.
    """
    seconds = min(max(8.0, 2 * interval), 20.0)
    told = {"task": "wait", "jobs": jobs, "interval": interval, "settle": 1.0 + 1.2 * interval, "seconds": seconds}
    columns = (POLL, _a_second("polls", "polls"), *_LATENESS)
    title = f"{jobs:,} waiting jobs, each asked for every {interval:g} s"
    return Contest(name=str(jobs), title=title, clients=clients, columns=columns, told=told, done=_polled, **others)


STARTS = Contest(
    name="import",
    title="Starting",
    words="What an import adds to a Python that has just started. `genbridge` loads `genbridge.client` when that is used.",
    clients=IMPORTS,
    columns=(
        _plain("ms", "seconds", 1e3, form="{:,.1f}"),
        MILLISECONDS,
        _plain("MiB", "bytes", 1 / 1024**2, form="{:,.1f}", compared=True),
        _plain("modules", "modules"),
        _plain("packages", "packages"),
    ),
    quick={},
    rounds=10,
    quick_rounds=3,
    peer_rounds=2,
)
SHELL = Contest(
    name="command",
    title="Commands, from start to end",
    clients=COMMANDS,
    columns=(_plain("ms", "seconds", 1e3), _plain("ms of CPU", "cpu", 1e3)),
    quick={},
    rounds=8,
    quick_rounds=2,
)
SUBMITS = Contest(
    name="submit",
    title="Submitting, 50 at a time",
    words=(
        "genbridge makes a connection for each paid POST, on purpose, and has each on record before it is sent and after. Two "
        "lines have what these cost by themselves; nothing is checked, priced or mapped there."
    ),
    clients=(OURS, HEAP, FRESH, RECORDED, *PEERS),
    columns=(SUBMIT, _a_second("submits", "posts")),
    told={"task": "submit", "jobs": 2000, "at_once": 50, "interval": 60.0},
    quick={"jobs": 500},
    done=_submitted,
)
THOUSAND = _waiting(1000, 1.0, OURS, HEAP, TASKS, *PEERS, quick={"seconds": 3.0, "settle": 1.0}, rounds=7, quick_rounds=2)
TEN_THOUSAND = _waiting(10_000, 10.0, OURS, HEAP, TASKS, *PEERS, rounds=3)
GROWTH = (_waiting(10, 0.1, OURS, HEAP, rounds=2), _waiting(100, 0.1, OURS, HEAP, rounds=2))
HUNDRED_THOUSAND = _waiting(100_000, 100.0, OURS, HEAP, rounds=1)
BURST = Contest(
    name="burst",
    title="Jobs that are done at their first poll, 200 at a time",
    clients=(OURS, HEAP, FRESH, RECORDED, *PEERS),
    columns=(DONE, _cpu("job", "posts")),
    told={"task": "burst", "jobs": 2000, "at_once": 200, "interval": 0.001},
    quick={"jobs": 300},
    plan=(0.0,),
    quick_rounds=2,
    done=_finished,
)
MEMORY = Contest(
    name="memory",
    title="Memory of a waiting job, 10,000 of them",
    words="What they add to 1,000 others, for which the connections are there already. Other clients ask seldom here.",
    clients=(OURS, HEAP, TASKS, *PEERS),
    columns=(BYTES,),
    told={"task": "hold", "first": 1000, "more": 10_000, "interval": 10.0, "settle": 11.0},
    peers_told={"interval": 600.0},
    quick={"first": 500, "more": 3000, "interval": 3.0, "settle": 4.0},
    rounds=2,
    quick_rounds=1,
)
NOTICE = Contest(
    name="notice",
    title="From ready to noticed",
    words=(
        f"Forty jobs that take {SHORT:g} s, more or less (lognormal, σ = {SIGMA}), after twenty others of their kind; each client "
        "at its own interval. A fixed interval has polls × latency of half the mean duration, whatever it is."
    ),
    clients=(*NOTICED, *PEERS),
    columns=(
        _plain("polls a job", "polls", form="{:,.1f}"),
        _plain("latency, s: mean", "late", form="{:,.2f}"),
        _plain("median", "middle", form="{:,.2f}"),
        PRODUCT,
    ),
    told={"task": "notice", "waves": [20, 40]},
    plan=DURATIONS,
    rounds=1,
    together=True,
    done=_noticed,
)
LEARNED = Contest(
    name="learned",
    title="Polls after twenty jobs",
    words=(
        f"Four hundred jobs that take {LONG:g} s, more or less (lognormal, σ = {SIGMA}), after twenty others of their kind, at "
        "imini's own interval of 2 s, and by what was learned."
    ),
    clients=(BY_INTERVAL, AS_LEARNED),
    columns=NOTICE.columns,
    told={"task": "notice", "waves": [20, 400]},
    plan=LONG_DURATIONS,
    rounds=1,
    together=True,
    done=_noticed,
)
JOURNAL = Contest(
    name="journal",
    title="A journal with many finished jobs",
    words="The CPU of a submit, and how long the others take: the newest 50 jobs, what is to be resumed, what was spent.",
    clients=(EMPTY, MILLION),
    columns=LOOKS,
    told={"task": "record", "jobs": 40, "times": 5, "interval": 60.0},
    rounds=3,
)
SHORT_JOURNAL = attrs.evolve(
    JOURNAL, name="short-journal", clients=(EMPTY, SOME), told=JOURNAL.told, quick={}, rounds=0, quick_rounds=2
)
FILES = Contest(
    name="file",
    title="Saving a large file",
    words=(
        "A gigabyte; in the short form a tenth of it. genbridge makes a digest of a file and has it on the disk before it says "
        "that it is saved. curl does neither, so it is also measured with both done after it."
    ),
    clients=(OURS, CURL, DURABLE),
    columns=(
        _plain("s", "seconds", form="{:,.2f}", compared=True),
        _plain("s of CPU", "cpu", form="{:,.2f}", compared=True),
        GROWN,
        *_LATENESS,
    ),
    told={"task": "download", "interval": 0.01},
    quick={},
    plan=(0.0,),
    size=1024**3,
    quick_size=100 * 1024**2,
    rounds=5,
    quick_rounds=2,
    done=lambda found, told: bool(found["bytes"] == told["size"]),
)

CONTESTS = (
    STARTS,
    SHELL,
    SUBMITS,
    THOUSAND,
    TEN_THOUSAND,
    *GROWTH,
    HUNDRED_THOUSAND,
    BURST,
    MEMORY,
    NOTICE,
    LEARNED,
    JOURNAL,
    SHORT_JOURNAL,
    FILES,
)

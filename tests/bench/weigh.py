"""Measures what the journal costs in a PostgreSQL of its own: how long each write keeps the lock, and how much stays on disk."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, ClassVar
from uuid import uuid4

import attrs
import psycopg
from costs import Write
from postgres import Server

from genbridge import Asset, Budget, Cost, Job, JobStatus, Limits, Media, Quote, Result, VideoRequest
from genbridge.databases import DatabaseUrl
from genbridge.journal import Attempt, Heard, Lease
from genbridge.journal.postgres import PostgresJournal
from genbridge.journal.postgres.connection import Connection
from genbridge.journal.postgres.schema import upgrade
from genbridge.journal.postgres.store import DatabaseStore
from genbridge.journal.store import Outcome
from genbridge.limits import Rule
from genbridge.tickets import Procrastinate

ALONE = 50
"""Writes one after the other."""
TOGETHER = 300
"""Writes at once, which become two transactions or three."""
ROUNDS = 7
LOOKS = 40
"""Looks at each of the jobs."""
CLAIMS = 600
TRIES = 3
UNFINISHED = 4000
"""Jobs under way, for a sweep."""
KEPT = 10_000
"""Jobs that are recorded to their end, for how much stays on disk."""
AT_ONCE = 2000


@attrs.frozen
class Held:
    """For how many seconds a transaction of so many writes kept the lock, and how many of them its end took."""

    seconds: float
    end: float
    writes: int


class TimedStore(DatabaseStore):
    """A store that looks at its watch."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.held: list[Held] = []
        self.db: Connection | None = None
        self._begun = 0.0

    def connect(self) -> Connection:
        self.db = super().connect()
        return self.db

    def begin(self, db: Connection) -> None:
        self._begun = time.perf_counter()
        super().begin(db)

    def commit(self, db: Connection, outcomes: Sequence[Outcome]) -> None:
        before = time.perf_counter()
        super().commit(db, outcomes)
        after = time.perf_counter()
        self.held.append(Held(after - self._begun, after - before, len(outcomes)))


class TimedJournal(PostgresJournal):
    """A journal that looks at its watch."""

    store_class: ClassVar[type[DatabaseStore]] = TimedStore
    _tables: TimedStore

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The connection that it writes on."""
        assert self._tables.db is not None
        return self._tables.db.raw

    async def get(self, job_id: str) -> Job | None:
        """Return a job's record, however short a time after the last."""
        self._read_at = 0.0
        return await super().get(job_id)

    async def nothing(self) -> None:
        """Have a transaction in which nothing is written."""
        await self._tables.do(lambda _: None)

    async def held(self, writes: Sequence[Callable[[], Awaitable[Any]]], *, together: bool) -> list[Held]:
        """Do some writes, and return their transactions."""
        self._tables.held.clear()
        if together:
            await asyncio.gather(*(write() for write in writes))
        else:
            for write in writes:
                await write()
        return list(self._tables.held)


@attrs.define
class Jobs:
    """Jobs on their way; each step is a write for each of them."""

    journal: TimedJournal
    jobs: list[Job]
    leases: dict[str, Lease] = attrs.field(factory=dict)
    attempts: dict[str, Attempt] = attrs.field(factory=dict)
    rules: Sequence[Rule] = ()

    def steps(self, name: str) -> list[Callable[[], Awaitable[None]]]:
        """Return what a step does for each."""
        return [lambda job=job: getattr(self, name)(job) for job in self.jobs]  # type: ignore[misc]

    async def hand_in(self, job: Job) -> None:
        await self.journal.hand_in(job, Budget())

    async def take(self, job: Job) -> None:
        lease, _ = await self.journal.take(job.id)
        assert lease is not None
        self.leases[job.id] = lease

    async def intend(self, job: Job) -> None:
        attempt = await self.journal.begin_submit(self.leases[job.id], self.rules)
        assert isinstance(attempt, Attempt)
        self.attempts[job.id] = attempt

    async def accepted(self, job: Job) -> None:
        accepted = attrs.evolve(job, status=JobStatus.QUEUED, provider_id=uuid4().hex, submitted_at=datetime.now(UTC))
        assert await self.journal.submitted(self.attempts[job.id], accepted)

    async def seen(self, job: Job) -> None:
        assert await self.journal.update(self.leases[job.id], attrs.evolve(job, status=JobStatus.RUNNING, provider_id=job.id))

    async def end(self, job: Job) -> None:
        assert await self.journal.update(self.leases[job.id], ended(job))


STEPS = ("hand_in", "take", "intend", "accepted", "seen", "end")


def a_job() -> Job:
    """Return a job of a usual size that waits to be sent."""
    prompt = (
        "A slow pan across a misty valley at dawn, pines in the foreground, a river that catches the first light, birds far away"
    )
    return Job(
        id=uuid4().hex,
        key=str(uuid4()),
        backend="studio",
        provider="meigen",
        model="seedance-2.0",
        provider_model="seedance-2-0",
        request=VideoRequest(prompt, model="seedance-2.0", duration=5, aspect_ratio="16:9", resolution="720p"),
        status=JobStatus.PENDING,
        quote=Quote(amount=130.0, model="seedance-2.0", basis="26 credits per second × 5"),
        created_at=datetime.now(UTC),
    )


def ended(job: Job) -> Job:
    """Return the job as it is when it has succeeded."""
    now, cost = datetime.now(UTC), Cost(amount=130.0)
    url = f"https://files.example/outputs/{uuid4()}/{uuid4()}.mp4?signature={uuid4().hex}{uuid4().hex}"
    asset = Asset(url=url, media=Media.VIDEO, duration=5.0)
    result = Result(
        job_id=job.id, backend=job.backend, provider=job.provider, model=job.model, request=job.request, assets=(asset,), cost=cost,
        created_at=job.created_at, finished_at=now,
    )  # fmt: skip
    return attrs.evolve(
        job, status=JobStatus.SUCCEEDED, provider_id=job.id, submitted_at=now, finished_at=now, cost=cost, result=result
    )


def some(journal: TimedJournal, number: int) -> Jobs:
    """Return jobs that are not recorded yet."""
    return Jobs(journal, [a_job() for _ in range(number)])


async def writes(journal: TimedJournal) -> tuple[dict[str, Write], float]:
    """Return for how long each write keeps the lock, and the seconds of a commit."""
    empty: list[Held] = []
    many: dict[str, list[Held]] = {step: [] for step in STEPS}
    for _ in range(ROUNDS):
        empty += await journal.held([journal.nothing] * ALONE, together=False)
        together = some(journal, TOGETHER)
        for step in STEPS:
            many[step] += await journal.held(together.steps(step), together=True)
    ways = await ways_of_each(journal)
    begin = low([held.seconds for held in empty])
    each = {step: Write(ms=_ms(of_each(found, begin)), trips=ways[step]) for step, found in many.items()}
    return {"begin": Write(ms=_ms(begin), trips=ways["begin"]), **each}, low([held.end for held in empty])


def of_each(transactions: Sequence[Held], begin: float) -> float:
    """Return the seconds of one write of many, with its part of what is done once for all, as tickets are given."""
    return low([(held.seconds - begin) / held.writes for held in transactions if held.writes > ALONE])


async def ways_of_each(journal: TimedJournal) -> dict[str, int]:
    """Return how often each write goes to the database and back while it has the lock, and how often a transaction does beside."""
    jobs, nothing = some(journal, ALONE), [journal.nothing] * ALONE
    found = {}
    for step, works in (("begin", nothing), *((step, jobs.steps(step)) for step in STEPS)):
        with trips(journal.connection) as count:
            await journal.held(works, together=False)
            found[step] = round(count() / ALONE)
    # It has the lock from its first way on, back from there, until the last has arrived.
    return {**{step: ways - found["begin"] for step, ways in found.items()}, "begin": found["begin"] - 1}


def low(seconds: Sequence[float]) -> float:
    """Return what a tenth of them are below: what it takes on a machine that does nothing else, measured on one that does."""
    return sorted(seconds)[len(seconds) // 10]


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


async def scans(journal: TimedJournal, other: TimedJournal) -> dict[str, float]:
    """Return the milliseconds of what looks at all unfinished jobs, without any, and for each of them."""
    sweep, submit = await scan(journal)
    others = some(other, UNFINISHED)
    for step in STEPS[:4]:
        await other.held(others.steps(step), together=True)
    later_sweep, later_submit = await scan(journal)
    await other.held(others.steps("end"), together=True)
    return {
        "sweep_ms": _ms(sweep),
        "sweep_job_ms": round(1000 * (later_sweep - sweep) / UNFINISHED, 6),
        "capped_job_ms": round(1000 * max(0.0, later_submit - submit) / UNFINISHED, 6),
    }


async def scan(journal: TimedJournal) -> tuple[float, float]:
    """Return the seconds of a sweep, and of the intent to submit where a backend has a cap on jobs at once."""
    swept = await journal.held([journal.sweep] * ALONE, together=False)
    jobs = some(journal, ALONE)
    jobs.rules = (Rule(limits=Limits(concurrent=10 * UNFINISHED)),)
    for step in ("hand_in", "take"):
        await journal.held(jobs.steps(step), together=False)
    begun = await journal.held(jobs.steps("intend"), together=False)
    for step in ("accepted", "end"):
        await journal.held(jobs.steps(step), together=False)
    return low([held.seconds for held in swept]), low([held.seconds for held in begun])


async def looks(journal: TimedJournal) -> tuple[float, float]:
    """Return the seconds of the database's CPU for a look at a job, and for a transaction in which nothing is written."""
    jobs = some(journal, ALONE)
    await journal.held(jobs.steps("hand_in"), together=True)
    before = _cpu(journal)
    for job in jobs.jobs * LOOKS:
        await journal.get(job.id)
    between = _cpu(journal)
    await journal.held([journal.nothing] * ALONE * LOOKS, together=False)
    return (between - before) / ALONE / LOOKS, (_cpu(journal) - between) / ALONE / LOOKS


def _cpu(journal: TimedJournal) -> float:
    """Return for how many seconds the database's process for a journal has run (proc(5))."""
    fields = Path(f"/proc/{journal.connection.info.backend_pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def claims(url: DatabaseUrl, journal: TimedJournal) -> float:
    """Return the seconds from one claim of a ticket to the next: the least of some tries, as there is other work."""
    return min([await _claims(url, journal) for _ in range(TRIES)])


async def _claims(url: DatabaseUrl, journal: TimedJournal) -> float:
    await journal.held(some(journal, CLAIMS).steps("hand_in"), together=True)
    times: list[float] = []
    stop = asyncio.Event()

    async def drive(job_id: str) -> None:
        times.append(time.perf_counter())
        if len(times) >= CLAIMS:
            stop.set()
        await stop.wait()

    await Procrastinate(url).run(drive, backends=None, concurrency=CLAIMS, stop=stop)
    return median(after - before for before, after in pairwise(times))


async def notices(journal: TimedJournal) -> float:
    """Return of how many changes of a job everybody who listens hears."""
    told: list[str] = []
    listening = asyncio.Event()

    def hear(job_id: str) -> None:
        told.append(job_id)
        listening.set()

    journal.listen(hear, Heard.CHANGES)
    await listening.wait()
    told.clear()
    jobs = some(journal, ALONE)
    for step in STEPS:
        await journal.held(jobs.steps(step), together=True)
    await asyncio.sleep(1.0)
    return len(told) / ALONE


async def kept(url: str, connection: psycopg.Connection[Any]) -> dict[str, float]:
    """Return how many bytes a job stay on disk once it has ended: those of its row, and of each index."""
    async with opened(url) as journal:
        for _ in range(KEPT // AT_ONCE):
            jobs = some(journal, AT_ONCE)
            for step in STEPS:
                await journal.held(jobs.steps(step), together=True)
            connection.execute("vacuum genbridge.jobs")  # which the database does by itself now and then
    rows = connection.execute(
        "select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index where indrelid = 'genbridge.jobs'::regclass "
        "union all select 'rows', pg_table_size('genbridge.jobs') order by 2 desc"
    )
    return {name.removeprefix("genbridge."): round(size / KEPT) for name, size in rows}


@contextmanager
def trips(connection: psycopg.Connection[Any]) -> Iterator[Callable[[], int]]:
    """Count how often a connection goes to its database and back."""
    with tempfile.TemporaryFile("w+") as trace:
        connection.pgconn.trace(trace.fileno())

        def count() -> int:
            connection.pgconn.untrace()
            trace.seek(0)
            return sum("ReadyForQuery" in line for line in trace)

        yield count


async def weighed(url: str) -> dict[str, Any]:
    """Return all that is measured but what is on disk, in an empty database."""
    place = DatabaseUrl.parse(url)
    upgrade(place)
    async with opened(url) as journal, opened(url) as other:
        found, commit = await writes(journal)
        scanned = await scans(journal, other)
        look, transaction = await looks(journal)
        return {
            **{name: attrs.asdict(write) for name, write in found.items()},
            "commit_ms": _ms(commit),
            **scanned,
            "claim_ms": _ms(await claims(place, journal)),
            "look_ms": _ms(look),
            "transaction_ms": _ms(transaction),
            "notices": round(await notices(other), 1),
        }


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[TimedJournal]:
    """Open a journal that gives tickets, and close it."""
    place = DatabaseUrl.parse(url)
    journal = TimedJournal(place, engine=Procrastinate(place))
    await journal.open()
    try:
        yield journal
    finally:
        await journal.aclose()


def measure() -> dict[str, Any]:
    """Measure in a server of our own."""
    with Server(settings={"shared_buffers": "256MB"}) as server:
        found = asyncio.run(weighed(server.make_database()))
        url = server.make_database()
        upgrade(DatabaseUrl.parse(url))
        with psycopg.connect(url, autocommit=True) as connection:
            found["kept"] = asyncio.run(kept(url, connection))
    return found

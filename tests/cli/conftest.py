"""A client that sends nothing, and a command line that works with it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

import attrs
import pytest

# Nothing else would load it before a test does. pytest rewrites a module then, and Python 3.11 before 3.11.8 fails where a garbage
# collection logs a traceback meanwhile (https://github.com/python/cpython/issues/106905), as after a test of an interruption.
import genbridge.cli.fitted  # noqa: F401
from genbridge.budgets import Usage
from genbridge.catalogue import Capabilities, Choice, Model, Price, Range
from genbridge.cli import app
from genbridge.cli.session import Session
from genbridge.config import BackendConfig, Config
from genbridge.downloads import Progress
from genbridge.durations import Usual
from genbridge.errors import BudgetError, JobError, JournalError
from genbridge.tries import given_id
from genbridge.types import (
    Asset,
    AssetRole,
    Certainty,
    Cost,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Quote,
    Request,
    Result,
    Snapshot,
    Spent,
)

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
PAINTER = Model(
    id="painter-1",
    provider_id="acme/painter",
    media=Media.IMAGE,
    capabilities=Capabilities(aspect_ratio=Choice(("1:1", "16:9")), count=Range(1, 4, default=1)),
    prices=(Price(amount=5, per="image"),),
    expected=20.0,
)
FILMER = Model(
    id="filmer-2",
    provider_id="acme/filmer",
    media=Media.VIDEO,
    capabilities=Capabilities(duration=Range(4, 15), resolution=Choice(("480p", "720p"))),
    prices=(Price(amount=10, per="second", certainty=Certainty.ESTIMATED), Price(amount=20, per="second")),
)


def make_job(request: Request | None = None, **changes: Any) -> Job:
    """Return a queued job."""
    request = request or ImageRequest("a red kite")
    model = {Media.IMAGE: PAINTER, Media.VIDEO: FILMER}[request.media]
    known: dict[str, Any] = {
        "id": "job1",
        "key": "attempt-1",
        "backend": "studio",
        "provider": "acme",
        "model": model.id,
        "provider_model": model.provider_id,
        "request": request,
        "status": JobStatus.QUEUED,
        "quote": Quote(amount=5, certainty=Certainty.EXACT, basis="5 credits per image", model=model.id),
        "created_at": NOON,
        "submitted_at": NOON,
        "provider_id": "p-1",
    }
    return Job(**known | changes)


def finish(job: Job) -> Job:
    """Return a job with its result."""
    suffix = "png" if job.media is Media.IMAGE else "mp4"
    asset = Asset(url=f"https://cdn.example/{job.id}.{suffix}", media=job.media, role=AssetRole.OUTPUT, width=1024, height=1024)
    done = NOON + timedelta(seconds=21)
    cost = Cost(amount=5)
    result = Result(
        job_id=job.id,
        backend=job.backend,
        provider=job.provider,
        model=job.model,
        request=job.request,
        assets=(asset,),
        cost=cost,
        created_at=job.created_at,
        finished_at=done,
    )
    return attrs.evolve(job, status=JobStatus.SUCCEEDED, finished_at=done, cost=cost, result=result)


@attrs.define
class FakeHandle:
    """A job that ends when it is asked for its result."""

    job: Job
    client: FakeClient
    send: bool = True
    expected: float | None = 20.0
    usual: Usual | None = None
    timeouts: list[float | None] = attrs.field(factory=list)

    @property
    def id(self) -> str:
        return self.job.id

    async def events(self) -> AsyncIterator[Snapshot]:
        if self.job.status is JobStatus.UNKNOWN:
            self._become(**self.client.settles.get(self.id, {}))
            yield Snapshot(status=self.job.status)
            return
        yield Snapshot(status=JobStatus.RUNNING, progress=0.5)
        await asyncio.Event().wait()

    async def result(self, timeout: float | None = None) -> Result:
        if self.job.status is JobStatus.PENDING and not self.send and not self.client.watches:
            raise JobError(f"job {self.id} was never sent: `genbridge jobs resume` sends it", job=self.job)
        self.timeouts.append(timeout)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if error := self.client.fails.get(f"result {self.job.media}"):
            raise error(self.job)
        self.job = finish(self.job)
        assert self.job.result is not None
        return self.job.result

    async def cancel(self) -> None:
        if error := self.client.fails.get("cancel"):
            raise error(self.job)
        self._become(status=JobStatus.CANCELLED)

    async def not_sent(self) -> Job:
        if error := self.client.fails.get(f"not_sent {self.id}"):
            raise error(self.job)
        return self._become(status=JobStatus.FAILED, cost=Cost(amount=0))

    async def adopt(self, provider_id: str) -> None:
        if error := self.client.fails.get("adopt"):
            raise error(provider_id)
        self._become(status=JobStatus.QUEUED, provider_id=provider_id)

    def _become(self, **changes: Any) -> Job:
        self.job = self.client.record[self.id] = attrs.evolve(self.job, **changes)
        return self.job


@attrs.define
class FakeClient:
    """A client without a service: what is asked of it is in `asked`, and what `fails` names raises."""

    record: dict[str, Job] = attrs.field(factory=dict)
    config: Config = Config(default="studio", backends={"studio": BackendConfig(name="studio", provider="acme")})
    offers: Mapping[str, Sequence[Model]] = attrs.field(factory=lambda: {"studio": (PAINTER, FILMER)})
    amount: float | None = 5.0
    quoted: Quote | None = None
    fails: dict[str, Callable[[Any], BaseException]] = attrs.field(factory=dict)
    asked: list[tuple[Any, ...]] = attrs.field(factory=list)
    handles: list[FakeHandle] = attrs.field(factory=list)
    wanted: list[tuple[str | None, Path | str | None, bool]] = attrs.field(factory=list)
    """The id, folder and repetition that each submit asked for."""
    seen: Sequence[Snapshot] = ()
    """What is seen of a job while it is submitted."""
    settles: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """What a job in doubt is found to be when its service is asked."""
    room: int | None = None
    """For how many jobs there is room under its caps."""
    bill: list[Spent] = attrs.field(factory=list)
    takes: dict[tuple[str, Media], Usual] = attrs.field(factory=dict)
    """What was learned of how long models take."""
    watches: bool = False
    """Whether workers drive its jobs."""
    patience: list[float | None] = attrs.field(factory=list)
    """For how long acceptance was to be waited for."""
    used: dict[str, Usage] = attrs.field(factory=lambda: defaultdict(Usage))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.asked.append(("closed",))

    def _fail(self, name: str, about: Any = None) -> None:
        if error := self.fails.get(name):
            raise error(about)

    async def quote(self, request: Request, *, backend: str | None = None) -> Quote:
        self.asked.append(("quote", request, backend))
        self._fail(f"quote {request.media}")
        if self.quoted is not None:
            return self.quoted
        model = PAINTER if request.media is Media.IMAGE else FILMER
        return Quote(amount=self.amount, certainty=Certainty.EXACT, basis="5 credits per image", model=model.id)

    async def submit(
        self,
        request: Request,
        *,
        backend: str | None = None,
        max_cost: float | None = None,
        id: str | None = None,  # noqa: A002 (as the real one calls it)
        save_to: Path | str | None = None,
        retry_failed: bool = False,
        observe: Callable[[Snapshot], None] | None = None,
        timeout: float | None = None,
    ) -> FakeHandle:
        self.asked.append(("submit", request, backend, max_cost))
        self.patience.append(timeout)
        self.wanted.append((id, save_to, retry_failed))
        for snapshot in self.seen if observe else ():
            observe(snapshot)
        self._fail("record")
        name = id or f"job{len(self.record) + 1}"
        again = name in {given_id(known) for known in self.record}
        status = self.seen[-1].status if self.seen else JobStatus.QUEUED
        job = make_job(request, id=f"{name}+2" if again else name, backend=backend or "studio", status=status)
        self.record[job.id] = job
        await asyncio.sleep(0)
        self._fail("submit", job)
        return self._handle(job)

    def _handle(self, job: Job) -> FakeHandle:
        handle = FakeHandle(job, self)
        self.handles.append(handle)
        return handle

    def handle(self, job: Job | str, *, send: bool = True) -> FakeHandle:
        if isinstance(job, str) and job not in self.record:
            raise JournalError(f"no job {job!r} is on record; `genbridge jobs list` shows them")
        handle = self._handle(self.record[job] if isinstance(job, str) else job)
        handle.send = send
        return handle

    def job(self, job_id: str) -> Job:
        return self.handle(job_id).job

    async def resume(self, *, wait: bool = True, send: bool = True) -> list[FakeHandle]:
        self.asked.append(("resume", wait))
        unsent = () if send else await self.unsent()
        jobs = [job for job in self.record.values() if not job.status.terminal and job not in unsent]
        unsaved = [job for job in self.record.values() if job.status is JobStatus.SUCCEEDED and job.save_to is not None]
        return [self._handle(job) for job in (*jobs, *unsaved)]

    async def unsent(self) -> list[Job]:
        return [job for job in self.record.values() if job.status is JobStatus.PENDING]

    async def check_caps(self, quotes: Iterable[Quote], *, max_cost: float | None = None) -> None:
        together = list(quotes)
        if dear := [quote for quote in together if max_cost is not None and (quote.amount or 0) > max_cost]:
            raise BudgetError(f"it would cost {dear[0]}, the most for one job is {max_cost:g}; nothing was sent")
        if self.room is not None and len(together) > self.room:
            raise BudgetError(f"there is room for {self.room} of the {len(together)} jobs; nothing was sent")

    async def jobs(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        self.asked.append(("jobs", status, backend, limit))
        for job in reversed(self.record.values()):
            if not (unfinished and job.status.terminal) and status in {None, job.status} and backend in {None, job.backend}:
                yield job

    async def backends(self) -> list[str]:
        return sorted({job.backend for job in self.record.values()})

    async def usage(self, backend: str) -> Usage:
        self.asked.append(("usage", backend))
        return self.used[backend]

    async def spend(self, *, since: datetime | None = None) -> list[Spent]:
        self.asked.append(("spend", since))
        return [spent for spent in self.bill if since is None or spent.day >= since.date()]

    async def models(self, backend: str | None = None, *, live: bool = True) -> list[Model]:
        self.asked.append(("models", backend, live))
        self._fail(f"models {backend}")
        return list(self.offers[backend or "studio"])

    async def usual(self, backend: str | None = None) -> dict[tuple[str, Media], Usual]:
        return self.takes

    async def download(
        self, result: Result, directory: Path | str, *, progress: Callable[[Progress], None] | None = None
    ) -> list[Path]:
        self.asked.append(("download", result.job_id, directory))
        self._fail("download", result.assets[0])
        assert progress is not None
        progress(Progress(asset=result.assets[0], index=0, done=10, total=10))
        return [Path(directory) / f"{result.job_id}.{'png' if result.request.media is Media.IMAGE else 'mp4'}"]


@attrs.frozen
class Run:
    """What a command line did."""

    exit_code: int
    stdout: str
    stderr: str
    session: Session


@pytest.fixture
def client() -> FakeClient:
    """Return a client that sends nothing."""
    return FakeClient()


@pytest.fixture(name="make_job")
def _make_job() -> Callable[..., Job]:
    return make_job


@pytest.fixture(name="finish")
def _finish() -> Callable[[Job], Job]:
    return finish


@pytest.fixture(name="painter")
def _painter() -> Model:
    return PAINTER


@pytest.fixture
def cli(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run a command line with the client that sends nothing."""
    names = map("job{}".format, count(1))

    def run(*words: str, connect: Callable[[Session], Any] = lambda _session: client) -> Run:
        session = Session(connect=connect, ledger=connect, new_id=names.__next__, began=NOON)
        with pytest.raises(SystemExit) as exiting:
            app.main(list(words), prog_name="genbridge", obj=session)
        printed = capsys.readouterr()
        code = exiting.value.code
        return Run(code if isinstance(code, int) else 0, printed.out, printed.err, session)

    return run

"""A provider that speaks canonical words, and a service at its other end that answers from scripts."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from genbridge import (
    Asset,
    Backend,
    Call,
    Capabilities,
    Client,
    Cost,
    Exchange,
    Failure,
    GenbridgeError,
    Job,
    JobStatus,
    Limits,
    Media,
    Model,
    PollPolicy,
    Price,
    Provider,
    Range,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    TransportError,
    Verdict,
    VideoRequest,
    hookimpl,
)
from genbridge.config import BackendConfig, Config, Secret
from genbridge.journal.sqlite import SqliteJournal
from genbridge.testing.clock import FakeClock
from genbridge.transport import Origin

KEY = "studio-secret-key-0123456789"
REQUEST = VideoRequest("a fox in the snow", duration=5)
LOST = TransportError("the connection broke", verdict=Verdict.UNKNOWN)
REFUSED_CONNECTION = TransportError("no connection", verdict=Verdict.NOT_SENT)

Answer = Reply | GenbridgeError | Callable[[Call], Reply]


class Studio:
    """A provider that speaks canonical words, so that tests are about the core."""

    def __init__(self, name: str = "studio", *, limits: Limits | None = None, longest: int = 15, price: float = 10.0) -> None:
        video = Model(
            id="clip",
            provider_id="clip-1",
            media=Media.VIDEO,
            capabilities=Capabilities(duration=Range(1, longest, default=5)),
            prices=(Price(amount=price, per="second"),),
            expected=20.0,
        )
        still = Model(id="still", provider_id="still-1", media=Media.IMAGE)
        self.provider = Provider(
            name=name,
            base_url=f"https://{name}.example",
            key_variable=f"{name.upper()}_KEY",
            poll=PollPolicy(interval=2.0, grace=30.0, jitter=0.0),
            limits=limits or Limits(),
            models=(video, still),
        )

    @hookimpl
    def describe(self) -> Provider:
        return self.provider

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str) -> Call:
        return Call.post("/jobs", json={"prompt": request.prompt, "model": request.model, "key": key})

    @hookimpl
    def poll(self, backend: Backend, job: Job) -> Call:
        return Call.get(f"/jobs/{job.provider_id}")

    @hookimpl
    def normalize(self, backend: Backend, job: Job, reply: Reply) -> Snapshot:
        if not reply.ok:
            raise ServiceError.for_status(reply.status, f"it said {reply.status}", retry_after=reply.retry_after)
        fields = reply.fields()
        cost = fields.number("cost")
        return Snapshot(
            status=JobStatus(fields.text("status") or "running"),
            provider_id=fields.text("id"),
            assets=tuple(Asset(url=url, media=Media.VIDEO) for url in fields.texts("urls")),
            failure=Failure(message="too dark") if fields.text("status") == "failed" else None,
            cost=None if cost is None else Cost(amount=cost),
            refunded=fields.flag("refunded") or False,
            progress=fields.number("progress"),
            poll_after=fields.number("poll_after"),
            note=fields.text("note"),
        )


class KeyedStudio(Studio):
    """The same, with a look-up by key and a way to cancel."""

    @hookimpl
    def recover(self, backend: Backend, job: Job) -> Exchange[Reply | None]:
        reply = yield Call.get(f"/requests/{job.key}")
        return None if reply.status == 404 else reply

    @hookimpl
    def cancel(self, backend: Backend, job: Job) -> Call:
        return Call(method="DELETE", url=f"/jobs/{job.provider_id}")


@attrs.define
class Service:
    """The other end: answers calls from scripts, the last line of each for ever, and remembers what it was sent."""

    submits: deque[Answer] = attrs.field(factory=deque, converter=deque)
    polls: deque[Answer] = attrs.field(factory=deque, converter=deque)
    look_ups: deque[Answer] = attrs.field(factory=deque, converter=deque)
    deletes: deque[Answer] = attrs.field(factory=deque, converter=deque)
    keys: list[str] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)
    clock: FakeClock = attrs.field(factory=FakeClock)

    @property
    def posts(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST"]

    @property
    def sent(self) -> list[tuple[Call, float]]:
        return list(zip(self.calls, self.times, strict=True))

    @property
    def poll_times(self) -> list[float]:
        return [at for call, at in self.sent if call.url.startswith("/jobs/")]

    async def send(self, call: Call, origin: Origin) -> Reply:
        self.calls.append(call)
        self.keys.append(origin.headers["authorization"])
        self.times.append(self.clock.elapsed)
        scripts = {"POST": self.submits, "DELETE": self.deletes}
        script = self.look_ups if call.url.startswith("/requests/") else scripts.get(call.method, self.polls)
        answer = script.popleft() if len(script) > 1 else script[0]
        if isinstance(answer, GenbridgeError):
            raise pickle.loads(pickle.dumps(answer))
        return answer if isinstance(answer, Reply) else answer(call)

    async def aclose(self) -> None:
        pass


def accepted(**more: Any) -> Reply:
    """Return the answer to a submit that worked."""
    return Reply.of({"id": "p1", "status": "queued", **more})


def running(**more: Any) -> Reply:
    """Return the answer to a poll of a job under way."""
    return Reply.of({"id": "p1", "status": "running", **more})


def done(**more: Any) -> Reply:
    """Return the answer to a poll of a job that is done."""
    return Reply.of({"id": "p1", "status": "succeeded", "urls": ["https://files.example/1.mp4"], **more})


def said(status: int, **headers: str) -> Reply:
    """Return an answer that is an error."""
    return Reply.of({}, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def a_service(*, submits: list[Any] | None = None, polls: list[Any] | None = None, **more: Any) -> Service:
    """Return a service that accepts and makes everything, unless told otherwise."""
    return Service(submits=submits or [accepted()], polls=polls or [done()], **more)


def a_config(**changes: Any) -> Config:
    """Return a configuration with the one backend."""
    return Config(backends={"main": attrs.evolve(BackendConfig(name="main", provider="studio", api_key=Secret(KEY)), **changes)})


class InlineJournal(SqliteJournal):
    """A journal without a thread, so that a test's steps come in one order."""

    def __init__(self, path: Path | None, **settings: Any) -> None:
        super().__init__(path, inline=True, **settings)


@asynccontextmanager
async def opened(
    service: Service, *, config: Config | None = None, journal: InlineJournal | Path | None = None, studio: Studio | None = None
) -> AsyncIterator[Client]:
    """Open a client of the service."""
    studio = studio or Studio()
    client = Client(
        config or a_config(),
        journal=journal
        if isinstance(journal, InlineJournal)
        else InlineJournal(journal, now=lambda: service.clock.now().timestamp()),
        providers={studio.provider.name: studio},
        clock=service.clock,
        transport=service,  # type: ignore[arg-type]
    )
    async with client:
        yield client


async def pending(client: Client) -> Job:
    """Return the job that waits to be sent, once there is one."""
    for _ in range(10_000):
        async for job in client.jobs(status=JobStatus.PENDING):
            return job
        await asyncio.sleep(0)
    raise AssertionError("no job waits to be sent")


async def left_unsent(work: Coroutine[Any, Any, Any], service: Service, client: Client) -> None:
    """Give some work up when a job of it is on record and was not sent, as the service refuses its first submit."""
    task = asyncio.create_task(work)
    await refused_once(service, client)
    task.cancel()


async def refused_once(service: Service, client: Client) -> None:
    """Return when a job was refused and waits to be sent again."""
    for _ in range(10_000):
        if service.posts:
            break
        await asyncio.sleep(0)
    await pending(client)

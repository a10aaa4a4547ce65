"""The blocking face: the same client, run on an event loop in a background thread.

It works in a script, in a notebook and inside a running event loop, as the loop it uses is its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from genbridge.client import Client, Handle, check_result
from genbridge.durations import Usual
from genbridge.errors import JournalError
from genbridge.folders import folder

if TYPE_CHECKING:
    from genbridge.batches import Batch, Entry, Outcome, Terms
    from genbridge.budgets import Usage
    from genbridge.catalogue import Model
    from genbridge.config import Config
    from genbridge.downloads import Progress
    from genbridge.types import Job, JobStatus, Media, Quote, Request, Result, Snapshot, Spent

T = TypeVar("T")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="genbridge", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it was stopped."""
        return self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; an interrupt cancels it."""
        if self._pid != os.getpid():
            work.close()
            raise JournalError("the client was opened by another process; open one in each")
        if self._loop.is_closed():
            work.close()
            raise JournalError("the client is closed; open another to go on with its jobs")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Yield what an asynchronous iterator yields."""
        try:
            while True:
                yield self.run(_next(items))
        except StopAsyncIteration:
            return

    def close(self) -> None:
        """Stop the loop and its thread; who still waits in another thread gets a `CancelledError`."""
        self.run(_cancel_others())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


class BlockingClient:
    """`Client` with methods that block; use it as `with BlockingClient() as client`.

    `client` is an asynchronous client that is not open yet, such as `Client.sandbox()`; left out, one of `config` and `journal`.
    """

    def __init__(self, client: Client | None = None, **settings: Any) -> None:
        self._client = client or Client(**settings)
        self._loop = _Loop()

    def __enter__(self) -> Self:
        try:
            self._loop.run(self._client.__aenter__())
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop driving jobs and close everything; jobs go on at their services and stay on record."""
        if self._loop.closed:
            return
        self._loop.run(self._client.aclose())
        self._loop.close()

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._client.config

    @property
    def watches(self) -> bool:
        """Whether workers drive the jobs, and not this process."""
        return self._client.watches

    def models(self, backend: str | None = None, *, live: bool = True) -> list[Model]:
        """Return what a backend offers."""
        return self._loop.run(self._client.models(backend, live=live))

    def quote(self, request: Request, *, backend: str | None = None) -> Quote:
        """Check a request and return what it will cost; sends nothing."""
        return self._loop.run(self._client.quote(request, backend=backend))

    def usual(self, backend: str | None = None) -> dict[tuple[str, Media], Usual]:
        """Return how long the models of a backend (or the default) usually take; see `Client.usual`."""
        return self._loop.run(self._client.usual(backend))

    def submit(
        self,
        request: Request,
        *,
        backend: str | None = None,
        max_cost: float | None = None,
        id: str | None = None,  # noqa: A002 (it is what it is called everywhere)
        save_to: Path | str | None = None,
        retry_failed: bool = False,
        observe: Callable[[Snapshot], None] | None = None,
        timeout: float | None = None,
    ) -> BlockingHandle:
        """Submit a request and return once the service has accepted it; `observe` is called in another thread."""
        submit = self._client.submit(
            request,
            backend=backend,
            max_cost=max_cost,
            id=id,
            save_to=save_to,
            retry_failed=retry_failed,
            observe=observe,
            timeout=timeout,
        )
        return self._handle(self._loop.run(submit))

    def generate(
        self, request: Request, *, backend: str | None = None, max_cost: float | None = None, timeout: float | None = None
    ) -> Result:
        """Submit a request and wait for its result."""
        return self._loop.run(self._client.generate(request, backend=backend, max_cost=max_cost, timeout=timeout))

    def generate_many(
        self,
        requests: Iterable[Request],
        *,
        directory: Path | str | None = None,
        timeout: float | None = None,
        **terms: Unpack[Terms],
    ) -> list[Outcome]:
        """Submit many requests, wait for all, and return what came of each, in order; `terms` are those of `Client.batch`."""
        return self._loop.run(self._client.generate_many(requests, directory=directory, timeout=timeout, **terms))

    def batch(self, requests: Iterable[Request], **terms: Unpack[Terms]) -> BlockingBatch:
        """Check and price many requests; nothing is sent before `BlockingBatch.run`."""
        return BlockingBatch(self._loop.run(self._client.batch(requests, **terms)), self._loop)

    def unsent(self) -> list[Job]:
        """Return the jobs on record that were never sent and that no living process is about to send, oldest first."""
        return self._loop.run(self._client.unsent())

    def check_caps(self, quotes: Iterable[Quote], *, max_cost: float | None = None) -> None:
        """Raise `BudgetError` when jobs at those quotes, all together, would exceed a cap of their backends now."""
        self._loop.run(self._client.check_caps(quotes, max_cost=max_cost))

    def usage(self, backend: str) -> Usage:
        """Return what counts against a backend's caps: of today (UTC), and of everything on record."""
        return self._loop.run(self._client.usage(backend))

    def spend(self, *, since: datetime | None = None) -> list[Spent]:
        """Return what the jobs on record cost, or those created since a time, by day, backend and model."""
        return self._loop.run(self._client.spend(since=since))

    def handle(self, job: Job | str, *, send: bool = True) -> BlockingHandle:
        """Return the handle of a job on record; `send` says whether to wait for one that was never sent sends it."""
        return self._handle(self._client.handle(job, send=send))

    def resume(self, *, wait: bool = True, send: bool = True) -> list[BlockingHandle]:
        """Drive every unfinished job on record; `send` says whether also those that were never sent."""
        return [self._handle(handle) for handle in self._loop.run(self._client.resume(wait=wait, send=send))]

    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Yield the jobs on record, newest first; `unfinished` leaves out those that have ended."""
        return self._loop.each(self._client.jobs(status=status, backend=backend, unfinished=unfinished, limit=limit))

    def download(self, result: Result, directory: Path | str, *, progress: Callable[[Progress], None] | None = None) -> list[Path]:
        """Save a result's files, each with a sidecar, and return their paths."""
        return self._loop.run(self._client.download(result, directory, progress=progress))

    def _handle(self, handle: Handle) -> BlockingHandle:
        return BlockingHandle(handle, self._loop)


class BlockingBatch:
    """`Batch` with a method that blocks."""

    def __init__(self, batch: Batch, loop: _Loop) -> None:
        self._batch = batch
        self._loop = loop

    def __repr__(self) -> str:
        return f"<Blocking {self._batch!r}>"

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Each request, with its price or what is on record of it."""
        return self._batch.entries

    @property
    def totals(self) -> tuple[Quote, ...]:
        """What `run` would pay now, one sum for each backend and unit."""
        return self._batch.totals

    def run(
        self,
        *,
        directory: Path | str | None = None,
        timeout: float | None = None,
        observe: Callable[[Entry, Snapshot], None] | None = None,
    ) -> list[Outcome]:
        """Send what is not on record, wait for everything, and return what came of each; `observe` is called in another thread."""
        return self._loop.run(self._batch.run(directory=directory, timeout=timeout, observe=observe))


class BlockingHandle:
    """`Handle` with methods that block."""

    def __init__(self, handle: Handle, loop: _Loop) -> None:
        self._handle = handle
        self._loop = loop

    def __repr__(self) -> str:
        return f"<Blocking {self._handle!r}>"

    @property
    def id(self) -> str:
        """The job's id on record."""
        return self._handle.id

    @property
    def job(self) -> Job:
        """The job as it is known now."""
        return self._handle.job

    @property
    def expected(self) -> float | None:
        """How many seconds such a job usually takes, where anybody says."""
        return self._handle.expected

    @property
    def usual(self) -> Usual | None:
        """Between what times such jobs usually take, once that was learned."""
        return self._handle.usual

    def events(self) -> Iterator[Snapshot]:
        """Yield what is known now, then every observation until the job ends."""
        return self._loop.each(self._handle.events())

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result; a timeout (seconds) ends the wait and not the job."""
        return self._loop.run(self._handle.result(timeout))

    def cancel(self) -> None:
        """Ask the service to stop the job."""
        self._loop.run(self._handle.cancel())

    def not_sent(self) -> Job:
        """Say of a job in doubt that the service never had it."""
        return self._loop.run(self._handle.not_sent())

    def adopt(self, provider_id: str) -> None:
        """Give a job in doubt the id that you found it under at the service."""
        self._loop.run(self._handle.adopt(provider_id))


def generate(
    request: Request,
    *,
    backend: str | None = None,
    config: Config | Path | str | None = None,
    max_cost: float | None = None,
    timeout: float | None = None,
) -> Result:
    """Submit a request, wait for its result and return it.

    Raises what `Client.submit` and `Handle.result` raise; a job that was submitted stays on record whatever happens here.
    """
    with BlockingClient(config=config) as client:
        return client.generate(request, backend=backend, max_cost=max_cost, timeout=timeout)


def save(result: Result, directory: Path | str = ".") -> list[Path]:
    """Save a result's files, each with a sidecar, and return their paths in order."""
    from genbridge.downloads import download  # noqa: PLC0415 (loaded when it is used)

    check_result(result)
    path = folder(directory)
    loop = _Loop()
    try:
        return loop.run(download(result, path))
    finally:
        loop.close()

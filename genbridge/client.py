"""`Client` and `Handle`: what an application uses."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, Unpack
from urllib.parse import urlsplit
from uuid import UUID, uuid4, uuid5

import attrs

from genbridge.addresses import is_loopback
from genbridge.backends import Account, Plan
from genbridge.budgets import Usage, check_all
from genbridge.config import IN_PROCESS, JOURNAL, BackendConfig, Config, Route, load
from genbridge.databases import DatabaseUrl
from genbridge.drives import Drive, Listener, never_started
from genbridge.durations import Usual, by_model
from genbridge.errors import (
    BackendError,
    ConfigError,
    DownloadError,
    GenbridgeError,
    JobTimeoutError,
    JournalError,
    Problem,
    RequestError,
)
from genbridge.folders import folder, lasting_folder
from genbridge.journal import Journal, SharedJournal, open_journal
from genbridge.journal.records import request_text
from genbridge.ledger import find, pages
from genbridge.places import place_in
from genbridge.plugins import Registry, installed
from genbridge.references import rooted
from genbridge.scheduler import Scheduler
from genbridge.timing import Clock, SystemClock
from genbridge.tries import numbered
from genbridge.types import ImageRequest, Job, JobStatus, Media, Quote, Request, Result, Snapshot, Spent, Verdict, VideoRequest
from genbridge.wishes import Wish, budget_of, check_cap, check_price, within_price

if TYPE_CHECKING:
    from genbridge.batches import Batch, Outcome, Terms
    from genbridge.catalogue import Model
    from genbridge.downloads import Progress
    from genbridge.engine import Engine
    from genbridge.limits import Limiter
    from genbridge.lines import Line
    from genbridge.sandbox import Sandbox
    from genbridge.transport import Transport
    from genbridge.watching import Watcher

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FROM_CONFIG = "from the configuration"
_OWN_PACKAGE = "genbridge"
_KEYS = UUID("6f0d3c2e-9a52-5b0e-8f5e-3f7c9d1b2a40")
"""The name space of idempotency keys that are made of a caller's id."""
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_SAVED_AT_ONCE = 16
"""Of how many jobs files are saved at the same time: each takes connections and open files."""
_AT_ONCE = 200
"""How many jobs are taken up at the same time."""
_EVERYTHING = "sandbox"
"""The sandbox's default route: whichever emulator can do the request."""


class Client:
    """Submits jobs, follows them and saves what they make.

    Use it as `async with Client() as client`. `config` is a `Config`, the path of a file, or `None` to find `genbridge.toml` and
    then the environment. `journal` is the path of the record of jobs (or a store of your own), or `None` to keep it in memory
    only, in which case nothing can be resumed after this process; left out, it is what the configuration says. `providers` are
    plugin objects by name, beside those that are installed.

    A `journal` that is the URL of a database (`postgresql://…`) may be shared by machines. Workers (`genbridge worker`) drive its
    jobs, so that this process sends nothing, and needs no key: it hands its jobs in and follows them. Local files of a request are
    read by the worker, at the paths that they have here; files that were made are saved here. `engine` is what hands jobs to
    workers, if the configuration is not to say; "in-process" has this process drive its own jobs.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        journal: Journal | DatabaseUrl | Path | str | None = _FROM_CONFIG,
        engine: str | None = None,
        providers: Mapping[str, object] | None = None,
        clock: Clock | None = None,
        transport: Transport | Line | None = None,
    ) -> None:
        self._source = config
        self._given_journal = journal
        self._given_engine = engine
        self._registry = Registry(given=providers) if providers else installed
        self._clock = clock or SystemClock()
        self._transport = transport or _transport()
        self._sandbox: Sandbox | None = None
        self._pace = 1.0
        self._stack = AsyncExitStack()
        self._accounts: dict[str, Account] = {}
        self._saving = asyncio.Semaphore(_SAVED_AT_ONCE)
        self._config: Config | None = None
        self._journal: Journal | None = None
        self._scheduler: Scheduler | Watcher | None = None

    @classmethod
    def sandbox(
        cls,
        *,
        speed: float = 20.0,
        journal: Path | str | None = None,
        state: Path | None = None,
        providers: Mapping[str, object] | None = None,
    ) -> Self:
        """Return a client of the providers' emulators, run in this process: no key, no network, no cost.

        Their time passes `speed` times faster than ours. `state` is a file that keeps them between processes. A database is no
        place for the record of its jobs, as workers there would have the services themselves make them.
        """
        from genbridge.sandbox import Sandbox  # noqa: PLC0415 (the server is loaded when it is used)

        client = cls(Config(), journal=journal, engine=IN_PROCESS, providers=providers)
        client._pace = speed
        own_first = sorted(client._registry.offering("emulate"), key=lambda plugin: plugin.package != _OWN_PACKAGE)
        client._sandbox = Sandbox.of(own_first, speed=speed, state=state)
        return client

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._scheduler is not None:
            self._scheduler.hurry()
        await self.aclose()

    async def _open(self) -> None:
        if self._sandbox is not None:
            await self._stack.enter_async_context(self._sandbox)
            self._config = _sandbox_config(self._sandbox)
        else:
            self._config = self._source if isinstance(self._source, Config) else self._load(self._source)
        self._stack.push_async_callback(self._transport.aclose)
        self._journal = self._make_journal(self._config)
        await self._journal.open()
        self._stack.push_async_callback(self._journal.aclose)
        self._scheduler = self._make_driver(self._config, self._journal)
        self._scheduler.start()
        self._stack.push_async_callback(self._scheduler.aclose)

    def _load(self, path: Path | str | None) -> Config:
        return load(path, providers=self._registry.providers())

    def _place(self, config: Config) -> Journal | DatabaseUrl | Path | None:
        """Return where the record of jobs is, or the record itself."""
        given = config.journal.place() if self._given_journal == _FROM_CONFIG else self._given_journal
        return (place_in(given) if given else None) if isinstance(given, str) else given

    def _make_journal(self, config: Config) -> Journal:
        place = self._place(config)
        if isinstance(place, DatabaseUrl):
            if self._sandbox is not None:
                raise ConfigError(f"the sandbox needs a file, as workers of {place} might send its jobs; name one as journal")
            return open_journal(place, engine=self._make_engine(config, place))
        if place is None or isinstance(place, Path):
            return open_journal(place, now=lambda: self._clock.now().timestamp())
        return place

    def _make_engine(self, config: Config, url: DatabaseUrl) -> Engine | None:
        """Return what gives tickets for the jobs in a database, where it is not this process that drives them."""
        if (name := self._engine(config)) == IN_PROCESS:
            return None
        from genbridge import seams  # noqa: PLC0415 (only where machines share the journal)

        return seams.installed.engine(name, url)

    def _make_limiter(self, config: Config, journal: Journal) -> Limiter | None:
        """Return what decides instead of the journal when a submit may start, where something else is to."""
        url = getattr(journal, "url", None)
        if config.journal.limiter == JOURNAL or url is None:
            return None
        from genbridge import seams  # noqa: PLC0415 (only where machines share the journal)

        return seams.installed.limiter(config.journal.limiter, url)

    def _make_driver(self, config: Config, journal: Journal) -> Scheduler | Watcher:
        if not isinstance(journal, SharedJournal) or self._engine(config) == IN_PROCESS:
            return Scheduler(journal, self._account_of, self._clock, limiter=self._make_limiter(config, journal))
        from genbridge.watching import Watcher  # noqa: PLC0415 (only where machines share the journal)

        return Watcher(journal, self._account_of, self._clock)

    def _engine(self, config: Config) -> str:
        """Return the name of what hands the jobs of a journal that machines share to who drives them."""
        return self._given_engine or config.journal.engine_of(shared=True)

    @property
    def watches(self) -> bool:
        """Whether workers drive the jobs, and not this process."""
        return not isinstance(self._driver, Scheduler)

    async def aclose(self) -> None:
        """Stop driving or following jobs and close everything; jobs go on at their services and stay on record."""
        await self._stack.aclose()

    # What there is.

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return _opened(self._config)

    async def models(self, backend: str | None = None, *, live: bool = True) -> list[Model]:
        """Return what a backend (or the default) offers; `live` asks the service where it can be asked."""
        accounts, _ = self._candidates(backend)
        return [model for account in accounts for model in await account.models(live=live)]

    async def usual(self, backend: str | None = None) -> dict[tuple[str, Media], Usual]:
        """Return how long the models of a backend (or the default) usually take, whatever is asked of them.

        They are named by the service's own id and the medium; those of which too few jobs were seen are left out.
        """
        accounts, _ = self._candidates(backend)
        paces = {account.provider.name: account.pace for account in accounts}
        return by_model(await self._record.durations(), paces)

    async def quote(self, request: Request, *, backend: str | None = None) -> Quote:
        """Check a request and return what it will cost; sends nothing. Raises `RequestError` with every problem."""
        (_, plan), *_ = await self._plans(request, backend)
        return plan.quote

    # Jobs.

    async def submit(
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
    ) -> Handle:
        """Submit a request and return once the service has accepted it.

        `backend` names a backend or a route; the next of a route is taken only when it is certain that nothing was started.

        `id` is an id of your own for what is to be made: however often it is submitted, also by other processes, it is paid for
        once. The job on record is returned then; only one that certainly started nothing is sent anew, and with `retry_failed` one
        that the service failed to make. One on record that was never sent is sent, at its quote of then. `save_to` is the folder
        for its files: when this process does not come to saving them, `resume` does. `observe` is told of all that is seen of the
        job, such as what it waits for. `timeout` is for how many seconds the acceptance is waited for, as a worker or a limit may
        take long; then `JobTimeoutError` is raised, with the `job`, which goes on.

        Raises `RequestError` before anything is sent, `BudgetError` when it would cost more than `max_cost` or a cap,
        `BackendError` when the service was not reached or said no, `SubmitUnknownError` when nobody knows; that job is on record.
        """
        if id is not None:
            _check_id(id)
        save_to = None if save_to is None else lasting_folder(save_to)
        wish = Wish(max_cost=max_cost, id=id, save_to=save_to, retry_failed=retry_failed, observe=observe, timeout=timeout)
        return await self._carry_out(request, backend, wish)

    async def _carry_out(self, request: Request, backend: str | None, wish: Wish) -> Handle:
        check_cap(wish.max_cost)
        request = rooted(request) if self.watches else request
        standing, number = (None, 1) if wish.id is None else await self._standing(wish.id, request, retry_failed=wish.retry_failed)
        if standing is not None:
            return await self._again(standing, wish)
        plans = await self._plans(request, backend)
        plans = within_price(plans if self.watches else _with_key(plans), wish.agreed)
        for tries, ((account, plan), (following, _)) in enumerate(pairwise(plans), start=number):
            try:
                return await self._submit(account, plan, wish.of_try(tries), patience=0.0)
            except BackendError as error:
                if error.verdict not in {Verdict.REFUSED, Verdict.NOT_SENT}:
                    raise
                _log.warning("%s; nothing was started, so backend %r is asked", error, following.name)
        account, plan = plans[-1]
        return await self._submit(account, plan, wish.of_try(number + len(plans) - 1), patience=account.config.patience)

    async def _latest(self, given: str) -> tuple[Job | None, int]:
        """Return the last job on record of an id, and the number that its next try has."""
        job, number = None, 1
        while following := await self._record.get(numbered(given, number)):
            job, number = following, number + 1
        return job, number

    async def _standing(self, given: str, request: Request, *, retry_failed: bool) -> tuple[Job | None, int]:
        """Return the job on record that a request of that id comes to, if any, and the number of the try that it would be else.

        Both are of one look: a job that another process adds after it has that number, and is found when this one is added.
        """
        job, number = await self._latest(given)
        if job is None:
            return None, number
        _check_same(job, request)
        goes_on = not never_started(job) and not (retry_failed and _failed(job))
        return (job if goes_on else None), number

    async def _again(self, job: Job, wish: Wish) -> Handle:
        """Return the handle of a job that is asked for once more; raises `BudgetError` where that would send it for too much."""
        if job.status is JobStatus.PENDING:
            check_price(job, self._account_of(job.backend, job.provider).config, wish)
        handle = Handle(self._driver, job)
        drive = await handle._attach(wish.observe)  # noqa: SLF001 (the two are one module's)
        if job.status is JobStatus.PENDING and (self.watches or drive.lease is not None):
            await self._driver.accepted(drive, wish.timeout)
        return handle

    async def _submit(self, account: Account, plan: Plan, wish: Wish, *, patience: float) -> Handle:
        if not self.watches:
            account.config.require_key()
        job = Job(
            id=wish.id or uuid4().hex,
            # A key made of the id is the same even where the record was lost, and a service that honours it makes nothing twice.
            key=str(uuid5(_KEYS, wish.id) if wish.id else uuid4()),
            backend=account.name,
            provider=account.provider.name,
            model=plan.model.id,
            provider_model=plan.model.provider_id,
            request=plan.request,
            status=JobStatus.PENDING,
            quote=plan.quote,
            created_at=self._clock.now(),
            save_to=wish.save_to,
        )
        budget = budget_of(account.config, wish.max_cost)
        drive = await self._driver.submit(
            job,
            account,
            budget,
            patience=patience,
            alone=wish.alone and not account.plugin.supports("recover"),
            listen=wish.observe,
            timeout=wish.timeout,
        )
        if drive is None:
            known = await self._record.get(job.id) or job
            _check_same(known, plan.request)
            return await self._again(known, wish)
        if wish.id is not None:  # else nobody else can have submitted it
            _check_same(drive.job, plan.request)
        return Handle(self._driver, drive)

    async def generate(
        self, request: Request, *, backend: str | None = None, max_cost: float | None = None, timeout: float | None = None
    ) -> Result:
        """Submit a request and wait for its result; `timeout`, in seconds, is for the wait after the service accepted it."""
        handle = await self.submit(request, backend=backend, max_cost=max_cost)
        return await handle.result(timeout=timeout)

    def handle(self, job: Job | str, *, send: bool = True) -> Handle:
        """Return the handle of a job on record: the record itself, its id, or a beginning of the id that no other has.

        To wait for a job that was never sent sends it, unless `send` is false, which leaves it as it is. Raises `JournalError`
        where there is none of that id.
        """
        return Handle(self._driver, find(self._record, job) if isinstance(job, str) else job, send=send)

    async def resume(self, *, wait: bool = True, send: bool = True) -> list[Handle]:
        """Drive every unfinished job on record that no other process drives.

        Those whose files were wanted somewhere (`save_to`) and are not there yet are among them, also when they have ended. Those
        that were never sent are sent, unless `send` is false, which leaves them as they are. With `wait`, return when each has
        ended or cannot be settled now, and its files are saved as far as they can be.

        Where workers drive the jobs it is every unfinished job on record: each that none of them has is given to one, those in
        doubt among them, and all are followed here.

        A job that cannot be driven, as its backend is not configured any more or its provider's package is broken, keeps no other
        from its end. With `wait` the error is raised after that; without, by whoever asks that job's handle.
        """
        errors: list[GenbridgeError] = []
        jobs = [*await self._unfinished(), *await self._record.unsaved()]
        handles = [Handle(self._driver, job, send=send) for job in jobs if send or job.status is not JobStatus.PENDING]
        for some in _in_pages(handles):
            errors += filter(None, await asyncio.gather(*map(_attached, some)))
        if wait:
            await asyncio.gather(*(self._collect(handle) for handle in handles))
        if wait and errors:
            raise _as_one(errors)
        return handles

    async def _collect(self, handle: Handle) -> None:
        """Wait until a job has ended, and save its files where they were wanted."""
        await handle._settled()  # noqa: SLF001 (the two are one module's)
        job = handle.job
        if job.result is None or job.save_to is None:
            return
        try:
            await self.download(job.result, job.save_to)
        except DownloadError as error:
            _log.warning("job %s is done, but its files are not saved: %s", job.id, error)

    async def batch(
        self,
        requests: Iterable[Request],
        *,
        name: str = "",
        ids: Sequence[str | None] | None = None,
        backend: str | Sequence[str | None] | None = None,
        max_cost: float | None = None,
        max_total: float | None = None,
        retry_failed: bool = False,
    ) -> Batch:
        """Check and price many requests; nothing is sent before `Batch.run`.

        Each request has an id that comes from `name` and from the request itself, or from its place in `ids`, so that the same
        batch run again goes on where it was and pays for nothing twice; another name makes everything anew. `backend` is one for
        all, or one each. `max_cost` is for one job and `max_total` for all that would be sent now, among them those on record that
        were never sent.

        Raises `RequestError` with every problem of every request, and `BudgetError` when all together would exceed a cap.
        """
        from genbridge.batches import prepare  # noqa: PLC0415 (loaded when it is used)

        check_cap(max_cost)
        check_cap(max_total, "max_total")
        return await prepare(
            self,
            list(requests),
            name=name,
            ids=ids,
            backend=backend,
            max_cost=max_cost,
            max_total=max_total,
            retry_failed=retry_failed,
        )

    async def generate_many(
        self,
        requests: Iterable[Request],
        *,
        directory: Path | str | None = None,
        timeout: float | None = None,
        **terms: Unpack[Terms],
    ) -> list[Outcome]:
        """Submit many requests, wait for all, and return what came of each, in order.

        `directory` is where their files are saved, if anywhere, and `timeout` the seconds that each is waited for after the service
        accepted it. `terms` and what is raised are those of `batch`; what goes wrong with one job is in its outcome and stops no
        other.
        """
        batch = await self.batch(requests, **terms)
        return await batch.run(directory=directory, timeout=timeout)

    async def unsent(self) -> list[Job]:
        """Return the jobs on record that were never sent and that no living process is about to send, oldest first.

        `resume` sends them; `Handle.cancel` drops one, and releases what it reserves. Where workers drive the jobs, those that one
        of them is about to send are among them.
        """
        return [job for job in await self._unfinished() if job.status is JobStatus.PENDING]

    async def _unfinished(self) -> list[Job]:
        """Return the unfinished jobs that are this process's to see to, oldest first: those that it may drive, or follow."""
        if not self.watches:
            return list(await self._record.unfinished())
        return [job async for job in pages(self._record, status=None, backend=None, unfinished=True, limit=None)][::-1]

    async def check_caps(self, quotes: Iterable[Quote], *, max_cost: float | None = None) -> None:
        """Raise `BudgetError` when jobs at those quotes, all together, would exceed a cap of their backends now."""
        groups: dict[str, list[Quote]] = {}
        for quote in quotes:
            groups.setdefault(str(quote.backend), []).append(quote)
        for backend, group in groups.items():
            check_all(backend, group, budget_of(self.config.backends[backend], max_cost), await self.usage(backend))

    async def usage(self, backend: str) -> Usage:
        """Return what counts against a backend's caps: of today (UTC), and of everything on record."""
        return await self._record.usage(backend)

    async def spend(self, *, since: datetime | None = None) -> list[Spent]:
        """Return what the jobs on record cost, or those created since a time, by day, backend and model."""
        return list(await self._record.spent(0.0 if since is None else since.timestamp()))

    async def jobs(
        self,
        *,
        status: JobStatus | None = None,
        backend: str | None = None,
        unfinished: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Yield the jobs on record, newest first; `unfinished` leaves out those that have ended."""
        async for job in pages(self._record, status=status, backend=backend, unfinished=unfinished, limit=limit):
            yield job

    async def download(
        self, result: Result, directory: Path | str, *, progress: Callable[[Progress], None] | None = None
    ) -> list[Path]:
        """Save a result's files with a sidecar beside each, and return their paths in order.

        When a link is no longer valid, the service is asked for a fresh one. Raises `DownloadError`, and `RequestError` for what is
        no result or no path.
        """
        check_result(result)
        async with self._saving:
            paths = await self._fetched(result, folder(directory), progress)
        with suppress(JournalError):
            await self._record.saved(result.job_id)
        return paths

    async def _fetched(self, result: Result, directory: Path | str, progress: Callable[[Progress], None] | None) -> list[Path]:
        try:
            return await self._fetch(result, directory, progress)
        except DownloadError as error:
            fresh = await self._with_fresh_links(result) if error.expired else None
            if fresh is None:
                raise
        paths = await self._fetch(fresh, directory, progress)
        await self._keep(fresh)
        return paths

    async def _keep(self, result: Result) -> None:
        """Record the links of a result that its files were had from."""
        with suppress(JournalError):
            if job := await self._record.get(result.job_id):
                await self._record.refresh(attrs.evolve(job, result=result))

    async def _fetch(self, result: Result, directory: Path | str, progress: Callable[[Progress], None] | None) -> list[Path]:
        from genbridge import downloads  # noqa: PLC0415 (loaded when it is used)

        settings = self.config.downloads
        policy = downloads.DownloadPolicy(allow_private=settings.allow_private, allow_local=self._is_here(result))
        if settings.max_bytes is not None:
            policy = attrs.evolve(policy, max_bytes=settings.max_bytes)
        return await downloads.download(result, directory, policy=policy, progress=progress)

    def _is_here(self, result: Result) -> bool:
        """Whether a result's service is on this machine, as an emulator or a proxy is, so that its links may lead here too."""
        try:
            base_url = self._account_of(result.backend, result.provider).backend.base_url
        except GenbridgeError:
            return False
        return is_loopback(urlsplit(base_url).hostname or "")

    async def _with_fresh_links(self, result: Result) -> Result | None:
        """Return a result with other links to its files, where the service still gives any."""
        try:
            job = await self._record.get(result.job_id)
            snapshot = await self._account_of(job.backend, job.provider).poll(job) if job else None
        except GenbridgeError as error:
            _log.info("job %s: the service gives no fresh links: %s", result.job_id, error)
            return None
        if job is None or snapshot is None or not snapshot.assets or snapshot.assets == result.assets:
            return None
        return attrs.evolve(result, assets=snapshot.assets)

    # Backends.

    @property
    def _record(self) -> Journal:
        return _opened(self._journal)

    @property
    def _driver(self) -> Scheduler | Watcher:
        if self._scheduler is None:
            raise _not_open()
        return self._scheduler

    def _account(self, config: BackendConfig) -> Account:
        if config.name not in self._accounts:
            plugin = self._registry.load(config.provider)
            self._accounts[config.name] = Account(config, plugin, self._transport, self._clock, pace=self._pace)
        return self._accounts[config.name]

    def _account_of(self, backend: str, provider: str) -> Account:
        """Return the account of a job on record."""
        config = self.config.backends.get(backend)
        if config is None or config.provider != provider:
            raise ConfigError(f"there are jobs of backend {backend!r} (provider {provider!r}), which is not configured; add it")
        return self._account(config)

    def _candidates(self, name: str | None) -> tuple[list[Account], str]:
        candidates = self.config.candidates(name)
        return [self._account(config) for config in candidates.backends], candidates.prefer

    def _can_be_asked(self, name: str | None) -> bool:
        """Whether a backend, or every one of a route, can be asked what became of a submit."""
        accounts, _ = self._candidates(name)
        return all(account.plugin.supports("recover") for account in accounts)

    async def _plans(self, request: Request, name: str | None) -> list[tuple[Account, Plan]]:
        """Return the backends that can do a request, best first; raises the first one's `RequestError` when none can."""
        kind: object = request
        if not isinstance(kind, ImageRequest | VideoRequest):
            raise RequestError(f"{kind!r} is no request; give an ImageRequest or a VideoRequest")
        accounts, prefer = self._candidates(name)
        plans: list[tuple[Account, Plan]] = []
        refusals: list[RequestError] = []
        for account in accounts:
            try:
                plans.append((account, await account.plan(request)))
            except RequestError as error:
                refusals.append(error)
        if not plans:
            raise refusals[0]
        return sorted(plans, key=_price) if prefer == "cheapest" else plans


def _in_pages(handles: Sequence[Handle]) -> Iterator[Sequence[Handle]]:
    """Yield so many at a time that what the journal does for them fits into one transaction."""
    return (handles[first : first + _AT_ONCE] for first in range(0, len(handles), _AT_ONCE))


async def _attached(handle: Handle) -> GenbridgeError | None:
    """Begin to drive a job on record; return why it cannot be driven, if it cannot."""
    try:
        await handle._attach()  # noqa: SLF001 (the two are one module's)
    except GenbridgeError as error:
        _log.warning("job %s is not resumed: %s", handle.id, error)
        return error
    return None


def check_result(given: object) -> None:
    """Raise `RequestError` for what is no result, and has no files that could be saved."""
    if not isinstance(given, Result):
        raise RequestError(f"{given!r} is no result; give what `generate` or a handle's `result` returned")


def _with_key(plans: list[tuple[Account, Plan]]) -> list[tuple[Account, Plan]]:
    """Return the plans on backends that have a key; all of them when none has, so that the first can say which is missing."""
    ready = [(account, plan) for account, plan in plans if account.config.api_key is not None]
    for account, _ in plans if ready else ():
        if account.config.api_key is None:
            _log.warning("backend %r is passed over: %s", account.name, account.config.key_advice)
    return ready or plans


def _price(pair: tuple[Account, Plan]) -> float:
    """Return what a plan costs for the comparison: in money where the config gives a credit's price; unknown is dearest."""
    account, plan = pair
    amount = plan.quote.amount
    return float("inf") if amount is None else amount * (account.config.credit_price or 1.0)


def _sandbox_config(sandbox: Sandbox) -> Config:
    """Return the configuration that makes every emulator a backend, and by default takes whichever can do a request."""
    backends = sandbox.backends()
    everything = Route(name=_EVERYTHING, backends=tuple(backends))
    return Config(backends=backends, routes={_EVERYTHING: everything}, default=_EVERYTHING)


def _check_same(job: Job, request: Request) -> None:
    if job.request is not request and request_text(rooted(job.request)) != request_text(rooted(request)):
        message = f"job {job.id} on record has this id and another request; give this request an id of its own"
        raise RequestError("the request is not valid; nothing was sent", problems=[Problem("id", message)])


def _check_id(given: object) -> None:
    if not isinstance(given, str) or not _ID.fullmatch(given):
        message = f"{given!r} cannot be an id; use up to 64 letters, digits, '.', '_' and '-'"
        raise RequestError("the request is not valid; nothing was sent", problems=[Problem("id", message)])


def _as_one(errors: Sequence[GenbridgeError]) -> GenbridgeError:
    """Return one error that says what several say."""
    messages = list(dict.fromkeys(map(str, errors)))
    if len(messages) == 1:
        return errors[0]
    kind = ConfigError if all(isinstance(error, ConfigError) for error in errors) else GenbridgeError
    return kind("; ".join(messages))


def _failed(job: Job) -> bool:
    return job.status.terminal and job.status is not JobStatus.SUCCEEDED


def _opened(value: T | None) -> T:
    if value is None:
        raise _not_open()
    return value


def _not_open() -> JournalError:
    return JournalError("the client is not open; use `async with Client() as client`")


def _transport() -> Transport:
    from genbridge.transport import Transport  # noqa: PLC0415 (aiohttp takes long to load, and a client that is given a line needs none)

    return Transport()


class Handle:
    """One job, live: its record, its progress, its result."""

    __slots__ = ("_known", "_scheduler", "_send")

    def __init__(self, scheduler: Scheduler | Watcher, known: Job | Drive, *, send: bool = True) -> None:
        self._scheduler = scheduler
        self._known = known
        self._send = send

    def __repr__(self) -> str:
        return f"<Handle of job {self.id} on {self.job.backend!r}: {self.job.status}>"

    @property
    def id(self) -> str:
        """The job's id on record."""
        return self.job.id

    @property
    def job(self) -> Job:
        """The job as it is known now."""
        return self._known if isinstance(self._known, Job) else self._known.job

    @property
    def expected(self) -> float | None:
        """How many seconds such a job usually takes, where anybody says."""
        return None if isinstance(self._known, Job) else self._scheduler.expected(self._known)

    @property
    def usual(self) -> Usual | None:
        """Between what times such jobs usually take, once that was learned."""
        return None if isinstance(self._known, Job) else self._scheduler.usual(self._known)

    async def events(self) -> AsyncIterator[Snapshot]:
        """Yield what is known now, then every observation until the job ends."""
        drive = await self._attach()
        queue: asyncio.Queue[Snapshot] = asyncio.Queue()
        drive.queues += (queue,)
        try:
            snapshot = drive.snapshot
            yield snapshot
            while not (drive.ended.is_set() and queue.empty()):
                snapshot = await queue.get()
                yield snapshot
        finally:
            drive.queues = tuple(other for other in drive.queues if other is not queue)

    async def result(self, timeout: float | None = None) -> Result:
        """Wait for the result.

        `timeout` is in seconds; left out, it is what the backend's poll policy says for the medium. Raises `JobTimeoutError` when
        it is over (the job goes on, and is still followed), or the `JobError` that the job ended with. A job that has expired is
        asked about once more, and goes on where the service knows it after all.
        """
        drive = await self._attach()
        await self._scheduler.wait(drive, timeout)
        if drive.job.status is JobStatus.EXPIRED:
            self._known = drive.job  # whoever asks again has the service asked again
        if drive.error is not None:
            raise drive.error
        if drive.job.result is None:
            raise JournalError(f"job {self.id} has succeeded, but its result is not on record")
        return drive.job.result

    async def cancel(self) -> None:
        """Ask the service to stop the job; raises `CancelUnsupportedError` where it has no way to.

        Where workers drive the jobs, the one that has it does that; `JobTimeoutError` says that none has answered yet, and that it
        is done by whichever has the job next.
        """
        job = await self._scheduler.cancel(self.job)
        if isinstance(self._known, Job):
            self._known = job

    async def not_sent(self) -> Job:
        """Say of a job in doubt that the service never had it: you have looked.

        What it reserves is released, and it may be submitted again as another job. Raises `JobError` when it is not in doubt, and
        `JournalError` when another process drives it.
        """
        self._known = job = await self._scheduler.not_sent(self.job)
        return job

    async def adopt(self, provider_id: str) -> None:
        """Give a job in doubt the id that you found it under at the service, so that it can be waited for and collected.

        The service is asked whether it knows that id, which takes a key here. Raises `RequestError` when it does not, or when
        another job on record has it, `JobError` when this one is not in doubt, and `JournalError` when another process drives it.
        """
        self._known = await self._scheduler.adopt(self.job, provider_id)

    async def _attach(self, listen: Listener | None = None) -> Drive:
        if isinstance(self._known, Job):
            self._known = await self._scheduler.attach(self._known, send=self._send)
        if listen is not None:
            self._known.follow(listen)
        return self._known

    async def _settled(self) -> None:
        """Wait until the job has ended, or for as long as such a job may take."""
        if not isinstance(self._known, Job):
            with suppress(JobTimeoutError):
                await self._scheduler.wait(self._known, None)

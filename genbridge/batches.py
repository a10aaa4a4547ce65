"""Many requests as one: checked and priced together, each paid for once however often the batch is run."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import attrs

from genbridge.budgets import Budget, exceeds
from genbridge.errors import (
    BudgetError,
    DownloadError,
    GenbridgeError,
    Problem,
    RequestError,
    SubmitUnknownError,
    TransportError,
)
from genbridge.folders import lasting_folder
from genbridge.journal.records import request_text
from genbridge.types import Certainty, Job, JobStatus, Quote, Request, Result, Snapshot, Verdict
from genbridge.wishes import Wish, budget_of
from genbridge.words import number

if TYPE_CHECKING:
    from genbridge.client import Client, Handle

_AT_ONCE = 16
"""How many jobs with one model of one backend are on their way to being accepted at once, where it can be asked about them."""
_HANDED_IN = 5000
"""How many wait at the same time for a worker to have them accepted: that many are on record if this process ends."""

_MOST_DOUBTS = 3
_TOO_DOUBTFUL = (
    f"it left {_MOST_DOUBTS} submits of the batch in doubt, one after the other, so this one was not sent; see what became of "
    "those with `genbridge jobs reconcile`, then run the batch again"
)

Observer = Callable[["Entry", Snapshot], None]


class Terms(TypedDict, total=False):
    """What `Client.batch` takes beside the requests."""

    name: str
    ids: Sequence[str | None] | None
    backend: str | Sequence[str | None] | None
    max_cost: float | None
    max_total: float | None
    retry_failed: bool


@attrs.frozen(kw_only=True)
class Entry:
    """One request of a batch: `quote` is what it will cost, or `job` what is on record of it, so that no other is sent.

    `id` is what its job is submitted under. `wish` is the backend or route that was asked for, and `backend` the one that this
    means.
    """

    index: int
    id: str
    request: Request
    wish: str | None
    backend: str | None
    quote: Quote | None = None
    job: Job | None = None

    @property
    def price(self) -> Quote | None:
        """What sending it will cost; `None` when nothing is to be sent. One on record that was never sent is sent at its quote."""
        if self.job is None:
            return self.quote
        return attrs.evolve(self.job.quote, backend=self.job.backend) if self.job.status is JobStatus.PENDING else None

    @property
    def agreed(self) -> float | None:
        """The most that it may cost, also where what is on record of it turns out to have started nothing; `None` was not known."""
        quote = self.quote or (self.job.quote if self.job else None)
        return quote.amount if quote else None


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of one request: its `job` on record and its `result`, the `paths` of files that were saved, or the `error`."""

    entry: Entry
    job: Job | None = None
    result: Result | None = None
    paths: tuple[Path, ...] = ()
    error: GenbridgeError | None = None


class Batch:
    """Requests that were checked and priced; `run` sends those that are not on record yet."""

    def __init__(self, client: Client, entries: Sequence[Entry], *, max_cost: float | None, retry_failed: bool) -> None:
        self.entries = tuple(entries)
        self._client = client
        self._max_cost = max_cost
        self._retry_failed = retry_failed
        self._doubts: Counter[str | None] = Counter()
        self._turns: dict[object, asyncio.Semaphore] = {}

    def __repr__(self) -> str:
        return f"<Batch of {len(self.entries)}: {sum(entry.price is not None for entry in self.entries)} to send>"

    @property
    def totals(self) -> tuple[Quote, ...]:
        """What `run` would pay now, one sum for each backend and unit; its `amount` is `None` when a price is not known."""
        return _totals(entry.price for entry in self.entries if entry.price is not None)

    async def run(
        self, *, directory: Path | str | None = None, timeout: float | None = None, observe: Observer | None = None
    ) -> list[Outcome]:
        """Send what is not on record, wait for everything, and return what came of each request, in order.

        Nothing is sent at more than its price when the batch was made; that it has risen is a `BudgetError` in the outcome.

        Files are saved in `directory`, if it is given; `timeout`, in seconds, is for the wait for each job after the service
        accepted it, and for that until it does where workers drive the jobs. `observe` is told of all that is seen of each job.
        Whoever gives up waiting stops no job that was accepted.

        Raises `RequestError` for a directory that cannot be put on record, before anything is sent.
        """
        if directory is not None:
            lasting_folder(directory)
        return list(await asyncio.gather(*(self._run_one(entry, directory, timeout, observe) for entry in self.entries)))

    async def _run_one(
        self, entry: Entry, directory: Path | str | None, timeout: float | None, observe: Observer | None
    ) -> Outcome:
        handle: Handle | None = None
        outcome = Outcome(entry=entry)
        try:
            handle = await self._submit(entry, directory, timeout, observe)
            self._doubts[entry.wish] = 0
            result = await handle.result(timeout)
            outcome = attrs.evolve(outcome, result=result)
            paths = () if directory is None else await self._client.download(result, directory)
        except DownloadError as error:
            outcome = attrs.evolve(outcome, paths=tuple(error.saved), error=error)
        except GenbridgeError as error:
            if handle is None and isinstance(error, SubmitUnknownError):
                self._doubts[entry.wish] += 1
            outcome = attrs.evolve(outcome, error=error, job=getattr(error, "job", None))
        else:
            outcome = attrs.evolve(outcome, paths=tuple(paths))
        return outcome if handle is None else attrs.evolve(outcome, job=handle.job)

    async def _submit(self, entry: Entry, directory: Path | str | None, timeout: float | None, observe: Observer | None) -> Handle:
        wish = Wish(
            max_cost=self._max_cost,
            id=entry.id,
            save_to=None if directory is None else lasting_folder(directory),
            retry_failed=self._retry_failed,
            alone=True,
            agreed=entry.agreed,
            observe=None if observe is None else lambda snapshot: observe(entry, snapshot),
            timeout=timeout if self._client.watches else None,
        )
        line = entry.wish, entry.quote.model if entry.quote else None
        async with self._turns.setdefault(line, asyncio.Semaphore(self._at_once(entry))):
            if entry.price is not None and self._doubts[entry.wish] >= _MOST_DOUBTS:
                raise TransportError(_TOO_DOUBTFUL, backend=entry.backend, verdict=Verdict.NOT_SENT)
            return await self._client._carry_out(entry.request, entry.wish, wish)  # noqa: SLF001 (it is a part of the client)

    def _at_once(self, entry: Entry) -> int:
        if self._client.watches:
            return _HANDED_IN
        asked = self._client._can_be_asked(entry.wish)  # noqa: SLF001 (as above)
        return _AT_ONCE if asked else 1


def _totals(quotes: Iterable[Quote]) -> tuple[Quote, ...]:
    groups: dict[tuple[str | None, str], list[Quote]] = {}
    for quote in quotes:
        groups.setdefault((quote.backend, quote.unit), []).append(quote)
    return tuple(_total(group) for group in groups.values())


def _total(quotes: Sequence[Quote]) -> Quote:
    amounts = [quote.amount for quote in quotes if quote.amount is not None]
    unpriced = len(quotes) - len(amounts)
    basis = "1 job" if len(quotes) == 1 else f"{len(quotes)} jobs"
    whole = Quote(amount=None, unit=quotes[0].unit, backend=quotes[0].backend, basis=basis)
    if unpriced:
        return attrs.evolve(whole, basis=f"{basis}, {unpriced} without a price")
    exact = all(quote.certainty is Certainty.EXACT for quote in quotes)
    return attrs.evolve(whole, amount=sum(amounts), certainty=Certainty.EXACT if exact else Certainty.ESTIMATED)


async def prepare(
    client: Client,
    requests: Sequence[Request],
    *,
    name: str,
    ids: Sequence[str | None] | None,
    backend: str | Sequence[str | None] | None,
    max_cost: float | None,
    max_total: float | None,
    retry_failed: bool,
) -> Batch:
    """Check and price requests; see `Client.batch`."""
    own = [None] * len(requests) if ids is None else list(ids)
    wishes = [backend] * len(requests) if backend is None or isinstance(backend, str) else list(backend)
    if not len(requests) == len(own) == len(wishes):
        raise RequestError(f"there are {len(requests)} requests, {len(own)} ids and {len(wishes)} backends; give one for each")
    entries: list[Entry] = []
    problems = [Problem(f"requests[{index}].id", "another request of the batch has it too") for index in _repeated(own)]
    for index, (request, wish, key) in enumerate(zip(requests, wishes, stable_ids(name, requests, own), strict=True)):
        entry = Entry(index=index, id=key, request=request, wish=wish, backend=wish)
        try:
            entries.append(await _priced(client, entry, retry_failed=retry_failed))
        except RequestError as error:
            problems += _placed(f"requests[{index}]", error)
    if problems:
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "a mistake"
        raise RequestError(f"the batch has {count}; nothing was sent", problems=problems)
    batch = Batch(client, entries, max_cost=max_cost, retry_failed=retry_failed)
    _check_total(batch.totals, max_total)
    await _check_budgets(client, entries, max_cost)
    return batch


def _placed(place: str, error: RequestError) -> list[Problem]:
    """Return what is wrong with one request, with its place."""
    if not error.problems:
        return [Problem(place, error.message)]
    return [attrs.evolve(problem, field=f"{place}.{problem.field}") for problem in error.problems]


def _repeated(ids: Sequence[str | None]) -> Iterator[int]:
    seen = Counter[str]()
    for index, each in enumerate(ids):
        if each is not None:
            seen[each] += 1
            if seen[each] > 1:
                yield index


def stable_ids(name: str, requests: Sequence[Request], ids: Sequence[str | None]) -> Iterator[str]:
    """Yield an id for each request: the same for the same batch, wherever a request stands in it.

    Of requests that are equal and have no ids of their own, the first is another than the second.
    """
    seen = Counter[str]()
    for request, own in zip(requests, ids, strict=True):
        text = request_text(request) if own is None else own
        seen[text] += 1
        parts = [name, "id", own] if own is not None else [name, "request", text, seen[text]]
        yield sha256(json.dumps(parts).encode()).hexdigest()[:32]


async def _priced(client: Client, entry: Entry, *, retry_failed: bool) -> Entry:
    """Return an entry with what is on record of it, or else with what it will cost."""
    job, _ = await client._standing(entry.id, entry.request, retry_failed=retry_failed)  # noqa: SLF001 (it is a part of the client)
    if job is not None:
        return attrs.evolve(entry, job=job, backend=job.backend)
    quote = await client.quote(entry.request, backend=entry.wish)
    return attrs.evolve(entry, quote=quote, backend=quote.backend or entry.backend)


def _check_total(totals: Sequence[Quote], most: float | None) -> None:
    for total in totals:
        if most is not None and (total.amount is None or exceeds(total.amount, most)):
            where = f"on backend {total.backend!r} it would cost {total} ({total.basis})"
            raise BudgetError(f"{where}, the most for the batch is {number(most)}; nothing was sent", quote=total)


async def _check_budgets(client: Client, entries: Sequence[Entry], max_cost: float | None) -> None:
    """Raise `BudgetError` when a job, or all jobs that would be sent, cost more than a backend's caps allow."""
    known = client.config.backends
    to_send = [(entry, price) for entry in entries if (price := entry.price) is not None and price.backend in known]
    _check_each([(entry, price, budget_of(known[str(price.backend)], max_cost)) for entry, price in to_send])
    # What is on record counts against the caps already.
    await client.check_caps([price for entry, price in to_send if entry.job is None], max_cost=max_cost)


def _check_each(jobs: Sequence[tuple[Entry, Quote, Budget]]) -> None:
    dear = [
        Problem(f"requests[{entry.index}]", f"it would cost {quote}, the most for one job is {number(budget.per_job)}")
        for entry, quote, budget in jobs
        if budget.per_job is not None and quote.amount is not None and exceeds(quote.amount, budget.per_job)
    ]
    if dear:
        quote = max((quote for _, quote, _ in jobs), key=lambda quote: quote.amount or 0.0)
        raise BudgetError(f"{len(dear)} of the batch cost more than one job may; nothing was sent", problems=dear, quote=quote)

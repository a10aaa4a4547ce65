"""One account at a provider: its hooks, its key and the transport put together.

The rules about money live here: which failure of a submit means that nothing was sent, that the service said no, or that
nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import attrs

from genbridge import references
from genbridge.catalogue import Limits, Model, choose, find
from genbridge.config import BackendConfig
from genbridge.errors import BackendError, GenbridgeError, PluginError, Problem, RequestError, ServiceError, TransportError
from genbridge.keys import Secret
from genbridge.limits import Rule
from genbridge.plugins import Plugin
from genbridge.polling import PollPolicy
from genbridge.prices import price
from genbridge.snapshots import sound
from genbridge.timing import Clock
from genbridge.types import Backend, Job, JobStatus, Media, Quote, Reference, Request, Snapshot, Verdict
from genbridge.validation import check
from genbridge.wire import Call, Exchange, Reply

if TYPE_CHECKING:
    from genbridge.lines import Line
    from genbridge.transport import Origin, Transport

_log = logging.getLogger(__name__)

Send = Callable[[Call], Awaitable[Reply]]

_SERVER_ERROR = 500
_NONE = Limits()
_TRIES = 3
_FIRST_PAUSE = 0.5


@attrs.frozen(kw_only=True)
class Plan:
    """A request that was found valid: on which model, and at what price."""

    request: Request
    model: Model
    quote: Quote


class Account:
    """One configured account at a provider. `pace` is how many of the service's seconds pass in one of ours, as in a sandbox."""

    def __init__(
        self, config: BackendConfig, plugin: Plugin, transport: Transport | Line, clock: Clock, *, pace: float = 1.0
    ) -> None:
        provider = plugin.provider
        self.name = config.name
        self.config = config
        self.provider = provider
        self.plugin = plugin
        self.pace = pace
        self.backend = Backend(
            name=config.name,
            provider=provider.name,
            base_url=config.base_url or provider.base_url,
            settings={setting.name: setting.default for setting in provider.settings} | dict(config.settings),
        )
        self.poll_policy = _policy(provider.poll, config)
        self._transport = transport
        self._clock = clock
        self._origin: Origin | None = None
        self._table = {model.provider_id: model for model in reversed(provider.models)}
        self._live: tuple[Model, ...] = ()
        self._live_until = 0.0
        self._rules = lru_cache(maxsize=256)(self._make_rules)

    # What it offers, and what a request costs.

    async def models(self, *, live: bool) -> tuple[Model, ...]:
        """Return the catalogue, asked of the service when `live` and it can be; raises `BackendError` when that fails."""
        if live and self.plugin.supports("models"):
            await self._refresh()
        return self._known()

    def _known(self) -> tuple[Model, ...]:
        """Return the plugin's own table, with what the service said of the same models in the last minutes, and of others."""
        live = {model.provider_id: model for model in self._said()}
        table = [live.pop(model.provider_id, model) for model in self.provider.models]
        return (*table, *live.values())

    def _said(self) -> tuple[Model, ...]:
        """Return what the service has said in the last minutes."""
        return self._live if self._live and self._clock.monotonic() < self._live_until else ()

    async def _refresh(self) -> None:
        if self._clock.monotonic() < self._live_until:
            return
        with self._named():
            reply = await self._perform("models", self._send_patiently)
            self._live = tuple(self.plugin.call("catalogue", backend=self.backend, reply=reply))
        self._live_until = self._clock.monotonic() + self.provider.catalogue_ttl

    def usual(self, provider_model: str) -> float | None:
        """Return how many seconds a model takes, by the service's or the plugin's word."""
        model = self._model(provider_model)
        return None if model is None or model.expected is None else model.expected / self.pace

    def _model(self, provider_model: str) -> Model | None:
        """Return a model as the service said it last, or else as it is in the plugin's own table."""
        live = (model for model in self._said() if model.provider_id == provider_model)
        return next(live, None) or self._table.get(provider_model)

    def rules(self, job: Job) -> Sequence[Rule]:
        """Return the limits that a submit of a job has to keep."""
        model = self._model(job.provider_model)
        return self._rules(job.media, job.model, model.limits if model else _NONE)

    def _make_rules(self, media: Media, model: str, limits: Limits) -> Sequence[Rule]:
        """Return the rules of the account, of a medium and of a model there, as far as they say anything."""
        given = self.config.limits
        short = Limits(submits=self.config.submits_per_minute, concurrent=self.config.max_concurrent)
        rules = [
            Rule(limits=short.over(given.get("", _NONE)).over(self.provider.limits)),
            Rule(limits=given.get(media, _NONE).over(self.provider.media_limits.get(media, _NONE)), media=media),
            Rule(limits=given.get(model, _NONE).over(limits), model=model),
        ]
        return [rule for rule in rules if rule.limits.submits is not None or rule.limits.concurrent is not None]

    async def plan(self, request: Request) -> Plan:
        """Check and price a request; raises `RequestError` with every problem. Asks the service only for a model unknown here."""
        unknown = isinstance(request.model, str) and find(self._known(), request.model, request.media) is None
        if unknown and self.plugin.supports("models"):
            try:
                await self._refresh()
            except BackendError as error:
                _log.warning("backend %r: the live list of models could not be read: %s", self.name, error.message)
        model = choose(self._known(), request, where=f"backend {self.name!r}")
        if problems := self._problems(request, model):
            count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
            raise RequestError(f"the request has {count} on backend {self.name!r}; nothing was sent", problems=problems)
        return Plan(request=request, model=model, quote=self._quote(request, model))

    def _problems(self, request: Request, model: Model) -> list[Problem]:
        problems = check(request, model)
        problems += references.problems(request, model, base_url=self.backend.base_url)
        problems += self._own_problems(request, model, wrong=bool(problems))
        if not problems and not self.plugin.supports("upload"):
            problems += [
                Problem(f"references[{index}]", f"backend {self.name!r} cannot take local files; give a public URL")
                for index, reference in enumerate(request.references)
                if not isinstance(reference.source, str)
            ]
        return list(dict.fromkeys(problems))

    def _own_problems(self, request: Request, model: Model, *, wrong: bool) -> Sequence[Problem]:
        """Return what the plugin finds wrong; it may trip over a request that is known to be wrong."""
        if not self.plugin.supports("check"):
            return ()
        try:
            problems: tuple[Problem, ...] = self.plugin.call("check", backend=self.backend, request=request, model=model)
        except PluginError:
            if not wrong:
                raise
            return ()
        return problems

    def _quote(self, request: Request, model: Model) -> Quote:
        quote: Quote | None = None
        if self.plugin.supports("quote"):
            quote = self.plugin.call("quote", backend=self.backend, request=request, model=model)
        return _shared(attrs.evolve(quote or price(request, model, self.provider.unit), backend=self.name, model=model.id))

    # The paid call.

    async def upload(self, request: Request, model: str) -> Request:
        """Make a request's local references reachable and return it with their URLs; that pays for nothing."""
        if not has_files(request):
            return request
        try:
            with self._named():
                sources = await asyncio.gather(*(self._url(reference, model) for reference in request.references))
        except BackendError as error:
            error.verdict = Verdict.NOT_SENT
            raise
        pairs = zip(request.references, sources, strict=True)
        return attrs.evolve(request, references=tuple(attrs.evolve(reference, source=url) for reference, url in pairs))

    async def _url(self, reference: Reference, model: str) -> str:
        if isinstance(reference.source, str):
            return reference.source
        file = await asyncio.to_thread(references.read, reference, model=model)
        url: str = await self._perform("upload", self._send_patiently, file=file)
        return url

    async def submit(self, job: Job, request: Request, *, check: Callable[[], None] = lambda: None) -> Snapshot:
        """Make the paid call for a job; raises `BackendError` with a `verdict`.

        `request` is the job's with its references uploaded. `check` raises `TransportError` when such a call must not leave
        any more.
        """
        paid = _PaidCalls(self._send_paid, self._send_patiently, self._clock, self.provider.refusals, check)
        try:
            request = attrs.evolve(request, model=job.provider_model)
            snapshot = self._read(job, await self._perform("submit", paid.send, request=request, key=job.key))
        except GenbridgeError as error:
            raise self._judged(error, paid) from None
        except Exception as error:
            if not paid.left:
                raise
            raise self._judged(TransportError(f"a bug in genbridge: {type(error).__name__}"), paid) from error
        if not snapshot.provider_id and snapshot.status is not JobStatus.FAILED:
            raise TransportError("the answer to the submit names no job", backend=self.name, verdict=Verdict.UNKNOWN)
        return snapshot

    def _judged(self, error: GenbridgeError, paid: _PaidCalls) -> GenbridgeError:
        """Return an error of a submit as a `BackendError` that says what is known about the job."""
        if not paid.left and not isinstance(error, BackendError):
            return error
        if not isinstance(error, BackendError):
            error = TransportError(error.message)
        if paid.answer is not None and paid.answer.status in self.provider.refusals and not isinstance(error, ServiceError):
            error = ServiceError.for_status(paid.answer.status, f"it answered HTTP {paid.answer.status}")
        error.verdict = self._verdict(error, paid)
        error.backend = self.name
        return error

    def _verdict(self, error: BackendError, paid: _PaidCalls) -> Verdict:
        """Return what is known after a submit failed.

        An answer is a refusal by its status, or, under a status of success, by being of a known kind: that of an error which
        nobody can name may come from a crash after the job was made. What was asked after a success cannot make it a refusal.
        """
        if not paid.left:
            return Verdict.NOT_SENT if isinstance(error, TransportError) else Verdict.REFUSED
        if paid.in_doubt or paid.answer is None or not isinstance(error, ServiceError):
            return Verdict.UNKNOWN
        named = type(error) is not ServiceError and error.verdict is not Verdict.UNKNOWN
        refused = named and paid.last if paid.answer.ok else paid.answer.status in self.provider.refusals
        return Verdict.REFUSED if refused else Verdict.UNKNOWN

    # Afterwards.

    async def poll(self, job: Job) -> Snapshot:
        """Ask once how a job is doing; raises `BackendError` when there is no usable answer."""
        try:  # what `_named` does, without a context manager for every poll
            return self._read(job, await self._perform("poll", self._send, job=job))
        except BackendError as error:
            error.backend = error.backend or self.name
            raise

    async def cancel(self, job: Job) -> Snapshot:
        """Ask the service to stop a job."""
        with self._named():
            return self._read(job, await self._perform("cancel", self._send_patiently, job=job))

    async def recover(self, job: Job) -> Snapshot | None:
        """Look an ambiguous submit up; `None` proves that the service has no such job."""
        with self._named():
            found = await self._perform("recover", self._send, job=job)
            return None if found is None else self._read(job, found)

    def _read(self, job: Job, answer: Reply | Snapshot) -> Snapshot:
        """Return what an answer says; an exchange may have read it itself."""
        if isinstance(answer, Snapshot):
            return sound(answer)
        snapshot = sound(self.plugin.call("normalize", backend=self.backend, job=job, reply=answer))
        if snapshot.poll_after is None and answer.retry_after is not None:
            return attrs.evolve(snapshot, poll_after=answer.retry_after)
        return snapshot

    # Calls and exchanges.

    def _perform(self, hook: str, send: Send, **values: Any) -> Awaitable[Any]:
        """Make the calls that a hook describes, and return what they come to: a reply, or what its exchange returns."""
        step = self.plugin.call(hook, backend=self.backend, **values)
        return send(step) if isinstance(step, Call) else _exchanged(self.plugin.steps(hook, step), send)

    async def _send(self, call: Call) -> Reply:
        """Make a call; a service that repeats the key in its answer is not quoted on that.

        No variable here has the key as text: there are tools that show those of a traceback.
        """
        secret = self.config.require_key()
        if self._origin is None:
            self._origin = self._make_origin(secret)
        return _struck(await self._transport.send(call, self._origin), secret)

    def _make_origin(self, secret: Secret) -> Origin:
        from genbridge.transport import Origin  # noqa: PLC0415 (aiohttp is loaded when something is sent)

        header = {self.provider.auth_header.lower(): self.provider.auth_prefix + secret.reveal()}
        return Origin(base_url=self.backend.base_url, headers=header, secret=secret)

    async def _send_paid(self, call: Call) -> Reply:
        seconds = self.config.submit_timeout
        return await self._send(call if seconds is None else attrs.evolve(call, timeout=seconds))

    async def _send_patiently(self, call: Call) -> Reply:
        """Make a call, again after a fault where that is safe."""
        again = call.repeatable or call.free
        return await _repeated(partial(self._send, call), self._clock, again=again, good=lambda reply: reply.status < _SERVER_ERROR)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Attach the backend's name to errors that leave it."""
        try:
            yield
        except BackendError as error:
            error.backend = error.backend or self.name
            raise


class _PaidCalls:
    """The calls of one submit.

    `left` says whether any that may cost money has left, and `in_doubt` whether one may have started something that no later answer
    takes back. `answer` is the last answer to one, and `last` whether nothing was asked after it.
    """

    def __init__(self, send: Send, send_patiently: Send, clock: Clock, refusals: frozenset[int], check: Callable[[], None]) -> None:
        self._send = send
        self._send_patiently = send_patiently
        self._clock = clock
        self._refusals = refusals
        self._check = check
        self._begun: list[Call] = []
        self.left = False
        self.in_doubt = False
        self.answer: Reply | None = None
        self.last = False

    async def send(self, call: Call) -> Reply:
        """Make one call. One that may cost money is repeated only where its plugin says that the service honours its key."""
        if call.free:
            self.last = False
            return await self._send_patiently(call)
        if call in self._begun:
            raise PluginError(
                "the plugin makes its paid call again though it was not refused, which would pay twice; it was not sent"
            )
        self.in_doubt = self.in_doubt or bool(self._begun)
        return await _repeated(partial(self._once, call), self._clock, again=call.repeatable, good=lambda _: True)

    async def _once(self, call: Call) -> Reply:
        """Make a call that may cost money: it is in doubt until an answer, or the certainty that nothing left, says otherwise."""
        self._check()
        before = self.left, self.in_doubt
        self.left, self.in_doubt, self.answer = True, True, None
        try:
            self.answer = await self._send(call)
        except GenbridgeError as error:
            if not isinstance(error, TransportError) or error.verdict is Verdict.NOT_SENT:
                self.left, self.in_doubt = before
            raise
        self.in_doubt, self.last = before[1], True
        if not call.repeatable and self.answer.status not in self._refusals:
            self._begun.append(call)
        return self.answer


async def _exchanged(exchange: Exchange[Any], send: Send) -> Any:
    reply: Reply | None = None
    while True:
        try:
            call = exchange.send(reply)  # type: ignore[arg-type]  # `None` starts a generator
        except StopIteration as done:
            return done.value
        reply = await send(call)


async def _repeated(once: Callable[[], Awaitable[Reply]], clock: Clock, *, again: bool, good: Callable[[Reply], bool]) -> Reply:
    """Make a call, and where it may be made again a few times more, until there is a good answer."""
    pause = _FIRST_PAUSE
    for _ in range(_TRIES - 1 if again else 0):
        try:
            reply = await once()
        except TransportError as error:
            _log.info("%s; trying again", error.message)
        else:
            if good(reply):
                return reply
        await clock.sleep(pause)
        pause *= 2
    return await once()


@lru_cache(maxsize=256)
def _shared(quote: Quote) -> Quote:
    """Return the one of equal quotes that many jobs have."""
    return quote


def has_files(request: Request) -> bool:
    """Whether a request has local references, which are uploaded before it is submitted."""
    return any(not isinstance(reference.source, str) for reference in request.references)


def _struck(reply: Reply, secret: Secret) -> Reply:
    """Return a reply without the key."""
    if not secret.may_be_in(reply.body) and not secret.may_be_in(" ".join(reply.headers.values())):
        return reply
    headers = {name: secret.struck_from(value) for name, value in reply.headers.items()}
    return attrs.evolve(reply, headers=headers, body=secret.struck_from(reply.body))


def _policy(policy: PollPolicy, config: BackendConfig) -> PollPolicy:
    if config.poll.interval is not None:
        policy = attrs.evolve(policy, interval=config.poll.interval)
    if config.poll.interval is not None or not config.poll.learn:
        policy = attrs.evolve(policy, fixed=True)
    if config.poll.timeout is not None:
        policy = attrs.evolve(policy, timeout=config.poll.timeout)
    return policy

"""One account at a provider: its hooks, its key and the transport put together.

The rules about money live here: which failure of a submit means that nothing was sent, that the service said no, or that
nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import attrs

from genbridge import references
from genbridge.catalogue import Limits, Model, check, choose, find, price
from genbridge.config import BackendConfig
from genbridge.errors import BackendError, GenbridgeError, PluginError, Problem, RequestError, ServiceError, TransportError
from genbridge.plugins import Plugin
from genbridge.polling import PollPolicy
from genbridge.timing import Clock
from genbridge.transport import Origin, Transport
from genbridge.types import Backend, Job, JobStatus, Quote, Reference, Request, Snapshot, Verdict
from genbridge.wire import Call, Exchange, Reply

_log = logging.getLogger(__name__)

T = TypeVar("T")

Send = Callable[[Call], Awaitable[Reply]]

_FREE = frozenset({"GET", "HEAD", "OPTIONS", "PUT"})
"""Methods that pay for nothing, and so are safe to repeat."""
_TRIES = 3
_FIRST_PAUSE = 0.5
_MOST_CALLS = 100
"""The most calls of one exchange; more are a plugin that does not end."""


@attrs.frozen(kw_only=True)
class Plan:
    """A request that was found valid: on which model, and at what price."""

    request: Request
    model: Model
    quote: Quote


class Account:
    """One configured account at a provider."""

    def __init__(self, config: BackendConfig, plugin: Plugin, transport: Transport, clock: Clock) -> None:
        provider = plugin.provider
        self.name = config.name
        self.config = config
        self.provider = provider
        self.plugin = plugin
        self.backend = Backend(
            name=config.name,
            provider=provider.name,
            base_url=config.base_url or provider.base_url,
            settings={setting.name: setting.default for setting in provider.settings} | dict(config.settings),
        )
        self.limits = _limits(provider.limits, config)
        self.poll_policy = _policy(provider.poll, config)
        self._transport = transport
        self._clock = clock
        self._live: tuple[Model, ...] = ()
        self._live_until = 0.0

    # What it offers, and what a request costs.

    async def models(self, *, live: bool) -> tuple[Model, ...]:
        """Return the catalogue, asked of the service when `live` and it can be; raises `BackendError` when that fails."""
        if live and self.plugin.supports("models"):
            await self._refresh()
        return self._known()

    def _known(self) -> tuple[Model, ...]:
        """Return what the service said in the last minutes, and behind it the plugin's own table."""
        if self._clock.monotonic() >= self._live_until:
            return self.provider.models
        fresh = {model.provider_id for model in self._live}
        return (*self._live, *(model for model in self.provider.models if model.provider_id not in fresh))

    async def _refresh(self) -> None:
        if self._clock.monotonic() < self._live_until:
            return
        reply = await self._fetch("models", self.plugin.call("models", backend=self.backend))
        with self._named():
            self._live = tuple(self.plugin.call("catalogue", backend=self.backend, reply=reply))
        self._live_until = self._clock.monotonic() + self.provider.catalogue_ttl

    def usual(self, provider_model: str) -> float | None:
        """Return how many seconds a model usually takes."""
        return next((model.expected for model in self._known() if model.provider_id == provider_model), None)

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
        if not problems and self.plugin.supports("check"):
            problems += self.plugin.call("check", backend=self.backend, request=request, model=model) or ()
        if not problems and not self.plugin.supports("upload"):
            problems += [
                Problem(f"references[{index}]", f"backend {self.name!r} cannot take local files; give a public URL")
                for index, reference in enumerate(request.references)
                if not isinstance(reference.source, str)
            ]
        return problems

    def _quote(self, request: Request, model: Model) -> Quote:
        quote: Quote | None = None
        if self.plugin.supports("quote"):
            quote = self.plugin.call("quote", backend=self.backend, request=request, model=model)
        return attrs.evolve(quote or price(request, model, self.provider.unit), backend=self.name, model=model.id)

    # The paid call.

    async def upload(self, request: Request, model: str) -> Request:
        """Make a request's local references reachable and return it with their URLs; that pays for nothing."""
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
        step = self.plugin.call("upload", backend=self.backend, file=file)
        return step if isinstance(step, str) else cast("str", await self._perform("upload", step, self._send_patiently))

    async def submit(self, job: Job, request: Request) -> Snapshot:
        """Make the paid call for a job; raises `BackendError` with a `verdict`.

        `request` is the job's with its references uploaded.
        """
        paid = _PaidCalls(self._send, self._send_patiently, self._clock)
        try:
            request = attrs.evolve(request, model=job.provider_model)
            step = self.plugin.call("submit", backend=self.backend, request=request, key=job.key)
            outcome = await self._perform("submit", step, paid.send)
            snapshot = outcome if isinstance(outcome, Snapshot) else self._normalize(job, outcome)
        except GenbridgeError as error:
            raise self._judged(error, paid) from None
        if snapshot.provider_id is None and snapshot.status is not JobStatus.FAILED:
            raise TransportError("the answer to the submit names no job", backend=self.name, verdict=Verdict.UNKNOWN)
        return snapshot

    def _judged(self, error: GenbridgeError, paid: _PaidCalls) -> GenbridgeError:
        """Return an error of a submit as a `BackendError` that says what is known about the job."""
        if paid.answer is None and not paid.left and not isinstance(error, BackendError):
            return error
        if not isinstance(error, BackendError):
            error = TransportError(error.message)
        if paid.answer is not None and paid.answer.status in self.provider.refusals and not isinstance(error, ServiceError):
            error = ServiceError.for_status(paid.answer.status, f"it answered HTTP {paid.answer.status}")
        error.verdict = self._verdict(error, paid)
        error.backend = self.name
        return error

    def _verdict(self, error: BackendError, paid: _PaidCalls) -> Verdict:
        if not paid.left:
            return Verdict.NOT_SENT if isinstance(error, TransportError) else Verdict.REFUSED
        if paid.in_doubt or paid.answer is None or not isinstance(error, ServiceError) or error.verdict is Verdict.UNKNOWN:
            return Verdict.UNKNOWN
        refused = paid.answer.status in self.provider.refusals or paid.answer.ok
        return Verdict.REFUSED if refused else Verdict.UNKNOWN

    # Afterwards.

    async def poll(self, job: Job) -> Snapshot:
        """Ask once how a job is doing; raises `BackendError` when there is no usable answer."""
        return cast("Snapshot", await self._observe("poll", job, self._send))

    async def cancel(self, job: Job) -> Snapshot:
        """Ask the service to stop a job."""
        return cast("Snapshot", await self._observe("cancel", job, self._send_patiently))

    async def recover(self, job: Job) -> Snapshot | None:
        """Look an ambiguous submit up; `None` proves that the service has no such job."""
        return cast("Snapshot | None", await self._observe("recover", job, self._send))

    async def _observe(self, hook: str, job: Job, send: Send) -> Any:
        with self._named():
            step = self.plugin.call(hook, backend=self.backend, job=job)
            outcome = await self._perform(hook, step, send)
            return outcome if outcome is None or isinstance(outcome, Snapshot) else self._normalize(job, outcome)

    def _normalize(self, job: Job, reply: Reply) -> Snapshot:
        snapshot: object = self.plugin.call("normalize", backend=self.backend, job=job, reply=reply)
        if not isinstance(snapshot, Snapshot):
            raise PluginError(
                f"normalize of {self.plugin.package!r} returned {type(snapshot).__name__}, not a Snapshot",
                package=self.plugin.package,
            )
        return snapshot

    # Calls and exchanges.

    async def _fetch(self, hook: str, step: Call | Exchange[Reply]) -> Reply:
        with self._named():
            return cast("Reply", await self._perform(hook, step, self._send_patiently))

    async def _perform(self, hook: str, step: Any, send: Send) -> Any:
        """Make the call, or the calls of an exchange, and return the reply, or what the exchange returns."""
        if isinstance(step, Call):
            return await send(step)
        if not isinstance(step, Generator):
            return step
        reply: Reply | None = None
        for _ in range(_MOST_CALLS):
            with self.plugin.blame(hook):
                try:
                    call = next(step) if reply is None else step.send(reply)
                except StopIteration as done:
                    return await send(done.value) if isinstance(done.value, Call) else done.value
            reply = await send(call)
        raise PluginError(
            f"{hook} of {self.plugin.package!r} made {_MOST_CALLS} calls and did not end", package=self.plugin.package
        )

    async def _send(self, call: Call) -> Reply:
        return await self._transport.send(call, self._origin())

    async def _send_patiently(self, call: Call) -> Reply:
        """Make a call, again after a fault where that is safe."""
        pause = _FIRST_PAUSE
        for _ in range(_TRIES - 1 if call.repeatable or call.method in _FREE else 0):
            try:
                reply = await self._send(call)
            except TransportError as error:
                _log.info("backend %r: %s; trying again", self.name, error.message)
            else:
                if reply.status < 500:
                    return reply
            await self._clock.sleep(pause)
            pause *= 2
        return await self._send(call)

    def _origin(self) -> Origin:
        key = self.config.require_key()
        return Origin(
            base_url=self.backend.base_url, headers={self.provider.auth_header.lower(): self.provider.auth_prefix + key.reveal()}
        )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Attach the backend's name to errors that leave it."""
        try:
            yield
        except BackendError as error:
            error.backend = error.backend or self.name
            raise


class _PaidCalls:
    """The calls of one submit: whether any that may cost money has left or is in doubt, and the last answer to one."""

    def __init__(self, send: Send, send_patiently: Send, clock: Clock) -> None:
        self._send = send
        self._send_patiently = send_patiently
        self._clock = clock
        self.left = False
        self.in_doubt = False
        self.answer: Reply | None = None

    async def send(self, call: Call) -> Reply:
        """Make one call. One that may cost money is repeated only where its plugin says that the service honours its key."""
        if call.method in _FREE:
            return await self._send_patiently(call)
        pause = _FIRST_PAUSE
        for _ in range(_TRIES - 1 if call.repeatable else 0):
            try:
                return await self._once(call)
            except TransportError:
                await self._clock.sleep(pause)
                pause *= 2
        return await self._once(call)

    async def _once(self, call: Call) -> Reply:
        self.answer = None
        try:
            self.answer = await self._send(call)
        except TransportError as error:
            self.in_doubt = self.in_doubt or error.verdict is not Verdict.NOT_SENT
            raise
        finally:
            self.left = self.left or self.in_doubt or self.answer is not None
        return self.answer


def _limits(limits: Limits, config: BackendConfig) -> Limits:
    if config.submits_per_minute is not None:
        limits = attrs.evolve(limits, submits=config.submits_per_minute, per=60.0)
    if config.max_concurrent is not None:
        limits = attrs.evolve(limits, concurrent=config.max_concurrent)
    return limits


def _policy(policy: PollPolicy, config: BackendConfig) -> PollPolicy:
    if config.poll.interval is not None:
        policy = attrs.evolve(policy, interval=config.poll.interval, fixed=True)
    if config.poll.timeout is not None:
        policy = attrs.evolve(policy, timeout=config.poll.timeout)
    return policy

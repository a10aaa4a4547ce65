"""A provider on stage: its hooks, an account and its emulator in memory, with a clock that is set by hand."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs
import pluggy

from genbridge import hookspecs, references
from genbridge.catalogue import Model, Provider, choose, price
from genbridge.errors import PluginError
from genbridge.types import Backend, Job, JobStatus, Reference, Request, Snapshot
from genbridge.wire import Call, Emulator, Reply

_MOST_CALLS = 100
_MOST_POLLS = 1000
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)

KEY = "5e3f8c62-6a0c-4f1d-9a53-2d3f0f5c8a11"
"""The idempotency key of a job on stage."""


class Hooks:
    """A plugin's hooks, called the way the core calls them; raises `PluginError` when they do not fit the contract."""

    def __init__(self, plugin: object) -> None:
        self.plugin = plugin
        self._manager = pluggy.PluginManager("genbridge")
        self._manager.add_hookspecs(hookspecs)
        try:
            self._manager.register(plugin)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(" ".join(str(error).split()), package=getattr(plugin, "__name__", None)) from None

    def has(self, name: str) -> bool:
        """Return whether the plugin has a hook."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, name)
        return bool(caller.get_hookimpls())

    def call(self, name: str, **arguments: object) -> Any:
        """Call a hook by name and return what it returns."""
        return getattr(self._manager.hook, name)(**arguments)


@attrs.define(kw_only=True)
class Stage:
    """One account at a provider, in memory.

    `api_key` is the key that is sent. `now` is the time in seconds; set it to let time pass. `calls` and `replies` are everything
    that was sent and came back.
    """

    hooks: Hooks
    provider: Provider
    backend: Backend
    emulator: Emulator = attrs.field(repr=False)
    api_key: str = attrs.field(repr=False)
    now: float = 0.0
    calls: list[Call] = attrs.field(factory=list, repr=False)
    replies: list[Reply] = attrs.field(factory=list, repr=False)

    @classmethod
    def of(cls, plugin: object, emulator: Emulator | None = None, *, api_key: str | None = None) -> Stage:
        """Put a plugin (a module or an object with hooks) on stage, with its own emulator when none is given."""
        hooks = plugin if isinstance(plugin, Hooks) else Hooks(plugin)
        provider: Provider = hooks.call("describe")
        emulator = emulator or hooks.call("emulate")
        if emulator is None:
            raise PluginError(f"provider {provider.name!r} has no emulator; give one, or write its hook `emulate`")
        backend = backend_of(provider)
        return cls(hooks=hooks, provider=provider, backend=backend, emulator=emulator, api_key=api_key or emulator.key)

    def send(self, call: Call) -> Reply:
        """Make one call, with the key where it goes to the backend's own origin."""
        url = call.url if call.origin else self.backend.base_url + call.url
        sent = attrs.evolve(call, url=url, headers={**call.headers, **self._key_for(url)}, json=_plain(call.json))
        self.calls.append(sent)
        reply = self.emulator.answer(sent, self.now)
        self.replies.append(reply)
        return reply

    def _key_for(self, url: str) -> dict[str, str]:
        own = Call.get(self.backend.base_url).origin
        return {self.provider.auth_header: self.provider.auth_prefix + self.api_key} if Call.get(url).origin == own else {}

    def perform(self, step: object) -> Any:
        """Make a call, or the calls of an exchange, and return the reply or what the exchange returns."""
        if isinstance(step, Call):
            return self.send(step)
        if not isinstance(step, Generator):
            return step
        reply: Reply | None = None
        for _ in range(_MOST_CALLS):
            try:
                call = next(step) if reply is None else step.send(reply)
            except StopIteration as done:
                return done.value
            reply = self.send(call)
        raise PluginError(f"an exchange of provider {self.provider.name!r} made {_MOST_CALLS} calls and did not end")

    def submit(self, request: Request, *, key: str = KEY) -> tuple[Job, Snapshot]:
        """Submit a canonical request; return the job and what is known of it. Local references are uploaded first."""
        model = choose(self.provider.models, request, where=self.provider.name)
        job = job_of(self.provider, model, request, key=key)
        ready = attrs.evolve(request, model=model.provider_id, references=tuple(self._reachable(request, model)))
        reply = self.perform(self.hooks.call("submit", backend=self.backend, request=ready, key=key))
        snapshot = self.normalize(job, reply)
        return attrs.evolve(job, provider_id=snapshot.provider_id, status=snapshot.status), snapshot

    def _reachable(self, request: Request, model: Model) -> Iterable[Reference]:
        for reference in request.references:
            if isinstance(reference.source, str):
                yield reference
            else:
                file = references.read(reference, model=model.provider_id)
                yield attrs.evolve(reference, source=self.perform(self.hooks.call("upload", backend=self.backend, file=file)))

    def poll(self, job: Job) -> Snapshot:
        """Ask once how a job is doing."""
        return self.normalize(job, self.perform(self.hooks.call("poll", backend=self.backend, job=job)))

    def normalize(self, job: Job, reply: Reply) -> Snapshot:
        """Read a reply."""
        snapshot: Snapshot = self.hooks.call("normalize", backend=self.backend, job=job, reply=reply)
        return snapshot

    def finish(self, job: Job) -> list[Snapshot]:
        """Poll a job at the provider's interval until it ends, and return what was seen."""
        seen: list[Snapshot] = []
        for _ in range(_MOST_POLLS):
            self.now += max(self.provider.poll.interval, 0.1)
            seen.append(self.poll(job))
            if seen[-1].status.terminal:
                return seen
        raise AssertionError(
            f"after {_MOST_POLLS} polls the job has not ended on {self.provider.name!r}; the last that was seen is {seen[-1]}"
        )


def drive(plugin: object, emulator: Emulator | None, request: Request, *, api_key: str | None = None) -> list[Snapshot]:
    """Take a canonical request through a plugin and an emulator, and return every snapshot from the submit to the end.

    `plugin` is a module or an object with hooks; `emulator` is its own when `None`. Errors of the plugin come out as they are: a
    refused submit raises `ServiceError`.
    """
    stage = Stage.of(plugin, emulator, api_key=api_key)
    job, first = stage.submit(request)
    return [first] if first.status.terminal else [first, *stage.finish(job)]


def backend_of(provider: Provider, *, base_url: str | None = None) -> Backend:
    """Return an account at a provider, with its settings at their defaults."""
    settings = MappingProxyType({setting.name: setting.default for setting in provider.settings})
    return Backend(name="stage", provider=provider.name, base_url=base_url or provider.base_url, settings=settings)


def job_of(provider: Provider, model: Model, request: Request, *, key: str = KEY, provider_id: str | None = None) -> Job:
    """Return the record of a request that is being submitted, or of an accepted one when it has a `provider_id`."""
    return Job(
        id="stage-1",
        key=key,
        backend="stage",
        provider=provider.name,
        model=model.id,
        provider_model=model.provider_id,
        request=request,
        status=JobStatus.QUEUED if provider_id else JobStatus.SUBMITTING,
        quote=price(request, model, provider.unit),
        created_at=_CREATED,
        provider_id=provider_id,
    )


def _plain(document: Any) -> Any:
    """Return a document as it arrives: only what JSON can say."""
    return json.loads(json.dumps(document, allow_nan=False))

"""A provider on stage: its hooks, an account and its emulator in memory, with a clock that is set by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs

from genbridge import references
from genbridge.catalogue import Model, Provider, choose
from genbridge.errors import PluginError
from genbridge.plugins import Plugin, plugin_of
from genbridge.prices import price
from genbridge.types import Backend, Job, JobStatus, Reference, Request, Snapshot
from genbridge.wire import Call, Emulator, Reply

_MOST_POLLS = 1000
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)

KEY = "5e3f8c62-6a0c-4f1d-9a53-2d3f0f5c8a11"
"""The idempotency key of a job on stage."""


@attrs.define(kw_only=True)
class Stage:
    """One account at a provider, in memory.

    `api_key` is the key that is sent. `now` is the time in seconds; set it to let time pass. `calls` and `replies` are everything
    that was sent and came back.
    """

    plugin: Plugin
    backend: Backend
    emulator: Emulator = attrs.field(repr=False)
    api_key: str = attrs.field(repr=False)
    now: float = 0.0
    calls: list[Call] = attrs.field(factory=list, repr=False)
    replies: list[Reply] = attrs.field(factory=list, repr=False)

    @classmethod
    def of(cls, plugin: object, emulator: Emulator | None = None, *, api_key: str | None = None) -> Stage:
        """Put a plugin (a module or an object with hooks) on stage, with its own emulator when none is given."""
        loaded = plugin if isinstance(plugin, Plugin) else plugin_of(None, plugin)
        if emulator is None and loaded.supports("emulate"):
            emulator = loaded.call("emulate")
        if emulator is None:
            raise PluginError(f"provider {loaded.name!r} has no emulator; give one, or write its hook `emulate`")
        return cls(plugin=loaded, backend=backend_of(loaded.provider), emulator=emulator, api_key=api_key or emulator.key)

    @property
    def provider(self) -> Provider:
        """What the provider says of itself."""
        return self.plugin.provider

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

    def perform(self, hook: str, **values: object) -> Any:
        """Make the calls that a hook describes, and return what they come to: a reply, or what its exchange returns."""
        exchange = self.plugin.exchange(hook, backend=self.backend, **values)
        reply: Reply | None = None
        while True:
            try:
                call = exchange.send(reply)  # type: ignore[arg-type]  # `None` starts a generator
            except StopIteration as done:
                return done.value
            reply = self.send(call)

    def submit(self, request: Request, *, key: str = KEY) -> tuple[Job, Snapshot]:
        """Submit a canonical request; return the job and what is known of it. Local references are uploaded first."""
        model = choose(self.provider.models, request, where=self.provider.name)
        job = job_of(self.provider, model, request, key=key)
        ready = attrs.evolve(request, model=model.provider_id, references=tuple(self._reachable(request, model)))
        snapshot = self.normalize(job, self.perform("submit", request=ready, key=key))
        return attrs.evolve(job, provider_id=snapshot.provider_id, status=snapshot.status), snapshot

    def _reachable(self, request: Request, model: Model) -> Iterable[Reference]:
        for reference in request.references:
            if isinstance(reference.source, str):
                yield reference
            else:
                file = references.read(reference, model=model.provider_id)
                yield attrs.evolve(reference, source=self.perform("upload", file=file))

    def poll(self, job: Job) -> Snapshot:
        """Ask once how a job is doing."""
        return self.normalize(job, self.perform("poll", job=job))

    def normalize(self, job: Job, reply: Reply | Snapshot) -> Snapshot:
        """Read a reply; an exchange may have read it itself."""
        if isinstance(reply, Snapshot):
            return reply
        snapshot: Snapshot = self.plugin.call("normalize", backend=self.backend, job=job, reply=reply)
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

    `plugin` is a module or an object with hooks; `emulator` is its own when `None`. Errors are those of the core: a refused submit
    raises `ServiceError`, a hook with a bug `PluginError`.
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

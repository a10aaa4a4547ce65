"""The contract between genbridge and a provider's plugin.

Hooks are plain functions of values: no I/O, no clock, no sleep. Mark each with `genbridge.hookimpl`. `describe`, `submit`, `poll`
and `normalize` are required; the core says "not supported by this provider" for any other that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from genbridge.catalogue import Model, Provider
    from genbridge.errors import Problem
    from genbridge.types import Backend, File, Job, Quote, Request, Snapshot
    from genbridge.wire import Call, Emulator, Exchange, Reply

hookspec = pluggy.HookspecMarker("genbridge")
hookimpl = pluggy.HookimplMarker("genbridge")
"""Marks a plugin's function as a hook."""

REQUIRED = frozenset({"describe", "submit", "poll", "normalize"})
"""The hooks that every provider has."""


@hookspec(firstresult=True)
def describe() -> Provider:
    """Return the static facts: name, base URL, key variable, poll policy, limits and catalogue."""


@hookspec(firstresult=True)
def submit(backend: Backend, request: Request, key: str | None) -> Call | Exchange[Reply]:
    """Map a valid request onto the provider's own fields.

    `request.model` is the provider's own id, and every reference's `source` a URL. `key` is this job's idempotency key, for a
    service that honours one.
    """


@hookspec(firstresult=True)
def poll(backend: Backend, job: Job) -> Call | Exchange[Reply]:
    """Ask once how `job.provider_id` is doing."""


@hookspec(firstresult=True)
def normalize(backend: Backend, job: Job, reply: Reply) -> Snapshot:
    """Read any reply, a submit's or a poll's (a job not yet accepted has no `provider_id`).

    Raises `ServiceError` for a refusal, and `TransportError` for what cannot be read.
    """


@hookspec(firstresult=True)
def check(backend: Backend, request: Request, model: Model) -> Iterable[Problem]:
    """Name what is wrong with a request beyond what the model's capabilities say, such as fields that exclude each other."""


@hookspec(firstresult=True)
def quote(backend: Backend, request: Request, model: Model) -> Quote | None:
    """Say what a valid request will cost, where the model's price list cannot; `None` leaves it to the list."""


@hookspec(firstresult=True)
def upload(backend: Backend, file: File) -> str | Exchange[str]:
    """Make a local reference reachable for the service and return its URL, which may be a `data:` URI."""


@hookspec(firstresult=True)
def cancel(backend: Backend, job: Job) -> Call | Exchange[Reply]:
    """Stop a job; the reply is read by `normalize`."""


@hookspec(firstresult=True)
def recover(backend: Backend, job: Job) -> Call | Exchange[Reply | None]:
    """Look an ambiguous submit up by `job.key`; the reply is read by `normalize`, and `None` proves that there is no such job."""


@hookspec(firstresult=True)
def models(backend: Backend) -> Call | Exchange[Reply]:
    """Ask for the live catalogue."""


@hookspec(firstresult=True)
def catalogue(backend: Backend, reply: Reply) -> Iterable[Model]:
    """Read the reply to `models`."""


@hookspec(firstresult=True)
def emulate() -> Emulator:
    """Return a new emulator of the service, for the sandbox."""

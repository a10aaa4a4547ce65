"""genbridge's plugin for sseedance, the "Seedance 2.1 public API": images with GPT Image 2 and 1.5.

`options` takes `provider`, the image service behind it. No references are documented. `imageResolution` is another name of
`resolution` and is not needed.

Two endpoints are announced but not open: videos, which is said to whoever asks for one, and music (`POST /v1/music/generations`,
model V5, with prompt, title, style, lyrics and instrumental, for 10 credits), for which genbridge has no request.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as escape

from genbridge import (
    Backend,
    Call,
    Emulator,
    ImageRequest,
    Job,
    Model,
    Problem,
    Provider,
    Reply,
    Request,
    RequestError,
    Snapshot,
    hookimpl,
)
from genbridge_sseedance import _wire
from genbridge_sseedance._models import NO_VIDEOS, PROVIDER

__all__ = ["check", "describe", "emulate", "normalize", "poll", "submit"]


@hookimpl
def describe() -> Provider:
    """Return the static facts."""
    return PROVIDER


@hookimpl
def check(backend: Backend, request: Request, model: Model) -> Iterable[Problem]:
    """Name the sizes, ratios and resolutions that do not go together."""
    return _wire.size_problems(request) if isinstance(request, ImageRequest) else ()


@hookimpl
def submit(backend: Backend, request: Request, key: str | None) -> Call:
    """Describe `POST /v1/images/generations`. No idempotency key is documented, so it is never repeated."""
    if not isinstance(request, ImageRequest):
        raise RequestError("the request is not valid", problems=[Problem("model", NO_VIDEOS)])
    return Call.post("/v1/images/generations", json=_wire.body(request))


@hookimpl
def poll(backend: Backend, job: Job) -> Call:
    """Describe `GET /v1/tasks/{id}`."""
    return Call.get(f"/v1/tasks/{escape(job.provider_id or '', safe='')}")


@hookimpl
def normalize(backend: Backend, job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit or a poll, or the error in it, whatever its HTTP status."""
    return _wire.snapshot(job, reply)


@hookimpl
def emulate() -> Emulator:
    """Return a new emulator of the service."""
    from genbridge_sseedance._emulator import SseedanceEmulator  # noqa: PLC0415

    return SseedanceEmulator()

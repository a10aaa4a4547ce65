"""genbridge's plugin for MeiGen: images and videos of many models through one endpoint.

`options` takes `niji7Options` and `referenceType` (Midjourney), `tier` (videos) and `modelVariant` (images). A local reference
image is uploaded through the service's gateway, a local video or audio track through the service itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as escape

from genbridge import (
    Backend,
    Call,
    Emulator,
    Exchange,
    File,
    Job,
    Media,
    Model,
    Problem,
    Provider,
    Reply,
    Request,
    Snapshot,
    hookimpl,
)
from genbridge_meigen import _live, _rules, _wire
from genbridge_meigen._models import BASE_URL, PROVIDER

__all__ = [
    "catalogue",
    "check",
    "describe",
    "emulate",
    "models",
    "normalize",
    "poll",
    "recover",
    "submit",
    "upload",
]

_SUBMIT_SECONDS = 90.0
_ASK_SECONDS = 15.0
_PUT_SECONDS = 300.0
_GATEWAY = "https://gen.meigen.art/api"


@hookimpl
def describe() -> Provider:
    """Return the static facts."""
    return PROVIDER


@hookimpl
def check(backend: Backend, request: Request, model: Model) -> Iterable[Problem]:
    """Name the fields that exclude each other, or need each other."""
    return _rules.problems(request, model)


@hookimpl
def submit(backend: Backend, request: Request, key: str | None) -> Call:
    """Describe `POST /api/generate/v2`.

    It carries the job's key, but is not repeated on the strength of it: whether an older service honours the key is not documented.
    A submit whose answer is lost is looked up (`recover`).
    """
    return Call.post("/api/generate/v2", json=_wire.body(request, key), timeout=_SUBMIT_SECONDS)


@hookimpl
def poll(backend: Backend, job: Job) -> Call:
    """Describe `GET /api/generate/v2/status/{id}`."""
    return Call.get(f"/api/generate/v2/status/{_segment(job.provider_id or '')}", timeout=_ASK_SECONDS)


@hookimpl
def normalize(backend: Backend, job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit, a poll or a look-up, or raise the error in it."""
    return _wire.snapshot(job, reply)


@hookimpl
def recover(backend: Backend, job: Job) -> Exchange[Reply | None]:
    """Look a submit up by its key: `GET /api/generate/v2/requests/{key}`."""
    reply = yield Call.get(f"/api/generate/v2/requests/{_segment(job.key)}", timeout=_ASK_SECONDS)
    return None if _wire.absent(reply) else reply


@hookimpl
def upload(backend: Backend, file: File) -> Exchange[str]:
    """Upload a reference: ask where to, `PUT` its bytes there, and return its public URL."""
    where = _upload_url(backend) if file.kind is Media.IMAGE else "/api/upload/reference-video"
    answer = yield Call.post(where, json=_wire.announcement(file), repeatable=True, timeout=_ASK_SECONDS)
    target, public = _wire.places(answer)
    stored = yield Call.put(target, body=file.data, content_type=file.content_type, timeout=_PUT_SECONDS)
    if not stored.ok:
        raise _wire.error(stored)
    return public


def _upload_url(backend: Backend) -> str:
    """Return where images are announced; a stand-in for the service is one for its gateway too, so that nothing leaves it."""
    base = backend.base_url.rstrip("/")
    gateway = backend.settings.get("upload_url") or (_GATEWAY if base == BASE_URL else f"{base}/api")
    return f"{gateway.rstrip('/')}/upload/presign"


@hookimpl
def models(backend: Backend) -> Call:
    """Describe `GET /api/models`."""
    return Call.get("/api/models", timeout=_ASK_SECONDS)


@hookimpl
def catalogue(backend: Backend, reply: Reply) -> Iterable[Model]:
    """Read the live list: known models with what it says over the table, and models that only it knows."""
    return _live.models(reply)


@hookimpl
def emulate() -> Emulator:
    """Return a new emulator of the service."""
    from genbridge_meigen._emulator import MeigenEmulator  # noqa: PLC0415 (only the sandbox needs it)

    return MeigenEmulator()


def _segment(name: str) -> str:
    """Return an id as one segment of a path, whatever is in it."""
    return escape(name, safe="", errors="surrogatepass")

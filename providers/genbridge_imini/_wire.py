"""Canonical requests to imini's fields, and its replies to snapshots.

Sources: the Seedance 2.0 page for the submit, the "task-query" pages for the poll, the "getting started" page and the official
skill's error page for what goes wrong. The replies carry no cost.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from genbridge import (
    Asset,
    AssetRole,
    ContentPolicyError,
    Failure,
    Fields,
    File,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    NotFoundError,
    RateLimitError,
    Reference,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    TransportError,
    VideoRequest,
)
from genbridge_imini._models import ALWAYS_SENT, MOTION_CONTROL, PROVIDER

KINDS = {Media.IMAGE: "images", Media.VIDEO: "videos"}
"""What a medium is called in paths and replies. A task is only known under the kind it was submitted as."""

_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
}

# The first four are documented; the others were in older material, or are what services of its kind say.
_STATUSES = {
    "queued": JobStatus.QUEUED,
    "processing": JobStatus.RUNNING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "pending": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "completed": JobStatus.SUCCEEDED,
    "success": JobStatus.SUCCEEDED,
    "canceled": JobStatus.CANCELLED,
    "cancelled": JobStatus.CANCELLED,
    "expired": JobStatus.EXPIRED,
}

# The page promises the last frame "via the query endpoint", whose own page has no field for it: the names are inferred.
_LAST_FRAMES = ("last_frame_url", "last_frame", "last_frame_image_url", "last_frame_image")

_KINDS_BY_CODE: dict[str, type[ServiceError]] = {
    "INVALID_PROMPT": InvalidRequestError,
    "INVALID_PARAMETER": InvalidRequestError,
    "INSUFFICIENT_CREDITS": InsufficientCreditsError,
    "RATE_LIMITED": RateLimitError,
    "TASK_NOT_FOUND": NotFoundError,
}
_FLAGGED = r"flagged|polic(y|ies)|disallowed|moderat|sensitive|unsafe|safety|prohibited|nsfw"
_UNPAID = r"credit|balance|quota|exhausted"


# Requests.


def body(request: Request) -> dict[str, Any]:
    """Return the JSON of a submit: only what the user set, besides the model and what the model must be given."""
    fields: dict[str, Any] = {"model": request.model, "prompt": request.prompt if request.prompt.strip() else None}
    fields |= _image_fields(request) if isinstance(request, ImageRequest) else _video_fields(request)
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _image_fields(request: ImageRequest) -> dict[str, Any]:
    return {
        "resolution": _upper(_given(request, "resolution")),
        "aspect_ratio": _given(request, "aspect_ratio"),
        "quality": _given(request, "quality"),
        "images": [{"url": reference.source, "reference_type": str(reference.role)} for reference in request.references],
        # Inferred: the official skill sends the count as `n`, another client as `num`. One image is what there is anyway.
        "n": None if request.count == 1 else _whole(request.count),
    }


def _given(request: ImageRequest, field: str) -> Any:
    value = getattr(request, field)
    if value is None and field in ALWAYS_SENT.get(request.model or "", ()):
        return next(model.default(field) for model in PROVIDER.models if model.provider_id == request.model)
    return value


def _video_fields(request: VideoRequest) -> dict[str, Any]:
    return {
        "resolution": _upper(request.resolution),
        "aspect_ratio": "adaptive" if request.aspect_ratio == "auto" else request.aspect_ratio,
        "duration": _whole(request.duration),
        "generate_audio": request.audio,
        "reference_images": [_image(request, reference) for reference in request.references if reference.kind is Media.IMAGE],
        "reference_videos": [_clip(request, reference) for reference in request.references if reference.kind is Media.VIDEO],
        # The shape of an audio item is inferred from that of a video.
        "reference_audios": [{"url": reference.source} for reference in request.references if reference.kind is Media.AUDIO],
        "extra_params": _extra(request),
    }


def _image(request: VideoRequest, reference: Reference) -> dict[str, Any]:
    # Its page shows the one image of motion control without a type.
    if request.model == MOTION_CONTROL:
        return {"url": reference.source}
    return {"url": reference.source, "reference_type": str(reference.role)}


def _clip(request: VideoRequest, reference: Reference) -> dict[str, Any]:
    kind = request.options.get("refer_type")
    return {"url": reference.source} if kind is None else {"url": reference.source, "refer_type": kind}


def _extra(request: VideoRequest) -> dict[str, Any]:
    own = {name: value for name, value in request.options.items() if name != "refer_type"}
    fields = {"seed": _whole(request.seed), "watermark": request.watermark, "return_last_frame": request.return_last_frame, **own}
    return {name: value for name, value in fields.items() if value is not None}


def _upper(value: str | None) -> str | None:
    return None if value is None else value.upper()


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def data_uri(file: File) -> str:
    """Return a local file as a `data:` URI, which imini takes for images and, as the Seedance page implies, for audio."""
    content_type = _TYPES.get(PurePath(file.name).suffix.lower(), file.content_type)
    return f"data:{content_type};base64,{b64encode(file.data).decode()}"


# Replies.


def snapshot(job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit, which has no status, or to a poll. A failed task is a 200 with an `error`."""
    if not reply.ok:
        raise _refusal(reply)
    document = reply.fields()
    if _is_error(document) and not ("task_id" in document or (job.provider_id and "status" in document)):
        raise _refusal(reply)
    known = job.provider_id or document.text("task_id")
    if known is None:
        raise TransportError("the answer to the submit has no task_id; look at the account before sending it again")
    return _observe(job, known, document)


def _observe(job: Job, known: str, document: Fields) -> Snapshot:
    word = document.words("status")
    if word is None and job.provider_id is not None:
        raise TransportError(f"the answer says nothing about the status of task {known!r}")
    status = JobStatus.QUEUED if word is None else _STATUSES.get(word.lower())
    if status is None:
        return Snapshot(status=JobStatus.RUNNING, provider_id=known, note=f"the status {word!r} is not documented")
    assets = tuple(_assets(document)) if status.terminal else ()
    if status is JobStatus.SUCCEEDED and not any(asset.role is AssetRole.OUTPUT for asset in assets):
        return Snapshot(status=JobStatus.RUNNING, provider_id=known, note="it is done, but its files have no URL yet")
    failure = _failure(document) if status is JobStatus.FAILED else None
    return Snapshot(status=status, provider_id=known, assets=assets, failure=failure)


def _assets(document: Fields) -> Iterator[Asset]:
    """Return the files of a reply, the outputs first, each once."""
    found = {asset.url: asset for asset in (*_extras(document), *_outputs(document))}
    yield from sorted(found.values(), key=lambda asset: asset.role is not AssetRole.OUTPUT)


def _outputs(document: Fields) -> Iterator[Asset]:
    for media, name in KINDS.items():
        for item in document.items(name):
            if url := _url(item.text("url")):
                width, height = item.whole("width"), item.whole("height")
                yield Asset(url=url, media=media, width=width, height=height, duration=item.number("duration"))


def _extras(document: Fields) -> Iterator[Asset]:
    items = document.items("videos")
    for item in items:
        if url := _url(item.text("cover_url")):
            yield Asset(url=url, media=Media.IMAGE, role=AssetRole.COVER)
    for place in (*items, document):
        if url := _last_frame(place):
            yield Asset(url=url, media=Media.IMAGE, role=AssetRole.LAST_FRAME)


def _last_frame(place: Fields) -> str | None:
    urls = (_url(place.text(name) or place.item(name).text("url")) for name in _LAST_FRAMES)
    return next(filter(None, urls), None)


def _url(text: str | None) -> str | None:
    return text if text is not None and text.lower().startswith(("https://", "http://")) else None


def _failure(document: Fields) -> Failure:
    code = document.item("error").words("code")
    return Failure(message=document.reason() or "the service gives no reason", code=code)


# Errors.


def _is_error(document: Fields) -> bool:
    return "error" in document and bool(document.item("error") or document.text("error"))


def _refusal(reply: Reply) -> ServiceError:
    document = reply.document()
    error, message = document.item("error"), document.reason()
    # An error in a 2xx says its status itself.
    status = (error.whole("status") or reply.status) if reply.ok else reply.status
    code = error.text("code")
    return reply.refusal(
        message,
        kind=_kind(status, code, message or ""),
        code=code,
        request_id=error.text("request_id") or document.text("request_id"),
    )


def _kind(status: int, code: str | None, message: str) -> type[ServiceError]:
    """Return the kind of an error. A 5xx is never a refusal, whatever its code: it may come after the task was made."""
    by_status = ServiceError.kind_of(status)
    if status >= 500:
        return by_status
    kind = _KINDS_BY_CODE.get(code or "", by_status)
    if kind is InvalidRequestError and code != "INVALID_PARAMETER" and re.search(_FLAGGED, message, re.IGNORECASE):
        return ContentPolicyError
    # One page has 402 for an account without credits, the other 403, which is also for a missing permission.
    if status == 403 and kind is by_status and re.search(_UNPAID, message, re.IGNORECASE):
        return InsufficientCreditsError
    return kind

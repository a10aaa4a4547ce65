"""Canonical requests to MeiGen's fields, and its replies to snapshots.

Sources: the "Generate Image" page for what is sent and for the fields that every reply has; the public client's later versions
for what a newer service adds (`failureCode`, `creditsStatus`, `pollHintSeconds`, `expectedWaitSeconds`, the codes of refusals),
which is read where it is there and never needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from genbridge import (
    Asset,
    AuthenticationError,
    ContentPolicyError,
    Cost,
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
    Reference,
    ReferenceRole,
    Reply,
    Request,
    ServiceError,
    Snapshot,
    TransportError,
    Verdict,
)

_STATUSES = {
    "pending": JobStatus.QUEUED,
    "processing": JobStatus.RUNNING,
    "completed": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
}
_INTERVAL = 3.0
"""The documented time between two polls, in seconds."""
_UNWATCHED = 30.0
"""The time between two polls of a job that the service itself no longer watches."""

# In the service's one list of images a first frame is the first and a last frame the second.
_ORDER = (ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME, ReferenceRole.ASSET, ReferenceRole.STYLE)

_CODES: dict[str, type[ServiceError]] = {
    "content_policy_violation": ContentPolicyError,
    "insufficient_credits": InsufficientCreditsError,
    "request_not_found": NotFoundError,
}
# The fragments that the public client looks for. A message may have the words of several, and the first that fits is meant.
_WORDS: tuple[tuple[str, type[ServiceError]], ...] = (
    (r"safety|policy|flagged|moderation", ContentPolicyError),
    (r"insufficient|not enough|\bcredits?\b", InsufficientCreditsError),
    (r"\b(token|api key)\b.*\b(invalid|expired|missing)|unauthori[sz]ed", AuthenticationError),
    (r"\b(invalid|expired|missing)\b.*\b(token|api key)\b", AuthenticationError),
    (r"\bmodel\b.*\b(invalid|inactive)|\b(invalid|inactive)\b.*\bmodel\b|not supported|unsupported", InvalidRequestError),
    (r"\bcontent\b(?!.type)", ContentPolicyError),
)
_WORDY = frozenset({400, 403, 422, 451})
"""The HTTP statuses that alone do not say what is wrong."""


# What is sent.


def body(request: Request, key: str | None) -> dict[str, Any]:
    """Return the JSON of `POST /api/generate/v2`; what the user left out is left out."""
    fields = {
        "prompt": request.prompt,
        "modelId": request.model,
        "aspectRatio": request.aspect_ratio,
        **_medium(request),
        **_references(request.references),
        **request.options,
        "idempotencyKey": key,
    }
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def _medium(request: Request) -> dict[str, Any]:
    if isinstance(request, ImageRequest):
        resolution = None if request.resolution is None else request.resolution.upper()
        return {"resolution": resolution, "quality": request.quality}
    return {"resolution": request.resolution, "duration": request.duration}


def _references(references: tuple[Reference, ...]) -> dict[str, Any]:
    of = {kind: [reference for reference in references if reference.kind is kind] for kind in Media}
    pictures = sorted(of[Media.IMAGE], key=lambda reference: _ORDER.index(reference.role))
    styled = any(picture.role is ReferenceRole.STYLE for picture in pictures)
    return {
        "referenceImages": [picture.source for picture in pictures] or None,
        "referenceType": "style" if styled else None,
        **_clips(of[Media.VIDEO]),
        "referenceAudios": [track.source for track in of[Media.AUDIO]] or None,
    }


def _clips(clips: list[Reference]) -> dict[str, Any]:
    if len(clips) == 1:
        return {"referenceVideo": clips[0].source, "referenceVideoDuration": clips[0].duration}
    # Only a service that measures the clips itself takes several.
    return {"referenceVideos": [clip.source for clip in clips] or None}


def _plain(value: Any) -> Any:
    """Return a value as plain JSON, with whole numbers as integers."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def announcement(file: File) -> dict[str, Any]:
    """Return the JSON that asks where a file may be uploaded."""
    fields: dict[str, Any] = {"filename": file.name, "contentType": file.content_type, "size": len(file.data)}
    if file.kind is Media.IMAGE:
        return fields
    model = {} if file.model is None else {"modelId": file.model}
    return {**fields, **model, "kind": str(file.kind)}


# What comes back.


def places(reply: Reply) -> tuple[str, str]:
    """Return the address to upload a file to and its public address, or raise what the service said."""
    if not reply.ok:
        raise error(reply)
    document = reply.fields()
    target, public = document.text("presignedUrl"), document.text("publicUrl")
    if target is not None and public is not None and document.flag("success") is not False:
        return target, public
    if _is_error(document):
        raise error(reply)
    raise TransportError("the answer to the upload has no address to send the file to; try again later or give a public URL")


def absent(reply: Reply) -> bool:
    """Whether the look-up of a request proves that there is none. Only the service's own words do; any other 404 proves nothing."""
    document = reply.document()
    return reply.status == 404 and document.flag("success") is False and document.text("code") == "request_not_found"


def snapshot(job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit, a poll or the look-up of a request."""
    if not reply.ok:
        raise error(reply)
    document = reply.fields()
    known = job.provider_id or document.text("generationId", "jobId")
    word = document.words("status")
    if known is not None and word is not None:
        return _observe(job, known, word, reply, document)
    if document.flag("success") is False and known is None:
        # The page: `success` is whether the request was accepted.
        raise error(reply, InvalidRequestError)
    if _is_error(document):
        failure = error(reply)
        # An answer that names a job is no refusal, whatever else it says.
        failure.verdict = None if known is None else Verdict.UNKNOWN
        raise failure
    if known is None:
        raise TransportError("the answer to the submit does not name the job; look at the account before sending it again")
    if job.provider_id is not None:
        raise TransportError("the answer says nothing about the job's status")
    # The page: the first status is always "processing".
    return _observe(job, known, "processing", reply, document)


def _is_error(document: Fields) -> bool:
    return document.flag("success") is False or "error" in document


def _observe(job: Job, known: str, word: str, reply: Reply, document: Fields) -> Snapshot:
    status = _STATUSES.get(word.lower())
    assets = _assets(job, document) if status is JobStatus.SUCCEEDED else ()
    if status is JobStatus.SUCCEEDED and assets:
        return _ended(known, status, document, assets=assets)
    if status is JobStatus.FAILED:
        return _ended(known, status, document, failure=_failure(document))
    note = None if status in (JobStatus.QUEUED, JobStatus.RUNNING) else f"the status {word!r} is not documented"
    if status is JobStatus.SUCCEEDED:
        # It may be done a little before its address is there.
        note = "the service says that it is done, but names no file yet"
    return _going_on(known, status, reply, document, note)


def _ended(
    known: str, status: JobStatus, document: Fields, *, assets: tuple[Asset, ...] = (), failure: Failure | None = None
) -> Snapshot:
    word = document.words("creditsStatus")
    # The page: "When a generation fails, credits are automatically refunded." A newer service says so in this field as well.
    refunded = failure is not None and word in (None, "refunded")
    doubt = failure is not None and not refunded
    return Snapshot(
        status=status,
        provider_id=known,
        assets=assets,
        failure=failure,
        cost=_cost(document),
        refunded=refunded,
        balance=_balance(document),
        aspect_ratio=document.text("aspectRatio"),
        note=f"the credits of the failed job are {word!r}, not refunded" if doubt else None,
    )


def _going_on(known: str, status: JobStatus | None, reply: Reply, document: Fields, note: str | None) -> Snapshot:
    expected = document.number("expectedWaitSeconds")
    hint = document.number("pollHintSeconds")
    if hint is not None and hint <= 0 and note is None:
        note = "the service no longer watches this job; it may still finish, or its credits come back"
    return Snapshot(
        status=JobStatus.QUEUED if status is JobStatus.QUEUED else JobStatus.RUNNING,
        provider_id=known,
        cost=_cost(document),
        balance=_balance(document),
        poll_after=_pause(reply, document, hint),
        expected=expected if expected is not None and expected > 0 else None,
        aspect_ratio=document.text("aspectRatio"),
        note=note,
    )


def _pause(reply: Reply, document: Fields, hint: float | None) -> float | None:
    """Return the seconds until the next poll that the reply asks for.

    The service's hint is the time in which it may still settle the job, up to 40 minutes, and not a time to wait: it never makes
    polls rarer than documented. It says only that there is something left to wait for; at zero there is hardly anything.
    """
    if reply.retry_after is not None:
        return reply.retry_after
    asked = document.number("retryAfterSeconds")
    if asked is not None and asked > 0:
        return asked
    if hint is None:
        return None
    return min(hint / 2, _INTERVAL) if hint > 0 else _UNWATCHED


def _assets(job: Job, document: Fields) -> tuple[Asset, ...]:
    said = document.text("mediaType")
    media = Media.VIDEO if said == "video" else Media.IMAGE if said == "image" else job.media
    # What the reply says counts first, but files of the sort that was asked for are taken anyway.
    for kind in (media, job.media):
        urls = tuple(dict.fromkeys(_urls(kind, document)))
        if urls:
            return tuple(Asset(url=url, media=kind) for url in urls)
    return ()


def _urls(media: Media, document: Fields) -> Iterator[str]:
    if media is Media.IMAGE:
        yield from document.texts("imageUrls")
    first = document.text("imageUrl" if media is Media.IMAGE else "videoUrl")
    if first is not None:
        yield first


def _cost(document: Fields) -> Cost | None:
    used = document.number("creditsUsed")
    return None if used is None or used < 0 else Cost(amount=used)


def _balance(document: Fields) -> float | None:
    """Return what a key can spend: purchased credits. Daily ones are for the service's own browser pages."""
    credits_left = document.item("credits")
    return None if credits_left.flag("unlimited") else credits_left.number("purchased")


def _failure(document: Fields) -> Failure:
    code = document.words("failureCode", "code") or document.item("error").words("code")
    return Failure(message=_reason(document) or "the service gives no reason", code=code)


# Refusals.


def error(reply: Reply, otherwise: type[ServiceError] | None = None) -> ServiceError:
    """Return the error that a reply is, whatever its HTTP status; of the kind `otherwise` when nothing tells which."""
    document = reply.document()
    reason = _reason(document)
    code = document.text("code", "failureCode") or document.item("error").text("code")
    return reply.refusal(
        _message(reason, document),
        kind=_CODES.get(code or "") or _kind(reply, reason or "") or otherwise,
        code=code,
        request_id=reply.headers.get("x-request-id") or document.text("requestId"),
        retry_after=_retry_after(reply, document),
    )


def _kind(reply: Reply, reason: str) -> type[ServiceError] | None:
    if not reply.ok and reply.status not in _WORDY:
        return None
    return next((kind for pattern, kind in _WORDS if re.search(pattern, reason, re.IGNORECASE)), None)


def _message(reason: str | None, document: Fields) -> str | None:
    needed, left = document.number("required"), document.number("available")
    if reason is None or needed is None or left is None:
        return reason
    return f"{reason} ({needed:g} credits are needed, {left:g} are available)"


def _reason(document: Fields) -> str | None:
    """Return the service's words, without a key that they may repeat."""
    given = document.reason()
    return None if given is None else re.sub(r"meigen_sk_\w+", "meigen_sk_…", given)


def _retry_after(reply: Reply, document: Fields) -> float | None:
    asked = document.number("retryAfterSeconds")
    return asked if reply.retry_after is None and asked is not None and asked >= 0 else reply.retry_after

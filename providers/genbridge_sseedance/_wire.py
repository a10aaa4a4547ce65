"""Canonical requests to sseedance's fields, and its replies to snapshots.

Sources: its "Image Generation" page for the submit, its "Tasks" page for the poll. How it words an error is documented nowhere, so
every form that services of its kind use is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from genbridge import (
    Asset,
    AuthenticationError,
    ContentPolicyError,
    Failure,
    Fields,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    NotFoundError,
    Problem,
    RateLimitError,
    Reply,
    ServiceError,
    Snapshot,
    TransportError,
    Verdict,
)
from genbridge_sseedance._models import COMMON_SIZES, PRESETS

_STATUSES = {
    "pending": JobStatus.QUEUED,
    "processing": JobStatus.RUNNING,
    "success": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "canceled": JobStatus.CANCELLED,
    "cancelled": JobStatus.CANCELLED,
}
_URLS = {"imageUrls": Media.IMAGE, "videoUrls": Media.VIDEO, "audioUrls": Media.AUDIO}
_FINE = (None, "0", "200")
_REFUSING_CODES = ("400", "401", "402", "403", "404", "422", "429")
_THINGS = r"param|request|argument|input|model|prompt|size|resolution|provider|n\b"

# In this order: a message may have the words of several, and the first that fits is meant.
_KINDS: tuple[tuple[str, type[ServiceError]], ...] = (
    (r"rate.?limit|too many|too frequent", RateLimitError),
    (r"\b(insufficient|not enough|no|out of)\b.*\b(credit|balance|quota)", InsufficientCreditsError),
    (r"\b(credits?|balance|quota)\b.*\b(insufficient|not enough|too low|exhausted)", InsufficientCreditsError),
    (r"content policy|policy violation|moderation|safety|sensitive|nsfw|prohibited", ContentPolicyError),
    (r"\b(task|job)\b.*\b(not found|not exist|unknown)|no such (task|job)", NotFoundError),
    (r"api.?key|unauthori[sz]ed|authenticat|invalid token|no auth", AuthenticationError),
    (rf"\b(invalid|unknown|unsupported|missing) ({_THINGS})", InvalidRequestError),
    (r"\b((is|are) (required|missing)|not (supported|allowed)|must be|bad (request|size|prompt))\b", InvalidRequestError),
)


def size_problems(request: ImageRequest) -> Iterator[Problem]:
    """Name the sizes and ratios that do not go together, or not with the resolution."""
    if request.aspect_ratio is not None and request.size is not None:
        yield Problem("size", "it cannot be given together with aspect_ratio; leave one of them out")
    if request.resolution == "4k" and request.size is not None and request.size not in PRESETS:
        yield Problem("size", "a 4k image takes no pixels; leave size out and give an aspect_ratio, such as 16:9")
    if request.resolution == "4k":
        return
    for field, ratio in (("aspect_ratio", request.aspect_ratio), ("size", request.size)):
        if ratio in PRESETS and ratio not in COMMON_SIZES:
            known = ", ".join(COMMON_SIZES)
            yield Problem(
                field, f"{ratio!r} is for 4k images only; a 1k image takes {known}, or a size in pixels such as 1024x1024"
            )


def body(request: ImageRequest) -> dict[str, Any]:
    """Return the JSON of `POST /v1/images/generations`; `n` is sent always, as in the documented examples."""
    count = 1 if request.count is None else request.count
    return {"model": request.model, "prompt": request.prompt, **_size(request), "n": count, **request.options}


def _size(request: ImageRequest) -> dict[str, Any]:
    size = request.size or request.aspect_ratio
    field = "imageSizePreset" if request.resolution == "4k" else "size"
    fields = {"resolution": request.resolution, field: size}
    return {name: value for name, value in fields.items() if value is not None}


def snapshot(job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit (`data` is an array) or to a poll (`data` is an object)."""
    if not reply.ok:
        raise _refusal(reply)
    document = reply.fields()
    tasks = _tasks(document)
    if not any("id" in task for task in tasks) and _is_error(document):
        refusal = _refusal(reply)
        # It may be the id of a task: an answer that names one is no refusal, whatever else it says.
        refusal.verdict = Verdict.UNKNOWN if "id" in document else None
        raise refusal
    return _observe(job, document, tasks)


def _tasks(document: Fields) -> tuple[Fields, ...]:
    data = document.item("data")
    return (data,) if data else document.items("data")


def _observe(job: Job, document: Fields, tasks: tuple[Fields, ...]) -> Snapshot:
    known = job.provider_id or next(filter(None, (place.text("id") for place in (document, *tasks))), None)
    if known is None:
        raise TransportError("the answer to the submit has no task id; look at the account before sending it again")
    word = _words("status", *tasks, document)
    if word is None and job.provider_id is not None:
        raise TransportError(f"the answer says nothing about the status of task {known!r}")
    status = JobStatus.QUEUED if word is None else _STATUSES.get(word.lower())
    if status is None:
        return Snapshot(status=JobStatus.RUNNING, provider_id=known, note=f"the status {word!r} is not documented")
    assets = tuple(_assets(tasks)) if status.terminal else ()
    if status is JobStatus.SUCCEEDED and not assets:
        return Snapshot(status=JobStatus.RUNNING, provider_id=known, note="it is done, but its files have no URL yet")
    failure = Failure(message=_reason(tasks)) if status is JobStatus.FAILED else None
    return Snapshot(status=status, provider_id=known, assets=assets, failure=failure)


def _words(name: str, *places: Fields) -> str | None:
    return next((words for place in places if (words := place.words(name))), None)


def _assets(tasks: tuple[Fields, ...]) -> Iterator[Asset]:
    found = {url: media for task in tasks for field, media in _URLS.items() for url in task.texts(field)}
    for url, media in found.items():
        yield Asset(url=url, media=media)


def _reason(tasks: tuple[Fields, ...]) -> str:
    return _words("errorMessage", *tasks) or _words("error", *tasks) or "the service gives no reason"


def _is_error(document: Fields) -> bool:
    return bool(document.item("error") or document.text("error")) or document.text("code") not in _FINE


def _refusal(reply: Reply) -> ServiceError:
    document = reply.document()
    message = document.reason()
    code = document.item("error").text("code") or document.text("code")
    kind = _kind(message or "", code or "") if reply.status < 500 else None
    return reply.refusal(message, kind=kind, code=code)


def _kind(message: str, code: str) -> type[ServiceError] | None:
    """Return the kind of an error by its words, or by a code that is an HTTP status of a refusal.

    Services of this kind wrap a crash like a refusal, so only known words count.
    """
    words = f"{code.replace('_', ' ')} {message}"
    by_words = next((kind for pattern, kind in _KINDS if re.search(pattern, words, re.IGNORECASE)), None)
    return by_words or (ServiceError.kind_of(int(code)) if code in _REFUSING_CODES else None)

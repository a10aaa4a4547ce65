"""Jobs to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cattrs.preconf.json import make_converter

from genbridge.types import Certainty, Cost, Failure, ImageRequest, Job, JobStatus, Quote, Request, Result, VideoRequest

_converter = make_converter(omit_if_default=True)


def _dump_source(source: str | Path) -> Any:
    return {"path": str(source)} if isinstance(source, Path) else source


def _load_source(value: Any, _: Any) -> str | Path:
    return Path(value["path"]) if isinstance(value, dict) else str(value)


def _load_request(value: Any, _: Any) -> Request:
    if value["media"] == VideoRequest.media:
        return _converter.structure(value, VideoRequest)
    return _converter.structure(value, ImageRequest)


def _dump_request(request: ImageRequest | VideoRequest) -> Any:
    fields = _converter.unstructure(request, type(request))
    return {**fields, "media": request.media.value}


_converter.register_unstructure_hook_func(lambda kind: kind == str | Path, _dump_source)
_converter.register_structure_hook_func(lambda kind: kind == str | Path, _load_source)
_converter.register_structure_hook_func(lambda kind: kind == float | None, lambda value, _: value)
_converter.register_unstructure_hook(ImageRequest | VideoRequest, _dump_request)
_converter.register_structure_hook(ImageRequest | VideoRequest, _load_request)

CHANGES = ("status", "provider_id", "submitted", "finished", "progress", "charged", "guessed", "cost", "failure", "result")
"""The columns of a job's row that are written again as the job goes on."""
COLUMNS = (
    "id",
    "key",
    "backend",
    "provider",
    "model",
    "provider_model",
    "media",
    "created",
    "unit",
    "reserved",
    "request",
    "quote",
    "save_to",
    *CHANGES,
)
"""The columns of a job's row that come from the job."""

_DOCUMENTS: Mapping[str, Any] = {
    "request": ImageRequest | VideoRequest,
    "quote": Quote,
    "cost": Cost,
    "failure": Failure,
    "result": Result,
}


def dump(job: Job) -> dict[str, Any]:
    """Return the row of a job."""
    return {
        "id": job.id,
        "key": job.key,
        "backend": job.backend,
        "provider": job.provider,
        "model": job.model,
        "provider_model": job.provider_model,
        "media": job.media.value,
        "created": job.created_at.timestamp(),
        "unit": job.quote.unit,
        "reserved": job.quote.amount,
        "request": _document(job, "request"),
        "quote": _quote_text(job.quote),
        "save_to": None if job.save_to is None else str(job.save_to),
        **dump_changes(job),
    }


def dump_changes(job: Job) -> dict[str, Any]:
    """Return what of a job's row is written again as it goes on."""
    return {
        "status": job.status.value,
        "provider_id": job.provider_id,
        "submitted": _seconds(job.submitted_at),
        "finished": _seconds(job.finished_at),
        "progress": job.progress,
        "charged": None if job.cost is None else job.cost.amount,
        "guessed": int(job.cost is not None and job.cost.certainty is not Certainty.EXACT),
        "cost": _document(job, "cost"),
        "failure": _document(job, "failure"),
        "result": _document(job, "result"),
    }


def _document(job: Job, name: str) -> str | None:
    value = getattr(job, name)
    return None if value is None else _converter.dumps(value, unstructure_as=_DOCUMENTS[name])


@lru_cache(maxsize=256)
def _quote_text(quote: Quote) -> str:
    """Return a quote as text; many jobs have the same."""
    return _converter.dumps(quote)


def load_quote(text: str) -> Quote:
    """Return the quote of a row."""
    return _converter.loads(text, Quote)


def load(row: Mapping[str, Any]) -> Job:
    """Return the job of a row."""
    documents: dict[str, Any] = {
        name: None if row[name] is None else _converter.loads(row[name], kind) for name, kind in _DOCUMENTS.items()
    }
    return Job(
        id=row["id"],
        key=row["key"],
        backend=row["backend"],
        provider=row["provider"],
        model=row["model"],
        provider_model=row["provider_model"],
        status=JobStatus(row["status"]),
        provider_id=row["provider_id"],
        created_at=datetime.fromtimestamp(row["created"], UTC),
        submitted_at=_time(row["submitted"]),
        finished_at=_time(row["finished"]),
        progress=row["progress"],
        save_to=None if row["save_to"] is None else Path(row["save_to"]),
        **documents,
    )


def request_text(request: Request) -> str:
    """Return a request as text that is the same for equal requests, and some text for what is not valid."""
    try:
        fields = json.loads(_converter.dumps(request, unstructure_as=ImageRequest | VideoRequest))
    except Exception:  # noqa: BLE001 (whoever checks the request says what is wrong with it)
        return repr(request)
    return json.dumps(fields, sort_keys=True)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

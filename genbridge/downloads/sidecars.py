"""The JSON beside each file: how it was made, and by what it is known to be complete."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from genbridge import __version__
from genbridge.downloads.guard import without_query
from genbridge.types import Asset, AssetRole, Reference, Request, Result

_SLUG = 40
_SUFFIX_OF_ROLE = {AssetRole.OUTPUT: "", AssetRole.COVER: "-cover", AssetRole.LAST_FRAME: "-last-frame"}
_LONGEST_DATA = 64


def stem(result: Result, index: int) -> str:
    """Return the name, without suffix, of the file that the asset at `index` is saved under.

    It is made of the job's id, the prompt and the asset's number in its role, never of anything in a URL, and always the same.
    """
    asset = result.assets[index]
    number = sum(other.role is asset.role for other in result.assets[: index + 1])
    job = re.sub(r"[^A-Za-z0-9_-]", "", result.job_id)[:8] or "job"
    return f"{job}-{_slug(result.request.prompt) or result.request.media}-{number}{_SUFFIX_OF_ROLE[asset.role]}"


def _slug(prompt: str) -> str:
    text = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:_SLUG].strip("-")


def sidecar(result: Result, asset: Asset, path: Path | str, digest: str, size: int) -> dict[str, Any]:
    """Return what is written beside a file: `digest` is its SHA-256 in hex and `size` its bytes.

    Times are ISO 8601, and `seconds` is how long the job took.
    """
    return {
        "genbridge": __version__,
        "file": Path(path).name,
        "media": asset.media.value,
        "role": asset.role.value,
        "bytes": size,
        "sha256": digest,
        "width": asset.width,
        "height": asset.height,
        "duration": asset.duration,
        "url": without_query(asset.url),
        "job_id": result.job_id,
        "backend": result.backend,
        "provider": result.provider,
        "model": result.model,
        "aspect_ratio": result.aspect_ratio,
        "cost": _plain(attrs.asdict(result.cost)),
        "created_at": result.created_at.isoformat(),
        "finished_at": result.finished_at.isoformat(),
        "seconds": max(0.0, (result.finished_at - result.created_at).total_seconds()),
        "request": _request(result.request),
    }


def _request(request: Request) -> dict[str, Any]:
    names = [field.name for field in attrs.fields(type(request)) if field.name not in {"references", "options"}]
    given = {name: _plain(getattr(request, name)) for name in names if getattr(request, name) is not None}
    references = [_reference(reference) for reference in request.references]
    return {"media": request.media.value, **given, "references": references, "options": _plain(request.options)}


def _reference(reference: Reference) -> dict[str, Any]:
    return {
        "source": _source(reference.source),
        "role": _plain(reference.role),
        "kind": _plain(reference.kind),
        "duration": _plain(reference.duration),
    }


def _source(source: str | Path) -> str:
    if isinstance(source, Path):
        return str(source)
    return _shortened(source) if source[:5].lower() == "data:" else without_query(source)


def _shortened(uri: str) -> str:
    return uri if len(uri) <= _LONGEST_DATA else f"{uri[:_LONGEST_DATA]}… ({len(uri)} characters)"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return _shortened(text) if (text := str(value))[:5].lower() == "data:" else text


def encode(document: Mapping[str, Any]) -> bytes:
    """Return a sidecar's bytes."""
    # Half of a surrogate pair has no UTF-8, and the escape that stands for it is good JSON.
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def decode(data: bytes) -> dict[str, Any]:
    """Return what a sidecar says; empty when it is not one."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}

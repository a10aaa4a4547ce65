"""Reference files: the check that needs a look at the disk or the address, and reading them for an upload."""

from __future__ import annotations

import os
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import urlsplit

from genbridge.addresses import is_loopback, is_private
from genbridge.catalogue import Model, ReferenceRule
from genbridge.errors import Problem, RequestError
from genbridge.types import File, Media, Reference, Request

_SIGNATURES: tuple[tuple[int, bytes, Media], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", Media.IMAGE),
    (0, b"\xff\xd8\xff", Media.IMAGE),
    (0, b"GIF8", Media.IMAGE),
    (0, b"BM", Media.IMAGE),
    (0, b"II*\x00", Media.IMAGE),
    (0, b"MM\x00*", Media.IMAGE),
    (8, b"WEBP", Media.IMAGE),
    (4, b"ftypavif", Media.IMAGE),
    (4, b"ftyp", Media.VIDEO),
    (0, b"\x1aE\xdf\xa3", Media.VIDEO),
    (8, b"WAVE", Media.AUDIO),
    (0, b"ID3", Media.AUDIO),
    (0, b"\xff\xfb", Media.AUDIO),
    (0, b"\xff\xf3", Media.AUDIO),
)
"""Where a file's first bytes tell what it is."""


def problems(request: Request, model: Model, *, base_url: str) -> Iterator[Problem]:
    """Name what is wrong with a request's references: missing, unreadable, too large or of another kind, or not public.

    A backend on this machine may be given addresses of this machine.
    """
    rules = {(rule.role, rule.kind): rule for rule in model.capabilities.references}
    near = is_loopback(urlsplit(base_url).hostname or "")
    references: object = request.references
    for index, reference in enumerate(references if isinstance(references, tuple) else ()):
        rule = rules.get((reference.role, reference.kind)) if isinstance(reference, Reference) else None
        if rule is None:
            continue
        found = _local(reference.source, rule) if isinstance(reference.source, Path) else _remote(reference.source, near=near)
        if found:
            yield Problem(f"references[{index}]", found)


def _local(path: Path, rule: ReferenceRule) -> str | None:
    try:
        with path.open("rb") as file:
            start, size = file.read(16), os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"{str(path)!r} cannot be read: {reason}"
    if not size:
        return f"{str(path)!r} is empty"
    if rule.most_bytes is not None and size > rule.most_bytes:
        return f"{str(path)!r} has {size / 1024**2:.1f} MB, the most is {rule.most_bytes / 1024**2:g} MB"
    kind = _kind(start)
    if kind is not rule.kind:
        return (
            f"{str(path)!r} is {'not ' + _article(rule.kind) if kind is None else _article(kind) + ', not ' + _article(rule.kind)}"
        )
    return None


def _article(kind: Media) -> str:
    return f"{'a' if kind is Media.VIDEO else 'an'} {kind}"


def _kind(start: bytes) -> Media | None:
    return next((kind for at, mark, kind in _SIGNATURES if start[at : at + len(mark)] == mark), None)


def _remote(url: str, *, near: bool) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return f"{url!r} is not a usable URL"
    if url.startswith("data:") or (near and is_loopback(host)):
        return None
    if not host or is_private(host):
        return (
            f"the service cannot reach {host or url!r}, which is not a public address; give a public URL, or a local file as a Path"
        )
    return None


def read(reference: Reference, *, model: str) -> File:
    """Read a local reference for the upload hook; raises `RequestError` when it has gone since it was checked."""
    path = Path(reference.source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RequestError(f"the reference {str(path)!r} cannot be read: {error.strerror}; nothing was sent") from None
    content_type = guess_type(path.name)[0] or "application/octet-stream"
    return File(name=path.name, kind=reference.kind, content_type=content_type, data=data, model=model)

"""Reference files: the check that needs a look at the disk or the address, and reading them for an upload."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from genbridge.addresses import is_loopback, is_private
from genbridge.catalogue import Model, ReferenceRule
from genbridge.errors import Problem, RequestError
from genbridge.formats import HEAD, check_format, content_type
from genbridge.types import File, Reference, Request

_MOST_BYTES = 256 * 1024**2
"""The most bytes of a local file where a service does not say, as it is read into memory."""


def problems(request: Request, model: Model, *, base_url: str) -> Iterator[Problem]:
    """Name what is wrong with a request's references: missing, unreadable, too large or of another kind, or not public.

    A backend on this machine may be given what it serves itself, as the sandbox serves its results. What is wrong in itself, as a
    source that is neither a URL nor a `Path`, is for `genbridge.validation.check` to say.
    """
    service = urlsplit(base_url)[:2] if is_loopback(urlsplit(base_url).hostname or "") else None
    given: object = request.references
    for index, reference in enumerate(given if isinstance(given, tuple) else ()):
        rule = _rule(reference, model)
        if rule is None:
            continue
        found = _local(reference.source, rule) if isinstance(reference.source, Path) else _remote(reference.source, service)
        if found:
            yield Problem(f"references[{index}]", found)


def _rule(reference: object, model: Model) -> ReferenceRule | None:
    if not isinstance(reference, Reference):
        return None
    kind = (reference.role, reference.kind)
    return next((rule for rule in model.capabilities.references if (rule.role, rule.kind) == kind), None)


def _local(path: Path, rule: ReferenceRule) -> str | None:
    try:
        status = path.stat()
        head = _head(path) if stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError) as error:
        return f"{str(path)!r} cannot be read: {_reason(error)}"
    if head is None:  # a pipe would keep us waiting
        return f"{str(path)!r} is not a file"
    if not head:
        return f"{str(path)!r} is empty"
    most = rule.most_bytes or _MOST_BYTES
    if status.st_size > most:
        return f"{str(path)!r} has {status.st_size / 1024**2:.1f} MB, the most is {most / 1024**2:g} MB"
    problem = check_format(head, rule.kind)
    return f"{str(path)!r} is not of the right kind: {problem}" if problem else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _remote(url: object, service: tuple[str, str] | None) -> str | None:
    """Name what is wrong with the host of a web address; any other source is not looked at.

    `service` are scheme and host of a service on this machine.
    """
    if not isinstance(url, str) or url.partition(":")[0].lower() not in {"http", "https"}:
        return None
    host = _host(url)
    if host is None:
        return f"{url!r} is not a usable URL"
    if urlsplit(url)[:2] == service:
        return None
    if not host or is_private(host):
        return (
            f"the service cannot reach {host or url!r}, which is not a public address; give a public URL, or a local file as a Path"
        )
    return None


def _host(url: str) -> str | None:
    """Return a URL's host; `None` where there is something in the URL that is read in different ways."""
    if "\\" in url or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        return None
    host = parts.hostname or ""
    return host if usable and "%" not in host else None


def rooted(request: Request) -> Request:
    """Return a request whose local files have whole paths, as another process runs in another folder; what is none stays."""
    given: object = getattr(request, "references", ())
    if not isinstance(given, tuple) or not any(map(_is_relative, given)):
        return request
    return attrs.evolve(request, references=tuple(_rooted(each) if _is_relative(each) else each for each in given))


def _is_relative(reference: object) -> bool:
    return isinstance(reference, Reference) and isinstance(reference.source, Path) and not reference.source.is_absolute()


def _rooted(reference: Reference) -> Reference:
    return attrs.evolve(reference, source=Path(reference.source).absolute())


def read(reference: Reference, *, model: str) -> File:
    """Read a local reference for the upload hook; raises `RequestError` when it has gone since it was checked."""
    path = Path(reference.source)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise RequestError(f"the reference {str(path)!r} cannot be read: {_reason(error)}; nothing was sent") from None
    if not data:
        raise RequestError(f"the reference {str(path)!r} is empty; nothing was sent")
    kind = content_type(data[:HEAD], reference.kind)
    return File(name=path.name, kind=reference.kind, content_type=kind, data=data, model=model)

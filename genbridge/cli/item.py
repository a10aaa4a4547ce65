"""One request of a file, read from its fields: the names and values of a JSON object, or of a row whose cells were read so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from genbridge.cli.request import read_reference, source_of
from genbridge.errors import Problem
from genbridge.tables import Table, shown
from genbridge.types import ImageRequest, Media, Reference, ReferenceRole, Request, VideoRequest

_MEDIA = (Media.IMAGE.value, Media.VIDEO.value)
_ROLES = (ReferenceRole.ASSET.value, *(role.value for role in ReferenceRole if role is not ReferenceRole.ASSET))
_KINDS = tuple(kind.value for kind in Media)
_LEAST = -(10**15)

TEXTS = ("id", "backend", "model", "aspect_ratio", "size", "resolution", "quality")
WHOLE = ("count", "seed")
FLAGS = ("audio", "watermark", "return_last_frame")
NAMES = ("prompt", "media", *TEXTS, "duration", *WHOLE, *FLAGS, "references", "options")
"""What a field may be called."""


@attrs.frozen(kw_only=True)
class Item:
    """One request of a file: the line it begins on, what it is called there, and where it is to go."""

    line: int
    request: Request
    id: str | None = None
    backend: str | None = None


def read_item(line: int, fields: Mapping[str, Any], folder: Path) -> tuple[Item | None, list[Problem]]:
    """Read one request; local references are relative to `folder`. Returns `None` where anything is wrong, and all that is."""
    table = Table(fields)
    given = _given(table, folder)
    kind = _kind(table)
    table.close()
    table.problems += _foreign(given, kind, table)
    if table.problems:
        return None, table.problems
    name, backend = given.pop("id", None), given.pop("backend", None)
    return Item(line=line, request=kind(**given), id=name, backend=backend), []


def _kind(table: Table) -> type[ImageRequest | VideoRequest]:
    return VideoRequest if table.choice("media", _MEDIA) == Media.VIDEO else ImageRequest


def _given(table: Table, folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"prompt": _prompt(table)}
    values |= {name: table.text(name) for name in TEXTS}
    values |= {name: table.whole(name, least=_LEAST) for name in WHOLE}
    values |= {name: _flag(table, name) for name in FLAGS}
    values["duration"] = _plain(table.number("duration"))
    values["references"] = _references(table, folder)
    values["options"] = _options(table)
    return {name: value for name, value in values.items() if value is not None}


def _prompt(table: Table) -> str | None:
    if table.get("prompt") is None:
        table.wrong("prompt", "it is missing; say what you want")
    return table.text("prompt")


def _plain(seconds: float | None) -> float | None:
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds


def _flag(table: Table, name: str) -> bool | None:
    return None if table.get(name) is None else table.flag(name, default=False)


def _options(table: Table) -> Mapping[str, Any] | None:
    value = table.get("options")
    if value is None or isinstance(value, Mapping):
        return value
    table.wrong("options", f'{shown(value)} is not an object; write {{"name": value}}')
    return None


def _foreign(given: Mapping[str, Any], kind: type[Request], table: Table) -> Iterator[Problem]:
    """Name the fields that the medium has not: nothing is dropped in silence."""
    if any(problem.field == "media" for problem in table.problems):
        return
    other, article = (Media.IMAGE, "an") if kind is VideoRequest else (Media.VIDEO, "a")
    for name in given:
        if name not in {"id", "backend", *attrs.fields_dict(kind)}:
            yield Problem(name, f"it is for {article} {other}; give media {other}, or leave it out")


# References.


def _references(table: Table, folder: Path) -> tuple[Reference, ...] | None:
    value = table.get("references")
    if value is None:
        return None
    if not isinstance(value, list):
        table.wrong("references", f'{shown(value)} is not a list; write ["SOURCE:ROLE"]')
        return None
    found = (_reference(table, f"references[{index}]", entry, folder) for index, entry in enumerate(value))
    return tuple(reference for reference in found if reference is not None)


def _reference(table: Table, name: str, value: object, folder: Path) -> Reference | None:
    if isinstance(value, Mapping):
        inner = Table(value, name, table.problems)
        return _reference_of(inner, folder)
    try:
        return read_reference(value, folder) if isinstance(value, str) else _wrong_reference(value)
    except ValueError as error:
        table.problems.append(Problem(name, str(error)))
    return None


def _wrong_reference(value: object) -> Reference:
    raise ValueError(f'{shown(value)} is neither a string nor an object; write "SOURCE:ROLE"')


def _reference_of(table: Table, folder: Path) -> Reference | None:
    source = table.text("source")
    if table.get("source") is None:
        table.wrong("source", "it is missing; give a path or a URL")
    role = ReferenceRole(table.choice("role", _ROLES))
    kind: dict[str, Any] = {} if table.get("kind") is None else {"kind": table.choice("kind", _KINDS)}
    seconds = _plain(table.number("duration"))
    table.close()
    return None if source is None else Reference(source_of(source, folder), role=role, duration=seconds, **kind)

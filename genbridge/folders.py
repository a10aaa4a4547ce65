"""The folders that callers name for files: checked before anything is sent."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from genbridge.catalogue import is_json
from genbridge.errors import RequestError


def folder(given: object) -> Path:
    """Return the folder that was given; raises `RequestError` for what is no path."""
    path = fspath(given) if isinstance(given, PathLike) else given
    if not isinstance(path, str) or "\0" in path:
        raise RequestError(f"{given!r} is no folder; give a path")
    return Path(path)


def lasting_folder(given: object) -> Path:
    """Return a folder that means the same from everywhere; raises `RequestError` for one that no record can hold."""
    path = folder(given).absolute()
    if not is_json(str(path)):
        raise RequestError(f"{str(path)!r} is not UTF-8, so it cannot be put on record; nothing was sent, name another folder")
    return path

"""Where the record of jobs is, as somebody names it: a file, a database, or where one of these is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import attrs

from genbridge import keys
from genbridge.databases import EXAMPLE, DatabaseUrl
from genbridge.errors import ConfigError
from genbridge.words import did_you_mean, listed

SCHEMES = ("postgresql", "postgres")
NOWHERE = "nobody knows where the record of jobs is"
SEAMS = "genbridge.seams"
"""The entry point group of packages that offer a journal, an engine or a limiter."""

_ALMOST_URL = re.compile(r"postgres(?:ql)?:|[^/\\@:\s]*:[^/\\@\s]+@|(?:.*\s)?(?:host|user|dbname|password)\s*=", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Place:
    """What was found where a journal is named: the path of a file, the URL of a database, a `problem`, or nothing yet.

    `source` says in words where that is, for a place that is itself named elsewhere.
    """

    found: Path | DatabaseUrl | None = None
    source: str = ""
    problem: str | None = None

    @property
    def advice(self) -> str:
        """What to do so that something is found, in words."""
        kind, _, where = self.source.partition(" ")
        return f"set the environment variable {where}" if kind == "env" else f"put the database's URL into the file {where}"


def read_place(text: str, *, env: Mapping[str, str], path: Callable[[str], Path]) -> Place:
    """Read where a journal is: a path, a URL, or `env:VARIABLE` or `file:PATH` for where one of these, or a URL, is written.

    `path` makes a path of a text.
    """
    kind, colon, where = (part.strip() for part in text.partition(":"))
    match kind + colon:
        case "env:":
            return _written(keys.from_variable(where, env, check=_unchecked), f"env:{where}", path)
        case "file:":
            place = _written(keys.from_file(where, path(where), check=_unchecked), f"file:{path(where)}", path)
            return place if not isinstance(place.found, Path) else attrs.evolve(place, found=None, problem=_no_url(place.source))
        case _:
            return _place(text, "", path)


def place_in(text: str, *, env: Mapping[str, str] = os.environ) -> Path | DatabaseUrl:
    """Return where a journal is, by a text as `read_place` reads it; raises `ConfigError` where it is nowhere."""
    place = read_place(text, env=env, path=Path)
    if place.found is None:
        raise ConfigError(place.problem or f"{NOWHERE}: {place.advice}")
    return place.found


def _unchecked(_text: str) -> None:
    """Leave it to the place what it may be."""


def _no_url(source: str) -> str:
    return f"the {source} holds no URL of a database; name a file with the record of jobs by its path alone"


def _written(key: keys.Key, named: str, path: Callable[[str], Path]) -> Place:
    if key.secret is None:
        return Place(source=key.source, problem=key.problem)
    return attrs.evolve(_place(key.secret.reveal(), named, path), source=key.source)


def _place(text: str, named: str, path: Callable[[str], Path]) -> Place:
    if "://" not in text:
        return _file(text.strip(), path)
    try:
        url = DatabaseUrl.parse(text, named=named)
    except ConfigError as error:
        return Place(problem=error.message)
    problem = _strange(url.scheme)
    return Place(problem=problem) if problem else Place(found=url)


def _file(text: str, path: Callable[[str], Path]) -> Place:
    if not text:
        return Place(problem=f"it is empty; write the path of a file, or a database's URL as {EXAMPLE}")
    if _ALMOST_URL.match(text):
        return Place(problem=f"it looks like the address of a database; write it as {EXAMPLE}")
    if "\0" in text:
        return Place(problem=f"{text!r} is not a path")
    if path(text).is_dir():
        return Place(problem=f"{text!r} is a folder; give the path of a file in it, such as {text.rstrip('/')}/jobs.db")
    return Place(found=path(text))


def _strange(scheme: str) -> str | None:
    """Return what is wrong with a scheme, where nothing that is installed knows it."""
    if scheme in SCHEMES or scheme in (known := [*SCHEMES, *installed_seams()]):
        return None
    what = "it" if keys.may_be_key(scheme) else f"{scheme}://"
    return f"{what} is no journal that is installed{did_you_mean(scheme, known) or f'; genbridge itself has {listed(SCHEMES)}'}"


def installed_seams() -> Iterable[str]:
    """Return the names of the journals, engines and limiters that other packages bring."""
    from importlib.metadata import entry_points  # noqa: PLC0415 (only for a name that is not built in)

    return sorted(entry_points(group=SEAMS).names)

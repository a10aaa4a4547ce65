"""The options that describe a request, and the requests made of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import attrs
import click

from genbridge.types import ImageRequest, Reference, ReferenceRole, Request, VideoRequest
from genbridge.words import did_you_mean, listed

T = TypeVar("T")

_ROLES = tuple(role.value for role in ReferenceRole)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", re.ASCII)
_TAIL = re.compile(rf"(?P<source>.+?):(?P<role>{'|'.join(_ROLES)})(?::(?P<seconds>\d+(?:\.\d+)?))?", re.DOTALL)
_MISSPELT = re.compile(r"(?P<source>..+):(?P<role>[a-z_-]+)(?::[\d.]+)?", re.DOTALL)


_HERE = Path()


def read_reference(text: str, folder: Path = _HERE) -> Reference:
    """Read `PATH_OR_URL[:role[:SECONDS]]`; the colons of URLs and of Windows drives belong to the source.

    A path is relative to `folder`. Raises `ValueError` for a role that does not exist.
    """
    tail = _TAIL.fullmatch(text)
    if tail is not None:
        seconds = None if tail["seconds"] is None else _number(float(tail["seconds"]))
        return Reference(source_of(tail["source"], folder), role=ReferenceRole(tail["role"]), duration=seconds)
    source = source_of(text, folder)
    misspelt = _MISSPELT.fullmatch(text)
    if isinstance(source, Path) and misspelt is not None and not os.path.exists(source):  # noqa: PTH110 (quiet about names too long)
        near = did_you_mean(misspelt["role"], _ROLES)
        raise ValueError(f"unknown role {misspelt['role']!r}{near or '; the roles are ' + listed(_ROLES)}")
    return Reference(source)


def source_of(text: str, folder: Path = _HERE) -> str | Path:
    """Return a URL as it is, anything else as a path, relative to a folder."""
    # `Path.expanduser` fails for a user that does not exist; this leaves the name as it is.
    return text if _URL.match(text) else folder / os.path.expanduser(text)  # noqa: PTH111


def _number(value: float) -> float:
    return int(value) if value.is_integer() else value


def read_option(text: str) -> tuple[str, Any]:
    """Read `KEY=JSON`; a value that does not look like JSON is text. Raises `ValueError` for anything else."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    try:
        return name, json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if value[:1] in tuple('{["') or value in ("NaN", "Infinity", "-Infinity"):
            raise ValueError(f"the value of {name} is not JSON: {error}") from None
        return name, value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _references(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[Reference, ...]:
    return tuple(_read(read_reference, value) for value in values)


def _options(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in (_read(read_option, text) for text in values):
        if name in options:
            raise click.BadParameter(f"{name} is given twice")
        options[name] = value
    return options


def _read(reader: Callable[[str], T], text: str) -> T:
    try:
        return reader(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    return None if value is None else _number(value)


_OPTIONS = (
    click.argument("prompt"),
    click.option("--image", is_flag=True, help="Make an image (the default)."),
    click.option("--video", is_flag=True, help="Make a video; with --image, one job each."),
    click.option("-m", "--model", metavar="MODEL", help="A canonical name, or the provider's own (see `genbridge models`)."),
    click.option("--duration", type=float, callback=_seconds, metavar="SECONDS", help="The length of a video."),
    click.option("--aspect-ratio", metavar="RATIO", help="Such as 16:9, auto or adaptive."),
    click.option("--resolution", metavar="R", help="Such as 720p or 2k."),
    click.option("--size", metavar="WxH", help="The size of an image in pixels."),
    click.option("--count", type=int, metavar="N", help="How many images."),
    click.option("--quality", metavar="Q", help="The quality of an image, such as low or high."),
    click.option("--seed", type=int, metavar="N", help="The same seed, where it is supported, gives a similar result."),
    click.option("--audio/--no-audio", default=None, help="Whether a video has sound."),
    click.option("--watermark/--no-watermark", default=None, help="Whether the service marks a video as its own."),
    click.option("--return-last-frame", is_flag=True, default=None, help="Get a video's last frame as an image too."),
    click.option(
        "--ref",
        "references",
        multiple=True,
        callback=_references,
        metavar="SOURCE[:ROLE[:SECONDS]]",
        help=f"A file or URL to work from; ROLE is {listed(_ROLES)} (default asset), SECONDS a clip's length. May be repeated.",
    ),
    click.option(
        "--option",
        "options",
        multiple=True,
        callback=_options,
        metavar="KEY=JSON",
        help="A provider's own field, by the provider's own name. May be repeated.",
    ),
)

_NAMES = ("model", *dict.fromkeys([*attrs.fields_dict(ImageRequest), *attrs.fields_dict(VideoRequest)]))


def takes_request(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that describe a request, and hand the command the `requests` they stand for."""

    @wraps(command)
    def with_requests(*args: Any, image: bool, video: bool, **given: Any) -> T:
        fields = {name: given.pop(name) for name in dict.fromkeys(_NAMES)}
        return command(*args, requests=make_requests(image=image, video=video, **fields), **given)

    decorated: Callable[..., T] = with_requests
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def make_requests(*, image: bool, video: bool, **fields: Any) -> list[Request]:
    """Return one request for each medium that is wanted; an image when none is named.

    Raises `click.UsageError` for a field that no wanted medium has: nothing is dropped in silence.
    """
    wanted = ((ImageRequest, image), (VideoRequest, video))
    kinds: list[type[ImageRequest | VideoRequest]] = [kind for kind, is_wanted in wanted if is_wanted] or [ImageRequest]
    given = {name: value for name, value in fields.items() if value is not None}
    _check_use(given, kinds)
    return [kind(**{name: value for name, value in given.items() if name in attrs.fields_dict(kind)}) for kind in kinds]


def _check_use(given: dict[str, Any], kinds: Sequence[type[Request]]) -> None:
    known = {name for kind in kinds for name in attrs.fields_dict(kind)}
    foreign = ["--" + name.replace("_", "-") for name in given if name not in known]
    if foreign:
        verb = "is" if len(foreign) == 1 else "are"
        medium, article = ("image", "an") if kinds == [VideoRequest] else ("video", "a")
        raise click.UsageError(f"{listed(foreign)} {verb} for {article} {medium}; add --{medium} or leave it out")

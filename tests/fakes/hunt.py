"""A hunt for a key: `hunt(where, key)` looks for it in files and bytes, and a `Trail` collects all that a program leaves behind.

trail = Trail(KEY)
with trail.following():
...                       # whatever logs, warns and prints
trail.error("the submit", error)
trail.files("the journal", folder)
assert [] == trail.leaks()
"""

from __future__ import annotations

import base64
import gc
import io
import logging
import pickle
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from traceback import walk_tb
from typing import Any
from urllib.parse import unquote_to_bytes

import attrs

_OURS = ("genbridge", "aiohttp", "asyncio", "sqlite3", "threading", "concurrent")
"""The packages whose frames hold no key as a variable when an error comes out of them."""
_NUMBERED = re.compile(rb"\\+u00([0-9a-fA-F]{2})")


def forms(key: str) -> frozenset[bytes]:
    """Return the ways in which a key may be written: as it is, in hex, and as `Basic` credentials have it."""
    data = key.encode()
    return frozenset({data, data.hex().encode(), *_in_base64(data)})


def readings(data: bytes) -> tuple[bytes, ...]:
    """Return some data as they are, and as who reads escapes would read them: those of URLs, and those of JSON, once or more."""
    plain = _NUMBERED.sub(lambda found: bytes([int(found[1], 16)]), data).replace(b"\\", b"")
    return data, unquote_to_bytes(data), plain


def _in_base64(data: bytes) -> Iterator[bytes]:
    """Yield what is always there of some data in base64, wherever among other data it begins."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        whole = encoded[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def hunt(where: bytes | str | Path, key: str) -> list[str]:
    """Return where a key is found: in bytes or a text, in a file, or in the files of a folder and in their names."""
    if isinstance(where, Path):
        return [name for name, data in _contents(where) if _holds(data, key)]
    data = where if isinstance(where, bytes) else where.encode("utf-8", "surrogatepass")
    return ["the text"] if _holds(data, key) else []


def _holds(data: bytes, key: str) -> bool:
    wanted = forms(key)
    return any(form in reading for reading in readings(data) for form in wanted)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    yield f"the name of {path}", str(path).encode("utf-8", "surrogateescape")
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        yield f"the name of {each}", str(each).encode("utf-8", "surrogateescape")
        if each.is_file():
            yield str(each), each.read_bytes()


class _Ear(logging.Handler):
    """Hear every record, and keep all that it holds."""

    def __init__(self, trail: Trail) -> None:
        super().__init__(logging.DEBUG)
        self._trail = trail

    def emit(self, record: logging.LogRecord) -> None:
        label = f"a record of the logger {record.name!r}"
        self._trail.note(label, record.getMessage())
        self._trail.note(label, repr(record.__dict__))
        if record.exc_info and record.exc_info[1] is not None:
            # What asyncio tells of a write that failed may be that of the service at the other end, which has the key.
            self._trail.error(label, record.exc_info[1], variables=record.name != "asyncio")


@attrs.define(eq=False)
class Trail:
    """All that was left behind, to be searched once."""

    key: str = attrs.field(repr=False)
    notes: list[tuple[str, bytes]] = attrs.field(factory=list, repr=False)

    def note(self, label: str, what: object) -> None:
        """Keep bytes, a text, or what a value shows of itself."""
        data = (
            what if isinstance(what, bytes) else (what if isinstance(what, str) else repr(what)).encode("utf-8", "backslashreplace")
        )
        self.notes.append((label, data))

    def error(self, label: str, error: BaseException, *, variables: bool = True) -> None:
        """Keep an error with all that it was raised from: texts, arguments, fields, pickles, tracebacks, and variables of frames.

        Of the frames, those of the caller's own code are left out: it has the key, as it gave it.
        """
        self.note(label, "".join(traceback.format_exception(error)))
        for each in _chain(error):
            name = f"{label}: {type(each).__name__}"
            self.note(name, f"{each} {each!r} {each.args!r} {vars(each)!r} {getattr(each, '__notes__', ())!r}")
            for value in vars(each).values():
                self.note(f"{name}, its fields", value)
            self.note(f"{name}, pickled", _pickled(each))
            for place, text in _variables(each) if variables else ():
                self.note(f"{name}, a variable of {place}", text)

    def files(self, label: str, path: Path) -> None:
        """Keep the names and contents of files."""
        for name, data in _contents(path):
            self.note(f"{label}: {name}", data)

    def objects(self) -> None:
        """Keep what every living object of genbridge's and its providers' shows of itself."""
        gc.collect()
        for each in gc.get_objects():
            kind = type(each)
            if str(kind.__module__).startswith("genbridge") and not kind.__name__.endswith("Emulator"):
                self.note(f"a {kind.__module__}.{kind.__qualname__}", _shown(each))

    @contextmanager
    def following(self) -> Iterator[None]:
        """Keep what is logged, by anybody and at DEBUG, and what is warned of and printed meanwhile."""
        ear, root, streams = _Ear(self), logging.getLogger(), (io.StringIO(), io.StringIO())
        loggers = [root, *(each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger))]
        levels = {logger: logger.level for logger in loggers}
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        root.addHandler(ear)
        try:
            with warnings.catch_warnings(record=True) as warned, redirect_stdout(streams[0]), redirect_stderr(streams[1]):
                warnings.simplefilter("always")
                yield
        finally:
            root.removeHandler(ear)
            for logger, level in levels.items():
                logger.setLevel(level)
        for warning in warned:
            self.note("a warning", f"{warning.message} {warning.source!r}")
        for label, stream in zip(("stdout", "stderr"), streams, strict=True):
            self.note(label, stream.getvalue())

    def leaks(self) -> list[str]:
        """Return, once each, the places that hold the key."""
        return list(dict.fromkeys(label for label, data in self.notes if _holds(data, self.key)))


def _chain(error: BaseException | None, seen: frozenset[int] = frozenset()) -> Iterator[BaseException]:
    """Yield an error, those that it was raised from and beside, and those in its group."""
    if error is None or id(error) in seen:
        return
    yield error
    within: Iterable[BaseException] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *within):
        yield from _chain(other, seen | {id(error)})


def _pickled(error: BaseException) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception as failure:  # noqa: BLE001 (an error of somebody else's may hold anything)
        return repr(failure).encode()


def _variables(error: BaseException) -> Iterator[tuple[str, str]]:
    for frame, line in walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").partition(".")[0].partition("_")[0] in _OURS:
            for name, value in frame.f_locals.items():
                yield f"{frame.f_code.co_qualname}:{line} ({name})", _shown(value)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception as failure:  # noqa: BLE001 (a half-made object may fail)
        return f"{type(value).__name__}: {failure!r}"


def main() -> int:
    """Look for the key on stdin in the files and folders that are named; print where it is, and end with 1 when it is there."""
    key = sys.stdin.readline().rstrip("\n")
    found = [place for name in sys.argv[1:] for place in hunt(Path(name), key)]
    sys.stdout.writelines(f"{place}\n" for place in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where finished files are: found again by their sidecars, placed without taking anything's name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from genbridge.downloads.parts import disk_error, write_new
from genbridge.downloads.sidecars import decode, encode
from genbridge.formats import SUFFIXES

_LONGEST_SIDECAR = 10 * 1024 * 1024


def prepare(directory: Path) -> None:
    """Make a directory with all above it; raises `DownloadError` when that cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from None


def find(directory: Path, stem: str, job_id: str) -> Path | None:
    """Return the file of a job that was saved before under that name (or a free one near it), whole and unchanged."""
    taken = (_taken(directory, name) for name in _names(stem))
    return next((path for paths in takewhile(bool, taken) for path in paths if _whole(path, job_id)), None)


def place(part: Path, directory: Path, stem: str, suffix: str, describe: Callable[[Path], Mapping[str, Any]]) -> Path:
    """Give a part its name, or a free one near it, with its sidecar; return the path.

    Where the same file of the same job is there already, the part is left as it is. Raises `OSError` when the disk refuses.
    """
    paths = (directory / f"{name}{suffix}" for name in _names(stem))
    return next(path for path in paths if _settle(part, path, describe(path)))


def sidecar_of(path: Path) -> Path:
    """Return the path of a file's sidecar."""
    return path.with_name(f"{path.name}.json")


def rename_free(source: Path, target: Path, *, link: Callable[[Path, Path], None] = os.link) -> bool:
    """Rename a file unless the new name is taken, in one step where the file system has hard links; return whether it was done."""
    try:
        link(source, target)
    except FileExistsError:
        return False
    except OSError:
        # exFAT and some network file systems have no hard links.
        if os.path.lexists(target):
            return False
        source.rename(target)
        return True
    source.unlink(missing_ok=True)
    return True


def _names(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}_{number}" for number in count(2))


def _taken(directory: Path, name: str) -> list[Path]:
    """Return the files under a name that are there, or whose sidecar is."""
    paths = [os.path.join(directory, f"{name}{suffix}") for suffix in SUFFIXES]  # noqa: PTH118 (dozens of Paths a file are felt)
    return [Path(path) for path in paths if os.path.lexists(path) or os.path.lexists(f"{path}.json")]


def _settle(part: Path, path: Path, document: Mapping[str, Any]) -> bool:
    """Put a part and its sidecar at a path; return whether they are there now."""
    if os.path.lexists(path):
        return _whole(path, document["job_id"], document["sha256"])
    if not _claim(sidecar_of(path), document, part):
        return False
    if rename_free(part, path):
        _sync(path.parent)
        return True
    # Somebody was faster: with the same file, or with another one, that our sidecar says nothing of.
    if _whole(path, document["job_id"], document["sha256"]):
        return True
    sidecar_of(path).unlink(missing_ok=True)
    return False


def _claim(path: Path, document: Mapping[str, Any], part: Path) -> bool:
    """Write the sidecar of a part, unless another file's is there."""
    # It comes before the file: a file with no sidecar could not be told from somebody else's after a crash.
    # Who holds the part holds this name too, and finds here what a process left that was killed at this point.
    temporary = part.with_name(f"{part.name}.sidecar")
    temporary.unlink(missing_ok=True)
    try:
        write_new(temporary, encode(document))
        if rename_free(temporary, path):
            return True
        if _read_sidecar(path).get("job_id") != document["job_id"]:
            return False
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _whole(path: Path, job_id: str, digest: str | None = None) -> bool:
    """Whether a file is that of a job, and as its sidecar says."""
    document = _read_sidecar(sidecar_of(path))
    known = document.get("sha256")
    if document.get("job_id") != job_id or not isinstance(known, str) or known != (digest or known):
        return False
    with contextlib.suppress(OSError), _open(path) as file:
        same_size = os.fstat(file.fileno()).st_size == document.get("bytes")
        return same_size and hashlib.file_digest(file, "sha256").hexdigest() == known
    return False


def _read_sidecar(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError), _open(path) as file:
        return decode(file.read(_LONGEST_SIDECAR))
    return {}


def _open(path: Path) -> BufferedReader:
    """Open a regular file that is no link; raises `OSError`."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise FileNotFoundError(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

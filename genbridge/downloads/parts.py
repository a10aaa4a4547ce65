"""A file that is still arriving: hidden, locked, and taken up again when it is known what it is a part of."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any

import attrs

from genbridge.errors import DownloadError
from genbridge.formats import HEAD, ends_early

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o644
_MUCH = 1024 * 1024
"""From how many bytes on another thread is worth its while."""
_STRETCH = 8 * 1024 * 1024
"""How many bytes are left to the system's own time at most, about, before it is told to bring them to the disk."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def disk_error(error: OSError, path: Path) -> DownloadError:
    """Return what an operating system's refusal means, and what to do."""
    reason = error.strerror or type(error).__name__
    if error.errno in _NO_ROOM:
        return DownloadError(f"there is no room for it in {str(path)!r} ({reason}); make some and run it again")
    return DownloadError(f"it cannot be written to {str(path)!r} ({reason}); choose another directory, or change that one")


def write_back(file: io.FileIO, start: int, length: int) -> None:
    """Have the system begin to bring bytes of a file to the disk, where it takes such a hint, and do not wait for that."""
    # Linux starts with what is dirty, and drops only what is clean. Unlike fdatasync this takes no error away from the last fsync.
    with contextlib.suppress(OSError, AttributeError):
        os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_DONTNEED)


@attrs.frozen(kw_only=True)
class Origin:
    """Which version of a remote file a part is of: `validator` is for `If-Range`, `total` its bytes, each `None` when not known."""

    validator: str | None
    total: int | None


@attrs.define(eq=False)
class Part:
    """An open, locked file with the bytes that have arrived.

    Its methods block, may be called from any thread, and raise `DownloadError` when the disk refuses. `size` is the number of
    bytes and `head` the first of them. When it is closed it is kept for a later resume, unless `keep` was set to `False` or nobody
    could say what it is a part of.
    """

    path: Path
    _file: io.FileIO
    size: int = 0
    head: bytes = b""
    origin: Origin | None = None
    keep: bool = True
    _write_back: Callable[[io.FileIO, int, int], None] = write_back
    _under_way: int = attrs.field(default=0, init=False, repr=False)
    """How many bytes the system was told to bring to the disk."""
    _digest: Any = attrs.field(factory=hashlib.sha256, repr=False)
    _busy: Lock = attrs.field(factory=Lock, repr=False)
    _digester: ThreadPoolExecutor = attrs.field(factory=lambda: ThreadPoolExecutor(1, "genbridge-digest"), repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hex."""
        return str(self._digest.hexdigest())

    @property
    def complete(self) -> bool:
        """Whether all bytes are there, as far as their number is known."""
        return self.origin is not None and self.origin.total == self.size

    def recover(self) -> None:
        """Take up what an earlier try left, if it is known what of; else start empty."""
        with self._work():
            origin = _read_origin(self._record)
            length = os.fstat(self._file.fileno()).st_size
            if origin is None or (origin.total is not None and length > origin.total):
                self._empty()
            else:
                self._take_up(origin)

    def start(self, origin: Origin) -> None:
        """Begin with the first byte of a version."""
        with self._work():
            self._empty()
            self.origin = origin
            if origin.validator is not None:
                write_new(self._record, json.dumps(attrs.asdict(origin)).encode())

    def restart(self) -> None:
        """Forget what has arrived."""
        with self._work():
            self._empty()

    def append(self, blocks: Sequence[bytes]) -> None:
        """Write what has arrived, and digest it; where it is much, both at once."""
        with self._work():
            if sum(map(len, blocks)) < _MUCH:
                self._write_all(blocks)
                self._digest_all(blocks)
            else:
                self._write_and_digest(blocks)
            self._hasten()

    def ends_early(self) -> bool:
        """Whether what has arrived says of itself that there is more."""
        with self._work():
            early = ends_early(self._file)
            self._file.seek(0, os.SEEK_END)
        return early

    def finish(self, publish: Callable[[], Path]) -> Path:
        """Wait until the bytes are on the disk, and give the file its own name by `publish`; return that."""
        with self._work():
            os.fsync(self._file.fileno())
            if not _same(self.path, self._file):
                raise DownloadError(f"{str(self.path.parent)!r} was moved or replaced while it was written; run it again")
            path = publish()
            self._record.unlink(missing_ok=True)
            self.keep = False
        return path

    def close(self) -> None:
        """Close it, and remove it when it is of no use to a later try."""
        with self._busy:
            resumable = self.keep and self.size and self.origin is not None and self.origin.validator is not None
            if not resumable and _same(self.path, self._file):
                self.path.unlink(missing_ok=True)
                self._record.unlink(missing_ok=True)
            self._file.close()
            self._digester.shutdown()

    @property
    def _record(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @contextlib.contextmanager
    def _work(self) -> Generator[None, None, None]:
        with self._busy:
            self._file.fileno()  # raises once it is closed, before a thread that comes late changes anything
            try:
                yield
            except OSError as error:
                self.keep = self.keep and error.errno not in _NO_ROOM
                raise disk_error(error, self.path.parent) from None

    def _empty(self) -> None:
        # The record goes first: bytes that nobody knows the origin of are thrown away, the other way round they would be trusted.
        self._record.unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()
        self.size, self.head, self.origin, self._digest, self._under_way = 0, b"", None, hashlib.sha256(), 0

    def _take_up(self, origin: Origin) -> None:
        self._file.seek(0)
        self.origin = origin
        while block := self._file.read(1 << 20):
            self._count(memoryview(block))
            self._digest.update(block)
        self._under_way = self.size

    def _hasten(self) -> None:
        # So that the disk works while the rest arrives, and little is left to wait for when all is there.
        if self.size - self._under_way >= _STRETCH:
            self._write_back(self._file, self._under_way, self.size - self._under_way)
            self._under_way = self.size

    def _write_and_digest(self, blocks: Sequence[bytes]) -> None:
        # Where writing fails the digest is of more than was written, and of no further use: who goes on reads the part anew.
        digesting = self._digester.submit(self._digest_all, blocks)
        self._write_all(blocks)
        digesting.result()

    def _digest_all(self, blocks: Sequence[bytes]) -> None:
        for block in blocks:
            self._digest.update(block)

    def _write_all(self, blocks: Sequence[bytes]) -> None:
        for block in blocks:
            self._write(block)

    def _write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            written = self._file.write(rest)
            self._count(rest[:written])
            rest = rest[written:]

    def _count(self, block: memoryview) -> None:
        self.size += len(block)
        if len(self.head) < HEAD:
            self.head += bytes(block[: HEAD - len(self.head)])


def open_part(directory: Path, name: str) -> Part:
    """Open the part of a file, or, when somebody else is at work on it, a part with a name of its own.

    Raises `DownloadError` when the directory does not take it.
    """
    path = directory / f".{name}.part"
    try:
        file = _locked(path)
        if file is None:
            path = directory / f".{name}.{token_hex(4)}.part"
            file = _new(path)
    except OSError as error:
        raise disk_error(error, directory) from None
    return Part(path, file)


def remove_part(directory: Path, name: str) -> None:
    """Remove what a process left that was killed after it had given a file its name; what somebody is at work on stays."""
    path, record = directory / f".{name}.part", directory / f".{name}.part.json"
    with contextlib.suppress(OSError):
        if not os.path.lexists(path):
            record.unlink(missing_ok=True)
        elif (file := _locked(path)) is not None:
            with file:
                path.unlink()
                record.unlink(missing_ok=True)


def _locked(path: Path) -> io.FileIO | None:
    """Open a part and lock it; `None` when somebody else has it."""
    file = _opened(path)
    # Between opening and locking, its last holder may have given the file its final name.
    if _lock(file) and _same(path, file):
        return file
    file.close()
    return None


def _opened(path: Path) -> io.FileIO:
    if not path.is_symlink():
        file = io.FileIO(os.open(path, _FLAGS, _MODE), "r+")
        if _own(os.fstat(file.fileno())):
            return file
        file.close()
    path.unlink(missing_ok=True)
    return _new(path)


def _new(path: Path) -> io.FileIO:
    return io.FileIO(os.open(path, _FLAGS | os.O_EXCL, _MODE), "r+")


def _own(status: os.stat_result) -> bool:
    # A hard link that somebody put there would have us write into another file.
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()


def _lock(file: io.FileIO | int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have no locks; then nobody holds one.
        return True
    return True


def _same(path: Path, file: io.FileIO) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(file.fileno()))
    return False


def _read_origin(path: Path) -> Origin | None:
    try:
        document = json.loads(path.read_bytes())
        validator, total = document["validator"], document["total"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if isinstance(validator, str) and validator and (total is None or isinstance(total, int)):
        return Origin(validator=validator, total=total)
    return None


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, through to the disk; raises `OSError`."""
    with os.fdopen(os.open(path, _FLAGS | os.O_EXCL, _MODE), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

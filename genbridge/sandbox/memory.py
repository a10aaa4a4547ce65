"""What a sandbox remembers from one process to the next: a file that several processes may use at once.

A process holds the file's lock while it answers a call: it reads what another has written since, answers, and writes. Windows has
no such lock: there, of two calls answered at the same moment the one may be forgotten.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
from cattrs.preconf.json import make_converter

from genbridge.sandbox.tempo import Tempo
from genbridge.wire import Emulator

if sys.platform != "win32":  # pragma: no branch
    import fcntl

_log = logging.getLogger(__name__)

_VERSION = 1


@attrs.frozen(kw_only=True)
class Record:
    """What is in the file; each emulator's state is JSON text."""

    tempo: Tempo
    ports: dict[str, int] = attrs.field(factory=dict)
    emulators: dict[str, str] = attrs.field(factory=dict, repr=False)


class Memory:
    """The file at `path`. What goes wrong with it is logged, never raised: a sandbox without memory is one still."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._converter = make_converter()
        self._seen: tuple[int, ...] | None = None
        self._complained: set[str] = set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out."""
        lock = self._open_lock()
        if lock is None:
            yield
            return
        try:
            if sys.platform != "win32":  # pragma: no branch
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open_lock(self) -> int | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._complain("lock", "the sandbox's state is not kept: %s", error)
            return None

    def read(self) -> Record | None:
        """Return what is in the file when it is another than was last read or written here."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return self._record(json.loads(self._path.read_bytes()))
        except Exception as error:  # noqa: BLE001 - whatever a file can hold
            _log.warning("the sandbox's state in %s cannot be read (%s); it starts afresh", self._path, type(error).__name__)
            return None

    def _record(self, document: Any) -> Record:
        if document["version"] != _VERSION:
            raise ValueError("another version")
        emulators = {str(name): json.dumps(state) for name, state in document["emulators"].items()}
        tempo, ports = (
            self._converter.structure(document["tempo"], Tempo),
            self._converter.structure(document["ports"], dict[str, int]),
        )
        return Record(tempo=tempo, ports=ports, emulators=emulators)

    def write(self, record: Record) -> None:
        """Put a record in the file's place, whole or not at all, readable by its owner only."""
        head = json.dumps({"version": _VERSION, "tempo": self._converter.unstructure(record.tempo), "ports": record.ports})
        states = ", ".join(f"{json.dumps(name)}: {state}" for name, state in record.emulators.items())
        try:
            self._replace(f'{head[:-1]}, "emulators": {{{states}}}}}\n')
        except OSError as error:
            self._complain("write", "the sandbox's state is not kept: %s", error)

    def _replace(self, text: str) -> None:
        handle, name = tempfile.mkstemp(prefix=self._path.name, suffix=".part", dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, self._path)  # noqa: PTH105 - the name is a string
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108 - as above
            raise
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def state_of(self, name: str, emulator: Emulator) -> str | None:
        """Return an emulator's state as JSON text; `None` for one that is not an attrs class of plain values."""
        if not attrs.has(type(emulator)):
            return None
        try:
            return json.dumps(self._converter.unstructure(emulator))
        except Exception as error:  # noqa: BLE001 - whatever a class can hold
            self._complain(name, "the sandbox cannot keep the state of %r (%s)", name, type(error).__name__)
            return None

    def restored(self, name: str, emulator: Emulator, state: str) -> Emulator:
        """Return an emulator of the same class with a state; the emulator itself where the state is not one of its class."""
        if not attrs.has(type(emulator)):
            return emulator
        try:
            return self._converter.structure(json.loads(state), type(emulator))
        except Exception as error:  # noqa: BLE001 - whatever a file can hold
            self._complain(name, "the sandbox's state of %r in %s is not usable (%s); it starts afresh", name, self._path, error)
            return emulator

    def _complain(self, about: str, message: str, *arguments: object) -> None:
        """Log a warning, once for each thing."""
        if about not in self._complained:
            self._complained.add(about)
            _log.warning(message, *arguments)

"""Who drives jobs, and whether it still lives.

A driver says every few seconds that it is alive. Of one on this machine it is known at once when its process has gone, and its
signs of life are compared by a clock that cannot jump; only another machine's are compared by the wall clock.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import attrs

from genbridge.journal import DEAD_AFTER

FORGET_AFTER = 86400.0
"""Seconds without a sign of life after which a driver is forgotten, unless it lives all the same."""
_PROC = Path("/proc")


@attrs.frozen(kw_only=True)
class Owner:
    """A driver, as a job's row names it.

    `machine` is the boot of a machine, `scope` where on it the number of the process means anything (a container has its own),
    and `start` tells the process from a later one of the same number.
    """

    machine: str
    scope: str
    pid: int
    start: str
    token: str

    def __str__(self) -> str:
        return ":".join((self.machine, self.scope, str(self.pid), self.start, self.token))

    @classmethod
    def me(cls) -> Owner:
        """Return this process's, new with each call."""
        pid = os.getpid()
        return cls(machine=_machine(), scope=_scope(), pid=pid, start=_start(pid), token=uuid4().hex[:12])

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """Return what a row says; `None` for one that an earlier release wrote."""
        parts = text.split(":")
        if len(parts) != 5 or not parts[2].isdecimal():
            return None
        return cls(machine=parts[0], scope=parts[1], pid=int(parts[2]), start=parts[3], token=parts[4])

    def gone(self, me: Owner) -> bool:
        """Whether its process is known to have ended."""
        if (self.machine, self.scope) != (me.machine, me.scope):
            return False
        return not _runs(self.pid) or self.start != _start(self.pid)


class FileDrivers:
    """The signs of life in a journal. `now` tells the wall-clock time and `monotonic` the time since the machine was started."""

    def __init__(self, now: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._monotonic = monotonic
        self._me = Owner.me()
        self.name = str(self._me)

    def beat(self, db: sqlite3.Connection) -> None:
        """Record that this process is alive."""
        now = self._now()
        db.execute("insert or replace into drivers (owner, beat, tick) values (?, ?, ?)", (self.name, now, self._monotonic()))
        # A clock that is set forward makes the living look old too.
        old = db.execute("select owner from drivers where beat < ?", (now - FORGET_AFTER,)).fetchall()
        db.executemany("delete from drivers where owner = ?", [(name,) for (name,) in old if self.free(db, name)])

    def leave(self, db: sqlite3.Connection) -> None:
        """Record that this process drives nothing any more."""
        db.execute("delete from drivers where owner = ?", (self.name,))

    def free(self, db: sqlite3.Connection, owner: str | None) -> bool:
        """Whether this process may take a job of that owner's."""
        return owner in {None, self.name} or not self._alive(db, str(owner))

    def _alive(self, db: sqlite3.Connection, name: str) -> bool:
        row = db.execute("select beat, tick from drivers where owner = ?", (name,)).fetchone()
        if row is None:
            return False
        owner = Owner.read(name)
        # A sign of life from the future is one from before a clock was set back.
        recent = bool(abs(self._now() - row["beat"]) <= DEAD_AFTER)
        if owner is None:
            return recent and not _legacy_gone(name)
        if owner.machine != self._me.machine:
            return recent
        return not owner.gone(self._me) and bool(0 <= self._monotonic() - row["tick"] <= DEAD_AFTER)


def _legacy_gone(name: str) -> bool:
    """Whether a driver of release 0.1.0 (`host:pid:token`) is known to have ended."""
    host, _, rest = name.rpartition(":")[0].rpartition(":")
    return host == socket.gethostname() and not (rest.isdecimal() and _runs(int(rest)))


def _machine() -> str:
    with suppress(OSError):
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname().replace(":", "-")


def _scope() -> str:
    with suppress(OSError):
        return str((_PROC / "self/ns/pid").stat().st_ino)
    return ""


def _start(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was; empty where that cannot be told.

    It is the 22nd field of proc(5)'s `stat`; the second may hold spaces and ends with the last parenthesis.
    """
    with suppress(OSError):
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

"""A terminal, and the clock of whoever looks at it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import attrs

NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that says it is a terminal; what it is made of is what was typed."""

    def isatty(self) -> bool:
        return True


@attrs.define
class Watch:
    """A wall clock that a test sets."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def after(self, seconds: float) -> None:
        self.time = NOON + timedelta(seconds=seconds)

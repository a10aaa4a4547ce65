"""Points in time, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


def age(time: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    return span((now - time).total_seconds())


def span(seconds: float) -> str:
    """Return how long something takes or took, in its largest unit."""
    seconds = max(0, int(seconds))
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    return next((f"{seconds // length}{name}" for length, name in units if seconds >= length), f"{seconds}s")

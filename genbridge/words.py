"""Words for messages."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a word close to a known one, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 (loaded when something is wrong)

    close = get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(values: Iterable[object]) -> str:
    """Return values as a list in words."""
    return ", ".join(str(value) for value in values)


def span(low: float, high: float) -> str:
    """Write a span of seconds as `80-110 s` or `3-5 min`, as exactly as such a time is of use."""
    unit, word = (60.0, "min") if high >= 180 else (1.0, "s")
    low, high = low / unit, high / unit
    step = 1 if high < 20 else 5
    least, most = int(low // step) * step, -int(-high // step) * step
    return f"{least}-{most} {word}" if least else f"up to {most} {word}"


def number(amount: float) -> str:
    """Write an amount with all its digits, and without what adding up floats leaves behind."""
    return f"{round(amount, 6):.15g}"

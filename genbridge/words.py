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


def number(amount: float) -> str:
    """Write an amount with all its digits, and without what adding up floats leaves behind."""
    return f"{round(amount, 6):.15g}"

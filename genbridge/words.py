"""Words for messages."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a word close to a known one, else nothing."""
    return asked(close_to(word, known, most=1))


def close_to(word: object, known: Iterable[str], *, most: int) -> list[str]:
    """Return the known words that are close to a word, the closest first."""
    from difflib import get_close_matches  # noqa: PLC0415 (loaded when something is wrong)

    return get_close_matches(str(word), list(known), n=most)


def asked(words: Iterable[str]) -> str:
    """Return `; did you mean 'x', 'y' or 'z'?`, or nothing where there is no such word."""
    quoted = [repr(word) for word in words]
    choice = filter(None, [listed(quoted[:-1]), *quoted[-1:]])
    return f"; did you mean {' or '.join(choice)}?" if quoted else ""


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

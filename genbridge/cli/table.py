"""Tables on stdout: fitted to a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from genbridge.cli.console import clean, is_dynamic, say
from genbridge.types import Cost

_PROMPT = 48
"""How many characters of a prompt a table shows."""


def short(prompt: str, most: int = _PROMPT) -> str:
    """Return the beginning of a prompt, in one line of so many characters."""
    text = " ".join(prompt.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def short_cost(cost: Cost | None) -> str:
    """Return a cost for a cell; an estimate is marked."""
    return "?" if cost is None else str(cost).replace("about ", "~").replace("unknown cost", "?")


def print_table(
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    *,
    cut: str | None = None,
    wrap: Sequence[str] = (),
    spare: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> None:
    """Print rows under a header; where a terminal is narrow, the column `cut` is cut and those of `wrap` are wrapped.

    Before that, those of `drop` are left out, and where all of it is not enough, those of `spare`, the first of them first. The
    first column stays whole. Without a header, all but the first column are wrapped.
    """
    rows = [[clean(cell) for cell in row] for row in rows]
    if is_dynamic(sys.stdout):
        from genbridge.cli.fitted import print_fitted  # noqa: PLC0415 (rich takes long to load, and plain lines need none)

        print_fitted(header, rows, cut=cut, wrap=wrap, spare=spare, drop=drop)
    else:
        _print_plain([*([header] if header else []), *rows])


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

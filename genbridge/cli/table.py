"""Tables on stdout: fitted to a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, say, stdout
from genbridge.types import Cost

_GAP = 2
_LEAST = 9
"""The least width of a column that gives way."""
_PROMPT = 48
"""How many characters of a prompt a table shows."""


def short(prompt: str) -> str:
    """Return the beginning of a prompt, in one line."""
    text = " ".join(prompt.split())
    return text if len(text) <= _PROMPT else text[: _PROMPT - 1] + "…"


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
) -> None:
    """Print rows under a header; where a terminal is narrow, the column `cut` is cut and those of `wrap` are wrapped.

    Where that is not enough, those of `spare` are left out, the first of them first. The first column stays whole.
    Without a header, all but the first column are wrapped.
    """
    console = stdout()
    rows = [[clean(cell) for cell in row] for row in rows]
    if not is_dynamic(console):
        _print_plain([*([header] if header else []), *rows])
        return
    names = header or [str(index) for index in range(len(rows[0]))]
    gives: Sequence[str | None] = [cut, *(wrap if header else names[1:])]
    names, rows = _fitting(names, rows, gives, spare, console.width)
    leasts = _leasts(names, rows, gives)
    if sum(leasts) + _GAP * len(names) > console.width:
        gives, leasts = names[1:], [leasts[0], *(1 for _ in names[1:])]
    table = Table(box=None, show_header=header is not None, padding=(0, _GAP, 0, 0), header_style="bold")
    for name, least in zip(names, leasts, strict=True):
        table.add_column(name, no_wrap=name not in gives, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(_cell(text, cut=name == cut) for name, text in zip(names, row, strict=True)))
    console.print(table)


def _fitting(
    names: Sequence[str], rows: Sequence[Sequence[str]], gives: Sequence[str | None], spare: Sequence[str], width: int
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the columns that are shown: without as many of `spare` as a width has no room for."""
    for name in spare:
        if sum(_leasts(names, rows, gives)) + _GAP * len(names) <= width:
            break
        place = names.index(name)
        names, *rows = [[*line[:place], *line[place + 1 :]] for line in (names, *rows)]
    return names, rows


def _leasts(names: Sequence[str], rows: Sequence[Sequence[str]], gives: Sequence[str | None]) -> list[int]:
    """Return the least width of each column: all of it, or for one that gives way enough for its name."""
    widest = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    return [min(full, max(len(name), _LEAST)) if name in gives else full for name, full in zip(names, widest, strict=True)]


def _cell(text: str, *, cut: bool) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis") if cut else Text(text)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

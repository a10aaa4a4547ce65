"""Tables that are fitted to the width of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from genbridge.cli.console import stdout

_GAP = 2
_LEAST = 9
"""The least width of a column that gives way."""


def print_fitted(
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    *,
    cut: str | None,
    wrap: Sequence[str],
    spare: Sequence[str],
    drop: Sequence[str],
) -> None:
    """Print rows under a header, as `print_table` says."""
    console = stdout()
    names = header or [str(index) for index in range(len(rows[0]))]
    gives: Sequence[str | None] = [cut, *(wrap if header else names[1:])]
    names, rows = _fitting(names, rows, (), drop, console.width)
    names, rows = _fitting(names, rows, gives, spare, console.width)
    leasts = _leasts(names, rows, gives)
    if _width(leasts) > console.width:
        gives, leasts = names[1:], [leasts[0], *(1 for _ in names[1:])]
    table = Table(box=None, show_header=header is not None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
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
        if _width(_leasts(names, rows, gives)) <= width:
            break
        place = names.index(name)
        names, *rows = [[*line[:place], *line[place + 1 :]] for line in (names, *rows)]
    return names, rows


def _leasts(names: Sequence[str], rows: Sequence[Sequence[str]], gives: Sequence[str | None]) -> list[int]:
    """Return the least width of each column: all of it, or for one that gives way enough for its name."""
    widest = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    return [min(full, max(len(name), _LEAST)) if name in gives else full for name, full in zip(names, widest, strict=True)]


def _width(columns: Sequence[int]) -> int:
    return sum(columns) + _GAP * (len(columns) - 1)


def _cell(text: str, *, cut: bool) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis") if cut else Text(text)

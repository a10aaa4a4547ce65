"""Tables on stdout: fitted to a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, say, stdout

_GAP = 2
_LEAST = 9
"""The least width of a column that gives way."""


def print_table(
    header: Sequence[str] | None, rows: Sequence[Sequence[str]], *, cut: str | None = None, wrap: Sequence[str] = ()
) -> None:
    """Print rows under a header; where a terminal is narrow, the column `cut` is cut and those of `wrap` are wrapped.

    Without a header, all but the first column are wrapped.
    """
    console = stdout()
    rows = [[clean(cell) for cell in row] for row in rows]
    if not is_dynamic(console):
        _print_plain([*([header] if header else []), *rows])
        return
    names = header or [str(index) for index in range(len(rows[0]))]
    gives = _giving(names, rows, [cut, *(wrap if header else names[1:])], console.width)
    table = Table(box=None, show_header=header is not None, padding=(0, _GAP, 0, 0), header_style="bold")
    for name in names:
        table.add_column(name, no_wrap=name not in gives, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(text, cut=name == cut) for name, text in zip(names, row, strict=True)))
    console.print(table)


def _giving(names: Sequence[str], rows: Sequence[Sequence[str]], gives: Sequence[str | None], width: int) -> Sequence[str | None]:
    """Return the columns that give way: those that shall, or all but the first where that would leave these nothing."""
    columns = zip(names, zip(*rows, strict=True), strict=True)
    fixed = [max(len(name), *map(len, cells)) for name, cells in columns if name not in gives]
    needed = sum(fixed) + _LEAST * (len(names) - len(fixed)) + _GAP * len(names)
    return gives if needed <= width else names[1:]


def _cell(text: str, *, cut: bool) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis") if cut else Text(text)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

"""Tables on stdout: fitted to a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, say, stdout


def print_table(header: Sequence[str] | None, rows: Sequence[Sequence[str]], *, cut: str | None = None) -> None:
    """Print rows under a header; in a terminal the column `cut` gives way where it is narrow, and others wrap."""
    console = stdout()
    rows = [[clean(cell) for cell in row] for row in rows]
    if not is_dynamic(console):
        _print_plain([*([header] if header else []), *rows])
        return
    table = Table(box=None, show_header=header is not None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column((header or rows[0])[0], no_wrap=True, min_width=max(len(row[0]) for row in rows))
    for name in (header or rows[0])[1:]:
        table.add_column(name, no_wrap=name == cut, overflow="ellipsis" if name == cut else "fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

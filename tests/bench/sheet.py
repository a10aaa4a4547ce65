"""What was found as tables, for the terminal and for the page in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contests import CONTESTS, Column, Contest
from records import Records

_BUSY = 0.8
_KEPT = 0.9


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of one table, padded so that they can be read as they are."""
    widths = [max(map(len, cells)) for cells in zip(head, *lines, strict=True)]
    for cells in (head, ["-" * width for width in widths], *lines):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def contest_table(records: Records, contest: Contest) -> Iterator[str]:
    """Yield the lines of one contest's table, and what has to be said of it."""
    head = ["client", *(name for column in contest.columns for name in _heads(column))]
    lines = [[client, *_cells(records, contest, client)] for client in records.of(contest)]
    yield from table(head, lines)
    yield from _remarks(records.of(contest))


def _heads(column: Column) -> list[str]:
    return [column.name, "ratio"] if column.compared else [column.name]


def _cells(records: Records, contest: Contest, client: str) -> Iterator[str]:
    for column in contest.columns:
        values, ratios = records.values(contest, client, column), records.ratios(contest, client, column)
        yield values.text(column.form) if values else ""
        if column.compared:
            yield ratios.text("{:.2f}") if ratios else ""


def _remarks(rounds: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for client, found in rounds.items():
        if any(each.get("server", 0.0) > _BUSY for each in found):
            yield f"\nThe service itself was short of CPU with {client}: it bounds what that reached."


def printed(records: Records) -> Iterator[str]:
    """Yield everything for the terminal."""
    for contest in CONTESTS:
        if records.of(contest):
            yield from ("", contest.title, *contest_table(records, contest))

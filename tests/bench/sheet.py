"""What was found as tables, for the terminal and for the page in the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contests import CONTESTS, Column, Contest
from goals import lines
from records import Records

_BUSY = 0.8

_INTRODUCTION = """\
# Benchmarks

<!-- Written by `nox -s bench -- --json tests/bench/recorded.json --page docs/reference/benchmarks.md`; do not edit. -->

What genbridge costs beside the bare protocol and beside other clients, each at the same job, in one run of `nox -s bench`. A
service on loopback, in a process of its own, answers from bytes made beforehand. Every measurement is a process of its own too, and
the clients take turns, round after round: what counts are the ratios within a round, as the figures themselves are this machine's.
Each is the median, with the least and the most beside it.

genbridge has its durable journal on disk throughout. "aiohttp, one heap" is the cheapest loop over aiohttp that we know: one heap
of when to ask for which job. Other clients are as they come; as none has a loop for many jobs, each job has a task of its own.

This run was made by genbridge {genbridge} with Python {python} on {system}, {cores} cores{pinned}{quick}.{note}"""

_GOALS = """\
## Goals

What a release is to reach, as a figure of this run."""


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of one table, padded so that it can be read as it is."""
    widths = [max(map(len, cells)) for cells in zip(head, *lines, strict=True)]
    for cells in (head, ["-" * width for width in widths], *lines):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def contest_table(records: Records, contest: Contest) -> Iterator[str]:
    """Yield the lines of one contest's table, and what has to be said of it."""
    head = ["client", *(name for column in contest.columns for name in _heads(column))]
    clients = [client.name for client in contest.clients if client.name in records.of(contest)]
    yield from table(head, [[_named(records, contest, client), *_cells(records, contest, client)] for client in clients])
    yield from _remarks(records, contest)


def _heads(column: Column) -> list[str]:
    return [column.name, "ratio"] if column.compared else [column.name]


def _named(records: Records, contest: Contest, client: str) -> str:
    """Return a client's name with its version, where it is another's."""
    (package,) = [each.package for each in contest.clients if each.name == client]
    version = records.of(contest)[client][0].get("version", "")
    return f"{client} {version}" if package and version else client


def _cells(records: Records, contest: Contest, client: str) -> Iterator[str]:
    for column in contest.columns:
        values = records.values(contest, client, column)
        yield values.text(column.form) if values else ""
        if column.compared:
            ratios = records.ratios(contest, client, column, contest.base.name)
            yield ratios.text("{:.2f}") if ratios else ""


def _remarks(records: Records, contest: Contest) -> Iterator[str]:
    for client, found in records.of(contest).items():
        if reason := records.failure(contest, client):
            yield f"\n{client} could not do this: `{reason}`"
        if any(each.get("server", 0.0) > _BUSY for each in found):
            yield f"\nThe service itself was short of CPU with {client}: it bounds what that reached."


def goal_table(records: Records) -> Iterator[str]:
    """Yield the lines of the table of goals."""
    yield from table(["goal", "figure", "limit", "this run", ""], list(lines(records)))


def page(records: Records) -> str:
    """Return the page."""
    about: Mapping[str, Any] = records.about
    words = {
        "quick": ", in the short form" if about["quick"] else "",
        "pinned": ", one of them the service's alone" if about["pinned"] else "",
        "note": f" {about['note']}" if about["note"] else "",
    }
    blocks = [_INTRODUCTION.format(**{**about, **words}), _GOALS, "\n".join(goal_table(records))]
    for contest in CONTESTS:
        if records.of(contest):
            blocks += [f"## {contest.title}", *filter(None, [contest.words]), "\n".join(contest_table(records, contest))]
    return "\n\n".join(blocks) + "\n"


def write(path: Path, records: Records) -> None:
    """Write the page."""
    path.write_text(page(records), encoding="utf-8")

"""What genbridge is to reach, each as a figure of the records and the most or least that it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import attrs
from contests import (
    AS_LEARNED,
    BURST,
    BYTES,
    COMMANDS,
    CURL,
    DONE,
    DURABLE,
    EMPTY,
    FILES,
    FRESH,
    GROWN,
    HEAP,
    HUNDRED_THOUSAND,
    IMPORTS,
    JOURNAL,
    LEARNED,
    LOOKS,
    MEMORY,
    MILLION,
    MILLISECONDS,
    OURS,
    P99,
    PEERS,
    POLL,
    PRODUCT,
    SHELL,
    STARTS,
    SUBMIT,
    SUBMITS,
    TEN_THOUSAND,
    THOUSAND,
    Client,
    Column,
    Contest,
)
from records import Records

BOUND = 0.51
"""What polls × latency can be at best, of a fixed interval's, where the durations' spread is that of the contest (σ = 0.3)."""

Figure = Callable[[Records], float | None]


@attrs.frozen(kw_only=True)
class Goal:
    """One goal; with `least`, the figure may not be less than the limit, else not more."""

    number: str
    words: str
    figure: Figure
    limit: float
    least: bool = False
    form: str = "{:,.2f}"

    def reached(self, records: Records) -> bool | None:
        """Whether it was reached; `None` where it was not measured."""
        figure = self.figure(records)
        if figure is None:
            return None
        return figure >= self.limit if self.least else figure <= self.limit

    def cells(self, records: Records) -> list[str]:
        """Return what the table says."""
        figure, reached = self.figure(records), self.reached(records)
        word = {True: "reached", False: "not reached", None: "not measured"}[reached]
        shown = "" if figure is None else self.form.format(figure)
        return [self.number, self.words, f"{'≥' if self.least else '≤'} {self.form.format(self.limit)}", shown, word]


def value(contest: Contest, client: Client, column: Column, records: Records) -> float | None:
    """Return the median of a client's figure."""
    found = records.values(contest, client.name, column)
    return found and found.middle


def ratio(contest: Contest, client: Client, column: Column, base: Client, records: Records) -> float | None:
    """Return the median ratio of a client's figure to that of another."""
    found = records.ratios(contest, client.name, column, base.name)
    return found and found.middle


def least(figures: Sequence[Figure], records: Records) -> float | None:
    """Return the least of some figures, of those that were measured."""
    return min((found for figure in figures if (found := figure(records)) is not None), default=None)


def most(figures: Sequence[Figure], records: Records) -> float | None:
    """Return the greatest of some figures, of those that were measured."""
    return max((found for figure in figures if (found := figure(records)) is not None), default=None)


def quotient(one: Figure, other: Figure, records: Records) -> float | None:
    """Return how one figure is to another."""
    over, under = one(records), other(records)
    return None if over is None or not under else over / under


def _peers(contest: Contest, column: Column) -> Figure:
    return partial(least, [partial(ratio, contest, peer, column, HEAP) for peer in PEERS])


_BEST_PEER = partial(most, [partial(value, BURST, peer, DONE) for peer in PEERS])
_GROWTH = partial(quotient, partial(value, HUNDRED_THOUSAND, OURS, POLL), partial(value, THOUSAND, OURS, POLL))

GOALS = (
    Goal(number="1", words="CPU a poll, 1,000 jobs, to one heap", figure=partial(ratio, THOUSAND, OURS, POLL, HEAP), limit=1.3),
    Goal(number="1", words="the same, 10,000 jobs", figure=partial(ratio, TEN_THOUSAND, OURS, POLL, HEAP), limit=1.3),
    Goal(number="1", words="the cheapest other client, 1,000 jobs", figure=_peers(THOUSAND, POLL), limit=4, least=True),
    Goal(number="1", words="the same, 10,000 jobs", figure=_peers(TEN_THOUSAND, POLL), limit=4, least=True),
    Goal(number="2", words="CPU a submit, to a bare POST", figure=partial(ratio, SUBMITS, OURS, SUBMIT, HEAP), limit=2.5),
    Goal(
        number="2",
        words="the same, to one on a connection of its own",
        figure=partial(ratio, SUBMITS, OURS, SUBMIT, FRESH),
        limit=2.5,
    ),
    Goal(number="2", words="the cheapest other client, without a record", figure=_peers(SUBMITS, SUBMIT), limit=5, least=True),
    Goal(number="3", words="KiB a waiting job", figure=partial(value, MEMORY, OURS, BYTES), limit=2),
    Goal(number="3", words="event loop late with 10,000 jobs, p99, ms", figure=partial(value, TEN_THOUSAND, OURS, P99), limit=10),
    Goal(number="3", words="CPU a poll with 100,000 jobs, to that with 1,000", figure=_GROWTH, limit=1.1),
    Goal(
        number="4",
        words="jobs a second, done at first poll, to the bare loop",
        figure=partial(ratio, BURST, OURS, DONE, HEAP),
        limit=0.6,
        least=True,
    ),
    Goal(
        number="4",
        words="the same, to one with a connection a POST",
        figure=partial(ratio, BURST, OURS, DONE, FRESH),
        limit=0.6,
        least=True,
    ),
    Goal(
        number="4",
        words="jobs a second, done at first poll, to the fastest other client",
        figure=partial(quotient, partial(value, BURST, OURS, DONE), _BEST_PEER),
        limit=3,
        least=True,
    ),
    Goal(
        number="5",
        words="polls × latency after 20 jobs, to the bound",
        figure=partial(quotient, partial(value, LEARNED, AS_LEARNED, PRODUCT), lambda records: BOUND),
        limit=1.15,
    ),
    Goal(
        number="6",
        words="CPU of import genbridge, to that of import asyncio",
        figure=partial(ratio, STARTS, IMPORTS[1], MILLISECONDS, IMPORTS[0]),
        limit=2,
    ),
    *(
        Goal(
            number="6",
            words=f"{command.name}, ms",
            figure=partial(value, SHELL, command, SHELL.columns[0]),
            limit=250,
            form="{:,.0f}",
        )
        for command in COMMANDS
    ),
    *(
        Goal(
            number="7",
            words=f"{column.name.removesuffix(', ms')} with a million jobs on record",
            figure=partial(ratio, JOURNAL, MILLION, column, EMPTY),
            limit=2,
        )
        for column in LOOKS
    ),
    Goal(
        number="files",
        words="seconds for a gigabyte, to curl",
        figure=partial(ratio, FILES, OURS, FILES.columns[0], CURL),
        limit=1.5,
    ),
    Goal(
        number="files",
        words="the same, to curl with a digest and fsync",
        figure=partial(ratio, FILES, OURS, FILES.columns[0], DURABLE),
        limit=1.5,
    ),
    Goal(number="files", words="MiB of memory more", figure=partial(value, FILES, OURS, GROWN), limit=32, form="{:,.0f}"),
    Goal(number="files", words="event loop late meanwhile, p99, ms", figure=partial(value, FILES, OURS, P99), limit=10),
)


def lines(records: Records) -> Iterator[list[str]]:
    """Yield the cells of the goals."""
    for goal in GOALS:
        yield goal.cells(records)

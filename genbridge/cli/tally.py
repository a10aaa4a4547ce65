"""How a batch comes along: the number of jobs in each state, what is spent so far, and how long it may still take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, remark, stderr, unechoed
from genbridge.cli.money import Total, totals
from genbridge.cli.progress import Now, clock
from genbridge.cli.times import utc_now
from genbridge.types import Cost, JobStatus, Snapshot

_REDRAWS = 4
"""How often a second a terminal is redrawn."""
_EVERY = timedelta(seconds=10)
"""How often a summary is printed at most, where nothing is redrawn."""
_SAMPLE = 5
"""How many jobs must have ended before it is said how long the others may take."""
_BAR = 32
_WAITING = "waiting"
_REFUSED = "refused"
_STYLES = {
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    _REFUSED: "red",
    JobStatus.CANCELLED: "red",
    JobStatus.EXPIRED: "red",
    JobStatus.UNKNOWN: "yellow",
    JobStatus.RUNNING: "cyan",
    JobStatus.QUEUED: "cyan",
    JobStatus.SUBMITTING: "cyan",
    _WAITING: "dim",
}
"""The states in the order in which they are shown; a job that is not sent yet waits."""


@attrs.define(kw_only=True)
class Part:
    """What is known of one job of a batch; times are the wall clock's."""

    label: str
    backend: str
    quote: Cost | None = None
    status: JobStatus = JobStatus.PENDING
    cost: Cost | None = None
    note: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    refused: bool = False
    """Whether it failed before anything was started, so that nothing was paid."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status.terminal or self.status is JobStatus.UNKNOWN

    @property
    def state(self) -> str:
        """Where it stands, in a word; a job that is not sent yet waits."""
        if self.refused:
            return _REFUSED
        return _WAITING if self.status is JobStatus.PENDING else self.status.value

    def observe(self, snapshot: Snapshot, now: datetime) -> None:
        """Take over a newer observation."""
        self.status, self.note = snapshot.status, snapshot.note
        self.cost = snapshot.cost or self.cost
        if self.status is not JobStatus.PENDING:
            self.since = self.since or now
        if self.over:
            self.until = self.until or now

    def ending(self) -> str:
        """Return how it ended, in words."""
        if not self.status.terminal:
            return f"{self.status}; it may have been accepted"
        took = f" after {clock((self.until - self.since).total_seconds())}" if self.until and self.since else ""
        cost = self.cost or (self.quote if self.status is JobStatus.SUCCEEDED else None)
        return f"{self.status}{took}" + (f", {cost}" if cost and cost.amount is not None else "")


@attrs.define(kw_only=True)
class Tally:
    """What is known of a batch, by the places of its jobs."""

    name: str
    parts: list[Part]
    now: Now = utc_now
    since: datetime = attrs.field(init=False)
    _before: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.since, self._before = self.now(), self.over

    @property
    def over(self) -> int:
        """How many jobs have ended, or are in doubt."""
        return sum(part.over for part in self.parts)

    def observe(self, index: int, snapshot: Snapshot) -> None:
        """Take over what is seen of a job."""
        self.parts[index].observe(snapshot, self.now())

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state; states without any are left out."""
        found = Counter(part.state for part in self.parts)
        return {state: found[state] for state in _STYLES if found[state]}

    def notes(self) -> dict[str, str]:
        """Return for each backend what a job that is not sent yet waits for."""
        return {part.backend: part.note for part in self.parts if part.note and part.status is JobStatus.PENDING}

    def spent(self) -> list[Total]:
        """Return what jobs that have ended cost, for each backend."""
        ended = ((part, part.cost or (part.quote if part.status is JobStatus.SUCCEEDED else None)) for part in self.parts)
        return _some((part.backend, cost) for part, cost in ended if part.status.terminal and cost)

    def reserved(self) -> list[Total]:
        """Return what the others that were sent will cost, for each backend."""
        sent = (part for part in self.parts if not part.status.terminal and part.status is not JobStatus.PENDING)
        return _some((part.backend, cost) for part in sent if (cost := part.cost or part.quote))

    def money(self) -> str:
        """Return what is spent and reserved in words; nothing is said of nothing."""
        return "; ".join(f"{word} {sums}" for word, sums in self.sums().items())

    def sums(self) -> dict[str, str]:
        """Return what is spent and what is reserved, each in words where there is any."""
        found = {"spent": self.spent(), "reserved": self.reserved()}
        return {word: ", ".join(map(str, sums)) for word, sums in found.items() if sums}

    def left(self) -> float | None:
        """Return for how many seconds it may still go on, at the pace so far; `None` while that cannot be said."""
        here = self.over - self._before
        rest = len(self.parts) - self.over
        if here < _SAMPLE or not rest:
            return None
        return self.elapsed() / here * rest

    def elapsed(self) -> float:
        """Return for how many seconds it has gone on."""
        return (self.now() - self.since).total_seconds()

    def time(self) -> str:
        """Return the time that has passed and that is left, in words."""
        left = self.left()
        return clock(self.elapsed()) + (f", about {clock(left)} left" if left is not None and left >= 1 else "")

    def line(self) -> str:
        """Return all of it in a line."""
        states = ", ".join(f"{count} {state}" for state, count in self.counts().items())
        return "; ".join(filter(None, [f"{self.over} of {len(self.parts)} done: {states}", self.money(), self.time()]))


def _some(costs: Iterable[tuple[str, Cost]]) -> list[Total]:
    return [total for total in totals(costs) if total.amount > 0 or total.unpriced > 0]


class Board(Protocol):
    """Shows a tally."""

    def observe(self, index: int, snapshot: Snapshot) -> None:
        """Show what is seen of a job."""
        ...


@attrs.define
class PlainBoard:
    """Prints a line for each job that has ended, and now and then one for all; for logs and pipes."""

    tally: Tally
    print: Callable[[str], None] = remark
    _told: datetime = attrs.field(init=False)

    @_told.default
    def _start(self) -> datetime:
        return self.tally.since

    def observe(self, index: int, snapshot: Snapshot) -> None:
        """Show what is seen of a job."""
        part = self.tally.parts[index]
        was_over = part.over
        self.tally.observe(index, snapshot)
        if part.over and not was_over:
            self.print(f"{part.label}: {part.ending()}")
        if self.tally.now() - self._told >= _EVERY:
            self._told = self.tally.now()
            self.print(self.tally.line())


@attrs.define
class LiveBoard:
    """Draws a bar with the tally below it, over and over."""

    tally: Tally
    console: Console

    def observe(self, index: int, snapshot: Snapshot) -> None:
        """Show what is seen of a job."""
        self.tally.observe(index, snapshot)

    def __rich__(self) -> RenderableType:
        """Draw everything as it is now."""
        money = [_indented(f"{word} {sums}") for word, sums in self.tally.sums().items()]
        notes = [_indented(f"{backend}: {note}", style="dim") for backend, note in self.tally.notes().items()]
        return Group(self._bar(), self._states(), *money, *notes)

    def _bar(self) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(4):
            table.add_column(no_wrap=True)
        width = min(_BAR, max(8, self.console.width - 50))
        size = len(self.tally.parts)
        bar = ProgressBar(total=size, completed=self.tally.over, width=width)
        name = Text(clean(self.tally.name), style="bold", overflow="ellipsis")
        table.add_row(name, bar, f"{self.tally.over} of {size}", self.tally.time())
        return table

    def _states(self) -> RenderableType:
        states = (Text(f"{count} {state}", style=_STYLES[state]) for state, count in self.tally.counts().items())
        return Padding(Text("  ").join(states), (0, 0, 0, 2))


def _indented(text: str, *, style: str = "") -> RenderableType:
    return Padding(Text(clean(text), style=style), (0, 0, 0, 2))


def _nothing(_text: str) -> None:
    """Print nothing."""


@contextmanager
def board(tally: Tally, *, quiet: bool = False) -> Iterator[Board]:
    """Show a tally on stderr while the block runs; `quiet` shows it only where it can be redrawn."""
    console = stderr()
    if not is_dynamic(console.file):
        yield PlainBoard(tally, print=_nothing if quiet else remark)
        return
    live = LiveBoard(tally, console)
    with unechoed(), Live(get_renderable=live.__rich__, console=console, refresh_per_second=_REDRAWS):
        yield live

"""One line for each job while it is under way: redrawn in a terminal, printed once a change elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, remark, speaks_unicode, stderr, unechoed
from genbridge.cli.table import short
from genbridge.cli.times import utc_now
from genbridge.durations import Usual
from genbridge.types import AssetRole, Cost, Job, JobStatus, Request, Snapshot
from genbridge.words import span

if TYPE_CHECKING:
    from genbridge.downloads import Progress

Now = Callable[[], datetime]

_REDRAWS = 8
"""How often a second a terminal is redrawn."""
_BAR = 24
_BEGINNING, _END = slice(8), slice(-8, None)
"""What a line shows of an id."""
_PROMPT = 24
"""How many characters of a prompt a line shows."""
_VAIN = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})


def clock(seconds: float) -> str:
    """Write a time span as `1:02` or `1:02:03`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Write a number of bytes in kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def label(request: Request, model: str | None, backend: str | None) -> str:
    """Return what a line calls a job."""
    return f"{request.media} {model or ''}".rstrip() + (f" on {backend}" if backend else "")


def job_label(job: Job) -> str:
    """Return what a line calls a job that is on record."""
    return label(job.request, job.model, job.backend)


def tags(jobs: Sequence[Job]) -> list[str]:
    """Return what begins the line of each of several jobs, so that they can be told apart where it is cut; of one, nothing."""
    if len(jobs) < 2:
        return ["" for _ in jobs]
    begins, ends = (Counter(job.id[part] for job in jobs) for part in (_BEGINNING, _END))
    return [f"{_short_id(job.id, begins, ends)} {short(job.request.prompt, _PROMPT)}, " for job in jobs]


def _short_id(job_id: str, begins: Counter[str], ends: Counter[str]) -> str:
    """Return the beginning of an id, or its end where others begin the same, as ids of one's own may, or else all of it."""
    if begins[job_id[_BEGINNING]] == 1:
        return job_id[_BEGINNING]
    return f"…{job_id[_END]}" if ends[job_id[_END]] == 1 else job_id


def _cost(status: JobStatus, known: Cost | None, quoted: Cost | None) -> Cost | None:
    # What was quoted is not what a job that came to nothing cost.
    return known or (None if status in _VAIN else quoted)


@attrs.define(kw_only=True)
class Line:
    """What is shown of one job; times are the wall clock's. `tag` tells it from others."""

    label: str
    since: datetime
    changed: Callable[[Line], None] = attrs.field(repr=False)
    status: JobStatus = JobStatus.PENDING
    job_id: str | None = None
    expected: float | None = None
    usual: Usual | None = None
    cost: Cost | None = None
    progress: float | None = None
    until: datetime | None = None
    closed: bool = False
    """Whether nothing more will happen to it here."""
    note: str | None = None
    """What it waits for before it is sent."""
    downloads: dict[int, Progress] = attrs.field(factory=dict)
    told: tuple[JobStatus, str | None, str | None, bool] | None = None
    """The state that was printed last, where each is printed once."""
    tag: str = ""

    @property
    def name(self) -> str:
        """What the line begins with."""
        return self.tag + self.label

    def attach(self, job: Job, expected: float | None = None, usual: Usual | None = None) -> None:
        """Show what is on record of a job, and how long such jobs take."""
        self.label = job_label(job)
        self.job_id, self.status, self.expected, self.usual = job.id, job.status, expected, usual
        self.since = job.submitted_at or job.created_at
        self.until = job.finished_at
        self.cost = _cost(job.status, job.cost, job.quote)
        self.progress, self.note = job.progress, None
        self.changed(self)

    def submitting(self) -> None:
        """Show that the request is on its way."""
        self.status = JobStatus.SUBMITTING
        self.changed(self)

    def hold(self, snapshot: Snapshot) -> None:
        """Show what a job waits for that is not accepted yet."""
        if snapshot.status in {JobStatus.PENDING, JobStatus.SUBMITTING}:
            self.status, self.note = snapshot.status, snapshot.note
            self.changed(self)

    def observe(self, snapshot: Snapshot) -> None:
        """Show a newer observation."""
        self.note = snapshot.note if snapshot.status is JobStatus.PENDING else None
        self.status = snapshot.status
        self.progress = snapshot.progress
        self.expected = snapshot.expected or self.expected
        self.cost = _cost(snapshot.status, snapshot.cost, self.cost)
        self.changed(self)

    def download(self, progress: Progress) -> None:
        """Show how far a file is."""
        self.downloads[progress.index] = progress
        self.changed(self)

    def fail(self, job: Job | None, now: datetime) -> None:
        """Show that nothing was accepted, as far as is known."""
        self.status = job.status if job is not None else JobStatus.FAILED
        self.job_id = job.id if job is not None else None
        self.cost = _cost(self.status, job.cost if job is not None else None, self.cost)
        self.close(now)

    def close(self, now: datetime) -> None:
        """Show that this is the end of it, here."""
        self.until = self.until or now
        self.closed = True
        self.changed(self)

    def elapsed(self, now: datetime) -> float:
        """Return for how many seconds the job has run, up to its end."""
        return ((self.until or now) - self.since).total_seconds()

    def late(self, now: datetime) -> bool:
        """Whether the job takes longer than nineteen of twenty do."""
        return self.usual is not None and not self.status.terminal and self.elapsed(now) > self.usual.late


class Board(Protocol):
    """Shows lines."""

    def add(self, label: str, cost: Cost | None = None, tag: str = "") -> Line:
        """Show one more."""
        ...


@attrs.define
class PlainBoard:
    """Prints a line for every change of state; for logs and pipes."""

    print: Callable[[str], None] = remark
    now: Now = utc_now

    def add(self, label: str, cost: Cost | None = None, tag: str = "") -> Line:
        """Follow one more job."""
        return Line(label=label, since=self.now(), changed=self._changed, cost=cost, tag=tag)

    def _changed(self, line: Line) -> None:
        state = (line.status, line.job_id, line.note, line.late(self.now()))
        if (line.status is JobStatus.PENDING and not line.note) or line.told == state:
            return
        line.told = state
        self.print(f"{line.name}: {self._words(line)}")

    def _words(self, line: Line) -> str:
        cost = f", {line.cost}" if line.cost and line.cost.amount is not None else ""
        if line.note:
            return line.note
        if line.status.terminal:
            return f"{line.status} after {clock(line.elapsed(self.now()))}{cost}"
        if line.job_id is None:
            return f"{line.status}{cost}"
        return f"{line.status}, job {line.job_id}{self._expected(line)}"

    def _expected(self, line: Line) -> str:
        if line.late(self.now()):
            return f", taking longer than usual after {clock(line.elapsed(self.now()))}"
        if line.usual is not None:
            return f", usually {span(line.usual.low, line.usual.high)}"
        return f", about {clock(line.expected)} expected" if line.expected else ""


@attrs.define
class LiveBoard:
    """Draws one line for each job, and one for each file on its way, over and over."""

    console: Console
    now: Now = utc_now
    lines: list[Line] = attrs.field(factory=list, init=False)
    _spinner: Spinner = attrs.field(init=False)

    @_spinner.default
    def _make_spinner(self) -> Spinner:
        return Spinner("dots" if speaks_unicode(self.console) else "line", style="cyan")

    def add(self, label: str, cost: Cost | None = None, tag: str = "") -> Line:
        """Show one more job."""
        line = Line(label=label, since=self.now(), changed=lambda _line: None, cost=cost, tag=tag)
        self.lines.append(line)
        return line

    def __rich__(self) -> RenderableType:
        """Draw everything as it is now."""
        files = self._files()
        notes = [Text(clean(f"  {line.name}: {line.note}"), style="dim") for line in self.lines if line.note]
        return Group(self._jobs(), *notes, *([files] if files.row_count else ()))

    def _jobs(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for fixed in (True, False, True, True, True):
            # Where it is narrow, a column that may wrap gives way first; its text is cut instead.
            table.add_column(no_wrap=fixed)
        for line in self.lines:
            name = Text(clean(line.name), no_wrap=True, overflow="ellipsis")
            table.add_row(self._mark(line), name, self._state(line), self._time(line), str(line.cost or ""))
        return table

    def _mark(self, line: Line) -> RenderableType:
        good, bad = ("✓", "✗") if speaks_unicode(self.console) else ("+", "x")
        match line.status:
            case JobStatus.SUCCEEDED:
                return Text(good, style="green")
            case JobStatus.FAILED | JobStatus.CANCELLED | JobStatus.EXPIRED:
                return Text(bad, style="red")
            case JobStatus.UNKNOWN:
                return Text("?", style="yellow")
        return Text("-") if line.closed else self._spinner

    def _state(self, line: Line) -> str:
        if line.progress is None or line.status.terminal:
            return line.status.value
        return f"{line.status} {line.progress:.0%}"

    def _time(self, line: Line) -> str:
        elapsed = clock(line.elapsed(self.now()))
        if line.late(self.now()):
            return f"{elapsed}, taking longer than usual"
        if line.usual is not None and not line.status.terminal:
            return f"{elapsed}, usually {span(line.usual.low, line.usual.high)}"
        if line.status.terminal or not line.expected:
            return elapsed
        return f"{elapsed} of about {clock(line.expected)}"

    def _files(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for line in self.lines:
            for _, progress in sorted(line.downloads.items()):
                table.add_row("", _file_label(progress), self._bar(progress), _amount(progress))
        return table

    def _bar(self, progress: Progress) -> ProgressBar:
        return ProgressBar(total=progress.total, completed=progress.done, width=_BAR, pulse=progress.total is None)


def _file_label(progress: Progress) -> str:
    role = progress.asset.role
    return f"{progress.asset.media} {progress.index + 1}" if role is AssetRole.OUTPUT else role.replace("_", " ")


def _amount(progress: Progress) -> str:
    if progress.total is None or progress.total == progress.done:
        return size(progress.done)
    return f"{size(progress.done)} of {size(progress.total)}"


def _nothing(_text: str) -> None:
    """Print nothing."""


@contextmanager
def board(*, quiet: bool = False) -> Iterator[Board]:
    """Show lines on stderr while the block runs; `quiet` shows them only where they can be redrawn."""
    console = stderr()
    if not is_dynamic(console.file):
        yield PlainBoard(print=_nothing if quiet else remark)
        return
    live = LiveBoard(console)
    with unechoed(), Live(get_renderable=live.__rich__, console=console, refresh_per_second=_REDRAWS):
        yield live

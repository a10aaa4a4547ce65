"""`genbridge batch`: a file of requests, each paid for once, however often the file is run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from genbridge.cli.asking import ask, can_ask
from genbridge.cli.console import complain, remark, say
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.generate import backend_option, max_cost_option, prepare, timeout_option
from genbridge.cli.item import Item
from genbridge.cli.manifest import NAME, saved_files, write_manifest
from genbridge.cli.money import Total, totals
from genbridge.cli.output import error_form, interruption_form, money_form, print_json
from genbridge.cli.progress import label
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.sheet import STDIN, Sheet, read, refusal
from genbridge.cli.table import print_table, short, short_cost
from genbridge.cli.tally import Board, Part, Tally, board
from genbridge.drives import never_started, outcome
from genbridge.errors import (
    BudgetError,
    ConfigError,
    DownloadError,
    GenbridgeError,
    JobFailedError,
    Problem,
    RequestError,
    ServiceError,
)
from genbridge.tries import given_id
from genbridge.types import Cost, Job, JobStatus, Snapshot, Verdict
from genbridge.words import number

if TYPE_CHECKING:
    from genbridge.batches import Batch, Entry, Outcome
    from genbridge.client import Client

_FIELD = re.compile(r"requests\[(\d+)\]\.?(.*)", re.DOTALL)


@attrs.frozen(kw_only=True)
class Terms:
    """How a file is carried out, as it was asked for; what was left out is `None`."""

    file: Path
    backend: str | None = None
    output: Path | None = None
    name: str | None = None
    max_cost: float | None = None
    max_total: float | None = None
    timeout: float | None = None
    download: bool = True
    retry_failed: bool = False
    agreed: bool = False

    @property
    def title(self) -> str:
        """The name that the ids of its jobs are made from."""
        return self.name or self.file.stem

    @property
    def folder(self) -> Path:
        """Where the manifest goes, and the files."""
        return self.output or Path(self.title)

    def command(self, session: Session) -> str:
        """Return the command line that goes on with it; failed jobs are not sent again by that."""
        given = {
            "-b": self.backend,
            "-o": self.output,
            "--name": self.name,
            "--max-cost": self.max_cost,
            "--max-total": self.max_total,
            "--timeout": self.timeout,
        }
        options = [word for name, value in given.items() if value is not None for word in (name, _word(value))]
        return session.command("batch", str(self.file), *options, *(() if self.download else ("--no-download",)))


def _word(value: float | str | Path) -> str:
    return number(value) if isinstance(value, float) else str(value)


@attrs.frozen(kw_only=True)
class Row:
    """One request of a file, beside what the client knows of it and what came of it."""

    item: Item
    entry: Entry
    asked: Collection[str] = ()
    """The backends that are asked for now; none where that is not known."""
    outcome: Outcome | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether its job is of a backend that is not asked for now; it is not made again all the same."""
        return bool(self.asked) and self.backend not in self.asked

    @property
    def job(self) -> Job | None:
        """Its job on record, if there is one."""
        return (self.outcome.job if self.outcome else None) or self.entry.job

    @property
    def quote(self) -> Cost | None:
        """What it is to cost, or was."""
        return self.entry.quote or (self.job.quote if self.job else None)

    @property
    def model(self) -> str | None:
        """The canonical name of its model."""
        quoted = self.entry.quote.model if self.entry.quote else None
        return self.job.model if self.job else quoted or self.item.request.model

    @property
    def backend(self) -> str:
        """The backend that it goes to, or went to."""
        return self.job.backend if self.job else self.entry.backend or ""

    @property
    def is_sent(self) -> bool:
        """Whether carrying the batch out sends it: it is not on record, or was recorded and never sent."""
        return self.entry.quote is not None or self.entry.job is None or self.entry.job.status is JobStatus.PENDING

    @property
    def error(self) -> GenbridgeError | None:
        """What went wrong with it; that another process was refused is a refusal here too, as nothing was paid."""
        error = self.outcome.error if self.outcome else None
        if not isinstance(error, JobFailedError) or not never_started(error.job):
            return error
        reason = error.job.failure.message if error.job.failure else error.message
        return ServiceError(reason, backend=error.job.backend, verdict=Verdict.REFUSED)

    @property
    def is_refused(self) -> bool:
        """Whether it came to nothing before anything was started."""
        return self.job is not None and self.job.status is JobStatus.FAILED and never_started(self.job)

    def part(self) -> Part:
        """Return what a tally begins with: what is on record of it, unless it is to be sent."""
        called = f"line {self.item.line}: {label(self.item.request, self.model, self.backend)}"
        part = Part(label=called, backend=self.backend, quote=self.quote)
        if (job := self.job) is not None and (self.entry.quote is None or self.outcome is not None):
            part.status, part.cost, part.since, part.until = job.status, job.cost, job.submitted_at, job.finished_at
            part.refused = self.is_refused
        return part

    def form(self, part: Part) -> dict[str, Any]:
        """Return it as JSON and the manifest have it."""
        known = self.job is not None or part.status is not JobStatus.PENDING
        return {
            "line": self.item.line,
            "id": self.item.id,
            "job_id": (self.job.id if self.job else self.entry.id) if known else None,
            "backend": self.backend,
            "model": self.model,
            "media": self.item.request.media.value,
            "prompt": self.item.request.prompt,
            "status": part.status.value if known else None,
            "quote": money_form(self.quote),
            "cost": money_form(part.cost),
            "paths": [str(path) for path in self.outcome.paths] if self.outcome else [],
            "error": None if self.error is None else error_form(self.error),
        }


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@backend_option
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the files and the manifest, instead of one with the name of the batch; made if missing.",
)
@click.option("--name", metavar="NAME", help="The name of the batch, instead of that of FILE; another name makes everything anew.")
@max_cost_option
@click.option("--max-total", type=click.FloatRange(min=0), metavar="N", help="Send nothing if all together would cost more.")
@click.option("-y", "--yes", is_flag=True, help="Send them without asking.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what it would cost; send nothing.")
@click.option("--retry-failed", is_flag=True, help="Send those that failed again, which may be paid again.")
@click.option("--no-download", is_flag=True, help="Wait, but save no files; the manifest is written all the same.")
@timeout_option
@with_json
@shared
@pass_session
@click.pass_context
def batch(
    context: click.Context, session: Session, /, *, file: Path, dry_run: bool, no_download: bool, yes: bool, **given: Any
) -> None:
    """Make everything that FILE asks for, a request on each line, and save it in a folder.

    FILE is .jsonl or .csv, or - for JSON lines on stdin. All of it is checked and priced before anything is sent. The same file run
    again goes on where it was, and pays for nothing twice.
    """
    terms = Terms(file=file, download=not no_download, agreed=yes, **given)
    _check_terms(terms)
    sheet = read(file)

    async def work(client: Client) -> Exit:
        found = await check(client, sheet, terms)
        rows = [
            Row(item=item, entry=entry, asked=_asked(client, entry)) for item, entry in zip(sheet.items, found.entries, strict=True)
        ]
        if dry_run:
            return show_plan(session, terms, rows)
        if not await agreed(terms, rows):
            return _decline(session)
        prepare(terms.folder)
        return await carry_out(session, client, found, terms, rows)

    if session.sandbox and not session.json:
        remark("sandbox: the services are emulated on this machine; nothing is sent and nothing costs")
    context.exit(session.run(work))


def _asked(client: Client, entry: Entry) -> Collection[str]:
    try:
        return {backend.name for backend in client.config.candidates(entry.wish).backends}
    except ConfigError:
        return ()


def _check_terms(terms: Terms) -> None:
    if terms.file == STDIN and terms.name is None:
        raise RequestError("a batch on stdin has no name; give --name, from which it is known again; nothing was sent")
    if terms.file.name == NAME and terms.folder.absolute() == terms.file.parent.absolute():
        raise RequestError(f"{terms.file} would be written over by the manifest; give another folder with -o; nothing was sent")


# Checks.


async def check(client: Client, sheet: Sheet, terms: Terms) -> Batch:
    """Check and price everything; raises `RequestError` with every mistake of the file by its line."""
    problems: dict[int, list[Problem]] = {line: list(found) for line, found in sheet.problems.items()}
    for item in sheet.items:
        problems.setdefault(item.line, []).extend(_wrong_backend(client, item))
    sound = [item for item in sheet.items if not problems.get(item.line)]
    try:
        found = await _batch(client, sound, terms)
    except BudgetError:
        if any(problems.values()):
            raise refusal(terms.file, problems) from None
        raise
    except RequestError as error:
        raise refusal(terms.file, _located(error, sound, problems)) from None
    if any(problems.values()):
        raise refusal(terms.file, problems)
    return found


def _wrong_backend(client: Client, item: Item) -> Iterable[Problem]:
    if item.backend is not None:
        try:
            client.config.candidates(item.backend)
        except ConfigError as error:
            yield Problem("backend", str(error))


async def _batch(client: Client, items: Sequence[Item], terms: Terms) -> Batch:
    return await client.batch(
        [item.request for item in items],
        name=terms.title,
        ids=[item.id for item in items],
        backend=[item.backend or terms.backend for item in items],
        max_cost=terms.max_cost,
        max_total=terms.max_total,
        retry_failed=terms.retry_failed,
    )


def _located(error: RequestError, items: Sequence[Item], problems: dict[int, list[Problem]]) -> Mapping[int, Sequence[Problem]]:
    """Add the problems of requests to those of the lines that they are on; raises the error itself where it is about none."""
    for problem in error.problems or [Problem("", error.message)]:
        place = _FIELD.fullmatch(problem.field)
        if place is None:
            raise error
        problems.setdefault(items[int(place[1])].line, []).append(Problem(place[2], problem.message))
    return problems


# Before anything is sent.


def _to_send(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.is_sent]


def plan_words(rows: Sequence[Row]) -> str:
    """Return what is to be done with all of a file, in a sentence without its end."""
    sending, jobs = _to_send(rows), "job" if len(rows) == 1 else "jobs"
    standing = Counter(row.job.status.value for row in rows if not row.is_sent and row.job)
    states = "" if standing.keys() <= {JobStatus.SUCCEEDED.value} else f" ({_counted(standing)})"
    known = f"{standing.total()} on record already{_elsewhere(rows)}{states}"
    price = _listed(totals((row.backend, row.quote) for row in sending if row.quote is not None))
    if not standing:
        return f"{len(rows)} {jobs} to send, {price}"
    return f"{len(rows)} {jobs}: {known}, " + (f"{len(sending)} to send, {price}" if sending else "none to send")


def _elsewhere(rows: Sequence[Row]) -> str:
    """Name the backends of jobs on record where one of them is none that is asked for now."""
    known = [row for row in rows if not row.is_sent and row.job]
    if not any(row.is_elsewhere for row in known):
        return ""
    return f", on {', '.join(dict.fromkeys(row.backend for row in known))}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _listed(sums: Sequence[Total]) -> str:
    return ", ".join(map(str, sums))


async def agreed(terms: Terms, rows: Sequence[Row]) -> bool:
    """Whether everything may be sent: `--yes` was given, somebody says so, or nothing is sent.

    Raises `RequestError` where there is nobody to ask.
    """
    words = plan_words(rows)
    if terms.agreed or not _to_send(rows):
        remark(words)
        return True
    if terms.file == STDIN or not can_ask():
        raise RequestError(f"{words}; there is no terminal to ask at: add --yes to send them; nothing was sent")
    answer = await ask(f"{words}. Send {'it' if len(_to_send(rows)) == 1 else 'them'}? [y/N]")
    return (answer or "").lower() in {"y", "yes"}


def _decline(session: Session) -> Exit:
    message = "not agreed to; nothing was sent"
    if session.json:
        print_json({"error": interruption_form(message)})
    remark(message)
    return Exit.INTERRUPTED


def show_plan(session: Session, terms: Terms, rows: Sequence[Row]) -> Exit:
    """Print what each request would cost, or what is on record of it; return the exit code."""
    if session.json:
        print_json(batch_form(terms, rows, [row.part() for row in rows], manifest=None))
        return Exit.OK
    header = ("LINE", "STATUS", "MEDIUM", "MODEL", "BACKEND", "COST", "PROMPT")
    print_table(header, [_cells(row) for row in rows], cut="PROMPT", spare=("MEDIUM",))
    say(plan_words(rows))
    return Exit.OK


def _cells(row: Row) -> tuple[str, ...]:
    status = "to send" if row.is_sent or row.job is None else row.job.status.value
    request = row.item.request
    cost = (row.job.cost if row.job and not row.is_sent else None) or row.quote
    return (str(row.item.line), status, request.media, row.model or "", row.backend, short_cost(cost), short(request.prompt))


# The work itself.


async def carry_out(session: Session, client: Client, found: Batch, terms: Terms, rows: Sequence[Row]) -> Exit:
    """Send what is to be sent, follow everything to its end, and say what came of it."""
    tally = Tally(name=terms.title, parts=[row.part() for row in rows])
    session.again = terms.command(session)
    session.waiting = {row.entry.id for row in _to_send(rows)}
    outcomes: Sequence[Outcome] | None = None
    try:
        with board(tally, quiet=session.json) as shown:
            outcomes = await found.run(
                directory=terms.folder if terms.download else None, timeout=terms.timeout, observe=_observer(session, shown)
            )
    finally:
        if outcomes is None:
            _save_what_is_known(terms, await _with_failures(client, rows, tally), tally)
    session.again = None
    session.under_way.clear()
    session.waiting.clear()
    return report(session, terms, [attrs.evolve(row, outcome=outcome) for row, outcome in zip(rows, outcomes, strict=True)])


def _observer(session: Session, shown: Board) -> Callable[[Entry, Snapshot], None]:
    def observe(entry: Entry, snapshot: Snapshot) -> None:
        shown.observe(entry.index, snapshot)
        session.observe(entry.id, snapshot.status)
        if snapshot.status in {JobStatus.QUEUED, JobStatus.RUNNING}:
            session.under_way[entry.id] = entry.id
        else:
            session.under_way.pop(entry.id, None)

    return observe


async def _with_failures(client: Client, rows: Sequence[Row], tally: Tally) -> Sequence[Row]:
    """Return the rows, those that have failed with why they did, as far as the record tells it."""
    failed = {row.entry.id for row, part in zip(rows, tally.parts, strict=True) if part.status is JobStatus.FAILED}
    jobs: dict[str, Job] = {}
    if failed:
        with suppress(GenbridgeError):
            async for job in client.jobs(status=JobStatus.FAILED):
                jobs.setdefault(given_id(job.id), job)
    return [_failed(row, jobs[row.entry.id]) if row.entry.id in failed & jobs.keys() else row for row in rows]


def _failed(row: Row, job: Job) -> Row:
    from genbridge.batches import Outcome  # noqa: PLC0415 (loaded when it is used)

    return attrs.evolve(row, outcome=Outcome(entry=row.entry, job=job, error=outcome(job)))


def _save_what_is_known(terms: Terms, rows: Sequence[Row], tally: Tally) -> None:
    saved = saved_files(terms.folder)
    forms = (row.form(part) for row, part in zip(rows, tally.parts, strict=True))
    known = [{**form, "paths": [str(path) for path in saved.get(row.entry.id, ())]} for row, form in zip(rows, forms, strict=True)]
    try:
        write_manifest(terms.folder, known)
    except DownloadError as error:
        complain(error)


# What came of it.


def report(session: Session, terms: Terms, rows: Sequence[Row]) -> Exit:
    """Write the manifest, print where it is and what went wrong; return the exit code."""
    for row in rows:
        if row.outcome is not None and row.outcome.error is not None:
            session.addressed(row.outcome.error)
    parts = [row.part() for row in rows]
    code = max((exit_for(row.error) for row in rows if row.error), default=Exit.OK)
    manifest: Path | None = None
    try:
        manifest = write_manifest(terms.folder, [row.form(part) for row, part in zip(rows, parts, strict=True)])
    except DownloadError as error:
        complain(error)
        code = max(code, exit_for(error))
    if session.json:
        print_json(batch_form(terms, rows, parts, manifest=manifest))
    for row in rows:
        if row.error is not None:
            complain(row.error, about=f"line {row.item.line}")
    remark(_summary(terms, rows, parts))
    for advice in _advice(session, terms, rows):
        remark(advice)
    if manifest is not None and not session.json:
        say(str(manifest))
    return code


def _summary(terms: Terms, rows: Sequence[Row], parts: list[Part]) -> str:
    tally = Tally(name=terms.title, parts=parts)
    counts = {"not sent" if state == "waiting" else state: count for state, count in tally.counts().items()}
    files = sum(len(row.outcome.paths) for row in rows if row.outcome)
    saved = f"{files} file{'' if files == 1 else 's'} in {terms.folder}" if terms.download else ""
    size = f"{len(rows)} job{'' if len(rows) == 1 else 's'}"
    return "; ".join(filter(None, [f"{size}: {_counted(counts)}", tally.money(), saved]))


def _advice(session: Session, terms: Terms, rows: Sequence[Row]) -> Iterator[str]:
    codes = Counter(exit_for(row.error) for row in rows if row.error)
    command = terms.command(session)
    if codes[Exit.UNKNOWN]:
        yield f"say what became of those in doubt with: {session.command('jobs', 'reconcile')}"
    if codes.keys() & {Exit.TIMEOUT, Exit.DOWNLOAD, Exit.BUDGET}:
        yield f"continue with: {command}"
    elif codes[Exit.REFUSED]:
        yield f"send those that were refused again with: {command}"
    if codes[Exit.FAILED]:
        yield f"send those that failed again, which may be paid again, with: {command} --retry-failed"


def batch_form(terms: Terms, rows: Sequence[Row], parts: Sequence[Part], *, manifest: Path | None) -> dict[str, Any]:
    """Return a batch as JSON has it."""
    sums = totals((row.backend, row.quote) for row in _to_send(rows) if row.quote is not None)
    return {
        "name": terms.title,
        "manifest": str(manifest) if manifest else None,
        "totals": [attrs.asdict(total) for total in sums],
        "entries": [row.form(part) for row, part in zip(rows, parts, strict=True)],
    }

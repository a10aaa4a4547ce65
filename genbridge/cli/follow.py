"""Follow jobs to their end, collect their files, and say how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from genbridge.cli.console import complain, remark, say
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.output import job_form, print_json, unrecorded_form
from genbridge.cli.progress import Board, Line, job_label, label, tags
from genbridge.cli.times import utc_now
from genbridge.errors import GenbridgeError, RequestError
from genbridge.types import Job, Quote, Request

if TYPE_CHECKING:
    from genbridge.cli.session import Session
    from genbridge.client import Client, Handle


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of one request or job. `job` is `None` where none was recorded."""

    job: Job | None = None
    request: Request
    backend: str | None = None
    quote: Quote | None = None
    paths: Sequence[Path] = ()
    error: GenbridgeError | None = None

    @property
    def exit(self) -> Exit:
        """The exit code that this alone would give."""
        return Exit.OK if self.error is None else exit_for(self.error)

    @property
    def label(self) -> str:
        """What a line calls it."""
        if self.job is not None:
            return f"{job_label(self.job)}, job {self.job.id}"
        return label(self.request, self.quote.model if self.quote else self.request.model, self.backend)

    def form(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        if self.job is not None:
            return job_form(self.job, paths=self.paths, error=self.error)
        return unrecorded_form(self.request, backend=self.backend, quote=self.quote, error=self.error)


async def follow(
    session: Session, client: Client, handle: Handle, line: Line, *, directory: Path | None, timeout: float | None
) -> Outcome:
    """Wait for a job and save its files in `directory`, if there is one; errors are in the outcome, not raised."""
    session.under_way[handle.id] = job_label(handle.job)
    line.attach(handle.job, handle.expected, handle.usual)
    watcher = asyncio.create_task(_watch(handle, line))
    paths: Sequence[Path] = ()
    error = None
    try:
        result = await handle.result(timeout)
        line.attach(handle.job, handle.expected, handle.usual)
        if directory is not None:
            paths = await client.download(result, directory, progress=line.download)
    except GenbridgeError as caught:
        error, paths = caught, getattr(caught, "saved", ())
    finally:
        await _stop(watcher)
    del session.under_way[handle.id]
    line.attach(handle.job, handle.expected, handle.usual)
    line.close(utc_now())
    return Outcome(job=handle.job, request=handle.job.request, backend=handle.job.backend, paths=paths, error=error)


async def _watch(handle: Handle, line: Line) -> None:
    async for snapshot in handle.events():
        line.observe(snapshot)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def follow_all(
    session: Session,
    client: Client,
    handles: Iterable[Handle],
    shown: Board,
    *,
    directory: Callable[[Job], Path | None],
    timeout: float | None,
) -> list[Outcome]:
    """Follow several jobs at once; `directory` says where the files of each go, if anywhere."""
    followed = list(handles)
    called = zip(followed, tags([handle.job for handle in followed]), strict=True)
    lines = [(handle, shown.add(job_label(handle.job), tag=tag)) for handle, tag in called]
    following = (follow(session, client, handle, line, directory=directory(handle.job), timeout=timeout) for handle, line in lines)
    return list(await asyncio.gather(*following))


def report(session: Session, outcomes: Sequence[Outcome]) -> Exit:
    """Print the paths of what was made and what went wrong; return the exit code."""
    for error in filter(None, (outcome.error for outcome in outcomes)):
        session.addressed(error)
    if session.json:
        print_json({"jobs": [outcome.form() for outcome in outcomes]})
    for outcome in outcomes:
        _report_one(session, outcome, about=outcome.label if len(outcomes) > 1 else "")
    return max((outcome.exit for outcome in outcomes), default=Exit.OK)


def _report_one(session: Session, outcome: Outcome, *, about: str) -> None:
    if not session.json:
        for path in outcome.paths:
            say(str(path))
    if outcome.error is None:
        return
    complain(outcome.error, about=about)
    if advice := advise(session, outcome):
        remark(advice)


def advise(session: Session, outcome: Outcome) -> str | None:
    """Return how to go on after an error that is not the end of it."""
    job, error = outcome.job, outcome.error
    if job is None:
        return _models(session, outcome.backend) if _is_about_the_model(error) else None
    match outcome.exit:
        case Exit.TIMEOUT | Exit.DOWNLOAD:
            return f"collect it with: {session.command('jobs', 'wait', job.id)}"
        case Exit.UNKNOWN:
            return f"say what became of it with: {session.command('jobs', 'reconcile', job.id)}"
    return None


def _is_about_the_model(error: GenbridgeError | None) -> bool:
    return isinstance(error, RequestError) and any(problem.field == "model" for problem in error.problems)


def _models(session: Session, backend: str | None) -> str:
    return f"list the models with: {session.command('models', *(('-b', backend) if backend else ()))}"

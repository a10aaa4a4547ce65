"""`genbridge jobs reconcile`: settle jobs of which nobody knows whether they were accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
import click

from genbridge.cli.asking import ask, can_ask
from genbridge.cli.console import complain, remark, say
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.money import totals
from genbridge.cli.output import error_form, job_form, print_json
from genbridge.cli.progress import job_label
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.cli.times import age, utc_now
from genbridge.errors import GenbridgeError, JobError, PluginError, RequestError, SubmitUnknownError
from genbridge.plugins import installed
from genbridge.tries import given_id
from genbridge.types import Job, JobStatus
from genbridge.words import number

if TYPE_CHECKING:
    from genbridge.client import Client, Handle

_PATIENCE = 10.0
"""For how many seconds the services are asked before people are."""
_DOUBTFUL = (JobStatus.UNKNOWN, JobStatus.SUBMITTING)
_QUESTION = "[n]ot sent, [a]ttach the id you found, [s]kip or [q]uit?"
_WITH_REST = "[n]ot sent, [N]ot sent and all that follow, [a]ttach the id you found, [s]kip or [q]uit?"
_ANSWERS = {"n": "not sent", "a": "attach", "s": "skip", "q": "quit"}


@attrs.define
class Settling:
    """One run: what was done with the jobs in doubt, and what went wrong."""

    session: Session
    client: Client
    resend: bool
    touched: dict[str, Job] = attrs.field(factory=dict)
    error: GenbridgeError | None = None

    def tell(self, job: Job, words: str) -> None:
        """Keep a job for the end, and say what became of it."""
        self.touched[job.id] = job
        if not self.session.json:
            say(f"{job_label(job)}, job {job.id}: {words}")

    async def not_sent(self, handle: Handle) -> None:
        """Record that a job never arrived; with `resend`, submit its request again."""
        job = await handle.not_sent()
        self.tell(job, "not sent; its reservation is released")
        if self.resend:
            await self._send_again(job)

    async def _send_again(self, job: Job) -> None:
        # The next try of the same id: whoever asks for that, as a batch does, finds it, and sends no third.
        again = await self.client.submit(job.request, backend=job.backend, id=given_id(job.id), save_to=job.save_to)
        self.tell(again.job, f"sent again; collect it with: {self.session.command('jobs', 'wait', again.id)}")

    async def attach(self, handle: Handle, provider_id: str) -> None:
        """Record the id that a job was found under, so that it can be collected."""
        await handle.adopt(provider_id)
        self.tell(handle.job, f"attached; collect it with: {self.session.command('jobs', 'wait', handle.id)}")

    async def attempt(self, act: Awaitable[None]) -> None:
        """Do something about a job; where it fails, say so, and let the next have its turn."""
        try:
            await act
        except GenbridgeError as error:
            self.error = error
            complain(error)
            if isinstance(error, SubmitUnknownError):
                self.touched[error.job.id] = error.job


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--not-sent", is_flag=True, help="The service never had it: release what it reserves. Needs ID or --all.")
@click.option("--attach", metavar="PROVIDER_ID", help="The service has it under this id: go on with it. Needs ID.")
@click.option(
    "--all", "everything", is_flag=True, help="All jobs that are in doubt, once their services were asked. Needs --not-sent."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether --all is meant.")
@click.option("--resend", is_flag=True, help="Submit what was not sent again, as a new job.")
@with_json
@shared
@pass_session
@click.pass_context
def reconcile(
    context: click.Context,
    session: Session,
    *,
    job_id: str | None,
    not_sent: bool,
    attach: str | None,
    everything: bool,
    yes: bool,
    resend: bool,
) -> None:
    """Settle jobs that may have been accepted and may be billed, one after the other.

    First the services are asked, where they can be. Then what is known of each job is shown, and you say what you found on the
    service's own site. With --not-sent or --attach nothing is asked. With --json alone, the jobs in doubt are listed.
    """
    _check_usage(job_id, not_sent=not_sent, attach=attach, resend=resend, everything=everything)
    if yes and not everything:
        raise click.UsageError("--yes is for --all")

    async def work(client: Client) -> Exit:
        settling = Settling(session, client, resend)
        if job_id is not None and (not_sent or attach is not None):
            handle = client.handle(job_id)
            await (settling.not_sent(handle) if attach is None else settling.attach(handle, attach))
            return _end(settling, [])
        if everything:
            return _end(settling, await _settle_all(settling, agreed=yes))
        return _end(settling, await _walk(settling, job_id))

    context.exit(session.run(work))


def _check_usage(job_id: str | None, *, not_sent: bool, attach: str | None, resend: bool, everything: bool) -> None:
    if everything and (job_id is not None or not not_sent):
        raise click.UsageError("--all is for --not-sent, without an ID")
    if not_sent and attach is not None:
        raise click.UsageError("--not-sent and --attach exclude each other")
    if (not_sent or attach is not None) and job_id is None and not everything:
        raise click.UsageError("--not-sent and --attach are about one job; give its ID")
    if resend and attach is not None:
        raise click.UsageError("--resend is for what was not sent, and --attach for what was")
    if attach is not None and not attach.strip():
        raise click.UsageError("--attach needs the service's id of the job")


async def _walk(settling: Settling, job_id: str | None) -> Sequence[Job]:
    """Ask the services, then the user; return the jobs that are in doubt still."""
    client = settling.client
    handles = [client.handle(job_id)] if job_id else await _doubtful(client)
    if job_id and handles[0].job.status not in _DOUBTFUL:
        raise JobError(
            f"job {handles[0].id} is not in doubt: it is {handles[0].job.status}; nothing was changed", job=handles[0].job
        )
    if not handles:
        remark("no job is in doubt")
    left = await _ask_services(settling, handles)
    if not settling.session.json:
        await _ask_user(settling, left)
    return [handle.job for handle in left if handle.id not in settling.touched]


async def _settle_all(settling: Settling, *, agreed: bool) -> Sequence[Job]:
    """Record of all jobs that are in doubt after their services were asked that they were not sent; returns what is left."""
    handles = await _doubtful(settling.client)
    if not handles:
        remark("no job is in doubt")
    left = await _ask_services(settling, handles)
    if left and (agreed or await _agreed(left)):
        await _none_sent(settling, left)
    return [handle.job for handle in left if handle.id not in settling.touched]


async def _agreed(handles: Sequence[Handle]) -> bool:
    """Whether somebody says of so many jobs that none was sent; raises `RequestError` where there is nobody to ask."""
    price = ", ".join(map(str, totals((handle.job.backend, handle.job.quote) for handle in handles)))
    words = f"{len(handles)} job{'' if len(handles) == 1 else 's'}, {price}"
    if not can_ask():
        raise RequestError(f"{words}; there is no terminal to ask at: add --yes to say that none was sent; nothing was changed")
    return await _confirmed(words)


async def _confirmed(words: str) -> bool:
    answer = await ask(f"{words}: you have looked, and none of them is there? What is there after all is paid twice. [y/N]")
    return (answer or "").lower() in {"y", "yes"}


async def _none_sent(settling: Settling, handles: Sequence[Handle]) -> None:
    for handle in handles:
        await settling.attempt(settling.not_sent(handle))


async def _doubtful(client: Client) -> list[Handle]:
    """Return the jobs in doubt, oldest first."""
    found = [job for status in _DOUBTFUL async for job in client.jobs(status=status)]
    return [client.handle(job) for job in sorted(found, key=lambda job: (job.created_at, job.id))]


async def _ask_services(settling: Settling, handles: Sequence[Handle]) -> list[Handle]:
    """Let the services that can be asked say what became of jobs; return those that are in doubt after that."""
    where = Counter(handle.job.backend for handle in handles if _can_be_asked(handle.job))
    if where:
        remark("asking what became of " + ", ".join(f"{count} on {backend}" for backend, count in where.items()))
    await asyncio.gather(*(_settled(handle) for handle in handles))
    for handle in handles:
        if handle.job.status is JobStatus.SUBMITTING:
            remark(f"job {handle.id} is being sent by another process at the moment; it is left to that")
        elif handle.job.status is not JobStatus.UNKNOWN:
            settling.tell(handle.job, f"it is settled: {handle.job.status}")
    return [handle for handle in handles if handle.job.status is JobStatus.UNKNOWN]


async def _settled(handle: Handle) -> None:
    # What a job's backend or record has against asking is no reason not to ask the user.
    with suppress(GenbridgeError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            async for snapshot in handle.events():
                if snapshot.status not in _DOUBTFUL:
                    return


async def _ask_user(settling: Settling, handles: Sequence[Handle]) -> None:
    for place, handle in enumerate(handles, 1):
        _show(settling, handle.job, f"{place} of {len(handles)}")
        match await _answer(handles[place - 1 :]):
            case "quit":
                return
            case "none sent":
                await _none_sent(settling, handles[place - 1 :])
                return
            case "not sent":
                await settling.attempt(settling.not_sent(handle))
            case "attach":
                if (provider_id := await _provider_id()) is None:
                    return
                await settling.attempt(settling.attach(handle, provider_id))


async def _answer(handles: Sequence[Handle]) -> str:
    """Return what is said of the first of some jobs, or of all of them."""
    while True:
        line = await ask(_WITH_REST if len(handles) > 1 else _QUESTION)
        if line is None:
            return "quit"
        if line[:1] == "N" and len(handles) > 1:
            if await _confirmed(f"{len(handles)} jobs"):
                return "none sent"
        elif found := _ANSWERS.get(line[:1].lower()):
            return found


async def _provider_id() -> str | None:
    """Return the service's id of a job, or `None` where no answer is to come."""
    while (line := await ask("the service's id of it?")) == "":
        continue
    return line


def _show(settling: Settling, job: Job, place: str) -> None:
    say("")
    title = (place, f"{job_label(job)}, job {job.id}")
    print_table(None, [title, *facts_of(job, utc_now()), ("asked", _asked(job)), ("look", _hint(settling, job))])


def facts_of(job: Job, now: datetime) -> list[tuple[str, str]]:
    """Return what is known of a job in doubt, for a person who looks for it."""
    sent = job.submitted_at or job.created_at
    return [
        ("sent", f"{sent.astimezone():%Y-%m-%d %H:%M:%S %Z}, {age(sent, now)} ago"),
        ("prompt", job.request.prompt),
        ("model", job.model if job.model == job.provider_model else f"{job.model}, there {job.provider_model}"),
        ("reserved", str(job.quote)),
        ("in doubt", job.failure.message if job.failure else "nobody knows why"),
    ]


def _asked(job: Job) -> str:
    """Return what the service itself had to say."""
    try:
        installed.load(job.provider)
    except PluginError as error:
        return str(error)
    if _can_be_asked(job):
        return f"{job.provider} could not tell yet; skip it, and run this again in a few minutes"
    return f"{job.provider} has no way to be asked"


def _can_be_asked(job: Job) -> bool:
    try:
        return installed.load(job.provider).supports("recover")
    except PluginError:
        return False


def _hint(settling: Settling, job: Job) -> str:
    """Return where to look for a job, and what to look for."""
    if settling.session.sandbox:
        return "nowhere: the service is emulated and shows its jobs to nobody; say that it was not sent"
    backend = settling.client.config.backends.get(job.backend)
    where = f" (that of {backend.key_url})" if backend and backend.key_url else ""
    cost = "" if job.quote.amount is None else f", or for a balance that is lower by {number(job.quote.amount)} {job.quote.unit}"
    return f"in the list of your jobs on {job.provider}'s own site{where}, for this prompt and model at this time{cost}"


def _end(settling: Settling, left: Sequence[Job]) -> Exit:
    """Print the document, or what is left to do; return the exit code."""
    if settling.session.json:
        jobs = [*settling.touched.values(), *left]
        document = {"jobs": [job_form(job) for job in jobs]}
        print_json(document | ({} if settling.error is None else {"error": error_form(settling.error)}))
    doubtful = [job for job in (*settling.touched.values(), *left) if job.status is JobStatus.UNKNOWN]
    if doubtful:
        remark(f"{len(doubtful)} in doubt still; what they may cost stays reserved")
    codes = [exit_for(settling.error)] if settling.error else []
    return max([*codes, Exit.UNKNOWN if doubtful else Exit.OK])

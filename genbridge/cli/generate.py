"""`genbridge generate` and `genbridge quote`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TypeVar

import attrs
import click
from click.core import ParameterSource

from genbridge.cli.console import complain, remark, say
from genbridge.cli.exits import Exit
from genbridge.cli.follow import Outcome, advise, follow, report
from genbridge.cli.output import print_json, quoted_form
from genbridge.cli.progress import Line, board, label
from genbridge.cli.request import takes_request
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.times import utc_now
from genbridge.errors import BudgetError, GenbridgeError, JobTimeoutError
from genbridge.folders import lasting_folder
from genbridge.types import Job, JobStatus, Quote, Request, Snapshot

if TYPE_CHECKING:
    from genbridge.client import Client, Handle

T = TypeVar("T")

_LEAVES = 5.0
"""Seconds for which who does not wait for the end waits for a worker to have the job accepted: what is wrong shows by then."""


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait, after which a job goes on; else 5 to 10 minutes for an image and 10 to 30 for a video, by the service, "
    "or the `poll.timeout` of the configuration.",
)


def saves_files(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that say how long to wait and where files go."""
    folder = click.Path(file_okay=False, path_type=Path)
    for add in (
        timeout_option,
        click.option("--no-download", is_flag=True, help="Wait, but save no files."),
        click.option(
            "-o",
            "--output",
            type=folder,
            default=".",
            help="The folder for the files, instead of the current one; made if missing.",
        ),
    ):
        command = add(command)
    return command


backend_option = click.option("-b", "--backend", metavar="BACKEND", help="A configured backend or route.")
max_cost_option = click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="N", help="Send nothing if one job would cost more."
)


@attrs.frozen(kw_only=True)
class Order:
    """A request that was checked: where it goes, what it will cost, or why it cannot be sent.

    `wish` is the backend or route that was asked for, and `backend` the one that this means.
    """

    request: Request
    wish: str | None
    backend: str | None = None
    quote: Quote | None = None
    error: GenbridgeError | None = None

    @property
    def label(self) -> str:
        """What a line calls it."""
        return label(self.request, self.quote.model if self.quote else self.request.model, self.backend)

    def outcome(self, error: GenbridgeError | None = None, job: Job | None = None) -> Outcome:
        """Return that it ended before it was accepted."""
        return Outcome(request=self.request, backend=self.backend, quote=self.quote, error=error or self.error, job=job)


@attrs.frozen(kw_only=True)
class Terms:
    """How the orders are carried out."""

    max_cost: float | None
    timeout: float | None
    directory: Path | None
    wait: bool


@click.command()
@takes_request
@backend_option
@saves_files
@max_cost_option
@click.option("--dry-run", is_flag=True, help="Check it and say what it would cost; send nothing.")
@click.option("--no-wait", is_flag=True, help="Print the job's id once it is accepted, or handed in to workers, and leave.")
@with_json
@shared
@pass_session
@click.pass_context
def generate(
    context: click.Context,
    session: Session,
    *,
    requests: Sequence[Request],
    backend: str | None,
    output: Path,
    no_download: bool,
    timeout: float | None,
    max_cost: float | None,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """Make an image or a video from PROMPT, save it, and print where it is."""
    # Where nobody waits, the files are wanted nowhere yet, unless a folder is named.
    unnamed = no_wait and context.get_parameter_source("output") is ParameterSource.DEFAULT
    directory = None if no_download or unnamed else output
    terms = Terms(max_cost=max_cost, timeout=timeout, directory=directory, wait=not no_wait)

    async def work(client: Client) -> Exit:
        orders = await place(client, requests, backend, max_cost)
        if dry_run:
            return show_quotes(session, orders)
        if any(order.error for order in orders):
            return report(session, [order.outcome() for order in orders])
        if directory is not None:
            prepare(directory)
        return await carry_out(session, client, orders, terms)

    if session.sandbox and not session.json:
        remark("sandbox: the services are emulated on this machine; nothing is sent and nothing costs")
    context.exit(session.run(work, submits=not dry_run))


@click.command()
@takes_request
@backend_option
@max_cost_option
@with_json
@shared
@pass_session
@click.pass_context
def quote(
    context: click.Context, session: Session, *, requests: Sequence[Request], backend: str | None, max_cost: float | None
) -> None:
    """Check a request and say what it would cost; nothing is sent."""

    async def work(client: Client) -> Exit:
        return show_quotes(session, await place(client, requests, backend, max_cost))

    context.exit(session.run(work, submits=False))


async def place(client: Client, requests: Sequence[Request], backend: str | None, max_cost: float | None) -> list[Order]:
    """Check every request before the first is sent, and that all of them together stay under the caps."""
    orders: list[Order] = []
    for request in requests:
        order = await _priced(client, Order(request=request, wish=backend))
        orders.append(
            await _under_caps(client, order, [known.quote for known in orders if known.quote and not known.error], max_cost)
        )
    return orders


async def _priced(client: Client, order: Order) -> Order:
    try:
        order = attrs.evolve(order, backend=client.config.candidates(order.wish).name)
        quote = await client.quote(order.request, backend=order.wish)
        return attrs.evolve(order, backend=quote.backend or order.backend, quote=quote)
    except GenbridgeError as error:
        return attrs.evolve(order, error=error)


async def _under_caps(client: Client, order: Order, before: Sequence[Quote], max_cost: float | None) -> Order:
    """Check an order against the caps on its own, as that says most, and then with those before it."""
    if order.quote is None:
        return order
    try:
        for together in ([order.quote], [*before, order.quote]):
            await client.check_caps(together, max_cost=max_cost)
    except BudgetError as error:
        return attrs.evolve(order, error=error)
    return order


def prepare(directory: Path) -> None:
    """Make the folder for the files, before anything is paid for; raises `click.BadParameter` when it takes none."""
    lasting_folder(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        message = f"{str(directory)!r} takes no files: {error.strerror}; nothing was sent"
        raise click.BadParameter(message, param_hint="--output") from None


def show_quotes(session: Session, orders: Sequence[Order]) -> Exit:
    """Print what orders would cost, or why they cannot be sent; return the exit code."""
    if session.json:
        print_json({"quotes": [quoted_form(order.request, order.backend, order.quote, error=order.error) for order in orders]})
    for order in orders:
        if order.error is not None:
            complain(order.error, about=order.label if len(orders) > 1 else "")
            if advice := advise(session, order.outcome()):
                remark(advice)
        elif order.quote is not None and not session.json:
            say(f"{order.label}: {_sum(order.quote)}")
    return max(order.outcome().exit for order in orders)


def _sum(quoted: Quote) -> str:
    return f"{quoted} ({quoted.basis})" if quoted.basis else str(quoted)


async def carry_out(session: Session, client: Client, orders: Sequence[Order], terms: Terms) -> Exit:
    """Send the orders, follow them to their end, and print what came of them."""
    with board(quiet=session.json) as shown:
        lines = [(order, shown.add(order.label, order.quote)) for order in orders]
        jobs = (_carry_out_one(session, client, order, line, terms) for order, line in lines)
        outcomes = await asyncio.gather(*jobs)
    if terms.wait:
        return report(session, outcomes)
    return _report_accepted(session, outcomes)


async def _carry_out_one(session: Session, client: Client, order: Order, line: Line, terms: Terms) -> Outcome:
    line.submitting()
    try:
        handle = await _submit(session, client, order, line, terms)
    except JobTimeoutError as error:
        if terms.wait:
            line.fail(error.job, utc_now())
            return order.outcome(error, job=error.job)
        handle = client.handle(error.job)
    except GenbridgeError as error:
        line.fail(getattr(error, "job", None), utc_now())
        return order.outcome(error, job=getattr(error, "job", None))
    if terms.wait:
        return await follow(session, client, handle, line, directory=terms.directory, timeout=terms.timeout)
    line.attach(handle.job, handle.expected, handle.usual)
    line.close(utc_now())
    return Outcome(job=handle.job, request=order.request, backend=handle.job.backend, quote=order.quote)


async def _submit(session: Session, client: Client, order: Order, line: Line, terms: Terms) -> Handle:
    """Submit an order under an id of its own, by which it is known again when it is interrupted before it is sent."""
    given = session.new_id()
    session.observe(given, JobStatus.PENDING)

    def observe(snapshot: Snapshot) -> None:
        line.hold(snapshot)
        if snapshot.status in {JobStatus.PENDING, JobStatus.SUBMITTING}:
            session.observe(given, snapshot.status)

    patience = (terms.timeout if terms.wait else _LEAVES) if client.watches else None
    try:
        handle = await client.submit(
            order.request,
            backend=order.wish,
            max_cost=terms.max_cost,
            id=given,
            save_to=terms.directory,
            observe=observe,
            timeout=patience,
        )
    except GenbridgeError:
        session.observe(given, None)
        raise
    session.observe(given, None)
    return handle


def _report_accepted(session: Session, outcomes: Sequence[Outcome]) -> Exit:
    """Print the ids of accepted jobs on stdout, and on stderr how to collect them."""
    accepted = [outcome.job.id for outcome in outcomes if outcome.job is not None and outcome.error is None]
    if accepted and not session.json:
        for job_id in accepted:
            say(job_id)
        remark(f"collect with: {session.command('jobs', 'wait', *accepted)}")
    return report(session, outcomes)

"""What one run of the command line knows: where its configuration and record are, and how it reaches a client."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import attrs
import click

import genbridge
from genbridge.cli.console import log_to_stderr
from genbridge.cli.times import utc_now
from genbridge.errors import ConfigError, GenbridgeError, JournalError
from genbridge.lines import Line
from genbridge.tries import given_id
from genbridge.types import JobStatus

if TYPE_CHECKING:
    from genbridge.client import Client
    from genbridge.databases import DatabaseUrl
    from genbridge.ledger import Ledger

T = TypeVar("T")

_ADVICE = re.compile(r"`genbridge (jobs|worker)\b")


def connect(session: Session) -> Client:
    """Return the client that a run works with: the configured one, or the sandbox's."""
    if session.sandbox:
        folder = _state_folder()
        return genbridge.Client.sandbox(journal=_sandbox_file(session) or folder / "sandbox.db", state=folder / "sandbox.json")
    transport = None if session.submits else Line()
    if session.journal is not None:
        return genbridge.Client(session.config, journal=session.journal, transport=transport)
    return genbridge.Client(session.config, transport=transport)


def _sandbox_file(session: Session) -> Path | None:
    """Return the file that is named for the sandbox's jobs; raises `ConfigError` for a database, as workers would pay for them."""
    if session.journal is None or isinstance(session.journal, Path):
        return session.journal
    raise ConfigError(f"the sandbox needs a file, as workers of {session.journal} might send its jobs; leave --journal out")


def open_ledger(session: Session) -> Ledger:
    """Return the record that a run looks at, which is that of its client."""
    from genbridge.ledger import Ledger  # noqa: PLC0415 (loaded when it is used)

    if isinstance(session.journal, Path) and not session.journal.exists():
        raise JournalError(f"there is no record of jobs at {str(session.journal)!r}; look at the path")
    journal = _state_folder() / "sandbox.db" if session.sandbox and session.journal is None else session.journal
    return Ledger(session.config, journal=journal)


def _state_folder() -> Path:
    from genbridge.config import STATE_VARIABLE, state_dir  # noqa: PLC0415 (loaded when it is used)

    folder = state_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = (
            f"the folder {str(folder)!r} for the record of jobs cannot be made: {error.strerror}; set {STATE_VARIABLE} to another"
        )
        raise ConfigError(message) from None
    return folder


@attrs.define
class Session:
    """One run: its options, the jobs it has under way, and how it gets its client."""

    connect: Callable[[Session], Client] = connect
    ledger: Callable[[Session], Ledger] = open_ledger
    config: Path | None = None
    journal: Path | DatabaseUrl | None = None
    sandbox: bool = False
    verbosity: int = 0
    json: bool = False
    submits: bool = True
    """Whether it may submit jobs, or go on with them."""
    under_way: dict[str, str] = attrs.field(factory=dict)
    """The ids of jobs that were accepted and not collected yet, with what they are."""
    new_id: Callable[[], str] = lambda: uuid4().hex
    waiting: set[str] = attrs.field(factory=set)
    """The ids that were given to jobs whose turn to be sent has not come."""
    submitting: set[str] = attrs.field(factory=set)
    """The ids that were given to jobs whose submit has no answer yet."""
    pending: list[str] = attrs.field(factory=list, init=False)
    """After an interruption, the ids of the jobs on record whose turn to be sent had not come, the newest first."""
    began: datetime = attrs.field(factory=utc_now)
    workers: bool = False
    """Whether workers drive its jobs, so that all that is on record goes on without it."""
    left: bool = attrs.field(default=False, init=False)
    """Whether its jobs were left to workers."""
    again: str | None = None
    """The command line with which a run that was interrupted is continued, where there is one for all of its jobs."""

    def run(self, work: Callable[[Client], Awaitable[T]], *, submits: bool = True) -> T:
        """Do some work with a client, on a loop of its own; say so when it submits no job and goes on with none."""
        self.submits = submits
        from genbridge.cli.running import run  # noqa: PLC0415 (the loop takes long to load, and help needs none)

        return run(self, self.connect, work)

    def look(self, work: Callable[[Ledger], Awaitable[T]]) -> T:
        """Do some work with the record alone, as `run` does."""
        from genbridge.cli.running import run  # noqa: PLC0415 (as in `run`)

        return run(self, self.ledger, work)

    @property
    def unsent(self) -> list[str]:
        """After an interruption, the ids on record of the jobs of this run that were not sent, in order."""
        return [job_id for job_id in reversed(self.pending) if given_id(job_id) in self.waiting]

    def observe(self, given: str, status: JobStatus | None) -> None:
        """Keep how far a job is on its way to being accepted; `None` is for one whose way has ended."""
        for state, ids in ((JobStatus.PENDING, self.waiting), (JobStatus.SUBMITTING, self.submitting)):
            (ids.add if status is state and not self.left else ids.discard)(given)

    def leave(self, given: set[str]) -> None:
        """Keep only ids that no job on record has; what is still told of others while the client closes changes nothing."""
        self.left = True
        self.waiting, self.submitting = given - self.submitting, given & self.submitting

    def addressed(self, error: GenbridgeError) -> GenbridgeError:
        """Return an error whose advice reaches the same jobs as this run: what it calls `genbridge jobs` has its options."""
        error.message = _ADVICE.sub(lambda found: f"`{self.command(found[1])}", error.message)
        return error

    def command(self, *words: str) -> str:
        """Return a command line that reaches the same jobs as this run; the password of a database is to be put in again."""
        options: list[str] = []
        if self.sandbox:
            options.append("--sandbox")
        if self.config is not None:
            options += ["--config", str(self.config)]
        if self.journal is not None:
            options += ["--journal", getattr(self.journal, "named", str(self.journal))]
        return shlex.join(["genbridge", *options, *words])

    @property
    def retyped(self) -> str:
        """What to say behind such a command line where it lacks the password of a database."""
        return getattr(self.journal, "retyped", "")


pass_session = click.make_pass_decorator(Session, ensure=True)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value:
        setattr(context.ensure_object(Session), str(parameter.name), value)
    return value


def _listen(context: click.Context, _parameter: click.Parameter, value: int) -> int:
    session = context.ensure_object(Session)
    session.verbosity = max(session.verbosity, value)
    log_to_stderr(session.verbosity)
    return value


class Journal(click.Path):
    """Where the record of jobs is: a file, a database, or where one of these is written."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path or URL; what cannot be one is wrong usage, and is not repeated where it may hold a password."""
        from genbridge.places import place_in  # noqa: PLC0415 (loaded when it is used)

        try:
            place = place_in(value) if isinstance(value, str) else value
        except ConfigError as error:
            self.fail(error.message, param, ctx)
        return super().convert(place, param, ctx) if isinstance(place, Path) else place


def shared(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that may stand before or after the name of a command."""
    option = partial(click.option, expose_value=False, callback=_keep)
    path = click.Path(dir_okay=False, path_type=Path)
    for add in (
        click.option(
            "-v", "--verbose", count=True, expose_value=False, callback=_listen, help="Log to stderr; -vv for every detail."
        ),
        option(
            "--journal",
            metavar="FILE|URL",
            type=Journal(),
            help="The file or the postgresql:// URL with the record of jobs; env:NAME or file:PATH for where the URL is written.",
        ),
        option("--config", type=path, help="The configuration file, instead of the one that is found."),
        option("--sandbox", is_flag=True, help="Use the emulated services: no key, no network, no cost, no config file."),
    ):
        command = add(command)
    return command


def database_option(command: Callable[..., T]) -> Callable[..., T]:
    """Add `--db`, which is `--journal` for who needs a database."""
    text = "The database, as postgresql://…, env:NAME or file:PATH; else the one of --journal, or of the configuration."
    add = click.option("--db", metavar="URL", type=Journal(), expose_value=False, callback=_keep_database, help=text)
    return add(command)


def _keep_database(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if isinstance(value, Path):
        raise click.BadParameter("it is a file's path; give a URL, as postgresql://…, env:NAME or file:PATH", context, parameter)
    if value is not None:
        context.ensure_object(Session).journal = value
    return value


def with_json(command: Callable[..., T]) -> Callable[..., T]:
    """Add `--json`."""
    add = click.option(
        "--json", "json", is_flag=True, expose_value=False, callback=_keep, help="Print JSON, and nothing else, on stdout."
    )
    return add(command)

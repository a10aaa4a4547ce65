"""The command line: thin, over the client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from genbridge import __version__
from genbridge.cli.commands import Commands, Home
from genbridge.cli.console import abandon, complain, confess, remark, write_anything
from genbridge.cli.exits import MEANINGS, Exit, exit_for
from genbridge.cli.output import bug_form, error_form, interruption_form, print_json
from genbridge.cli.session import Session, shared
from genbridge.errors import GenbridgeError

_HOMES = {
    "backends": Home("backends", "List the configured backends, where they go, and whether they have a key."),
    "batch": Home("batch", "Make everything that FILE asks for, a request on each line, and save it in a folder."),
    "config": Home("config", "Look at the configuration."),
    "db": Home("db", "Make and upgrade the tables of a record of jobs in a database."),
    "generate": Home("generate", "Make an image or a video from PROMPT, save it, and print where it is."),
    "jobs": Home("jobs", "See, collect, cancel and resume jobs that are on record."),
    "models": Home("models", "List the models, what they take and what they cost."),
    "sandbox": Home("sandbox", "Serve the emulated services on this machine until Ctrl-C, and print how to reach them."),
    "spend": Home("spend", "Show what was spent, by backend, model and day, and how much of the caps is left; asks no service."),
    "worker": Home("worker", "Drive the jobs that are handed in on a database, until SIGTERM or Ctrl-C."),
    "quote": Home("generate", "Check a request and say what it would cost; nothing is sent."),
}
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_EXITS = "\b\nExit codes:\n" + "\n".join(f"  {int(code):<4} {meaning}" for code, meaning in MEANINGS.items())


class App(Commands):
    """The command line; turns every error into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        session = ctx.ensure_object(Session)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except GenbridgeError as error:
            ctx.exit(_refuse(session, error))
        except KeyboardInterrupt:
            ctx.exit(_interrupt(session))
        except BrokenPipeError:
            abandon(sys.stdout)
            ctx.exit(Exit.PIPE)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a person gets a sentence, not a traceback
            ctx.exit(_break(session, error))


def _refuse(session: Session, error: GenbridgeError) -> Exit:
    session.addressed(error)
    if session.json:
        print_json({"error": error_form(error)})
    complain(error)
    return exit_for(error)


def _break(session: Session, error: Exception) -> Exit:
    if session.json:
        print_json({"jobs": _under_way(session), "error": bug_form(error)})
    confess(error, details=session.verbosity > 0)
    if session.again or session.under_way:
        remark(f"continue with: {session.again}" if session.again else _collect(session))
    return Exit.FAILED


def _interrupt(session: Session) -> Exit:
    message = _way_on(session)
    if session.json:
        print_json({"jobs": _under_way(session), "error": interruption_form(message)})
    remark(message)
    return Exit.INTERRUPTED


def _under_way(session: Session) -> list[dict[str, str]]:
    return [{"id": job_id} for job_id in session.under_way]


def _way_on(session: Session) -> str:
    if session.again:
        what = "on record" if session.workers else "that were accepted"
        return "; ".join([f"interrupted; jobs {what} go on", *_not_sent(session), f"continue with: {session.again}"])
    said = [_collect(session)] if session.under_way else []
    if session.submitting:
        said.append(f"a request was being sent, see what became of it with: {session.command('jobs', 'list')}")
    said += [_how_to_send(session, job_id) for job_id in session.unsent]
    if session.waiting and not said:
        said = ["nothing was sent"]
    return "; ".join(["interrupted", *said])


def _not_sent(session: Session) -> Iterator[str]:
    """Say of a batch how much of it was not sent, and how to drop what of that is on record."""
    count, recorded = len(session.waiting), len(session.unsent)
    if count:
        yield f"{count} {'was' if count == 1 else 'were'} not sent, and will be when it is run again"
    if recorded:
        are, them = ("is", "it") if recorded == 1 else ("are", "them")
        send, drop = session.command("jobs", "resume"), session.command("jobs", "cancel", "--unsent")
        yield f"{recorded} of these {are} on record, `{send}` sends {them} too and `{drop}` drops {them}"


def _how_to_send(session: Session, job_id: str) -> str:
    send, drop = session.command("jobs", "resume"), session.command("jobs", "cancel", job_id)
    return f"job {job_id} was not sent yet, `{send}` sends it and `{drop}` drops it"


def _collect(session: Session) -> str:
    command = session.command("jobs", "wait", *session.under_way)
    several = len(session.under_way) > 1
    return f"the jobs go on, collect them with: {command}" if several else f"the job goes on, collect it with: {command}"


@click.group(cls=App, homes=_HOMES, epilog=_EXITS, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="genbridge", message="%(prog)s %(version)s")
@shared
def app() -> None:
    """Make images and videos with any of several services; never pay twice, never lose a paid job.

    With no service configured, try: genbridge generate "A lighthouse at dawn" --sandbox
    """


def run() -> None:
    """Run the command line on the arguments of this process, and exit."""
    write_anything()
    app(prog_name="genbridge")

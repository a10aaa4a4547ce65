"""`genbridge db`: the tables of a record of jobs that is in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genbridge.cli.console import remark, say
from genbridge.cli.exits import Exit
from genbridge.cli.output import print_json
from genbridge.cli.session import Session, database_option, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.databases import DatabaseUrl
from genbridge.errors import ConfigError
from genbridge.journal import need_drivers

if TYPE_CHECKING:
    from genbridge.journal.postgres.schema import Standing


@click.group()
@shared
def db() -> None:
    """Make and upgrade the tables of a record of jobs in a database."""


@db.command()
@database_option
@with_json
@shared
@pass_session
def upgrade(session: Session) -> None:
    """Make the tables that this release needs, or bring them up to date; jobs on record stay as they are.

    It is safe to run it twice, and from several machines at once: all steps are taken in one transaction, or none.
    """
    url = database(session)
    taken = schema().upgrade(url)
    standing = schema().standing(url)
    if session.json:
        print_json({"taken": taken, **form(url, standing)})
        return
    for step in taken:
        say(f"done: {step}")
    remark(f"{url} is up to date" if taken else f"{url} was up to date; nothing was to be done")


@db.command()
@database_option
@with_json
@shared
@pass_session
@click.pass_context
def status(context: click.Context, session: Session) -> None:
    """Say which tables the database has, and which this release wants; changes nothing. The exit code is 3 where they differ."""
    url = database(session)
    standing = schema().standing(url)
    if session.json:
        print_json(form(url, standing))
    else:
        _show(session, url, standing)
    context.exit(Exit.OK if standing.fits else Exit.SETUP)


def schema() -> Any:
    """Return the module that knows the tables; raises `JournalError` where what reaches databases is not installed."""
    need_drivers()
    from genbridge.journal.postgres import schema  # noqa: PLC0415 (only where its packages are)

    return schema


def database(session: Session) -> DatabaseUrl:
    """Return the database that a run is about: the one that is named, or that of the configuration; raises `ConfigError`."""
    from genbridge.config import load_journal  # noqa: PLC0415 (loaded when it is used)

    place = session.journal or load_journal(session.config).place()
    if isinstance(place, DatabaseUrl):
        return place
    where = f"in the file {str(place)!r}" if place else "in memory"
    ways = "with --db, as postgresql://…, env:NAME or file:PATH, or as path under [journal] in the configuration"
    raise ConfigError(f"the record of jobs is {where}; name a database {ways}")


def _show(session: Session, url: DatabaseUrl, standing: Standing) -> None:
    say(str(url))
    rows = [(each["of"], _brief(each["there"]), _brief(each["wanted"])) for each in tables(standing)]
    print_table(("TABLES OF", "THERE", "WANTED"), rows)
    if standing.lacking:
        steps = "1 step" if len(standing.lacking) == 1 else f"{len(standing.lacking)} steps"
        remark(f"{steps} to be done: {session.command('db', 'upgrade')}{session.retyped}")
    elif not standing.fits:
        remark("the tables are of a newer release; upgrade genbridge")


def _brief(step: str | None) -> str:
    """Return what numbers a step, without what it does."""
    return "_".join(step.split("_")[:2]) if step else "none"


def form(url: DatabaseUrl, standing: Standing) -> dict[str, Any]:
    """Return how the tables of a database stand as JSON has it."""
    return {"database": str(url), "lacking": list(standing.lacking), "tables": tables(standing)}


def tables(standing: Standing) -> list[dict[str, Any]]:
    """Return whose tables there are, and of which step."""
    ours = table_form("genbridge", str(standing.version) if standing.version else None, str(standing.wanted))
    return [ours, table_form("procrastinate", standing.engine, standing.engine_wanted)]


def table_form(of: str, there: str | None, wanted: str) -> dict[str, Any]:
    """Return whose tables, the last step that the database has taken, and the one that this release wants, as JSON has them."""
    return {"of": of, "there": there, "wanted": wanted}

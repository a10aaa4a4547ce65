"""`genbridge config`: what the configuration says, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genbridge.cli.backends import rows_of
from genbridge.cli.console import complain, remark, say, warn
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.output import error_form, print_json, problem_form
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.config import Config, load, missing_keys, missing_place
from genbridge.errors import ConfigError, Problem
from genbridge.plugins import installed

if TYPE_CHECKING:
    from genbridge.catalogue import Provider


@click.group()
@shared
def config() -> None:
    """Look at the configuration."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@with_json
@shared
@pass_session
@click.pass_context
def check(context: click.Context, session: Session, *, file: Path | None) -> None:
    """Check FILE, or the configuration that is found, and say what it comes to.

    Every mistake is a line, and the exit code 3. A key that is missing, or a provider's package that cannot be used, is a warning,
    and the exit code 0: a file may be checked where the keys are not.
    """
    if session.sandbox:
        remark("the sandbox has no configuration; this is the one that is used without --sandbox")
    try:
        found = load(file or session.config)
    except ConfigError as error:
        _show_mistakes(session, error)
        context.exit(exit_for(error))
    _show(session, found, warnings(found, installed.providers()))
    context.exit(Exit.OK)


def warnings(found: Config, providers: Mapping[str, Provider]) -> Sequence[Problem]:
    """Return what keeps a configuration without mistakes from being of use."""
    if found.backends:
        return [*missing_keys(found), *_unusable(found, providers), *missing_place(found)]
    absent = (Problem(name, what) for name, what in found.absent.items())
    return [Problem("backends", "there is none"), *absent, *missing_place(found)]


def _unusable(found: Config, providers: Mapping[str, Provider]) -> list[Problem]:
    return [Problem(f"backends.{row.backend.name}", row.place) for row in rows_of(found, providers) if row.error is not None]


def _show_mistakes(session: Session, error: ConfigError) -> None:
    if session.json:
        print_json(_failed_form(error))
    complain(error)


def _show(session: Session, found: Config, concerns: Sequence[Problem]) -> None:
    if session.json:
        # The log has said the first ones to whoever reads stderr.
        print_json(check_form(found, [*found.concerns, *concerns]))
        return
    for line in _lines(found):
        say(line)
    for concern in concerns:
        warn(str(concern))


def _lines(found: Config) -> list[str]:
    backends = [_named(backend.name, backend.provider) for backend in found.backends.values()]
    routes = [f"{route.name}: {', '.join(route.backends)} ({route.prefer})" for route in found.routes.values()]
    return [
        f"ok: {found.source or 'no file; the environment alone'}",
        f"  backends  {', '.join(backends) or 'none'}",
        *(f"  route     {route}" for route in routes),
        f"  default   {_default(found) or 'none'}",
        f"  journal   {_journal_words(found)}",
    ]


def _named(name: str, provider: str) -> str:
    return name if name == provider else f"{name} ({provider})"


def _default(found: Config) -> str | None:
    only = next(iter(found.backends)) if len(found.backends) == 1 else None
    return found.default or only


def _journal_words(found: Config) -> str:
    if found.journal.advice:
        return "unknown"
    url = found.journal.url
    driven = f" ({found.journal.engine})" if url else ""
    return f"{found.journal.place() or 'in memory'}{driven}"


def check_form(found: Config, concerns: Sequence[Problem]) -> dict[str, Any]:
    """Return a configuration without mistakes as JSON has it."""
    journal = None if found.journal.advice else found.journal.place()
    return {
        "ok": True,
        "source": str(found.source) if found.source else None,
        "default": _default(found),
        "backends": list(found.backends),
        "routes": list(found.routes),
        "journal": str(journal) if journal else None,
        "engine": found.journal.engine,
        "warnings": [problem_form(concern) for concern in concerns],
        "errors": [],
    }


def _failed_form(error: ConfigError) -> dict[str, Any]:
    empty: dict[str, Any] = {"source": None, "default": None, "backends": [], "routes": [], "journal": None, "engine": None}
    return {"ok": False, **empty, "warnings": [], "errors": [error_form(error)]}

"""`genbridge backends`: the accounts there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import click

from genbridge.cli.console import remark
from genbridge.cli.output import error_form, print_json
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.config import BackendConfig, Config, load
from genbridge.errors import PluginError
from genbridge.plugins import installed

if TYPE_CHECKING:
    from genbridge.catalogue import Provider
    from genbridge.client import Client


@attrs.frozen(kw_only=True)
class Row:
    """A backend, with what its provider says of itself, or why that cannot be read."""

    backend: BackendConfig
    provider: Provider | None = None
    error: PluginError | None = None

    @property
    def base_url(self) -> str | None:
        """Where its calls go."""
        return self.backend.base_url or (self.provider.base_url if self.provider else None)

    @property
    def place(self) -> str:
        """Where its calls go, in words."""
        return f"unusable: {self.error}" if self.error else str(self.base_url)

    @property
    def key_words(self) -> str:
        """Whether there is a key, and where from or what to do; never the key."""
        if self.backend.api_key is None:
            return f"missing: {self.backend.key_advice}"
        return {"literal": "written in the file"}.get(self.backend.key_source, self.backend.key_source) or "yes"

    def form(self, default: str | None) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.backend.name,
            "provider": self.backend.provider,
            "base_url": self.base_url,
            "key": self.backend.api_key is not None,
            "key_variable": self.provider.key_variable if self.provider else None,
            "default": self.backend.name == default,
            "settings": [
                {"name": setting.name, "variable": setting.variable, "description": setting.description}
                for setting in (self.provider.settings if self.provider else ())
            ],
            "error": None if self.error is None else error_form(self.error),
        }


@click.command()
@with_json
@shared
@pass_session
def backends(session: Session) -> None:
    """List the configured backends, where they go, and whether they have a key."""
    found = session.run(_config_of) if session.sandbox else load(session.config)
    rows = rows_of(found, installed.providers())
    if session.json:
        print_json({"backends": [row.form(found.default) for row in rows]})
    else:
        _show(found, rows)


async def _config_of(client: Client) -> Config:
    return client.config


def rows_of(found: Config, providers: Mapping[str, Provider]) -> list[Row]:
    """Return a row for each backend, also for one whose provider cannot be used."""
    return [_row(backend, providers) for backend in found.backends.values()]


def _row(backend: BackendConfig, providers: Mapping[str, Provider]) -> Row:
    try:
        return Row(backend=backend, provider=providers[backend.provider])
    except PluginError as error:
        return Row(backend=backend, error=error)


def _show(found: Config, rows: list[Row]) -> None:
    if rows:
        cells = [(row.backend.name, row.backend.provider, row.place, row.key_words) for row in rows]
        print_table(("BACKEND", "PROVIDER", "BASE URL", "KEY"), cells, wrap=("BASE URL", "KEY"))
    else:
        remark("no backend is configured; --sandbox needs none")
    for name, advice in found.absent.items():
        remark(f"{name}: not configured; {advice}")

"""Commands that are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class Commands(click.Group):
    """A group of commands; `homes` says of those that are loaded when they are asked for which module beside this one has them.

    To start quickly, a command loads what it uses, and nothing that only the others do.
    """

    def __init__(self, *arguments: Any, homes: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        return sorted({*self.homes, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or `None` when there is none of that name."""
        if cmd_name not in self.homes:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"genbridge.cli.{self.homes[cmd_name]}"), cmd_name)
        return command

"""Commands that are loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import attrs
import click


@attrs.frozen
class Home:
    """Where a command is: a module beside this one. `help` begins as its own help does, for a list that loads none."""

    module: str
    help: str


class Commands(click.Group):
    """A group of commands; `homes` says where those are that are loaded when they are asked for.

    So a command loads what it uses, and nothing that only the others do.
    """

    def __init__(self, *arguments: Any, homes: Mapping[str, Home], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        return sorted({*self.homes, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or `None` when there is none of that name."""
        if cmd_name not in self.homes:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"genbridge.cli.{self.homes[cmd_name].module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does, in a line, and load none for that."""
        stand_ins = {name: click.Command(name, help=home.help) for name, home in self.homes.items()}
        click.Group(commands={**self.commands, **stand_ins}).format_commands(ctx, formatter)

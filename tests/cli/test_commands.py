"""Commands that are loaded when they are asked for."""

from __future__ import annotations

import click
import pytest

from genbridge.cli import app
from genbridge.cli.commands import Commands, Home

CONTEXT = click.Context(app)
JOBS = app.get_command(CONTEXT, "jobs")
assert isinstance(JOBS, Commands)


@pytest.mark.parametrize("group", [app, JOBS], ids=["genbridge", "jobs"])
def test_a_list_says_of_a_command_what_the_command_says(group: Commands) -> None:
    """Though it loads none: the beginning of each help is written down beside where the command is."""
    commands = {name: group.get_command(CONTEXT, name) for name in group.homes}
    said = {name: " ".join((command.help or "").split("\n\n")[0].split()) for name, command in commands.items() if command}
    assert said == {name: home.help for name, home in group.homes.items()}


def test_a_list_has_the_commands_of_both_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are loaded already and those that are not, in order, with their help; a hidden one is left out."""
    group = Commands(homes={"bake": Home("nowhere", "Bake it."), "wash": Home("nowhere", "Wash it.")})
    group.add_command(click.Command("mix", help="Mix it."))
    group.add_command(click.Command("secret", hidden=True))
    with pytest.raises(SystemExit):
        group.main(["--help"], prog_name="kitchen")
    *_, bake, mix, wash = capsys.readouterr().out.splitlines()
    assert [["bake", "Bake it."], ["mix", "Mix it."], ["wash", "Wash it."]] == [
        line.split(maxsplit=1) for line in (bake, mix, wash)
    ]


def test_a_command_that_there_is_not_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere."""
    with pytest.raises(SystemExit) as exiting:
        app.main(["bake"], prog_name="genbridge")
    assert 2 == exiting.value.code
    assert "No such command" in capsys.readouterr().err

"""The command line as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from genbridge import __version__
from genbridge.cli.exits import MEANINGS
from genbridge.errors import ConfigError, Problem

Cli = Callable[..., Any]

COMMANDS = ["backends", "batch", "config", "generate", "jobs", "models", "quote", "sandbox", "spend"]
TALKING = [
    ["generate"],
    ["batch"],
    ["spend"],
    ["quote"],
    ["models"],
    ["backends"],
    ["sandbox"],
    *(["jobs", name] for name in ("list", "show", "watch", "wait", "cancel", "resume", "reconcile")),
    ["config", "check"],
]


def test_the_help_has_every_command_and_exit_code(cli: Cli) -> None:
    """Each code with what it means."""
    run = cli("--help")

    assert 0 == run.exit_code
    assert [name for name in COMMANDS if f"\n  {name} " not in run.stdout] == []
    assert [code for code, meaning in MEANINGS.items() if f"{int(code):<4} {meaning}" not in run.stdout] == []


@pytest.mark.parametrize("words", TALKING, ids=" ".join)
def test_every_command_has_help_and_the_shared_options(cli: Cli, words: list[str]) -> None:
    """They may stand before its name or after it."""
    run = cli(*words, "-h")

    assert 0 == run.exit_code
    assert all(option in run.stdout for option in ("--sandbox", "--config", "--journal", "-v, --verbose"))


def test_the_version_is_told(cli: Cli) -> None:
    """In one line."""
    assert f"genbridge {__version__}\n" == cli("--version").stdout


@pytest.mark.parametrize("words", [["nope"], ["generate"], ["jobs", "nope"], ["generate", "kite", "--nope"]])
def test_wrong_usage_has_a_code_of_its_own(cli: Cli, words: list[str]) -> None:
    """The message is on stderr."""
    run = cli(*words)

    assert (2, "") == (run.exit_code, run.stdout)
    assert "Usage: genbridge" in run.stderr


def test_an_error_of_ours_is_one_message(cli: Cli, client: Any) -> None:
    """With its problems, and as JSON where that was asked for."""

    def broken(_session: Any) -> Any:
        raise ConfigError("genbridge.toml has 1 mistake", problems=[Problem("default", "no such backend")])

    run = cli("jobs", "list", "--json", connect=broken)

    assert (3, "error: genbridge.toml has 1 mistake\n  default: no such backend\n") == (run.exit_code, run.stderr)
    assert [{"field": "default", "message": "no such backend"}] == json.loads(run.stdout)["error"]["problems"]


def test_an_unexpected_error_is_one_line(cli: Cli, client: Any) -> None:
    """With a traceback only where that was asked for."""
    client.fails["quote image"] = lambda _about: ZeroDivisionError("by zero")

    plain, verbose = cli("quote", "kite"), cli("-v", "quote", "kite")

    assert (1, "error: ZeroDivisionError: by zero (this is a bug in genbridge; run it again with -v to see where)\n") == (
        plain.exit_code,
        plain.stderr,
    )
    assert "Traceback (most recent call last):" in verbose.stderr


def test_an_unexpected_error_does_not_lose_the_job(cli: Cli, client: Any) -> None:
    """It says how to go on, in words and as JSON."""
    client.fails["result image"] = lambda _job: ZeroDivisionError("by zero")

    plain, in_json = cli("generate", "kite"), cli("generate", "kite", "--json")

    assert "the job goes on, collect it with: genbridge jobs wait job1" == plain.stderr.splitlines()[-1]
    document = json.loads(in_json.stdout)
    assert ([{"id": "job2"}], "ZeroDivisionError") == (document["jobs"], document["error"]["kind"])


@pytest.mark.parametrize("words", [["-vv", "quote", "kite"], ["quote", "kite", "-vv"], ["-v", "quote", "kite", "-vv"]])
def test_the_log_is_as_wordy_as_asked_wherever_that_is(cli: Cli, words: list[str]) -> None:
    """The wordier wish counts."""
    assert 2 == cli(*words).session.verbosity

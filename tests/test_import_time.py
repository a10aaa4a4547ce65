"""Importing genbridge is quick, because it loads nothing that is not used yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"aiohttp", "asyncio", "attr", "cattrs", "click", "pluggy", "rich", "sqlite3", "ssl"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a new interpreter."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_genbridge_loads_no_other_package() -> None:
    """`import genbridge` alone brings in none of what the client, the journal and the command line need."""
    assert set() == loaded_by("import genbridge") & HEAVY


@pytest.mark.parametrize("name", ["ImageRequest", "JobStatus", "GenbridgeError", "hookimpl", "Call"])
def test_values_load_no_client(name: str) -> None:
    """Values, errors and the plugin contract come without the HTTP client, the journal and the command line."""
    assert set() == loaded_by(f"from genbridge import {name}") & {"aiohttp", "asyncio", "click", "rich", "sqlite3", "ssl"}


def test_a_client_loads_no_command_line() -> None:
    """The client does without click and rich, which are extras."""
    assert set() == loaded_by("from genbridge import Client") & {"click", "rich"}


# The command line

PLUGINS = {"pluggy", "genbridge_imini", "genbridge_meigen", "genbridge_sseedance"}
NETWORK = {"aiohttp", "yarl", "ssl"}
RECORD = {"sqlite3", "cattrs"}
LOOP = {"asyncio"}
DRAWING = {"rich"}

UNUSED = {
    "--version": NETWORK | PLUGINS | RECORD | LOOP | DRAWING,
    "--help": NETWORK | PLUGINS | RECORD | LOOP | DRAWING,
    "jobs --help": NETWORK | PLUGINS | RECORD | LOOP | DRAWING,
    "jobs list": {"aiohttp", "yarl"} | PLUGINS | DRAWING,
    "jobs list --json": {"aiohttp", "yarl"} | PLUGINS | DRAWING,
    "jobs show abc --json": {"aiohttp", "yarl"} | PLUGINS,
    "spend": {"aiohttp", "yarl"} | DRAWING,
    "backends": NETWORK | RECORD | LOOP | DRAWING,
    "config check": NETWORK | RECORD | LOOP | DRAWING,
    "models --no-live -b studio": {"aiohttp", "yarl"} | DRAWING,
    "quote fog -b studio": {"aiohttp", "yarl"},
}
"""Commands, and what they have no use for."""

ENTRY = """
import atexit, sys
def tell():
    print(*{name.partition(".")[0] for name in sys.modules}, file=open(LIST, "w"))
atexit.register(tell)
from genbridge.__main__ import main
main()
"""


@pytest.mark.parametrize(("command", "unused"), UNUSED.items(), ids=list(UNUSED))
def test_a_command_loads_nothing_that_it_does_not_use(command: str, unused: set[str], tmp_path: Path) -> None:
    """Where it prints to no terminal: each loads as little as it can, so that it starts as quickly as it can."""
    (tmp_path / "genbridge.toml").write_text('[backends.studio]\nprovider = "imini"\napi_key = "env:STUDIO_KEY"\n')
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    env |= {"GENBRIDGE_STATE_DIR": str(tmp_path), "STUDIO_KEY": "a-key-of-some-length"}
    program = f"LIST = {str(tmp_path / 'loaded')!r}{ENTRY}"
    words = [sys.executable, "-c", program, *command.split()]
    done = subprocess.run(words, capture_output=True, check=False, env=env, cwd=tmp_path)
    loaded = set((tmp_path / "loaded").read_text().split())
    assert (done.returncode in {0, 3}, {"click"}) == (True, loaded & (unused | {"click"})), done.stderr.decode()

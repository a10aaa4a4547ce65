"""Importing genbridge is quick, because it loads nothing that is not used yet."""

from __future__ import annotations

import os
import subprocess
import sys

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

"""What every test gets: a home of its own, no keys, no internet, and Hypothesis without a clock."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from postgres import Server, programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

_NOWHERE = ("localhost", ".localhost", ".invalid", ".test", ".example")


def _refuse_the_internet(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail whatever looks up or connects to a host that is not this one."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        if not ip_address(host.partition("%")[0]).is_loopback:
            raise RuntimeError(f"a test connects to {host}; only loopback is allowed")
    if event == "socket.getaddrinfo" and arguments[0] is not None and not _is_here(arguments[0]):
        raise RuntimeError(f"a test looks up {arguments[0]!r}; only this host's and reserved names are allowed")


def _is_here(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        ip_address(name)
    except ValueError:
        return name.endswith(_NOWHERE)
    return True


sys.addaudithook(_refuse_the_internet)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server; where none is installed the test is left out, and fails in CI."""
    if programs() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is not installed; CONTRIBUTING.md says how to get it")
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """Return the name of a database that has the tables, to make others of."""
    from genbridge.databases import DatabaseUrl
    from genbridge.journal.postgres.schema import upgrade

    url = postgres.make_database()
    upgrade(DatabaseUrl.parse(url))
    return url.rpartition("/")[2]


@pytest.fixture
def database(postgres: Server, template: str) -> str:
    """Return the URL of a database that has the tables, and nothing in them."""
    return postgres.make_database(template)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a test empty config and state directories, and none of the user's keys."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("GENBRIDGE_CONFIG", "IMINI_API_KEY", "MEIGEN_API_TOKEN", "SSEEDANCE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return home

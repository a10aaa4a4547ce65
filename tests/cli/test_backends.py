"""`genbridge backends`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge.cli.backends import Row, rows_of
from genbridge.config import BackendConfig, Config, Secret
from genbridge.errors import PluginError

Cli = Callable[..., Any]

FILE = """
default = "studio"
[backends.studio]
provider = "meigen"
api_key = "env:STUDIO_KEY"
base_url = "https://proxy.example/meigen"
[backends.spare]
provider = "imini"
[backends.third]
provider = "sseedance"
api_key = "sk-very-secret"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write three backends, each with its key somewhere else."""
    path = tmp_path / "genbridge.toml"
    path.write_text(FILE)
    monkeypatch.setenv("STUDIO_KEY", "sk-very-secret")
    return str(path)


def test_backends_are_listed_without_their_keys(cli: Cli, file: str) -> None:
    """With where they go, and where the key is or has to be."""
    run = cli("backends", "--config", file)

    header, studio, spare, third = run.stdout.splitlines()
    assert ["BACKEND", "PROVIDER", "BASE", "URL", "KEY"] == header.split()
    assert ["studio", "meigen", "https://proxy.example/meigen", "env", "STUDIO_KEY"] == studio.split()
    assert "missing: set the environment variable IMINI_API_KEY" in spare
    assert third.endswith("written in the file")
    assert "secret" not in run.stdout + run.stderr


def test_backends_have_json(cli: Cli, file: str) -> None:
    """Whether there is a key, and never the key."""
    run = cli("backends", "--config", file, "--json")

    studio, spare, _third = json.loads(run.stdout)["backends"]
    expected = {
        "name": "studio",
        "provider": "meigen",
        "base_url": "https://proxy.example/meigen",
        "key": True,
        "key_variable": "MEIGEN_API_TOKEN",
        "default": True,
        "settings": [
            {
                "name": "upload_url",
                "variable": "UPLOAD_GATEWAY_URL",
                "description": (
                    "the gateway that local reference images are uploaded through; the service's own when it is left out"
                ),
            }
        ],
        "error": None,
    }
    assert expected == studio
    assert (False, False) == (spare["key"], spare["default"])
    assert "secret" not in run.stdout


def test_without_a_backend_it_says_what_to_set(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For each provider that is installed."""
    monkeypatch.chdir(tmp_path)

    run = cli("backends")

    assert (0, "") == (run.exit_code, run.stdout)
    assert "no backend is configured; --sandbox needs none" == run.stderr.splitlines()[0]
    assert "imini: not configured; set the environment variable IMINI_API_KEY" in run.stderr


def test_the_sandbox_has_backends_of_its_own(cli: Cli, client: Any) -> None:
    """They are those of its client."""
    backend = BackendConfig(name="imini", provider="imini", api_key=Secret("k"), base_url="http://127.0.0.1:1")
    client.config = attrs.evolve(client.config, backends={"imini": backend})

    run = cli("backends", "--sandbox")

    assert ["imini", "imini", "http://127.0.0.1:1", "yes"] == run.stdout.splitlines()[1].split()


def test_a_broken_package_hurts_only_its_own_backends() -> None:
    """The row says what is wrong with it."""

    class Providers(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise PluginError("it fails on import", package="acme-genbridge")

        def __iter__(self) -> Any:
            return iter(["acme"])

        def __len__(self) -> int:
            return 1

    found = Config(backends={"studio": BackendConfig(name="studio", provider="acme", base_url="https://a.example")})

    (row,) = rows_of(found, Providers())

    assert isinstance(row, Row)
    assert ("unusable: it fails on import", "PluginError") == (row.place, row.form(None)["error"]["kind"])
    assert row.form(None)["key_variable"] is None

"""Purity: what a provider may import is read from its sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import genbridge_sseedance as sseedance
import pytest

from genbridge.testing.findings import Findings
from genbridge.testing.purity import check_purity


def impurities(plugin: object) -> list[str]:
    """Return what is impure about a plugin."""
    findings = Findings()
    check_purity(plugin, findings)
    return [str(problem) for problem in findings.problems]


def package(path: Path, **sources: str) -> ModuleType:
    """Make a package of some modules; what they import need not be there, as only the package itself is loaded."""
    for name, source in {"__init__": "", **sources}.items():
        (path / f"{name}.py").write_text(source)
    spec = importlib.util.spec_from_file_location("acme", path / "__init__.py", submodule_search_locations=[str(path)])
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import aiohttp", "it imports aiohttp; a hook does no I/O"),
        ("import json, asyncio", "it imports asyncio; a hook does no I/O"),
        ("from urllib.request import urlopen", "it imports urllib.request; a hook does no I/O"),
        ("from urllib import request", "it imports urllib.request; a hook does no I/O"),
        ("from http import client, server", "it imports http.client; a hook does no I/O"),
        ("import http.client as c", "it imports http.client; a hook does no I/O"),
        ("def f():\n    import time", "it imports time; a hook does no I/O"),
        ("from genbridge.wire import Call", "it imports genbridge.wire; import public names from genbridge itself"),
        ("import genbridge.wire", "it imports genbridge.wire; import public names from genbridge itself"),
        ("from genbridge import Call, Transport", "it imports Transport from genbridge, which has no such public name"),
        ("from datetime import datetime\nx = datetime.now()", "it looks at the clock with now(); a hook knows no time"),
        ("import datetime\nx = datetime.datetime.utcnow()", "it looks at the clock with utcnow(); a hook knows no time"),
    ],
)
def test_what_a_provider_may_not_use_is_found_with_its_place(tmp_path: Path, source: str, expected: str) -> None:
    """The file and the line are named, also of an import inside a function."""
    (found,) = impurities(package(tmp_path, _wire=source))
    assert found.startswith(f"imports: _wire.py, line {len(source.splitlines())}: {expected}")


@pytest.mark.parametrize(
    "source",
    [
        "import json, attrs, urllib.parse",
        "from urllib.parse import quote",
        "from http import HTTPStatus",
        "from genbridge import Call, hookimpl",
        "import genbridge",
        "from . import _models",
        "from genbridge.testing import drive",
        "from datetime import datetime\nx = datetime.fromisoformat",
        "x = object()\nx.now()",
    ],
)
def test_what_is_pure_is_left_alone(tmp_path: Path, source: str) -> None:
    """Plain computing, public names and the kit itself are fine."""
    assert [] == impurities(package(tmp_path, _wire=source))


def test_every_module_of_a_package_is_read(tmp_path: Path) -> None:
    """Each violation is listed, in the order of the files."""
    found = impurities(package(tmp_path, _a="import socket", _b="import ssl\nimport random"))
    assert ["_a.py, line 1", "_b.py, line 1", "_b.py, line 2"] == [
        line.removeprefix("imports: ").partition(":")[0] for line in found
    ]


def test_a_plugin_of_one_file_is_read_alone(tmp_path: Path) -> None:
    """What lies beside it is not its own."""
    (tmp_path / "acme.py").write_text("import socket")
    (tmp_path / "other.py").write_text("import ssl")
    module = ModuleType("acme")
    module.__file__ = str(tmp_path / "acme.py")
    assert 1 == len(impurities(module))


def test_a_plugin_without_a_source_has_nothing_to_read() -> None:
    """A module made by hand is not an error."""
    assert [] == impurities(ModuleType("made_by_hand"))


def test_the_built_in_provider_is_pure() -> None:
    """Its package has nothing to be found."""
    assert [] == impurities(sseedance)

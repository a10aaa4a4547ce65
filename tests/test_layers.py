"""The modules import downwards only, and a provider nothing but public names."""

from __future__ import annotations

import ast
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import genbridge

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS = [
    "__main__ cli testing",
    "blocking worker",
    "client batches ledger",
    "scheduler watching",
    "submits health",
    "polls cancels",
    "experience",
    "doubts wishes refusals tasks pulse agenda writer drives downloads journal seams tickets",
    "backends sandbox",
    "plugins lines transport limits budgets config references snapshots validation prices folders",
    "places deadlines",
    "databases engine",
    "hookspecs catalogue polling durations wire types errors addresses keys origins placeholders tables timing tries formats words",
]
"""From the top down; a module may import from its own layer and those below."""

HEIGHT = {module: -number for number, layer in enumerate(LAYERS) for module in layer.split()}

PROVIDERS = ["genbridge_imini", "genbridge_meigen", "genbridge_sseedance"]
IMPURE = {"asyncio", "http", "os", "random", "secrets", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"}
"""Parts of the standard library that do I/O, or answer differently each time."""


def sources(package: str) -> Iterator[Path]:
    """Return the source files of an installed package."""
    return Path(str(files(package))).rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    """Return the dotted names that a file imports, anywhere in it; a relative one begins with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def module_of(dotted: str) -> str | None:
    """Return the module that `genbridge.…` leads to; `None` for the root's own names."""
    name = dotted.split(".")[1] if "." in dotted else ""
    return genbridge._MODULES.get(name) or (None if name in ("", "__version__") else name)


def within(path: Path) -> str:
    """Return the name of the module or subpackage of genbridge that a file is in."""
    return path.relative_to(Path(str(files("genbridge")))).parts[0].removesuffix(".py")


CORE = [path for path in sorted(sources("genbridge")) if within(path) != "__init__"]


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(files("genbridge"))))
def test_a_module_imports_only_from_its_own_layer_and_below(path: Path) -> None:
    """Whatever a module of genbridge imports of genbridge lies no higher than itself."""
    used = {module_of(name) for name in imported(path) if name.partition(".")[0] == "genbridge"} - {None}
    assert set() == {module for module in used if HEIGHT[str(module)] > HEIGHT[within(path)]}


def test_every_module_has_its_layer() -> None:
    """A new module is given its place, and one that is gone loses it."""
    assert set(HEIGHT) == {within(path) for path in CORE}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_imports_only_public_names(provider: str) -> None:
    """A provider gets by with the standard library, attrs and what `genbridge` offers everybody."""
    public = {f"genbridge.{name}" for name in genbridge.__all__}
    names = {name for path in sources(provider) for name in imported(path)}
    foreign = {name for name in names if name not in public and not name.startswith((".", provider))}
    assert set() == {name for name in foreign if name.partition(".")[0] not in sys.stdlib_module_names | {"attrs"}}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_does_no_io(provider: str) -> None:
    """A provider's hooks have no network, no files, no clock and no dice."""
    names = {name.partition(".")[0] for path in sources(provider) for name in imported(path)}
    assert set() == names & IMPURE

"""What is installed is whole: packages, type marks, entry points, version."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import distribution, requires, version
from importlib.resources import files
from pathlib import Path

import pytest

import genbridge

ROOT = Path(__file__).parent.parent
PROVIDERS = sorted(path.name for path in (ROOT / "providers").iterdir() if path.name.startswith("genbridge_"))


@pytest.mark.skipif("NOX_CURRENT_SESSION" not in os.environ, reason="outside nox the sources may be tested in place")
@pytest.mark.parametrize("package", ["genbridge", *PROVIDERS])
def test_nox_tests_the_installed_package(package: str) -> None:
    """Under nox the tests meet the built wheel, not the sources beside them."""
    assert "site-packages" in Path(str(files(package))).parts


@pytest.mark.parametrize("package", ["genbridge", *PROVIDERS])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    """Type checkers look for `py.typed`."""
    assert files(package).joinpath("py.typed").is_file()


def test_the_version_is_the_same_everywhere() -> None:
    """The module, the installed package and the project's file name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert genbridge.__version__ == version("genbridge") == project["version"]


def test_the_changelog_has_an_entry_for_the_version() -> None:
    """Whoever raises the version says what is new."""
    assert f"\n## [{genbridge.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_each_provider_comes_in_by_its_entry_point() -> None:
    """The built-in providers use the same door as everybody's."""
    found = distribution("genbridge").entry_points.select(group="genbridge.providers")
    assert set(PROVIDERS) == {entry.value for entry in found}


def test_there_is_a_command() -> None:
    """`genbridge` is a command."""
    (entry,) = distribution("genbridge").entry_points.select(group="console_scripts", name="genbridge")
    assert callable(entry.load())


def test_the_command_lines_packages_are_an_extra() -> None:
    """A program that uses the client alone installs neither click nor rich."""
    needed = {need.partition(">")[0] for need in requires("genbridge") or () if "extra ==" not in need}
    assert {"aiohttp", "attrs", "cattrs", "platformdirs", "pluggy"} == needed

"""The names of the kit, and how little the pytest plugin loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genbridge import testing


def test_the_public_names_are_exactly_these() -> None:
    """Each of them can be imported."""
    assert ["ConformanceError", "Stage", "check_provider", "drive"] == testing.__all__
    assert all(callable(getattr(testing, name)) for name in testing.__all__)


def test_another_name_is_an_attribute_error() -> None:
    """It is said like any module says it."""
    with pytest.raises(AttributeError, match="has no attribute 'check_providers'"):
        _ = testing.check_providers


def test_the_pytest_plugin_loads_nothing_until_a_test_asks() -> None:
    """Every pytest run where genbridge is installed imports it, so it brings neither aiohttp nor the kit."""
    code = "import sys, genbridge.testing.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "aiohttp" not in loaded
    assert {"genbridge", "genbridge.testing", "genbridge.testing.plugin"} == {
        name for name in loaded if name.startswith("genbridge")
    }

"""A kit for provider authors, and for users who test their own code: nothing here opens a socket or waits.

`check_provider` holds a plugin against the whole contract; `drive` takes one request through a plugin and its emulator; a `Stage`
is what both are made of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genbridge.testing.conformance import ConformanceError as ConformanceError
    from genbridge.testing.conformance import check_provider as check_provider
    from genbridge.testing.stage import Stage as Stage
    from genbridge.testing.stage import drive as drive

_MODULES = {"ConformanceError": "conformance", "check_provider": "conformance", "Stage": "stage", "drive": "stage"}

__all__ = ["ConformanceError", "Stage", "check_provider", "drive"]


def __getattr__(name: str) -> Any:
    """Import a name on first use: pytest imports this package in every run, whether or not it is needed."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'genbridge.testing' has no attribute {name!r}")
    return getattr(import_module(f"genbridge.testing.{module}"), name)

"""The pytest plugin. It is loaded in every run where genbridge is installed, so it imports nothing until a test asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def check_provider() -> Callable[..., None]:
    """Return `genbridge.testing.check_provider`, for a test such as `check_provider("acme")`."""
    from genbridge.testing.conformance import check_provider as check  # noqa: PLC0415

    return check

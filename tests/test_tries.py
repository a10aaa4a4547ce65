"""Each try of an id has an id of its own, which leads back to the first."""

from __future__ import annotations

import pytest

from genbridge.tries import given_id, numbered


@pytest.mark.parametrize(("number", "job_id"), [(1, "order-17"), (2, "order-17+2"), (12, "order-17+12")])
def test_a_try_is_known_by_the_id_that_was_given(number: int, job_id: str) -> None:
    """The first one is called just that, and every later one has its number behind it."""
    assert job_id == numbered("order-17", number)
    assert "order-17" == given_id(job_id)

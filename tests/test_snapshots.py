"""A plugin's mistake in what it says of a job does not lose the job."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import attrs
import pytest

from genbridge import Cost, JobStatus, Snapshot
from genbridge.snapshots import sound

GOOD = Snapshot(status=JobStatus.RUNNING, provider_id="p1", cost=Cost(amount=3), progress=0.5, poll_after=2.0, note="fine")


def test_what_is_of_its_kind_is_left_as_it_is() -> None:
    """It is the same object."""
    assert GOOD is sound(GOOD)


@pytest.mark.parametrize("name", ["progress", "poll_after", "expected", "balance"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [(Decimal("0.25"), 0.25), ("0.25", 0.25), ("soon", None), (math.nan, None), (math.inf, None), (10**400, None), ([], None)],
)
def test_a_number_of_another_kind_is_converted_or_left_out(name: str, value: Any, expected: float | None) -> None:
    """All else stays, the id above all."""
    snapshot = sound(attrs.evolve(GOOD, **{name: value}))
    assert (expected, "p1") == (getattr(snapshot, name), snapshot.provider_id)


@pytest.mark.parametrize(
    ("amount", "expected"), [(Decimal("12.5"), Cost(amount=12.5)), ("12.5", Cost(amount=12.5)), (10**400, None)]
)
def test_a_cost_of_another_kind_is_converted_or_left_out(amount: Any, expected: Cost | None) -> None:
    """One that is not known is settled as quoted."""
    assert expected == sound(attrs.evolve(GOOD, cost=Cost(amount=amount))).cost


def test_an_id_of_another_kind_is_a_text(caplog: pytest.LogCaptureFixture) -> None:
    """And the log says that it was not."""
    assert "77" == sound(attrs.evolve(GOOD, provider_id=77)).provider_id  # type: ignore[arg-type]
    assert "provider_id" in caplog.text

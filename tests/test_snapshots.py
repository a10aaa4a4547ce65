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
    """It is the same object, also where nobody knows what it costs."""
    unpriced = attrs.evolve(GOOD, cost=Cost(amount=None))

    assert GOOD is sound(GOOD)
    assert unpriced is sound(unpriced)


@pytest.mark.parametrize("name", ["progress", "poll_after", "expected", "balance"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("0.25"), 0.25),
        ("0.25", 0.25),
        (True, 1.0),
        ("soon", None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        ([], None),
    ],
)
def test_a_number_of_another_kind_is_converted_or_left_out(name: str, value: Any, expected: float | None) -> None:
    """All else stays, the id above all."""
    snapshot = sound(attrs.evolve(GOOD, **{name: value}))
    found = getattr(snapshot, name)
    assert (expected, type(expected), "p1") == (found, type(found), snapshot.provider_id)


@pytest.mark.parametrize(
    ("amount", "expected"), [(Decimal("12.5"), Cost(amount=12.5)), ("12.5", Cost(amount=12.5)), (10**400, None)]
)
def test_a_cost_of_another_kind_is_converted_or_left_out(amount: Any, expected: Cost | None) -> None:
    """One that is not known is settled as quoted."""
    assert expected == sound(attrs.evolve(GOOD, cost=Cost(amount=amount))).cost


@pytest.mark.parametrize("name", ["provider_id", "aspect_ratio", "note"])
def test_a_text_of_another_kind_is_made_one(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """And the log says that it was not."""
    changed: dict[str, Any] = {name: 77}

    assert "77" == getattr(sound(attrs.evolve(GOOD, **changed)), name)
    assert name in caplog.text

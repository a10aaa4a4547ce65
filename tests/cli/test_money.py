"""Amounts in words."""

from __future__ import annotations

from genbridge.cli.money import totals
from genbridge.types import Certainty, Cost


def test_costs_of_two_backends_are_never_added_together() -> None:
    """Their credits are different things; an estimate in a sum makes it one."""
    costs = [
        ("imini", Cost(amount=75, certainty=Certainty.ESTIMATED)),
        ("meigen", Cost(amount=5)),
        ("imini", Cost(amount=1000)),
        ("meigen", Cost(amount=5)),
    ]

    assert ["about 1075 credits on imini", "10 credits on meigen"] == [str(total) for total in totals(costs)]


def test_a_price_that_nobody_knows_is_not_nothing() -> None:
    """It is counted beside the sum."""
    costs = [("a", Cost(amount=5)), ("a", Cost(amount=None)), ("b", Cost(amount=None)), ("b", Cost(amount=None))]

    assert ["5 credits on a and 1 of unknown price on a", "2 of unknown price on b"] == [str(total) for total in totals(costs)]


def test_units_are_kept_apart() -> None:
    """Of one backend too."""
    costs = [("a", Cost(amount=5)), ("a", Cost(amount=1, unit="USD"))]

    assert ["5 credits on a", "1 USD on a"] == [str(total) for total in totals(costs)]
